//! A query's tree as Prometheus' `parse_query` writes it.
//!
//! Times and durations count in milliseconds. A duration that is computed is 0 where its number
//! would stand, with its own tree beside it (`rangeExpr`, `offsetExpr`, `stepExpr`).

use model::Matcher;
use promql::ast::{
    At, Binary, Call, Cardinality, DurationExpr, DurationKind, DurationOp, Expr, ExprKind, Number,
    RangeExtension, Selector, TimeModifiers, ValueType,
};
use promql::functions::Function;
use serde_json::{Value, json};

/// The tree of a query.
pub(super) fn tree(expr: &Expr) -> Value {
    match &expr.kind {
        ExprKind::Number(number) => number_tree(*number),
        ExprKind::String(text) => json!({"type": "stringLiteral", "val": text}),
        ExprKind::Bytes(bytes) => {
            json!({"type": "stringLiteral", "val": String::from_utf8_lossy(bytes)})
        }
        ExprKind::Paren(inner) => json!({"type": "parenExpr", "expr": tree(inner)}),
        ExprKind::Unary(unary) => match unary.operand.kind {
            // A number with its sign is one number.
            ExprKind::Number(number) => number_tree(Number {
                value: if unary.negative {
                    -number.value
                } else {
                    number.value
                },
                ..number
            }),
            _ => json!({
                "type": "unaryExpr",
                "op": if unary.negative { "-" } else { "+" },
                "expr": tree(&unary.operand),
            }),
        },
        ExprKind::Binary(binary) => binary_tree(binary),
        ExprKind::Aggregate(aggregate) => json!({
            "type": "aggregation",
            "op": aggregate.op.as_str(),
            "expr": tree(&aggregate.operand),
            "param": aggregate.parameter.as_ref().map(tree),
            "grouping": aggregate.grouping.labels,
            "without": aggregate.grouping.without,
        }),
        ExprKind::Call(call) => call_tree(call),
        ExprKind::Selector(selector) => selector_tree("vectorSelector", selector),
        ExprKind::Range(range) => {
            let mut node = selector_tree("matrixSelector", &range.selector);
            set_duration(&mut node, "range", Some(&range.range));
            node
        }
        ExprKind::Subquery(subquery) => {
            let mut node = json!({"type": "subquery", "expr": tree(&subquery.expr)});
            set_duration(&mut node, "range", Some(&subquery.range));
            set_duration(&mut node, "step", subquery.step.as_ref());
            set_time(&mut node, &subquery.time);
            node
        }
    }
}

fn number_tree(number: Number) -> Value {
    json!({"type": "numberLiteral", "val": number_text(number)})
}

fn binary_tree(binary: &Binary) -> Value {
    let is_vector = |side: &Expr| side.value_type() == ValueType::Vector;
    let matching = &binary.matching;
    // Only two vectors are matched.
    let matching = (is_vector(&binary.left) && is_vector(&binary.right)).then(|| {
        json!({
            "card": match matching.cardinality {
                Cardinality::OneToOne => "one-to-one",
                Cardinality::ManyToOne => "many-to-one",
                Cardinality::OneToMany => "one-to-many",
                Cardinality::ManyToMany => "many-to-many",
            },
            "labels": matching.labels,
            "on": matching.on,
            "include": matching.include,
            "fillValues": {
                "lhs": matching.fill_left.map(|number| number.value),
                "rhs": matching.fill_right.map(|number| number.value),
            },
        })
    });
    json!({
        "type": "binaryExpr",
        "op": binary.op.as_str(),
        "lhs": tree(&binary.left),
        "rhs": tree(&binary.right),
        "matching": matching,
        "bool": binary.return_bool,
    })
}

fn call_tree(call: &Call) -> Value {
    let function = call.function;
    let types: Vec<&str> = function.args.iter().copied().map(type_name).collect();
    let args: Vec<Value> = call.args.iter().map(tree).collect();
    json!({
        "type": "call",
        "func": {
            "name": function.name,
            "argTypes": types,
            "variadic": variadic(function),
            "returnType": type_name(function.returns),
        },
        "args": args,
    })
}

/// How many arguments may be left out or added; -1 for any number.
fn variadic(function: &Function) -> i64 {
    if function.max_args == usize::MAX {
        return -1;
    }
    i64::try_from(function.max_args - function.min_args).unwrap_or(-1)
}

fn type_name(value_type: ValueType) -> &'static str {
    match value_type {
        ValueType::Scalar => "scalar",
        ValueType::String => "string",
        ValueType::Vector => "vector",
        ValueType::Matrix => "matrix",
    }
}

fn selector_tree(kind: &str, selector: &Selector) -> Value {
    let matcher = |matcher: &Matcher| json!({"name": matcher.name, "value": matcher.value, "type": matcher.op.as_str()});
    let matchers: Vec<Value> = selector.matchers.iter().map(matcher).collect();
    let mut node = json!({
        "type": kind,
        "name": selector.name.as_deref().unwrap_or_default(),
        "matchers": matchers,
        "anchored": selector.extension == Some(RangeExtension::Anchored),
        "smoothed": selector.extension == Some(RangeExtension::Smoothed),
    });
    set_time(&mut node, &selector.time);
    node
}

/// `offset`, `timestamp` and `startOrEnd`.
fn set_time(node: &mut Value, time: &TimeModifiers) {
    set_duration(node, "offset", time.offset.as_ref());
    node["timestamp"] = match time.at {
        Some(At::Millis(ms)) => ms.into(),
        _ => Value::Null,
    };
    node["startOrEnd"] = match time.at {
        Some(At::Start) => "start".into(),
        Some(At::End) => "end".into(),
        _ => Value::Null,
    };
}

/// The milliseconds under `name`, or the tree under `nameExpr`.
fn set_duration(node: &mut Value, name: &str, duration: Option<&DurationExpr>) {
    let seconds = duration.map_or(Some(0.0), constant);
    node[name] = json!((seconds.unwrap_or(0.0) * 1_000.0).round() as i64);
    node[format!("{name}Expr")] = match (seconds, duration) {
        (None, Some(duration)) => duration_tree(duration, false),
        _ => Value::Null,
    };
}

/// The seconds of a duration that is one number, with a sign or without.
fn constant(duration: &DurationExpr) -> Option<f64> {
    match &duration.kind {
        DurationKind::Literal(number) => Some(number.value),
        DurationKind::Negated(inner) => match &inner.kind {
            DurationKind::Literal(number) => Some(-number.value),
            _ => None,
        },
        _ => None,
    }
}

/// A computed duration; `wrapped` says whether it stands in parentheses.
fn duration_tree(duration: &DurationExpr, wrapped: bool) -> Value {
    let node = |op: &str, left: Option<&DurationExpr>, right: Option<&DurationExpr>| {
        let side = |side: &DurationExpr| duration_tree(side, false);
        json!({
            "type": "durationExpr",
            "op": op,
            "lhs": left.map(side),
            "rhs": right.map(side),
            "wrapped": wrapped,
        })
    };
    match &duration.kind {
        DurationKind::Literal(number) => json!({
            "type": "numberLiteral",
            "val": number_text(*number),
            "duration": number.is_duration,
        }),
        DurationKind::Step => node("step", None, None),
        DurationKind::Range => node("range", None, None),
        DurationKind::Negated(inner) => node("-", None, Some(inner)),
        DurationKind::Paren(inner) => duration_tree(inner, true),
        DurationKind::Binary(op, left, right) => {
            let op = match op {
                DurationOp::Min => "min_of",
                DurationOp::Max => "max_of",
                other => other.as_str(),
            };
            node(op, Some(left), Some(right))
        }
    }
}

/// The number without an exponent; a duration in seconds.
fn number_text(number: Number) -> String {
    Number {
        is_duration: false,
        ..number
    }
    .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(query: &str) -> Value {
        tree(&promql::parse(query).unwrap())
    }

    #[test]
    fn a_tree_has_prometheus_form() {
        let expected = json!({
            "type": "aggregation",
            "op": "sum",
            "grouping": ["job"],
            "without": false,
            "param": null,
            "expr": {
                "type": "call",
                "func": {
                    "name": "rate",
                    "argTypes": ["matrix"],
                    "variadic": 0,
                    "returnType": "vector",
                },
                "args": [{
                    "type": "matrixSelector",
                    "name": "a",
                    "matchers": [
                        {"name": "__name__", "value": "a", "type": "="},
                        {"name": "b", "value": "c.*", "type": "=~"},
                    ],
                    "range": 300_000,
                    "rangeExpr": null,
                    "offset": -60_000,
                    "offsetExpr": null,
                    "timestamp": 4_500,
                    "startOrEnd": null,
                    "anchored": false,
                    "smoothed": false,
                }],
            },
        });
        let query = "sum by (job) (rate(a{b=~\"c.*\"}[5m] @ 4.5 offset -1m))";
        assert_eq!(parsed(query), expected);
    }

    #[test]
    fn each_kind_of_node_says_what_it_is() {
        for (query, pointer, expected) in [
            (
                "a + on (b) group_left (c) d",
                "/matching/card",
                json!("many-to-one"),
            ),
            (
                "a + on (b) group_left (c) d",
                "/matching/include",
                json!(["c"]),
            ),
            ("a and d", "/matching/card", json!("many-to-many")),
            (
                "a + fill_right (2) d",
                "/matching/fillValues/rhs",
                json!(2.0),
            ),
            ("a > bool 1", "/bool", json!(true)),
            ("a > 1", "/matching", json!(null)),
            ("-a", "/op", json!("-")),
            ("-1", "/val", json!("-1")),
            ("(1e3)", "/expr/val", json!("1000")),
            ("5m", "/val", json!("300")),
            ("topk(2, a)", "/param/val", json!("2")),
            ("a @ end()", "/startOrEnd", json!("end")),
            ("a[5m:] offset 1m", "/offset", json!(60_000)),
            ("a[5m:30s]", "/step", json!(30_000)),
            ("round(a)", "/func/variadic", json!(1)),
            ("label_join(a, \"b\", \"c\")", "/func/variadic", json!(-1)),
            ("a[5m+1m]", "/range", json!(0)),
            ("a[5m+1m]", "/rangeExpr/op", json!("+")),
            ("a[5m+1m]", "/rangeExpr/rhs/val", json!("60")),
            ("a[max(step(), 1m)]", "/rangeExpr/op", json!("max_of")),
            ("a[max(step(), 1m)]", "/rangeExpr/lhs/op", json!("step")),
            ("a offset (10m/2)", "/offsetExpr/wrapped", json!(true)),
            ("a[1m] smoothed", "/smoothed", json!(true)),
        ] {
            let tree = parsed(query);
            assert_eq!(tree.pointer(pointer), Some(&expected), "{query}: {tree}");
        }
    }
}
