//! Reads Sloth's `prometheus/v1` files, strictly, every mistake with its place.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_saphyr::{Location, Spanned};

use crate::rule::{Group, TEMPLATE_VARIABLES};
use crate::template::Template;
use crate::yaml::{Pairs, Source};

use super::burn_rate::{self, BurnRate, Severity, WindowPair};
use super::{AlertTexts, Indicator, Slo, generate, tidy};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFile {
    version: Spanned<String>,
    service: Spanned<String>,
    labels: Option<Pairs>,
    slo_plugins: Option<RawPlugins>,
    slos: Option<Vec<Spanned<RawSlo>>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSlo {
    name: Spanned<String>,
    description: Option<String>,
    objective: Spanned<f64>,
    labels: Option<Pairs>,
    sli: Spanned<RawSli>,
    alerting: RawAlerting,
    plugins: Option<RawPlugins>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSli {
    raw: Option<RawRatio>,
    events: Option<RawEvents>,
    plugin: Option<RawSliPlugin>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRatio {
    error_ratio_query: Spanned<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawEvents {
    error_query: Spanned<String>,
    total_query: Spanned<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSliPlugin {
    id: Spanned<String>,
    options: Option<Pairs>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawAlerting {
    name: Option<Spanned<String>>,
    labels: Option<Pairs>,
    annotations: Option<Pairs>,
    page_alert: Option<RawAlert>,
    ticket_alert: Option<RawAlert>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawAlert {
    #[serde(default)]
    disable: bool,
    labels: Option<Pairs>,
    annotations: Option<Pairs>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawPlugins {
    #[serde(rename = "overridePrevious", default)]
    override_previous: bool,
    #[serde(default)]
    chain: Vec<RawPlugin>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawPlugin {
    id: Spanned<String>,
    /// Sloth orders its plugins by it; ours is the only one, so there is nothing to order.
    #[serde(rename = "priority")]
    _priority: Option<i64>,
    config: Option<RawBurnRate>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawBurnRate {
    period: Option<Spanned<String>>,
    min_bad_events: Option<Spanned<f64>>,
    shorten_windows_by: Option<Spanned<f64>>,
    evaluation_interval: Option<Spanned<String>>,
    windows: Option<Vec<Spanned<RawWindow>>>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawWindow {
    severity: RawSeverity,
    long: Spanned<String>,
    short: Spanned<String>,
    factor: f64,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum RawSeverity {
    Page,
    Ticket,
}

/// The plugin that sets windows and guards.
const BURN_RATE: &str = "watchkeeper/burn-rate/v1";
/// The indicators of our own.
const LATENCY: &str = "watchkeeper/latency/v1";
const REPLICA_LAG: &str = "watchkeeper/replica-lag/v1";

/// The groups of rules for the SLO file in `source`, whose name is `file`. Groups are evaluated
/// every `default_interval_ms`, more often when their windows are short. Mistakes are noted in
/// `source`, and then the groups are not to be used.
pub(crate) fn read(source: &mut Source<'_>, file: &str, default_interval_ms: i64) -> Vec<Group> {
    let Some(document) = source.document::<RawFile>() else {
        return Vec::new();
    };
    if document.version.value != "prometheus/v1" {
        source.error(
            document.version.referenced,
            format!(
                "unknown version {:?}; expected \"prometheus/v1\"",
                document.version.value
            ),
        );
    }
    if document.service.value.is_empty() {
        source.error(document.service.referenced, "the service needs a name");
    }
    let labels = plain(document.labels.as_ref());
    let mut names = BTreeSet::new();
    let mut groups = Vec::new();
    for raw in document.slos.unwrap_or_default() {
        let place = raw.referenced;
        if !names.insert(raw.value.name.value.clone()) {
            source.error(
                raw.value.name.referenced,
                format!("the SLO name {:?} is repeated", raw.value.name.value),
            );
        }
        let errors_before = source.errors.len();
        let slo = slo(
            source,
            raw.value,
            &document.service.value,
            &labels,
            document.slo_plugins.as_ref(),
            default_interval_ms,
        );
        let Some(slo) = slo.filter(|_| source.errors.len() == errors_before) else {
            continue;
        };
        match generate(&slo, file) {
            Ok(generated) => groups.extend(generated),
            Err(message) => source.error(place, format!("SLO {:?}: {message}", slo.name)),
        }
    }
    groups
}

fn plain(pairs: Option<&Pairs>) -> BTreeMap<String, String> {
    pairs
        .into_iter()
        .flat_map(|pairs| &pairs.0)
        .map(|(name, value)| (name.value.clone(), value.value.clone()))
        .collect()
}

fn slo(
    source: &mut Source<'_>,
    raw: RawSlo,
    service: &str,
    service_labels: &BTreeMap<String, String>,
    file_plugins: Option<&RawPlugins>,
    default_interval_ms: i64,
) -> Option<Slo> {
    let objective = raw.objective.value;
    if !(objective > 0.0 && objective < 100.0) {
        source.error(
            raw.objective.referenced,
            format!("the objective must be above 0 and below 100 percent; got {objective}"),
        );
    }
    let mut labels = service_labels.clone();
    labels.extend(plain(raw.labels.as_ref()));
    let own_plugins = raw.plugins.as_ref();
    let inherited = file_plugins.filter(|_| !own_plugins.is_some_and(|own| own.override_previous));
    let settings: Vec<&RawPlugins> = inherited.into_iter().chain(own_plugins).collect();
    let mut burn_rate = burn_rate(source, &settings, default_interval_ms);
    let indicator = indicator(source, raw.sli, &burn_rate)?;
    if let Indicator::ReplicaLag { slice_ms, .. } = &indicator {
        // One evaluation records one slice.
        burn_rate.interval_ms = (*slice_ms).clamp(1, (burn_rate.shortest_ms() / 4).max(1));
    }
    let page = alert_texts(source, &raw.alerting, raw.alerting.page_alert.as_ref());
    let ticket = alert_texts(source, &raw.alerting, raw.alerting.ticket_alert.as_ref());
    let alert_name = match (&raw.alerting.name, &page, &ticket) {
        (Some(name), _, _) if !name.value.is_empty() => name.value.clone(),
        (_, None, None) => String::new(),
        _ => {
            source.error(
                raw.name.referenced,
                format!("SLO {:?}: alerting.name must be set", raw.name.value),
            );
            return None;
        }
    };
    let slo = Slo {
        service: service.to_owned(),
        name: raw.name.value,
        description: raw.description.unwrap_or_default(),
        objective,
        labels,
        indicator,
        alert_name,
        page,
        ticket,
        burn_rate,
    };
    check_reachable(source, &slo, raw.objective.referenced);
    check_guard(source, &slo, raw.name.referenced);
    Some(slo)
}

/// An alert that needs a ratio above 1 never fires: that is a mistake, not a quiet service.
fn check_reachable(source: &mut Source<'_>, slo: &Slo, place: Location) {
    let budget = slo.budget();
    for pair in &slo.burn_rate.pairs {
        let enabled = match pair.severity {
            Severity::Page => slo.page.is_some(),
            Severity::Ticket => slo.ticket.is_some(),
        };
        let needed = tidy(pair.factor * budget);
        if enabled && needed >= 1.0 {
            source.error(
                place,
                format!(
                    "SLO {:?}: the {} alert needs an error ratio above {needed} ({} × {budget}), \
                     so it can never fire; raise the objective, disable the alert, or set \
                     windows with a factor below {}",
                    slo.name,
                    pair.severity.as_str(),
                    pair.factor,
                    tidy(1.0 / budget),
                ),
            );
        }
    }
}

fn check_guard(source: &mut Source<'_>, slo: &Slo, place: Location) {
    let countable = matches!(slo.indicator, Indicator::Events { .. });
    if !countable || slo.burn_rate.min_bad_events <= 0.0 {
        return;
    }
    if let Ok(None) = slo.indicator.bad_events(slo.burn_rate.longest_ms()) {
        source.warning(
            place,
            format!(
                "SLO {:?}: its error_query has neither rate() nor increase(), so min_bad_events \
                 cannot be checked and a single bad event may alert",
                slo.name
            ),
        );
    }
}

fn alert_texts(
    source: &mut Source<'_>,
    shared: &RawAlerting,
    own: Option<&RawAlert>,
) -> Option<AlertTexts> {
    if own.is_some_and(|own| own.disable) {
        return None;
    }
    let own_labels = own.and_then(|own| own.labels.as_ref());
    let own_annotations = own.and_then(|own| own.annotations.as_ref());
    let given = [
        shared.labels.as_ref(),
        own_labels,
        shared.annotations.as_ref(),
        own_annotations,
    ];
    for (name, text) in given.into_iter().flatten().flat_map(|pairs| &pairs.0) {
        if let Err(error) = Template::parse(&text.value, &TEMPLATE_VARIABLES) {
            source.error(text.referenced, format!("{:?}: {error}", name.value));
        }
    }
    let mut labels = plain(shared.labels.as_ref());
    labels.extend(plain(own_labels));
    let mut annotations = plain(shared.annotations.as_ref());
    annotations.extend(plain(own_annotations));
    Some(AlertTexts {
        labels,
        annotations,
    })
}

fn indicator(
    source: &mut Source<'_>,
    raw: Spanned<RawSli>,
    burn_rate: &BurnRate,
) -> Option<Indicator> {
    let place = raw.referenced;
    match (raw.value.raw, raw.value.events, raw.value.plugin) {
        (Some(raw), None, None) => Some(Indicator::Raw {
            ratio: query(source, &raw.error_ratio_query, burn_rate)?,
        }),
        (None, Some(events), None) => {
            let errors = query(source, &events.error_query, burn_rate);
            let total = query(source, &events.total_query, burn_rate);
            Some(Indicator::Events {
                errors: errors?,
                total: total?,
            })
        }
        (None, None, Some(plugin)) => plugin_indicator(source, plugin, burn_rate),
        _ => {
            source.error(place, "an SLI has exactly one of raw, events and plugin");
            None
        }
    }
}

/// A query template, checked with the shortest window in its place.
fn query(
    source: &mut Source<'_>,
    text: &Spanned<String>,
    burn_rate: &BurnRate,
) -> Option<Template> {
    let template = match Template::parse(&text.value, &[]) {
        Ok(template) => template,
        Err(error) => {
            source.error(text.referenced, error.to_string());
            return None;
        }
    };
    let filled = super::indicator::fill(&template, burn_rate.shortest_ms())
        .map_err(|error| error.to_string())
        .and_then(|filled| {
            promql::parse(&filled)
                .map(drop)
                .map_err(|error| format!("{error}, in: {filled}"))
        });
    if let Err(message) = filled {
        source.error(text.referenced, message);
        return None;
    }
    if !text.value.contains(".window") {
        source.error(
            text.referenced,
            "the query does not use {{.window}}, so every window would see the same",
        );
        return None;
    }
    Some(template)
}

fn plugin_indicator(
    source: &mut Source<'_>,
    plugin: RawSliPlugin,
    burn_rate: &BurnRate,
) -> Option<Indicator> {
    let mut options = PluginOptions {
        id: plugin.id.clone(),
        rest: plugin.options.unwrap_or_default().0,
    };
    let indicator = match plugin.id.value.as_str() {
        LATENCY => {
            let histogram = options.required(source, "histogram")?;
            let threshold = options.required(source, "threshold")?;
            Indicator::Latency {
                histogram: histogram.value,
                threshold: seconds(source, &threshold)?,
                filter: options.take("filter").map_or_else(String::new, |f| f.value),
            }
        }
        REPLICA_LAG => {
            let metric = options.required(source, "metric")?;
            let threshold = options.required(source, "threshold")?;
            let slice_ms = match options.take("slice") {
                Some(text) => source.duration(&text)?,
                None => (burn_rate.shortest_ms() / 5).clamp(1, 60_000),
            };
            Indicator::ReplicaLag {
                metric: metric.value,
                threshold: seconds(source, &threshold)?,
                filter: options.take("filter").map_or_else(String::new, |f| f.value),
                by: options.take("by").map_or_else(Vec::new, |labels| {
                    labels
                        .value
                        .split(',')
                        .map(|l| l.trim().to_owned())
                        .collect()
                }),
                slice_ms,
            }
        }
        other => {
            source.error(
                plugin.id.referenced,
                format!("unknown SLI plugin {other:?}; known: {LATENCY}, {REPLICA_LAG}"),
            );
            return None;
        }
    };
    options.refuse_rest(source);
    Some(indicator)
}

/// The options of a plugin that are still to be read.
struct PluginOptions {
    id: Spanned<String>,
    rest: Vec<(Spanned<String>, Spanned<String>)>,
}

impl PluginOptions {
    fn take(&mut self, name: &str) -> Option<Spanned<String>> {
        let index = self.rest.iter().position(|(key, _)| key.value == name)?;
        Some(self.rest.remove(index).1)
    }

    fn required(&mut self, source: &mut Source<'_>, name: &str) -> Option<Spanned<String>> {
        let value = self.take(name);
        if value.is_none() {
            source.error(
                self.id.referenced,
                format!("{} needs the option {name:?}", self.id.value),
            );
        }
        value
    }

    fn refuse_rest(&self, source: &mut Source<'_>) {
        for (name, _) in &self.rest {
            source.error(
                name.referenced,
                format!("{} has no option {:?}", self.id.value, name.value),
            );
        }
    }
}

/// A threshold: `0.3`, or `300ms` as seconds.
fn seconds(source: &mut Source<'_>, text: &Spanned<String>) -> Option<f64> {
    if let Ok(number) = text.value.parse::<f64>()
        && number.is_finite()
    {
        return Some(number);
    }
    let millis = source.duration(text)?;
    Some(tidy(millis as f64 / 1_000.0))
}

/// What the burn-rate plugins of `settings` say together; a later one wins field by field.
fn burn_rate(
    source: &mut Source<'_>,
    settings: &[&RawPlugins],
    default_interval_ms: i64,
) -> BurnRate {
    let mut merged = RawBurnRate::default();
    for plugin in settings.iter().flat_map(|plugins| &plugins.chain) {
        if plugin.id.value != BURN_RATE {
            source.error(
                plugin.id.referenced,
                format!(
                    "unknown SLO plugin {:?}; known: {BURN_RATE}",
                    plugin.id.value
                ),
            );
            continue;
        }
        let config = plugin.config.clone().unwrap_or_default();
        merged.period = config.period.or(merged.period);
        merged.min_bad_events = config.min_bad_events.or(merged.min_bad_events);
        merged.shorten_windows_by = config.shorten_windows_by.or(merged.shorten_windows_by);
        merged.evaluation_interval = config.evaluation_interval.or(merged.evaluation_interval);
        merged.windows = config.windows.or(merged.windows);
    }
    let period_ms = merged
        .period
        .as_ref()
        .and_then(|text| source.duration(text))
        .unwrap_or(burn_rate::DEFAULT_PERIOD_MS);
    let pairs = match &merged.windows {
        Some(windows) => windows
            .iter()
            .filter_map(|window| window_pair(source, window))
            .collect(),
        None => burn_rate::usual_pairs(period_ms),
    };
    let shorten_by = match &merged.shorten_windows_by {
        Some(number) if number.value >= 1.0 && number.value.is_finite() => number.value,
        Some(number) => {
            source.error(
                number.referenced,
                format!(
                    "shorten_windows_by must be at least 1; got {}",
                    number.value
                ),
            );
            1.0
        }
        None => 1.0,
    };
    let shorten = |window_ms: i64| ((window_ms as f64 / shorten_by).round() as i64).max(1);
    let mut burn_rate = BurnRate {
        period_ms: shorten(period_ms),
        pairs: pairs
            .into_iter()
            .map(|pair| WindowPair {
                long_ms: shorten(pair.long_ms),
                short_ms: shorten(pair.short_ms),
                ..pair
            })
            .collect(),
        min_bad_events: merged
            .min_bad_events
            .map_or(burn_rate::DEFAULT_MIN_BAD_EVENTS, |number| number.value),
        interval_ms: default_interval_ms,
    };
    let most = (burn_rate.shortest_ms() / 4).max(1);
    burn_rate.interval_ms = match &merged.evaluation_interval {
        None => default_interval_ms.min(most),
        Some(text) => {
            let interval = source.duration(text).unwrap_or(most);
            if interval > most || interval == 0 {
                source.error(
                    text.referenced,
                    format!(
                        "evaluation_interval must be at most a quarter of the shortest window \
                         ({most} ms); got {:?}",
                        text.value
                    ),
                );
            }
            interval.clamp(1, most)
        }
    };
    burn_rate
}

fn window_pair(source: &mut Source<'_>, raw: &Spanned<RawWindow>) -> Option<WindowPair> {
    let long_ms = source.duration(&raw.value.long)?;
    let short_ms = source.duration(&raw.value.short)?;
    if short_ms <= 0 || short_ms >= long_ms {
        source.error(
            raw.referenced,
            "the short window must be shorter than the long one",
        );
        return None;
    }
    if !(raw.value.factor > 0.0 && raw.value.factor.is_finite()) {
        source.error(raw.referenced, "the factor must be above 0");
        return None;
    }
    Some(WindowPair {
        severity: match raw.value.severity {
            RawSeverity::Page => Severity::Page,
            RawSeverity::Ticket => Severity::Ticket,
        },
        long_ms,
        short_ms,
        factor: raw.value.factor,
    })
}
