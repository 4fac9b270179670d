//! The mounts: which paths are ours, and what each one stands on (Linux: the mount tree).
//!
//! The table is made once at start from the environment's mounts and `/proc/self/mountinfo` and
//! never changes. Nothing is touched until the first path or descriptor below a mount is used:
//! [`Mount::fs`] brings the client and the container up then, once, on the calling thread.
use crate::board;
use crate::call;
use crate::dcache::now_ms;
use crate::fd;
use crate::filter::{pil_filter, Prefix};
use crate::gate::{self, Guarded};
use crate::inherit;
use crate::node::Node;
use crate::permission::Mode;
use crate::process::Process;
use crate::Errno;
use dfs::{Access, Client, Filesystem, Handles};
use once_cell::sync::OnceCell;
use std::ffi::{CStr, CString};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::Arc;

/// A mount named by the environment (or the C API).
#[derive(Clone, Debug)]
pub struct ExplicitMount {
    /// Mount point, absolute.
    pub point: CString,
    /// Pool label or UUID.
    pub pool: CString,
    /// Container label or UUID.
    pub container: CString,
}

/// What the table is made from.
#[derive(Default)]
pub struct MountConfig<'a> {
    /// Mounts by name; they win over a dfuse mount at the same point.
    pub explicit: Vec<ExplicitMount>,
    /// The text of `/proc/self/mountinfo`.
    pub mountinfo: &'a [u8],
}

/// How long a failed bring-up is not tried again.
const RETRY_MS: u64 = 10_000;

/// One container in the tree.
pub struct Mount {
    /// Where it is: absolute, without trailing slash.
    pub point: CString,
    /// `st_dev` of everything in it.
    pub dev: u64,
    /// A dfuse serves the same files through the kernel.
    pub served_by_dfuse: bool,
    /// Another mount lies below this one.
    pub covered: bool,
    names: Option<(CString, CString)>,
    up: OnceCell<Up>,
    /// Serialises the first use; holds the last failure. A fork child finds it free.
    bring_up: Guarded<Option<(u64, Errno)>>,
    /// The thread in the middle of the bring-up: its own file calls must not wait for itself.
    starting: AtomicI64,
    given_up: AtomicBool,
    hidden: OnceCell<Arc<Node>>,
    /// Handles the image before this one left, until the first use.
    offered: Guarded<Option<Handles>>,
    /// Our handles as bytes, for the programs started from here.
    exported: OnceCell<Option<Handles>>,
}

struct Up {
    fs: Arc<Filesystem>,
    root: Arc<Node>,
    /// The image that connected.
    image: u32,
}

impl Mount {
    fn new(point: CString, dev: u64, dfuse: bool, names: Option<(CString, CString)>) -> Mount {
        Mount {
            point,
            dev,
            served_by_dfuse: dfuse,
            covered: false,
            names,
            up: OnceCell::new(),
            bring_up: Guarded::new(None),
            starting: AtomicI64::new(0),
            given_up: AtomicBool::new(false),
            hidden: OnceCell::new(),
            offered: Guarded::new(None),
            exported: OnceCell::new(),
        }
    }

    /// The file system, brought up by the first call. `EIO` when that is impossible (one line of
    /// the log says why), at once for the next ten seconds, then after another try.
    #[inline]
    pub fn fs(&'static self) -> Result<&'static Arc<Filesystem>, Errno> {
        Ok(&self.up()?.fs)
    }

    /// The root directory.
    #[inline]
    pub fn root(&'static self) -> Result<Arc<Node>, Errno> {
        Ok(self.up()?.root.clone())
    }

    /// True once the first use has succeeded.
    pub fn is_up(&self) -> bool {
        self.up.get().is_some()
    }

    /// Handles of an earlier image of this user, tried before a connect of our own.
    pub fn offer(&self, handles: Handles) {
        *self.offered.lock() = Some(handles);
    }

    /// Our handles for another program. `None` before the first use, and in a fork child whose
    /// parent was not asked before the fork: there they would first cost a re-attach.
    pub fn handles(&self) -> Option<&Handles> {
        let up = self.up.get()?;
        let may = || (up.image == gate::image()).then(|| up.fs.export_handles().ok());
        self.exported.get_or_init(|| may().flatten()).as_ref()
    }

    /// True if the kernel serves this mount for good: dfuse is there and our first try failed.
    pub fn given_up(&self) -> bool {
        self.given_up.load(Ordering::Relaxed)
    }

    /// True if nothing below can be changed.
    pub fn is_read_only(&'static self) -> bool {
        self.up.get().is_some_and(|up| up.fs.is_read_only())
    }

    /// The access node handles are opened with.
    pub fn access(&'static self) -> Access {
        match self.is_read_only() {
            true => Access::Read,
            false => Access::ReadWrite,
        }
    }

    /// Pool and container as configured, if they were named.
    pub fn names(&self) -> Option<(&CStr, &CStr)> {
        self.names
            .as_ref()
            .map(|(p, c)| (p.as_c_str(), c.as_c_str()))
    }

    /// The container as a number that the processes of this node compute alike: from its names, or
    /// for a mount of dfuse's from the mount point, and from the DAOS system they are names in.
    pub fn hash(&self) -> u64 {
        let (first, second) = self.names().unwrap_or((self.point.as_c_str(), c""));
        fnv(fnv(system(), first.to_bytes_with_nul()), second.to_bytes())
    }

    /// The directory that keeps open files without a name; `make` is called the first time.
    pub(crate) fn hidden_dir(
        &'static self,
        make: impl FnOnce() -> Result<Arc<Node>, Errno>,
    ) -> Result<&'static Arc<Node>, Errno> {
        self.hidden.get_or_try_init(make)
    }

    #[inline]
    fn up(&'static self) -> Result<&'static Up, Errno> {
        match self.up.get() {
            Some(up) => Ok(up),
            None => self.start(),
        }
    }

    #[cold]
    fn start(&'static self) -> Result<&'static Up, Errno> {
        inherit::only_in_own_memory("DAOS")?;
        // SAFETY: no arguments.
        let me = unsafe { call!(SYS_gettid) }.unwrap_or(-1);
        if self.starting.load(Ordering::Relaxed) == me {
            return Err(Errno::EAGAIN);
        }
        let mut failed = self.bring_up.lock();
        if let Some(up) = self.up.get() {
            return Ok(up);
        }
        if let Some((when, errno)) = *failed {
            if now_ms().saturating_sub(when) < RETRY_MS {
                return Err(errno);
            }
        }
        self.starting.store(me, Ordering::Relaxed);
        let result = self.connect();
        self.starting.store(0, Ordering::Relaxed);
        match result {
            Ok(up) => {
                *failed = None;
                Ok(self.up.get_or_init(|| up))
            }
            Err(errno) => {
                if self.served_by_dfuse && failed.is_none() {
                    self.given_up.store(true, Ordering::Relaxed);
                }
                *failed = Some((now_ms(), errno));
                Err(errno)
            }
        }
    }

    fn connect(&'static self) -> Result<Up, Errno> {
        let (pool, cont) = match &self.names {
            Some(names) => names.clone(),
            None => self.ask_dfuse().inspect_err(|e| {
                log::error!(
                    "{}: {e:?} reading user.daos of the mount point",
                    self.shown()
                );
            })?,
        };
        self.warn_of_shadow();
        board::start();
        fd::prepare();
        let client =
            start_client().map_err(|why| self.report(why.errno, &pool, &cont, &why.text))?;
        let fs = match self.import(client, &pool, &cont) {
            Some(fs) => fs,
            None => Filesystem::connect(client, &pool, &cont)
                .map_err(|e| self.report(e, &pool, &cont, reason(e)))?,
        };
        let object = fs
            .root()
            .reopen(if fs.is_read_only() {
                Access::Read
            } else {
                Access::ReadWrite
            })
            .map_err(|e| self.report(e, &pool, &cont, "cannot open the root directory"))?;
        let process = Process::get().ok_or(Errno::EIO)?;
        let root = process.nodes.intern(self, object, None, c"".into());
        if let Ok(attr) = root.object.attr() {
            root.permissions.set(Mode::from(&attr));
        }
        let image = gate::image();
        Ok(Up { fs, root, image })
    }

    /// The offered handles, if they live; it is no error if they do not.
    fn import(&self, client: &Arc<Client>, pool: &CStr, cont: &CStr) -> Option<Arc<Filesystem>> {
        let mut handles = self.offered.lock().take()?;
        handles.names = Some((pool.to_owned(), cont.to_owned()));
        Filesystem::import_handles(client, &handles).ok()
    }

    /// A directory of the kernel's under the mount point: what bypasses us would write into it.
    fn warn_of_shadow(&self) {
        // SAFETY: a string.
        let writable = unsafe {
            call!(
                SYS_faccessat,
                libc::AT_FDCWD,
                self.point.as_ptr(),
                libc::W_OK
            )
        };
        if !self.served_by_dfuse && writable.is_ok() {
            log::warn!(
                "{}: a writable directory lies under the mount point; programs without the library \
                 write into it (better a mount point that does not exist)",
                self.shown()
            );
        }
    }

    /// One line, then the errno programs see.
    fn report(&self, errno: Errno, pool: &CStr, cont: &CStr, why: &str) -> Errno {
        let then = match self.served_by_dfuse {
            true => "the mount is left to dfuse",
            false => "calls below it fail with EIO",
        };
        log::error!(
            "{}: pool {}, container {}: {why} ({errno:?}); {then}",
            self.shown(),
            pool.to_string_lossy(),
            cont.to_string_lossy(),
        );
        match errno {
            Errno::EACCES | Errno::EPERM => Errno::EACCES,
            Errno::ENOMEM => Errno::ENOMEM,
            _ => Errno::EIO,
        }
    }

    fn shown(&self) -> std::borrow::Cow<'_, str> {
        self.point.to_string_lossy()
    }

    /// Pool and container of a mount that only dfuse knows.
    fn ask_dfuse(&self) -> Result<(CString, CString), Errno> {
        let mut value = [0u8; 512];
        // SAFETY: strings and a buffer of the stated length.
        let n = unsafe {
            call!(
                SYS_lgetxattr,
                self.point.as_ptr(),
                c"user.daos".as_ptr(),
                value.as_mut_ptr(),
                value.len()
            )
        }?;
        parse_uns(&value[..n as usize]).ok_or(Errno::EINVAL)
    }
}

fn reason(errno: Errno) -> &'static str {
    match errno {
        Errno::ENOENT => {
            "no such pool or container (check the names, and D_IL_POOL/D_IL_CONTAINER)"
        }
        Errno::EACCES | Errno::EPERM => "no permission (ask the container's owner for rights)",
        Errno::EINVAL => "not a POSIX container",
        Errno::ETIMEDOUT => "no answer from the DAOS servers",
        _ => "cannot be mounted",
    }
}

/// The DAOS system of this process as a number: two systems (or embedded stores) of one node may use
/// the same names.
fn system() -> u64 {
    static SYSTEM: OnceCell<u64> = OnceCell::new();
    *SYSTEM.get_or_init(|| {
        let variables = [c"DAOS_AGENT_DRPC_DIR", c"PIL4DFS_EMBEDDED_ROOT"];
        variables.iter().fold(0xcbf2_9ce4_8422_2325, |hash, name| {
            // SAFETY: the environment is read; nobody may change it beside other threads.
            let value = unsafe { libc::getenv(name.as_ptr()).as_ref() };
            // SAFETY: a string of the environment.
            let value = value.map_or(c"", |v| unsafe { CStr::from_ptr(v) });
            fnv(hash, value.to_bytes_with_nul())
        })
    })
}

/// The FNV-1a hash, continued.
fn fnv(hash: u64, bytes: &[u8]) -> u64 {
    let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3);
    bytes.iter().fold(hash, step)
}

/// `DAOS.POSIX://<pool>/<container>`, as in the extended attribute `user.daos`.
fn parse_uns(value: &[u8]) -> Option<(CString, CString)> {
    let value = value.strip_suffix(b"\0").unwrap_or(value);
    let rest = value.strip_prefix(b"DAOS.POSIX://")?;
    let slash = rest.iter().position(|&b| b == b'/')?;
    let (pool, cont) = (&rest[..slash], &rest[slash + 1..]);
    let cont = cont.split(|&b| b == b'/').next()?;
    (!pool.is_empty() && !cont.is_empty()).then_some(())?;
    Some((CString::new(pool).ok()?, CString::new(cont).ok()?))
}

/// Loads libdaos and libdfs, or says in a sentence why not; set once by the entry layer.
pub type Loader = fn() -> Result<&'static daos_sys::Api, String>;

static LOADER: OnceCell<Loader> = OnceCell::new();
static CLIENT: OnceCell<Arc<Client>> = OnceCell::new();

/// Says how the DAOS client is found; the first call counts.
pub fn set_loader(loader: Loader) {
    let _ = LOADER.set(loader);
}

/// Why there is no client: an errno, and a sentence that names the remedy.
pub struct NoClient {
    errno: Errno,
    text: String,
}

/// The started client, started by the first call. Blocks other threads meanwhile; a child forked
/// meanwhile starts its own.
pub fn start_client() -> Result<&'static Arc<Client>, NoClient> {
    static STARTING: Guarded<()> = Guarded::new(());
    if let Some(client) = CLIENT.get() {
        return Ok(client);
    }
    let _starting = STARTING.lock();
    if let Some(client) = CLIENT.get() {
        return Ok(client);
    }
    let no = |errno, text| NoClient { errno, text };
    let load = LOADER
        .get()
        .ok_or_else(|| no(Errno::ENOSYS, "no loader".to_owned()))?;
    let api = load().map_err(|text| no(Errno::EIO, text))?;
    let remedy =
        "cannot start the DAOS client (is daos_agent running, and may you use its socket?)";
    let client = Client::start(api).map_err(|errno| no(errno, remedy.to_owned()))?;
    Ok(CLIENT.get_or_init(|| client))
}

/// The client if it was started (fork handlers ask).
pub fn client() -> Option<&'static Arc<Client>> {
    CLIENT.get()
}

/// The mounts of the process, immutable.
pub struct MountTable {
    mounts: &'static [Mount],
}

impl MountTable {
    /// Makes the table and publishes its prefixes to the entry layer's filter.
    pub fn from_config(config: &MountConfig<'_>) -> MountTable {
        let mut mounts: Vec<Mount> = Vec::new();
        for m in &config.explicit {
            if let Some(point) = clean(m.point.as_bytes()) {
                let names = Some((m.pool.clone(), m.container.clone()));
                mounts.retain(|have| have.point != point);
                mounts.push(Mount::new(point, 0, false, names));
            }
        }
        for (point, dev) in dfuse_mounts(config.mountinfo) {
            let Some(point) = clean(&point) else { continue };
            match mounts.iter_mut().find(|m| m.point == point) {
                Some(m) => (m.dev, m.served_by_dfuse) = (dev, true),
                None => mounts.push(Mount::new(point, dev, true, None)),
            }
        }
        for (i, m) in mounts.iter_mut().enumerate() {
            if m.dev == 0 {
                m.dev = libc::makedev(0, 0xDA05 + i as u32);
            }
        }
        let points: Vec<CString> = mounts.iter().map(|m| m.point.clone()).collect();
        for m in &mut mounts {
            m.covered = points
                .iter()
                .any(|p| below(p.as_bytes(), m.point.as_bytes()));
        }
        let mounts: &'static [Mount] = Vec::leak(mounts);
        publish(mounts);
        MountTable { mounts }
    }

    /// All mounts.
    pub fn iter(&self) -> impl Iterator<Item = &'static Mount> {
        self.mounts.iter()
    }

    /// True without any mount.
    pub fn is_empty(&self) -> bool {
        self.mounts.is_empty()
    }

    /// Paths do not mean what they meant (chroot(2), setns(2)): nothing new is ours. What is open
    /// stays.
    pub fn switch_off(&self) {
        log::warn!(
            "the root or a name space was changed: paths below mounts are left to the kernel"
        );
        for mount in self.mounts {
            mount.given_up.store(true, Ordering::Relaxed);
        }
    }

    /// The mount with this device number.
    pub fn by_dev(&self, dev: u64) -> Option<&'static Mount> {
        self.mounts.iter().find(|m| m.dev == dev)
    }

    /// The mount whose point is exactly this path.
    pub fn at(&self, point: &[u8]) -> Option<&'static Mount> {
        self.mounts
            .iter()
            .find(|m| m.point.as_bytes() == point && !m.given_up())
    }

    /// The mount an absolute path leads into by its text, and where the rest of the path begins.
    /// `..` before the mount point is verified with the kernel.
    pub fn locate(&self, path: &[u8]) -> Option<(&'static Mount, usize)> {
        let mut best: Option<(&'static Mount, usize)> = None;
        for m in self.mounts.iter().filter(|m| !m.given_up()) {
            if let Some(rest) = strip(path, m.point.as_bytes()) {
                if best.is_none_or(|(b, _)| m.point.as_bytes().len() > b.point.as_bytes().len()) {
                    best = Some((m, rest));
                }
            }
        }
        best.or_else(|| self.locate_around(path))
    }

    /// [`MountTable::locate`] for paths with `..` in front of the mount point.
    fn locate_around(&self, path: &[u8]) -> Option<(&'static Mount, usize)> {
        if path.first() != Some(&b'/') || !path.windows(3).any(|w| w == b"/..") {
            return None;
        }
        let (mut clean, mut turn) = (Vec::with_capacity(path.len()), None);
        let mut hit: Option<(&'static Mount, usize)> = None;
        for (start, end) in components(path) {
            match &path[start..end] {
                b"." => {}
                b".." => {
                    let up = clean.iter().rposition(|&b| b == b'/').unwrap_or(0);
                    clean.truncate(up);
                    turn = Some((end, clean.len()));
                    hit = None;
                }
                name => {
                    clean.push(b'/');
                    clean.extend_from_slice(name);
                    if let Some(m) = self.at(&clean) {
                        hit = Some((m, end));
                        if !m.covered {
                            break;
                        }
                    }
                }
            }
        }
        let (mount, rest) = hit?;
        let (turn_end, clean_len) = turn?;
        let real = real_path(&path[..turn_end])?;
        let expected: &[u8] = if clean_len == 0 {
            b"/"
        } else {
            &clean[..clean_len]
        };
        (real == expected).then_some((mount, rest))
    }

    /// True if a mount lies below the directory `path` (absolute, clean): a relative path from
    /// there may lead into it.
    pub fn below(&self, path: &[u8]) -> bool {
        self.mounts
            .iter()
            .any(|m| !m.given_up() && below(m.point.as_bytes(), path))
    }
}

/// The (start, end) of each component.
pub(crate) fn components(path: &[u8]) -> impl Iterator<Item = (usize, usize)> + '_ {
    let mut pos = 0;
    std::iter::from_fn(move || {
        while path.get(pos) == Some(&b'/') {
            pos += 1;
        }
        let start = pos;
        while pos < path.len() && path[pos] != b'/' {
            pos += 1;
        }
        (start < pos).then_some((start, pos))
    })
}

/// Is `path` a proper descendant of `dir`? Both clean and absolute.
fn below(path: &[u8], dir: &[u8]) -> bool {
    if dir == b"/" {
        return path.len() > 1;
    }
    path.strip_prefix(dir)
        .is_some_and(|rest| rest.first() == Some(&b'/'))
}

/// Where the rest of `path` begins after `point`; `None` if it does not start with it, or has ".." in front.
fn strip(path: &[u8], point: &[u8]) -> Option<usize> {
    let (mut i, mut j) = (0, 0);
    // the common case: the very bytes
    if path.starts_with(point) && matches!(path.get(point.len()), None | Some(b'/')) {
        return Some(point.len());
    }
    while j < point.len() {
        if path.get(i) != Some(&b'/') {
            return None;
        }
        loop {
            while path.get(i) == Some(&b'/') {
                i += 1;
            }
            if path.get(i) == Some(&b'.') && matches!(path.get(i + 1), None | Some(b'/')) {
                i += 1;
            } else {
                break;
            }
        }
        j += 1;
        while j < point.len() && point[j] != b'/' {
            if path.get(i) != Some(&point[j]) {
                return None;
            }
            (i, j) = (i + 1, j + 1);
        }
        if !matches!(path.get(i), None | Some(b'/')) {
            return None;
        }
    }
    Some(i)
}

/// The kernel's name for a directory of its own.
pub(crate) fn real_path(path: &[u8]) -> Option<Vec<u8>> {
    let path = CString::new(path).ok()?;
    // SAFETY: a string; the descriptor is closed again.
    unsafe {
        let flags = libc::O_PATH | libc::O_CLOEXEC;
        let fd = call!(SYS_openat, libc::AT_FDCWD, path.as_ptr(), flags, 0).ok()?;
        let real = fd_path(fd as i32);
        let _ = call!(SYS_close, fd);
        real
    }
}

/// The kernel's name for one of its descriptors.
pub(crate) fn fd_path(fd: i32) -> Option<Vec<u8>> {
    let link = CString::new(format!("/proc/self/fd/{fd}")).ok()?;
    read_link(&link).ok()
}

/// `readlink(2)` of the kernel. No allocation but for a link's text.
pub(crate) fn read_link(path: &CStr) -> Result<Vec<u8>, Errno> {
    let mut buf = std::mem::MaybeUninit::<[u8; crate::user::PATH_MAX]>::uninit();
    let (to, size) = (buf.as_mut_ptr(), crate::user::PATH_MAX);
    // SAFETY: a string and a buffer of the stated length.
    let n = unsafe { call!(SYS_readlinkat, libc::AT_FDCWD, path.as_ptr(), to, size) }?;
    // SAFETY: the kernel has written n bytes.
    Ok(unsafe { std::slice::from_raw_parts(to.cast::<u8>(), n as usize) }.to_vec())
}

/// An absolute path without doubled, single-dot or trailing parts; `None` for "/" and what has
/// "..": no mount can be there.
fn clean(path: &[u8]) -> Option<CString> {
    if path.first() != Some(&b'/') {
        return None;
    }
    let mut out = Vec::with_capacity(path.len());
    for (start, end) in components(path) {
        match &path[start..end] {
            b"." => {}
            b".." => return None,
            name => {
                out.push(b'/');
                out.extend_from_slice(name);
            }
        }
    }
    (!out.is_empty()).then(|| CString::new(out).ok()).flatten()
}

/// Mount points and device numbers of the lines of type fuse.daos.
fn dfuse_mounts(mountinfo: &[u8]) -> Vec<(Vec<u8>, u64)> {
    let mut found: Vec<(Vec<u8>, u64)> = Vec::new();
    for line in mountinfo.split(|&b| b == b'\n') {
        let fields: Vec<&[u8]> = line.split(|&b| b == b' ').collect();
        let kind = fields
            .iter()
            .position(|f| *f == b"-")
            .and_then(|dash| fields.get(dash + 1));
        let (Some(dev), Some(point)) = (fields.get(2), fields.get(4)) else {
            continue;
        };
        let point = unescape(point);
        // what is mounted later covers what was there
        found.retain(|(p, _)| *p != point);
        if kind != Some(&&b"fuse.daos"[..]) {
            continue;
        }
        let mut numbers = dev
            .split(|&b| b == b':')
            .filter_map(|n| std::str::from_utf8(n).ok()?.parse().ok());
        if let (Some(major), Some(minor)) = (numbers.next(), numbers.next()) {
            found.push((point, libc::makedev(major, minor)));
        }
    }
    found
}

/// `\040` and the like back to bytes.
fn unescape(field: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(field.len());
    let mut i = 0;
    while i < field.len() {
        let octal = field
            .get(i + 1..i + 4)
            .filter(|d| field[i] == b'\\' && d.iter().all(|b| (b'0'..=b'7').contains(b)));
        match octal {
            Some(d) => {
                out.push(d.iter().fold(0u32, |n, b| n * 8 + u32::from(b - b'0')) as u8);
                i += 4;
            }
            None => {
                out.push(field[i]);
                i += 1;
            }
        }
    }
    out
}

/// Tells the filter; prefixes live for ever.
fn publish(mounts: &'static [Mount]) {
    let prefixes: Vec<Prefix> = mounts
        .iter()
        .map(|m| Prefix {
            path: m.point.as_ptr().cast(),
            len: m.point.as_bytes().len() as u32,
        })
        .collect();
    let len = prefixes.len() as u32;
    pil_filter
        .mounts
        .store(Vec::leak(prefixes).as_mut_ptr(), Ordering::Release);
    pil_filter.nmounts.store(len, Ordering::Release);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(points: &[&CStr]) -> MountTable {
        let explicit = points
            .iter()
            .map(|p| ExplicitMount {
                point: (*p).into(),
                pool: c"p".into(),
                container: c"c".into(),
            })
            .collect();
        MountTable::from_config(&MountConfig {
            explicit,
            mountinfo: b"",
        })
    }

    fn located(t: &MountTable, path: &str) -> Option<(String, String)> {
        let (m, rest) = t.locate(path.as_bytes())?;
        Some((m.point.to_str().unwrap().into(), path[rest..].into()))
    }

    #[test]
    fn the_longest_prefix_on_a_component_boundary_wins() {
        let t = table(&[c"/dfs", c"/dfs/in/ner", c"/a b"]);
        let hit = |p: &str, r: &str| Some((p.to_string(), r.to_string()));
        assert_eq!(located(&t, "/dfs"), hit("/dfs", ""));
        assert_eq!(located(&t, "/dfs/x"), hit("/dfs", "/x"));
        assert_eq!(located(&t, "//dfs/./x/"), hit("/dfs", "/./x/"));
        assert_eq!(located(&t, "/./dfs//x"), hit("/dfs", "//x"));
        assert_eq!(located(&t, "/dfsx"), None);
        assert_eq!(located(&t, "/df"), None);
        assert_eq!(located(&t, "/dfs/in/ner/f"), hit("/dfs/in/ner", "/f"));
        assert_eq!(located(&t, "/dfs/in//ner"), hit("/dfs/in/ner", ""));
        assert_eq!(located(&t, "/a b/c"), hit("/a b", "/c"));
        assert_eq!(located(&t, "dfs/x"), None);
        assert_eq!(located(&t, "/"), None);
        assert_eq!(located(&t, "/.dfs"), None);
    }

    #[test]
    fn dots_before_the_mount_point_are_asked_of_the_kernel() {
        let t = table(&[c"/dfs"]);
        let hit = |p: &str, r: &str| Some((p.to_string(), r.to_string()));
        assert_eq!(located(&t, "/tmp/../dfs/x"), hit("/dfs", "/x"));
        assert_eq!(located(&t, "/../dfs/x"), hit("/dfs", "/x"));
        assert_eq!(located(&t, "/no-such-dir/../dfs/x"), None);
        // in the mount and out of it again: the walk's own business
        assert_eq!(located(&t, "/dfs/../etc"), hit("/dfs", "/../etc"));
        assert_eq!(located(&t, "/etc/../x"), None);
    }

    #[test]
    fn mountinfo_names_dfuse_mounts() {
        let text = b"22 1 0:21 / /proc rw - proc proc rw\n\
            40 22 0:55 / /mnt/my\\040dfs rw,nosuid - fuse.daos dfuse rw,user_id=0\n\
            41 22 0:56 / /gone rw - fuse.daos dfuse rw\n\
            42 22 0:57 / /gone rw - tmpfs tmpfs rw\n";
        assert_eq!(
            dfuse_mounts(text),
            [(b"/mnt/my dfs".to_vec(), libc::makedev(0, 55))]
        );
        let t = MountTable::from_config(&MountConfig {
            explicit: vec![],
            mountinfo: text,
        });
        let m = t.at(b"/mnt/my dfs").unwrap();
        assert!(m.served_by_dfuse);
        assert_eq!(m.dev, libc::makedev(0, 55));
    }

    #[test]
    fn uns_values_name_pool_and_container() {
        let names = Some((c"p-1".into(), c"c-1".into()));
        assert_eq!(parse_uns(b"DAOS.POSIX://p-1/c-1"), names);
        assert_eq!(parse_uns(b"DAOS.POSIX://p-1/c-1\0"), names);
        assert_eq!(parse_uns(b"DAOS.HDF5://p/c"), None);
        assert_eq!(parse_uns(b"DAOS.POSIX://p"), None);
    }
}
