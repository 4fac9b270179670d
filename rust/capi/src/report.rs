//! `D_IL_REPORT`: the lines of upstream's library, whose text job scripts search for, and the counters
//! behind them. A call counts when it is ours, also when it fails.
use crate::{logging, watch};
use std::fmt::Write;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// The rows in their printed order; `None` is the blank line between groups.
const ROWS: [Option<&str>; 15] = [
    Some("read"),
    Some("write"),
    None,
    Some("open"),
    Some("stat"),
    Some("opendir"),
    Some("readdir"),
    Some("link"),
    Some("unlink"),
    Some("rdlink"),
    Some("seek"),
    Some("mkdir"),
    Some("rmdir"),
    Some("rename"),
    Some("mmap"),
];

static ENABLED: AtomicBool = AtomicBool::new(false);
static COUNTS: [AtomicU64; ROWS.len()] = [const { AtomicU64::new(0) }; ROWS.len()];

/// Turns the report on and prints the start line for program `app`.
pub fn announce(app: &str, on: bool) {
    ENABLED.store(on, Ordering::Relaxed);
    if on {
        watch::add(watch::REPORT);
        logging::keep_stderr();
    }
    logging::report(
        format!("app {app} interception {}\n", if on { "ON" } else { "OFF" }).as_bytes(),
    );
}

/// Whether calls are to be counted.
#[inline]
pub fn enabled() -> bool {
    ENABLED.load(Ordering::Relaxed)
}

/// Index of the counter with this name (spec/calls.tbl), if it has a row.
pub fn row(name: &str) -> Option<usize> {
    ROWS.iter().position(|row| *row == Some(name))
}

/// Counts one call.
pub fn count(row: usize) {
    COUNTS[row].fetch_add(1, Ordering::Relaxed);
}

/// Forgets the counts: the child of a fork reports its own calls.
pub fn reset() {
    COUNTS.iter().for_each(|c| c.store(0, Ordering::Relaxed));
}

/// Prints the summary, if the report is on; once.
pub fn summary() {
    if ENABLED.swap(false, Ordering::Relaxed) {
        logging::report(text(&COUNTS.each_ref().map(|c| c.load(Ordering::Relaxed))).as_bytes());
    }
}

fn text(counts: &[u64; ROWS.len()]) -> String {
    let mut out = String::from("libpil4dfs intercepting summary for ops on DFS:\n");
    for (name, n) in ROWS.iter().zip(counts) {
        let _ = match name {
            Some(name) => writeln!(out, "[{name:<7}]  {n}"),
            None => writeln!(out),
        };
    }
    let _ = writeln!(out, "\n[op_sum ]  {}", counts.iter().sum::<u64>());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_is_the_one_that_scripts_search_for() {
        let mut counts = [0; ROWS.len()];
        counts[row("read").unwrap()] = 12;
        counts[row("rename").unwrap()] = 3;
        let text = text(&counts);
        assert!(text.starts_with("libpil4dfs intercepting summary for ops on DFS:\n[read   ]  12\n[write  ]  0\n\n[open   ]  0\n"));
        assert!(text.ends_with("[rename ]  3\n[mmap   ]  0\n\n[op_sum ]  15\n"));
    }
}
