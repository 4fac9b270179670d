//! Names that are not resolved by text: the magic links of /proc and /dev (proc(5)) to descriptors
//! and directories of ours, which the kernel would follow to a placeholder; and the kernel's own
//! names for its descriptors.
use crate::fd::number::HIGH_BASE;
use crate::filter;
use crate::mount::{components, fd_path};
use crate::node::Node;
use crate::ownfd;
use crate::process::Process;
use std::sync::Arc;

/// `/proc/self/fd/N`, `/proc/<own pid>/fd/N`, `/proc/thread-self/fd/N`, `/dev/fd/N`, `/dev/stdin`
/// and the like where the descriptor is ours; `/proc/self/cwd` where the directory is. The
/// second value is where the rest of the path begins.
pub fn magic(p: &'static Process, path: &[u8]) -> Option<(Arc<Node>, usize)> {
    let (mut names, mut depth) = ([&b""[..]; 8], 0usize);
    for (start, end) in components(path) {
        match &path[start..end] {
            b"." => continue,
            b".." => {
                depth = depth.saturating_sub(1);
                continue;
            }
            name => *names.get_mut(depth)? = name,
        }
        depth += 1;
        if depth == 1 && !matches!(names[0], b"proc" | b"dev") {
            return None;
        }
        let fd = match &names[..depth] {
            [b"dev", b"stdin"] => Some(0),
            [b"dev", b"stdout"] => Some(1),
            [b"dev", b"stderr"] => Some(2),
            [b"dev", b"fd", n] => number(n),
            [b"proc", who, b"fd", n] if is_self(who) => number(n),
            [b"proc", who, b"task", _, b"fd", n] if is_self(who) => number(n),
            [b"proc", who, b"cwd"] if is_self(who) => return Some((p.cwd.node()?, end)),
            _ => continue,
        };
        return Some((p.fds.get(fd?).ok()?.node.clone(), end));
    }
    None
}

/// True for a directory from which a relative path may be [`magic`]: `/dev`, `/dev/fd`, `/proc`,
/// `/proc/self`, `/proc/self/fd` and their like, by text.
pub fn holds_names(path: &[u8]) -> bool {
    let (mut names, mut depth) = ([&b""[..]; 5], 0usize);
    for (start, end) in components(path) {
        match (&path[start..end], names.get_mut(depth)) {
            (b".", _) => continue,
            (b"..", _) => {
                depth = depth.saturating_sub(1);
                continue;
            }
            (component, Some(name)) => *name = component,
            _ => return false,
        }
        depth += 1;
    }
    match &names[..depth] {
        [b"dev"] | [b"dev", b"fd"] | [b"proc"] => true,
        [b"proc", who, rest @ ..] => {
            is_self(who) && matches!(rest, [] | [b"fd"] | [b"task", _] | [b"task", _, b"fd"])
        }
        _ => false,
    }
}

/// The absolute form of a relative path that is [`magic`] from where it starts: a descriptor marked
/// [`filter::NAMES`], or the working directory. One readlink for a descriptor.
pub fn relative(p: &'static Process, dirfd: i64, path: &[u8]) -> Option<Vec<u8>> {
    if !may_name(p, path) {
        return None;
    }
    let mut whole = match dirfd as i32 {
        libc::AT_FDCWD => p.cwd.of_names()?,
        fd if filter::fd_is(fd) == filter::NAMES => fd_path(fd)?,
        _ => return None,
    };
    whole.push(b'/');
    whole.extend_from_slice(path);
    magic(p, &whole).is_some().then_some(whole)
}

/// True where a path, as said from `dirfd`, is a directory that [`holds_names`].
pub(crate) fn holds_names_at(p: &'static Process, dirfd: i64, path: &[u8]) -> bool {
    match path.first() {
        Some(b'/') => holds_names(path),
        _ if dirfd as i32 == libc::AT_FDCWD => p.cwd.of_names().is_some_and(|mut whole| {
            whole.push(b'/');
            whole.extend_from_slice(path);
            holds_names(&whole)
        }),
        _ if filter::fd_is(dirfd as i32) == filter::NAMES => {
            let on_the_way = |name: &[u8]| is_self(name) || matches!(name, b"fd" | b"task");
            components(path).all(|(start, end)| on_the_way(&path[start..end]))
                && kernel_path(dirfd, path).is_some_and(|whole| holds_names(&whole))
        }
        _ => false,
    }
}

/// Whether a relative path could be the name of something of ours: asks nobody.
fn may_name(p: &Process, path: &[u8]) -> bool {
    let ours = |fd| filter::fd_is(fd) == filter::OURS || fd >= HIGH_BASE;
    if matches!(path.first(), None | Some(b'/')) {
        return false;
    }
    components(path).any(|(start, end)| match &path[start..end] {
        b"stdin" => ours(0),
        b"stdout" => ours(1),
        b"stderr" => ours(2),
        b"cwd" => p.cwd.is_ours(),
        name => number(name).is_some_and(ours),
    })
}

/// Where `/proc/self/exe` and the like lead, if this program runs from a copy of one in a mount.
pub fn program(path: &[u8]) -> Option<&'static [u8]> {
    let program = crate::inherit::program()?;
    let mut names = components(path).map(|(start, end)| &path[start..end]);
    let who = match (names.next()?, names.next()?, names.next()?) {
        (b"proc", who, b"exe") => who,
        _ => return None,
    };
    (names.next().is_none() && path.starts_with(b"/") && is_self(who)).then_some(program)
}

/// A number as text, without a sign.
pub(crate) fn number(text: &[u8]) -> Option<i32> {
    let digits = !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    digits
        .then(|| std::str::from_utf8(text).ok()?.parse().ok())
        .flatten()
}

fn is_self(who: &[u8]) -> bool {
    matches!(who, b"self" | b"thread-self") || number(who).is_some_and(is_own_pid)
}

fn is_own_pid(pid: i32) -> bool {
    // SAFETY: no arguments.
    let own = unsafe { crate::call!(SYS_getpid) };
    own == Ok(i64::from(pid))
}

/// The kernel's absolute path of `path` as seen from `dirfd`, by text.
pub(crate) fn kernel_path(dirfd: i64, path: &[u8]) -> Option<Vec<u8>> {
    if path.first() == Some(&b'/') {
        return Some(path.to_vec());
    }
    let mut base = match dirfd as i32 {
        libc::AT_FDCWD => crate::cwd::kernel_cwd()?,
        fd if matches!(filter::fd_is(fd), filter::KERNEL | filter::NAMES) => {
            let st = ownfd::stat_of(fd).ok()?;
            (st.st_mode & libc::S_IFMT == libc::S_IFDIR).then_some(())?;
            fd_path(fd)?
        }
        _ => return None,
    };
    if base.first() != Some(&b'/') {
        return None;
    }
    base.push(b'/');
    base.extend_from_slice(path);
    Some(base)
}
