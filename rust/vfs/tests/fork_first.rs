//! The first use of a mount in a child that shares its parent's memory: refused, because what the
//! child would make belongs to the whole process and its descriptors would be the child's alone.
mod common;

use common::{process, sys};
use vfs::catalogue as op;

const CREATE: i64 = (libc::O_CREAT | libc::O_RDWR) as i64;

fn open() -> i64 {
    let name = c"/dfs/first".as_ptr() as i64;
    sys(op::openat, [-100, name, CREATE, 0o644, 0, 0])
}

/// Exits with 0 where the open was refused, 1 where it was not, 2 for another error.
extern "C" fn child(_: *mut libc::c_void) -> i32 {
    match open() {
        e if e == -i64::from(libc::EAGAIN) => 0,
        fd if fd >= 0 => 1,
        _ => 2,
    }
}

/// The exit status of such a child.
fn child_that_shares_memory() -> i32 {
    let mut stack = vec![0u8; 1 << 20];
    let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD;
    // SAFETY: the stack outlives the child, for which this thread waits.
    let pid = unsafe {
        let top = stack.as_mut_ptr().add(stack.len() - 64).cast();
        libc::clone(child, top, flags, std::ptr::null_mut())
    };
    assert!(pid > 0);
    let mut status = 0;
    // SAFETY: our child.
    unsafe { libc::waitpid(pid, &mut status, 0) };
    libc::WEXITSTATUS(status)
}

#[test]
fn the_first_use_is_the_parents() {
    process();
    vfs::inherit::start(); // as the constructor does
    assert_eq!(child_that_shares_memory(), 0, "refused");
    // a use that opens nothing is enough
    let name = c"/dfs/first".as_ptr() as i64;
    let absent = sys(op::faccessat2, [-100, name, 0, 0, 0, 0]);
    assert_eq!(absent, -i64::from(libc::ENOENT));
    assert_eq!(child_that_shares_memory(), 1, "served");
    let fd = open();
    assert!(fd >= 0, "the parent is whole: {fd}");
    assert_eq!(sys(op::close, [fd, 0, 0, 0, 0, 0]), 0);
}
