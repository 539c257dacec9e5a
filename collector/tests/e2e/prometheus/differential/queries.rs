//! Random queries over the series of [`super::world`], in what versions 2.42 and 3 have in common.
//!
//! Ranges, offsets, steps and times `@` are multiples of ten seconds or seven seconds past one, so
//! that no window begins at a sample or at a step of a subquery; subqueries hold no others. A
//! selector names its metric: 3 keeps names longer than 2. What takes one of several equal samples
//! (`topk`) gets values that are never equal.

use fastrand::Rng;

use super::world::SECONDS;

/// Times of queries lie so many seconds past ten.
pub(super) const PAST_TEN: i64 = 7;

/// A generator with its surroundings.
pub(super) struct Queries<'r> {
    rng: &'r mut Rng,
    /// The first second of the samples, Unix.
    start: i64,
    /// Whether the steps are those of a subquery.
    inside: bool,
}

/// A metric, with a label and its values.
type Metric = (&'static str, &'static str, &'static [&'static str]);

const COUNTERS: [Metric; 3] = [
    ("requests_total", "code", &["200", "404", "500"]),
    ("duration_seconds_bucket", "le", &["0.1", "1", "+Inf"]),
    ("duration_seconds_sum", "job", &["api", "web"]),
];

/// Rates of it look for where it was zero, which over steps of a subquery the versions do
/// differently.
const FRESH: Metric = ("fresh_total", "instance", &["a", "b"]);

const GAUGES: [Metric; 3] = [
    ("memory_bytes", "job", &["api", "web"]),
    ("temperature", "room", &["attic", "hall", "kitchen"]),
    ("requests_total", "instance", &["a", "c"]),
];

const CONSTANT: [Metric; 3] = [
    ("up", "job", &["api", "web"]),
    ("build_info", "version", &["1.0", "1.1"]),
    ("special", "kind", &["nan", "inf", "zero"]),
];

const GROUPS: [&str; 6] = [
    "",
    "by (job) ",
    "by (job, instance) ",
    "by (code, room) ",
    "without (instance) ",
    "without (job, code, le) ",
];

impl<'r> Queries<'r> {
    /// Queries over samples that begin at the Unix second `start`.
    pub(super) fn new(rng: &'r mut Rng, start: i64) -> Self {
        Self {
            rng,
            start,
            inside: false,
        }
    }

    fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.rng.usize(..choices.len())]
    }

    /// A time between a little before the first and a little after the last sample, Unix s.
    pub(super) fn time(&mut self) -> i64 {
        self.start + self.rng.i64(-30..SECONDS / 10 + 60) * 10 + PAST_TEN
    }

    /// An instant vector that takes so many operators and functions at most.
    pub(super) fn vector(&mut self, depth: u8) -> String {
        if depth == 0 {
            return self.leaf();
        }
        match self.rng.u8(..12) {
            0 | 1 => self.leaf(),
            2..=4 => self.aggregation(depth - 1),
            5 | 6 => self.function(depth - 1),
            7 => self.with_scalar(depth - 1),
            8 | 9 => self.two_vectors(depth - 1),
            10 if !self.inside => self.subquery(depth - 1),
            11 => self.histogram_quantile(),
            _ => self.labels(depth - 1),
        }
    }

    fn leaf(&mut self) -> String {
        match self.rng.u8(..4) {
            0 => {
                let metric = self.any_metric();
                self.selector(metric)
            }
            1 => self.distinct(),
            _ => self.over_range(),
        }
    }

    fn any_metric(&mut self) -> Metric {
        match self.rng.u8(..4) {
            0 => self.pick(&CONSTANT),
            1 => self.pick(&COUNTERS),
            2 => FRESH,
            _ => self.pick(&GAUGES),
        }
    }

    /// `metric{label="value"}`, without modifiers.
    fn series(&mut self, (name, label, values): Metric) -> String {
        let value = self.pick(values);
        let matcher = match self.rng.u8(..8) {
            0 => format!("{label}=\"{value}\""),
            1 => format!("{label}!=\"{value}\""),
            2 => format!("{label}=~\"{}.*\"", value[..1].replace('+', "[+]")),
            3 => format!(
                "{label}!~\"{}|x\"",
                value.replace('+', "[+]").replace('.', "[.]")
            ),
            4 => "nobody=\"\"".to_owned(),
            _ => return name.to_owned(),
        };
        format!("{name}{{{matcher}}}")
    }

    fn selector(&mut self, metric: Metric) -> String {
        let series = self.series(metric);
        format!("{series}{}", self.modifiers())
    }

    fn modifiers(&mut self) -> String {
        let mut modifiers = String::new();
        match self.rng.u8(..12) {
            0 => modifiers.push_str(&format!(" @ {}", self.time())),
            1 => modifiers.push_str(" @ start()"),
            2 => modifiers.push_str(" @ end()"),
            _ => {}
        }
        if self.rng.u8(..5) == 0 {
            let offset = self.pick(&["1m", "10m", "-5m", "50s", "-30s", "1h"]);
            modifiers.push_str(&format!(" offset {offset}"));
        }
        modifiers
    }

    fn range(&mut self) -> &'static str {
        self.pick(&["30s", "1m", "100s", "5m", "10m", "1h"])
    }

    /// A function over samples whose values are never equal.
    fn distinct(&mut self) -> String {
        if self.rng.bool() {
            let metric = self.pick(&GAUGES[..2]);
            return self.selector(metric);
        }
        let (range, series) = (self.range(), self.series(COUNTERS[0]));
        format!("rate({series}[{range}])")
    }

    fn over_range(&mut self) -> String {
        let range = self.range();
        let counting = ["rate", "increase", "irate", "resets"];
        let measuring = ["delta", "idelta", "deriv", "changes", "stddev_over_time"];
        let any = [
            "avg_over_time",
            "min_over_time",
            "max_over_time",
            "sum_over_time",
            "count_over_time",
            "last_over_time",
            "present_over_time",
            "stdvar_over_time",
            "absent_over_time",
        ];
        let (function, metric) = match self.rng.u8(..6) {
            0..=2 => {
                let fresh = !self.inside && self.rng.u8(..4) == 0;
                let counter = self.pick(&COUNTERS);
                (self.pick(&counting), if fresh { FRESH } else { counter })
            }
            3 => (self.pick(&measuring), self.pick(&GAUGES)),
            _ => (self.pick(&any), self.any_metric()),
        };
        let samples = format!("{}[{range}]{}", self.series(metric), self.modifiers());
        match self.rng.u8(..16) {
            0 => {
                let samples = format!("{}[{range}]", self.series(GAUGES[1]));
                format!(
                    "predict_linear({samples}, {})",
                    self.pick(&["0", "600", "-60"])
                )
            }
            1 => format!("quantile_over_time({}, {samples})", self.quantile()),
            _ => format!("{function}({samples})"),
        }
    }

    fn quantile(&mut self) -> &'static str {
        self.pick(&["0", "0.25", "0.5", "0.9", "1", "-1", "1.5", "NaN"])
    }

    fn aggregation(&mut self, depth: u8) -> String {
        let group = self.pick(&GROUPS);
        match self.rng.u8(..10) {
            0 => {
                let op = self.pick(&["topk", "bottomk"]);
                format!(
                    "{op} {group}({}, {})",
                    self.pick(&["1", "2", "100"]),
                    self.distinct()
                )
            }
            1 => format!(
                "quantile {group}({}, {})",
                self.quantile(),
                self.vector(depth)
            ),
            2 => {
                let metric = self.pick(&CONSTANT);
                format!("count_values {group}(\"value\", {})", self.selector(metric))
            }
            _ => {
                let op = self.pick(&[
                    "sum", "avg", "min", "max", "count", "group", "stddev", "stdvar",
                ]);
                // Of a single infinity version 2 says that it deviates by 0, version 3 by NaN.
                let of = match op {
                    "stddev" | "stdvar" => {
                        let metric = self.any_metric();
                        self.selector(metric)
                    }
                    _ => self.vector(depth),
                };
                format!("{op} {group}({of})")
            }
        }
    }

    fn function(&mut self, depth: u8) -> String {
        match self.rng.u8(..8) {
            0 => {
                // Of values that both have to the last bit: far out these turn with every bit.
                let function = self.pick(&["sin", "cos", "tan", "atan", "tanh", "rad", "deg"]);
                let metric = self.pick(&GAUGES[1..2]);
                format!("{function}({})", self.selector(metric))
            }
            1 => {
                let function = self.pick(&[
                    "minute",
                    "hour",
                    "day_of_week",
                    "day_of_month",
                    "day_of_year",
                    "month",
                    "year",
                    "days_in_month",
                ]);
                let times = self.pick(&["", "timestamp(up)", "vector(time() * 3)"]);
                format!("{function}({times})")
            }
            2 => {
                let metric = self.any_metric();
                format!("timestamp({})", self.selector(metric))
            }
            3 => format!("absent({})", self.vector(depth)),
            4 => format!("vector(scalar({}))", self.vector(depth)),
            5 => {
                let bounds = self.pick(&[
                    "clamp({}, -5, 20)",
                    "clamp_min({}, 1)",
                    "clamp_max({}, 1e6)",
                ]);
                bounds.replace("{}", &self.vector(depth))
            }
            6 => format!(
                "round({}, {})",
                self.distinct_gauge(),
                self.pick(&["1", "0.25", "10"])
            ),
            _ => {
                let function = self.pick(&[
                    "abs",
                    "sgn",
                    "sqrt",
                    "ln",
                    "log2",
                    "log10",
                    "sort",
                    "sort_desc",
                ]);
                format!("{function}({})", self.vector(depth))
            }
        }
    }

    fn distinct_gauge(&mut self) -> String {
        let metric = self.pick(&GAUGES[..2]);
        self.selector(metric)
    }

    fn scalar(&mut self) -> String {
        match self.rng.u8(..4) {
            0 => "time()".to_owned(),
            1 => "scalar(temperature{room=\"hall\"})".to_owned(),
            _ => self.pick(&["2", "-3", "0.5", "1e3", "0"]).to_owned(),
        }
    }

    fn with_scalar(&mut self, depth: u8) -> String {
        let op = self.pick(&[
            "+", "-", "*", "/", "%", "^", "atan2", ">", "<=", "!=", "> bool", "== bool",
        ]);
        // Remainders and comparisons jump: they get what both have to the last bit.
        let vector = match op {
            "%" | ">" | "<=" | "!=" | "> bool" | "== bool" => self.distinct_gauge(),
            _ => format!("({})", self.vector(depth)),
        };
        let scalar = self.scalar();
        match self.rng.bool() {
            true => format!("{vector} {op} {scalar}"),
            false => format!("{scalar} {op} {vector}"),
        }
    }

    fn two_vectors(&mut self, depth: u8) -> String {
        let op = self.pick(&["+", "*", "/", "and", "or", "unless", ">", "<= bool"]);
        match self.rng.u8(..6) {
            0 => {
                let group = self.pick(&GROUPS[..5]);
                let (left, right) = (self.distinct(), self.distinct());
                format!("sum {group}({left}) {op} max {group}({right})")
            }
            1 => {
                let arithmetic = self.pick(&["*", "+", "/"]);
                let left = self.distinct();
                format!("{left} {arithmetic} on (job, instance) group_left (version) build_info")
            }
            2 => {
                let rate = self.range();
                let requests = self.series(COUNTERS[0]);
                let all = format!("sum without (code) (rate(requests_total[{rate}]))");
                match self.rng.bool() {
                    true => {
                        format!("rate({requests}[{rate}]) / ignoring (code) group_left () {all}")
                    }
                    false => {
                        format!("{all} / ignoring (code) group_right () rate({requests}[{rate}])")
                    }
                }
            }
            3 => {
                let matching = self.pick(&["on (job)", "ignoring (code, le)", "on ()", ""]);
                let set = self.pick(&["and", "or", "unless"]);
                let (left, right) = (self.vector(depth), self.vector(depth));
                format!("({left}) {set} {matching} ({right})")
            }
            4 => {
                // Mostly nothing matches, or too much does: errors are compared as well.
                let matching = self.pick(&["on (job)", "ignoring (instance)", ""]);
                let (left, right) = (self.vector(depth), self.vector(depth));
                format!("({left}) + {matching} ({right})")
            }
            _ => {
                let metric = self.pick(&GAUGES);
                let (now, before) = (self.series(metric), self.series(metric));
                format!("{now} {op} {before} offset 10m")
            }
        }
    }

    fn subquery(&mut self, depth: u8) -> String {
        self.inside = true;
        let function = self.pick(&[
            "avg_over_time",
            "max_over_time",
            "min_over_time",
            "sum_over_time",
            "count_over_time",
            "last_over_time",
            "delta",
            "changes",
            "deriv",
            "stddev_over_time",
        ]);
        let inner = match function {
            // Whether it changes is a question of the last bit.
            "changes" => self.distinct_gauge(),
            _ => self.vector(depth.min(1)),
        };
        self.inside = false;
        let range = self.pick(&["5m", "10m", "30m"]);
        let step = self.pick(&["", "10s", "30s", "1m", "2m"]);
        format!("{function}(({inner})[{range}:{step}]{})", self.modifiers())
    }

    fn histogram_quantile(&mut self) -> String {
        let range = self.range();
        let rates = format!("rate(duration_seconds_bucket[{range}]{})", self.modifiers());
        let buckets = match self.rng.u8(..3) {
            0 => rates,
            1 => format!("sum by (le) ({rates})"),
            _ => self.selector(COUNTERS[1]),
        };
        format!("histogram_quantile({}, {buckets})", self.quantile())
    }

    fn labels(&mut self, depth: u8) -> String {
        let vector = self.vector(depth);
        match self.rng.u8(..4) {
            0 => format!(
                "label_join({vector}, \"joined\", \"-\", \"job\", \"instance\", \"nobody\")"
            ),
            1 => format!("label_replace({vector}, \"short\", \"$1\", \"job\", \"(.).*\")"),
            2 => format!("label_replace({vector}, \"job\", \"\", \"code\", \"5.*\")"),
            _ => format!("-({vector})"),
        }
    }
}
