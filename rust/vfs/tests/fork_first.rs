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

extern "C" fn child(_: *mut libc::c_void) -> i32 {
    i32::from(open() != -i64::from(libc::EAGAIN))
}

#[test]
fn the_first_use_is_the_parents() {
    process();
    vfs::inherit::start(); // as the constructor does
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
    assert_eq!(status, 0, "refused with EAGAIN");
    let fd = open();
    assert!(fd >= 0, "the parent is whole: {fd}");
    assert_eq!(sys(op::close, [fd, 0, 0, 0, 0, 0]), 0);
}
