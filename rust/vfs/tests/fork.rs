//! Children: what they share with their parent, and what they must not touch.
mod common;
mod run;

use run::{close, file, fork, open, pread, read, sys, write, Child};
use vfs::catalogue as op;
use vfs::inherit;
use vfs::process::Process;

fn offsets_are_shared(p: &'static Process) {
    let fd = file(p, "/dfs/offset", b"0123456789");
    assert_eq!(sys(p, op::lseek, &[fd, 2, 0]), 2);
    let child = fork(p, || (read(p, fd, 3) != b"234").into());
    assert_eq!(child.wait(), 0);
    assert_eq!(read(p, fd, 3), b"567");
    close(p, fd);
}

fn a_child_goes_on_alone(p: &'static Process) {
    let fd = file(p, "/dfs/alone", b"");
    let child = fork(p, || {
        let other = open(p, "/dfs/alone-child", libc::O_CREAT | libc::O_RDWR);
        write(p, other, b"child");
        close(p, fd);
        let nested = fork(p, || (write(p, other, b"ren") != 3).into());
        nested.wait()
    });
    assert_eq!(child.wait(), 0);
    assert_eq!(write(p, fd, b"parent"), 6);
    let other = open(p, "/dfs/alone-child", libc::O_RDONLY);
    assert_eq!(pread(p, other, 20, 0), b"children");
    close(p, other);
    close(p, fd);
}

/// A file without a name stays readable in the child after the parent closed it.
fn a_name_may_go_before(p: &'static Process) {
    let fd = file(p, "/dfs/nameless", b"still here");
    let path = c"/dfs/nameless".as_ptr() as i64;
    let cwd = i64::from(libc::AT_FDCWD);
    assert_eq!(sys(p, op::unlinkat, &[cwd, path, 0]), 0);
    let turn = run::Turn::new();
    let child = fork(p, || {
        turn.hear();
        (pread(p, fd, 20, 0) != b"still here").into()
    });
    close(p, fd);
    turn.tell();
    assert_eq!(child.wait(), 0);
}

fn many_threads_and_forks(p: &'static Process) {
    use std::sync::atomic::{AtomicBool, Ordering};
    let stop = AtomicBool::new(false);
    std::thread::scope(|s| {
        for t in 0..3 {
            let stop = &stop;
            s.spawn(move || {
                let path = format!("/dfs/thread{t}");
                while !stop.load(Ordering::Relaxed) {
                    let fd = file(p, &path, b"x");
                    let again = sys(p, op::dup, &[fd]);
                    close(p, fd);
                    close(p, again);
                }
            });
        }
        for i in 0..20 {
            let child = fork(p, || {
                let fd = open(p, "/dfs/forked", libc::O_CREAT | libc::O_RDWR);
                close(p, fd);
                0
            });
            assert_eq!(child.wait(), 0, "fork {i}");
        }
        stop.store(true, Ordering::Relaxed);
    });
}

struct Vfork {
    p: &'static Process,
    fd: i64,
}

/// What posix_spawn does between clone and exec, in a child that shares our memory.
extern "C" fn vfork_child(arg: *mut libc::c_void) -> i32 {
    // SAFETY: the parent sleeps and keeps it alive.
    let Vfork { p, fd } = unsafe { &*arg.cast::<Vfork>() };
    if !inherit::in_shared_child() {
        return 1;
    }
    if sys(p, op::dup2, &[*fd, 100]) != 100 || sys(p, op::lseek, &[100, 0, 1]) < 0 {
        return 2;
    }
    if sys(p, op::close, &[*fd]) != 0 || sys(p, op::lseek, &[*fd, 0, 1]) != -1000 {
        return 3;
    }
    0
}

fn children_that_share_memory(p: &'static Process) {
    let fd = file(p, "/dfs/vfork", b"");
    let mut stack = vec![0u8; 1 << 20];
    let mut arg = Vfork { p, fd };
    let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD;
    for _ in 0..3 {
        // SAFETY: the stack and the argument outlive the child, for which this thread waits.
        let pid = unsafe {
            let top = stack.as_mut_ptr().add(stack.len() - 64).cast();
            libc::clone(vfork_child, top, flags, (&raw mut arg).cast())
        };
        assert!(pid > 0);
        // The parent's numbers are as they were.
        assert_eq!(sys(p, op::lseek, &[100, 0, 1]), -1000);
        assert_eq!(write(p, fd, b"+"), 1);
        assert_eq!(Child(pid).wait(), 0);
    }
    assert_eq!(pread(p, fd, 100, 0), b"+++");
    assert!(!inherit::in_shared_child());
    close(p, fd);
}

/// A child made by a raw system call, which runs no fork handlers.
fn unannounced_children(p: &'static Process) {
    let fd = file(p, "/dfs/raw", b"raw");
    // SAFETY: as fork(2); the child ends by itself.
    let pid = unsafe { libc::syscall(libc::SYS_clone, libc::SIGCHLD, 0, 0, 0, 0) } as i32;
    if pid == 0 {
        let good = !inherit::in_shared_child() && pread(p, fd, 3, 0) == b"raw";
        let other = open(p, "/dfs/raw-child", libc::O_CREAT | libc::O_RDWR);
        let good = good && write(p, other, b"ok") == 2;
        // SAFETY: ends the child.
        unsafe { libc::_exit((!good).into()) }
    }
    assert_eq!(Child(pid).wait(), 0);
    close(p, fd);
}

/// Children that end give their references back: slots do not run out.
fn slots_are_used_again(p: &'static Process) {
    let slot = || {
        let fd = file(p, "/dfs/slot", b"x");
        let index = p.fds.get(fd as i32).map(|f| f.slot.index()).unwrap();
        let child = fork(p, || {
            let other = open(p, "/dfs/slot", libc::O_RDONLY);
            (read(p, other, 1) != b"x").into()
        });
        assert_eq!(child.wait(), 0);
        close(p, fd);
        index
    };
    let first = slot();
    let highest = (0..50).map(|_| slot()).max().unwrap();
    assert!(highest <= first + 2, "{first} to {highest}");
}

#[test]
fn children() {
    let p = common::process();
    offsets_are_shared(p);
    a_child_goes_on_alone(p);
    a_name_may_go_before(p);
    children_that_share_memory(p);
    unannounced_children(p);
    many_threads_and_forks(p);
    slots_are_used_again(p);
}
