//! `pil4dfs keep`: a small resident owner of a container's DAOS handles. Handles die with the process
//! that connected; where one process connects and stays, all others of its user on the node import
//! its handles instead of connecting. This file is the command; `owner.rs` is what stays.
mod owner;

use crate::target::Target;
use crate::{print, Failure};
use clap::Args;
use std::ffi::{CStr, CString, OsString};
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};
use vfs::keep::Found;

/// Hold the DAOS handles of a container for all processes of this user on this node.
///
/// Connects once, goes to the background and stays until --stop. Processes under the library that
/// come later import its handles instead of connecting. Without --pool, --cont and --mount the
/// container is that of D_IL_POOL and D_IL_CONTAINER.
#[derive(Args)]
pub struct Keep {
    #[command(flatten)]
    target: Target,
    /// Stay in the foreground.
    #[arg(long)]
    foreground: bool,
    /// End when no process has asked for handles for so long.
    #[arg(long, value_name = "SECONDS")]
    idle: Option<u64>,
    /// End the keeper of the container named, or all of this user's on this node.
    #[arg(long, conflicts_with_all = ["foreground", "idle", "status"])]
    stop: bool,
    /// List the keepers of this user on this node; exit status 1 if there are none.
    #[arg(long, conflicts_with_all = ["foreground", "idle"])]
    status: bool,
    /// With --status: as JSON.
    #[arg(long, requires = "status")]
    json: bool,
    /// Says on standard output that it is there, and lets go of the terminal.
    #[arg(long, hide = true, requires = "foreground")]
    ready: bool,
}

/// How long a keeper that is told to end may take, and is waited for.
const STOP: Duration = Duration::from_secs(10);
/// Options that name several containers, or a part of one, become these.
const MORE: [&str; 2] = ["PIL4DFS_MOUNTS", "PIL4DFS_CONFIG"];
/// What the one in the background says to the one that waits.
const READY: &[u8] = b"ready\n";

impl Keep {
    /// Starts one, ends some, or lists them.
    pub fn execute(self) -> Result<ExitCode, Failure> {
        let variables = self.target.variables()?;
        let variables = variables
            .into_iter()
            .filter(|(name, _)| *name != "LD_PRELOAD");
        let variables: Vec<_> = variables.collect();
        if variables.iter().any(|(name, _)| MORE.contains(name)) {
            return Err(Failure::usage(
                "a keeper holds one container: start one for each, by --pool, --cont and --mount",
            ));
        }
        if let Some(dir) = value("PIL4DFS_RUNDIR") {
            vfs::rundir::set(dir);
        }
        if self.status {
            return status(self.json);
        }
        if self.stop {
            return stop(&variables);
        }
        if !self.foreground {
            return self.background(&variables);
        }
        for (name, value) in variables {
            // The library's, which computes the same names from the environment; one thread yet.
            std::env::set_var(name, value);
        }
        let (pool, cont) = container(&[])?;
        owner::run(&pool, &cont, self.idle.map(Duration::from_secs), self.ready)
    }

    /// The same in the background; comes back when the handles are there to be used.
    fn background(&self, variables: &[(&str, OsString)]) -> Result<ExitCode, Failure> {
        container(variables)?;
        let failed = |e: std::io::Error| Failure {
            text: format!("cannot go to the background: {e}"),
            code: 1,
        };
        let mut child = Command::new(std::env::current_exe().map_err(failed)?);
        child.args(["keep", "--foreground", "--ready"]);
        if let Some(idle) = self.idle {
            child.args(["--idle", &idle.to_string()]);
        }
        child.envs(variables.iter().map(|(name, value)| (name, value)));
        child.env_remove("LD_PRELOAD").current_dir("/");
        child.stdin(Stdio::null()).stdout(Stdio::piped());
        // SAFETY: setsid(2) may be called between fork and exec.
        unsafe {
            child.pre_exec(|| {
                libc::setsid();
                Ok(())
            })
        };
        let mut child = child.spawn().map_err(failed)?;
        let mut said = Vec::new();
        if let Some(mut pipe) = child.stdout.take() {
            let _ = pipe.read_to_end(&mut said);
        }
        match said == READY {
            true => Ok(ExitCode::SUCCESS),
            // It has said why, on standard error.
            false => Ok(ExitCode::FAILURE),
        }
    }
}

/// Pool and container: of the options, else of the environment.
fn container(variables: &[(&str, OsString)]) -> Result<(CString, CString), Failure> {
    const NAMES: [(&str, &str); 2] = [
        ("D_IL_POOL", "D_IL_CONTAINER"),
        ("DAOS_POOL", "DAOS_CONTAINER"),
    ];
    let given = |name: &str| {
        let option = variables.iter().find(|(n, _)| *n == name);
        let option = option.and_then(|(_, v)| CString::new(v.as_bytes()).ok());
        option.or_else(|| value(name))
    };
    let both = |&(pool, cont): &(&str, &str)| Some((given(pool)?, given(cont)?));
    NAMES.iter().find_map(both).ok_or_else(|| {
        Failure::usage(
            "say whose handles: --pool, --cont and --mount, or D_IL_POOL and D_IL_CONTAINER",
        )
    })
}

/// A variable that is not empty.
fn value(name: &str) -> Option<CString> {
    let value = std::env::var_os(name).filter(|v| !v.is_empty())?;
    CString::new(value.as_bytes()).ok()
}

fn text(name: &CStr) -> String {
    name.to_string_lossy().into_owned()
}

/// Ends keepers: all, or those of the container named. None to end is no failure.
fn stop(variables: &[(&str, OsString)]) -> Result<ExitCode, Failure> {
    let only = match variables.iter().any(|(name, _)| *name == "D_IL_POOL") {
        true => Some(container(variables)?),
        false => None,
    };
    let mut remaining = Vec::new();
    vfs::keep::each(&mut |path, found| {
        let name = (found.held.pool.clone(), found.held.cont.clone());
        if only.as_ref().is_some_and(|only| *only != name) {
            return;
        }
        match found.keeper() {
            None => found.remove(path),
            Some(pid) => {
                if !end(&found, pid) {
                    remaining.push(format!(
                        "process {pid} ({}, {})",
                        text(&name.0),
                        text(&name.1)
                    ));
                }
                found.remove(path);
            }
        }
    });
    match remaining.is_empty() {
        true => Ok(ExitCode::SUCCESS),
        false => Err(Failure {
            text: format!("still there: {}", remaining.join(", ")),
            code: 1,
        }),
    }
}

/// Asks a keeper to end, then makes it; true when it has.
fn end(found: &Found, pid: i32) -> bool {
    // SAFETY: plain numbers; the process holds the lock on our file, so it is the keeper.
    let signal = |signal| pid > 0 && unsafe { libc::kill(pid, signal) == 0 };
    let gone = |within: Duration| {
        let start = Instant::now();
        while found.keeper() == Some(pid) {
            if start.elapsed() > within {
                return false;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        true
    };
    (signal(libc::SIGTERM) && gone(STOP)) || (signal(libc::SIGKILL) && gone(STOP))
}

/// A line for each keeper.
fn status(json: bool) -> Result<ExitCode, Failure> {
    let (mut rows, mut lines) = (Vec::new(), String::new());
    let now = owner::now();
    vfs::keep::each(&mut |_, found| {
        let Some(pid) = found.keeper() else { return };
        let held = &found.held;
        let (pool, cont) = (text(&held.pool), text(&held.cont));
        let (up, idle) = ((now - held.since).max(0), (now - found.used).max(0));
        lines += &format!(
            "pool {pool}, container {cont}: process {pid} for {up} s, last asked {idle} s ago\n"
        );
        rows.push(serde_json::json!({
            "pool": pool, "container": cont, "pid": pid,
            "since": held.since, "last_asked": found.used,
        }));
    });
    let none = rows.is_empty();
    match json {
        true => print(&format!("{}\n", serde_json::Value::Array(rows)))?,
        false if none => print("no keeper is running\n")?,
        false => print(&lines)?,
    };
    Ok(ExitCode::from(u8::from(none)))
}
