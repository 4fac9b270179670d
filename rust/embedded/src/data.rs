//! The bytes of a file object: one sparse host file, made by the first write. Its modification
//! time is the object's time. Destroying an object empties the host file before it is unlinked, so
//! that whoever still has it open reads nothing, and what he writes is lost - as in DAOS.
use crate::entry::Time;
use crate::error::{errno, Error, Result};
use crate::key::Oid;
use crate::store::Store;
use std::ffi::c_int;
use std::sync::atomic::{AtomicI32, AtomicU32, Ordering};

/// Descriptors that open objects keep; further ones are opened call by call.
const MAX_CACHED: u32 = 256;
static CACHED: AtomicU32 = AtomicU32::new(0);

/// An open object's descriptor, opened on demand; -1 is none.
pub struct Cache(AtomicI32);

/// A descriptor to use now.
pub struct File<'c> {
    fd: c_int,
    /// Where it stays open; else it is closed with this value.
    cache: Option<&'c Cache>,
}

impl Drop for File<'_> {
    fn drop(&mut self) {
        if self.cache.is_none() {
            // SAFETY: opened by this value and known to nobody else.
            unsafe { libc::close(self.fd) };
        }
    }
}

impl Drop for Cache {
    fn drop(&mut self) {
        let fd = *self.0.get_mut();
        if fd >= 0 {
            // SAFETY: opened by `Cache::file`, and nobody uses the object any more.
            unsafe { libc::close(fd) };
            CACHED.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

impl Cache {
    /// Nothing open yet.
    pub const fn new() -> Cache {
        Cache(AtomicI32::new(-1))
    }

    /// The object's file; `None` if it was never written and `make` is false.
    pub fn file(&self, store: &Store, cont: u32, oid: Oid, make: bool) -> Result<Option<File<'_>>> {
        let fd = self.0.load(Ordering::Acquire);
        if fd >= 0 {
            return Ok(Some(File {
                fd,
                cache: Some(self),
            }));
        }
        let Some(fd) = open(store, cont, oid, make)? else {
            return Ok(None);
        };
        if CACHED.fetch_add(1, Ordering::Relaxed) < MAX_CACHED
            && self
                .0
                .compare_exchange(-1, fd, Ordering::AcqRel, Ordering::Acquire)
                .is_ok()
        {
            return Ok(Some(File {
                fd,
                cache: Some(self),
            }));
        }
        CACHED.fetch_sub(1, Ordering::Relaxed);
        Ok(Some(File { fd, cache: None }))
    }
}

fn open(store: &Store, cont: u32, oid: Oid, make: bool) -> Result<Option<c_int>> {
    let path = store.data_path(cont, oid);
    // SAFETY: a NUL-terminated path.
    let mut fd = unsafe { libc::open(path.as_ptr(), libc::O_RDWR | libc::O_CLOEXEC) };
    if fd < 0 && matches!(Error::last(), Error::Errno(libc::EACCES | libc::EROFS)) && !make {
        // SAFETY: as above. A store that this user may only read.
        fd = unsafe { libc::open(path.as_ptr(), libc::O_RDONLY | libc::O_CLOEXEC) };
    }
    if fd >= 0 {
        return Ok(Some(fd));
    }
    match Error::last() {
        Error::Errno(libc::ENOENT) if !make => Ok(None),
        Error::Errno(libc::ENOENT) => make_file(store, &path).map(Some),
        other => Err(other),
    }
}

/// The host file of an object's first write, in a directory that may have to be made.
fn make_file(store: &Store, path: &std::ffi::CStr) -> Result<c_int> {
    let flags = libc::O_RDWR | libc::O_CREAT | libc::O_CLOEXEC;
    // SAFETY: a NUL-terminated path; the mode is what the umask leaves of it.
    let open = || unsafe { libc::open(path.as_ptr(), flags, store.file_mode()) };
    let mut fd = open();
    if fd < 0 && Error::last() == Error::Errno(libc::ENOENT) {
        store.make_data_dir(path)?;
        fd = open();
    }
    if fd < 0 {
        return Err(Error::last());
    }
    if store.is_shared() {
        // SAFETY: our own descriptor; the umask must not shut other users out.
        unsafe { libc::fchmod(fd, 0o666) };
    }
    Ok(fd)
}

/// Size and time of an object that was written at least once.
#[derive(Clone, Copy, Debug)]
pub struct ObjectStat {
    /// Bytes.
    pub size: u64,
    /// Last write.
    pub time: Time,
}

fn object_stat(stat: &libc::stat) -> ObjectStat {
    ObjectStat {
        size: stat.st_size as u64,
        time: Time {
            sec: stat.st_mtime,
            nsec: stat.st_mtime_nsec,
        },
    }
}

/// Stat of an object by id; `None` if it was never written.
pub fn stat(store: &Store, cont: u32, oid: Oid) -> Result<Option<ObjectStat>> {
    let path = store.data_path(cont, oid);
    // SAFETY: a zeroed structure of integers, and a NUL-terminated path.
    unsafe {
        let mut answer: libc::stat = std::mem::zeroed();
        if libc::stat(path.as_ptr(), &mut answer) == 0 {
            return Ok(Some(object_stat(&answer)));
        }
    }
    match Error::last() {
        Error::Errno(libc::ENOENT) => Ok(None),
        other => Err(other),
    }
}

/// Sets the object's time; false where that is not allowed (another user's) or there is no file.
pub fn set_time(store: &Store, cont: u32, oid: Oid, time: Time) -> bool {
    let path = store.data_path(cont, oid);
    let times = [
        libc::timespec {
            tv_sec: 0,
            tv_nsec: libc::UTIME_OMIT,
        },
        libc::timespec {
            tv_sec: time.sec,
            tv_nsec: time.nsec,
        },
    ];
    // SAFETY: a NUL-terminated path and two times.
    unsafe { libc::utimensat(libc::AT_FDCWD, path.as_ptr(), times.as_ptr(), 0) == 0 }
}

/// Destroys an object; whoever has it open reads nothing from now on.
pub fn destroy(store: &Store, cont: u32, oid: Oid) {
    let path = store.data_path(cont, oid);
    // SAFETY: a NUL-terminated path, twice.
    unsafe {
        if libc::truncate(path.as_ptr(), 0) == 0 {
            libc::unlink(path.as_ptr());
        }
    }
}

/// Buffers of one transfer: the caller's own, cut at each list's `iov_len`.
pub type Buffers = Vec<libc::iovec>;

/// Buffers per system call (`UIO_MAXIOV`).
const BATCH: usize = 1024;

/// Bytes per system call (`MAX_RW_COUNT`).
const MAX_TRANSFER: usize = 0x7fff_f000;

fn offset(at: u64) -> Result<i64> {
    i64::try_from(at).or(errno(libc::EINVAL))
}

/// Drops `done` bytes from the front.
fn advance(buffers: &mut [libc::iovec], mut done: usize) -> &mut [libc::iovec] {
    let mut skip = 0;
    for buffer in buffers.iter_mut() {
        if done < buffer.iov_len {
            buffer.iov_base = buffer.iov_base.wrapping_byte_add(done);
            buffer.iov_len -= done;
            break;
        }
        done -= buffer.iov_len;
        skip += 1;
    }
    &mut buffers[skip..]
}

impl File<'_> {
    /// Stat through the descriptor.
    pub fn stat(&self) -> Result<ObjectStat> {
        // SAFETY: a zeroed structure of integers and an open descriptor.
        unsafe {
            let mut answer: libc::stat = std::mem::zeroed();
            match libc::fstat(self.fd, &mut answer) {
                0 => Ok(object_stat(&answer)),
                _ => Err(Error::last()),
            }
        }
    }

    /// Reads into the caller's buffers from `at` on; short only at the end of the file. The host's
    /// file is a regular one, whose own reads are short there only, or at the kernel's limit for
    /// one call: one system call as a rule.
    ///
    /// # Safety
    /// The buffers are the caller's, who promises that many writable bytes each.
    pub unsafe fn read(&self, buffers: &mut [libc::iovec], at: u64) -> Result<u64> {
        let mut rest = buffers;
        let mut done = 0;
        while !rest.is_empty() {
            let place = offset(at + done)?;
            let count = rest.len().min(BATCH) as c_int;
            let wanted: usize = rest[..count as usize].iter().map(|one| one.iov_len).sum();
            // SAFETY: as this function asks.
            let n = unsafe {
                match rest {
                    [one] => libc::pread(self.fd, one.iov_base, one.iov_len, place),
                    _ => libc::preadv(self.fd, rest.as_ptr(), count, place),
                }
            };
            match n {
                0 if wanted == 0 => rest = &mut rest[count as usize..],
                n if n >= 0 => {
                    done += n as u64;
                    if (n as usize) < wanted.min(MAX_TRANSFER) {
                        break;
                    }
                    rest = advance(rest, n as usize);
                }
                _ => match Error::last() {
                    Error::Errno(libc::EINTR) => {}
                    other => return Err(other),
                },
            }
        }
        Ok(done)
    }

    /// Writes all of the caller's buffers from `at` on.
    ///
    /// # Safety
    /// The buffers are the caller's, who promises that many readable bytes each.
    pub unsafe fn write(&self, buffers: &mut [libc::iovec], at: u64) -> Result<()> {
        let mut rest = buffers;
        let mut done = 0;
        while !rest.is_empty() {
            let place = offset(at + done)?;
            let count = rest.len().min(BATCH) as c_int;
            // SAFETY: as this function asks.
            let n = unsafe {
                match rest {
                    [one] => libc::pwrite(self.fd, one.iov_base, one.iov_len, place),
                    _ => libc::pwritev(self.fd, rest.as_ptr(), count, place),
                }
            };
            match n {
                0 if rest[0].iov_len == 0 => rest = &mut rest[1..],
                0 => return errno(libc::ENOSPC),
                n if n > 0 => {
                    done += n as u64;
                    rest = advance(rest, n as usize);
                }
                _ => match Error::last() {
                    Error::Errno(libc::EINTR) => {}
                    other => return Err(other),
                },
            }
        }
        Ok(())
    }

    /// Sets the size.
    pub fn truncate(&self, size: u64) -> Result<()> {
        // SAFETY: an open descriptor.
        match unsafe { libc::ftruncate(self.fd, offset(size)?) } {
            0 => Ok(()),
            _ => Err(Error::last()),
        }
    }

    /// Makes a hole inside the file.
    pub fn punch(&self, at: u64, len: u64) -> Result<()> {
        let mode = libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_KEEP_SIZE;
        // SAFETY: an open descriptor.
        if unsafe { libc::fallocate(self.fd, mode, offset(at)?, offset(len)?) } == 0 {
            return Ok(());
        }
        match Error::last() {
            Error::Errno(libc::EOPNOTSUPP) => self.zero(at, len),
            other => Err(other),
        }
    }

    fn zero(&self, mut at: u64, mut len: u64) -> Result<()> {
        let zeros = [0u8; 65536];
        while len > 0 {
            let part = len.min(zeros.len() as u64);
            let mut one = [libc::iovec {
                iov_base: zeros.as_ptr() as *mut _,
                iov_len: part as usize,
            }];
            // SAFETY: that many bytes of our own array.
            unsafe { self.write(&mut one, at)? };
            at += part;
            len -= part;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads into buffers of these sizes; answers the bytes read.
    fn read(file: &File<'_>, sizes: &[usize], at: u64) -> Vec<u8> {
        let mut bytes = vec![0u8; sizes.iter().sum()];
        let mut start = bytes.as_mut_ptr();
        let mut list = Vec::new();
        for size in sizes {
            list.push(libc::iovec {
                iov_base: start.cast(),
                iov_len: *size,
            });
            start = start.wrapping_add(*size);
        }
        // SAFETY: parts of our own bytes.
        let done = unsafe { file.read(&mut list, at) }.expect("readable");
        bytes.truncate(done as usize);
        bytes
    }

    #[test]
    fn reads_end_with_the_file_whatever_the_buffers() {
        // SAFETY: a fresh descriptor, closed with the value.
        let fd = unsafe { libc::memfd_create(c"test".as_ptr(), libc::MFD_CLOEXEC) };
        let file = File { fd, cache: None };
        let mut list = [libc::iovec {
            iov_base: b"0123456789".as_ptr() as *mut _,
            iov_len: 10,
        }];
        // SAFETY: ten bytes of a literal.
        unsafe { file.write(&mut list, 0) }.expect("writable");
        assert_eq!(read(&file, &[4], 0), b"0123");
        assert_eq!(read(&file, &[4096], 0), b"0123456789");
        assert_eq!(read(&file, &[4096], 10), b"");
        assert_eq!(read(&file, &[0], 0), b"");
        assert_eq!(read(&file, &[0, 3, 0, 4, 0], 1), b"1234567");
        assert_eq!(read(&file, &[0, 3, 0, 40, 9], 1), b"123456789");
        assert_eq!(read(&file, &vec![1; BATCH + 5], 0), b"0123456789");
        // More buffers than one call takes, the first of them empty.
        let mut sizes = vec![0; BATCH];
        sizes.extend([5, 5]);
        assert_eq!(read(&file, &sizes, 3), b"3456789");
    }
}
