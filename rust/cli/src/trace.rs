//! `pil4dfs trace`: runs a program and shows every call it makes on a mount, and how it was answered. The
//! library appends a line for each to a file of ours (PIL4DFS_TRACE), which is shown while it grows;
//! the sums at the end are those of PIL4DFS_REPORT_DIR.
use crate::program::{self, Kind};
use crate::report::{record, totals::Totals};
use crate::target::Target;
use crate::{run, Failure};
use clap::Args;
use indicatif::ProgressBar;
use serde_json::Value;
use std::ffi::OsString;
use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, ExitStatus};
use std::time::{Duration, Instant};

/// Run a program and show its calls on mounts: served, failed, declined (DFS has no such thing) or
/// passed on to the kernel; then sums and rates.
///
/// Lines and sums go to standard error, standard output is the program's. The exit status is its own.
#[derive(Args)]
pub struct Trace {
    #[command(flatten)]
    target: Target,
    /// Sums only: costs a counter for each call instead of a line.
    #[arg(long)]
    summary: bool,
    /// A line of JSON for each call, and one with the sums.
    #[arg(long)]
    json: bool,
    /// Write to FILE instead of standard error.
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// The program and its arguments.
    #[arg(required = true, trailing_var_arg = true, value_name = "CMD")]
    command: Vec<OsString>,
}

impl Trace {
    /// Runs it to its end.
    pub fn execute(self) -> Result<ExitCode, Failure> {
        let variables = self.target.variables()?;
        let kind = program::kind(&self.command[0]);
        let shown = Path::new(&self.command[0]).display();
        if kind != Kind::Loads {
            return Err(Failure::usage(format!(
                "{shown}: {}: the library cannot be loaded into it, so there is nothing to trace; see pil4dfs check",
                kind.words()
            )));
        }
        let mut out = self.open()?;
        let place = Place::new()?;
        let began = Instant::now();
        let mut command = Command::new(&self.command[0]);
        command.args(&self.command[1..]).envs(variables);
        command.env("PIL4DFS_REPORT_DIR", &place.dir);
        match self.summary {
            true => command.env_remove("PIL4DFS_TRACE"),
            false => command.env("PIL4DFS_TRACE", &place.calls),
        };
        let mut child = command
            .spawn()
            .map_err(|e| run::cannot_run(&self.command[0], &e))?;
        // Interrupts are meant for the program; what it has done is shown nevertheless.
        for signal in [libc::SIGINT, libc::SIGQUIT] {
            // SAFETY: ignores a signal of this process.
            unsafe { libc::signal(signal, libc::SIG_IGN) };
        }
        let mut calls = Calls::default();
        let status = loop {
            // Asked first: what was written before the end is read after it.
            let ended = child.try_wait().map_err(|e| Failure {
                text: format!("cannot wait for {shown}: {e}"),
                code: 1,
            })?;
            calls.follow(&place.calls, |line| self.show(&mut out, line));
            match ended {
                Some(status) => break status,
                None => std::thread::sleep(Duration::from_millis(50)),
            }
        };
        let seconds = began.elapsed().as_secs_f64();
        let records = record::read_all(&place.dir, &ProgressBar::hidden()).unwrap_or_default();
        self.sums(&mut out, &Totals::of(&records), seconds);
        Ok(code(status))
    }

    fn open(&self) -> Result<Box<dyn Write>, Failure> {
        let Some(path) = &self.output else {
            return Ok(Box::new(std::io::stderr()));
        };
        let file = File::create(path)
            .map_err(|e| Failure::usage(format!("cannot write {}: {e}", path.display())))?;
        Ok(Box::new(std::io::BufWriter::new(file)))
    }

    /// One call; a reader that has gone away must not end the program's run.
    fn show(&self, out: &mut dyn Write, line: &str) {
        let _ = match self.json {
            true => writeln!(out, "{line}"),
            false => match serde_json::from_str(line) {
                Ok(call) => writeln!(out, "{}", text(&call)),
                Err(_) => Ok(()),
            },
        };
    }

    fn sums(&self, out: &mut dyn Write, totals: &Totals, seconds: f64) {
        let _ = if self.json {
            let sums = serde_json::json!({ "seconds": seconds, "summary": totals.json() });
            writeln!(out, "{sums}")
        } else if totals.is_empty() {
            writeln!(
                out,
                "no call on a mount was seen in {seconds:.3} s; see pil4dfs check, and pil4dfs doctor with the same options"
            )
        } else {
            write!(out, "\n{}{}", totals.table(), totals.rates(seconds))
        };
        let _ = out.flush();
    }
}

/// The status a shell would give.
fn code(status: ExitStatus) -> ExitCode {
    let number = status
        .code()
        .unwrap_or_else(|| 128 + status.signal().unwrap_or(0));
    ExitCode::from(u8::try_from(number).unwrap_or(1))
}

/// A directory of ours for as long as the program runs.
struct Place {
    dir: PathBuf,
    calls: PathBuf,
}

impl Place {
    fn new() -> Result<Place, Failure> {
        let dir = std::env::temp_dir().join(format!("pil4dfs-trace-{}", std::process::id()));
        let made = std::fs::DirBuilder::new().mode(0o700).create(&dir);
        let dir = made.and_then(|()| dir.canonicalize()).map_err(|e| {
            Failure::usage(format!(
                "cannot make {} for the calls: {e}; set TMPDIR",
                dir.display()
            ))
        })?;
        let calls = dir.join("calls");
        Ok(Place { dir, calls })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

/// The file of calls, as far as it was read.
#[derive(Default)]
struct Calls {
    file: Option<File>,
    rest: Vec<u8>,
}

impl Calls {
    /// Hands out the whole lines that have come.
    fn follow(&mut self, path: &Path, mut each: impl FnMut(&str)) {
        if self.file.is_none() {
            self.file = File::open(path).ok();
        }
        let Some(file) = &mut self.file else { return };
        let mut bytes = [0; 1 << 16];
        while let Ok(n @ 1..) = file.read(&mut bytes) {
            self.rest.extend_from_slice(&bytes[..n]);
            let whole = self
                .rest
                .iter()
                .rposition(|b| *b == b'\n')
                .map_or(0, |at| at + 1);
            for line in self.rest[..whole].split(|b| *b == b'\n') {
                match std::str::from_utf8(line) {
                    Ok(line) if !line.is_empty() => each(line),
                    _ => {}
                }
            }
            self.rest.drain(..whole);
        }
    }
}

/// A call for people: `3021  open("/dfs/a") = 3  served, 12.3 us`.
fn text(call: &Value) -> String {
    let word = |name: &str| call.get(name).and_then(Value::as_str);
    let number = |name: &str| call.get(name).and_then(Value::as_i64);
    let mut about: Vec<String> = number("fd").iter().map(i64::to_string).collect();
    let paths = ["path", "to"].into_iter().filter_map(word);
    about.extend(paths.map(|path| format!("{path:?}")));
    let answer = match (number("result"), number("errno")) {
        (Some(value), _) => value.to_string(),
        (None, Some(errno)) => {
            let text = std::io::Error::from_raw_os_error(errno as i32).to_string();
            format!("-1 {}", text.split(" (os error").next().unwrap_or(""))
        }
        (None, None) => "?".to_owned(),
    };
    let verdict = match word("verdict") {
        Some("passed") => "passed on to the kernel",
        other => other.unwrap_or("?"),
    };
    format!(
        "{:>7}  {}({}) = {answer}  {verdict}, {} us",
        number("pid").unwrap_or(0),
        word("by").unwrap_or("?").trim_start_matches("SYS_"),
        about.join(", "),
        call.get("us").and_then(Value::as_f64).unwrap_or(0.0),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_reads_like_one() {
        let call = serde_json::json!({"pid": 7, "by": "SYS_openat", "path": "/dfs/a", "verdict": "failed", "errno": 2, "us": 1.5});
        assert_eq!(
            text(&call).trim_start(),
            "7  openat(\"/dfs/a\") = -1 No such file or directory  failed, 1.5 us"
        );
    }

    #[test]
    fn only_whole_lines_are_shown() {
        let path = std::env::temp_dir().join(format!("pil4dfs-calls-{}", std::process::id()));
        std::fs::write(&path, "one\ntw").unwrap();
        let (mut calls, mut seen) = (Calls::default(), Vec::new());
        calls.follow(&path, |line| seen.push(line.to_owned()));
        let mut file = File::options().append(true).open(&path).unwrap();
        file.write_all(b"o\n").unwrap();
        calls.follow(&path, |line| seen.push(line.to_owned()));
        std::fs::remove_file(&path).unwrap();
        assert_eq!(seen, ["one", "two"]);
    }
}
