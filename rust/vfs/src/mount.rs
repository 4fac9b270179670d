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
use crate::discover::Seen;
use crate::fd;
use crate::gate::{self, Guarded};
use crate::inherit;
use crate::keep;
use crate::node::Node;
use crate::permission::Mode;
use crate::process::Process;
use crate::Errno;
use dfs::{Access, Client, Filesystem, Handles, Kind, Object};
use once_cell::sync::OnceCell;
use std::ffi::{CStr, CString};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::Arc;

mod by_call;
mod client;
mod index;
mod kernel_names;
mod table;

pub use by_call::{mount, unmount};
pub use client::{client, set_loader, start_client, Loader, NoClient};
pub(crate) use kernel_names::{fd_path, read_link};
pub(crate) use table::components;
pub use table::MountTable;

/// A mount named by the environment or its file, or by call.
#[derive(Clone, Debug)]
pub struct ExplicitMount {
    /// Mount point, absolute.
    pub point: CString,
    /// What is mounted there.
    pub source: Source,
    /// Nothing may be changed through it, whatever the container allows.
    pub read_only: bool,
}

impl ExplicitMount {
    /// The container of this pool and name (labels or UUIDs), for reading and writing.
    pub fn named(point: &CStr, pool: &CStr, container: &CStr) -> ExplicitMount {
        ExplicitMount {
            point: point.into(),
            source: Source::Named {
                pool: pool.into(),
                container: container.into(),
                below: CString::default(),
            },
            read_only: false,
        }
    }
}

/// How a mount's container is known.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Source {
    /// By name.
    Named {
        /// Pool label or UUID.
        pool: CString,
        /// Container label or UUID.
        container: CString,
        /// The directory in it that is mounted, from the root and without a slash in front; empty:
        /// the root.
        below: CString,
    },
    /// By the attribute `user.daos` of the directory of the kernel's at the mount point.
    EntryPoint,
    /// By the dfuse that serves the mount point.
    Dfuse,
}

/// What the table is made from.
#[derive(Default)]
pub struct MountConfig<'a> {
    /// Mounts by name; they win over a dfuse mount at the same point.
    pub explicit: Vec<ExplicitMount>,
    /// The text of `/proc/self/mountinfo`.
    pub mountinfo: &'a [u8],
    /// What dfuse serves stays with it, also where it was asked for; later mounts, too.
    pub left_to_dfuse: bool,
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
    /// Made by [`mount()`]: who made it is told of a failure.
    by_call: bool,
    /// A mount of the kernel's in one of ours: here the kernel's part begins.
    kernel: bool,
    /// It was unmounted.
    gone: AtomicBool,
    /// Its connection was given back.
    ended: AtomicBool,
    source: Source,
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
    fn new(point: CString, dev: u64, dfuse: bool, source: Source) -> Mount {
        Mount {
            point,
            dev,
            served_by_dfuse: dfuse,
            covered: AtomicBool::new(false),
            read_only: false,
            by_call: false,
            kernel: false,
            gone: AtomicBool::new(false),
            ended: AtomicBool::new(false),
            source,
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
            ..Mount::new(point, seen.dev, !seen.kernel, Source::Dfuse)
        }
    }

    /// One that was asked for; its device number is given later.
    fn explicit(point: CString, asked: &ExplicitMount) -> Mount {
        Mount {
            read_only: asked.read_only,
            ..Mount::new(point, 0, false, asked.source.clone())
        }
    }

    /// True if it was asked for, whatever the kernel's table shows.
    fn is_explicit(&self) -> bool {
        self.source != Source::Dfuse
    }

    /// True if another mount lies below this one.
    pub fn is_covered(&self) -> bool {
        self.covered.load(Ordering::Relaxed)
    }

    /// True once it was unmounted.
    pub fn is_gone(&self) -> bool {
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

    /// True once the first use has succeeded, until it is unmounted by call.
    pub fn is_up(&self) -> bool {
        self.up.get().is_some() && !self.ended.load(Ordering::Acquire)
    }

    /// Handles of an earlier image of this user, tried before a connect of our own.
    pub fn offer(&self, handles: Handles) {
        *self.offered.lock() = Some(handles);
    }

    /// Our handles for another program. `None` before the first use, and in a fork child whose
    /// parent was not asked before the fork: there they would first cost a re-attach.
    pub fn handles(&self) -> Option<&Handles> {
        let up = self.up.get().filter(|_| self.is_up())?;
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
        match &self.source {
            Source::Named {
                pool, container, ..
            } => Some((pool, container)),
            _ => None,
        }
    }

    /// The container as a number that the processes of this node compute alike: from its names, or
    /// for a mount of dfuse's from the mount point, and from the DAOS system they are names in.
    pub fn hash(&self) -> u64 {
        let (first, second) = self.names().unwrap_or((self.point.as_c_str(), c""));
        container_hash(first, second)
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
        let said = match &self.source {
            Source::Named {
                pool, container, ..
            } => dfuse::Answer {
                names: (pool.clone(), container.clone()),
                handles: None,
            },
            Source::EntryPoint => self.entry_point()?,
            Source::Dfuse => {
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
        let object = self
            .root_object(&fs)
            .map_err(|(e, why)| self.report(e, &pool, &cont, why))?;
        let process = Process::get().ok_or(Errno::EIO)?;
        let root = process.nodes.intern(self, object, None, c"".into());
        if let Ok(attr) = root.object.attr() {
            root.permissions.set(Mode::from(&attr));
        }
        let image = gate::image();
        Ok(Up { fs, root, image })
    }

    /// What the directory of the kernel's at the mount point says. One line if it says nothing.
    fn entry_point(&self) -> Result<dfuse::Answer, Errno> {
        let names = dfuse::names_at(&self.point).map_err(|e| {
            log::error!(
                "{}: {e:?}: no pool and container are named for this mount, and the directory is \
                 no entry point (attribute user.daos); calls below it fail with EIO",
                self.shown()
            );
            Errno::EIO
        })?;
        Ok(dfuse::Answer {
            names,
            handles: None,
        })
    }

    /// The directory of the container that is mounted, and why there is none.
    fn root_object(&self, fs: &Arc<Filesystem>) -> Result<Object, (Errno, &'static str)> {
        let access = match fs.is_read_only() {
            true => Access::Read,
            false => Access::ReadWrite,
        };
        let root = fs.root().reopen(access);
        let mut object = root.map_err(|e| (e, "cannot open the root directory"))?;
        let Source::Named { below, .. } = &self.source else {
            return Ok(object);
        };
        const WHY: &str = "cannot open the directory of the container that is to be mounted";
        for name in below.as_bytes().split(|&b| b == b'/') {
            let name = CString::new(name).map_err(|_| (Errno::EINVAL, WHY))?;
            if name.is_empty() {
                continue;
            }
            (object, _) = fs.open(&object, &name, access).map_err(|e| (e, WHY))?;
        }
        match object.kind() {
            Kind::Directory => Ok(object),
            _ => Err((Errno::ENOTDIR, WHY)),
        }
    }

    /// The handles of the image before this one, of a keeper or of dfuse, the first that live; it
    /// is no error if none do (or if they were made by another release of libdfs).
    fn import(
        &self,
        client: &Arc<Client>,
        pool: &CStr,
        cont: &CStr,
        dfuses: Option<Handles>,
    ) -> Option<Arc<Filesystem>> {
        let import = |mut handles: Handles| {
            let named = || (pool.to_owned(), cont.to_owned());
            handles.names.get_or_insert_with(named);
            handles.read_only |= self.read_only;
            Filesystem::import_handles(client, &handles).ok()
        };
        let offered = self.offered.lock().take();
        let kept = || keep::handles(pool, cont);
        (offered.and_then(import))
            .or_else(|| kept().and_then(import))
            .or_else(|| dfuses.and_then(import))
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
        if !self.served_by_dfuse && self.source != Source::EntryPoint && writable.is_ok() {
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
            false if self.by_call => "not mounted",
            false => "calls below it fail with EIO",
        };
        log::error!(
            "{}: pool {}, container {}: {why} ({errno:?}); {then}",
            self.shown(),
            pool.to_string_lossy(),
            cont.to_string_lossy(),
        );
        match errno {
            errno if self.by_call => errno,
            Errno::EACCES | Errno::EPERM => Errno::EACCES,
            Errno::ENOMEM => Errno::ENOMEM,
            _ => Errno::EIO,
        }
    }

    fn shown(&self) -> std::borrow::Cow<'_, str> {
        self.point.to_string_lossy()
    }
}

/// The same for a pool and a container by their names ([`Mount::hash`]).
pub fn container_hash(pool: &CStr, cont: &CStr) -> u64 {
    fnv(fnv(system(), pool.to_bytes_with_nul()), cont.to_bytes())
}

fn reason(errno: Errno) -> &'static str {
    match errno {
        Errno::ENOENT => {
            "no such pool or container (check the names, and D_IL_POOL/D_IL_CONTAINER)"
        }
        Errno::EACCES | Errno::EPERM => "no permission (ask the container's owner for rights)",
        Errno::EINVAL => "not a POSIX container",
        Errno::ETIMEDOUT | Errno::EHOSTUNREACH => {
            "no answer from the DAOS servers (`dmg system query` shows their state)"
        }
        Errno::EIO => "cannot be connected (is daos_agent still running?)",
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
