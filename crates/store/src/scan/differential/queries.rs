//! Random searches of every construct, over the words and fields of the random records.

use fastrand::Rng;

use super::world::{COMMON, RARE_KEYS, SERVICES, START};

/// A search: single tests and what `AND`, `OR`, `NOT` and parentheses make of them.
pub(super) fn query(rng: &mut Rng, tests: &[String], depth: u8) -> String {
    let test = |rng: &mut Rng| rng.choice(tests).unwrap().clone();
    if depth == 0 {
        return test(rng);
    }
    match rng.u8(..8) {
        0 => format!("NOT {}", grouped(query(rng, tests, depth - 1))),
        1 => format!("-({})", query(rng, tests, depth - 1)),
        2 | 3 => format!(
            "{} {}",
            operand(rng, tests, depth),
            operand(rng, tests, depth)
        ),
        4 => format!(
            "{} AND {}",
            operand(rng, tests, depth),
            operand(rng, tests, depth)
        ),
        5 | 6 => format!(
            "{} OR {}",
            operand(rng, tests, depth),
            operand(rng, tests, depth)
        ),
        _ => test(rng),
    }
}

fn operand(rng: &mut Rng, tests: &[String], depth: u8) -> String {
    let query = query(rng, tests, depth - 1);
    if rng.bool() { grouped(query) } else { query }
}

fn grouped(query: String) -> String {
    format!("({query})")
}

/// One test.
pub(super) fn test(rng: &mut Rng) -> String {
    match rng.u8(..11) {
        0..=4 => in_body(rng),
        5..=8 => of_field(rng),
        9 => list(rng),
        _ => of_column(rng),
    }
}

fn word(rng: &mut Rng) -> String {
    let own = rng.choice(&SERVICES).unwrap().1;
    let words: Vec<&str> = COMMON.into_iter().chain(own).collect();
    let word = *rng.choice(&words).unwrap();
    match rng.u8(..6) {
        0 => word.to_uppercase(),
        1 => "absent".to_owned(),
        _ => word.to_owned(),
    }
}

/// A word with some of its characters behind wildcards.
fn wildcards(rng: &mut Rng) -> String {
    let mut characters: Vec<String> = word(rng).chars().map(String::from).collect();
    for _ in 0..rng.usize(1..4) {
        let place = rng.usize(..characters.len());
        characters[place] = match rng.u8(..3) {
            0 => "?".to_owned(),
            _ => "*".to_owned(),
        };
    }
    if rng.bool() {
        let cut = rng.usize(..characters.len());
        characters.drain(..cut);
        characters.insert(0, "*".to_owned());
    }
    if rng.bool() {
        characters.push("*".to_owned());
    }
    if !characters.concat().chars().any(char::is_alphanumeric) {
        characters.push("re".to_owned());
    }
    characters.concat()
}

/// A word with a mistake or two.
fn typo(rng: &mut Rng) -> String {
    let mut characters: Vec<char> = word(rng).chars().collect();
    for _ in 0..rng.usize(..3) {
        let place = rng.usize(..characters.len());
        match rng.u8(..4) {
            0 if characters.len() > 1 => {
                characters.remove(place);
            }
            1 => characters.insert(place, 'x'),
            2 => characters[place] = 'y',
            _ => {
                let other = rng.usize(..characters.len());
                characters.swap(place, other);
            }
        }
    }
    characters.into_iter().collect()
}

fn expression(rng: &mut Rng) -> String {
    let (a, b) = (word(rng), word(rng));
    match rng.u8(..9) {
        0 => a,
        1 => format!("{a}.*{b}"),
        2 => format!("(?i){a}\\W+{b}"),
        3 => format!("^{a}"),
        4 => format!("({a}|{b}) "),
        5 => format!("\\b{}s?\\b", a.to_lowercase()),
        6 => "[0-9]{2,3}ms".to_owned(),
        7 => format!("{}[a-z]+", a.chars().take(2).collect::<String>()),
        _ => format!("(?is)^.*{a}.*{b}"),
    }
}

fn in_body(rng: &mut Rng) -> String {
    match rng.u8(..16) {
        0 | 1 => word(rng),
        2 => format!("\"{} {}\"", word(rng), word(rng)),
        3 => format!("\"{} {}\"~{}", word(rng), word(rng), rng.u8(..4)),
        4 => {
            let word: Vec<char> = word(rng).chars().collect();
            let length = rng.usize(1..=word.len());
            format!("{}*", word[..length].iter().collect::<String>())
        }
        5 => format!("\"{} {}\"*", word(rng), word(rng).chars().next().unwrap()),
        6 | 7 => wildcards(rng),
        8 => format!("{}~{}", typo(rng), rng.choice(&["", "1", "2"]).unwrap()),
        9 | 10 => format!("/{}/", expression(rng)),
        11 => {
            let ip = ["10.0.1.2", "10.*.*.1", "10.0.?.*", "0.0.2", "*.2.3"];
            (*rng.choice(&ip).unwrap()).to_owned()
        }
        12 => {
            let texts = [
                "/search?q=1",
                "search?",
                "req-0*",
                "*é*end",
                "payload*",
                "body:*",
                "9éab*",
            ];
            (*rng.choice(&texts).unwrap()).to_owned()
        }
        13 => {
            let texts = [
                "body:=\"\"",
                "body:=\"... --- ...\"",
                "body:=42",
                "body:\"disk full\"",
                "body:(log in)",
                "body:(request OR /o.k/ OR conection~)",
                "*",
            ];
            (*rng.choice(&texts).unwrap()).to_owned()
        }
        14 => {
            let texts = [
                "body.status:>=500",
                "body.status:[410 TO 450}",
                "body.user.id:7",
                "body.user.id:*",
                "body.user.name:/A/",
                "body.event:log*",
                "body.level:warn",
                "body.user:*id*",
            ];
            (*rng.choice(&texts).unwrap()).to_owned()
        }
        _ => {
            let id = format!("{:02x}", rng.u8(1..45));
            match rng.bool() {
                true => id.repeat(16),
                false => format!("00{}", id.repeat(7)),
            }
        }
    }
}

/// A field and a value that it may have.
fn pair(rng: &mut Rng) -> (&'static str, String) {
    let (field, values): (&str, &[&str]) = match rng.u8(..13) {
        0 => (
            "status",
            &["200", "500", "503", "500.5", "up", "unknown", "again"],
        ),
        1 => ("took", &["12ms", "1.5s", "2h"]),
        2 => (
            "http.route",
            &["/api/tasks", "/api/tasks/1", "/health", "again"],
        ),
        3 => ("user.id", &["7", "u2", "29"]),
        4 => ("attr.user.address.city", &["Bern", "Zürich"]),
        5 => ("user.address.zip", &["3001", "3004"]),
        6 => ("host", &["web-1", "db-2"]),
        7 => ("resource.node.id", &["n1"]),
        8 => ("service", &["api", "db", "queue worker", "unknown_service"]),
        9 => ("tags", &["[\"prod\",\"eu\"]"]),
        10 => ("event_name", &["user.login", "user.logout"]),
        11 => ("scope", &["api::tasks", "sqlx"]),
        _ => ("\"odd name\"", &["a:b (c)*"]),
    };
    (field, (*rng.choice(values).unwrap()).to_owned())
}

fn quoted(value: &str) -> String {
    format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""))
}

/// A value's beginning or end with `*` and `?`, every special character escaped.
fn value_glob(rng: &mut Rng, value: &str) -> String {
    let mut characters: Vec<String> = value
        .chars()
        .map(|c| match c.is_alphanumeric() {
            true => c.into(),
            false => match "-\"*?()[]{}:/ ".contains(c) {
                true => format!("\\{c}"),
                false => c.into(),
            },
        })
        .collect();
    for _ in 0..rng.usize(1..3) {
        let place = rng.usize(..characters.len());
        characters[place] = if rng.bool() { "*" } else { "?" }.to_owned();
    }
    if rng.bool() {
        characters.truncate(rng.usize(1..=characters.len()));
        characters.push("*".to_owned());
    }
    characters.concat()
}

fn of_field(rng: &mut Rng) -> String {
    let (field, value) = pair(rng);
    match rng.u8(..14) {
        0..=2 => format!("{field}:{}", quoted(&value)),
        3 => format!("{field}:={}", quoted(&value)),
        4 | 5 => format!("{field}:{}", value_glob(rng, &value)),
        6 => format!("{field}:/{}/", regex::escape(&value).replace('/', "\\/")),
        7 => {
            let expressions = ["^[a-z]+$", "(?i)API", "\\d{2}", "^$", "[^a-z]", "1|2", "n$"];
            format!("{field}:/{}/", rng.choice(&expressions).unwrap())
        }
        8 => {
            let mut characters: Vec<char> = value.chars().collect();
            let place = rng.usize(..characters.len());
            characters[place] = 'y';
            let escaped: String = characters
                .into_iter()
                .map(|c| {
                    if c.is_alphanumeric() {
                        c.into()
                    } else {
                        escaped(c)
                    }
                })
                .collect();
            format!("{field}:{escaped}~{}", rng.choice(&["", "1", "2"]).unwrap())
        }
        9 => format!("{field}:*"),
        10 => {
            let more = [
                "empty:*",
                "blank:*",
                "blank:\"\"",
                "flag:true",
                "long:z*",
                "long:*1",
                "user:plain",
                "stack:*lib*",
                "absent:*",
                "stack:/^at lib/",
                "stack:/(?m)^at lib/",
            ];
            (*rng.choice(&more).unwrap()).to_owned()
        }
        11 => {
            let key = rng.u32(..RARE_KEYS + 3);
            let test = rng
                .choice(&["*", "0", "1", ">0", "[0 TO 1]", "/[12]/"])
                .unwrap();
            format!("k{key:03}:{test}")
        }
        12 => {
            let digits = rng.choice(&["a*", "*7f*", "0?*", "0000*"]).unwrap();
            format!("req.id:{digits}")
        }
        _ => comparison(rng),
    }
}

fn escaped(character: char) -> String {
    match "-\"*?()[]{}:/ ".contains(character) {
        true => format!("\\{character}"),
        false => character.into(),
    }
}

fn comparison(rng: &mut Rng) -> String {
    let (field, bounds): (&str, &[&str]) = match rng.u8(..4) {
        0 => ("status", &["200", "404", "500.2", "503"]),
        1 => ("took", &["10ms", "500ms", "1.5s", "1h"]),
        2 => ("size", &["512B", "2KiB", "10kb", "1MB", "7"]),
        _ => ("user.id", &["3", "7", "25"]),
    };
    match rng.u8(..3) {
        0 => {
            let operator = rng.choice(&["<", "<=", ">", ">="]).unwrap();
            format!("{field}:{operator}{}", rng.choice(bounds).unwrap())
        }
        _ => range(rng, field, &bounds[..bounds.len().min(3)]),
    }
}

fn range(rng: &mut Rng, field: &str, ends: &[&str]) -> String {
    let end = |rng: &mut Rng| match rng.u8(..4) {
        0 => "*".to_owned(),
        _ => (*rng.choice(ends).unwrap()).to_owned(),
    };
    let (from, to) = (end(rng), end(rng));
    let open = rng.choice(&['[', '{']).unwrap();
    let close = rng.choice(&[']', '}']).unwrap();
    format!("{field}:{open}{from} TO {to}{close}")
}

fn list(rng: &mut Rng) -> String {
    let (field, first) = pair(rng);
    let second = value_glob(rng, &first);
    match rng.u8(..4) {
        0 => format!("{field}:({} OR {second})", quoted(&first)),
        1 => format!("{field}:({second} NOT {})", quoted(&first)),
        2 => format!("{field}:(NOT {second})"),
        _ => format!("status:(200 OR >500 OR ({second} -up))"),
    }
}

fn of_column(rng: &mut Rng) -> String {
    let level = |rng: &mut Rng| {
        *rng.choice(&["debug", "info", "WARN", "error", "fatal"])
            .unwrap()
    };
    match rng.u8(..9) {
        0 => format!("severity:{}", level(rng)),
        1 => format!(
            "level:{}{}",
            rng.choice(&["<", "<=", ">", ">="]).unwrap(),
            level(rng)
        ),
        2 => {
            let ends = ["debug", "warn", "error", "10"];
            range(rng, "severity", &ends)
        }
        3 => {
            let texts = [
                "severity:unset",
                "severity:*",
                "severity:10",
                "severity_number:>9",
                "severity_number:30",
                "severity_text:W*",
                "severity_text:*",
                "scope_version:1.2",
            ];
            (*rng.choice(&texts).unwrap()).to_owned()
        }
        4 => {
            let at = START + rng.i64(0..110);
            let operator = rng.choice(&["<", "<=", ">", ">="]).unwrap();
            format!("timestamp:{operator}{at}")
        }
        5 => range(rng, "timestamp", &["now-90s", "now-50s", "now-20s"]),
        6 => format!("observed_timestamp:>now-{}s", rng.u8(..120)),
        7 => {
            let id = format!("{:02x}", rng.u8(1..45));
            let forms = [
                id.repeat(16),
                format!("{id}{id}*"),
                format!("*{id}"),
                format!("/^{id}/"),
                "*".to_owned(),
            ];
            format!("trace_id:{}", rng.choice(&forms).unwrap())
        }
        _ => {
            let id = format!("{:X}", rng.u8(16..45));
            format!("span_id:{}", id.repeat(7))
        }
    }
}
