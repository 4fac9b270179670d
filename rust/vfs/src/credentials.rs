//! Who the caller is: ids, capabilities and umask, read from the kernel by raw system calls once and
//! again after each call that changes them.
//!
//! Linux keeps an identity for every thread. As long as all threads have the same one it is cached
//! for the process; once two were found to differ (file servers do that) every check reads the
//! caller's own. Neither takes a descriptor where other threads could see it.
use crate::aside::aside;
use crate::idmap::{IdMap, OVERFLOW_ID};
use crate::kernel::syscall;
use crate::permission::{Ids, Who};
use crate::{call, inherit, Errno};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard};

/// The cache of the process's identity and its umask.
pub struct Credentials {
    /// An [`Ids`], or an odd number while it is not known: another one after each change, so that
    /// nobody stores what was read before.
    ids: AtomicUsize,
    /// A call has changed something since the start: threads may differ.
    changed: AtomicBool,
    /// They did.
    differ: AtomicBool,
    /// Every identity seen; kept for the process's life, as readers hold no count.
    seen: Mutex<Vec<&'static Ids>>,
    /// The maps of the process's user name space, once both are written: that happens once.
    maps: Mutex<Option<(IdMap, IdMap)>>,
    umask: AtomicU32,
}

const UNKNOWN: u32 = u32::MAX;

impl Default for Credentials {
    fn default() -> Self {
        Self::new()
    }
}

impl Credentials {
    /// Nothing read yet.
    pub const fn new() -> Credentials {
        Credentials {
            ids: AtomicUsize::new(1),
            changed: AtomicBool::new(false),
            differ: AtomicBool::new(false),
            seen: Mutex::new(Vec::new()),
            maps: Mutex::new(None),
            umask: AtomicU32::new(UNKNOWN),
        }
    }

    /// The current identity; the first use and the first one after [`Credentials::invalidate`] read it.
    pub fn ids(&self) -> &'static Ids {
        match self.ids.load(Ordering::Acquire) {
            unknown if unknown & 1 != 0 => self.read(unknown),
            // SAFETY: only leaked identities are stored.
            known => unsafe { &*(known as *const Ids) },
        }
    }

    /// A call changed the ids of this thread or of all.
    pub fn invalidate(&self) {
        self.changed.store(true, Ordering::Release);
        self.forget();
    }

    /// The process has entered another user name space.
    pub fn renumbered(&self) {
        *self.maps() = None;
        self.invalidate();
    }

    fn maps(&self) -> MutexGuard<'_, Option<(IdMap, IdMap)>> {
        self.maps.lock().unwrap_or_else(|e| e.into_inner())
    }

    fn forget(&self) {
        static CHANGES: AtomicUsize = AtomicUsize::new(1);
        let unknown = CHANGES.fetch_add(2, Ordering::Relaxed) + 2;
        self.ids.store(unknown, Ordering::Release);
    }

    #[cold]
    fn read(&self, unknown: usize) -> &'static Ids {
        let known = self.maps().clone();
        let shared = inherit::in_shared_child();
        let (users, group_ids) = match known {
            Some(maps) if !shared => maps,
            _ => read_maps(),
        };
        let lasting = !users.is_unwritten() && !group_ids.is_unwritten();
        if lasting && !shared {
            *self.maps() = Some((users.clone(), group_ids.clone()));
        }
        let now = current(users, group_ids);
        let ids = self.kept(now);
        if lasting && !shared && self.same_for_all() {
            let ids = std::ptr::from_ref(ids) as usize;
            let _ = self
                .ids
                .compare_exchange(unknown, ids, Ordering::AcqRel, Ordering::Acquire);
        }
        ids
    }

    fn kept(&self, now: Ids) -> &'static Ids {
        let mut seen = self.seen.lock().unwrap_or_else(|e| e.into_inner());
        match seen.iter().find(|ids| ***ids == now) {
            Some(known) => known,
            None => {
                let leaked: &'static Ids = Box::leak(Box::new(now));
                seen.push(leaked);
                leaked
            }
        }
    }

    /// Whether what this thread read holds for every thread. A process whose threads were found to
    /// differ is not asked again.
    fn same_for_all(&self) -> bool {
        if !self.changed.load(Ordering::Acquire) {
            return true;
        }
        if self.differ.load(Ordering::Relaxed) {
            return false;
        }
        // alone, or else what all threads' files say: read aside, or here where that cannot be
        let same = is_alone() || aside(threads_are_one).unwrap_or_else(|_| threads_are_one());
        self.differ.store(!same, Ordering::Relaxed);
        same
    }

    /// The file mode creation mask.
    pub fn umask(&self) -> u32 {
        match self.umask.load(Ordering::Relaxed) {
            UNKNOWN => {
                let mask = kernel_umask();
                self.umask.store(mask, Ordering::Relaxed);
                mask
            }
            mask => mask,
        }
    }

    /// `umask(2)` succeeded with this mask.
    pub fn set_umask(&self, mask: u32) {
        self.umask.store(mask & 0o777, Ordering::Relaxed);
    }

    /// In a fork child, which has one thread.
    pub fn forked(&self) {
        self.changed.store(false, Ordering::Relaxed);
        self.differ.store(false, Ordering::Relaxed);
        *self.maps() = None;
        self.forget();
    }
}

/// True if this is the process's only thread, by a call that changes nothing then and fails else
/// (unshare(2)).
fn is_alone() -> bool {
    // SAFETY: no memory involved.
    unsafe { call!(SYS_unshare, libc::CLONE_THREAD) }.is_ok()
}

/// The mask from `/proc/self/status` (it cannot be asked without being set); 022 without /proc.
fn kernel_umask() -> u32 {
    let mut buf = [0u8; 1024];
    let text = read_file(c"/proc/self/status", &mut buf);
    let umask = text
        .split(|&b| b == b'\n')
        .find_map(|l| l.strip_prefix(b"Umask:"));
    umask
        .and_then(|v| std::str::from_utf8(v.trim_ascii()).ok())
        .and_then(|v| u32::from_str_radix(v, 8).ok())
        .unwrap_or(0o022)
}

/// As much of a (small) file as fits; empty on any error.
pub(crate) fn read_file<'a>(path: &std::ffi::CStr, buf: &'a mut [u8]) -> &'a [u8] {
    try_read_file(path, buf).unwrap_or(&[])
}

/// As much of a (small) file as fits. Errors as openat(2).
fn try_read_file<'a>(path: &std::ffi::CStr, buf: &'a mut [u8]) -> Result<&'a [u8], Errno> {
    // SAFETY: the path is a string, the buffer writable for its length.
    unsafe {
        let flags = libc::O_RDONLY | libc::O_CLOEXEC;
        let fd = call!(SYS_openat, libc::AT_FDCWD, path.as_ptr(), flags, 0)?;
        let mut len = 0;
        while len < buf.len() {
            match call!(SYS_read, fd, buf[len..].as_mut_ptr(), buf.len() - len) {
                Ok(n) if n > 0 => len += n as usize,
                _ => break,
            }
        }
        let _ = call!(SYS_close, fd);
        Ok(&buf[..len])
    }
}

/// Reads the maps of the user name space.
fn read_maps() -> (IdMap, IdMap) {
    (id_map(c"/proc/self/uid_map"), id_map(c"/proc/self/gid_map"))
}

/// Reads the calling thread's identity from the kernel, without a descriptor.
fn current(users: IdMap, group_ids: IdMap) -> Ids {
    let id = |nr, argument| {
        // SAFETY: numbers only; setfsuid(-1) changes nothing and answers the id.
        unsafe { syscall(nr, [argument, 0, 0, 0, 0, 0]) }.unwrap_or(0) as u32
    };
    let (effective, permitted) = capabilities();
    let (fsuid, ruid) = (id(libc::SYS_setfsuid, -1), id(libc::SYS_getuid, 0));
    let user = |id| users.to_outside(id).unwrap_or(OVERFLOW_ID);
    let group = |id| group_ids.to_outside(id).unwrap_or(OVERFLOW_ID);
    let who = |uid, gid, caps: u64| Who {
        uid: user(uid),
        gid: group(gid),
        caps,
    };
    // access(2) checks with what the real user could have: all permitted ones for root, else none
    let real_caps = if ruid == 0 { permitted } else { 0 };
    Ids {
        effective: who(fsuid, id(libc::SYS_setfsgid, -1), effective),
        real: who(ruid, id(libc::SYS_getgid, 0), real_caps),
        groups: supplementary().into_iter().map(group).collect(),
        users,
        group_ids,
    }
}

/// User and group as the name space around this one knows them; `None` where it does not.
pub(crate) fn outside(uid: u32, gid: u32) -> Option<(u32, u32)> {
    let uid = id_map(c"/proc/self/uid_map").to_outside(uid)?;
    let gid = id_map(c"/proc/self/gid_map").to_outside(gid)?;
    Some((uid, gid))
}

/// A map of ids; the identity where there is none to be read.
fn id_map(path: &std::ffi::CStr) -> IdMap {
    let mut buf = vec![0u8; 16384];
    match try_read_file(path, &mut buf) {
        Ok(text) => IdMap::parse(text),
        Err(_) => IdMap::default(),
    }
}

/// Whether every thread of the process has the caller's ids, groups and capabilities. Where that
/// cannot be seen: no.
fn threads_are_one() -> bool {
    let flags = libc::O_RDONLY | libc::O_DIRECTORY | libc::O_CLOEXEC;
    let path = c"/proc/self/task";
    // SAFETY: a string.
    let opened = unsafe { call!(SYS_openat, libc::AT_FDCWD, path.as_ptr(), flags, 0) };
    let Ok(fd) = opened else { return false };
    let mut mine = vec![0u8; 4096];
    let mine = identity_lines(c"/proc/thread-self/status", &mut mine);
    let (mut buf, mut same) = (vec![0u8; 4096], !mine.is_empty());
    while same {
        // SAFETY: the buffer has the stated length.
        let n = match unsafe { call!(SYS_getdents64, fd, buf.as_mut_ptr(), buf.len()) } {
            Ok(0) => break,
            Ok(n) => n as usize,
            Err(_) => {
                same = false;
                break;
            }
        };
        let mut at = 0;
        while at + 19 < n {
            let len = usize::from(u16::from_ne_bytes([buf[at + 16], buf[at + 17]]));
            let name = &buf[at + 19..at + len];
            let name = &name[..name.iter().position(|&b| b == 0).unwrap_or(name.len())];
            at += len;
            if !name.iter().all(u8::is_ascii_digit) {
                continue;
            }
            let mut path = b"/proc/self/task/".to_vec();
            path.extend_from_slice(name);
            path.extend_from_slice(b"/status");
            let Ok(path) = std::ffi::CString::new(path) else {
                continue;
            };
            let mut text = vec![0u8; 4096];
            let theirs = identity_lines(&path, &mut text);
            // none: it has ended meanwhile
            same &= theirs.is_empty() || theirs == mine;
        }
    }
    // SAFETY: our own number.
    let _ = unsafe { call!(SYS_close, fd) };
    same
}

/// The lines of a `status` file that make an identity.
fn identity_lines<'a>(path: &std::ffi::CStr, buf: &'a mut [u8]) -> Vec<&'a [u8]> {
    const LINES: [&[u8]; 5] = [b"Uid:", b"Gid:", b"Groups:", b"CapPrm:", b"CapEff:"];
    let text: &'a [u8] = read_file(path, buf);
    text.split(|&b| b == b'\n')
        .filter(|line| LINES.iter().any(|name| line.starts_with(name)))
        .collect()
}

fn supplementary() -> Vec<u32> {
    // SAFETY: size 0 asks for the number; the buffer holds as many.
    unsafe {
        let n = call!(SYS_getgroups, 0, 0).unwrap_or(0) as usize;
        let mut groups = vec![0u32; n];
        let n = call!(SYS_getgroups, n, groups.as_mut_ptr()).unwrap_or(0) as usize;
        groups.truncate(n);
        groups
    }
}

/// Effective and permitted capabilities (capget, version 3).
fn capabilities() -> (u64, u64) {
    let mut header = [0x2008_0522u32, 0];
    let mut data = [0u32; 6];
    // SAFETY: header and data have the sizes version 3 asks for.
    let rc = unsafe { call!(SYS_capget, header.as_mut_ptr(), data.as_mut_ptr()) };
    match rc {
        Ok(_) => (
            u64::from(data[0]) | u64::from(data[3]) << 32,
            u64::from(data[1]) | u64::from(data[4]) << 32,
        ),
        Err(_) => (0, 0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_identity_is_the_kernels() {
        let c = Credentials::new();
        // SAFETY: no arguments.
        let euid = unsafe { call!(SYS_geteuid) }.unwrap() as u32;
        assert_eq!(c.ids().owner().0, euid);
        let first = std::ptr::from_ref(c.ids());
        c.invalidate();
        assert_eq!(std::ptr::from_ref(c.ids()), first);
        let mask = c.umask();
        assert_eq!(mask & !0o777, 0);
    }
}
