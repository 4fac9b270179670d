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

/// The flags of `preadv2` and `pwritev2` that mean something, or nothing, here. A DFS call always
/// waits for the network: `RWF_NOWAIT` is refused like any unknown flag.
const KNOWN: i32 = RWF_HIPRI | RWF_DSYNC | RWF_SYNC | RWF_APPEND | RWF_NOAPPEND;

/// `read(fd, buf, count)`
pub fn read(p: &'static Process, a: [i64; 6]) -> Op<i64> {
    let file = readable(p, a[0])?;
    read_here(p, &file, Buffers::one(a[1], a[2])?, 0)
}

/// `write(fd, buf, count)`
pub fn write(p: &'static Process, a: [i64; 6]) -> Op<i64> {
    let file = writable(p, a[0])?;
    write_here(p, &file, Buffers::one(a[1], a[2])?, 0)
}

/// `pread64(fd, buf, count, offset)`
pub fn pread64(p: &'static Process, a: [i64; 6]) -> Op<i64> {
    let file = at(p, a[0], a[3], readable)?;
    Ok(read_at(p, &file, Buffers::one(a[1], a[2])?, a[3], 0)? as i64)
}

/// `pwrite64(fd, buf, count, offset)`: on an `O_APPEND` file Linux appends whatever the offset.
pub fn pwrite64(p: &'static Process, a: [i64; 6]) -> Op<i64> {
    let file = at(p, a[0], a[3], writable)?;
    Ok(write_at(p, &file, Buffers::one(a[1], a[2])?, a[3], 0)?.0 as i64)
}

/// `preadv2(fd, iov, count, pos_l, pos_h, flags)`: position -1 is the file's own (with `pos_h` 1,
/// the older `preadv`, it is `EINVAL`). Nothing to read is 0 whatever is read from.
pub fn preadv2(p: &'static Process, a: [i64; 6]) -> Op<i64> {
    let own = a[3] == -1 && a[4] != 1;
    let file = if own {
        readable(p, a[0])?
    } else {
        at(p, a[0], a[3], readable)?
    };
    let buffers = Buffers::import(a[1], a[2])?;
    match buffers.total() {
        0 => Ok(0),
        _ if own => read_here(p, &file, buffers, a[5] as i32),
        _ => Ok(read_at(p, &file, buffers, a[3], a[5] as i32)? as i64),
    }
}

/// `pwritev2(fd, iov, count, pos_l, pos_h, flags)`
pub fn pwritev2(p: &'static Process, a: [i64; 6]) -> Op<i64> {
    let own = a[3] == -1 && a[4] != 1;
    let file = if own {
        writable(p, a[0])?
    } else {
        at(p, a[0], a[3], writable)?
    };
    let buffers = Buffers::import(a[1], a[2])?;
    match buffers.total() {
        0 => Ok(0),
        _ if own => write_here(p, &file, buffers, a[5] as i32),
        _ => Ok(write_at(p, &file, buffers, a[3], a[5] as i32)?.0 as i64),
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

/// At the file's own position, which moves by what was read.
fn read_here(p: &'static Process, file: &OpenFile, buffers: Buffers, flags: i32) -> Op<i64> {
    let position = file.slot.lock();
    let offset = position.get();
    let n = read_at(p, file, buffers, offset, flags)?;
    position.set(offset + n as i64);
    Ok(n as i64)
}

/// At the file's own position, which moves to the end of what was written; a failed write leaves
/// it.
fn write_here(p: &'static Process, file: &OpenFile, buffers: Buffers, flags: i32) -> Op<i64> {
    let position = file.slot.lock();
    let (n, end) = write_at(p, file, buffers, position.get(), flags)?;
    if n > 0 {
        position.set(end);
    }
    Ok(n as i64)
}

/// The range as `rw_verify_area` checks it, then the flags.
fn verify(offset: i64, len: usize, flags: i32) -> Op<()> {
    if offset < 0 || offset.checked_add(len as i64).is_none() {
        return fail(Errno::EINVAL);
    }
    match flags {
        flags if flags & !KNOWN != 0 => fail(Errno(libc::EOPNOTSUPP)),
        flags if flags & RWF_APPEND != 0 && flags & RWF_NOAPPEND != 0 => fail(Errno::EINVAL),
        _ => Ok(()),
    }
}

/// Reads at `offset`: bytes read, short only at the end of the file. Inlined, as its like: after a
/// deep system call beneath DAOS the processor mispredicts every return above it.
#[inline(always)]
pub(super) fn read_at(
    p: &'static Process,
    file: &OpenFile,
    mut buffers: Buffers,
    offset: i64,
    flags: i32,
) -> Op<usize> {
    verify(offset, buffers.total(), flags)?;
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
    // SAFETY: as for the read.
    if unsafe { buffers.begins_with_zeros(n) } {
        file.saw_zeros()?;
    }
    Ok(n)
}

/// Writes at `offset`, or at the end of the file: bytes written and the position behind them.
#[inline(always)]
pub(super) fn write_at(
    p: &'static Process,
    file: &OpenFile,
    mut buffers: Buffers,
    offset: i64,
    flags: i32,
) -> Op<(usize, i64)> {
    verify(offset, buffers.total(), flags)?;
    let always = file.slot.flags() & libc::O_APPEND != 0 && flags & RWF_NOAPPEND == 0;
    let append = always || flags & RWF_APPEND != 0;
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
    file.wrote(end as u64);
    crate::ops::written(p, node);
    Ok((n, end))
}
