//! fsync(2) and relatives. A DFS write has reached the servers when it returns; what is left to
//! write are the dirty pages of our shared mappings. Hints change nothing.
use crate::process::Process;
use crate::{fail, Errno, Op};

/// `fsync(fd)`
pub fn fsync(p: &'static Process, a: [i64; 6]) -> Op<i64> {
    let file = p.fds.get_data(a[0] as i32)?;
    p.mappings.sync_node(&file.node)?;
    Ok(0)
}

/// `fdatasync(fd)`
pub fn fdatasync(p: &'static Process, a: [i64; 6]) -> Op<i64> {
    fsync(p, a)
}

/// `syncfs(fd)`
pub fn syncfs(p: &'static Process, a: [i64; 6]) -> Op<i64> {
    fsync(p, a)
}

/// `sync_file_range(fd, offset, count, flags)`
pub fn sync_file_range(p: &'static Process, a: [i64; 6]) -> Op<i64> {
    let file = p.fds.get_data(a[0] as i32)?;
    let all = libc::SYNC_FILE_RANGE_WAIT_BEFORE
        | libc::SYNC_FILE_RANGE_WRITE
        | libc::SYNC_FILE_RANGE_WAIT_AFTER;
    let end = a[1].checked_add(a[2]);
    if a[3] as u32 & !all != 0 || a[1] < 0 || a[2] < 0 || end.is_none() {
        return fail(Errno::EINVAL);
    }
    if file.node.kind == dfs::Kind::Symlink {
        return fail(Errno::ESPIPE);
    }
    p.mappings.sync_node(&file.node)?;
    Ok(0)
}

/// `fadvise64(fd, offset, len, advice)`
pub fn fadvise64(p: &'static Process, a: [i64; 6]) -> Op<i64> {
    p.fds.get_data(a[0] as i32)?;
    let known = libc::POSIX_FADV_NORMAL..=libc::POSIX_FADV_NOREUSE;
    if !known.contains(&(a[3] as i32)) || a[2] < 0 {
        return fail(Errno::EINVAL);
    }
    Ok(0)
}

/// `readahead(fd, offset, count)`
pub fn readahead(p: &'static Process, a: [i64; 6]) -> Op<i64> {
    let file = p.fds.get_data(a[0] as i32)?;
    if !file.can_read() {
        return fail(Errno::EBADF);
    }
    if file.node.kind != dfs::Kind::File {
        return fail(Errno::EINVAL);
    }
    Ok(0)
}
