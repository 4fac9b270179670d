//! Faults on order, for tests: `PIL4DFS_EMBEDDED_FAULT` lists `function:which:error`, separated by
//! commas. `function` may be `*`, any. `which` is the number of the call counted in this process from `daos_init` on (1 is the
//! first), `N+` for it and all later ones, or `*`. `error` is an errno or DER name (`EIO`,
//! `DER_TIMEDOUT`), a number, or `KILL`: the process dies there, by SIGKILL.
use crate::call::{Function, FUNCTION_NAMES};
use crate::error::{Error, Result};
use std::sync::atomic::{AtomicU64, Ordering};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Effect {
    Fail(Error),
    Kill,
}

#[derive(Debug)]
struct Rule {
    /// `None`: any.
    function: Option<usize>,
    first: u64,
    last: u64,
    effect: Effect,
    calls: AtomicU64,
}

/// The faults of a process.
#[derive(Debug)]
pub struct Faults {
    rules: Vec<Rule>,
}

const ERRNOS: &[(&str, i32)] = &[
    ("EPERM", libc::EPERM),
    ("ENOENT", libc::ENOENT),
    ("EINTR", libc::EINTR),
    ("EIO", libc::EIO),
    ("EBADF", libc::EBADF),
    ("EAGAIN", libc::EAGAIN),
    ("ENOMEM", libc::ENOMEM),
    ("EACCES", libc::EACCES),
    ("EBUSY", libc::EBUSY),
    ("EEXIST", libc::EEXIST),
    ("EXDEV", libc::EXDEV),
    ("ENOTDIR", libc::ENOTDIR),
    ("EISDIR", libc::EISDIR),
    ("EINVAL", libc::EINVAL),
    ("EFBIG", libc::EFBIG),
    ("ENOSPC", libc::ENOSPC),
    ("EROFS", libc::EROFS),
    ("ERANGE", libc::ERANGE),
    ("ENAMETOOLONG", libc::ENAMETOOLONG),
    ("ENOSYS", libc::ENOSYS),
    ("ENOTEMPTY", libc::ENOTEMPTY),
    ("ELOOP", libc::ELOOP),
    ("ENODATA", libc::ENODATA),
    ("EPROTO", libc::EPROTO),
    ("EOVERFLOW", libc::EOVERFLOW),
    ("ENOTSUP", libc::ENOTSUP),
    ("EHOSTUNREACH", libc::EHOSTUNREACH),
    ("ESTALE", libc::ESTALE),
    ("ETIMEDOUT", libc::ETIMEDOUT),
    ("EDQUOT", libc::EDQUOT),
    ("ECANCELED", libc::ECANCELED),
    ("ERESTART", libc::ERESTART),
    ("E2BIG", libc::E2BIG),
    ("EALREADY", libc::EALREADY),
    ("ENOBUFS", libc::ENOBUFS),
];

fn effect(word: &str) -> Option<Effect> {
    if word == "KILL" {
        return Some(Effect::Kill);
    }
    if let Some((_, errno)) = ERRNOS.iter().find(|(name, _)| *name == word) {
        return Some(Effect::Fail(Error::Errno(*errno)));
    }
    if let Some(number) = daos_sys::der_from_name(word) {
        return Some(Effect::Fail(Error::Der(number)));
    }
    match word.parse::<i32>().ok()?.abs() {
        number @ 1..=999 => Some(Effect::Fail(Error::Errno(number))),
        number @ 1000.. => Some(Effect::Fail(Error::Der(number))),
        _ => None,
    }
}

fn rule(text: &str) -> Option<Rule> {
    let mut words = text.trim().split(':');
    let (function, which, error) = (words.next()?, words.next()?, words.next()?);
    let (first, last) = match which {
        "*" => (1, u64::MAX),
        from if from.ends_with('+') => (from.trim_end_matches('+').parse().ok()?, u64::MAX),
        one => (one.parse().ok()?, one.parse().ok()?),
    };
    Some(Rule {
        function: match function {
            "*" => None,
            one => Some(FUNCTION_NAMES.iter().position(|name| *name == one)?),
        },
        first,
        last,
        effect: effect(error)?,
        calls: AtomicU64::new(0),
    })
}

impl Faults {
    /// None.
    pub const fn none() -> Faults {
        Faults { rules: Vec::new() }
    }

    /// Parses the variable's value; the first rule that makes no sense is answered back.
    pub fn parse(text: &str) -> std::result::Result<Faults, String> {
        let rules = text
            .split(',')
            .filter(|part| !part.trim().is_empty())
            .map(|part| rule(part).ok_or_else(|| part.to_string()))
            .collect::<std::result::Result<_, _>>()?;
        Ok(Faults { rules })
    }

    /// True when no fault is on order.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Fails (or kills) if this call is one to fail.
    pub fn strike(&self, function: Function) -> Result<()> {
        for rule in self
            .rules
            .iter()
            .filter(|rule| rule.function.is_none_or(|one| one == function as usize))
        {
            let call = rule.calls.fetch_add(1, Ordering::Relaxed) + 1;
            if !(rule.first..=rule.last).contains(&call) {
                continue;
            }
            match rule.effect {
                Effect::Fail(error) => return Err(error),
                // SAFETY: the end of this process, as ordered.
                Effect::Kill => unsafe {
                    libc::kill(libc::getpid(), libc::SIGKILL);
                },
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_strikes_the_call_it_names() {
        let faults = Faults::parse("dfs_write:2:EIO, dfs_stat:*:ENOMEM,dfs_open:2+:DER_TIMEDOUT")
            .expect("three rules");
        assert_eq!(faults.strike(Function::dfs_write), Ok(()));
        assert_eq!(
            faults.strike(Function::dfs_write),
            Err(Error::Errno(libc::EIO))
        );
        assert_eq!(faults.strike(Function::dfs_write), Ok(()));
        assert_eq!(
            faults.strike(Function::dfs_stat),
            Err(Error::Errno(libc::ENOMEM))
        );
        assert_eq!(faults.strike(Function::dfs_open), Ok(()));
        assert_eq!(faults.strike(Function::dfs_open), Err(Error::Der(1011)));
        assert_eq!(faults.strike(Function::dfs_open), Err(Error::Der(1011)));
    }

    #[test]
    fn any_function_counts() {
        let faults = Faults::parse("*:2:EIO").expect("a rule");
        assert_eq!(faults.strike(Function::dfs_write), Ok(()));
        assert!(faults.strike(Function::dfs_stat).is_err());
        assert_eq!(faults.strike(Function::dfs_stat), Ok(()));
    }

    #[test]
    fn nonsense_is_named() {
        assert_eq!(
            Faults::parse("dfs_write:x:EIO").expect_err("no number"),
            "dfs_write:x:EIO"
        );
        assert!(Faults::parse("nothing:1:EIO").is_err());
        assert!(Faults::parse("dfs_write:1:EWHAT").is_err());
        assert!(Faults::parse("").expect("nothing").is_empty());
    }
}
