//! The words that a text must have when parts of it are known.

use regex_syntax::hir::{Class, Hir, HirKind, Look};

use super::Lookup;
use crate::expression;
use crate::glob::{Glob, Part};
use crate::term_pattern::TermPattern;
use crate::words;

/// Character classes of up to so many characters are tried one by one.
const MAX_CLASS: usize = 8;

/// Classes of up to so many characters are checked for letters.
const MAX_CHECKED_CLASS: usize = 256;

/// Copies of a repeated part that are looked at.
const MAX_COPIES: u32 = 4;

/// Branches of an alternation that are looked at.
const MAX_BRANCHES: usize = 64;

/// A part of a text of which something is known.
#[derive(Debug, Clone, PartialEq)]
enum Fragment {
    /// One of these characters, all of which belong to words.
    OneOf(Vec<char>),
    /// A character that belongs to no word, or an end of the text.
    Edge,
    /// Anything, nothing included.
    Gap,
    /// Anything, and the text meets this condition.
    Meets(Lookup),
}

fn of_character(character: char) -> Fragment {
    match words::is_word_character(character) {
        true => Fragment::OneOf(vec![character]),
        false => Fragment::Edge,
    }
}

/// What a text with `part` somewhere in it asks for.
pub(super) fn of_part(column: &str, part: &str) -> Lookup {
    required(column, part.chars().map(of_character))
}

/// What a text that fits `glob` as a whole asks for.
pub(super) fn of_glob(column: &str, glob: &Glob) -> Lookup {
    let parts = glob.parts().iter().flat_map(|part| match part {
        Part::Literal(text) => text.chars().map(of_character).collect(),
        Part::Any | Part::One => vec![Fragment::Gap],
    });
    let whole = [Fragment::Edge].into_iter().chain(parts);
    required(column, whole.chain([Fragment::Edge]))
}

/// What a text with a match of `expression` somewhere in it asks for.
pub(super) fn of_expression(column: &str, expression: &str) -> Lookup {
    match expression::parse(expression) {
        Ok(hir) => of_hir(column, &hir),
        Err(_) => Lookup::Any,
    }
}

fn of_hir(column: &str, hir: &Hir) -> Lookup {
    let mut fragments = Vec::new();
    collect(column, hir, &mut fragments);
    required(column, fragments)
}

fn collect(column: &str, hir: &Hir, into: &mut Vec<Fragment>) {
    match hir.kind() {
        HirKind::Empty => {}
        HirKind::Literal(literal) => match std::str::from_utf8(&literal.0) {
            Ok(text) => into.extend(text.chars().map(of_character)),
            Err(_) => into.push(Fragment::Gap),
        },
        HirKind::Class(class) => into.push(of_class(class)),
        HirKind::Look(look) => match look {
            Look::Start
            | Look::End
            | Look::StartLF
            | Look::EndLF
            | Look::StartCRLF
            | Look::EndCRLF => into.push(Fragment::Edge),
            // Their words are not ours, so they say nothing.
            _ => {}
        },
        HirKind::Repetition(repetition) => {
            let copies = repetition.min.min(MAX_COPIES);
            for _ in 0..copies {
                collect(column, &repetition.sub, into);
            }
            let is_edge = copies > 0 && {
                let mut copy = Vec::new();
                collect(column, &repetition.sub, &mut copy);
                copy.iter().all(|fragment| *fragment == Fragment::Edge)
            };
            if repetition.max != Some(copies) && !is_edge {
                into.push(Fragment::Gap);
            }
        }
        HirKind::Capture(capture) => collect(column, &capture.sub, into),
        HirKind::Concat(parts) => parts.iter().for_each(|part| collect(column, part, into)),
        HirKind::Alternation(branches) if branches.len() <= MAX_BRANCHES => {
            let branches = branches.iter().map(|branch| of_hir(column, branch));
            into.push(Fragment::Meets(Lookup::one_of(branches)));
        }
        HirKind::Alternation(_) => into.push(Fragment::Gap),
    }
}

fn of_class(class: &Class) -> Fragment {
    let Class::Unicode(class) = class else {
        return Fragment::Gap;
    };
    let count: usize = class.ranges().iter().map(|range| range.len()).sum();
    if count > MAX_CHECKED_CLASS {
        return Fragment::Gap;
    }
    let ranges = class.ranges().iter();
    let characters: Vec<char> = ranges
        .flat_map(|range| range.start()..=range.end())
        .collect();
    let in_words = characters.iter().filter(|c| words::is_word_character(**c));
    match in_words.count() {
        0 if count > 0 => Fragment::Edge,
        all if all == count && count <= MAX_CLASS => Fragment::OneOf(characters),
        _ => Fragment::Gap,
    }
}

/// The words of fragments that follow each other somewhere in a text.
fn required(column: &str, fragments: impl IntoIterator<Item = Fragment>) -> Lookup {
    let mut lookup = Lookup::Any;
    let mut word: Vec<Vec<char>> = Vec::new();
    let mut goes_back = true;
    for fragment in fragments {
        let is_edge = fragment == Fragment::Edge;
        if let Fragment::OneOf(characters) = fragment {
            word.push(characters);
            continue;
        }
        lookup = lookup.and(of_word(column, &word, goes_back, !is_edge));
        word.clear();
        goes_back = !is_edge;
        if let Fragment::Meets(condition) = fragment {
            lookup = lookup.and(condition);
        }
    }
    lookup.and(of_word(column, &word, goes_back, true))
}

/// A word, given by the characters at each place of it, that may begin earlier or go on.
fn of_word(column: &str, word: &[Vec<char>], goes_back: bool, goes_on: bool) -> Lookup {
    // One character alone is in every block.
    if word.is_empty() || word.len() == 1 && (goes_back || goes_on) {
        return Lookup::Any;
    }
    let column = column.to_owned();
    let lower: Vec<Vec<String>> = word.iter().map(|place| lowercased(place)).collect();
    let is_certain = lower.iter().all(|place| place.len() == 1);
    let pattern = if is_certain {
        let text = lower.concat().concat();
        match (goes_back, goes_on) {
            (false, false) => return Lookup::Word { column, word: text },
            (false, true) => {
                return Lookup::WordPrefix {
                    column,
                    prefix: text,
                };
            }
            _ => {}
        }
        let end = goes_on.then_some(Part::Any);
        let parts = [Part::Any, Part::Literal(text)].into_iter().chain(end);
        TermPattern::glob(Glob::new(parts))
    } else {
        let mut expression = String::from("(?s)");
        expression.push_str(if goes_back { ".*" } else { "" });
        for place in &lower {
            let choices: Vec<String> = place.iter().map(|text| regex::escape(text)).collect();
            expression.push_str(&format!("(?:{})", choices.join("|")));
        }
        expression.push_str(if goes_on { ".*" } else { "" });
        TermPattern::expression(expression)
    };
    Lookup::WordFits { column, pattern }
}

/// The characters in lower case, each once.
fn lowercased(characters: &[char]) -> Vec<String> {
    let mut lower: Vec<String> = characters
        .iter()
        .map(|character| character.to_lowercase().collect())
        .collect();
    lower.sort_unstable();
    lower.dedup();
    lower
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::phrase::WordTest;
    use proptest::prelude::*;

    const COLUMN: &str = "body";

    /// The lookup in a short form: words, `*` where they go on, `&` and `|`.
    fn short(lookup: &Lookup) -> String {
        let joined = |parts: &[Lookup], separator: &str| {
            let parts: Vec<String> = parts.iter().map(short).collect();
            format!("({})", parts.join(separator))
        };
        match lookup {
            Lookup::Any => "any".to_owned(),
            Lookup::All(parts) => joined(parts, " & "),
            Lookup::OneOf(parts) => joined(parts, " | "),
            Lookup::Word { word, .. } => word.clone(),
            Lookup::WordPrefix { prefix, .. } => format!("{prefix}*"),
            Lookup::WordFits { pattern, .. } => pattern.to_string(),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn expressions_ask_for_the_words_they_need() {
        let cases = [
            ("refused", "*refused*"),
            ("^refused$", "refused"),
            (" refused ", "refused"),
            ("ERROR: .*timeout", "(*error & *timeout*)"),
            (r"user\s+(\d+) logged", "(*user & logged*)"),
            (r"user=(\w+)@", "*user"),
            ("(GET|POST) /api", "((*get* | *post*) & api*)"),
            ("a(?:b|cd)e", "any"),
            ("(?i)disk", "/(?s).*(?:d)(?:i)(?:s|ſ)(?:k).*/"),
            ("colou?r", "*colo*"),
            ("(foo)+bar", "(*foo* & *bar*)"),
            ("x{3} y", "*xxx"),
            (r"\bpanic\b", "*panic*"),
            ("[0-9]{3} ms", "ms*"),
            (".*", "any"),
            ("refused|", "any"),
            ("(", "any"),
        ];
        for (expression, expected) in cases {
            let lookup = of_expression(COLUMN, expression);
            assert_eq!(short(&lookup), expected, "{expression}");
        }
    }

    #[test]
    fn globs_ask_for_the_words_they_need() {
        let cases = [
            ("/api/*/tasks", "(api & tasks)"),
            ("disk fu*ll", "(disk & fu* & *ll)"),
            ("disk f*l", "disk"),
            ("ab*", "ab*"),
            ("*ab", "*ab"),
            ("a?bc", "*bc"),
            ("*", "any"),
        ];
        for (glob, expected) in cases {
            let lookup = of_glob(COLUMN, &Glob::parse(glob));
            assert_eq!(short(&lookup), expected, "{glob}");
        }
    }

    /// Whether a text's words meet a lookup.
    fn meets(text: &str, lookup: &Lookup) -> bool {
        let has = |test: &WordTest| words::split(text).any(|word| test.matches(word));
        match lookup {
            Lookup::Any => true,
            Lookup::All(parts) => parts.iter().all(|part| meets(text, part)),
            Lookup::OneOf(parts) => parts.iter().any(|part| meets(text, part)),
            Lookup::Word { word, .. } => has(&WordTest::Equals(word.clone())),
            Lookup::WordPrefix { prefix, .. } => has(&WordTest::StartsWith(prefix.clone())),
            Lookup::WordFits { pattern, .. } => has(&WordTest::Fits(pattern.clone())),
            other => panic!("{other:?}"),
        }
    }

    fn expression() -> impl Strategy<Value = String> {
        let leaf = prop_oneof![
            4 => "[abkS ]{1,3}",
            1 => prop_oneof![Just("."), Just("^"), Just("$"), Just("\\b"), Just("\\s"), Just("[ab]"), Just("[a ]")]
                .prop_map(str::to_owned),
        ];
        leaf.prop_recursive(3, 12, 3, |inner| {
            prop_oneof![
                (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("{a}{b}")),
                (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a}|{b})")),
                (
                    inner.clone(),
                    prop_oneof![Just("*"), Just("+"), Just("?"), Just("{2}"), Just("{2,}")]
                )
                    .prop_map(|(a, count)| format!("(?:{a}){count}")),
                inner.prop_map(|a| format!("(?i:{a})")),
            ]
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn what_matches_meets_its_lookup(expression in expression(), text in "[abkKsSſK ]{0,10}") {
            let regex = regex::Regex::new(&expression).unwrap();
            let lookup = of_expression(COLUMN, &expression);
            prop_assert!(!regex.is_match(&text) || meets(&text, &lookup), "{lookup:?}");
        }

        #[test]
        fn what_fits_meets_its_lookup(glob in "[abİ ?*]{0,6}", text in "[abİ ]{0,8}") {
            let glob = Glob::parse(&glob);
            let lookup = of_glob(COLUMN, &glob);
            prop_assert!(!glob.matches(&text) || meets(&text, &lookup), "{lookup:?}");
        }
    }
}
