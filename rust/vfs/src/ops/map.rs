//! mmap(2) and what changes or writes a mapping. The kernel maps our memfd where it would have
//! mapped the file; the arguments it can judge itself (alignment, flags, addresses) are left to it.
use crate::file::OpenFile;
use crate::inherit::stage;
use crate::mapping::Writing;
use crate::ownfd::OwnFd;
use crate::process::Process;
use crate::{call, fail, Errno, Op, Reject};
use dfs::Kind;
use std::sync::Arc;

/// mmap(2). `EBADF`, `EACCES`, `EINVAL`, `ENODEV` (directories; a range larger than the limit; a
/// second session that maps shared and writable), DFS's errors while reading.
pub fn mmap(p: &'static Process, a: [i64; 6]) -> Op<i64> {
    let [addr, len, prot, flags, fd, offset] = a;
    if flags as i32 & libc::MAP_ANONYMOUS != 0 {
        return displaced(p, a);
    }
    let file = match p.fds.get(fd as i32) {
        Ok(file) => file,
        Err(Reject::NotOurs) => return displaced(p, a),
        Err(e) => return Err(e),
    };
    if file.is_path() {
        return fail(Errno::EBADF);
    }
    let shared = is_shared(flags as i32)?;
    let write = shared && prot as i32 & libc::PROT_WRITE != 0;
    let writing = match (write, shared && file.can_write()) {
        (true, _) => Writing::Now,
        (false, true) => Writing::Later,
        _ => Writing::No,
    };
    if len == 0 || offset < 0 || offset % 4096 != 0 {
        return fail(Errno::EINVAL);
    }
    check(&file, write)?;
    let len = page_up(len as u64)?;
    if !shared && flags as i32 & libc::MAP_DENYWRITE != 0 {
        if let Some(at) = map_library(&file, a) {
            p.mappings.remove(at as usize, len as usize);
            return Ok(at);
        }
    }
    check_size(p, &file, offset as u64, len)?;
    let pages = p.mappings.pages(&file.node);
    let memory = pages.prepare(offset as u64, len, write)?;
    // SAFETY: the arguments are the application's, but for the descriptor.
    let mapped = unsafe { call!(SYS_mmap, addr, len, prot, flags, memory, offset) };
    match mapped {
        Ok(at) => p
            .mappings
            .insert(at as usize, len as usize, offset as u64, pages, writing),
        Err(_) if write => pages.remove_writer(),
        Err(_) => {}
    }
    Ok(mapped?)
}

/// The dynamic loader maps libraries with `MAP_DENYWRITE`, and nobody else does: they are mapped
/// from the node's one staged copy, whose text all processes share. `None`: map it like any file.
fn map_library(file: &OpenFile, a: [i64; 6]) -> Option<i64> {
    let attr = file.node.attr().ok()?;
    let path = stage::shared(&file.node, &attr).ok()?;
    let copy = OwnFd::open(libc::AT_FDCWD, &path, libc::O_RDONLY, 0).ok()?;
    let [addr, len, prot, flags, _, offset] = a;
    // SAFETY: the arguments are the application's, but for the descriptor.
    unsafe { call!(SYS_mmap, addr, len, prot, flags, copy.raw(), offset) }.ok()
}

/// munmap(2). Changes of shared mappings are written; an error of that is logged, as Linux has no
/// one to tell either.
pub fn munmap(p: &'static Process, a: [i64; 6]) -> Op<i64> {
    let (start, len) = (a[0] as usize, page_up(a[1] as u64)? as usize);
    if !p.mappings.overlaps(start, len) {
        return Err(Reject::NotOurs);
    }
    // SAFETY: the application's own range.
    unsafe { call!(SYS_munmap, a[0], a[1]) }?;
    p.mappings.remove(start, len);
    Ok(0)
}

/// remap_file_pages(2): a mapping's pages are its own, in order; what is ours answers `EINVAL`.
pub fn remap_file_pages(p: &'static Process, a: [i64; 6]) -> Op<i64> {
    if !p.mappings.overlaps(a[0] as usize, a[1] as usize) {
        return Err(Reject::NotOurs);
    }
    fail(Errno::EINVAL)
}

/// msync(2): `MS_ASYNC` writes at once as well. `EIO` and its like when writing fails.
pub fn msync(p: &'static Process, a: [i64; 6]) -> Op<i64> {
    let (start, len) = (a[0] as usize, page_up(a[1] as u64)? as usize);
    if !p.mappings.overlaps(start, len) {
        return Err(Reject::NotOurs);
    }
    // SAFETY: the kernel judges flags and range; the pages are a memfd's and go nowhere.
    unsafe { call!(SYS_msync, a[0], a[1], a[2]) }?;
    p.mappings.sync(start, len)?;
    Ok(0)
}

/// mremap(2). A mapping that grows is filled first; it moves with its file offset.
pub fn mremap(p: &'static Process, a: [i64; 6]) -> Op<i64> {
    let [old, old_len, new_len, flags, new, _] = a;
    let Some((pages, offset, writing, _)) = p.mappings.find(old as usize) else {
        if flags as i32 & libc::MREMAP_FIXED != 0 {
            p.mappings.remove(new as usize, new_len as usize);
        }
        return Err(Reject::NotOurs);
    };
    let (old_len, new_len) = (page_up(old_len as u64)?, page_up(new_len as u64)?);
    if new_len > old_len || old_len == 0 {
        pages.prepare(offset, new_len, false)?;
    }
    // SAFETY: the arguments are the application's.
    let at = unsafe { call!(SYS_mremap, old, old_len, new_len, flags, new) }?;
    if writing == Writing::Now {
        pages.add_writer();
    }
    // An old length of 0 makes a second mapping; MREMAP_DONTUNMAP keeps the old one.
    if old_len > 0 && flags as i32 & libc::MREMAP_DONTUNMAP == 0 {
        p.mappings.remove(old as usize, old_len as usize);
    }
    p.mappings
        .insert(at as usize, new_len as usize, offset, pages, writing);
    Ok(at)
}

/// madvise(2): advice about our pages is advice about a memfd's; the kernel takes it.
pub fn madvise(_p: &'static Process, _a: [i64; 6]) -> Op<i64> {
    Err(Reject::NotOurs)
}

/// mprotect(2). A shared mapping of a file that was open for writing shows pages that can only be
/// read until it is to be written itself: then it is made one that is. `EACCES` where another
/// session maps the file shared and writable, or what it needs cannot be had. What protection the
/// range gets is left to the kernel in any case.
pub fn mprotect(p: &'static Process, a: [i64; 6]) -> Op<i64> {
    let (start, prot) = (a[0] as usize, a[2] as i32);
    let known = libc::PROT_READ | libc::PROT_WRITE | libc::PROT_EXEC;
    let Ok(len) = page_up(a[1] as u64) else {
        return Err(Reject::NotOurs);
    };
    if prot & libc::PROT_WRITE == 0 || prot & !known != 0 || start % 4096 != 0 {
        return Err(Reject::NotOurs);
    }
    for (pages, at, len, offset) in p.mappings.to_be_written(start, len as usize) {
        let memory = pages
            .prepare(offset, len as u64, true)
            .map_err(|_| Errno::EACCES)?;
        let flags = libc::MAP_SHARED | libc::MAP_FIXED;
        // SAFETY: the same pages of the same memfd take the place of the mapping that is there.
        match unsafe { call!(SYS_mmap, at, len, prot, flags, memory, offset) } {
            Ok(_) => p.mappings.insert(at, len, offset, pages, Writing::Now),
            Err(e) => {
                pages.remove_writer();
                return Err(e.into());
            }
        }
    }
    Err(Reject::NotOurs)
}

/// A mapping of something else: it may replace one of ours.
fn displaced(p: &'static Process, a: [i64; 6]) -> Op<i64> {
    if a[3] as i32 & libc::MAP_FIXED != 0 {
        p.mappings
            .remove(a[0] as usize, page_up(a[1] as u64)? as usize);
    }
    Err(Reject::NotOurs)
}

fn is_shared(flags: i32) -> Result<bool, Errno> {
    match flags & libc::MAP_TYPE {
        libc::MAP_SHARED | libc::MAP_SHARED_VALIDATE => Ok(true),
        libc::MAP_PRIVATE => Ok(false),
        _ => Err(Errno::EINVAL),
    }
}

/// The kernel's checks of what is open, in its order.
fn check(file: &OpenFile, write: bool) -> Result<(), Errno> {
    if !file.can_read() || write && !file.can_write() {
        return Err(Errno::EACCES);
    }
    if file.node.kind != Kind::File {
        return Err(Errno::ENODEV);
    }
    Ok(())
}

/// A range is read whole, so a very large one is refused.
fn check_size(
    p: &'static Process,
    file: &Arc<OpenFile>,
    offset: u64,
    len: u64,
) -> Result<(), Errno> {
    if len <= p.mappings.limit() {
        return Ok(());
    }
    let size = file.node.object.size()?;
    if size.saturating_sub(offset).min(len) > p.mappings.limit() {
        log::warn!(
            "mmap of {len} bytes of a DAOS file refused: at most {} bytes are read at once \
             (PIL4DFS_MMAP_LIMIT)",
            p.mappings.limit()
        );
        return Err(Errno::ENODEV);
    }
    Ok(())
}

/// A length in whole pages; `ENOMEM` when it cannot be.
fn page_up(len: u64) -> Result<u64, Errno> {
    const PAGE: u64 = 4096;
    let up = len.checked_add(PAGE - 1).ok_or(Errno::ENOMEM)?;
    Ok(up & !(PAGE - 1))
}
