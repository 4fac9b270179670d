//! Numbers that change hands behind the table's back, and those that are hidden from the application.
//! Sequences of calls against the kernel's own table: `descriptors` in rust/targets.
mod common;
mod twin;

use std::ffi::CString;
use twin::{call, raw, Call};
use vfs::catalogue;

#[test]
fn numbers_of_others() {
    let p = common::process();
    let ours = twin::file_of_ours(p, "fd-play");
    strangers(p, &ours);
    hidden_numbers_look_closed(p);
}

/// Raw system calls that bypass us: a closed number that comes back as something else is not ours
/// any more.
fn strangers(p: &'static vfs::process::Process, ours: &CString) {
    let fd = twin::open(p, ours, libc::O_RDWR);
    raw(both!(close), [fd, 0, 0, 0, 0, 0]);
    let mut pipe = [0i32; 2];
    let a = [pipe.as_mut_ptr() as i64, 0, 0, 0, 0, 0];
    let c = Call {
        op: catalogue::pipe2,
        nr: libc::SYS_pipe2,
    };
    assert_eq!(call(p, c, a), 0);
    assert_eq!(i64::from(pipe[0]), fd, "the lowest free number");
    assert_eq!(p.fds.stale(), 1);
    let text = b"hello";
    let a = [pipe[1].into(), text.as_ptr() as i64, 5, 0, 0, 0];
    assert_eq!(call(p, both!(write), a), 5);
    let mut back = [0u8; 5];
    let a = [pipe[0].into(), back.as_mut_ptr() as i64, 5, 0, 0, 0];
    assert_eq!(call(p, both!(read), a), 5);
    assert_eq!(&back, text);
    for fd in pipe {
        assert_eq!(call(p, both!(close), [fd.into(), 0, 0, 0, 0, 0]), 0);
    }
}

/// The application may take a hidden number of ours; closing one does nothing.
fn hidden_numbers_look_closed(p: &'static vfs::process::Process) {
    let hidden = vfs::fd::placeholder::descriptor().unwrap();
    let n = i64::from(hidden);
    assert_eq!(
        call(p, both!(close), [n, 0, 0, 0, 0, 0]),
        -i64::from(libc::EBADF)
    );
    assert_eq!(
        call(p, both!(dup), [n, 0, 0, 0, 0, 0]),
        -i64::from(libc::EBADF)
    );
    assert_eq!(call(p, both!(dup2), [1, n, 0, 0, 0, 0]), n);
    assert_ne!(vfs::fd::placeholder::descriptor().unwrap(), hidden);
    assert_eq!(call(p, both!(close), [n, 0, 0, 0, 0, 0]), 0);
    assert_eq!(
        call(p, both!(close), [n, 0, 0, 0, 0, 0]),
        -i64::from(libc::EBADF)
    );
}
