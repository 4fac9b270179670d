//! Values of our variables that cannot be meant: a sentence for each, which says what is done instead.
//! The names and kinds are those of spec/environment.tbl.
use std::ffi::CString;

/// The words that a variable may have; the first is the default.
const WORDS: [(&str, [&str; 2]); 4] = [
    ("PIL4DFS_HOOK", ["sites", "off"]),
    ("PIL4DFS_FD", ["kernel", "high"]),
    ("PIL4DFS_READDIR", ["types", "names"]),
    ("PIL4DFS_EXEC_ENV", ["complete", "leave"]),
];
const NUMBERS: [&str; 6] = [
    "PIL4DFS_MMAP_LIMIT",
    "D_IL_DCACHE_REC_TIMEOUT",
    "D_IL_DCACHE_SIZE_BITS",
    "D_IL_DCACHE_GC_PERIOD",
    "D_IL_DCACHE_GC_RECLAIM_MAX",
    "D_IL_MAX_EQ",
];
const PATHS: [&str; 2] = ["PIL4DFS_REPORT_DIR", "PIL4DFS_TRACE"];
const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

/// The sentences, of an environment read through `get`.
pub fn complaints(get: &dyn Fn(&str) -> Option<CString>) -> Vec<String> {
    let value = |name: &str| {
        let value = get(name)?.to_string_lossy().into_owned();
        Some(value).filter(|value| !value.is_empty())
    };
    let mut all = Vec::new();
    for (name, words) in WORDS {
        let [default, other] = words;
        if let Some(value) = value(name).filter(|v| !words.contains(&v.as_str())) {
            all.push(format!(
                "{name}={value} is neither {default} nor {other}: {default} is taken"
            ));
        }
    }
    for name in NUMBERS {
        if let Some(value) = value(name).filter(|v| v.trim().parse::<u64>().is_err()) {
            all.push(format!("{name}={value} is no number: the default is taken"));
        }
    }
    for name in PATHS {
        if let Some(value) = value(name).filter(|v| !v.starts_with('/')) {
            all.push(format!(
                "{name}={value} is no absolute path: nothing is written"
            ));
        }
    }
    if let Some(value) = value("PIL4DFS_LOG") {
        let level = value.split(':').next().unwrap_or_default();
        if !LEVELS.contains(&level.to_ascii_lowercase().as_str()) {
            all.push(format!(
                "PIL4DFS_LOG={value} begins with no level: warn is taken"
            ));
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(name: &str, value: &str) -> Vec<String> {
        complaints(&|asked| CString::new(value).ok().filter(|_| asked == name))
    }

    #[test]
    fn a_sentence_for_each() {
        for (name, value) in [
            ("PIL4DFS_HOOK", "sometimes"),
            ("PIL4DFS_FD", "low"),
            ("PIL4DFS_MMAP_LIMIT", "1G"),
            ("D_IL_DCACHE_REC_TIMEOUT", "-7x"),
            ("D_IL_DCACHE_SIZE_BITS", "big"),
            ("D_IL_MAX_EQ", "many"),
            ("PIL4DFS_TRACE", "file"),
            ("PIL4DFS_LOG", "loud:/x"),
        ] {
            let all = said(name, value);
            assert!(all.len() == 1 && all[0].starts_with(name), "{all:?}");
        }
    }

    #[test]
    fn what_is_fine_is_not_told() {
        for (name, value) in [
            ("PIL4DFS_HOOK", ""),
            ("PIL4DFS_HOOK", "off"),
            ("PIL4DFS_LOG", "DEBUG:/x"),
            ("PIL4DFS_MMAP_LIMIT", "0"),
            ("D_IL_MAX_EQ", "0"),
        ] {
            assert_eq!(said(name, value), [""; 0], "{name}={value}");
        }
    }
}
