//! Eviction, on order: `PIL4DFS_EMBEDDED_EVICT_MS` makes pool and container handles that came from
//! another process (serialized, or inherited by fork) die so many milliseconds after that process
//! is seen dead, as a server does with the handles of a client that is gone. Unset, they live on.
//! `pil4dfs-embedded away evicted` ends all handles there are, as an administrator may.
use crate::counters::Word;
use crate::error::{der, Result};
use crate::process::{self, Process};
use crate::spin::Spin;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// The process that connected. A process that executes another program stays the same one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Owner {
    /// Its id.
    pub pid: u32,
    /// When it started, clock ticks since boot; tells it from a later one with its id.
    pub start: u64,
    /// [`Word::Evictions`] when it connected.
    pub age: u32,
}

/// Owners seen dead, and when first.
static DEAD: Spin<Vec<(Owner, Instant)>> = Spin::new(Vec::new());

/// Start of a process, clock ticks since boot; none if it is dead.
fn start_of(pid: u32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = stat[stat.rfind(')')? + 1..].split_whitespace();
    match fields.next()? {
        "Z" | "X" => None,
        _ => fields.nth(18)?.parse().ok(),
    }
}

#[inline]
fn evictions(process: &Process) -> u32 {
    process
        .counters
        .word(Word::Evictions)
        .load(Ordering::Relaxed)
}

impl Owner {
    /// This process.
    pub fn me() -> Owner {
        let pid = std::process::id();
        // Without eviction nobody asks; reading /proc for nothing would cost each connect.
        let process = process::current();
        let wanted = process.is_some_and(|process| process.evict.is_some());
        Owner {
            age: process.map_or(0, evictions),
            pid,
            start: if wanted {
                start_of(pid).unwrap_or(0)
            } else {
                0
            },
        }
    }

    /// -DER_NO_HDL when this owner's handles are evicted.
    #[inline]
    pub fn check(self) -> Result<()> {
        let Some(process) = process::current() else {
            return Ok(());
        };
        match process.evict {
            _ if evictions(process) != self.age => der(daos_sys::DER_NO_HDL),
            Some(after) => self.check_dead(after),
            None => Ok(()),
        }
    }

    fn check_dead(self, after: Duration) -> Result<()> {
        if self.pid == std::process::id() || start_of(self.pid) == Some(self.start) {
            return Ok(());
        }
        let mut dead = DEAD.lock();
        let since = match dead.iter().find(|(owner, _)| *owner == self) {
            Some((_, since)) => *since,
            None => {
                dead.push((self, Instant::now()));
                Instant::now()
            }
        };
        match since.elapsed() >= after {
            true => der(daos_sys::DER_NO_HDL),
            false => Ok(()),
        }
    }
}
