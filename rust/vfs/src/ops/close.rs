//! close(2) and close_range(2): the table first, then the kernel, then - with nothing held - the
//! file's last reference.
use crate::fd::{hidden, number};
use crate::process::Process;
use crate::{call, filter, Op, Reject};

/// `close(fd)`
pub fn close(p: &'static Process, a: [i64; 6]) -> Op<i64> {
    let fd = a[0] as i32;
    let (file, closed) = p.fds.remove(fd)?;
    p.locks.descriptor_closed(&file.node);
    drop(file);
    closed?;
    Ok(0)
}

/// `close_range(first, last, flags)`: the kernel closes what it knows in pieces that leave the
/// hidden numbers alone. Hidden numbers close on exec anyway.
pub fn close_range(p: &'static Process, a: [i64; 6]) -> Op<i64> {
    const UNSHARE: u32 = 1 << 1;
    const CLOEXEC: u32 = 1 << 2;
    let (first, last, flags) = (a[0] as u32, a[1] as u32, a[2] as u32);
    if first > last || flags & !(UNSHARE | CLOEXEC) != 0 || flags & CLOEXEC != 0 {
        return Err(Reject::NotOurs);
    }
    close_high(p, first, last);
    let end = (filter::end() as u32).min(last.saturating_add(1));
    let special = |fd: &u32| !matches!(filter::fd_is(*fd as i32), filter::KERNEL | filter::NAMES);
    if !(first..end).any(|fd| special(&fd)) {
        return Err(Reject::NotOurs);
    }
    let mut start = first;
    let mut unshare = flags & UNSHARE;
    for fd in (first..end).filter(special) {
        if hidden::is_hidden(fd as i32) {
            if fd > start {
                // SAFETY: closes what the application asked to close.
                unsafe { call!(SYS_close_range, start, fd - 1, unshare) }?;
                unshare = 0;
            }
            start = fd + 1;
        } else if let Some(file) = p.fds.forget(fd as i32) {
            p.locks.descriptor_closed(&file.node);
        }
    }
    if start <= last {
        // SAFETY: as above.
        unsafe { call!(SYS_close_range, start, last, unshare) }?;
    }
    Ok(0)
}

/// High numbers in the range: the kernel knows none of them.
fn close_high(p: &'static Process, first: u32, last: u32) {
    let mut found = Vec::new();
    if number::is_high(last.min(i32::MAX as u32) as i32) {
        p.fds.each(&mut |fd, _| {
            if number::is_high(fd) && (first..=last).contains(&(fd as u32)) {
                found.push(fd);
            }
        });
    }
    for file in found.into_iter().filter_map(|fd| p.fds.forget(fd)) {
        p.locks.descriptor_closed(&file.node);
    }
}
