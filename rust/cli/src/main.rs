//! The `pil4dfs` command: runs programs under the library and says what is wrong when it cannot.
//! A plain program of its own, not part of the library.
mod bench;
mod check;
mod doctor;
mod elf;
mod env;
mod finding;
mod keep;
mod locate;
mod private;
mod probe;
mod program;
mod progress;
mod report;
mod run;
mod target;
mod trace;
mod variables;
mod version;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use std::io::Write;
use std::process::ExitCode;

/// Runs unmodified programs on DAOS: file calls below a mount go to libdfs in user space.
#[derive(Parser)]
#[command(name = "pil4dfs", version, about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run a program with the library preloaded.
    Run(run::Run),
    /// Print the variables that put programs under the library.
    Env(env::Env),
    /// Look for what keeps programs from being served here, and say what to do.
    Doctor(doctor::Doctor),
    /// Say what of a program will be intercepted.
    Check(check::Check),
    /// Run a program and show its calls on mounts.
    Trace(trace::Trace),
    /// Measure a mount beside a directory of the kernel.
    Bench(bench::Bench),
    /// Show what the processes of a job did on their mounts.
    Report(report::Report),
    /// Hold the DAOS handles of a container for all processes of this user on this node.
    Keep(keep::Keep),
    /// Print a shell's completions for this command.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
    /// What the library says of itself from inside a process (asked by doctor).
    #[command(hide = true)]
    Probe(probe::Probe),
    /// The work of bench.
    #[command(hide = true)]
    BenchWork(bench::work::Work),
}

fn main() -> ExitCode {
    let result = match parse().command {
        Command::Run(run) => run.execute(),
        Command::Env(env) => env.execute(),
        Command::Doctor(doctor) => doctor.execute(),
        Command::Check(check) => check.execute(),
        Command::Trace(trace) => trace.execute(),
        Command::Bench(bench) => bench.execute(),
        Command::BenchWork(work) => work.execute(),
        Command::Report(report) => report.execute(),
        Command::Keep(keep) => keep.execute(),
        Command::Completions { shell } => completions(shell),
        Command::Probe(probe) => probe.execute(),
    };
    match result {
        Ok(code) => code,
        Err(failure) => {
            eprintln!("pil4dfs: {failure}");
            ExitCode::from(failure.code)
        }
    }
}

/// The command line; `--version` alone is worth a look at library and provider.
fn parse() -> Cli {
    let mut command = Cli::command();
    if std::env::args_os()
        .nth(1)
        .is_some_and(|word| word == "--version")
    {
        command = command.long_version(&*version::text().leak());
    }
    Cli::from_arg_matches(&command.get_matches()).unwrap_or_else(|e| e.exit())
}

fn completions(shell: clap_complete::Shell) -> Result<ExitCode, Failure> {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "pil4dfs", &mut text);
    print(&String::from_utf8_lossy(&text))
}

/// Writes to standard output; a reader that has gone away is no failure.
pub fn print(text: &str) -> Result<ExitCode, Failure> {
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(e) if e.kind() != std::io::ErrorKind::BrokenPipe => Err(Failure {
            text: format!("cannot write to standard output: {e}"),
            code: 1,
        }),
        _ => Ok(ExitCode::SUCCESS),
    }
}

/// Why a command failed, in a sentence that says what to do, and the exit status.
#[derive(Debug)]
pub struct Failure {
    /// The sentence.
    pub text: String,
    /// 2 for wrong use; 126 and 127 as shells give them for programs that cannot be run or found.
    pub code: u8,
}

impl Failure {
    /// Wrong use: exit status 2.
    pub fn usage(text: impl Into<String>) -> Failure {
        Failure {
            text: text.into(),
            code: 2,
        }
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}
