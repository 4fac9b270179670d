//! copy_file_range(2), sendfile(2), splice(2): between two files of ours, or one of ours and a
//! kernel descriptor, by bounded copies through a buffer. A short copy is a legal answer of all
//! three, so each call moves what one buffer holds per step and stops at the first short step.
use super::data;
use super::iov::Buffers;
use crate::file::OpenFile;
use crate::process::Process;
use crate::{call, fail, user, Errno, Op, Reject};
use dfs::Kind;
use std::sync::Arc;

/// One step: the capacity of a pipe, so that a step into a reader that waits never blocks twice.
const STEP: usize = 64 << 10;
/// Steps between files, where nothing blocks.
const FILE_STEP: usize = 1 << 20;

/// One end of a copy.
enum End {
    Ours(Arc<OpenFile>),
    Kernel(i32),
}

/// An end and where in it: its own position, or a variable of the application.
struct Side {
    end: End,
    /// Address of the application's offset; 0: the file's own position.
    at: i64,
    offset: i64,
}

/// `copy_file_range(fd_in, off_in, fd_out, off_out, len, flags)`
pub fn copy_file_range(p: &'static Process, a: [i64; 6]) -> Op<i64> {
    let (from, to) = ends(p, a[0], a[2])?;
    let (mut from, mut to) = (side(from, a[1])?, side(to, a[3])?);
    if a[5] as u32 != 0 {
        return fail(Errno::EINVAL);
    }
    from.check_regular()?;
    to.check_regular()?;
    from.check_readable()?;
    to.check_writable()?;
    if to.appends()? {
        return fail(Errno::EBADF);
    }
    let len = (a[4] as u64).min(super::iov::MAX_BYTES as u64) as usize;
    let (start, target) = (from.position()?, to.position()?);
    if start < 0 || target < 0 {
        return fail(Errno::EINVAL);
    }
    if start.checked_add(len as i64).is_none() || target.checked_add(len as i64).is_none() {
        return fail(Errno::EOVERFLOW);
    }
    if let (End::Ours(file), true) = (&from.end, same(&from, &to)) {
        // What lies behind the end is not copied, so it cannot overlap.
        let len = (super::seek::size(p, file)? - start).clamp(0, len as i64);
        if start < target + len && target < start + len {
            return fail(Errno::EINVAL);
        }
    }
    copy(p, &mut from, &mut to, len, FILE_STEP)
}

/// `sendfile(out_fd, in_fd, offset, count)`
pub fn sendfile(p: &'static Process, a: [i64; 6]) -> Op<i64> {
    let (from, to) = ends(p, a[1], a[0])?;
    let (mut from, mut to) = (side(from, a[2])?, side(to, 0)?);
    from.check_readable()?;
    to.check_writable()?;
    if let End::Kernel(fd) = from.end {
        // Pipes and sockets have no pages to send: EINVAL, as from the kernel.
        // SAFETY: only asks.
        unsafe { call!(SYS_lseek, fd, 0, libc::SEEK_CUR) }.map_err(|_| Errno::EINVAL)?;
    }
    if from.position()? < 0 {
        return fail(Errno::EINVAL);
    }
    if to.appends()? {
        return fail(Errno::EINVAL);
    }
    let len = (a[3] as u64).min(super::iov::MAX_BYTES as u64) as usize;
    copy(p, &mut from, &mut to, len, STEP)
}

/// `splice(fd_in, off_in, fd_out, off_out, len, flags)`: the end that is not ours must be a pipe.
pub fn splice(p: &'static Process, a: [i64; 6]) -> Op<i64> {
    const KNOWN: u32 =
        libc::SPLICE_F_MOVE | libc::SPLICE_F_NONBLOCK | libc::SPLICE_F_MORE | libc::SPLICE_F_GIFT;
    let (from, to) = ends(p, a[0], a[2])?;
    if a[4] == 0 {
        return Ok(0);
    }
    if a[5] as u32 & !KNOWN != 0 {
        return fail(Errno::EINVAL);
    }
    let (pipe, pipe_offset) = match (&from, &to) {
        (End::Kernel(fd), _) => (*fd, a[1]),
        (_, End::Kernel(fd)) => (*fd, a[3]),
        _ => return fail(Errno::EINVAL),
    };
    if !is_pipe(pipe)? {
        return fail(Errno::EINVAL);
    }
    if pipe_offset != 0 {
        return fail(Errno::ESPIPE);
    }
    let (mut from, mut to) = (side(from, a[1])?, side(to, a[3])?);
    from.check_readable()?;
    to.check_writable()?;
    if to.appends()? {
        return fail(Errno::EINVAL);
    }
    if a[5] as u32 & libc::SPLICE_F_NONBLOCK != 0 && !ready(pipe, matches!(to.end, End::Kernel(_)))?
    {
        return fail(Errno::EAGAIN);
    }
    copy(
        p,
        &mut from,
        &mut to,
        (a[4] as u64).min(STEP as u64) as usize,
        STEP,
    )
}

/// Both ends; `NotOurs` when neither is ours.
fn ends(p: &'static Process, from: i64, to: i64) -> Op<(End, End)> {
    let end = |fd: i64| match p.fds.get(fd as i32) {
        Ok(file) if file.is_path() => fail(Errno::EBADF),
        Ok(file) => Ok(End::Ours(file)),
        Err(Reject::NotOurs) => Ok(End::Kernel(fd as i32)),
        Err(e) => Err(e),
    };
    match (end(from)?, end(to)?) {
        (End::Kernel(_), End::Kernel(_)) => Err(Reject::NotOurs),
        ends => Ok(ends),
    }
}

fn side(end: End, at: i64) -> Op<Side> {
    let offset = if at == 0 { 0 } else { user::get::<i64>(at)? };
    Ok(Side { end, at, offset })
}

fn mode_of(fd: i32) -> Result<u32, Errno> {
    Ok(crate::ownfd::stat_of(fd)?.st_mode & libc::S_IFMT)
}

fn is_pipe(fd: i32) -> Op<bool> {
    Ok(mode_of(fd)? == libc::S_IFIFO)
}

fn flags_of(fd: i32) -> Result<i32, Errno> {
    // SAFETY: plain numbers.
    unsafe { call!(SYS_fcntl, fd, libc::F_GETFL) }.map(|flags| flags as i32)
}

/// A step into or out of a pipe would not block now.
fn ready(fd: i32, write: bool) -> Result<bool, Errno> {
    let events = if write { libc::POLLOUT } else { libc::POLLIN };
    let mut poll = libc::pollfd {
        fd,
        events,
        revents: 0,
    };
    let now = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: one pollfd and a zero time.
    unsafe { call!(SYS_ppoll, &raw mut poll, 1, &raw const now, 0, 8) }.map(|n| n > 0)
}

fn same(a: &Side, b: &Side) -> bool {
    match (&a.end, &b.end) {
        (End::Ours(a), End::Ours(b)) => Arc::ptr_eq(&a.node, &b.node),
        _ => false,
    }
}

impl Side {
    fn check_regular(&self) -> Op<()> {
        let kind = match &self.end {
            End::Ours(file) => match file.node.kind {
                Kind::File => libc::S_IFREG,
                Kind::Directory => libc::S_IFDIR,
                Kind::Symlink => libc::S_IFLNK,
            },
            End::Kernel(fd) => mode_of(*fd)?,
        };
        match kind {
            libc::S_IFREG => Ok(()),
            libc::S_IFDIR => fail(Errno::EISDIR),
            _ => fail(Errno::EINVAL),
        }
    }

    fn check_readable(&self) -> Op<()> {
        let can = match &self.end {
            End::Ours(file) => file.can_read(),
            End::Kernel(fd) => flags_of(*fd)? & libc::O_ACCMODE != libc::O_WRONLY,
        };
        if can {
            Ok(())
        } else {
            fail(Errno::EBADF)
        }
    }

    fn check_writable(&self) -> Op<()> {
        let can = match &self.end {
            End::Ours(file) => file.can_write(),
            End::Kernel(fd) => flags_of(*fd)? & libc::O_ACCMODE != libc::O_RDONLY,
        };
        if can {
            Ok(())
        } else {
            fail(Errno::EBADF)
        }
    }

    fn appends(&self) -> Op<bool> {
        let flags = match &self.end {
            End::Ours(file) => file.slot.flags(),
            End::Kernel(fd) => flags_of(*fd)?,
        };
        Ok(flags & libc::O_APPEND != 0)
    }

    /// Where it stands now; 0 for what has no position.
    fn position(&self) -> Op<i64> {
        match &self.end {
            _ if self.at != 0 => Ok(self.offset),
            End::Ours(file) => Ok(file.slot.peek()),
            // SAFETY: only asks.
            End::Kernel(fd) => Ok(unsafe { call!(SYS_lseek, *fd, 0, libc::SEEK_CUR) }.unwrap_or(0)),
        }
    }

    /// Reads the next bytes without moving on: `done` bytes were read before.
    fn read(&self, p: &'static Process, buf: &mut [u8], done: i64, position: i64) -> Op<usize> {
        match &self.end {
            End::Ours(file) => {
                let buffers = Buffers::one(buf.as_mut_ptr() as i64, buf.len() as i64)?;
                data::read_at(p, file, buffers, position + done, 0)
            }
            End::Kernel(fd) => self.kernel(
                libc::SYS_read,
                libc::SYS_pread64,
                *fd,
                buf.as_mut_ptr(),
                buf.len(),
                done,
            ),
        }
    }

    fn write(&self, p: &'static Process, buf: &[u8], done: i64, position: i64) -> Op<usize> {
        match &self.end {
            End::Ours(file) => {
                let buffers = Buffers::one(buf.as_ptr() as i64, buf.len() as i64)?;
                Ok(data::write_at(p, file, buffers, position + done, 0)?.0)
            }
            End::Kernel(fd) => self.kernel(
                libc::SYS_write,
                libc::SYS_pwrite64,
                *fd,
                buf.as_ptr().cast_mut(),
                buf.len(),
                done,
            ),
        }
    }

    /// The kernel's call at its own position, or at the application's offset.
    fn kernel(
        &self,
        here: i64,
        there: i64,
        fd: i32,
        ptr: *mut u8,
        len: usize,
        done: i64,
    ) -> Op<usize> {
        let nr = if self.at == 0 { here } else { there };
        let a = [fd.into(), ptr as i64, len as i64, self.offset + done, 0, 0];
        // SAFETY: the callers' slice of len bytes at ptr, written only by the reading calls.
        Ok(unsafe { crate::kernel::syscall(nr, a) }? as usize)
    }
}

/// Moves at most `len` bytes; then moves the positions. Bytes read from a kernel file's own
/// position but not written are given back by seeking; from a pipe only what fits is taken.
fn copy(p: &'static Process, from: &mut Side, to: &mut Side, len: usize, step: usize) -> Op<i64> {
    let _locks = Locked::new(from, to);
    let (start, target) = (from.position()?, to.position()?);
    let mut buf = Vec::new();
    if buf.try_reserve_exact(step.min(len)).is_err() {
        return fail(Errno::ENOMEM);
    }
    buf.resize(step.min(len), 0u8);
    let mut done = 0;
    while done < len {
        let want = buf.len().min(len - done);
        let n = match from.read(p, &mut buf[..want], done as i64, start) {
            Ok(n) => n,
            Err(_) if done > 0 => break,
            Err(e) => return Err(e),
        };
        if n == 0 {
            break;
        }
        let written = match write_all(p, to, &buf[..n], done as i64, target) {
            (0, Some(e)) if done == 0 => {
                give_back(from, n);
                return Err(e);
            }
            (written, _) => written,
        };
        done += written;
        if written < n {
            give_back(from, n - written);
            break;
        }
        if n < want {
            break;
        }
    }
    from.moved(start, done as i64)?;
    to.moved(target, done as i64)?;
    Ok(done as i64)
}

/// A file takes all; a pipe or socket may take less: what it took counts.
fn write_all(
    p: &'static Process,
    to: &Side,
    buf: &[u8],
    done: i64,
    target: i64,
) -> (usize, Option<Reject>) {
    let mut written = 0;
    while written < buf.len() {
        match to.write(p, &buf[written..], done + written as i64, target) {
            Ok(0) => return (written, None),
            Ok(n) => written += n,
            Err(e) => return (written, Some(e)),
        }
    }
    (written, None)
}

/// A kernel file read at its own position moves back by what did not arrive.
fn give_back(from: &Side, n: usize) {
    if let (End::Kernel(fd), 0) = (&from.end, from.at) {
        // SAFETY: plain numbers; on a pipe it fails.
        if unsafe { call!(SYS_lseek, *fd, -(n as i64), libc::SEEK_CUR) }.is_err() {
            log::warn!("{n} bytes taken from a pipe could not be written");
        }
    }
}

impl Side {
    fn moved(&self, start: i64, by: i64) -> Op<()> {
        match &self.end {
            _ if self.at != 0 => user::put(self.at, self.offset + by)?,
            // The lock is held by `Locked`.
            End::Ours(file) => file.slot.store(start + by),
            End::Kernel(_) => {}
        }
        Ok(())
    }
}

/// The offset locks of the ends that move their own position, in the order of their slots.
struct Locked<'a> {
    _held: [Option<crate::fd::slot::Position<'a>>; 2],
}

impl<'a> Locked<'a> {
    fn new(from: &'a Side, to: &'a Side) -> Locked<'a> {
        let own = |side: &'a Side| match &side.end {
            End::Ours(file) if side.at == 0 => Some(&file.slot),
            _ => None,
        };
        let held = match (own(from), own(to)) {
            (Some(a), Some(b)) if a.index() == b.index() => [Some(a.lock()), None],
            (Some(a), Some(b)) if a.index() > b.index() => [Some(b.lock()), Some(a.lock())],
            (a, b) => [a.map(|s| s.lock()), b.map(|s| s.lock())],
        };
        Locked { _held: held }
    }
}
