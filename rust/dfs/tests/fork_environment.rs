//! Fork children of a program whose other threads are inside setenv(3): libc's lock of the
//! environment is never free there, and DAOS must come up all the same.
mod common;
use common::*;
use std::sync::atomic::{AtomicBool, Ordering};

#[test]
fn a_child_does_not_wait_for_the_lock_of_the_environment() {
    let t = Tree::new();
    t.file(c"f", b"data");
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                // SAFETY: nobody else uses the environment of this test.
                unsafe { libc::setenv(c"BUSY".as_ptr(), c"value".as_ptr(), 1) };
            }
        });
        let statuses: Vec<i32> = (0..50).map(|_| in_child(&t)).collect();
        done.store(true, Ordering::Relaxed);
        assert_eq!(statuses, [0; 50]);
    });
}

/// The wait status of a child that reads the file: that of `SIGALRM` if it hangs.
fn in_child(t: &Tree) -> i32 {
    // SAFETY: the child calls nothing but the code under test, and _exit.
    let pid = unsafe { libc::fork() };
    if pid == 0 {
        // SAFETY: ends the child if the code under test hangs.
        unsafe { libc::alarm(20) };
        t.client.forked();
        let ok = t.stat(c"f").stat.st_size == 4;
        // SAFETY: ends the child without running the parent's exit handlers.
        unsafe { libc::_exit(i32::from(!ok)) };
    }
    let mut status = -1;
    // SAFETY: waits for the child just made.
    unsafe { libc::waitpid(pid, &mut status, 0) };
    status
}
