//! `pil4dfs bench`: how fast a mount is through the library, beside a directory of the kernel: a short run of
//! processes of this command, in turn on the one and on the other. Numbers of one moment on one
//! node: for orientation, not for papers.
pub mod work;

use crate::target::Target;
use crate::{print, progress, Failure};
use clap::Args;
use indicatif::ProgressBar;
use serde_json::{json, Value};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt::Write;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use work::{Measured, PHASES};

/// Measure a mount through the library beside a directory of the kernel.
///
/// Makes a directory of its own in both places, and removes it.
#[derive(Args)]
pub struct Bench {
    #[command(flatten)]
    target: Target,
    /// Directory on the mount [default: the mount point].
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Directory of the kernel to compare with [default: TMPDIR, or /tmp].
    #[arg(long, value_name = "DIR")]
    against: Option<PathBuf>,
    /// Files to create, stat, open and unlink.
    #[arg(long, value_name = "N", default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    files: u32,
    /// Size of the file that is written and read, MiB.
    #[arg(long, value_name = "MIB", default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    mib: u32,
    /// How often; medians are shown.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=1000))]
    rounds: u32,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// Seconds of each phase, of every round.
type Times = BTreeMap<String, Vec<f64>>;

impl Bench {
    /// Measures and prints.
    pub fn execute(self) -> Result<ExitCode, Failure> {
        let variables = self.target.variables()?;
        let set = variables.iter().find(|(n, _)| *n == "D_IL_MOUNT_POINT");
        let point = set
            .map(|(_, value)| value.clone())
            .or_else(|| std::env::var_os("D_IL_MOUNT_POINT"));
        let Some(mount) = self.dir.clone().or_else(|| point.map(PathBuf::from)) else {
            return Err(Failure::usage(
                "no mount: give --pool, --cont and --mount, or the directory of a dfuse mount with --dir",
            ));
        };
        let kernel = self.against.clone().unwrap_or_else(std::env::temp_dir);
        if !kernel.is_dir() {
            return Err(Failure::usage(format!(
                "--against {}: no such directory",
                kernel.display()
            )));
        }
        let bar = progress::bar(u64::from(self.rounds) * 2 * PHASES.len() as u64);
        let (mut ours, mut theirs) = (Times::new(), Times::new());
        for _ in 0..self.rounds {
            self.round(&bar, &kernel, None, &mut theirs)?;
            self.round(&bar, &mount, Some(&variables), &mut ours)?;
        }
        bar.finish_and_clear();
        print(&match self.json {
            true => format!("{:#}\n", self.object(&mount, &kernel, &ours, &theirs)),
            false => self.table(&mount, &kernel, &ours, &theirs),
        })
    }

    /// One process on one place; with `variables` it must be served by the library.
    fn round(
        &self,
        bar: &ProgressBar,
        dir: &Path,
        variables: Option<&[(&'static str, OsString)]>,
        times: &mut Times,
    ) -> Result<(), Failure> {
        let failed = |text: String| Failure { text, code: 1 };
        let mut command = Command::new("/proc/self/exe");
        command.arg("bench-work").arg(dir);
        command.args([self.files.to_string(), self.mib.to_string()]);
        match variables {
            Some(variables) => {
                command.envs(variables.iter().map(|(name, value)| (name, value)));
                command.env("D_IL_NO_BYPASS", "1").arg("--served");
            }
            None => drop(command.env_remove("LD_PRELOAD")),
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        command.stderr(Stdio::piped());
        let mut child = command
            .spawn()
            .map_err(|e| failed(format!("cannot start a process of my own: {e}")))?;
        let lines = child.stdout.take().map(BufReader::new);
        for line in lines
            .into_iter()
            .flat_map(BufRead::lines)
            .map_while(Result::ok)
        {
            if let Ok(measured) = serde_json::from_str::<Measured>(&line) {
                bar.set_message(format!("{} on {}", measured.phase, dir.display()));
                bar.inc(1);
                let all = times.entry(measured.phase).or_default();
                all.push(measured.seconds);
            }
        }
        let mut complained = String::new();
        if let Some(mut stderr) = child.stderr.take() {
            let _ = stderr.read_to_string(&mut complained);
        }
        let ended = child.wait().map_err(|e| failed(e.to_string()))?;
        match ended.success() {
            true => Ok(()),
            false => Err(failed(format!(
                "{}: {}; pil4dfs doctor with the same options says more",
                dir.display(),
                complained.trim()
            ))),
        }
    }

    /// Operations a second, and MiB where a phase moves data.
    fn rate(&self, phase: &str, seconds: f64) -> (f64, Option<f64>) {
        let calls = work::calls(phase, self.files, self.mib);
        let moved = work::moves(phase).then(|| f64::from(self.mib) / seconds.max(1e-9));
        (calls as f64 / seconds.max(1e-9), moved)
    }

    fn table(&self, mount: &Path, kernel: &Path, ours: &Times, theirs: &Times) -> String {
        let mut out = format!(
            "{:<14} {:>16} {:>16} {:>8}\n",
            "", "library", "kernel", "ratio"
        );
        for phase in PHASES {
            let (Some(mine), Some(other)) = (median(ours, phase), median(theirs, phase)) else {
                continue;
            };
            let shown = |seconds| match self.rate(phase, seconds) {
                (_, Some(mib)) => format!("{mib:.0} MiB/s"),
                (_, None) if phase == PHASES[0] => format!("{:.2} ms", seconds * 1e3),
                (calls, None) => format!("{calls:.0} /s"),
            };
            let _ = writeln!(
                out,
                "{phase:<14} {:>16} {:>16} {:>8.2}",
                shown(mine),
                shown(other),
                other / mine.max(1e-9)
            );
        }
        let _ = writeln!(
            out,
            "\nlibrary: {} (served)\nkernel:  {} ({}, through its page cache)\nmedians of {} rounds, {} files, {} MiB; one process; a ratio above 1: the library is faster",
            mount.display(),
            kernel.display(),
            file_system(kernel),
            self.rounds,
            self.files,
            self.mib
        );
        out
    }

    fn object(&self, mount: &Path, kernel: &Path, ours: &Times, theirs: &Times) -> Value {
        let side = |times: &Times| {
            let phases = PHASES.iter().filter_map(|phase| {
                let middle = median(times, phase)?;
                let (calls, mib) = self.rate(phase, middle);
                let row =
                    json!({ "seconds": times[*phase], "per_second": calls, "mib_per_second": mib });
                Some(((*phase).to_owned(), row))
            });
            Value::Object(phases.collect())
        };
        json!({
            "files": self.files, "mib": self.mib, "rounds": self.rounds,
            "library": { "dir": mount.display().to_string(), "phases": side(ours) },
            "kernel": {
                "dir": kernel.display().to_string(), "file_system": file_system(kernel),
                "phases": side(theirs),
            },
        })
    }
}

fn median(times: &Times, phase: &str) -> Option<f64> {
    let mut all = times.get(phase)?.clone();
    all.sort_by(f64::total_cmp);
    all.get(all.len() / 2).copied()
}

/// The type of the file system that holds a directory, from the kernel's table.
fn file_system(dir: &Path) -> String {
    let real = dir.canonicalize().unwrap_or_else(|_| dir.to_owned());
    let table = std::fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let held = table.lines().filter_map(|line| {
        let mut fields = line.split(' ').skip(1);
        let (point, kind) = (fields.next()?, fields.next()?);
        real.starts_with(point).then_some((point.len(), kind))
    });
    held.max_by_key(|(len, _)| *len)
        .map_or("unknown", |(_, kind)| kind)
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_and_file_systems() {
        let times = Times::from([("stat".to_owned(), vec![3.0, 1.0, 2.0])]);
        assert_eq!(
            (median(&times, "stat"), median(&times, "open")),
            (Some(2.0), None)
        );
        assert_eq!(file_system(Path::new("/proc/self")), "proc");
    }
}
