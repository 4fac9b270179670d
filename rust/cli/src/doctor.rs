//! `pil4dfs doctor`: looks at everything that programs need to be served here, and says of each finding
//! what to do. It changes nothing, and waits for nothing longer than it says.
use crate::finding::Findings;
use crate::probe::{Library, Touched};
use crate::target::Target;
use crate::{locate, progress, variables, Failure};
use clap::Args;
use std::ffi::OsString;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

/// Look for what keeps programs from being served here, and say what to do.
///
/// Exit status 0 when programs would be served, 1 when something stands in the way.
#[derive(Args)]
pub struct Doctor {
    #[command(flatten)]
    target: Target,
    /// How long to wait for a mount, seconds.
    #[arg(long, value_name = "S", default_value_t = 30)]
    timeout: u64,
    /// Print one JSON array.
    #[arg(long)]
    json: bool,
}

impl Doctor {
    /// Looks and prints.
    pub fn execute(self) -> Result<ExitCode, Failure> {
        let variables = self.target.variables()?;
        let value = |name: &str| {
            let set = variables.iter().find(|(known, _)| *known == name);
            set.map(|(_, value)| value.clone())
                .or_else(|| std::env::var_os(name))
                .filter(|value| !value.is_empty())
        };
        let mut findings = Findings::default();
        findings.ok("library", locate::library()?.display().to_string());
        preloads(&mut findings);
        let set = std::env::vars_os().map(|(name, value)| {
            let text = |word: OsString| word.to_string_lossy().into_owned();
            (text(name), text(value))
        });
        variables::look(&mut findings, set);
        let mounts = mounts(&mut findings, &value);
        provider(&mut findings, &value);
        run_directory(&mut findings, &value);
        limits(&mut findings);
        self.probe(&mut findings, &variables, &mounts)?;
        findings.show(self.json)?;
        Ok(match findings.fail() {
            true => ExitCode::from(1),
            false => ExitCode::SUCCESS,
        })
    }

    /// A process of this command under the library tells what it sees.
    fn probe(
        &self,
        findings: &mut Findings,
        variables: &[(&'static str, OsString)],
        mounts: &[PathBuf],
    ) -> Result<(), Failure> {
        let failed = |e: std::io::Error| Failure {
            text: format!("cannot start a process of my own: {e}"),
            code: 1,
        };
        let mut child = Command::new("/proc/self/exe")
            .arg("probe")
            .arg("--")
            .args(mounts)
            .envs(variables.iter().map(|(name, value)| (name, value)))
            .env("D_IL_NO_BYPASS", "1")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(failed)?;
        let end = Instant::now() + Duration::from_secs(self.timeout);
        let sign = progress::wait("asking the mounts");
        let hung = loop {
            match child.try_wait().map_err(failed)? {
                Some(_) => break false,
                None if Instant::now() > end => {
                    let _ = child.kill();
                    let _ = child.wait();
                    break true;
                }
                None => {
                    sign.tick();
                    std::thread::sleep(Duration::from_millis(20));
                }
            }
        };
        sign.finish_and_clear();
        let (mut said, mut complained) = (String::new(), String::new());
        // Both fit into a pipe: a few lines.
        let _ = child.stdout.take().map(|mut s| s.read_to_string(&mut said));
        let _ = child
            .stderr
            .take()
            .map(|mut s| s.read_to_string(&mut complained));
        tell(findings, &said, &complained, mounts);
        if hung {
            let limit = self.timeout;
            findings.error(
                "mounts",
                format!("a mount did not answer within {limit} s"),
                "look at daos_agent and at the DAOS system (dmg system query); a dfuse that was stopped hangs as well",
            );
        }
        Ok(())
    }
}

/// What the probe printed, as findings.
fn tell(findings: &mut Findings, said: &str, complained: &str, mounts: &[PathBuf]) {
    let mut lines = said.lines();
    let library = lines
        .next()
        .and_then(|line| serde_json::from_str::<Library>(line).ok());
    match library {
        Some(Library {
            version: Some(version),
            active,
        }) => {
            findings.ok("loading", format!("version {version} loads into programs"));
            match (active, mounts.is_empty()) {
                (true, _) => findings.ok("hooks", "libc's calls are intercepted"),
                (false, true) => {}
                (false, false) => findings.error(
                    "hooks",
                    format!("nothing is intercepted {}", quoted(complained)),
                    "PIL4DFS_HOOK=off switches it off, and so does another library of this kind; the line says why",
                ),
            }
        }
        _ => findings.error(
            "loading",
            format!("the library did not load {}", quoted(complained)),
            "compare the loader's message; a library built for a newer glibc does not load",
        ),
    }
    for touched in lines.filter_map(|line| serde_json::from_str::<Touched>(line).ok()) {
        let mount = touched.mount.display();
        match touched {
            Touched { served: true, .. } => findings.ok("mounts", format!("{mount} is served")),
            Touched {
                error: Some(error), ..
            } => findings.error(
                "mounts",
                format!("{mount}: {error} {}", quoted(complained)),
                "check the names of pool and container (daos pool list, daos cont list POOL) and your rights to them",
            ),
            _ => findings.error(
                "mounts",
                format!("{mount} is left to the kernel {}", quoted(complained)),
                "the line says why; without one, the library found no mount there",
            ),
        }
    }
}

fn quoted(complained: &str) -> String {
    match complained.trim() {
        "" => String::new(),
        text => format!("({text})"),
    }
}

/// Others in LD_PRELOAD.
fn preloads(findings: &mut Findings) {
    let value = std::env::var("LD_PRELOAD").unwrap_or_default();
    for name in value.split([':', ' ']).filter(|name| !name.is_empty()) {
        let stem = Path::new(name)
            .file_name()
            .map(|n| n.to_string_lossy().into_owned());
        match stem.as_deref() {
            Some("libpil4dfs.so" | "libioil.so") => findings.error(
                "preload",
                format!("{name} of daos-client is preloaded as well"),
                "take it out of LD_PRELOAD: two libraries of this kind exclude each other",
            ),
            Some(stem) if stem.starts_with("libdarshan") => {
                let ours = value.find(locate::LIBRARY).unwrap_or(usize::MAX);
                let first = value.find(name).is_some_and(|at| at < ours);
                match first {
                    true => findings.ok(
                        "preload",
                        format!("{name} sees the program's calls first, as it must"),
                    ),
                    false => findings.warning(
                        "preload",
                        format!("{name} stands behind {}", locate::LIBRARY),
                        "name it before the library: it counts only what reaches it",
                    ),
                }
            }
            _ if name.starts_with('/') && !Path::new(name).exists() => findings.warning(
                "preload",
                format!("{name} does not exist"),
                "the loader complains in every program; take it out of LD_PRELOAD",
            ),
            _ => {}
        }
    }
}

/// The mounts that programs would have; none is touched here.
fn mounts(findings: &mut Findings, value: &dyn Fn(&str) -> Option<OsString>) -> Vec<PathBuf> {
    let mut all = Vec::new();
    let table = std::fs::read("/proc/self/mountinfo").unwrap_or_default();
    for line in String::from_utf8_lossy(&table).lines() {
        if let (Some((_, "fuse.daos")), Some(point)) = (type_of(line), line.split(' ').nth(4)) {
            all.push(PathBuf::from(unescaped(point)));
        }
    }
    let set: Vec<_> = ["D_IL_POOL", "D_IL_CONTAINER", "D_IL_MOUNT_POINT"]
        .into_iter()
        .filter(|name| value(name).is_some())
        .collect();
    match (set.len(), value("D_IL_MOUNT_POINT")) {
        (3, Some(point)) => all.push(point.into()),
        (0, _) => {}
        _ => findings.error(
            "variables",
            format!("only {} is set", set.join(" and ")),
            "set D_IL_POOL, D_IL_CONTAINER and D_IL_MOUNT_POINT together, or none of them",
        ),
    }
    for (name, asked) in [
        ("PIL4DFS_MOUNTS", listed(value)),
        ("PIL4DFS_CONFIG", filed(value)),
    ] {
        match asked {
            Ok(mounts) => all.extend(mounts.into_iter().map(|m| PathBuf::from(m.point))),
            Err(what) => findings.error(
                "variables",
                format!("{name}: {what}"),
                "put it right (pil4dfs.conf(5)), or unset the variable",
            ),
        }
    }
    all.sort();
    all.dedup();
    if all.is_empty() {
        findings.warning(
            "mounts",
            "neither a dfuse mount nor variables name one: nothing will be intercepted",
            "mount dfuse, or give --pool, --cont and --mount (D_IL_POOL, D_IL_CONTAINER, D_IL_MOUNT_POINT), or --config",
        );
    }
    all
}

/// The mounts of `PIL4DFS_MOUNTS`.
fn listed(value: &dyn Fn(&str) -> Option<OsString>) -> Result<Vec<conf::Mount>, String> {
    let list = value("PIL4DFS_MOUNTS").unwrap_or_default();
    conf::parse_list(&list.to_string_lossy())
}

/// The mounts of the configuration file.
fn filed(value: &dyn Fn(&str) -> Option<OsString>) -> Result<Vec<conf::Mount>, String> {
    let Some(file) = value("PIL4DFS_CONFIG") else {
        return Ok(Vec::new());
    };
    let shown = Path::new(&file).display();
    if !Path::new(&file).is_absolute() {
        return Err(format!("{shown} must be an absolute path"));
    }
    let text = std::fs::read(&file).map_err(|e| format!("{shown}: {e}"))?;
    conf::parse(&text).map_err(|wrong| format!("{shown}, {wrong}"))
}

/// The mount id and the file system type of a line of mountinfo.
fn type_of(line: &str) -> Option<(&str, &str)> {
    let (head, tail) = line.split_once(" - ")?;
    Some((head.split(' ').next()?, tail.split(' ').next()?))
}

/// Octal escapes of proc_pid_mountinfo(5).
fn unescaped(text: &str) -> String {
    ["\\040 ", "\\011\t", "\\012\n", "\\134\\"]
        .iter()
        .fold(text.to_owned(), |text, pair| {
            text.replace(&pair[..4], &pair[4..])
        })
}

/// Where DAOS is to come from.
fn provider(findings: &mut Findings, value: &dyn Fn(&str) -> Option<OsString>) {
    if let Some(dir) = value("PIL4DFS_DAOS_DIR") {
        let library = Path::new(&dir).join("libdaos.so.2");
        match library.exists() {
            true => findings.ok("provider", library.display().to_string()),
            false => findings.error(
                "provider",
                format!("{} does not exist", library.display()),
                "PIL4DFS_DAOS_DIR must name the directory of libdaos.so.2; unset it to take the loader's",
            ),
        }
    }
    if value("PIL4DFS_EMBEDDED_ROOT").is_some() {
        return;
    }
    let dir = value("DAOS_AGENT_DRPC_DIR").unwrap_or_else(|| "/var/run/daos_agent".into());
    let socket = Path::new(&dir).join("daos_agent.sock");
    match std::os::unix::net::UnixStream::connect(&socket) {
        Ok(_) => findings.ok("agent", socket.display().to_string()),
        Err(e) => findings.error(
            "agent",
            format!("{}: {e}", socket.display()),
            "start it (systemctl start daos_agent), or set DAOS_AGENT_DRPC_DIR; without a DAOS system use --embedded DIR",
        ),
    }
}

/// The directory of run-time files.
fn run_directory(findings: &mut Findings, value: &dyn Fn(&str) -> Option<OsString>) {
    // SAFETY: only asks.
    let me = unsafe { libc::geteuid() };
    let dir = value("PIL4DFS_RUNDIR").unwrap_or_else(|| format!("/dev/shm/pil4dfs-{me}").into());
    let shown = Path::new(&dir).display().to_string();
    match std::fs::symlink_metadata(&dir) {
        Err(_) => findings.ok("run directory", format!("{shown}, made when it is needed")),
        Ok(meta) if meta.is_dir() && meta.uid() == me && meta.mode() & 0o077 == 0 => {
            findings.ok("run directory", shown);
        }
        Ok(_) => findings.error(
            "run directory",
            format!("{shown} is not a directory of yours that is closed to others (mode 0700)"),
            "remove it, or name another with PIL4DFS_RUNDIR: without it there are no locks and no staged programs",
        ),
    }
}

fn limits(findings: &mut Findings) {
    let (soft, hard) = limit(libc::RLIMIT_NOFILE);
    if soft < 1024 {
        findings.warning(
            "limits",
            format!("at most {soft} open files"),
            "ulimit -n 4096: DAOS needs some fifty descriptors for itself",
        );
    } else {
        findings.ok("limits", format!("{soft} open files, at most {hard}"));
    }
    let (size, _) = limit(libc::RLIMIT_FSIZE);
    if size != libc::RLIM_INFINITY {
        findings.warning(
            "limits",
            format!("no file may grow beyond {size} bytes"),
            "ulimit -f unlimited: files of a mount obey it, too, and nothing is traced below it",
        );
    }
    let (space, _) = limit(libc::RLIMIT_AS);
    if space < 4 << 30 {
        findings.warning(
            "limits",
            format!("a process has {space} bytes of addresses"),
            "ulimit -v unlimited: DAOS's network layer reserves some gigabytes",
        );
    }
    // SAFETY: all-zero is a statvfs, which the call fills.
    let free = unsafe {
        let mut vfs: libc::statvfs = std::mem::zeroed();
        let asked = libc::statvfs(c"/dev/shm".as_ptr(), &mut vfs);
        (asked == 0).then(|| vfs.f_bavail * vfs.f_frsize)
    };
    match free {
        None => findings.warning(
            "limits",
            "there is no /dev/shm",
            "name a directory on this node with PIL4DFS_RUNDIR; DAOS itself wants /dev/shm as well (containers: mount a tmpfs there)",
        ),
        Some(free) if free < 64 << 20 => findings.warning(
            "limits",
            format!("/dev/shm has {} MiB left", free >> 20),
            "remove what was left there; containers: --shm-size, or PIL4DFS_RUNDIR",
        ),
        Some(_) => {}
    }
}

/// The soft and the hard limit.
fn limit(what: libc::__rlimit_resource_t) -> (u64, u64) {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: fills the structure.
    unsafe { libc::getrlimit(what, &mut limit) };
    (limit.rlim_cur, limit.rlim_max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_the_mount_table() {
        let line = r"36 35 98:0 / /mnt/a\040b rw - fuse.daos dfuse rw";
        assert_eq!(type_of(line), Some(("36", "fuse.daos")));
        assert_eq!(unescaped(r"/mnt/a\040b\134"), r"/mnt/a b\");
    }

    #[test]
    fn a_probe_that_says_nothing_is_an_error() {
        let mut findings = Findings::default();
        tell(&mut findings, "", "ld.so: cannot", &[]);
        assert!(findings.fail() && findings.0[0].found.contains("ld.so"));
    }
}
