//! A thin layer over LMDB's C API: one environment, its unnamed database, transactions, cursors.
//! WRITEMAP, so that commits make no system call; NOTLS, so that a reset read transaction keeps
//! its reader slot and is renewed in a few instructions. After fork the child opens the
//! environment anew and leaks this one.
mod txn;

use crate::error::{errno, Error, Result};
use lmdb_master_sys as ffi;
use std::cell::Cell;
use std::ffi::{c_int, c_void, CString};
use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, Ordering};
pub use txn::{ReadTxn, Txn, WriteTxn};

/// Address space and largest size of the metadata, bytes; the file is sparse.
const MAP_SIZE: usize = 16 << 30;
/// Reader slots over all processes of a node; 64 bytes each in the lock file.
const MAX_READERS: u32 = 4096;
/// Idle read transactions kept for reuse.
const POOL: usize = 64;
/// Every so many write transactions the slots of dead readers are freed.
const READER_CHECK_EVERY: u32 = 1024;

/// Disk space is reserved this far ahead, bytes: a store into a sparse map on a full disk would be a
/// SIGBUS, and shall be ENOSPC.
const RESERVE_STEP: u64 = 8 << 20;
/// What a transaction that adds may need, bytes.
const GROWTH: u64 = 2 << 20;
/// What one that removes may need; less, so that a full disk can be emptied.
const SHRINKING: u64 = 256 << 10;

/// An open environment.
pub struct Env {
    raw: *mut ffi::MDB_env,
    dbi: ffi::MDB_dbi,
    writable: bool,
    idle: [AtomicPtr<ffi::MDB_txn>; POOL],
    writes: AtomicU32,
    /// Bytes of the file that have disk space, as far as this process knows.
    reserved: AtomicU64,
}

// SAFETY: LMDB's environment may be shared by threads; the idle transactions are taken and given
// back atomically, and with NOTLS a read transaction may be used by any one thread at a time.
unsafe impl Sync for Env {}
// SAFETY: as above.
unsafe impl Send for Env {}

fn check(rc: c_int) -> Result<()> {
    match rc {
        0 => Ok(()),
        ffi::MDB_NOTFOUND => errno(libc::ENOENT),
        ffi::MDB_KEYEXIST => errno(libc::EEXIST),
        ffi::MDB_MAP_FULL => errno(libc::ENOSPC),
        ffi::MDB_READERS_FULL => errno(libc::EAGAIN),
        rc if rc > 0 => errno(rc),
        _ => errno(libc::EIO),
    }
}

fn val(bytes: &[u8]) -> ffi::MDB_val {
    ffi::MDB_val {
        mv_size: bytes.len() as _,
        mv_data: bytes.as_ptr() as *mut c_void,
    }
}

/// The bytes of a value inside the map.
///
/// # Safety
/// `value` must have been filled by LMDB in a transaction that lives as long as `'a`.
unsafe fn bytes<'a>(value: &ffi::MDB_val) -> &'a [u8] {
    match value.mv_size {
        0 => &[],
        // SAFETY: LMDB answered this many bytes at this address of its map.
        len => unsafe { std::slice::from_raw_parts(value.mv_data as *const u8, len) },
    }
}

impl Env {
    /// Opens the environment in directory `dir`, which must exist; a fresh one is made in an
    /// empty directory. Read-only (and then without reader slots) where it cannot be written.
    pub fn open(dir: &[u8], mode: libc::mode_t) -> Result<Env> {
        let path = |file: &[u8]| {
            let mut path = dir.to_vec();
            path.extend_from_slice(file);
            CString::new(path).or(errno(libc::EINVAL))
        };
        let dir_path = path(b"")?;
        let data = path(b"/data.mdb")?;
        // SAFETY: a NUL-terminated path.
        let writable = unsafe {
            libc::access(data.as_ptr(), libc::F_OK) != 0
                || libc::access(data.as_ptr(), libc::W_OK) == 0
        };
        let mut flags = ffi::MDB_NOTLS | ffi::MDB_NORDAHEAD;
        flags |= match writable {
            true => ffi::MDB_WRITEMAP | ffi::MDB_MAPASYNC | ffi::MDB_NOSYNC,
            false => ffi::MDB_RDONLY | ffi::MDB_NOLOCK,
        };
        let mut raw = ptr::null_mut();
        // SAFETY: the calls LMDB documents for opening, in its order; close on any failure.
        unsafe {
            check(ffi::mdb_env_create(&mut raw))?;
            let opened = check(ffi::mdb_env_set_mapsize(raw, MAP_SIZE as _))
                .and_then(|()| check(ffi::mdb_env_set_maxreaders(raw, MAX_READERS)))
                .and_then(|()| check(ffi::mdb_env_open(raw, dir_path.as_ptr(), flags, mode)));
            if let Err(error) = opened {
                ffi::mdb_env_close(raw);
                return Err(error);
            }
        }
        let mut env = Env {
            raw,
            dbi: 0,
            writable,
            idle: [const { AtomicPtr::new(ptr::null_mut()) }; POOL],
            writes: AtomicU32::new(0),
            reserved: AtomicU64::new(0),
        };
        env.reader_check();
        // The first read transaction registers this process in the lock file; it stays pooled, so
        // that later ones need no descriptor.
        let txn = env.begin_read()?;
        // SAFETY: a live transaction; the unnamed database always exists.
        check(unsafe { ffi::mdb_dbi_open(txn, ptr::null(), 0, &mut env.dbi) })?;
        env.give_back(txn);
        Ok(env)
    }

    /// False when the user may not write the store.
    pub fn writable(&self) -> bool {
        self.writable
    }

    /// Frees the slots of readers that died; needed lest their old snapshots be kept for ever.
    pub fn reader_check(&self) {
        let mut dead = 0;
        // SAFETY: an open environment.
        unsafe { ffi::mdb_reader_check(self.raw, &mut dead) };
    }

    /// Writes everything to the disk, as before a power failure.
    pub fn sync(&self) {
        // SAFETY: an open environment.
        unsafe { ffi::mdb_env_sync(self.raw, 1) };
    }

    fn begin_read(&self) -> Result<*mut ffi::MDB_txn> {
        let mut txn = ptr::null_mut();
        // SAFETY: an open environment.
        let mut rc =
            unsafe { ffi::mdb_txn_begin(self.raw, ptr::null_mut(), ffi::MDB_RDONLY, &mut txn) };
        if rc == ffi::MDB_READERS_FULL {
            self.reader_check();
            // SAFETY: as above.
            rc =
                unsafe { ffi::mdb_txn_begin(self.raw, ptr::null_mut(), ffi::MDB_RDONLY, &mut txn) };
        }
        check(rc).map(|()| txn)
    }

    /// This thread's place in the pool.
    fn place() -> usize {
        static NEXT: AtomicUsize = AtomicUsize::new(1);
        thread_local!(static PLACE: Cell<usize> = const { Cell::new(0) });
        PLACE.with(|place| {
            if place.get() == 0 {
                place.set(NEXT.fetch_add(1, Ordering::Relaxed));
            }
            place.get() % POOL
        })
    }

    fn give_back(&self, txn: *mut ffi::MDB_txn) {
        // SAFETY: a live read transaction that its user is done with.
        unsafe { ffi::mdb_txn_reset(txn) };
        let slot = &self.idle[Env::place()];
        if slot
            .compare_exchange(ptr::null_mut(), txn, Ordering::Release, Ordering::Relaxed)
            .is_err()
        {
            // SAFETY: nobody else knows this transaction.
            unsafe { ffi::mdb_txn_abort(txn) };
        }
    }

    /// A snapshot to read from; it ends with the value.
    pub fn read(&self) -> Result<ReadTxn<'_>> {
        let idle = self.idle[Env::place()].swap(ptr::null_mut(), Ordering::Acquire);
        // SAFETY: an idle transaction is a reset one, and was taken out of the pool by us alone.
        if !idle.is_null() && unsafe { ffi::mdb_txn_renew(idle) } == 0 {
            return Ok(ReadTxn {
                txn: Txn {
                    raw: idle,
                    env: self,
                },
            });
        }
        let raw = self.begin_read()?;
        Ok(ReadTxn {
            txn: Txn { raw, env: self },
        })
    }

    /// Sees to disk space for a transaction that needs at most `need` bytes; only the writer calls
    /// this.
    fn reserve(&self, need: u64) -> Result<()> {
        // SAFETY: an open environment and a zeroed structure for its answer.
        let used = unsafe {
            let mut info: ffi::MDB_envinfo = std::mem::zeroed();
            ffi::mdb_env_info(self.raw, &mut info);
            (info.me_last_pgno as u64 + 1) * 4096
        };
        let reserved = self.reserved.load(Ordering::Relaxed);
        if used + GROWTH <= reserved {
            return Ok(());
        }
        let mut fd = -1;
        let (from, to) = (reserved.min(used), used + RESERVE_STEP);
        // SAFETY: an open environment, whose descriptor it is.
        let rc = unsafe {
            ffi::mdb_env_get_fd(self.raw, &mut fd);
            libc::fallocate(
                fd,
                libc::FALLOC_FL_KEEP_SIZE,
                from as i64,
                (to - from) as i64,
            )
        };
        if rc == 0 || Error::last() != Error::Errno(libc::ENOSPC) {
            self.reserved.store(to, Ordering::Relaxed);
            return Ok(());
        }
        // The file has no holes before its end, so that its blocks say how far it reaches.
        // SAFETY: a zeroed structure of integers and an open descriptor.
        let there = unsafe {
            let mut stat: libc::stat = std::mem::zeroed();
            libc::fstat(fd, &mut stat);
            stat.st_blocks as u64 * 512
        };
        match used + need <= there.max(reserved) {
            true => Ok(()),
            false => errno(libc::ENOSPC),
        }
    }

    /// Runs `change` in a write transaction: committed when it answers `Ok`, gone without a trace
    /// otherwise. Waits for the writer of any process.
    pub fn write<T>(&self, change: impl FnOnce(&WriteTxn<'_>) -> Result<T>) -> Result<T> {
        self.write_within(GROWTH, change)
    }

    /// As [`Env::write`] for a change that makes the metadata smaller: it works on a full disk.
    pub fn shrink<T>(&self, change: impl FnOnce(&WriteTxn<'_>) -> Result<T>) -> Result<T> {
        self.write_within(SHRINKING, change)
    }

    fn write_within<T>(
        &self,
        need: u64,
        change: impl FnOnce(&WriteTxn<'_>) -> Result<T>,
    ) -> Result<T> {
        if self.writes.fetch_add(1, Ordering::Relaxed) % READER_CHECK_EVERY
            == READER_CHECK_EVERY - 1
        {
            self.reader_check();
        }
        let mut raw = ptr::null_mut();
        // SAFETY: an open environment.
        check(unsafe { ffi::mdb_txn_begin(self.raw, ptr::null_mut(), 0, &mut raw) })?;
        let mut txn = WriteTxn {
            txn: Txn { raw, env: self },
        };
        self.reserve(need)?;
        let value = change(&txn)?; // on error the drop aborts
        let raw = std::mem::replace(&mut txn.txn.raw, ptr::null_mut());
        // SAFETY: the live transaction begun above; commit frees it whatever it answers.
        check(unsafe { ffi::mdb_txn_commit(raw) })?;
        Ok(value)
    }
}
