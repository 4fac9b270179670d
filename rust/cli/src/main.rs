//! The `pil4dfs` command: runs programs under the library and says what is wrong when it cannot.
//! A plain program of its own, not part of the library.
mod locate;
mod run;

use clap::{Parser, Subcommand};
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
}

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Run(run) => run.execute(),
    };
    match result {
        Ok(code) => code,
        Err(failure) => {
            eprintln!("pil4dfs: {failure}");
            ExitCode::from(failure.code)
        }
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
