//! Locks between processes: who owns them, who is refused, and when they go.
mod common;
mod run;

use run::{close, file, fork, open, pread, sys, write, Turn};
use vfs::catalogue as op;
use vfs::process::Process;

fn record(kind: i32, start: i64, len: i64) -> libc::flock {
    // SAFETY: plain data.
    let mut lock: libc::flock = unsafe { std::mem::zeroed() };
    lock.l_type = kind as i16;
    lock.l_whence = libc::SEEK_SET as i16;
    lock.l_start = start;
    lock.l_len = len;
    lock
}

fn fcntl(p: &'static Process, fd: i64, cmd: i32, mut lock: libc::flock) -> (i64, libc::flock) {
    let ret = sys(p, op::fcntl, &[fd, cmd.into(), &raw mut lock as i64]);
    (ret, lock)
}

fn set(p: &'static Process, fd: i64, kind: i32, start: i64, len: i64) -> i64 {
    fcntl(p, fd, libc::F_SETLK, record(kind, start, len)).0
}

fn flock(p: &'static Process, fd: i64, what: i32) -> i64 {
    sys(p, op::flock, &[fd, what.into()])
}

const AGAIN: i64 = -(libc::EAGAIN as i64);

fn record_locks_belong_to_the_process(p: &'static Process) {
    let fd = file(p, "/dfs/record", b"0123456789");
    assert_eq!(set(p, fd, libc::F_WRLCK, 0, 5), 0);
    let child = fork(p, || {
        let fd = open(p, "/dfs/record", libc::O_RDWR);
        assert_eq!(set(p, fd, libc::F_WRLCK, 4, 2), AGAIN);
        assert_eq!(set(p, fd, libc::F_WRLCK, 5, 2), 0);
        let (ret, seen) = fcntl(p, fd, libc::F_GETLK, record(libc::F_RDLCK, 0, 1));
        assert_eq!((ret, i32::from(seen.l_type)), (0, libc::F_WRLCK));
        // SAFETY: cannot fail.
        let parent = unsafe { libc::getppid() };
        assert_eq!(seen.l_pid, parent);
        assert_eq!((seen.l_start, seen.l_len), (0, 5));
        0
    });
    assert_eq!(child.wait(), 0);
    // The child is gone, and its lock with it.
    assert_eq!(set(p, fd, libc::F_WRLCK, 5, 2), 0);
    // Any close of the file drops the process's locks.
    let other = open(p, "/dfs/record", libc::O_RDONLY);
    close(p, other);
    let child = fork(p, || {
        let fd = open(p, "/dfs/record", libc::O_RDWR);
        assert_eq!(set(p, fd, libc::F_WRLCK, 0, 0), 0);
        0
    });
    assert_eq!(child.wait(), 0);
    close(p, fd);
}

fn access_modes_count(p: &'static Process) {
    close(p, file(p, "/dfs/modes", b"x"));
    let fd = open(p, "/dfs/modes", libc::O_RDONLY);
    let bad = -i64::from(libc::EBADF);
    assert_eq!(set(p, fd, libc::F_WRLCK, 0, 0), bad);
    assert_eq!(set(p, fd, libc::F_RDLCK, 0, 0), 0);
    assert_eq!(set(p, fd, 77, 0, 0), -i64::from(libc::EINVAL));
    assert_eq!(set(p, fd, libc::F_UNLCK, 0, 0), 0);
    close(p, fd);
}

fn a_waiter_gets_the_lock(p: &'static Process) {
    let fd = file(p, "/dfs/wait", b"x");
    let (ready, held) = (Turn::new(), Turn::new());
    assert_eq!(set(p, fd, libc::F_WRLCK, 0, 0), 0);
    let child = fork(p, || {
        let fd = open(p, "/dfs/wait", libc::O_RDWR);
        ready.tell();
        let (ret, _) = fcntl(p, fd, libc::F_SETLKW, record(libc::F_WRLCK, 0, 0));
        held.tell();
        (ret != 0).into()
    });
    ready.hear();
    std::thread::sleep(std::time::Duration::from_millis(30));
    assert_eq!(set(p, fd, libc::F_UNLCK, 0, 0), 0);
    held.hear();
    assert_eq!(child.wait(), 0);
    close(p, fd);
}

fn descriptions_own_flock(p: &'static Process) {
    let one = file(p, "/dfs/flock", b"x");
    let two = open(p, "/dfs/flock", libc::O_RDONLY);
    let again = sys(p, op::dup, &[one]);
    assert_eq!(flock(p, one, libc::LOCK_EX), 0);
    assert_eq!(flock(p, two, libc::LOCK_SH | libc::LOCK_NB), AGAIN);
    assert_eq!(flock(p, again, libc::LOCK_SH | libc::LOCK_NB), 0);
    assert_eq!(flock(p, two, libc::LOCK_SH | libc::LOCK_NB), 0);
    assert_eq!(flock(p, two, libc::LOCK_UN), 0);
    assert_eq!(flock(p, one, 0), -i64::from(libc::EINVAL));
    // The last descriptor of the description frees it.
    assert_eq!(flock(p, one, libc::LOCK_EX | libc::LOCK_NB), 0);
    close(p, one);
    assert_eq!(flock(p, two, libc::LOCK_SH | libc::LOCK_NB), AGAIN);
    close(p, again);
    assert_eq!(flock(p, two, libc::LOCK_EX | libc::LOCK_NB), 0);
    close(p, two);
}

/// `exec 9>lock; flock 9`: the child takes the lock, the parent keeps it.
fn a_child_locks_for_its_parent(p: &'static Process) {
    let fd = file(p, "/dfs/shared", b"x");
    let child = fork(p, || {
        (flock(p, fd, libc::LOCK_EX | libc::LOCK_NB) != 0).into()
    });
    assert_eq!(child.wait(), 0);
    let other = open(p, "/dfs/shared", libc::O_RDONLY);
    assert_eq!(flock(p, other, libc::LOCK_SH | libc::LOCK_NB), AGAIN);
    close(p, fd);
    assert_eq!(flock(p, other, libc::LOCK_SH | libc::LOCK_NB), 0);
    close(p, other);
}

fn ofd_locks_belong_to_the_description(p: &'static Process) {
    let one = file(p, "/dfs/ofd", b"0123456789");
    let two = open(p, "/dfs/ofd", libc::O_RDWR);
    let lock = record(libc::F_WRLCK, 0, 4);
    assert_eq!(fcntl(p, one, libc::F_OFD_SETLK, lock).0, 0);
    assert_eq!(fcntl(p, two, libc::F_OFD_SETLK, lock).0, AGAIN);
    let (ret, seen) = fcntl(p, two, libc::F_OFD_GETLK, lock);
    assert_eq!(
        (ret, i32::from(seen.l_type), seen.l_pid),
        (0, libc::F_WRLCK, -1)
    );
    assert_eq!(set(p, two, libc::F_WRLCK, 0, 1), AGAIN);
    close(p, one);
    assert_eq!(fcntl(p, two, libc::F_OFD_SETLK, lock).0, 0);
    close(p, two);
}

/// Every record of every writer arrives once, whole.
fn appends_do_not_overwrite(p: &'static Process) {
    const WRITERS: u8 = 3;
    const RECORDS: usize = 200;
    close(p, file(p, "/dfs/append", b""));
    let children: Vec<_> = (0..WRITERS)
        .map(|me| {
            fork(p, move || {
                let fd = open(p, "/dfs/append", libc::O_WRONLY | libc::O_APPEND);
                for i in 0..RECORDS {
                    let record = [b'a' + me, i as u8, 0, b'\n'];
                    assert_eq!(write(p, fd, &record), 4);
                }
                0
            })
        })
        .collect();
    for child in children {
        assert_eq!(child.wait(), 0);
    }
    let fd = open(p, "/dfs/append", libc::O_RDONLY);
    let bytes = pread(p, fd, 1 << 20, 0);
    assert_eq!(bytes.len(), usize::from(WRITERS) * RECORDS * 4);
    for me in 0..WRITERS {
        let mine = bytes.chunks(4).filter(|r| r[0] == b'a' + me);
        assert!(mine.map(|r| r[1]).eq((0..RECORDS).map(|i| i as u8)));
    }
    close(p, fd);
}

/// One test: the process forks, and the tests of one program run as threads.
#[test]
fn locks() {
    let p = common::process();
    record_locks_belong_to_the_process(p);
    access_modes_count(p);
    a_waiter_gets_the_lock(p);
    descriptions_own_flock(p);
    a_child_locks_for_its_parent(p);
    ofd_locks_belong_to_the_description(p);
    appends_do_not_overwrite(p);
}
