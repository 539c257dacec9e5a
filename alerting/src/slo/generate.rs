//! Rules from an SLO: recorded ratios per window, alerts on burn rates, the error budget.
//!
//! Series are named and labelled as Sloth does it, so dashboards made for Sloth work.

use std::collections::BTreeMap;

use crate::expression::Expression;
use crate::rule::{self, Alerting, Group, Kind, Rule, TEMPLATE_VARIABLES};
use crate::state::Timing;
use crate::template::Template;

use super::burn_rate::{Severity, WindowPair};
use super::indicator::window_text;
use super::{AlertTexts, Indicator, Slo, tidy};

/// The groups of rules for `slo`, which was read from `file`.
///
/// The first records and alerts, in this order, so that alerts see the ratios of the same
/// iteration; the second keeps the budget's books, less often.
///
/// # Errors
///
/// A sentence when the SLO's queries, put together, are no PromQL, or a label or annotation is
/// no template.
pub fn generate(slo: &Slo, file: &str) -> Result<Vec<Group>, String> {
    let generator = Generator {
        slo,
        id: slo.id(),
        budget: slo.budget(),
    };
    let mut groups = Vec::new();
    for (name, interval_ms, rules) in [
        (
            format!("slo-{}", generator.id),
            slo.burn_rate.interval_ms,
            generator.live_rules()?,
        ),
        (
            format!("slo-{}-budget", generator.id),
            slo.burn_rate.shortest_ms(),
            generator.budget_rules()?,
        ),
    ] {
        let mut group = Group {
            file: file.to_owned(),
            name,
            interval_ms,
            query_offset_ms: 0,
            limit: 0,
            rules,
        };
        rule::assign_keys(&mut group);
        groups.push(group);
    }
    Ok(groups)
}

struct Generator<'a> {
    slo: &'a Slo,
    id: String,
    budget: f64,
}

impl Generator<'_> {
    fn live_rules(&self) -> Result<Vec<Rule>, String> {
        let mut rules = Vec::new();
        let burn_rate = &self.slo.burn_rate;
        let memory = burn_rate.longest_ms();
        if let Some(slices) = self.slo.indicator.slice_rule(memory, &self.id) {
            rules.push(self.recording("slo:slice_good:bool", &slices, &[])?);
        }
        for window_ms in burn_rate.windows() {
            let ratio = self
                .slo
                .indicator
                .ratio(window_ms, &self.id)
                .map_err(|error| error.to_string())?;
            let window = window_text(window_ms);
            let name = format!("slo:sli_error:ratio_rate{window}");
            rules.push(self.recording(&name, &ratio, &[("sloth_window", &window)])?);
        }
        let guarded = self.guarded_windows()?;
        for (window_ms, count) in &guarded {
            let window = window_text(*window_ms);
            let name = format!("slo:sli_bad_events:increase{window}");
            rules.push(self.recording(&name, count, &[("sloth_window", &window)])?);
        }
        for (severity, texts) in [
            (Severity::Page, &self.slo.page),
            (Severity::Ticket, &self.slo.ticket),
        ] {
            if let Some(texts) = texts {
                rules.extend(self.alert(severity, texts, &guarded)?);
            }
        }
        rules.extend(self.bucket_check()?);
        Ok(rules)
    }

    /// The long windows for which bad events can be counted, with the expressions that do.
    fn guarded_windows(&self) -> Result<BTreeMap<i64, String>, String> {
        let mut guarded = BTreeMap::new();
        if self.slo.burn_rate.min_bad_events <= 0.0 {
            return Ok(guarded);
        }
        for pair in &self.slo.burn_rate.pairs {
            let count = self
                .slo
                .indicator
                .bad_events(pair.long_ms)
                .map_err(|error| error.to_string())?;
            if let Some(count) = count {
                guarded.insert(pair.long_ms, count);
            }
        }
        Ok(guarded)
    }

    fn alert(
        &self,
        severity: Severity,
        texts: &AlertTexts,
        guarded: &BTreeMap<i64, String>,
    ) -> Result<Option<Rule>, String> {
        let pairs: Vec<&WindowPair> = self
            .slo
            .burn_rate
            .pairs
            .iter()
            .filter(|pair| pair.severity == severity)
            .collect();
        let Some(first) = pairs.first() else {
            return Ok(None);
        };
        let conditions: Vec<String> = pairs
            .iter()
            .map(|pair| self.condition(pair, guarded.contains_key(&pair.long_ms)))
            .collect();
        let expression = conditions.join("\nor\n");
        let mut labels = texts.labels.clone();
        labels.insert("sloth_severity".to_owned(), severity.as_str().to_owned());
        let mut annotations = self.default_annotations(first);
        annotations.extend(texts.annotations.clone());
        self.alerting(&self.slo.alert_name, &expression, labels, annotations)
            .map(Some)
    }

    /// `(short and long and enough)`; each part is freed of the window's label, so that all
    /// parts match and the alert's labels are the same whichever pair fires.
    fn condition(&self, pair: &WindowPair, guarded: bool) -> String {
        let part = |window_ms: i64| {
            format!(
                "max without (sloth_window) (slo:sli_error:ratio_rate{}{{sloth_id=\"{}\"}} > {} * {})",
                window_text(window_ms),
                self.id,
                pair.factor,
                self.budget,
            )
        };
        let mut parts = vec![part(pair.short_ms), part(pair.long_ms)];
        if guarded {
            parts.push(format!(
                "max without (sloth_window) (slo:sli_bad_events:increase{}{{sloth_id=\"{}\"}} >= {})",
                window_text(pair.long_ms),
                self.id,
                self.slo.burn_rate.min_bad_events,
            ));
        }
        format!("(\n  {}\n)", parts.join("\n  and\n  "))
    }

    /// What a message says unless the author says it: how bad, what is allowed, what is left.
    fn default_annotations(&self, pair: &WindowPair) -> BTreeMap<String, String> {
        let allowed = format!("{}%", tidy(self.budget * 100.0));
        let selector = format!("{{sloth_id=\"{}\"}}", self.id);
        let what = match self.slo.indicator {
            Indicator::ReplicaLag { .. } => "of the time a replica lagged",
            Indicator::Latency { .. } => "of requests were too slow",
            _ => "of events were bad",
        };
        let lasts = format!(
            "{} * {} / (slo:sli_error:ratio_rate{}{selector} > 0)",
            self.slo.burn_rate.period_ms as f64 / 1_000.0,
            self.budget,
            window_text(pair.long_ms),
        );
        let summary = format!(
            "{} {}: {{{{ $value | humanizePercentage }}}} {what} in the last {}, {allowed} is allowed",
            self.slo.service,
            self.slo.name,
            window_text(pair.short_ms),
        );
        let description = format!(
            "{}Error budget left: {{{{ with query `slo:period_error_budget_remaining:ratio{selector}` }}}}\
             {{{{ . | first | value | humanizePercentage }}}}{{{{ else }}}}not known yet{{{{ end }}}}.\
             {{{{ with query `{lasts}` }}}} At this pace a whole budget lasts \
             {{{{ . | first | value | humanizeDuration }}}}.{{{{ end }}}}",
            match self.slo.description.trim() {
                "" => String::new(),
                text => format!("{} ", text.replace("{{", "{{ \"{{\" }}")),
            },
        );
        BTreeMap::from([
            ("summary".to_owned(), summary),
            ("description".to_owned(), description),
        ])
    }

    /// A latency threshold that is no bucket's border would measure nothing, silently.
    fn bucket_check(&self) -> Result<Option<Rule>, String> {
        let (
            Indicator::Latency {
                histogram,
                filter,
                threshold,
            },
            Some(texts),
        ) = (
            &self.slo.indicator,
            self.slo.ticket.as_ref().or(self.slo.page.as_ref()),
        )
        else {
            return Ok(None);
        };
        let expression = format!(
            "sum({histogram}_count{{{filter}}}) unless sum({})",
            self.slo.indicator.bucket_selector()
        );
        let mut labels = texts.labels.clone();
        labels.extend(self.identity());
        labels.insert("sloth_severity".to_owned(), "ticket".to_owned());
        let annotations = BTreeMap::from([(
            "summary".to_owned(),
            format!(
                "{} {}: {histogram} has no bucket that ends at {threshold}, so nothing is measured; \
                 choose a threshold that is a bucket's border",
                self.slo.service, self.slo.name
            ),
        )]);
        let name = format!("{}ThresholdIsNoBucket", self.slo.alert_name);
        let mut rule = self.alerting(&name, &expression, labels, annotations)?;
        if let Kind::Alerting(alerting) = &mut rule.kind {
            // New processes report their first buckets a moment after their first count.
            alerting.timing.for_ms = self.slo.burn_rate.shortest_ms();
        }
        Ok(Some(rule))
    }

    fn budget_rules(&self) -> Result<Vec<Rule>, String> {
        let burn_rate = &self.slo.burn_rate;
        let (shortest, period) = (
            window_text(burn_rate.shortest_ms()),
            window_text(burn_rate.period_ms),
        );
        let selector = format!("{{sloth_id=\"{}\"}}", self.id);
        let mut rules = Vec::new();
        let rates = self
            .slo
            .indicator
            .rates(burn_rate.shortest_ms())
            .map_err(|error| error.to_string())?;
        let over_period = match rates {
            Some((errors, total)) => {
                let errors_name = format!("slo:sli_errors:rate{shortest}");
                let total_name = format!("slo:sli_total:rate{shortest}");
                rules.push(self.recording(&errors_name, &errors, &[])?);
                rules.push(self.recording(&total_name, &total, &[])?);
                // Weighted by traffic: an average of ratios would let a quiet night outweigh
                // a busy noon.
                format!(
                    "sum_over_time({errors_name}{selector}[{period}]) / \
                     (sum_over_time({total_name}{selector}[{period}]) > 0)"
                )
            }
            None if matches!(self.slo.indicator, Indicator::ReplicaLag { .. }) => {
                format!("1 - avg_over_time(slo:slice_good:bool{selector}[{period}])")
            }
            None => {
                format!("avg_over_time(slo:sli_error:ratio_rate{shortest}{selector}[{period}])")
            }
        };
        let ratio_name = format!("slo:sli_error:ratio_rate{period}");
        let current = format!(
            "max without (sloth_window) (slo:sli_error:ratio_rate{shortest}{selector}) / {}",
            self.budget
        );
        let burned = format!(
            "max without (sloth_window) ({ratio_name}{selector}) / {}",
            self.budget
        );
        let days = tidy(burn_rate.period_ms as f64 / 86_400_000.0);
        let objective = tidy(self.slo.objective / 100.0);
        let window = [("sloth_window", period.as_str())];
        rules.push(self.recording(&ratio_name, &over_period, &window)?);
        rules.push(self.recording("slo:objective:ratio", &format!("vector({objective})"), &[])?);
        rules.push(self.recording(
            "slo:error_budget:ratio",
            &format!("vector({})", self.budget),
            &[],
        )?);
        rules.push(self.recording("slo:time_period:days", &format!("vector({days})"), &[])?);
        rules.push(self.recording("slo:current_burn_rate:ratio", &current, &[])?);
        rules.push(self.recording("slo:period_burn_rate:ratio", &burned, &[])?);
        rules.push(self.recording(
            "slo:period_error_budget_remaining:ratio",
            &format!("1 - slo:period_burn_rate:ratio{selector}"),
            &[],
        )?);
        let objective = self.slo.objective.to_string();
        let info = [
            ("sloth_mode", "watchkeeper"),
            ("sloth_objective", objective.as_str()),
            ("sloth_spec", "prometheus/v1"),
            ("sloth_version", env!("CARGO_PKG_VERSION")),
        ];
        rules.push(self.recording("sloth_slo_info", "vector(1)", &info)?);
        Ok(rules)
    }

    /// The labels that say which SLO a series belongs to.
    fn identity(&self) -> BTreeMap<String, String> {
        BTreeMap::from([
            ("sloth_id".to_owned(), self.id.clone()),
            ("sloth_service".to_owned(), self.slo.service.clone()),
            ("sloth_slo".to_owned(), self.slo.name.clone()),
        ])
    }

    fn recording(
        &self,
        name: &str,
        expression: &str,
        extra: &[(&str, &str)],
    ) -> Result<Rule, String> {
        let mut labels = self.slo.labels.clone();
        labels.extend(self.identity());
        labels.extend(
            extra
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned())),
        );
        Ok(Rule {
            name: name.to_owned(),
            key: String::new(),
            expression: parse(name, expression)?,
            labels,
            window_ms: 0,
            kind: Kind::Recording,
        })
    }

    fn alerting(
        &self,
        name: &str,
        expression: &str,
        labels: BTreeMap<String, String>,
        annotations: BTreeMap<String, String>,
    ) -> Result<Rule, String> {
        let templates = |texts: &BTreeMap<String, String>| -> Result<Vec<_>, String> {
            texts
                .iter()
                .map(|(name, text)| {
                    Template::parse(text, &TEMPLATE_VARIABLES)
                        .map(|template| (name.clone(), template))
                        .map_err(|error| format!("{name:?}: {error}"))
                })
                .collect()
        };
        let alerting = Alerting {
            timing: Timing::default(),
            labels: templates(&labels)?,
            annotations: templates(&annotations)?,
        };
        Ok(Rule {
            name: name.to_owned(),
            key: String::new(),
            expression: parse(name, expression)?,
            labels,
            window_ms: 0,
            kind: Kind::Alerting(alerting),
        })
    }
}

fn parse(name: &str, expression: &str) -> Result<Expression, String> {
    Expression::parse(expression)
        .map_err(|error| format!("the generated rule {name:?} is no PromQL: {error}: {expression}"))
}
