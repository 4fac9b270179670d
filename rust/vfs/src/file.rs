//! Open file descriptions: Linux's `struct file`. What dup and threads share is the [`OpenFile`];
//! what relatives across fork and exec share - offset, status flags - is its [`Slot`]; what belongs
//! to the file is its [`Node`].
use crate::dcache::now_ms;
use crate::dirstream::DirStream;
use crate::fd::{Identity, Slot};
use crate::lock;
use crate::node::Node;
use crate::process::Process;
use crate::Errno;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

/// Flags `fcntl(F_SETFL)` can change; they live in the slot. (`O_SYNC` and `O_DSYNC` are kept with
/// the access flags: every write is on its way when it returns.)
pub const STATUS_FLAGS: i32 =
    libc::O_APPEND | libc::O_NONBLOCK | libc::O_DIRECT | libc::O_NOATIME | libc::O_ASYNC;

/// Flags of `open` that mean something only while opening.
const CREATION_FLAGS: i32 = libc::O_EXCL | libc::O_NOCTTY | libc::O_TRUNC | libc::O_CLOEXEC;

/// The kernel's `O_LARGEFILE`, set on every file a 64-bit process opens (libc says 0).
#[cfg(target_arch = "x86_64")]
const LARGEFILE: i32 = 0o100_000;
/// The kernel's `O_LARGEFILE`.
#[cfg(target_arch = "aarch64")]
const LARGEFILE: i32 = 0o400_000;

/// One open file description.
pub struct OpenFile {
    /// Lock owners: flock(2) and `F_OFD_SETLK` belong to the description. They go before the node,
    /// which removes what nobody uses any more.
    pub locks: lock::Description,
    /// The file.
    pub node: Arc<Node>,
    /// Offset and status flags, shared over dup, fork and exec.
    pub slot: Slot,
    /// Access mode and the flags of `open` that never change; `O_CREAT` if that made the file.
    pub flags_access: i32,
    /// Position within a directory; unused for files.
    pub stream: Mutex<DirStream>,
    /// What `F_SETOWN` and `F_SETSIG` said.
    pub readiness: Readiness,
    /// It was written here: if its object is gone, the write has made a new one.
    written: AtomicBool,
    /// When zeros were last believed, in milliseconds.
    believed: AtomicU64,
    /// The last fork that counted this description.
    fork: AtomicU32,
}

/// Who wants to be signalled when a description becomes ready. A regular file never does: this
/// process remembers it for who asks, and no other one.
#[derive(Default)]
pub struct Readiness {
    /// Process, thread or group, and which of them (`F_OWNER_`), in one word.
    owner: AtomicU64,
    /// `F_SETSIG`
    pub signal: AtomicI32,
}

impl Readiness {
    /// The id and its kind.
    pub fn owner(&self) -> (i32, i32) {
        let both = self.owner.load(Ordering::Relaxed);
        (both as i32, (both >> 32) as i32)
    }

    /// Sets both at once.
    pub fn set_owner(&self, id: i32, kind: i32) {
        let both = u64::from(id as u32) | u64::from(kind as u32) << 32;
        self.owner.store(both, Ordering::Relaxed);
    }
}

impl OpenFile {
    /// A new description of a node, at offset 0. `flags` are those of `open`, `O_CREAT` only if it
    /// made the file. `ENFILE`, `ENOMEM`.
    pub fn open(_p: &'static Process, node: Arc<Node>, flags: i32) -> Result<Arc<OpenFile>, Errno> {
        if flags & libc::O_ACCMODE != libc::O_RDONLY {
            // A shell sets `ulimit -f` and opens its output: the limit is read again here.
            crate::ops::limits::changed();
        }
        let identity = Identity {
            mount: node.mount.hash(),
            oid: node.oid,
        };
        let slot = Slot::new(flags & STATUS_FLAGS, identity)?;
        Ok(OpenFile::inherit(node, slot, flags))
    }

    /// A description an earlier image left in `slot`.
    pub fn inherit(node: Arc<Node>, slot: Slot, flags: i32) -> Arc<OpenFile> {
        node.opens.fetch_add(1, Ordering::AcqRel);
        node.list();
        Arc::new(OpenFile {
            node,
            slot,
            flags_access: flags & !(STATUS_FLAGS | CREATION_FLAGS),
            stream: Mutex::new(DirStream::default()),
            locks: lock::Description::default(),
            readiness: Readiness::default(),
            written: AtomicBool::new(false),
            believed: AtomicU64::new(0),
            fork: AtomicU32::new(0),
        })
    }

    /// What `fcntl(F_GETFL)` answers.
    pub fn status_flags(&self) -> i32 {
        if self.is_path() {
            let kept = libc::O_PATH | libc::O_DIRECTORY | libc::O_NOFOLLOW;
            return self.flags_access & kept;
        }
        self.flags_access & !libc::O_CREAT | self.slot.flags() | LARGEFILE
    }

    /// What `fcntl(F_CREATED_QUERY)` answers: the open made the file.
    pub fn was_created(&self) -> bool {
        self.flags_access & libc::O_CREAT != 0
    }

    /// Opened for reading.
    pub fn can_read(&self) -> bool {
        !self.is_path() && ((self.flags_access & libc::O_ACCMODE) + 1) & 1 != 0
    }

    /// Opened for writing. (Access mode 3 allows neither.)
    pub fn can_write(&self) -> bool {
        !self.is_path() && ((self.flags_access & libc::O_ACCMODE) + 1) & 2 != 0
    }

    /// Opened with `O_PATH`: a place, not its data.
    pub fn is_path(&self) -> bool {
        self.flags_access & libc::O_PATH != 0
    }

    /// A read of `wanted` bytes got `n` and ended at `end`. Short of what was seen before, the file
    /// was truncated - or it is gone: removed through another node it reads as empty, and `ESTALE`
    /// must be said instead of end of file. The same where nothing was ever seen. Costs a call only
    /// then.
    #[inline]
    pub fn saw(&self, n: usize, wanted: usize, end: u64) -> Result<(), Errno> {
        if n > 0 {
            self.node.saw_end(end);
        }
        let seen = self.node.end_seen();
        if n == wanted || (end >= seen && (n > 0 || seen > 0)) {
            return Ok(());
        }
        let size = self.node.attr()?.stat.st_size as u64;
        self.node.set_end(size);
        Ok(())
    }

    /// A write ended at `end`.
    #[inline]
    pub fn wrote(&self, end: u64) {
        self.node.saw_end(end);
        if !self.written.load(Ordering::Relaxed) {
            self.written.store(true, Ordering::Relaxed);
        }
    }

    /// A read began with zeros. In a file removed through another node they stand for what was
    /// there before our own write made its object anew: `ESTALE`. Asked once a second at most.
    #[inline]
    pub fn saw_zeros(&self) -> Result<(), Errno> {
        match self.written.load(Ordering::Relaxed) {
            true => self.still_there(),
            false => Ok(()),
        }
    }

    #[cold]
    fn still_there(&self) -> Result<(), Errno> {
        let now = now_ms().max(1);
        let before = self.believed.load(Ordering::Relaxed);
        if before == 0 || now.saturating_sub(before) > 1000 {
            self.node.attr()?;
            self.believed.store(now, Ordering::Relaxed);
        }
        Ok(())
    }

    /// True once for each fork.
    pub(crate) fn first_in_fork(&self, fork: u32) -> bool {
        self.fork.swap(fork, Ordering::Relaxed) != fork
    }
}

/// The last close: the slot's reference goes back. (A file that lost its name goes with its node.)
impl Drop for OpenFile {
    fn drop(&mut self) {
        if !self.slot.close() {
            self.node.elsewhere.store(true, Ordering::Release);
        }
        self.node.opens.fetch_sub(1, Ordering::AcqRel);
    }
}
