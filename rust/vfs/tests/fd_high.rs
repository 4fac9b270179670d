//! `PIL4DFS_FD=high`: numbers the kernel knows nothing about, and what of them still mixes with
//! its own.
mod common;
mod twin;

use twin::call;
use vfs::fd::number::HIGH_BASE;
use vfs::fd::Numbering;

const EBADF: i64 = -(libc::EBADF as i64);

#[test]
fn high_numbers_are_a_space_of_their_own() {
    let p = common::process_numbered(&[(c"/dfs", c"cont")], Numbering::High);
    let base = i64::from(HIGH_BASE);
    let path = twin::file_of_ours(p, "high");
    let fd = twin::open(p, &path, libc::O_RDWR);
    assert_eq!(
        fd, base,
        "the lowest free number, given back by the first close"
    );
    let other = twin::open(p, &path, libc::O_RDONLY);
    assert_eq!(other, base + 1);
    let text = b"high";
    assert_eq!(
        call(p, both!(write), [fd, text.as_ptr() as i64, 4, 0, 0, 0]),
        4
    );

    let copy = call(p, both!(dup), [fd, 0, 0, 0, 0, 0]);
    assert_eq!(copy, base + 2);
    assert_eq!(
        call(p, both!(lseek), [copy, 0, libc::SEEK_CUR.into(), 0, 0, 0]),
        4
    );
    let from = [fd, libc::F_DUPFD.into(), base + 10, 0, 0, 0];
    assert_eq!(call(p, both!(fcntl), from), base + 10);
    assert_eq!(
        call(p, both!(dup2), [other, base + 7, 0, 0, 0, 0]),
        base + 7
    );

    // Onto a kernel number, with a placeholder behind it.
    assert_eq!(call(p, both!(dup2), [fd, 50, 0, 0, 0, 0]), 50);
    assert_eq!(
        call(p, both!(lseek), [50, 0, libc::SEEK_CUR.into(), 0, 0, 0]),
        4
    );
    let mut byte = 0u8;
    let read = [50, &raw mut byte as i64, 1, 0, 0, 0];
    assert_eq!(twin::raw(both!(read), read), EBADF, "who bypasses us fails");
    assert_eq!(call(p, both!(close), [50, 0, 0, 0, 0, 0]), 0);
    assert_eq!(
        twin::raw(both!(fcntl), [50, libc::F_GETFD.into(), 0, 0, 0, 0]),
        EBADF
    );

    assert_eq!(call(p, both!(close), [other, 0, 0, 0, 0, 0]), 0);
    assert_eq!(call(p, both!(close), [other, 0, 0, 0, 0, 0]), EBADF);
    assert_eq!(twin::open(p, &path, libc::O_RDONLY), other);
    assert_eq!(call(p, both!(read), [base + 500, 0, 0, 0, 0, 0]), EBADF);

    assert_eq!(
        call(
            p,
            both!(close_range),
            [base + 1, u32::MAX.into(), 0, 0, 0, 0]
        ),
        0
    );
    for gone in [other, copy, base + 7, base + 10] {
        assert_eq!(call(p, both!(close), [gone, 0, 0, 0, 0, 0]), EBADF);
    }
    assert_eq!(call(p, both!(close), [fd, 0, 0, 0, 0, 0]), 0);
}
