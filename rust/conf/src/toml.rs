//! The part of TOML that the file is written in: comments, `[[name]]`, and `key = value` with bare
//! keys and values that are strings ("basic" or 'literal', on one line) or booleans. Every such text
//! is TOML and means the same there; all else is refused with its line. (A whole TOML parser takes
//! some milliseconds for a thousand mounts, in every process that starts, and three crates.)
use crate::Wrong;

/// A line that says something.
#[derive(Debug, PartialEq)]
pub(crate) enum Item<'a> {
    /// `[[name]]`
    Table(&'a str),
    /// `key = value`
    Pair(&'a str, Value),
}

/// A value.
#[derive(Debug, PartialEq)]
pub(crate) enum Value {
    String(String),
    Boolean(bool),
}

/// What each line says, with its number; the first wrong one ends it.
pub(crate) fn items(text: &[u8]) -> Result<Vec<(usize, Item<'_>)>, Wrong> {
    let mut items = Vec::new();
    for (i, bytes) in text.split(|&b| b == b'\n').enumerate() {
        let line = i + 1;
        let wrong = |what| Wrong::new(line, what);
        let bytes = bytes.strip_suffix(b"\r").unwrap_or(bytes);
        let text = std::str::from_utf8(bytes).map_err(|_| wrong("not UTF-8".into()))?;
        if text.bytes().any(|b| (b < b' ' && b != b'\t') || b == 0x7f) {
            return Err(wrong("a control character".into()));
        }
        if let Some(item) = item(text).map_err(wrong)? {
            items.push((line, item));
        }
    }
    Ok(items)
}

const BLANKS: [char; 2] = [' ', '\t'];

fn item(line: &str) -> Result<Option<Item<'_>>, String> {
    let line = line.trim_matches(BLANKS);
    if line.is_empty() || line.starts_with('#') {
        return Ok(None);
    }
    if let Some(rest) = line.strip_prefix("[[") {
        let (name, rest) = rest.split_once("]]").ok_or("\"]]\" is missing")?;
        let name = name.trim_matches(BLANKS);
        if !is_bare(name) {
            return Err(format!("[[{name}]] is no table of this file"));
        }
        return ends(rest).map(|()| Some(Item::Table(name)));
    }
    let (key, rest) = line
        .split_once('=')
        .ok_or("neither [[mount]] nor KEY = VALUE")?;
    let key = key.trim_end_matches(BLANKS);
    if !is_bare(key) {
        return Err(format!("{key:?} is no key of this file"));
    }
    let (value, rest) = value(rest.trim_start_matches(BLANKS))?;
    ends(rest).map(|()| Some(Item::Pair(key, value)))
}

fn is_bare(name: &str) -> bool {
    let legal = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
    !name.is_empty() && name.bytes().all(legal)
}

/// Behind a value there may be a comment.
fn ends(rest: &str) -> Result<(), String> {
    match rest.trim_start_matches(BLANKS) {
        "" => Ok(()),
        comment if comment.starts_with('#') => Ok(()),
        more => Err(format!("{more:?} does not belong here")),
    }
}

/// The value a text begins with, and the rest of it.
fn value(text: &str) -> Result<(Value, &str), String> {
    if let Some(rest) = text.strip_prefix('\'') {
        let (value, rest) = rest.split_once('\'').ok_or("the closing ' is missing")?;
        if value.is_empty() && rest.starts_with('\'') {
            return Err("strings of several lines are not for this file".into());
        }
        return Ok((Value::String(value.into()), rest));
    }
    if let Some(rest) = text.strip_prefix('"') {
        if rest.starts_with("\"\"") {
            return Err("strings of several lines are not for this file".into());
        }
        let (value, rest) = basic(rest)?;
        return Ok((Value::String(value), rest));
    }
    for (word, value) in [("true", true), ("false", false)] {
        if let Some(rest) = text.strip_prefix(word) {
            return Ok((Value::Boolean(value), rest));
        }
    }
    Err("the value must be a \"string\" in quotes, true or false".into())
}

/// A string up to its closing quote.
fn basic(text: &str) -> Result<(String, &str), String> {
    // as it mostly is
    let plain = text.find(['"', '\\']).unwrap_or(text.len());
    let mut value = String::from(&text[..plain]);
    let mut chars = text[plain..].char_indices().map(|(i, c)| (plain + i, c));
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Ok((value, &text[at + 1..])),
            '\\' => {
                let (at, kind) = chars.next().ok_or("the closing \" is missing")?;
                let digits = match kind {
                    'b' => return_char(&mut value, '\u{8}'),
                    't' => return_char(&mut value, '\t'),
                    'n' => return_char(&mut value, '\n'),
                    'f' => return_char(&mut value, '\u{c}'),
                    'r' => return_char(&mut value, '\r'),
                    '"' | '\\' => return_char(&mut value, kind),
                    'u' => 4,
                    'U' => 8,
                    other => return Err(format!("\\{other} means nothing in a string")),
                };
                if digits > 0 {
                    value.push(scalar(text, at + 1, digits)?);
                    chars.nth(digits - 1);
                }
            }
            c => value.push(c),
        }
    }
    Err("the closing \" is missing".into())
}

/// Adds a character that needs no digits.
fn return_char(value: &mut String, c: char) -> usize {
    value.push(c);
    0
}

/// The character whose number stands at `at` in so many hexadecimal digits.
fn scalar(text: &str, at: usize, digits: usize) -> Result<char, String> {
    let number = text.get(at..at + digits);
    let number = number.filter(|n| n.bytes().all(|b| b.is_ascii_hexdigit()));
    let number = number.and_then(|n| u32::from_str_radix(n, 16).ok());
    let wrong = || format!("{digits} hexadecimal digits of a character are missing");
    number.and_then(char::from_u32).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    type Tables = Vec<(String, Vec<(String, Value)>)>;

    /// The same by the whole parser.
    fn by_toml(text: &str) -> Option<Tables> {
        let table: ::toml::Table = text.parse().ok()?;
        let mut all = Vec::new();
        for (name, tables) in table {
            for one in tables.as_array()? {
                let pairs = one.as_table()?.iter().map(|(key, value)| {
                    let value = match value {
                        ::toml::Value::String(s) => Value::String(s.clone()),
                        ::toml::Value::Boolean(b) => Value::Boolean(*b),
                        other => panic!("{other:?}"),
                    };
                    (key.clone(), value)
                });
                let mut pairs: Vec<_> = pairs.collect();
                pairs.sort_by(|a, b| a.0.cmp(&b.0));
                all.push((name.clone(), pairs));
            }
        }
        Some(all)
    }

    fn ours(text: &str) -> Option<Tables> {
        let mut all = Tables::new();
        for (_, item) in items(text.as_bytes()).ok()? {
            match item {
                Item::Table(name) => all.push((name.into(), Vec::new())),
                Item::Pair(key, value) => all.last_mut()?.1.push((key.into(), value)),
            }
        }
        all.sort_by(|a, b| a.0.cmp(&b.0)); // a table of tables by name: theirs
        for (_, pairs) in &mut all {
            pairs.sort_by(|a, b| a.0.cmp(&b.0));
            // what the file's reader refuses
            if pairs.windows(2).any(|w| w[0].0 == w[1].0) {
                return None;
            }
        }
        Some(all)
    }

    const GOOD: &str = "# all of it\n[[mount]] # one\r\npoint = \"/a \\\"b\\u00e4\\\\\" # x\n\tpool='p#\\'\n\n[[ mount ]]\nread_only = true\ncontainer-x = \"\"\n[[mount]]\na = ''\nb=false";

    #[test]
    fn what_is_taken_is_toml_and_means_the_same() {
        assert_eq!(ours(GOOD), by_toml(GOOD));
        assert_eq!(ours(GOOD).unwrap().len(), 3);
        let mut state = 1u64;
        let mut random = |n: usize| {
            state = state
                .wrapping_mul(6364136223846793005)
                .wrapping_add(1442695040888963407);
            (state >> 33) as usize % n
        };
        let mut taken = 0;
        for _ in 0..20_000 {
            let mut text: Vec<char> = GOOD.chars().collect();
            for _ in 0..1 + random(3) {
                let at = random(text.len());
                let with = [
                    '"', '\'', '\\', '#', '=', '[', ']', 'u', 'a', ' ', '\n', '0', '.', '\t',
                ];
                match random(3) {
                    0 => drop(text.remove(at)),
                    1 => text.insert(at, with[random(with.len())]),
                    _ => text[at] = with[random(with.len())],
                }
            }
            let text: String = text.into_iter().collect();
            if let Some(value) = ours(&text) {
                taken += 1;
                assert_eq!(Some(value), by_toml(&text), "{text:?}");
            }
        }
        assert!(taken > 2_000, "{taken}");
    }

    #[test]
    fn what_is_refused_has_its_line() {
        for (text, line) in [
            ("\n\nx", 3),
            ("[mount]", 1),
            ("[[mount", 1),
            ("[[a.b]]", 1),
            ("a.b = 'x'", 1),
            ("a = 1", 1),
            ("a = /dfs", 1),
            ("a = 'x' y", 1),
            ("#\na = \"x", 2),
            ("a = \"\\x\"", 1),
            ("a = \"\\ud800\"", 1),
            ("a = \"\\u12\"", 1),
            ("a = '''x'''", 1),
            ("a = \"\"\"x\"\"\"", 1),
            ("a = true1", 1),
            ("# \u{7}", 1),
            ("a = [\n'x']", 1),
        ] {
            assert_eq!(items(text.as_bytes()).unwrap_err().line, line, "{text:?}");
        }
        assert_eq!(items(b"a = '\xff'").unwrap_err().line, 1);
    }
}
