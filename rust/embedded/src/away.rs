//! A DAOS that is away, on order: the store's switches (`pil4dfs-embedded away`), which running
//! processes meet in mid-run, and `PIL4DFS_EMBEDDED_AWAY` for one process. Each cause is answered
//! where and how the real client library does: the agent is asked at start and at each connect of a
//! pool, the servers by every other call that is not local.
use crate::call::{Function, Style};
use crate::error::{der, Error, Result};
use std::time::{Duration, Instant};

/// Causes, as bits of a set.
pub type Causes = u32;

const AGENT: Causes = 1 << 0;
const SOCKET: Causes = 1 << 1;
const DENIED: Causes = 1 << 2;
const POOL: Causes = 1 << 3;
const PERMISSION: Causes = 1 << 4;
const ENGINE: Causes = 1 << 5;
const LOST: Causes = 1 << 6;
const UNREACHABLE: Causes = 1 << 7;
const FULL: Causes = 1 << 8;
const IO: Causes = 1 << 9;

/// Name, bit, and what it means.
pub const CAUSES: &[(&str, Causes, &str)] = &[
    ("agent", AGENT, "the agent's socket is not there"),
    (
        "socket",
        SOCKET,
        "the agent's socket is stale: nobody listens",
    ),
    ("denied", DENIED, "the agent's socket is not for this user"),
    ("pool", POOL, "no pool is known"),
    ("permission", PERMISSION, "no pool may be connected"),
    (
        "engine",
        ENGINE,
        "the servers do not answer: calls wait CRT_TIMEOUT seconds (60)",
    ),
    (
        "lost",
        LOST,
        "the same, but changes are made: only the answer is lost",
    ),
    (
        "unreachable",
        UNREACHABLE,
        "the servers are known to be gone: calls fail at once",
    ),
    ("full", FULL, "no space is left"),
    ("io", IO, "every call of the servers is an I/O error"),
];

/// How often a call that waits for the servers looks whether they are back.
const LOOK: Duration = Duration::from_millis(5);

/// Names of causes, separated by commas or blanks; one that is none is answered back.
pub fn parse(text: &str) -> std::result::Result<Causes, String> {
    let words = text.split([',', ' ']).filter(|word| !word.is_empty());
    let bit = |word: &str| {
        let known = CAUSES.iter().find(|(name, ..)| *name == word);
        known
            .map(|(_, bit, _)| *bit)
            .ok_or_else(|| word.to_string())
    };
    words.map(bit).try_fold(0, |set, one| Ok(set | one?))
}

/// The names of a set.
pub fn names(causes: Causes) -> Vec<&'static str> {
    let among = |(name, bit, _): &(&'static str, Causes, _)| (causes & bit != 0).then_some(*name);
    CAUSES.iter().filter_map(among).collect()
}

/// What becomes of a call.
pub enum Fate {
    /// It is made.
    Made,
    /// It is made, but answers a time-out.
    Lost,
}

/// What the agent answers a process that starts, or connects a pool.
pub fn agent(causes: Causes) -> Result<()> {
    match causes {
        set if set & AGENT != 0 => der(daos_sys::DER_AGENT_COMM),
        set if set & SOCKET != 0 => der(daos_sys::DER_MISC),
        set if set & DENIED != 0 => der(daos_sys::DER_NO_PERM),
        _ => Ok(()),
    }
}

/// Whether a call needs space.
fn grows(function: Function) -> bool {
    use Function::*;
    matches!(
        function,
        dfs_write | dfs_writex | dfs_mkdir | dfs_setxattr | dfs_cont_create_with_label
    )
}

/// Whether a call changes something, so that its answer can be lost.
fn changes(function: Function) -> bool {
    use Function::*;
    grows(function)
        || matches!(
            function,
            dfs_open
                | dfs_remove
                | dfs_move
                | dfs_move_internal
                | dfs_exchange
                | dfs_punch
                | dfs_osetattr
                | dfs_chmod
                | dfs_chown
                | dfs_removexattr
        )
}

/// Decides a call; `causes` is asked again while it waits for the servers, `timeout` long.
#[cold]
pub fn decide(
    causes: impl Fn() -> Causes,
    timeout: Duration,
    function: Function,
    style: Style,
) -> Result<Fate> {
    if matches!(style, Style::DaosLocal | Style::DfsLocal) {
        return Ok(Fate::Made);
    }
    let set = causes();
    if matches!(
        function,
        Function::daos_pool_connect | Function::dfs_connect
    ) {
        agent(set)?;
        if set & POOL != 0 {
            return der(daos_sys::DER_NONEXIST);
        }
        if set & PERMISSION != 0 {
            return der(daos_sys::DER_NO_PERM);
        }
    }
    if set & UNREACHABLE != 0 {
        return der(daos_sys::DER_UNREACH);
    }
    if set & IO != 0 {
        return der(daos_sys::DER_IO);
    }
    if set & FULL != 0 && grows(function) {
        return der(daos_sys::DER_NOSPACE);
    }
    let start = Instant::now();
    while causes() & (ENGINE | LOST) != 0 {
        if start.elapsed() < timeout {
            std::thread::sleep(LOOK);
            continue;
        }
        return match causes() & ENGINE == 0 && changes(function) {
            true => Ok(Fate::Lost),
            false => Err(Error::Der(daos_sys::DER_TIMEDOUT)),
        };
    }
    Ok(Fate::Made)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn errno(causes: Causes, function: Function, style: Style) -> i32 {
        match decide(|| causes, Duration::ZERO, function, style) {
            Ok(_) => 0,
            Err(error) => error.as_dfs(),
        }
    }

    #[test]
    fn causes_have_names() {
        assert_eq!(parse("agent, full"), Ok(AGENT | FULL));
        assert_eq!(parse(""), Ok(0));
        assert_eq!(parse("agent,moon"), Err("moon".to_string()));
        assert_eq!(names(AGENT | FULL), ["agent", "full"]);
    }

    #[test]
    fn each_cause_is_answered_where_it_is_met() {
        use Function::*;
        assert_eq!(agent(AGENT).unwrap_err().as_daos(), -2034);
        assert_eq!(agent(SOCKET).unwrap_err().as_daos(), -1025);
        assert_eq!(agent(DENIED).unwrap_err().as_daos(), -1001);
        // I/O and the opening of a container need no agent.
        assert_eq!(errno(AGENT, dfs_read, Style::Dfs), 0);
        assert_eq!(errno(AGENT, daos_cont_open, Style::Daos), 0);
        assert_eq!(errno(POOL, daos_pool_connect, Style::Daos), libc::ENOENT);
        assert_eq!(errno(ENGINE, dfs_read, Style::Dfs), libc::ETIMEDOUT);
        assert_eq!(errno(ENGINE, dfs_release, Style::DfsLocal), 0);
        assert_eq!(errno(UNREACHABLE, dfs_stat, Style::Dfs), libc::EHOSTUNREACH);
        assert_eq!(errno(FULL, dfs_write, Style::Dfs), libc::ENOSPC);
        assert_eq!(errno(FULL, dfs_read, Style::Dfs), 0);
        let lost = decide(|| LOST, Duration::ZERO, dfs_write, Style::Dfs);
        assert!(matches!(lost, Ok(Fate::Lost)));
    }
}
