//! What each action does, and which rules are refused.

use model::Labels;

use super::{Rule, apply, hash};

fn labels(text: &str) -> Labels {
    text.split_whitespace()
        .filter_map(|pair| pair.split_once('='))
        .collect()
}

/// What rules in YAML make of labels, in the same form; `dropped` for nothing.
fn relabelled(rules: &str, before: &str) -> String {
    let rules: Vec<Rule> = serde_saphyr::from_str(rules).unwrap();
    match apply(&rules, labels(before)) {
        None => "dropped".to_owned(),
        Some(after) => {
            let pairs: Vec<String> = after
                .iter()
                .map(|(name, value)| format!("{name}={value}"))
                .collect();
            pairs.join(" ")
        }
    }
}

#[test]
fn every_action_does_what_prometheus_does() {
    for (rules, before, after) in [
        ("[]", "a=1", "a=1"),
        // replace, the default action.
        ("[{source_labels: [a], target_label: b}]", "a=1", "a=1 b=1"),
        ("[{target_label: b, replacement: x}]", "a=1", "a=1 b=x"),
        (
            "[{source_labels: [a], regex: 'f(.*)', target_label: d, replacement: 'ch${1}-ch$1'}]",
            "a=foo b=bar",
            "a=foo b=bar d=choo-choo",
        ),
        // Anchored at both ends: a part is no match, and no match changes nothing.
        (
            "[{source_labels: [a], regex: o, target_label: a, replacement: x}]",
            "a=foo",
            "a=foo",
        ),
        // `$1x` is the group of that name, which does not exist.
        (
            "[{source_labels: [a], regex: '(f).*', target_label: b, replacement: '$1x'}]",
            "a=foo b=1",
            "a=foo",
        ),
        (
            "[{source_labels: [a, b, no], separator: '-', target_label: c}]",
            "a=1 b=2",
            "a=1 b=2 c=1-2-",
        ),
        (
            "[{source_labels: [a, b], target_label: c}]",
            "a=1 b=2",
            "a=1 b=2 c=1;2",
        ),
        (
            "[{source_labels: [a], regex: 'some-([^-]+)-([^,]+)', target_label: '${1}', replacement: '${2}'}]",
            "a=some-name-value",
            "a=some-name-value name=value",
        ),
        // An empty result removes the label.
        ("[{source_labels: [no], target_label: a}]", "a=1 b=2", "b=2"),
        (
            "[{source_labels: [a], target_label: a, replacement: ''}]",
            "a=1 b=2",
            "b=2",
        ),
        // A target that comes out empty is nowhere.
        (
            "[{source_labels: [a], regex: (x)?1, target_label: '$1', replacement: y}]",
            "a=1",
            "a=1",
        ),
        // keep and drop.
        (
            "[{source_labels: [a], regex: '1|2', action: keep}]",
            "a=1",
            "a=1",
        ),
        (
            "[{source_labels: [a], regex: '1|2', action: keep}]",
            "a=12",
            "dropped",
        ),
        (
            "[{source_labels: [a], regex: '1|2', action: drop}]",
            "a=1",
            "dropped",
        ),
        (
            "[{source_labels: [no], regex: '', action: Drop}]",
            "a=1",
            "dropped",
        ),
        (
            "[{source_labels: [a], regex: '1|2', action: drop}]",
            "a=12",
            "a=12",
        ),
        (
            "[{source_labels: [a], target_label: b, action: keepequal}]",
            "a=1 b=1",
            "a=1 b=1",
        ),
        (
            "[{source_labels: [a], target_label: b, action: keepequal}]",
            "a=1 b=2",
            "dropped",
        ),
        (
            "[{source_labels: [a], target_label: b, action: dropequal}]",
            "a=1 b=1",
            "dropped",
        ),
        (
            "[{source_labels: [a], target_label: b, action: dropequal}]",
            "a=1 b=2",
            "a=1 b=2",
        ),
        // hashmod.
        (
            "[{source_labels: [c], target_label: d, separator: ';', action: hashmod, modulus: 1000}]",
            "c=baz",
            "c=baz d=976",
        ),
        // labelmap, labeldrop, labelkeep.
        (
            "[{regex: '(b.*)', replacement: 'bar_${1}', action: labelmap}]",
            "a=foo b1=bar b2=baz",
            "a=foo b1=bar b2=baz bar_b1=bar bar_b2=baz",
        ),
        (
            "[{regex: '__meta_(my.*)', action: labelmap}]",
            "__meta_my_bar=aaa __meta_other=x",
            "__meta_my_bar=aaa __meta_other=x my_bar=aaa",
        ),
        (
            "[{regex: 'b.*', action: labeldrop}]",
            "a=foo b1=bar ab=baz",
            "a=foo ab=baz",
        ),
        (
            "[{regex: 'b.*', action: labelkeep}]",
            "a=foo b1=bar ab=baz",
            "b1=bar",
        ),
        // lowercase and uppercase.
        (
            "[{source_labels: [a], target_label: b, action: lowercase}, {source_labels: [a], target_label: c, action: uppercase}]",
            "a=bAr123Foo",
            "a=bAr123Foo b=bar123foo c=BAR123FOO",
        ),
        // One after the other, and nothing after a drop.
        (
            "[{source_labels: [a], target_label: b}, {source_labels: [b], regex: '1', action: drop}, {target_label: c, replacement: x}]",
            "a=1",
            "dropped",
        ),
    ] {
        assert_eq!(relabelled(rules, before), after, "{rules}");
    }
}

#[test]
fn the_hash_is_the_end_of_the_md5() {
    // md5("") = d41d8cd98f00b204 e9800998ecf8427e (RFC 1321).
    assert_eq!(hash(""), 0xe980_0998_ecf8_427e);
    assert_eq!(hash("abc"), 0xd696_3f7d_28e1_7f72);
}

#[test]
fn a_rule_that_makes_no_sense_is_refused() {
    for (rule, expected) in [
        (
            "{source_labels: [a]}",
            "relabel action replace needs a target_label",
        ),
        (
            "{action: hashmod, target_label: a}",
            "needs a modulus above 0",
        ),
        (
            "{action: lowercase, source_labels: [a]}",
            "lowercase needs a target_label",
        ),
        (
            "{action: labeldrop, regex: a, source_labels: [a]}",
            "labeldrop does not use source_labels",
        ),
        (
            "{action: keepequal, target_label: a, regex: a}",
            "keepequal does not use regex",
        ),
        (
            "{action: remove}",
            "unknown relabel action \"remove\"; expected one of replace, keep",
        ),
        ("{action: keep, regex: '('}", "("),
        ("{action: keep, regexp: a}", "regexp"),
    ] {
        let error = serde_saphyr::from_str::<Rule>(rule).unwrap_err();
        assert!(error.to_string().contains(expected), "{rule}: {error}");
    }
}
