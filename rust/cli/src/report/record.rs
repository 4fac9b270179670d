//! One process's report: the line of JSON that it left at its end, or the counters of one that still
//! runs, was killed or became another program. Both describe themselves (capi's statistics.rs); a
//! file that is neither is passed over.
use indicatif::ProgressBar;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::io::Result;
use std::path::Path;

/// What a process did.
pub struct Record {
    /// Who it was: host, pid, program, mounts, times.
    pub about: Map<String, Value>,
    /// Counters by name, those that are not 0.
    pub counts: BTreeMap<String, u64>,
    /// Left by a process that did not end through exit.
    live: bool,
}

/// All reports of a directory, the oldest first.
pub fn read_all(dir: &Path, bar: &ProgressBar) -> Result<Vec<Record>> {
    let mut all = Vec::new();
    let entries = std::fs::read_dir(dir)?.collect::<Result<Vec<_>>>()?;
    bar.set_length(entries.len() as u64);
    for entry in bar.wrap_iter(entries.iter()) {
        let path = entry.path();
        let live = match path.extension().and_then(|e| e.to_str()) {
            Some("json") => false,
            Some("live") => true,
            _ => continue,
        };
        // Gone meanwhile: its process has just put the other form into its place.
        let Ok(bytes) = std::fs::read(&path) else {
            continue;
        };
        all.extend(parse(&bytes, live));
    }
    bar.finish_and_clear();
    all.sort_by(|a, b| a.noted().total_cmp(&b.noted()));
    Ok(all)
}

fn parse(bytes: &[u8], live: bool) -> Option<Record> {
    let end = bytes.iter().position(|b| *b == b'\n')?;
    let Value::Object(mut about) = serde_json::from_slice(&bytes[..end]).ok()? else {
        return None;
    };
    about.get("pil4dfs")?;
    let mut counts = BTreeMap::new();
    if live {
        let sets = about.remove("sets").unwrap_or_default();
        let names = counters(&about.remove("counters")?, &sets)?;
        let at = about.remove("at")?.as_u64()? as usize;
        let words = bytes.get(at..)?.chunks_exact(8);
        for (name, word) in names.into_iter().zip(words) {
            let value = u64::from_ne_bytes(word.try_into().ok()?);
            if value > 0 {
                counts.insert(name, value);
            }
        }
    } else {
        let is_about = |name: &str| {
            [
                "pil4dfs", "host", "pid", "parent", "noted", "uid", "program", "mounts", "ended",
            ]
            .contains(&name)
        };
        let names: Vec<String> = about
            .keys()
            .filter(|name| !is_about(name))
            .cloned()
            .collect();
        for name in names {
            counts.insert(name.clone(), about.remove(&name)?.as_u64()?);
        }
    }
    Some(Record {
        about,
        counts,
        live,
    })
}

/// The names of the numbers: `"served.@op"` stands for one of each member of the set `op`.
fn counters(described: &Value, sets: &Value) -> Option<Vec<String>> {
    let mut names = Vec::new();
    for name in described.as_array()? {
        let name = name.as_str()?;
        match name.split_once('@') {
            None => names.push(name.to_owned()),
            Some((head, set)) => {
                for member in sets.get(set)?.as_array()? {
                    names.push(format!("{head}{}", member.as_str()?));
                }
            }
        }
    }
    Some(names)
}

impl Record {
    /// When it was begun or written, seconds since 1970.
    fn noted(&self) -> f64 {
        self.about
            .get("noted")
            .and_then(Value::as_f64)
            .unwrap_or(0.0)
    }

    /// The text of a field, or nothing.
    pub fn field(&self, name: &str) -> &str {
        self.about.get(name).and_then(Value::as_str).unwrap_or("")
    }

    /// Whether the process is running, as far as this node can tell.
    pub fn runs(&self) -> bool {
        let pid = self.about.get("pid").and_then(Value::as_u64).unwrap_or(0);
        self.live && Path::new(&format!("/proc/{pid}")).exists()
    }

    /// One JSON object.
    pub fn json(&self) -> Value {
        let mut all = self.about.clone();
        all.insert("running".to_owned(), self.runs().into());
        let counts = self
            .counts
            .iter()
            .map(|(name, value)| (name.clone(), (*value).into()));
        all.insert("counts".to_owned(), Value::Object(counts.collect()));
        Value::Object(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_are_read() {
        let ended =
            br#"{"pil4dfs":"1","host":"h","pid":1,"noted":2.5,"program":"p","served.read":7}
"#;
        let record = parse(ended, false).unwrap();
        assert_eq!(
            (record.counts["served.read"], record.field("program")),
            (7, "p")
        );
        let mut live =
            br#"{"pil4dfs":"1","pid":1,"at":96,"sets":{"op":["x","y"]},"counters":["a","f.@op"]}
"#
            .to_vec();
        live.resize(96, 0);
        assert_eq!(live[95], 0, "the head has grown");
        live.extend([0u64, 0, 9].map(u64::to_ne_bytes).concat());
        let record = parse(&live, true).unwrap();
        assert_eq!(
            record.counts.into_iter().collect::<Vec<_>>(),
            [("f.y".to_owned(), 9)]
        );
    }

    #[test]
    fn what_is_no_report_is_passed_over() {
        for bytes in [
            &b""[..],
            b"{}\n",
            b"[1]\n",
            b"{\"pil4dfs\":1",
            b"{\"pil4dfs\":\"1\",\"x\":\"y\"}\n",
        ] {
            assert!(parse(bytes, false).is_none());
            assert!(parse(bytes, true).is_none());
        }
    }
}
