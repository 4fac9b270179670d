//! `pil4dfs run`: sets the environment and becomes the program.
use crate::target::Target;
use crate::{private, Failure};
use clap::Args;
use std::ffi::{OsStr, OsString};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitCode};

/// Run a program with the library preloaded.
///
/// Without --mount and --config the mounts are those of dfuse and of the environment
/// (D_IL_POOL, D_IL_CONTAINER, D_IL_MOUNT_POINT, PIL4DFS_MOUNTS, PIL4DFS_CONFIG).
///
/// A static or Go program, which cannot be preloaded, gets the mount of D_IL_MOUNT_POINT (the first
/// one of --mount) through FUSE, in a name space that it and its children have to themselves.
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
        let variables = self.target.variables()?;
        let mut program = match private::mount_for(&self.command[0], &variables)? {
            Some(mount) => mount.command(&self.command, &variables)?,
            None => {
                let mut program = Command::new(&self.command[0]);
                program.args(&self.command[1..]).envs(variables);
                program
            }
        };
        Err(cannot_run(&self.command[0], &program.exec()))
    }
}

/// Why a program was not started, with the status that shells give.
pub fn cannot_run(program: &OsStr, error: &std::io::Error) -> Failure {
    let found = error.kind() != std::io::ErrorKind::NotFound;
    Failure {
        text: format!("cannot run {}: {error}", Path::new(program).display()),
        code: if found { 126 } else { 127 },
    }
}
