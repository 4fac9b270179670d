//! Permission checks, which DFS leaves to its callers (Linux: `inode_permission` and friends).
//!
//! The rules are the kernel's: owner, group, supplementary groups, others, capabilities. A root of
//! a user namespace has none of the latter: it is mapped to the id it has outside. The
//! process's ids are read by raw system calls once and again after each call that changes them.
use crate::kernel::syscall;
use crate::{call, Errno};
use dfs::Attr;
use std::sync::atomic::{AtomicPtr, AtomicU32, Ordering};
use std::sync::Mutex;

/// `MAY_READ` of the kernel, `R_OK` of access(2).
pub const READ: u32 = 4;
/// `MAY_WRITE`, `W_OK`.
pub const WRITE: u32 = 2;
/// `MAY_EXEC`, `X_OK`: search for directories.
pub const EXEC: u32 = 1;

const CAP_CHOWN: u32 = 0;
const CAP_DAC_OVERRIDE: u32 = 1;
const CAP_DAC_READ_SEARCH: u32 = 2;
const CAP_FOWNER: u32 = 3;
const CAP_FSETID: u32 = 4;

/// Mode, owner and group of a file: what a permission check looks at. Ids are those of the
/// initial user namespace.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Mode {
    /// `st_mode`
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
}

impl From<&Attr> for Mode {
    fn from(attr: &Attr) -> Mode {
        let s = &attr.stat;
        Mode {
            mode: s.st_mode,
            uid: s.st_uid,
            gid: s.st_gid,
        }
    }
}

impl Mode {
    /// True for a directory.
    pub fn is_dir(&self) -> bool {
        self.mode & libc::S_IFMT == libc::S_IFDIR
    }
}

/// Ids and capabilities one check is made with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Who {
    uid: u32,
    gid: u32,
    caps: u64,
}

impl Who {
    fn capable(&self, cap: u32) -> bool {
        self.caps & (1 << cap) != 0
    }
}

/// The process's identity towards files, immutable; a change makes another one.
#[derive(PartialEq, Eq, Debug)]
pub struct Ids {
    effective: Who,
    real: Who,
    groups: Vec<u32>,
    users: IdMap,
    group_ids: IdMap,
}

/// Whose rights a check is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum As {
    /// The effective ids: every call but access(2).
    Effective,
    /// The real ids.
    Real,
}

impl Ids {
    /// Effective user and group as DAOS should store them.
    pub fn owner(&self) -> (u32, u32) {
        (self.effective.uid, self.effective.gid)
    }

    fn who(&self, whose: As) -> &Who {
        match whose {
            As::Effective => &self.effective,
            As::Real => &self.real,
        }
    }

    fn in_group(&self, who: &Who, gid: u32) -> bool {
        who.gid == gid || self.groups.contains(&gid)
    }

    /// May `mask` (of [`READ`], [`WRITE`], [`EXEC`]) be done? `EACCES` if not. Links allow all.
    pub fn check(&self, file: Mode, mask: u32, whose: As) -> Result<(), Errno> {
        let who = self.who(whose);
        if file.mode & libc::S_IFMT == libc::S_IFLNK {
            return Ok(());
        }
        let class = match () {
            () if who.uid == file.uid => file.mode >> 6,
            () if self.in_group(who, file.gid) => file.mode >> 3,
            () => file.mode,
        };
        if mask & !class & 7 == 0 || self.override_allows(who, file, mask) {
            return Ok(());
        }
        Err(Errno::EACCES)
    }

    fn override_allows(&self, who: &Who, file: Mode, mask: u32) -> bool {
        if file.is_dir() {
            return who.capable(CAP_DAC_OVERRIDE)
                || (mask & WRITE == 0 && who.capable(CAP_DAC_READ_SEARCH));
        }
        if mask == READ && who.capable(CAP_DAC_READ_SEARCH) {
            return true;
        }
        (mask & EXEC == 0 || file.mode & 0o111 != 0) && who.capable(CAP_DAC_OVERRIDE)
    }

    /// Owner of the file, or capable of acting as one.
    pub fn owns(&self, file: Mode) -> bool {
        self.effective.uid == file.uid || self.effective.capable(CAP_FOWNER)
    }

    /// True if files may change owner at will.
    pub fn may_give_away(&self) -> bool {
        self.effective.capable(CAP_CHOWN)
    }

    /// True if the owner may hand the file to group `gid`.
    pub fn may_take_group(&self, file: Mode, gid: u32) -> bool {
        self.may_give_away()
            || (self.effective.uid == file.uid
                && (gid == file.gid || self.in_group(&self.effective, gid)))
    }

    /// Writing to a file does not take its set-id bits away.
    pub fn keeps_setid(&self) -> bool {
        self.effective.capable(CAP_FSETID)
    }

    /// A set-group-id bit stays when the caller is of the group or capable.
    pub fn keeps_setgid(&self, gid: u32) -> bool {
        self.in_group(&self.effective, gid) || self.effective.capable(CAP_FSETID)
    }

    /// May an entry with attributes `victim` be removed from `dir`? `EACCES`, `EPERM` (sticky).
    pub fn may_delete(&self, dir: Mode, victim: Mode) -> Result<(), Errno> {
        self.check(dir, WRITE | EXEC, As::Effective)?;
        let me = &self.effective;
        let sticky = dir.mode & libc::S_ISVTX != 0;
        if sticky && me.uid != victim.uid && me.uid != dir.uid && !me.capable(CAP_FOWNER) {
            return Err(Errno::EPERM);
        }
        Ok(())
    }

    /// A user id of the application's as DAOS stores it; `None` for -1, `EINVAL` for one without
    /// meaning in this user namespace.
    pub fn user_in(&self, uid: i64) -> Result<Option<u32>, Errno> {
        self.users.inward(uid)
    }

    /// As [`Ids::user_in`], for groups.
    pub fn group_in(&self, gid: i64) -> Result<Option<u32>, Errno> {
        self.group_ids.inward(gid)
    }

    /// Owner and group of a file as the application sees them.
    pub fn show(&self, stat: &mut libc::stat) {
        stat.st_uid = self.users.outward(stat.st_uid);
        stat.st_gid = self.group_ids.outward(stat.st_gid);
    }
}

/// `/proc/self/uid_map`: ranges of (inside, outside, count); empty is the identity.
#[derive(PartialEq, Eq, Debug, Default)]
struct IdMap(Vec<(u32, u32, u32)>);

/// What ids without a mapping look like.
const OVERFLOW_ID: u32 = 65534;

impl IdMap {
    fn parse(text: &[u8]) -> IdMap {
        let mut ranges = Vec::new();
        for line in text.split(|&b| b == b'\n') {
            let mut fields = line
                .split(|b| b.is_ascii_whitespace())
                .filter(|f| !f.is_empty())
                .filter_map(|f| std::str::from_utf8(f).ok()?.parse().ok());
            if let (Some(inside), Some(outside), Some(count)) =
                (fields.next(), fields.next(), fields.next())
            {
                ranges.push((inside, outside, count));
            }
        }
        if ranges == [(0, 0, u32::MAX)] {
            ranges.clear();
        }
        IdMap(ranges)
    }

    fn is_initial(&self) -> bool {
        self.0.is_empty()
    }

    fn to_outside(&self, id: u32) -> Option<u32> {
        if self.is_initial() {
            return Some(id);
        }
        let inside = |&&(start, _, count): &&(u32, u32, u32)| id >= start && id - start < count;
        self.0
            .iter()
            .find(inside)
            .map(|&(start, out, _)| out + (id - start))
    }

    fn outward(&self, id: u32) -> u32 {
        if self.is_initial() {
            return id;
        }
        let outside = |&&(_, start, count): &&(u32, u32, u32)| id >= start && id - start < count;
        self.0
            .iter()
            .find(outside)
            .map_or(OVERFLOW_ID, |&(inside, start, _)| inside + (id - start))
    }

    fn inward(&self, id: i64) -> Result<Option<u32>, Errno> {
        match id as u32 {
            u32::MAX => Ok(None),
            id => self.to_outside(id).map(Some).ok_or(Errno::EINVAL),
        }
    }
}

/// The cache of the process's identity and its umask.
pub struct Credentials {
    ids: AtomicPtr<Ids>,
    /// Every identity seen; kept for the process's life, as readers hold no count.
    seen: Mutex<Vec<&'static Ids>>,
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
            ids: AtomicPtr::new(std::ptr::null_mut()),
            seen: Mutex::new(Vec::new()),
            umask: AtomicU32::new(UNKNOWN),
        }
    }

    /// The current identity; the first use and the first one after [`Credentials::invalidate`] read it.
    pub fn ids(&self) -> &'static Ids {
        let ids = self.ids.load(Ordering::Acquire);
        if ids.is_null() {
            return self.read();
        }
        // SAFETY: only leaked identities are stored.
        unsafe { &*ids }
    }

    /// A call changed the ids.
    pub fn invalidate(&self) {
        self.ids.store(std::ptr::null_mut(), Ordering::Release);
    }

    #[cold]
    fn read(&self) -> &'static Ids {
        let now = current();
        let mut seen = self.seen.lock().unwrap_or_else(|e| e.into_inner());
        let ids = match seen.iter().find(|ids| ***ids == now) {
            Some(known) => known,
            None => {
                let leaked: &'static Ids = Box::leak(Box::new(now));
                seen.push(leaked);
                leaked
            }
        };
        self.ids
            .store(std::ptr::from_ref(ids).cast_mut(), Ordering::Release);
        ids
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

    /// In a fork child: no other thread holds a lock any more.
    pub fn forked(&self) {
        self.invalidate();
    }
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
    // SAFETY: the path is a string, the buffer writable for its length.
    unsafe {
        let flags = libc::O_RDONLY | libc::O_CLOEXEC;
        let Ok(fd) = call!(SYS_openat, libc::AT_FDCWD, path.as_ptr(), flags, 0) else {
            return &[];
        };
        let mut len = 0;
        while len < buf.len() {
            match call!(SYS_read, fd, buf[len..].as_mut_ptr(), buf.len() - len) {
                Ok(n) if n > 0 => len += n as usize,
                _ => break,
            }
        }
        let _ = call!(SYS_close, fd);
        &buf[..len]
    }
}

/// Reads the identity from the kernel.
fn current() -> Ids {
    let id = |nr| {
        // SAFETY: no arguments.
        unsafe { syscall(nr, [0; 6]) }.unwrap_or(0) as u32
    };
    let mut buf = vec![0u8; 4096];
    let users = IdMap::parse(read_file(c"/proc/self/uid_map", &mut buf));
    let group_ids = IdMap::parse(read_file(c"/proc/self/gid_map", &mut buf));
    let (effective, permitted) = capabilities();
    let initial = users.is_initial();
    let (euid, ruid) = (id(libc::SYS_geteuid), id(libc::SYS_getuid));
    let user = |id| users.to_outside(id).unwrap_or(OVERFLOW_ID);
    let group = |id| group_ids.to_outside(id).unwrap_or(OVERFLOW_ID);
    // access(2) checks with the capabilities of the real user: all permitted ones for root, else none
    let real_caps = match () {
        () if ruid == euid => effective,
        () if ruid == 0 => permitted,
        () => 0,
    };
    let who = |uid, gid, caps: u64| Who {
        uid,
        gid,
        caps: if initial { caps } else { 0 },
    };
    Ids {
        effective: who(user(euid), group(id(libc::SYS_getegid)), effective),
        real: who(user(ruid), group(id(libc::SYS_getgid)), real_caps),
        groups: supplementary().into_iter().map(group).collect(),
        users,
        group_ids,
    }
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

    fn ids(uid: u32, gid: u32, groups: &[u32], caps: u64) -> Ids {
        let who = Who { uid, gid, caps };
        Ids {
            effective: who,
            real: who,
            groups: groups.to_vec(),
            users: IdMap::default(),
            group_ids: IdMap::default(),
        }
    }

    fn file(mode: u32, uid: u32, gid: u32) -> Mode {
        Mode {
            mode: libc::S_IFREG | mode,
            uid,
            gid,
        }
    }

    fn dir(mode: u32, uid: u32, gid: u32) -> Mode {
        Mode {
            mode: libc::S_IFDIR | mode,
            uid,
            gid,
        }
    }

    #[test]
    fn the_first_class_that_fits_decides() {
        let me = ids(10, 20, &[30], 0);
        assert!(me.check(file(0o077, 10, 20), READ, As::Effective).is_err());
        assert!(me.check(file(0o707, 11, 30), READ, As::Effective).is_err());
        assert!(me
            .check(file(0o070, 11, 30), READ | WRITE | EXEC, As::Effective)
            .is_ok());
        assert!(me.check(file(0o004, 11, 21), READ, As::Effective).is_ok());
    }

    #[test]
    fn root_reads_all_but_executes_only_programs() {
        let root = ids(0, 0, &[], 0x1f);
        assert!(root
            .check(file(0, 1, 1), READ | WRITE, As::Effective)
            .is_ok());
        assert_eq!(
            root.check(file(0o666, 1, 1), EXEC, As::Effective),
            Err(Errno::EACCES)
        );
        assert!(root.check(file(0o001, 1, 1), EXEC, As::Effective).is_ok());
        assert!(root
            .check(dir(0, 1, 1), WRITE | EXEC, As::Effective)
            .is_ok());
    }

    #[test]
    fn sticky_directories_protect_entries_of_others() {
        let me = ids(10, 20, &[], 0);
        let tmp = dir(0o1777, 0, 0);
        assert_eq!(me.may_delete(tmp, file(0o666, 11, 20)), Err(Errno::EPERM));
        assert!(me.may_delete(tmp, file(0o600, 10, 20)).is_ok());
        assert_eq!(
            me.may_delete(dir(0o755, 0, 0), file(0o600, 10, 20)),
            Err(Errno::EACCES)
        );
        assert!(me
            .may_delete(dir(0o1777, 10, 0), file(0o600, 11, 20))
            .is_ok());
    }

    #[test]
    fn ids_pass_through_a_user_namespace() {
        let map =
            IdMap::parse(b"         0       1000          1\n         1     100000      65536\n");
        assert_eq!(map.to_outside(0), Some(1000));
        assert_eq!(map.to_outside(5), Some(100_004));
        assert_eq!(map.to_outside(70_000), None);
        assert_eq!(map.outward(1000), 0);
        assert_eq!(map.outward(100_000), 1);
        assert_eq!(map.outward(7), OVERFLOW_ID);
        assert!(IdMap::parse(b"0 0 4294967295\n").is_initial());
    }

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
