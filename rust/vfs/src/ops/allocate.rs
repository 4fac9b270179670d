//! ftruncate(2) and fallocate(2). DFS reserves no space: reserving within the file is a promise we
//! cannot give and answer with success, as file systems that compress or write elsewhere do.
use super::limits;
use crate::file::OpenFile;
use crate::filter::pil_filter;
use crate::node::Node;
use crate::process::Process;
use crate::{fail, Errno, Op};
use dfs::Kind;
use std::sync::atomic::Ordering;

/// `ftruncate(fd, length)`
pub fn ftruncate(p: &'static Process, a: [i64; 6]) -> Op<i64> {
    let (file, length) = (p.fds.get(a[0] as i32)?, a[1]);
    if length < 0 {
        return fail(Errno::EINVAL);
    }
    if file.is_path() {
        return fail(Errno::EBADF);
    }
    if file.node.kind != Kind::File || !file.can_write() {
        return fail(Errno::EINVAL);
    }
    resize(p, &file.node, length)?;
    file.node.set_end(length as u64);
    Ok(0)
}

/// Sets the size of a file, and of what is mapped of it. For `truncate(2)` and `O_TRUNC` too.
pub fn resize(p: &'static Process, node: &Node, length: i64) -> Result<(), Errno> {
    limits::check_size(length)?;
    node.object.truncate(length as u64)?;
    p.mappings.truncated(node, length as u64);
    crate::ops::written(p, node);
    Ok(())
}

/// `fallocate(fd, mode, offset, len)`
pub fn fallocate(p: &'static Process, a: [i64; 6]) -> Op<i64> {
    let file = p.fds.get_data(a[0] as i32)?;
    let (mode, offset, len) = (a[1] as i32, a[2], a[3]);
    if offset < 0 || len <= 0 {
        return fail(Errno::EINVAL);
    }
    let what = Allocate::from_mode(mode).ok_or(Errno(libc::EOPNOTSUPP))?;
    if !file.can_write() {
        return fail(Errno::EBADF);
    }
    match file.node.kind {
        Kind::File => {}
        Kind::Directory => return fail(Errno::EISDIR),
        Kind::Symlink => return fail(Errno::ENODEV),
    }
    let end = offset.checked_add(len).ok_or(Errno::EFBIG)?;
    let keep = mode & libc::FALLOC_FL_KEEP_SIZE != 0;
    allocate(p, &file, what, offset, end, keep)?;
    crate::ops::written(p, &file.node);
    Ok(0)
}

/// What a mode of fallocate(2) asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Allocate {
    Reserve,
    Punch,
    Zero,
}

impl Allocate {
    fn from_mode(mode: i32) -> Option<Allocate> {
        const KEEP: i32 = libc::FALLOC_FL_KEEP_SIZE;
        const PUNCH: i32 = libc::FALLOC_FL_PUNCH_HOLE | KEEP;
        match mode {
            0 | KEEP => Some(Allocate::Reserve),
            PUNCH => Some(Allocate::Punch),
            mode if mode & !KEEP == libc::FALLOC_FL_ZERO_RANGE => Some(Allocate::Zero),
            _ => None,
        }
    }
}

fn allocate(
    p: &'static Process,
    file: &OpenFile,
    what: Allocate,
    offset: i64,
    end: i64,
    keep: bool,
) -> Result<(), Errno> {
    let node = &file.node;
    if what != Allocate::Reserve {
        p.mappings.before_read(node);
    }
    let size = node.object.size()? as i64;
    if !keep && end > size {
        resize(p, node, end)?;
        file.node.saw_end(end as u64);
    }
    let stop = end.min(size);
    if what == Allocate::Reserve || offset >= stop {
        return Ok(());
    }
    node.object
        .punch_hole(offset as u64, (stop - offset) as u64)?;
    zero_mappings(p, node, offset, stop);
    Ok(())
}

/// Mappings of the file see the zeros too.
fn zero_mappings(p: &'static Process, node: &Node, mut from: i64, to: i64) {
    static ZEROS: [u8; 4096] = [0; 4096];
    if pil_filter.mappings.load(Ordering::Relaxed) == 0 {
        return;
    }
    while from < to {
        let len = (to - from).min(ZEROS.len() as i64);
        let base = ZEROS.as_ptr().cast_mut().cast();
        let zeros = libc::iovec {
            iov_base: base,
            iov_len: len as usize,
        };
        // SAFETY: a static, read only.
        unsafe { p.mappings.wrote(node, from as u64, &[zeros]) };
        from += len;
    }
}
