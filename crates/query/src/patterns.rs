//! Patterns: clusters of like lines, each with a text in which `<_>` stands for what varies.
//!
//! After Drain (He et al., 2017), with three differences. A line is cut at white space and
//! punctuation, and only lines that are cut alike share a cluster: so a pattern says exactly what
//! lies between its variable parts, and LogQL's line filter `|> "…<_>…"` matches every line of
//! the cluster. A token with a digit counts as variable when clusters are looked for, yet is shown
//! when all of many lines have it (`HTTP/1.1`). And clusters that differ in one token alone are
//! joined when there are many of them, which finds variable parts at the beginning of a line and
//! names without digits.
//!
//! Whoever mines patterns decides what is kept of each: a [`PatternMiner`] carries a value of the
//! caller's for every cluster and merges them when clusters are joined.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{DefaultHasher, Hash, Hasher};

/// What stands for a variable part.
pub const VARIABLE: &str = "<_>";

/// Tokens of a line that are looked at; the rest of a longer line is one variable part.
const MAX_TOKENS: usize = 100;
/// Bytes of a line that are looked at, likewise.
const MAX_BYTES: usize = 4096;
/// A longer token is a variable part, bytes.
const MAX_TOKEN_BYTES: usize = 64;
/// Tokens that two lines of a cluster have in common at least, in tenths.
const SIMILAR_TENTHS: usize = 6;
/// Clusters that differ in one token alone are joined when there are this many.
const MANY_VARIANTS: usize = 10;
/// A token with a digit is shown when this many lines have it without exception.
const LINES_OF_A_CONSTANT: u64 = 8;
/// Clusters kept; lines that would need another one have no pattern.
const MAX_CLUSTERS: usize = 5_000;

/// What stands for a token in a cut; a line that has it holds it inside of a token.
const HOLE: char = '\0';

/// What the caller keeps of a cluster.
pub trait Merge: Default {
    /// Takes in what was kept of a cluster that is joined with this one.
    fn merge(&mut self, other: Self);
}

/// A pattern with what the caller kept of its lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern<T> {
    /// The text, with [`VARIABLE`] for what varies.
    pub text: String,
    /// The caller's.
    pub kept: T,
}

/// Finds the patterns of lines, one line at a time, in bounded memory.
#[derive(Debug)]
pub struct PatternMiner<T> {
    clusters: Vec<Cluster<T>>,
    /// Clusters by how their lines are cut.
    groups: HashMap<Box<str>, Group>,
    max_clusters: usize,
    /// Reused from line to line.
    cut: Cut,
}

#[derive(Debug)]
struct Cluster<T> {
    slots: Vec<Slot>,
    lines: u64,
    kept: T,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Slot {
    Constant { text: Box<str>, has_digit: bool },
    Variable,
}

/// Clusters of lines that are cut alike, by their first tokens.
#[derive(Debug, Default)]
struct Group {
    by_beginning: HashMap<u64, Vec<usize>>,
    /// Those whose first tokens vary.
    of_any_beginning: Vec<usize>,
}

/// A line, cut into tokens.
#[derive(Debug, Default)]
struct Cut {
    /// The line with a [`HOLE`] for each token.
    skeleton: String,
    tokens: Vec<Token>,
}

#[derive(Debug, Clone, Copy)]
struct Token {
    start: usize,
    end: usize,
    kind: TokenKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TokenKind {
    Word,
    WithDigit,
    /// Whatever it is, it varies.
    Variable,
}

fn is_delimiter(character: char) -> bool {
    character.is_whitespace()
        || matches!(
            character,
            ',' | ';' | '=' | '(' | ')' | '[' | ']' | '{' | '}' | '<' | '>' | '"' | '\'' | '|'
        )
}

/// Punctuation that belongs to a token inside of it, and not at its ends.
fn is_soft(character: char) -> bool {
    matches!(character, '.' | ':' | '!' | '?')
}

impl Cut {
    /// Cuts a line.
    ///
    /// A variable part must never hold the text that follows it in the pattern, or a filter that
    /// looks for that text from left to right would stop too early. So what follows a token
    /// always has a delimiter, except at the end of the line, where soft punctuation stays with
    /// its token.
    fn read(&mut self, line: &str) {
        self.skeleton.clear();
        self.tokens.clear();
        let first_line = line.find('\n').map_or(line.len(), |end| end + 1);
        let mut at = 0;
        while at < first_line {
            if self.tokens.len() == MAX_TOKENS || at >= MAX_BYTES {
                return self.push_rest(line, at);
            }
            let text = &line[at..first_line];
            let length = text.find(is_delimiter).unwrap_or(text.len());
            if length == 0 {
                let gap = text
                    .find(|c| !is_delimiter(c))
                    .unwrap_or(text.len())
                    .min(text.floor_char_boundary(MAX_BYTES));
                self.skeleton.push_str(&text[..gap]);
                at += gap;
                continue;
            }
            let run = &text[..length];
            // After a quote or bracket, as in `"id":7`, they are punctuation; else, as in ` ::1`,
            // the beginning of a token.
            let is_after_mark = line[..at].ends_with(|c: char| !c.is_whitespace());
            let token = match run.trim_start_matches(is_soft) {
                inner if is_after_mark || inner.is_empty() => inner,
                _ => run,
            };
            let start = at + run.len() - token.len();
            let token = if at + length == line.len() {
                token
            } else {
                token.trim_end_matches(is_soft)
            };
            let end = start + token.len();
            self.skeleton.push_str(&line[at..start]);
            if !token.is_empty() {
                self.push(line, start, end, kind_of(token));
            }
            self.skeleton.push_str(&line[end..at + length]);
            at += length;
        }
        if at < line.len() {
            self.push_rest(line, at);
        }
    }

    /// What is left of a line varies, together with a token right before it.
    fn push_rest(&mut self, line: &str, at: usize) {
        let start = match self.tokens.last() {
            Some(token) if token.end == at => {
                let start = token.start;
                self.tokens.pop();
                self.skeleton.pop();
                start
            }
            _ => at,
        };
        self.push(line, start, line.len(), TokenKind::Variable);
    }

    fn push(&mut self, line: &str, start: usize, end: usize, kind: TokenKind) {
        // In a pattern `<name>` reads as a variable part, so it has to be one.
        let is_named = line[..start].ends_with('<')
            && line[end..].starts_with('>')
            && line[start..end]
                .bytes()
                .all(|byte| byte == b'_' || byte.is_ascii_alphanumeric());
        let kind = if is_named { TokenKind::Variable } else { kind };
        self.skeleton.push(HOLE);
        self.tokens.push(Token { start, end, kind });
    }

    /// A number for the first tokens, those with digits aside.
    fn beginning(&self, line: &str) -> u64 {
        let mut hasher = DefaultHasher::new();
        for token in self.tokens.iter().take(2) {
            match token.kind {
                TokenKind::Word => line[token.start..token.end].hash(&mut hasher),
                TokenKind::WithDigit | TokenKind::Variable => HOLE.hash(&mut hasher),
            }
        }
        hasher.finish()
    }
}

fn kind_of(token: &str) -> TokenKind {
    if token.len() > MAX_TOKEN_BYTES {
        TokenKind::Variable
    } else if token.bytes().any(|byte| byte.is_ascii_digit()) {
        TokenKind::WithDigit
    } else {
        TokenKind::Word
    }
}

impl<T> Cluster<T> {
    /// How many tokens of the line fit.
    fn common(&self, line: &str, cut: &Cut) -> usize {
        let fits = |(slot, token): &(&Slot, &Token)| match slot {
            Slot::Variable => true,
            Slot::Constant { text, has_digit } => match token.kind {
                TokenKind::Variable => false,
                TokenKind::WithDigit if *has_digit => true,
                _ => **text == line[token.start..token.end],
            },
        };
        self.slots.iter().zip(&cut.tokens).filter(fits).count()
    }

    fn take_in(&mut self, line: &str, cut: &Cut) {
        self.lines += 1;
        for (slot, token) in self.slots.iter_mut().zip(&cut.tokens) {
            let varies = match slot {
                Slot::Variable => false,
                Slot::Constant { text, .. } => {
                    token.kind == TokenKind::Variable || **text != line[token.start..token.end]
                }
            };
            if varies {
                *slot = Slot::Variable;
            }
        }
    }

    /// The pattern's text; `skeleton` is how the lines are cut.
    fn text(&self, skeleton: &str) -> String {
        let mut slots = self.slots.iter();
        let mut text = String::new();
        for part in skeleton.split_inclusive(HOLE) {
            let Some(literal) = part.strip_suffix(HOLE) else {
                text.push_str(part);
                continue;
            };
            text.push_str(literal);
            match slots.next() {
                Some(Slot::Constant {
                    text: constant,
                    has_digit,
                }) if !has_digit || self.lines >= LINES_OF_A_CONSTANT => text.push_str(constant),
                _ => text.push_str(VARIABLE),
            }
        }
        text
    }
}

impl<T: Merge> Default for PatternMiner<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: Merge> PatternMiner<T> {
    /// No lines yet.
    pub fn new() -> Self {
        Self::with_max_clusters(MAX_CLUSTERS)
    }

    fn with_max_clusters(max_clusters: usize) -> Self {
        Self {
            clusters: Vec::new(),
            groups: HashMap::new(),
            max_clusters,
            cut: Cut::default(),
        }
    }

    /// Adds a line; what is kept of its cluster, for the caller to change. `None` for an empty
    /// line, and for one that fits nowhere when there are too many clusters.
    pub fn add(&mut self, line: &str) -> Option<&mut T> {
        let mut cut = std::mem::take(&mut self.cut);
        cut.read(line);
        let cluster = self.find(line, &cut).or_else(|| self.make(line, &cut));
        self.cut = cut;
        cluster.map(|cluster| &mut self.clusters[cluster].kept)
    }

    fn find(&mut self, line: &str, cut: &Cut) -> Option<usize> {
        let group = self.groups.get(cut.skeleton.as_str())?;
        let alike = group.by_beginning.get(&cut.beginning(line));
        let candidates = alike.into_iter().flatten().chain(&group.of_any_beginning);
        let (common, cluster) = candidates
            .map(|cluster| (self.clusters[*cluster].common(line, cut), *cluster))
            .max_by_key(|(common, cluster)| (*common, usize::MAX - cluster))?;
        if common * 10 < cut.tokens.len() * SIMILAR_TENTHS {
            return None;
        }
        self.clusters[cluster].take_in(line, cut);
        Some(cluster)
    }

    fn make(&mut self, line: &str, cut: &Cut) -> Option<usize> {
        if line.is_empty() {
            return None;
        }
        if self.clusters.len() >= self.max_clusters {
            self.join();
            // Joining is worth its time only when it makes room for many.
            if self.clusters.len() > self.max_clusters / 2 {
                self.max_clusters = self.clusters.len();
                return None;
            }
        }
        let slots = cut.tokens.iter().map(|token| match token.kind {
            TokenKind::Variable => Slot::Variable,
            kind => Slot::Constant {
                text: line[token.start..token.end].into(),
                has_digit: kind == TokenKind::WithDigit,
            },
        });
        let cluster = Cluster {
            slots: slots.collect(),
            lines: 1,
            kept: T::default(),
        };
        let number = self.clusters.len();
        self.clusters.push(cluster);
        let group = self.groups.entry(cut.skeleton.as_str().into()).or_default();
        let alike = group.by_beginning.entry(cut.beginning(line)).or_default();
        alike.push(number);
        Some(number)
    }

    /// Joins clusters that differ in one token alone, where there are many.
    fn join(&mut self) {
        let mut clusters: Vec<Option<Cluster<T>>> = self.clusters.drain(..).map(Some).collect();
        let mut kept = Vec::with_capacity(clusters.len());
        for group in self.groups.values_mut() {
            let beginnings = std::mem::take(&mut group.by_beginning);
            let any = std::mem::take(&mut group.of_any_beginning);
            let numbered: Vec<(Option<u64>, usize)> = beginnings
                .into_iter()
                .flat_map(|(beginning, numbers)| {
                    numbers
                        .into_iter()
                        .map(move |number| (Some(beginning), number))
                })
                .chain(any.into_iter().map(|number| (None, number)))
                .collect();
            let mut members: Vec<(Option<u64>, Cluster<T>)> = numbered
                .into_iter()
                .filter_map(|(beginning, number)| Some((beginning, clusters[number].take()?)))
                .collect();
            let slots = members
                .first()
                .map_or(0, |(_, cluster)| cluster.slots.len());
            for slot in 0..slots {
                members = join_at(members, slot);
            }
            for (beginning, cluster) in members {
                let number = kept.len();
                kept.push(cluster);
                match beginning {
                    Some(beginning) => {
                        group
                            .by_beginning
                            .entry(beginning)
                            .or_default()
                            .push(number);
                    }
                    None => group.of_any_beginning.push(number),
                }
            }
        }
        self.clusters = kept;
    }

    /// The patterns found, in no order; no two have the same text.
    pub fn finish(mut self) -> Vec<Pattern<T>> {
        self.join();
        let mut clusters: Vec<Option<Cluster<T>>> = self.clusters.into_iter().map(Some).collect();
        let mut patterns: HashMap<String, T> = HashMap::new();
        for (skeleton, group) in self.groups {
            let alike = group.by_beginning.into_values().flatten();
            for number in alike.chain(group.of_any_beginning) {
                let Some(cluster) = clusters[number].take() else {
                    continue;
                };
                match patterns.entry(cluster.text(&skeleton)) {
                    Entry::Occupied(mut known) => known.get_mut().merge(cluster.kept),
                    Entry::Vacant(new) => {
                        new.insert(cluster.kept);
                    }
                }
            }
        }
        patterns
            .into_iter()
            .map(|(text, kept)| Pattern { text, kept })
            .collect()
    }
}

/// Joins those clusters that are equal but for one slot, when they are many or the slot varies
/// in one of them already.
fn join_at<T: Merge>(
    members: Vec<(Option<u64>, Cluster<T>)>,
    slot: usize,
) -> Vec<(Option<u64>, Cluster<T>)> {
    type Members<T> = Vec<(Option<u64>, Cluster<T>)>;
    let mut alike: HashMap<Vec<Slot>, Members<T>> = HashMap::new();
    let mut order = Vec::new();
    for (beginning, cluster) in members {
        let mut others = cluster.slots.clone();
        others[slot] = Slot::Variable;
        let known = alike.entry(others.clone()).or_default();
        if known.is_empty() {
            order.push(others);
        }
        known.push((beginning, cluster));
    }
    let mut joined = Vec::new();
    for others in order {
        let mut variants = alike.remove(&others).unwrap_or_default();
        let says_something = others.iter().any(|slot| *slot != Slot::Variable);
        let varies = variants
            .iter()
            .any(|(_, cluster)| cluster.slots[slot] == Slot::Variable);
        if !says_something || variants.len() < 2 || !varies && variants.len() < MANY_VARIANTS {
            joined.append(&mut variants);
            continue;
        }
        let mut whole = Cluster {
            slots: others,
            lines: 0,
            kept: T::default(),
        };
        // A variant's first tokens say nothing about the others' unless they are the same.
        let beginnings = variants.iter().map(|(beginning, _)| *beginning);
        let beginning = beginnings.reduce(|a, b| a.filter(|_| a == b)).flatten();
        for (_, cluster) in variants {
            whole.lines += cluster.lines;
            whole.kept.merge(cluster.kept);
        }
        joined.push((beginning, whole));
    }
    joined
}

/// How the number of a pattern's lines differs between two time ranges.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It has lines, and had none.
    New,
    /// It has none, and had some.
    Gone,
    /// At least twice as many in the same time, and not by chance.
    More,
    /// At most half as many in the same time, and not by chance.
    Less,
    /// About as many.
    Same,
}

impl Change {
    /// Compares `count` lines with the `baseline` lines of another range; `scale` is how many
    /// times longer than that the range of `count` is.
    pub fn of(count: u64, baseline: u64, scale: f64) -> Self {
        match (count, baseline) {
            (_, 0) if count > 0 => return Self::New,
            (0, _) if baseline > 0 => return Self::Gone,
            _ => {}
        }
        let (count, expected) = (count as f64, baseline as f64 * scale);
        // Counts scatter by their square root; the baseline's is stretched with it.
        let chance = 3.0 * (count + expected * scale).sqrt();
        if (count - expected).abs() <= chance {
            Self::Same
        } else if count >= 2.0 * expected {
            Self::More
        } else if 2.0 * count <= expected {
            Self::Less
        } else {
            Self::Same
        }
    }

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Gone => "gone",
            Self::More => "more",
            Self::Less => "less",
            Self::Same => "same",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    impl Merge for Vec<String> {
        fn merge(&mut self, other: Self) {
            self.extend(other);
        }
    }

    /// The patterns of lines with their lines, the most frequent first.
    fn mine<'a>(lines: impl IntoIterator<Item = &'a str>) -> Vec<(String, Vec<String>)> {
        let mut miner = PatternMiner::<Vec<String>>::new();
        for line in lines {
            if let Some(kept) = miner.add(line) {
                kept.push(line.to_owned());
            }
        }
        let mut patterns: Vec<_> = miner
            .finish()
            .into_iter()
            .map(|p| (p.text, p.kept))
            .collect();
        patterns.sort_by_key(|(text, lines)| (usize::MAX - lines.len(), text.clone()));
        patterns
    }

    fn texts<'a>(lines: impl IntoIterator<Item = &'a str>) -> Vec<String> {
        mine(lines).into_iter().map(|(text, _)| text).collect()
    }

    /// Whether a line passes LogQL's pattern filter: literals are looked for from left to right,
    /// each variable part holds at least one byte.
    fn passes(pattern: &str, line: &str) -> bool {
        let literals: Vec<&str> = pattern.split(VARIABLE).collect();
        let Some(mut rest) = line.strip_prefix(literals[0]) else {
            return false;
        };
        for (index, literal) in literals.iter().enumerate().skip(1) {
            if literal.is_empty() {
                return index == literals.len() - 1 && !rest.is_empty();
            }
            match rest.find(literal) {
                None | Some(0) => return false,
                Some(found) => rest = &rest[found + literal.len()..],
            }
        }
        rest.is_empty()
    }

    #[test]
    fn what_varies_is_found() {
        let cases: [(&[&str], &[&str]); 9] = [
            (
                &[
                    "user 17 logged in from 10.0.0.1",
                    "user 9 logged in from ::1",
                ],
                &["user <_> logged in from <_>"],
            ),
            (
                &["payment refused", "payment accepted"],
                &["payment accepted", "payment refused"],
            ),
            (
                &[
                    r#"{"level":"info","id":7,"msg":"done."}"#,
                    r#"{"level":"info","id":8,"msg":"done."}"#,
                ],
                &[r#"{"level":"info","id":<_>,"msg":"done."}"#],
            ),
            (
                &[
                    "level=warn took=1.5s path=/a/1",
                    "level=warn took=20ms path=/b/2",
                ],
                &["level=warn took=<_> path=<_>"],
            ),
            // Soft punctuation at the end stays with its token.
            (&["took 1.5s.", "took 2.5s."], &["took <_>"]),
            (
                &["panic: x1\n  at a\n  at b", "panic: x2\n at c"],
                &["panic: <_>\n<_>"],
            ),
            (
                &["value <unset> of a", "value <null> of a"],
                &["value <<_>> of a"],
            ),
            (&["", "", " "], &[" "]),
            (
                &[
                    "cannot reach host-a after retry",
                    "cannot reach host-b after retry",
                    "cannot reach host-c after retry",
                ],
                &["cannot reach <_> after retry"],
            ),
        ];
        for (lines, expected) in cases {
            assert_eq!(texts(lines.iter().copied()), expected, "{lines:?}");
        }
    }

    #[test]
    fn a_digit_that_all_lines_have_is_shown() {
        let lines: Vec<String> = (0..10)
            .map(|n| format!("GET /item/{n} HTTP/1.1 200"))
            .collect();
        let found = texts(lines.iter().map(String::as_str));
        assert_eq!(found, ["GET <_> HTTP/1.1 200"]);
        let found = texts(lines.iter().take(3).map(String::as_str));
        assert_eq!(found, ["GET <_> <_> <_>"]);
    }

    #[test]
    fn many_names_at_the_beginning_are_one_variable_part() {
        let names = [
            "ann", "bob", "cid", "dan", "eve", "fay", "gus", "hal", "ida", "joe", "kim",
        ];
        let lines: Vec<String> = names
            .iter()
            .map(|name| format!("{name} logged in"))
            .collect();
        let found = texts(lines.iter().map(String::as_str));
        assert_eq!(found, ["<_> logged in"]);
        // A few are an enumeration.
        let found = texts(lines.iter().take(4).map(String::as_str));
        assert_eq!(found.len(), 4);
    }

    #[test]
    fn clusters_are_bounded_and_joined_when_they_are_many() {
        let mut miner = PatternMiner::<Vec<String>>::with_max_clusters(50);
        let word = |n: usize| -> String {
            let letter = |n: usize| char::from(b'a' + (n % 26) as u8);
            [letter(n), letter(n / 26), letter(n / 676)]
                .iter()
                .collect()
        };
        for n in 0..5_000 {
            let line = format!("{} has left the building", word(n));
            miner.add(&line).unwrap().push(line);
        }
        assert!(miner.clusters.len() <= 50);
        let found = miner.finish();
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].text, "<_> has left the building");
        assert_eq!(found[0].kept.len(), 5_000);

        let mut miner = PatternMiner::<Vec<String>>::with_max_clusters(50);
        let clustered = (0..1_000)
            .filter(|n| miner.add(&vec![word(*n); n % 90 + 1].join("-")).is_some())
            .count();
        assert!(miner.clusters.len() <= 50);
        assert!((50..1_000).contains(&clustered), "{clustered}");
    }

    #[test]
    fn long_lines_end_in_a_variable_part() {
        let words = "word ".repeat(300);
        let wide = format!("{}{}", "x".repeat(70), " ".repeat(MAX_BYTES * 2));
        for line in [words, wide, "a=1,".repeat(2_000)] {
            let found = mine([line.as_str()]);
            assert!(found[0].0.ends_with(VARIABLE), "{}", found[0].0);
            assert!(passes(&found[0].0, &line), "{}", found[0].0);
        }
    }

    #[test]
    fn changes_are_told_from_chance() {
        let cases = [
            (5, 0, 1.0, Change::New),
            (0, 5, 1.0, Change::Gone),
            (0, 0, 1.0, Change::Same),
            (100, 20, 1.0, Change::More),
            (20, 100, 1.0, Change::Less),
            (100, 20, 5.0, Change::Same),
            (100, 100, 0.1, Change::More),
            // Twice as many, and still chance.
            (8, 4, 1.0, Change::Same),
            // Too many for chance, and not twice as many.
            (13_000, 10_000, 1.0, Change::Same),
        ];
        for (count, baseline, scale, expected) in cases {
            assert_eq!(
                Change::of(count, baseline, scale),
                expected,
                "{count} {baseline}"
            );
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]

        #[test]
        fn every_line_passes_its_pattern_as_a_filter(
            lines in vec("[a-c1. :!?=\"<>_,()\n\u{e4}]{0,14}", 1..60),
        ) {
            let patterns = mine(lines.iter().map(String::as_str));
            let clustered: usize = patterns.iter().map(|(_, lines)| lines.len()).sum();
            prop_assert_eq!(clustered, lines.iter().filter(|line| !line.is_empty()).count());
            for (pattern, lines) in patterns {
                prop_assert!(!pattern.contains("<_><_>"), "{}", pattern);
                for line in lines {
                    prop_assert!(passes(&pattern, &line), "{:?} {:?}", pattern, line);
                }
            }
        }
    }
}
