//! Sums over processes, and how they are shown.
use super::record::Record;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

/// One operation of the catalogue.
#[derive(Default, Clone, Copy)]
pub struct Row {
    pub served: u64,
    /// Declined ones among them.
    pub failed: u64,
    pub declined: u64,
    pub passed: u64,
}

impl Row {
    pub fn all(self) -> u64 {
        self.served + self.failed
    }
}

/// The sums of a job.
#[derive(Default)]
pub struct Totals {
    processes: usize,
    hosts: BTreeSet<String>,
    programs: BTreeMap<String, usize>,
    pub rows: BTreeMap<String, Row>,
    errnos: BTreeMap<i32, u64>,
    /// Declined and passed calls by symbol of libc or kernel call.
    by: BTreeMap<String, (u64, u64)>,
    other: BTreeMap<String, u64>,
}

impl Totals {
    pub fn of(records: &[Record]) -> Totals {
        let mut totals = Totals {
            processes: records.len(),
            ..Totals::default()
        };
        for record in records {
            totals.hosts.insert(record.field("host").to_owned());
            *totals
                .programs
                .entry(record.field("program").to_owned())
                .or_default() += 1;
            for (name, &value) in &record.counts {
                totals.add(name, value);
            }
        }
        totals
    }

    fn add(&mut self, name: &str, value: u64) {
        match name.split_once('.') {
            Some(("served", op)) => self.rows.entry(op.to_owned()).or_default().served += value,
            Some(("failed", op)) => self.rows.entry(op.to_owned()).or_default().failed += value,
            Some(("passed", op)) => self.rows.entry(op.to_owned()).or_default().passed += value,
            Some(("declined", op)) => self.rows.entry(op.to_owned()).or_default().declined += value,
            Some(("declined_by", by)) => self.by.entry(by.to_owned()).or_default().0 += value,
            Some(("passed_by", by)) => self.by.entry(by.to_owned()).or_default().1 += value,
            Some(("errno", number)) => {
                *self.errnos.entry(number.parse().unwrap_or(0)).or_default() += value
            }
            _ => *self.other.entry(name.to_owned()).or_default() += value,
        }
    }

    /// Whether nothing was counted.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    fn get(&self, name: &str) -> u64 {
        self.other.get(name).copied().unwrap_or(0)
    }

    fn calls(&self) -> u64 {
        self.rows.values().map(|row| row.all()).sum()
    }

    /// For people: the busiest operations first.
    pub fn table(&self) -> String {
        let mut out = String::new();
        let _ = writeln!(
            out,
            "{} processes on {} nodes",
            self.processes,
            self.hosts.len()
        );
        let programs = self.programs.iter().map(|(name, n)| format!("{name} {n}"));
        let _ = writeln!(
            out,
            "programs: {}\n",
            programs.collect::<Vec<_>>().join(", ")
        );
        let _ = writeln!(
            out,
            "{:<18} {:>14} {:>10} {:>10} {:>10}",
            "operation", "served", "failed", "declined", "passed on"
        );
        let mut rows: Vec<_> = self.rows.iter().collect();
        rows.sort_by_key(|(name, row)| (std::cmp::Reverse(row.all()), *name));
        for (name, row) in rows {
            let _ = writeln!(
                out,
                "{name:<18} {:>14} {:>10} {:>10} {:>10}",
                row.served, row.failed, row.declined, row.passed
            );
        }
        let _ = writeln!(out, "\n{:<18} {:>14}", "all", self.calls());
        let _ = writeln!(out, "{:<18} {:>14}", "DFS calls", self.get("dfs_calls"));
        for (title, name) in [
            ("bytes read", "bytes_read"),
            ("bytes written", "bytes_written"),
            ("bytes copied", "bytes_copied"),
        ] {
            let _ = writeln!(out, "{title:<18} {:>14}", self.get(name));
        }
        for (title, name) in [
            ("DAOS start, s", "daos_start_ns"),
            ("DAOS connect, s", "daos_connect_ns"),
        ] {
            let _ = writeln!(out, "{title:<18} {:>14.3}", self.get(name) as f64 / 1e9);
        }
        let _ = writeln!(
            out,
            "{:<18} {:>14}",
            "connections",
            self.get("daos_connects")
        );
        if !self.errnos.is_empty() {
            let errors = self
                .errnos
                .iter()
                .map(|(number, n)| format!("{} {n}", error(*number)));
            let _ = writeln!(
                out,
                "\nerrors answered: {}",
                errors.collect::<Vec<_>>().join(", ")
            );
        }
        for (title, of) in [
            ("declined: DFS has it not", 0),
            ("passed on to the kernel", 1),
        ] {
            let list: Vec<String> = self
                .by
                .iter()
                .map(|(name, counts)| (name, [counts.0, counts.1][of]))
                .filter(|(_, n)| *n > 0)
                .map(|(name, n)| format!("{name} {n}"))
                .collect();
            if !list.is_empty() {
                let _ = writeln!(out, "{title}: {}", list.join(", "));
            }
        }
        out
    }

    /// How many calls were served, how many failed, and their sum a second of `seconds`.
    pub fn rates(&self, seconds: f64) -> String {
        let failed: u64 = self.rows.values().map(|row| row.failed).sum();
        format!(
            "{} calls in {seconds:.3} s, {:.0} a second; {} answered with an error\n",
            self.calls(),
            self.calls() as f64 / seconds.max(1e-6),
            failed
        )
    }

    /// The sums as one JSON object.
    pub fn json(&self) -> serde_json::Value {
        let rows = self.rows.iter().map(|(name, row)| {
            let row = serde_json::json!({
                "served": row.served, "failed": row.failed,
                "declined": row.declined, "passed": row.passed,
            });
            (name.clone(), row)
        });
        let by = self.by.iter().map(|(name, (declined, passed))| {
            let counts = serde_json::json!({ "declined": declined, "passed": passed });
            (name.clone(), counts)
        });
        serde_json::json!({
            "processes": self.processes,
            "calls": self.calls(),
            "operations": rows.collect::<serde_json::Map<_, _>>(),
            "by": by.collect::<serde_json::Map<_, _>>(),
            "errnos": self.errnos,
            "other": self.other,
        })
    }

    /// One line of what is going on, with rates if there was a line before (a second ago).
    pub fn line(&self, before: Option<&Totals>) -> String {
        let rate = |name: &dyn Fn(&Totals) -> u64| {
            name(self).saturating_sub(before.map_or(name(self), name))
        };
        format!(
            "{} processes, {} calls/s, {:.1} MB/s read, {:.1} MB/s written, {} DFS calls/s\n",
            self.processes,
            rate(&Totals::calls),
            rate(&|t| t.get("bytes_read")) as f64 / 1e6,
            rate(&|t| t.get("bytes_written")) as f64 / 1e6,
            rate(&|t| t.get("dfs_calls")),
        )
    }

    /// The text format of Prometheus.
    pub fn prometheus(&self) -> String {
        let mut out = String::new();
        let mut metric = |name: &str, help: &str, lines: Vec<(String, f64)>| {
            let _ = writeln!(
                out,
                "# HELP pil4dfs_{name} {help}\n# TYPE pil4dfs_{name} gauge"
            );
            for (labels, value) in lines {
                let _ = writeln!(out, "pil4dfs_{name}{labels} {value}");
            }
        };
        let mut calls = Vec::new();
        for (op, row) in &self.rows {
            for (result, value) in [
                ("served", row.served),
                ("failed", row.failed),
                ("declined", row.declined),
                ("passed", row.passed),
            ] {
                calls.push((
                    format!("{{operation=\"{op}\",result=\"{result}\"}}"),
                    value as f64,
                ));
            }
        }
        metric("calls", "Calls on DAOS mounts.", calls);
        let bytes = |way: &str| {
            (
                format!("{{way=\"{way}\"}}"),
                self.get(&format!("bytes_{way}")) as f64,
            )
        };
        metric(
            "bytes",
            "Bytes moved.",
            vec![bytes("read"), bytes("written"), bytes("copied")],
        );
        let plain = |value: f64| vec![(String::new(), value)];
        metric(
            "dfs_calls",
            "Calls of libdfs.",
            plain(self.get("dfs_calls") as f64),
        );
        metric(
            "processes",
            "Processes that reported.",
            plain(self.processes as f64),
        );
        let seconds = (self.get("daos_start_ns") + self.get("daos_connect_ns")) as f64 / 1e9;
        metric(
            "daos_start_seconds",
            "Time to start DAOS and to connect.",
            plain(seconds),
        );
        out
    }
}

/// The message of an error number.
fn error(number: i32) -> String {
    let text = std::io::Error::from_raw_os_error(number).to_string();
    text.split(" (os error").next().unwrap_or("").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_find_their_places() {
        let mut totals = Totals::default();
        for (name, value) in [
            ("served.openat", 3),
            ("failed.openat", 1),
            ("errno.2", 1),
            ("bytes_read", 10),
        ] {
            totals.add(name, value);
        }
        assert_eq!(totals.calls(), 4);
        let table = totals.table();
        assert!(
            table.contains("openat") && table.contains("No such file or directory 1"),
            "{table}"
        );
        assert!(totals
            .prometheus()
            .contains("pil4dfs_calls{operation=\"openat\",result=\"failed\"} 1"));
        assert!(totals.line(None).starts_with("0 processes, 0 calls/s"));
    }
}
