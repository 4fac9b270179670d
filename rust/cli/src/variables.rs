//! The variables of spec/environment.tbl that are set here, held against the table: names that nobody
//! reads and values that cannot be meant.
use crate::finding::Findings;

/// A row of the table.
struct Variable {
    name: &'static str,
    kind: &'static str,
}

fn table() -> impl Iterator<Item = Variable> {
    let lines = include_str!("../../../spec/environment.tbl").lines();
    let rows = lines.filter(|line| line.starts_with(|c: char| c.is_ascii_uppercase()));
    rows.filter_map(|line| {
        let mut words = line.split_whitespace();
        Some(Variable {
            name: words.next()?,
            kind: words.next()?,
        })
    })
}

/// Looks at every variable of ours in `environment`.
pub fn look(findings: &mut Findings, environment: impl Iterator<Item = (String, String)>) {
    let known: Vec<Variable> = table().collect();
    for (name, value) in environment {
        if !name.starts_with("PIL4DFS_") && !name.starts_with("D_IL_") {
            continue;
        }
        match known.iter().find(|row| row.name == name) {
            None => {
                let near = known
                    .iter()
                    .min_by_key(|row| distance(row.name, &name))
                    .filter(|row| distance(row.name, &name) <= 3);
                let remedy = match near {
                    Some(row) => format!("perhaps {} is meant; unset {name}", row.name),
                    None => "libpil4dfs(7) lists the variables".to_owned(),
                };
                findings.warning("variables", format!("{name} is read by nobody"), &remedy);
            }
            Some(row) => {
                if let Some(wanted) = unfit(row.kind, &value) {
                    let what = format!("{name}={value} is no {wanted}");
                    findings.warning(
                        "variables",
                        what,
                        "the default is taken: libpil4dfs(7) says which; correct or unset it",
                    );
                }
            }
        }
    }
}

/// What a value should have been.
fn unfit(kind: &str, value: &str) -> Option<String> {
    let number = !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit());
    let fits = match kind {
        _ if value.is_empty() => true,
        "number" | "seconds" | "bytes" | "microseconds" => number,
        "path" => value.starts_with('/'),
        "level[:file]" => {
            let level = value.split(':').next().unwrap_or("");
            let levels = ["off", "error", "warn", "info", "debug", "trace"];
            levels.contains(&level.to_ascii_lowercase().as_str())
        }
        kind if kind.contains('|') => kind.split('|').any(|word| word == value),
        _ => true,
    };
    let wanted = match kind {
        "path" => "absolute path".to_owned(),
        "level[:file]" => "level (error, warn, info, debug, trace, off)".to_owned(),
        "number" | "seconds" | "bytes" | "microseconds" => format!("number ({kind})"),
        kind => kind.replace('|', " or "),
    };
    (!fits).then_some(wanted)
}

/// How many letters are to be changed, put in or left out.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut corner = i;
        row[0] = i + 1;
        for (j, y) in b.bytes().enumerate() {
            let best = (corner + usize::from(x != y))
                .min(row[j] + 1)
                .min(row[j + 1] + 1);
            corner = std::mem::replace(&mut row[j + 1], best);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(name: &str, value: &str) -> String {
        let mut findings = Findings::default();
        let set = [(name.to_owned(), value.to_owned())];
        look(&mut findings, set.into_iter());
        findings.text()
    }

    #[test]
    fn unknown_names_and_values_are_told() {
        assert!(said("PIL4DFS_REPORTDIR", "/x").contains("perhaps PIL4DFS_REPORT_DIR"));
        assert!(said("D_IL_SOMETHING_ELSE", "1").contains("read by nobody"));
        assert!(said("PIL4DFS_HOOK", "never").contains("sites or off"));
        assert!(said("PIL4DFS_MMAP_LIMIT", "1G").contains("number (bytes)"));
        assert!(said("PIL4DFS_RUNDIR", "run").contains("absolute path"));
        assert!(said("PIL4DFS_LOG", "loud:/x").contains("no level"));
        for (name, value) in [
            ("PIL4DFS_LOG", "debug:/x"),
            ("D_IL_POOL", "p"),
            ("HOME", "x"),
            ("PIL4DFS_HOOK", ""),
        ] {
            assert_eq!(said(name, value), "", "{name}");
        }
    }

    #[test]
    fn letters_are_counted() {
        assert_eq!(distance("abc", "abc"), 0);
        assert_eq!(distance("abc", "axcd"), 2);
    }
}
