//! The working directory (Linux: `fs_struct.pwd`): a node while it is ours, nothing while it is
//! the kernel's.
//!
//! While it is ours and no dfuse serves it, the kernel's own is parked in a removed directory, so
//! that a relative path of whoever bypasses us fails instead of working in the wrong place.
//! Relies on [`crate::rundir`] for the place to make that directory in.
use crate::filter::pil_filter;
use crate::gate::Guarded;
use crate::magic::holds_names;
use crate::mount::components;
use crate::node::Node;
use crate::ownfd::{self, OwnFd};
use crate::process::Process;
use crate::resolve::{self, Follow, Located, Options};
use crate::whereabouts::Whereabouts;
use crate::{call, inherit, rundir, user, Errno};
use dfs::Kind;
use std::ffi::{CStr, CString};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, Ordering};
use std::sync::Arc;

/// Levels of the removed directory: as many ".." fail before one works.
const DEPTH: usize = 8;

/// The working directory of the process.
#[derive(Default)]
pub struct Cwd {
    node: Guarded<Option<Arc<Node>>>,
    /// The directory an earlier image left, until somebody needs the node.
    later: Guarded<Option<Whereabouts>>,
    /// `later` is set; cleared when the node is there, or another directory is.
    is_later: AtomicBool,
    /// The thread on its way there: its own calls must not wait for itself.
    arriving: AtomicI64,
    parked: Guarded<Option<OwnFd>>,
    /// The kernel's working directory by text, as far as it is known without asking.
    text: Guarded<Option<Vec<u8>>>,
    /// A mount lies below the kernel's working directory (by that text).
    above: AtomicBool,
    /// Names of descriptors are relative to it (by that text).
    names: AtomicBool,
    /// Counts the changes: what was known of relative paths holds no longer.
    changes: AtomicU32,
    /// Working directories of `CLONE_VM` children that changed theirs, by process id.
    children: Guarded<Vec<(i32, Option<Arc<Node>>)>>,
    any_children: AtomicBool,
}

impl Cwd {
    /// The kernel's working directory, as at start; call [`Cwd::changed_by_kernel`] once the
    /// mounts are known.
    pub fn new() -> Cwd {
        Cwd::default()
    }

    /// The working directory if it is ours.
    pub fn node(&self) -> Option<Arc<Node>> {
        if self.is_later.load(Ordering::Acquire) {
            self.arrive();
        }
        if self.any_children.load(Ordering::Relaxed) && inherit::in_shared_child() {
            let pid = own_pid();
            let children = self.children.lock();
            if let Some((_, node)) = children.iter().find(|(child, _)| *child == pid) {
                return node.clone();
            }
        }
        self.node.lock().clone()
    }

    /// Its path if it is ours (`ENOENT` when it was removed).
    pub fn path(&self) -> Option<Result<CString, Errno>> {
        if self.is_later.load(Ordering::Acquire) {
            if let Some(later) = self.not_yet() {
                return Some(Ok(later.path));
            }
        }
        self.node().map(|node| node.path())
    }

    /// True if it is ours.
    pub fn is_ours(&self) -> bool {
        self.is_later.load(Ordering::Acquire) || self.node().is_some()
    }

    /// What a new image needs to find it, if it is ours. `ENOENT` when it was removed.
    pub fn whereabouts(&self) -> Option<Result<Whereabouts, Errno>> {
        if self.is_later.load(Ordering::Acquire) {
            if let Some(later) = self.not_yet() {
                return Some(Ok(later));
            }
        }
        self.node().map(|node| Whereabouts::of(&node))
    }

    /// What an earlier image left, while nobody needed the node or changed its path.
    fn not_yet(&self) -> Option<Whereabouts> {
        let later = self.later.try_lock()?.clone()?;
        later.is_unchanged().then_some(later)
    }

    /// Counts the changes of directory.
    pub fn generation(&self) -> u32 {
        self.changes.load(Ordering::Relaxed)
    }

    /// `chdir(2)` to a directory of ours (search permission was checked). Never fails: where the
    /// kernel's own cannot be parked it stays where it was, and one line says so.
    pub fn enter(&self, node: Arc<Node>) {
        debug_assert_eq!(node.kind, Kind::Directory);
        node.list();
        let served = node.mount.served_by_dfuse && kernel_chdir_to(&node);
        if !served {
            self.park();
        }
        self.set(Some(node));
    }

    /// Enters a directory by path (a new image restores what it was handed). Errors as chdir(2);
    /// `ENOENT` also where the path is not ours any more.
    pub fn enter_path(&self, p: &'static Process, path: &CStr) -> Result<(), Errno> {
        let options = Options::new(Follow::Yes);
        let at = i64::from(libc::AT_FDCWD);
        match resolve::lookup_path(p, at, path.to_bytes(), &options) {
            Ok(Located::Entry(entry)) if entry.attr.kind() == Kind::Directory => {
                self.enter(entry.node(p));
                Ok(())
            }
            Ok(Located::Node(node)) if node.kind == Kind::Directory => {
                self.enter(node);
                Ok(())
            }
            Ok(Located::Entry(_) | Located::Node(_)) => Err(Errno::ENOTDIR),
            Ok(_) | Err(crate::Reject::NotOurs) => Err(Errno::ENOENT),
            Err(crate::Reject::Errno(e)) => Err(e),
        }
    }

    /// The directory an earlier image was in, and whose kernel directory it parked: nothing is asked
    /// of DAOS before the first call that needs the node.
    pub fn enter_later(&self, place: Whereabouts) {
        let flags = libc::O_PATH | libc::O_DIRECTORY;
        if let Ok(parked) = OwnFd::open(libc::AT_FDCWD, c".", flags, 0) {
            *self.parked.lock() = Some(parked);
        }
        *self.later.lock() = Some(place);
        self.changes.fetch_add(1, Ordering::Relaxed);
        self.is_later.store(true, Ordering::Release);
        pil_filter.cwd_ours.store(1, Ordering::Release);
    }

    /// Enters the directory of [`Cwd::enter_later`]; other threads wait. If that is impossible (one
    /// line says so) relative paths fail in the kernel's parked directory.
    #[cold]
    fn arrive(&self) {
        // SAFETY: no arguments.
        let me = unsafe { call!(SYS_gettid) }.unwrap_or(-1);
        if self.arriving.load(Ordering::Relaxed) == me {
            return;
        }
        let mut later = self.later.lock();
        let (Some(place), Some(p)) = (later.clone(), Process::get()) else {
            return;
        };
        if !self.is_later.load(Ordering::Acquire) {
            return;
        }
        self.arriving.store(me, Ordering::Relaxed);
        match place.find(p) {
            Ok(node) if node.kind == Kind::Directory => self.enter(node),
            // a removed one is as dead as the directory the kernel is parked in
            Ok(_) | Err(Errno::ESTALE) => self.set(None),
            Err(e) => {
                log::error!("working directory {}: {e}", place.path.to_string_lossy());
                self.set(None);
            }
        }
        if !inherit::in_shared_child() {
            *later = None;
        }
        self.arriving.store(0, Ordering::Relaxed);
    }

    /// The kernel changed its working directory, who knows where: ours is left. One system call.
    pub fn changed_by_kernel(&self, p: &Process) {
        self.left_for(p, kernel_cwd());
    }

    /// The kernel changed its working directory to `path` (`None`: to a descriptor's); ours is left.
    /// No system call: the text is followed as if there were no links, and where it misleads a
    /// relative path that the kernel does not find is walked afterwards.
    pub fn left_by(&self, p: &Process, path: Option<&[u8]>) {
        // one not yet arrived at is left, not entered: that would move the kernel's back
        let was_ours = self.is_later.load(Ordering::Acquire) || self.node().is_some();
        let base = match path {
            Some([b'/', ..]) => Some(Vec::new()),
            Some(_) if !was_ours => self.text.lock().take(),
            _ => None,
        };
        let text = base.zip(path).map(|(mut text, path)| {
            for (start, end) in components(path) {
                match &path[start..end] {
                    b"." => {}
                    b".." => text.truncate(text.iter().rposition(|&b| b == b'/').unwrap_or(0)),
                    name => {
                        if text != b"/" {
                            text.push(b'/');
                        } else {
                            text.truncate(1);
                        }
                        text.extend_from_slice(name);
                    }
                }
            }
            if text.is_empty() {
                text.push(b'/');
            }
            text
        });
        self.left_for(p, text);
    }

    fn left_for(&self, p: &Process, text: Option<Vec<u8>>) {
        let above = text.as_ref().is_some_and(|text| p.mounts.below(text));
        let names = text.as_ref().is_some_and(|text| holds_names(text));
        self.names.store(names, Ordering::Relaxed);
        *self.text.lock() = text;
        self.above.store(above, Ordering::Relaxed);
        self.set(None);
    }

    /// A path relative to the kernel's working directory that may still lead into a mount (by
    /// "..", or because a mount lies below): the absolute one.
    pub(crate) fn may_enter_mount(&self, p: &Process, path: &[u8]) -> Option<Vec<u8>> {
        if p.mounts.is_empty() || path.is_empty() {
            return None;
        }
        let dots = path.windows(2).any(|w| w == b"..");
        if !dots && !self.above.load(Ordering::Relaxed) {
            return None;
        }
        let mut whole = kernel_cwd()?;
        whole.push(b'/');
        whole.extend_from_slice(path);
        Some(whole)
    }

    /// The kernel's working directory if it is one from which names of descriptors are relative.
    pub(crate) fn of_names(&self) -> Option<Vec<u8>> {
        if !self.names.load(Ordering::Relaxed) || self.node().is_some() {
            return None;
        }
        self.text.lock().clone()
    }

    fn set(&self, node: Option<Arc<Node>>) {
        self.changes.fetch_add(1, Ordering::Relaxed);
        let ours = node.is_some()
            || self.above.load(Ordering::Relaxed)
            || self.names.load(Ordering::Relaxed);
        let was_ours = pil_filter.cwd_ours.load(Ordering::Relaxed) != 0;
        if !ours && !was_ours && !self.any_children.load(Ordering::Relaxed) {
            return; // from one directory of the kernel's to another: whose it is need not be asked
        }
        if inherit::in_shared_child() {
            let pid = own_pid();
            let mut children = self.children.lock();
            children.retain(|(child, _)| *child != pid && is_alive(*child));
            children.push((pid, node));
            self.any_children.store(true, Ordering::Relaxed);
            if ours {
                pil_filter.cwd_ours.store(1, Ordering::Release);
            }
            return;
        }
        if self.any_children.load(Ordering::Relaxed) {
            let mut children = self.children.lock();
            children.retain(|(child, _)| is_alive(*child));
            self.any_children
                .store(!children.is_empty(), Ordering::Relaxed);
        }
        self.is_later.store(false, Ordering::Release);
        let old = std::mem::replace(&mut *self.node.lock(), node);
        pil_filter
            .cwd_ours
            .store(u32::from(ours), Ordering::Release);
        drop(old);
    }

    /// The parked directory's device and inode (0, 0 if none was made): what a new image compares
    /// the kernel's working directory with.
    pub fn parked_identity(&self) -> (u64, u64) {
        let parked = self.parked.lock();
        let stat = parked.as_ref().and_then(|fd| fd.stat().ok());
        stat.map_or((0, 0), |st| (st.st_dev, st.st_ino))
    }

    fn park(&self) {
        let mut parked = self.parked.lock();
        let gone = parked.as_ref().is_some_and(|fd| fd.stat().is_err());
        if gone || parked.is_none() {
            match make_removed_directory() {
                Ok(fd) => *parked = Some(fd),
                Err(e) => {
                    log::warn!("{e:?}: no place to park the kernel's working directory in");
                    return;
                }
            }
        }
        if let Some(fd) = &*parked {
            // SAFETY: no memory involved.
            let _ = unsafe { call!(SYS_fchdir, fd.raw()) };
        }
    }

    /// In a fork child: children are the parent's.
    pub fn forked(&self) {
        self.children.lock().clear();
        self.any_children.store(false, Ordering::Relaxed);
    }
}

fn own_pid() -> i32 {
    // SAFETY: no arguments.
    unsafe { call!(SYS_getpid) }.unwrap_or(0) as i32
}

fn is_alive(pid: i32) -> bool {
    // SAFETY: signal 0 only asks.
    let asked = unsafe { call!(SYS_kill, pid, 0) };
    asked != Err(Errno::ESRCH)
}

/// The kernel's working directory; `None` if it is removed or unreachable.
pub(crate) fn kernel_cwd() -> Option<Vec<u8>> {
    let mut buf = vec![0u8; user::PATH_MAX];
    // SAFETY: the buffer has the stated length.
    let n = unsafe { call!(SYS_getcwd, buf.as_mut_ptr(), buf.len()) }.ok()? as usize;
    buf.truncate(n.checked_sub(1)?);
    (buf.first() == Some(&b'/')).then_some(buf)
}

/// With dfuse the kernel has the same directory.
fn kernel_chdir_to(node: &Node) -> bool {
    let Ok(path) = node.path() else { return false };
    // SAFETY: a string.
    unsafe { call!(SYS_chdir, path.as_ptr()) }.is_ok()
}

/// Nested directories, made and removed again; the innermost stays open.
fn make_removed_directory() -> Result<OwnFd, Errno> {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let name = format!(
        "cwd-{}-{}",
        own_pid(),
        COUNT.fetch_add(1, Ordering::Relaxed)
    );
    let mut path = rundir::file(&name)?.into_bytes();
    let mut levels = Vec::with_capacity(DEPTH);
    for _ in 0..DEPTH {
        let level = CString::new(path.clone()).map_err(|_| Errno::EINVAL)?;
        // SAFETY: a string.
        unsafe { call!(SYS_mkdirat, libc::AT_FDCWD, level.as_ptr(), 0o700) }?;
        levels.push(level);
        path.extend_from_slice(b"/d");
    }
    let innermost = levels.last().ok_or(Errno::EINVAL)?;
    let flags = libc::O_PATH | libc::O_DIRECTORY;
    let fd = OwnFd::open(libc::AT_FDCWD, innermost, flags, 0);
    for level in levels.iter().rev() {
        // SAFETY: a string.
        let _ = unsafe {
            call!(
                SYS_unlinkat,
                libc::AT_FDCWD,
                level.as_ptr(),
                libc::AT_REMOVEDIR
            )
        };
    }
    fd
}

/// True if the kernel's working directory is this one.
pub fn kernel_cwd_is(dev: u64, ino: u64) -> bool {
    ownfd::stat_at(libc::AT_FDCWD, c".", 0).is_ok_and(|st| (st.st_dev, st.st_ino) == (dev, ino))
}
