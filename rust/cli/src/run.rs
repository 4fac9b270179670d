//! `pil4dfs run`: sets the environment and becomes the program.
use crate::target::Target;
use crate::Failure;
use clap::Args;
use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitCode};

/// Run a program with the library preloaded.
///
/// Without --pool, --cont and --mount the mounts are those of dfuse and of the environment
/// (D_IL_POOL, D_IL_CONTAINER, D_IL_MOUNT_POINT).
#[derive(Args)]
pub struct Run {
    #[command(flatten)]
    target: Target,
    /// The program and its arguments.
    #[arg(required = true, trailing_var_arg = true, value_name = "CMD")]
    command: Vec<OsString>,
}

impl Run {
    /// Becomes the program; returns only if that failed.
    pub fn execute(self) -> Result<ExitCode, Failure> {
        let mut program = Command::new(&self.command[0]);
        program
            .args(&self.command[1..])
            .envs(self.target.variables()?);
        let error = program.exec();
        let found = error.kind() != std::io::ErrorKind::NotFound;
        Err(Failure {
            text: format!(
                "cannot run {}: {error}",
                Path::new(&self.command[0]).display()
            ),
            code: if found { 126 } else { 127 },
        })
    }
}
