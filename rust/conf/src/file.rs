//! The configuration file: one `[[mount]]` for each mount, with its point and what is mounted there.
use crate::name::point_of;
use crate::toml::{items, Item, Value};
use crate::{is_label, parse_url, Mount, Source, Url, Wrong, WRONG_POINT};
use std::collections::HashMap;

/// What was said of one mount so far.
#[derive(Default)]
struct Said {
    line: usize,
    point: Option<String>,
    pool: Option<String>,
    container: Option<String>,
    source: Option<Url>,
    entry_point: Option<bool>,
    read_only: Option<bool>,
}

/// The mounts of a file, or the first thing that is wrong with it.
pub fn parse(text: &[u8]) -> Result<Vec<Mount>, Wrong> {
    let mut mounts = Vec::new();
    let mut points = HashMap::new();
    let mut said: Option<Said> = None;
    let mut finish = |said: Option<Said>, mounts: &mut Vec<Mount>| -> Result<(), Wrong> {
        let Some(said) = said else { return Ok(()) };
        let line = said.line;
        let mount = said.mount()?;
        if let Some(other) = points.insert(mount.point.clone(), line) {
            let point = &mount.point;
            let what = format!("{point:?} is a mount point already (line {other})");
            return Err(Wrong::new(line, what));
        }
        mounts.push(mount);
        Ok(())
    };
    for (line, item) in items(text)? {
        match (item, &mut said) {
            (Item::Table("mount"), _) => {
                finish(said.take(), &mut mounts)?;
                said = Some(Said {
                    line,
                    ..Said::default()
                });
            }
            (Item::Table(name), _) => {
                let what = format!("[[{name}]] is unknown; there is [[mount]]");
                return Err(Wrong::new(line, what));
            }
            (Item::Pair(key, value), Some(said)) => {
                said.set(key, value)
                    .map_err(|what| Wrong::new(line, what))?;
            }
            (Item::Pair(key, _), None) => {
                let what = format!("{key} stands before the first [[mount]]");
                return Err(Wrong::new(line, what));
            }
        }
    }
    finish(said, &mut mounts)?;
    Ok(mounts)
}

impl Said {
    fn set(&mut self, key: &str, value: Value) -> Result<(), String> {
        let new = match key {
            "point" => {
                let text = string(key, value)?;
                let point = point_of(&text).ok_or_else(|| format!("point {text:?} {WRONG_POINT}"))?;
                self.point.replace(point).is_none()
            }
            "pool" => self.pool.replace(label(key, value)?).is_none(),
            "container" => self.container.replace(label(key, value)?).is_none(),
            "source" => {
                let url = parse_url(&string(key, value)?)?;
                self.source.replace(url).is_none()
            }
            "entry_point" => self.entry_point.replace(boolean(key, value)?).is_none(),
            "read_only" => self.read_only.replace(boolean(key, value)?).is_none(),
            _ => {
                return Err(format!(
                    "{key} is unknown; a mount has point, pool and container, source or entry_point, and read_only"
                ))
            }
        };
        new.then_some(())
            .ok_or_else(|| format!("{key} is there twice"))
    }

    fn mount(self) -> Result<Mount, Wrong> {
        let wrong = |what: &str| Wrong::new(self.line, what);
        let named = (self.pool, self.container, self.source);
        let source = match (named, self.entry_point == Some(true)) {
            ((Some(pool), Some(container), None), false) => Source::Url(Url {
                pool,
                container,
                below: String::new(),
            }),
            ((None, None, Some(url)), false) => Source::Url(url),
            ((None, None, None), true) => Source::EntryPoint,
            ((None, None, None), false) => return Err(wrong(
                "nothing says what is mounted: pool and container, source, or entry_point = true",
            )),
            ((Some(_), None, None), false) => return Err(wrong("container is missing")),
            ((None, Some(_), None), false) => return Err(wrong("pool is missing")),
            _ => return Err(wrong(
                "only one of these says what is mounted: pool and container, source, entry_point",
            )),
        };
        Ok(Mount {
            point: self.point.ok_or_else(|| wrong("point is missing"))?,
            source,
            read_only: self.read_only == Some(true),
        })
    }
}

fn string(key: &str, value: Value) -> Result<String, String> {
    match value {
        Value::String(text) => Ok(text),
        Value::Boolean(_) => Err(format!("{key} must be a string in quotes")),
    }
}

fn boolean(key: &str, value: Value) -> Result<bool, String> {
    match value {
        Value::Boolean(value) => Ok(value),
        Value::String(_) => Err(format!("{key} must be true or false")),
    }
}

fn label(key: &str, value: Value) -> Result<String, String> {
    let text = string(key, value)?;
    match is_label(&text) {
        true => Ok(text),
        false => Err(format!("{key} {text:?} is no label or UUID")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mounts_are_read() {
        let text = b"[[mount]]\npoint = \"/dfs//home/\"\npool = \"tank\"\ncontainer = \"home\"\n\
            # a part of a container\n[[mount]]\nread_only = true\npoint = '/dfs/runs'\nsource = \"daos://tank/runs/2026\"\n\
            [[mount]]\npoint = '/lustre/x'\nentry_point = true\nread_only = false\n";
        let all = parse(text).unwrap();
        let url = |m: &Mount| match &m.source {
            Source::Url(url) => url.to_string(),
            Source::EntryPoint => "by itself".into(),
        };
        let shown: Vec<_> = all
            .iter()
            .map(|m| (m.point.as_str(), url(m), m.read_only))
            .collect();
        assert_eq!(
            shown,
            [
                ("/dfs/home", "daos://tank/home".into(), false),
                ("/dfs/runs", "daos://tank/runs/2026".into(), true),
                ("/lustre/x", "by itself".into(), false),
            ]
        );
        assert_eq!(parse(b""), Ok(vec![]));
    }

    #[test]
    fn the_first_wrong_line_is_named() {
        let good = "[[mount]]\npoint = '/a'\npool = 'p'\ncontainer = 'c'\n";
        for (text, line, word) in [
            ("point = '/a'", 1, "before the first"),
            ("[[mont]]", 1, "mont"),
            ("[[mount]]\npoint = 'a'", 2, "absolute"),
            ("[[mount]]\npoint = true", 2, "string"),
            ("[[mount]]\n\npont = '/a'", 3, "pont"),
            ("[[mount]]\npoint = '/a'", 1, "nothing says"),
            (
                "[[mount]]\npool = 'p'\ncontainer = 'c'",
                1,
                "point is missing",
            ),
            (
                "[[mount]]\npoint = '/a'\npool = 'p'",
                1,
                "container is missing",
            ),
            ("[[mount]]\npoint = '/a'\npoint = '/b'", 3, "twice"),
            ("[[mount]]\npool = 'a b'", 2, "label"),
            ("[[mount]]\nsource = 'tank/home'", 2, "URL"),
            (
                "[[mount]]\npoint='/a'\nsource = 'daos://p/c'\nentry_point = true",
                1,
                "only one",
            ),
            ("[[mount]]\nread_only = 'yes'", 2, "true or false"),
            (&format!("{good}{good}"), 5, "line 1"),
        ] {
            let wrong = parse(text.as_bytes()).unwrap_err();
            assert_eq!(wrong.line, line, "{text:?}: {wrong}");
            assert!(wrong.what.contains(word), "{text:?}: {wrong}");
        }
    }
}
