//! `D_IL_REPORT`: the lines of upstream's library, whose text job scripts search for, and the counters
//! behind them. A call counts when it is ours, also when it fails.
use crate::{logging, watch};
use std::fmt::Write;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use vfs::catalogue;

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

/// Counts a call as upstream's functions would have: `value` is its answer, `by` who made it
/// ([`catalogue::caller`]).
pub fn call(op: i32, args: &[i64; 6], value: i64, by: u32) {
    let name = catalogue::caller(by).map_or("", catalogue::caller_name);
    let (counter, n) = match op {
        // libc's own open of a directory is opendir's; a program's is an open.
        catalogue::openat if by & catalogue::EXPORT != 0 => (Some("open"), 1),
        catalogue::unlinkat if !name.ends_with("rmdir") => (Some("unlink"), 1),
        catalogue::getdents64 => (Some("readdir"), entries(args[1], value)),
        _ => (catalogue::report_call(op, args), 1),
    };
    if let Some(row) = counter.and_then(row) {
        COUNTS[row].fetch_add(n, Ordering::Relaxed);
    }
}

/// How many calls of readdir take what getdents64 has given: one for each name, without the two dots
/// that upstream does not list, and one for the end.
fn entries(buffer: i64, value: i64) -> u64 {
    /// Offsets in a record: its length, its name.
    const LENGTH: usize = 16;
    const NAME: usize = 19;
    let Ok(len @ 1..) = usize::try_from(value) else {
        return 1;
    };
    // SAFETY: the call has just written so many bytes there.
    let bytes = unsafe { std::slice::from_raw_parts(buffer as usize as *const u8, len) };
    let (mut at, mut names) = (0, 0);
    while let Some([low, high]) = bytes.get(at + LENGTH..at + LENGTH + 2) {
        let dots = bytes[at..].get(NAME..NAME + 3);
        let dots = matches!(dots, Some([b'.', 0, _] | [b'.', b'.', 0]));
        names += u64::from(!dots);
        match u16::from_le_bytes([*low, *high]) {
            0 => break,
            length => at += usize::from(length),
        }
    }
    names
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
