//! The mounts: which paths are ours, and what each one stands on (Linux: the mount tree).
//!
//! The table is made at start from the environment's mounts and `/proc/self/mountinfo`; mounts of
//! dfuse's that come or go later are noticed by calls below a mount ([`MountTable::look_again`]).
//! Nothing is touched until the first path or descriptor below a mount is used: [`Mount::fs`] brings
//! the client and the container up then, once, on the calling thread.
use crate::board;
use crate::call;
use crate::dcache::now_ms;
use crate::dfuse;
use crate::discover::{self, Seen, Watch};
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
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicPtr, AtomicU64, Ordering};
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
    covered: AtomicBool,
    /// Nothing may be changed through it, whatever the container allows.
    read_only: bool,
    /// A mount of the kernel's in one of ours: here the kernel's part begins.
    kernel: bool,
    /// It was unmounted.
    gone: AtomicBool,
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
            covered: AtomicBool::new(false),
            read_only: false,
            kernel: false,
            gone: AtomicBool::new(false),
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

    /// One that the kernel's table shows.
    fn seen(seen: &Seen, point: CString) -> Mount {
        Mount {
            read_only: seen.read_only,
            kernel: seen.kernel,
            ..Mount::new(point, seen.dev, !seen.kernel, None)
        }
    }

    /// True if another mount lies below this one.
    pub fn is_covered(&self) -> bool {
        self.covered.load(Ordering::Relaxed)
    }

    fn is_gone(&self) -> bool {
        self.gone.load(Ordering::Relaxed)
    }

    /// Paths into it are ours.
    fn serves(&self) -> bool {
        !self.kernel && !self.given_up()
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

    /// Handles for the program that takes this one's place: our own, or those offered and not used.
    pub fn to_pass(&self) -> Option<Handles> {
        match self.handles() {
            Some(handles) => Some(handles.clone()),
            None => self.offered.lock().clone(),
        }
    }

    /// True if [`Mount::to_pass`] may have something to give.
    pub fn can_pass(&self) -> bool {
        self.is_up() || self.offered.lock().is_some()
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
        fd::prepare();
        let said = match &self.names {
            Some(names) => dfuse::Answer {
                names: names.clone(),
                handles: None,
            },
            None => {
                let want_handles = self.offered.lock().is_none();
                dfuse::ask(&self.point, self.dev, self.read_only, want_handles).inspect_err(
                    |e| {
                        log::error!(
                            "{}: {e:?} asking the dfuse there; the mount is left to it",
                            self.shown()
                        );
                    },
                )?
            }
        };
        let (pool, cont) = said.names;
        self.warn_of_shadow();
        board::start();
        let client =
            start_client().map_err(|why| self.report(why.errno, &pool, &cont, &why.text))?;
        let fs = match self.import(client, &pool, &cont, said.handles) {
            Some(fs) => fs,
            None => Filesystem::connect_limited(client, &pool, &cont, self.read_only)
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

    /// The handles of the image before this one or of dfuse, if they live; it is no error if they
    /// do not (or were made by another release of libdfs).
    fn import(
        &self,
        client: &Arc<Client>,
        pool: &CStr,
        cont: &CStr,
        dfuses: Option<Handles>,
    ) -> Option<Arc<Filesystem>> {
        let mut handles = self.offered.lock().take().or(dfuses)?;
        handles.names = Some((pool.to_owned(), cont.to_owned()));
        handles.read_only |= self.read_only;
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
    let client = inherit::environment::with_settings(|| Client::start(api))
        .map_err(|errno| no(errno, remedy.to_owned()))?;
    Ok(CLIENT.get_or_init(|| client))
}

/// The client if it was started (fork handlers ask).
pub fn client() -> Option<&'static Arc<Client>> {
    CLIENT.get()
}

/// How often the kernel's table is looked at again, at most.
const LOOK_MS: u64 = 1_000;

/// The mounts of the process. The list is replaced as a whole and only grows: a mount that is gone
/// stays in it, marked.
pub struct MountTable {
    list: AtomicPtr<Vec<&'static Mount>>,
    /// `None`: the kernel's table was none of our business at the start, and stays so.
    watch: Option<Guarded<Watch>>,
    looked: AtomicU64,
}

impl MountTable {
    /// Makes the table and publishes its prefixes to the entry layer's filter.
    pub fn from_config(config: &MountConfig<'_>) -> MountTable {
        system(); // before the program changes its environment
        let mut mounts: Vec<Mount> = Vec::new();
        for m in &config.explicit {
            if let Some(point) = clean(m.point.as_bytes()) {
                let names = Some((m.pool.clone(), m.container.clone()));
                mounts.retain(|have| have.point != point);
                mounts.push(Mount::new(point, 0, false, names));
            }
        }
        for seen in discover::seen(config.mountinfo) {
            let Some(point) = clean(&seen.point) else {
                continue;
            };
            match mounts.iter_mut().find(|m| m.point == point) {
                Some(m) if seen.kernel => m.kernel |= m.names.is_none(),
                Some(m) => {
                    (m.dev, m.served_by_dfuse, m.read_only) = (seen.dev, true, seen.read_only);
                }
                None => mounts.push(Mount::seen(&seen, point)),
            }
        }
        for (i, m) in mounts.iter_mut().enumerate() {
            if m.dev == 0 {
                m.dev = libc::makedev(0, 0xDA05 + i as u32);
            }
        }
        let table = MountTable {
            list: AtomicPtr::new(Box::into_raw(Box::default())),
            watch: (!config.mountinfo.is_empty()).then(Guarded::default),
            looked: AtomicU64::new(now_ms()),
        };
        table.add(mounts);
        table
    }

    fn list(&self) -> &'static [&'static Mount] {
        // SAFETY: a leaked box, never changed once it is here.
        unsafe { &*self.list.load(Ordering::Acquire) }
    }

    /// Puts a longer list in the list's place. One caller at a time.
    fn add(&self, new: Vec<Mount>) {
        let leaked = Vec::leak(new).iter();
        let list: Vec<&'static Mount> = self.iter().chain(leaked).collect();
        for m in &list {
            let inner = |p: &&Mount| !p.is_gone() && below(p.point.as_bytes(), m.point.as_bytes());
            m.covered.store(list.iter().any(inner), Ordering::Relaxed);
        }
        let list = Box::leak(Box::new(list));
        self.list.store(list, Ordering::Release);
        publish(list);
    }

    /// Looks whether dfuse mounts came or went, at most once in [`LOOK_MS`]: for calls that are
    /// ours, before they find their mount. `now` is [`now_ms`]'s.
    #[inline]
    pub(crate) fn look_again(&self, now: u64) {
        if now.wrapping_sub(self.looked.load(Ordering::Relaxed)) >= LOOK_MS {
            self.look(now);
        }
    }

    #[cold]
    fn look(&self, now: u64) {
        self.looked.store(now, Ordering::Relaxed);
        let Some(watch) = &self.watch else { return };
        let Some(mut watch) = watch.try_lock() else {
            return;
        };
        if inherit::in_shared_child() {
            return;
        }
        if let Some(text) = watch.changed() {
            self.update(&discover::seen(&text));
        }
    }

    /// The name space is another from now on: everything is looked at anew.
    pub(crate) fn other_name_space(&self) {
        if let Some(watch) = &self.watch {
            watch.lock().forget();
            self.looked.store(0, Ordering::Relaxed);
        }
    }

    /// Marks what is not there any more and adds what is new.
    fn update(&self, seen: &[Seen]) {
        let is = |m: &Mount, s: &Seen| {
            m.dev == s.dev && m.kernel == s.kernel && m.point.as_bytes() == s.point
        };
        for m in self.iter().filter(|m| m.names.is_none() && !m.is_gone()) {
            if !seen.iter().any(|s| is(m, s)) {
                m.gone.store(true, Ordering::Relaxed);
                m.given_up.store(true, Ordering::Relaxed);
            }
        }
        let known = |s: &Seen| {
            let named = |m: &Mount| m.names.is_some() && m.point.as_bytes() == s.point;
            self.iter().any(|m| !m.is_gone() && (is(m, s) || named(m)))
        };
        let new = seen.iter().filter(|s| !known(s));
        let new = new.filter_map(|s| Some(Mount::seen(s, clean(&s.point)?)));
        self.add(new.collect());
    }

    /// All mounts.
    pub fn iter(&self) -> impl Iterator<Item = &'static Mount> {
        self.list().iter().copied()
    }

    /// True without any mount.
    pub fn is_empty(&self) -> bool {
        self.list().is_empty()
    }

    /// Paths do not mean what they meant (chroot(2), setns(2)): nothing new is ours. What is open
    /// stays.
    pub fn switch_off(&self) {
        log::warn!(
            "the root or a name space was changed: paths below mounts are left to the kernel"
        );
        for mount in self.iter() {
            mount.given_up.store(true, Ordering::Relaxed);
        }
    }

    /// The mount with this device number.
    pub fn by_dev(&self, dev: u64) -> Option<&'static Mount> {
        self.iter().find(|m| m.dev == dev && !m.kernel)
    }

    /// The mount whose point is exactly this path.
    pub fn at(&self, point: &[u8]) -> Option<&'static Mount> {
        self.iter()
            .find(|m| m.point.as_bytes() == point && m.serves())
    }

    /// True if the kernel's part of the tree begins at exactly this path, in the middle of ours.
    pub(crate) fn is_kernels(&self, point: &[u8]) -> bool {
        let mut here = self
            .iter()
            .filter(|m| m.point.as_bytes() == point && !m.is_gone());
        here.next().is_some_and(|first| !first.serves()) && self.at(point).is_none()
    }

    /// The mount an absolute path leads into by its text, and where the rest of the path begins.
    /// `..` before the mount point is verified with the kernel.
    pub fn locate(&self, path: &[u8]) -> Option<(&'static Mount, usize)> {
        let mut best: Option<(&'static Mount, usize)> = None;
        for m in self.iter().filter(|m| !m.is_gone()) {
            if let Some(rest) = strip(path, m.point.as_bytes()) {
                if best.is_none_or(|(b, _)| m.point.as_bytes().len() > b.point.as_bytes().len()) {
                    best = Some((m, rest));
                }
            }
        }
        match best {
            Some((mount, rest)) => mount.serves().then_some((mount, rest)),
            None => self.locate_around(path),
        }
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
                        if !m.is_covered() {
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
        self.iter()
            .any(|m| m.serves() && below(m.point.as_bytes(), path))
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

/// Tells the filter; prefixes live for ever.
fn publish(mounts: &[&'static Mount]) {
    // In the list's order, so that a reader with an older length sees a beginning of it.
    let prefixes: Vec<Prefix> = mounts
        .iter()
        .filter(|m| !m.kernel)
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
    fn dfuse_mounts_come_and_go() {
        let line = |id: u32, parent: u32, dev: u32, point: &str, kind: &str| {
            format!("{id} {parent} 0:{dev} / {point} rw - {kind} x rw\n")
        };
        let text = [line(40, 1, 55, "/one", "fuse.daos")].concat();
        let t = MountTable::from_config(&MountConfig {
            explicit: vec![],
            mountinfo: text.as_bytes(),
        });
        let hit = |p: &str, r: &str| Some((p.to_string(), r.to_string()));
        let m = t.at(b"/one").unwrap();
        assert!(m.served_by_dfuse);
        assert_eq!(m.dev, libc::makedev(0, 55));
        let now = [
            line(40, 1, 55, "/one", "fuse.daos"),
            line(41, 1, 56, "/two", "fuse.daos"),
            line(42, 40, 57, "/one/tmp", "tmpfs"),
        ];
        t.update(&discover::seen(now.concat().as_bytes()));
        assert_eq!(located(&t, "/two/x"), hit("/two", "/x"));
        assert_eq!(located(&t, "/one/tmpx"), hit("/one", "/tmpx"));
        assert_eq!(located(&t, "/one/tmp/x"), None);
        assert!(t.is_kernels(b"/one/tmp") && m.is_covered());
        let later = [line(43, 1, 58, "/one", "fuse.daos")];
        t.update(&discover::seen(later.concat().as_bytes()));
        assert_eq!(located(&t, "/two/x"), None);
        assert_eq!(t.locate(b"/one/tmp").unwrap().0.dev, libc::makedev(0, 58));
        assert!(!t.is_kernels(b"/one/tmp"));
        assert_eq!(t.iter().count(), 4);
    }
}
