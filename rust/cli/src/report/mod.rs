//! `pil4dfs report`: what the processes of a job did on their mounts, from the directory that
//! PIL4DFS_REPORT_DIR named: as a table, JSON, a plot, or a file for Prometheus.
mod chart;
pub mod record;
pub mod totals;

use crate::{print, progress, Failure};
use clap::Args;
use indicatif::ProgressBar;
use record::Record;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use totals::Totals;

/// Show what the processes of a job did on their mounts.
///
/// DIR is what PIL4DFS_REPORT_DIR was set to; every process under the library leaves a file there.
#[derive(Args)]
pub struct Report {
    /// The directory.
    dir: PathBuf,
    /// Only processes that are running now, again every second until interrupted.
    #[arg(long)]
    live: bool,
    /// A line of JSON for every process.
    #[arg(long, conflicts_with = "live")]
    json: bool,
    /// Write a plot of calls by operation.
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// Write the sums as metrics for Prometheus's text-file collector.
    #[arg(long, value_name = "FILE")]
    prometheus: Option<PathBuf>,
}

impl Report {
    /// Reads, adds up and prints.
    pub fn execute(self) -> Result<ExitCode, Failure> {
        if self.live {
            return self.watch();
        }
        let records = self.records(&progress::bar(0).with_message("reading"))?;
        if records.is_empty() {
            return Err(Failure::usage(format!(
                "{} holds no report: run programs with PIL4DFS_REPORT_DIR={0} and a mount",
                self.dir.display()
            )));
        }
        let totals = Totals::of(&records);
        if let Some(file) = &self.svg {
            write(file, &chart::svg(&totals))?;
        }
        if let Some(file) = &self.prometheus {
            write(file, &totals.prometheus())?;
        }
        print(&match self.json {
            true => records.iter().map(|r| format!("{}\n", r.json())).collect(),
            false => totals.table(),
        })
    }

    fn records(&self, bar: &ProgressBar) -> Result<Vec<Record>, Failure> {
        record::read_all(&self.dir, bar)
            .map_err(|e| Failure::usage(format!("cannot read {}: {e}", self.dir.display())))
    }

    fn running(&self) -> Result<Vec<Record>, Failure> {
        let mut records = self.records(&ProgressBar::hidden())?;
        records.retain(Record::runs);
        Ok(records)
    }

    /// Prints the sums of the running processes every second.
    fn watch(&self) -> Result<ExitCode, Failure> {
        let mut before: Option<Totals> = None;
        loop {
            let running = self.running()?;
            let now = Totals::of(&running);
            print(&now.line(before.as_ref()))?;
            if running.is_empty() {
                return Ok(ExitCode::SUCCESS);
            }
            before = Some(now);
            std::thread::sleep(std::time::Duration::from_secs(1));
        }
    }
}

/// Whole or not at all: a collector may read it at any time.
fn write(file: &Path, text: &str) -> Result<(), Failure> {
    let mut fresh = file.as_os_str().to_owned();
    fresh.push(format!(".{}", std::process::id()));
    std::fs::write(&fresh, text)
        .and_then(|()| std::fs::rename(&fresh, file))
        .map_err(|e| {
            let _ = std::fs::remove_file(&fresh);
            Failure {
                text: format!("cannot write {}: {e}", file.display()),
                code: 1,
            }
        })
}
