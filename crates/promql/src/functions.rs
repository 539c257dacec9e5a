//! The table of PromQL's functions: names and signatures, checked when a query is parsed.

use crate::ast::ValueType;

/// A function's name and signature.
#[derive(Debug, PartialEq, Eq)]
pub struct Function {
    /// The name as written, lowercase.
    pub name: &'static str,
    /// The types of the arguments; the last one is that of any further ones, too.
    pub args: &'static [ValueType],
    /// Fewest arguments.
    pub min_args: usize,
    /// Most arguments.
    pub max_args: usize,
    /// The type of the result.
    pub returns: ValueType,
    /// Whether Prometheus calls it experimental.
    pub experimental: bool,
}

impl Function {
    /// The type that the argument at `index` must have.
    pub fn arg_type(&self, index: usize) -> Option<ValueType> {
        self.args.get(index).or(self.args.last()).copied()
    }

    const fn new(name: &'static str, args: &'static [ValueType], returns: ValueType) -> Self {
        Self {
            name,
            args,
            min_args: args.len(),
            max_args: args.len(),
            returns,
            experimental: false,
        }
    }

    const fn last_optional(mut self) -> Self {
        self.min_args -= 1;
        self
    }

    const fn up_to(mut self, max_args: usize) -> Self {
        self.max_args = max_args;
        self
    }

    const fn experimental(mut self) -> Self {
        self.experimental = true;
        self
    }
}

/// The function called `name`; names are case-sensitive.
pub fn find(name: &str) -> Option<&'static Function> {
    ALL.binary_search_by(|function| function.name.cmp(name))
        .ok()
        .map(|index| &ALL[index])
}

const ANY: usize = usize::MAX;
const S: ValueType = ValueType::Scalar;
const T: ValueType = ValueType::String;
const V: ValueType = ValueType::Vector;
const M: ValueType = ValueType::Matrix;

const fn vector(name: &'static str, args: &'static [ValueType]) -> Function {
    Function::new(name, args, V)
}

const fn scalar(name: &'static str, args: &'static [ValueType]) -> Function {
    Function::new(name, args, S)
}

/// Every function, sorted by name.
pub static ALL: &[Function] = &[
    vector("abs", &[V]),
    vector("absent", &[V]),
    vector("absent_over_time", &[M]),
    vector("acos", &[V]),
    vector("acosh", &[V]),
    vector("asin", &[V]),
    vector("asinh", &[V]),
    vector("atan", &[V]),
    vector("atanh", &[V]),
    vector("avg_over_time", &[M]),
    vector("ceil", &[V]),
    vector("changes", &[M]),
    vector("clamp", &[V, S, S]),
    vector("clamp_max", &[V, S]),
    vector("clamp_min", &[V, S]),
    vector("cos", &[V]),
    vector("cosh", &[V]),
    vector("count_over_time", &[M]),
    vector("day_of_month", &[V]).last_optional(),
    vector("day_of_week", &[V]).last_optional(),
    vector("day_of_year", &[V]).last_optional(),
    vector("days_in_month", &[V]).last_optional(),
    vector("deg", &[V]),
    vector("delta", &[M]),
    vector("deriv", &[M]),
    vector("double_exponential_smoothing", &[M, S, S]).experimental(),
    scalar("end", &[]).experimental(),
    vector("exp", &[V]),
    vector("first_over_time", &[M]).experimental(),
    vector("floor", &[V]),
    vector("histogram_avg", &[V]),
    vector("histogram_count", &[V]),
    vector("histogram_fraction", &[S, S, V]),
    vector("histogram_quantile", &[S, V]),
    vector("histogram_quantiles", &[V, T, S])
        .up_to(12)
        .experimental(),
    vector("histogram_stddev", &[V]),
    vector("histogram_stdvar", &[V]),
    vector("histogram_sum", &[V]),
    vector("hour", &[V]).last_optional(),
    vector("idelta", &[M]),
    vector("increase", &[M]),
    vector("info", &[V, V]).last_optional().experimental(),
    vector("irate", &[M]),
    vector("label_join", &[V, T, T, T])
        .last_optional()
        .up_to(ANY),
    vector("label_replace", &[V, T, T, T, T]),
    vector("last_over_time", &[M]),
    vector("ln", &[V]),
    vector("log10", &[V]),
    vector("log2", &[V]),
    vector("mad_over_time", &[M]).experimental(),
    scalar("max_of", &[S, S]).experimental(),
    vector("max_over_time", &[M]),
    scalar("min_of", &[S, S]).experimental(),
    vector("min_over_time", &[M]),
    vector("minute", &[V]).last_optional(),
    vector("month", &[V]).last_optional(),
    scalar("pi", &[]),
    vector("predict_linear", &[M, S]),
    vector("present_over_time", &[M]),
    vector("quantile_over_time", &[S, M]),
    vector("rad", &[V]),
    scalar("range", &[]).experimental(),
    vector("rate", &[M]),
    vector("resets", &[M]),
    vector("round", &[V, S]).last_optional(),
    scalar("scalar", &[V]),
    vector("sgn", &[V]),
    vector("sin", &[V]),
    vector("sinh", &[V]),
    vector("sort", &[V]),
    vector("sort_by_label", &[V, T]).last_optional().up_to(ANY),
    vector("sort_by_label_desc", &[V, T])
        .last_optional()
        .up_to(ANY),
    vector("sort_desc", &[V]),
    vector("sqrt", &[V]),
    scalar("start", &[]).experimental(),
    vector("stddev_over_time", &[M]),
    vector("stdvar_over_time", &[M]),
    scalar("step", &[]).experimental(),
    vector("sum_over_time", &[M]),
    vector("tan", &[V]),
    vector("tanh", &[V]),
    scalar("time", &[]),
    vector("timestamp", &[V]),
    vector("ts_of_first_over_time", &[M]).experimental(),
    vector("ts_of_last_over_time", &[M]).experimental(),
    vector("ts_of_max_over_time", &[M]).experimental(),
    vector("ts_of_min_over_time", &[M]).experimental(),
    vector("vector", &[S]),
    vector("year", &[V]).last_optional(),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_so_that_every_function_is_found() {
        for function in ALL {
            assert_eq!(find(function.name), Some(function));
            assert!(function.min_args <= function.max_args, "{}", function.name);
        }
        assert_eq!(find("Rate"), None);
    }
}
