//! read(2), write(2) and their relatives: the bytes of a file. One DFS call each, no system call
//! and no heap. The offset is locked over the call, as in Linux; a write at the end of the file
//! holds the node-wide append lock over finding the end and writing there.
use super::iov::Buffers;
use super::limits;
use crate::file::OpenFile;
use crate::process::Process;
use crate::{fail, Errno, Op};
use dfs::Kind;
use std::sync::Arc;

const RWF_HIPRI: i32 = 0x01;
const RWF_DSYNC: i32 = 0x02;
const RWF_SYNC: i32 = 0x04;
const RWF_APPEND: i32 = 0x10;
const RWF_NOAPPEND: i32 = 0x20;

/// Above this a read asks for the size first, so that probing the buffer does not populate memory
/// the file cannot fill.
const PROBE_ALL: usize = 4 << 20;

/// `read(fd, buf, count)`
pub fn read(p: &'static Process, a: [i64; 6]) -> Op<i64> {
    let file = readable(p, a[0])?;
    let buffers = Buffers::one(a[1], a[2])?;
    read_here(p, &file, buffers)
}

/// `write(fd, buf, count)`
pub fn write(p: &'static Process, a: [i64; 6]) -> Op<i64> {
    let file = writable(p, a[0])?;
    let buffers = Buffers::one(a[1], a[2])?;
    write_here(p, &file, buffers, appends(&file, 0))
}

/// `pread64(fd, buf, count, offset)`
pub fn pread64(p: &'static Process, a: [i64; 6]) -> Op<i64> {
    let file = at(p, a[0], a[3], readable)?;
    let buffers = Buffers::one(a[1], a[2])?;
    Ok(read_at(p, &file, buffers, a[3])? as i64)
}

/// `pwrite64(fd, buf, count, offset)`: on an `O_APPEND` file Linux appends whatever the offset.
pub fn pwrite64(p: &'static Process, a: [i64; 6]) -> Op<i64> {
    let file = at(p, a[0], a[3], writable)?;
    let buffers = Buffers::one(a[1], a[2])?;
    Ok(write_at(p, &file, buffers, a[3], appends(&file, 0))?.0 as i64)
}

/// `preadv2(fd, iov, count, pos_l, pos_h, flags)`: position -1 is the file's own (with `pos_h` 1,
/// the older `preadv`, it is `EINVAL`).
pub fn preadv2(p: &'static Process, a: [i64; 6]) -> Op<i64> {
    let own = a[3] == -1 && a[4] != 1;
    let file = if own {
        readable(p, a[0])?
    } else {
        at(p, a[0], a[3], readable)?
    };
    let buffers = Buffers::import(a[1], a[2])?;
    if buffers.total() == 0 {
        return Ok(0);
    }
    check_flags(a[5] as i32, RWF_HIPRI | RWF_DSYNC | RWF_SYNC)?;
    if own {
        return read_here(p, &file, buffers);
    }
    Ok(read_at(p, &file, buffers, a[3])? as i64)
}

/// `pwritev2(fd, iov, count, pos_l, pos_h, flags)`
pub fn pwritev2(p: &'static Process, a: [i64; 6]) -> Op<i64> {
    let own = a[3] == -1 && a[4] != 1;
    let file = if own {
        writable(p, a[0])?
    } else {
        at(p, a[0], a[3], writable)?
    };
    let flags = a[5] as i32;
    let known = RWF_HIPRI | RWF_DSYNC | RWF_SYNC | RWF_APPEND | RWF_NOAPPEND;
    let buffers = Buffers::import(a[1], a[2])?;
    if buffers.total() == 0 {
        return Ok(0);
    }
    check_flags(flags, known)?;
    if flags & RWF_APPEND != 0 && flags & RWF_NOAPPEND != 0 {
        return fail(Errno::EINVAL);
    }
    let append = appends(&file, flags);
    if own {
        return write_here(p, &file, buffers, append);
    }
    Ok(write_at(p, &file, buffers, a[3], append)?.0 as i64)
}

/// A DFS call always waits for the network: `RWF_NOWAIT` is refused like any unknown flag. The
/// kernel looks at the flags only when there is something to move.
fn check_flags(flags: i32, known: i32) -> Op<()> {
    match flags & !known {
        0 => Ok(()),
        _ => fail(Errno(libc::EOPNOTSUPP)),
    }
}

fn readable(p: &'static Process, fd: i64) -> Op<Arc<OpenFile>> {
    let file = p.fds.get(fd as i32)?;
    if !file.can_read() {
        return fail(Errno::EBADF);
    }
    Ok(file)
}

fn writable(p: &'static Process, fd: i64) -> Op<Arc<OpenFile>> {
    let file = p.fds.get(fd as i32)?;
    if !file.can_write() {
        return fail(Errno::EBADF);
    }
    Ok(file)
}

/// The kernel looks at a negative position before the descriptor; ours is known to be ours here.
fn at(
    p: &'static Process,
    fd: i64,
    offset: i64,
    get: fn(&'static Process, i64) -> Op<Arc<OpenFile>>,
) -> Op<Arc<OpenFile>> {
    if offset < 0 {
        p.fds.get(fd as i32)?;
        return fail(Errno::EINVAL);
    }
    get(p, fd)
}

fn appends(file: &OpenFile, flags: i32) -> bool {
    let always = file.slot.flags() & libc::O_APPEND != 0 && flags & RWF_NOAPPEND == 0;
    always || flags & RWF_APPEND != 0
}

/// At the file's own position, which moves by what was read.
fn read_here(p: &'static Process, file: &OpenFile, buffers: Buffers) -> Op<i64> {
    let position = file.slot.lock();
    let offset = position.get();
    let n = read_at(p, file, buffers, offset)?;
    position.set(offset + n as i64);
    Ok(n as i64)
}

/// At the file's own position, which moves to the end of what was written; a failed write leaves
/// it.
fn write_here(p: &'static Process, file: &OpenFile, buffers: Buffers, append: bool) -> Op<i64> {
    let position = file.slot.lock();
    let (n, end) = write_at(p, file, buffers, position.get(), append)?;
    if n > 0 {
        position.set(end);
    }
    Ok(n as i64)
}

/// The range as `rw_verify_area` checks it.
fn verify(offset: i64, len: usize) -> Op<()> {
    match offset >= 0 && offset.checked_add(len as i64).is_some() {
        true => Ok(()),
        false => fail(Errno::EINVAL),
    }
}

/// Reads at `offset`: bytes read, short only at the end of the file.
pub(super) fn read_at(
    p: &'static Process,
    file: &OpenFile,
    mut buffers: Buffers,
    offset: i64,
) -> Op<usize> {
    verify(offset, buffers.total())?;
    let node = &file.node;
    if node.kind != Kind::File {
        return fail(if node.kind == Kind::Directory {
            Errno::EISDIR
        } else {
            Errno::EINVAL
        });
    }
    if buffers.total() == 0 {
        return Ok(0);
    }
    p.mappings.before_read(node);
    let wanted = buffers.total();
    if buffers.total() > PROBE_ALL {
        let left = node.object.size()?.saturating_sub(offset as u64);
        buffers.truncate(left.min(buffers.total() as u64) as usize);
    }
    buffers.writable()?;
    // SAFETY: the buffers were probed; read(2)'s caller keeps them during the call.
    let n = unsafe { node.object.read(buffers.list(), offset as u64) }?;
    let end = offset as u64 + n as u64;
    file.saw(n, wanted, end)?;
    Ok(n)
}

/// Writes at `offset`, or at the end of the file: bytes written and the position behind them.
pub(super) fn write_at(
    p: &'static Process,
    file: &OpenFile,
    mut buffers: Buffers,
    offset: i64,
    append: bool,
) -> Op<(usize, i64)> {
    verify(offset, buffers.total())?;
    if buffers.total() == 0 {
        return Ok((0, offset));
    }
    buffers.readable()?;
    let node = &file.node;
    let _alone = append.then(|| p.locks.append(node));
    let offset = if append {
        node.object.size()? as i64
    } else {
        offset
    };
    buffers.truncate(limits::room_for_write(offset, buffers.total())?);
    // SAFETY: the buffers were probed; write(2)'s caller keeps them during the call.
    let n = unsafe { node.object.write(buffers.list(), offset as u64) }?;
    // SAFETY: as for the write.
    unsafe { p.mappings.wrote(node, offset as u64, buffers.list()) };
    let end = offset + n as i64;
    file.saw_end(end as u64);
    Ok((n, end))
}
