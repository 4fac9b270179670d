//! Mappings against what Linux does: which bytes are seen where, and when they are written.
mod common;
mod run;

use run::{close, file, fork, open, pread, sys, write, Turn};
use vfs::catalogue as op;
use vfs::process::Process;

const RW: i32 = libc::PROT_READ | libc::PROT_WRITE;
const PAGE: usize = 4096;

fn mmap(p: &'static Process, len: usize, prot: i32, flags: i32, fd: i64, at: i64) -> i64 {
    sys(
        p,
        op::mmap,
        &[0, len as i64, prot.into(), flags.into(), fd, at],
    )
}

/// As a slice that lives as long as the test lets it.
#[allow(clippy::mut_from_ref)]
fn map(p: &'static Process, len: usize, prot: i32, flags: i32, fd: i64) -> &'static mut [u8] {
    let at = mmap(p, len, prot, flags, fd, 0);
    assert!(at > 0, "mmap: {at}");
    // SAFETY: just mapped.
    unsafe { std::slice::from_raw_parts_mut(at as *mut u8, len) }
}

fn unmap(p: &'static Process, map: &[u8]) {
    assert_eq!(
        sys(p, op::munmap, &[map.as_ptr() as i64, map.len() as i64]),
        0
    );
}

fn sync(p: &'static Process, map: &[u8]) -> i64 {
    let flags = i64::from(libc::MS_SYNC);
    sys(
        p,
        op::msync,
        &[map.as_ptr() as i64, map.len() as i64, flags],
    )
}

fn errors(p: &'static Process) {
    close(p, file(p, "/dfs/err", b"hello"));
    let no = |e: i32| -i64::from(e);
    let ro = open(p, "/dfs/err", libc::O_RDONLY);
    let wo = open(p, "/dfs/err", libc::O_WRONLY);
    let path = open(p, "/dfs/err", libc::O_PATH);
    let dir = open(p, "/dfs", libc::O_RDONLY | libc::O_DIRECTORY);
    let (shared, private) = (libc::MAP_SHARED, libc::MAP_PRIVATE);
    let read = libc::PROT_READ;
    assert_eq!(mmap(p, 10, RW, shared, ro, 0), no(libc::EACCES));
    assert_eq!(mmap(p, 10, read, private, wo, 0), no(libc::EACCES));
    assert_eq!(mmap(p, 10, read, private, path, 0), no(libc::EBADF));
    assert_eq!(mmap(p, 10, read, private, dir, 0), no(libc::ENODEV));
    assert_eq!(mmap(p, 0, read, private, ro, 0), no(libc::EINVAL));
    assert_eq!(mmap(p, 10, read, private, ro, 1), no(libc::EINVAL));
    assert_eq!(mmap(p, 10, read, 0, ro, 0), no(libc::EINVAL));
    for fd in [ro, wo, path, dir] {
        close(p, fd);
    }
}

fn private_maps_show_and_keep(p: &'static Process) {
    let fd = file(p, "/dfs/private", b"hello world");
    let m = map(p, 11, RW, libc::MAP_PRIVATE, fd);
    close(p, fd);
    assert_eq!(m, b"hello world");
    m[0] = b'J';
    unmap(p, m);
    let fd = open(p, "/dfs/private", libc::O_RDONLY);
    assert_eq!(pread(p, fd, 20, 0), b"hello world");
    close(p, fd);
}

fn shared_maps_are_written(p: &'static Process) {
    let fd = file(p, "/dfs/shared", &[b'.'; 3 * PAGE]);
    let m = map(p, 3 * PAGE, RW, libc::MAP_SHARED, fd);
    m[PAGE + 5] = b'A';
    // A descriptor sees the map, the map sees the descriptor.
    assert_eq!(pread(p, fd, 1, PAGE as i64 + 5), b"A");
    let b = *b"BC";
    let args = [fd, b.as_ptr() as i64, 2, PAGE as i64 + 6];
    assert_eq!(sys(p, op::pwrite64, &args), 2);
    assert_eq!(&m[PAGE + 5..PAGE + 8], b"ABC");
    m[0] = b'0';
    assert_eq!(sync(p, m), 0);
    m[3 * PAGE - 1] = b'9';
    close(p, fd);
    unmap(p, m);
    let fd = open(p, "/dfs/shared", libc::O_RDONLY);
    let bytes = pread(p, fd, 4 * PAGE, 0);
    assert_eq!(bytes.len(), 3 * PAGE);
    assert_eq!((bytes[0], bytes[3 * PAGE - 1]), (b'0', b'9'));
    assert_eq!(&bytes[PAGE + 4..PAGE + 9], b".ABC.");
    close(p, fd);
}

fn nothing_is_written_beyond_the_end(p: &'static Process) {
    let fd = file(p, "/dfs/end", b"short");
    let m = map(p, PAGE, RW, libc::MAP_SHARED, fd);
    m[4] = b'T';
    m[100] = b'X';
    unmap(p, m);
    assert_eq!(pread(p, fd, PAGE, 0), b"shorT");
    close(p, fd);
}

fn growing_and_truncating(p: &'static Process) {
    let fd = file(p, "/dfs/grow", b"one");
    let m = map(p, 3 * PAGE, RW, libc::MAP_SHARED, fd);
    assert_eq!(sys(p, op::ftruncate, &[fd, 2 * PAGE as i64]), 0);
    assert_eq!(m[PAGE], 0);
    m[PAGE] = b'P';
    assert_eq!(sync(p, m), 0);
    assert_eq!(pread(p, fd, 1, PAGE as i64), b"P");
    assert_eq!(sys(p, op::ftruncate, &[fd, 2]), 0);
    assert_eq!(sys(p, op::ftruncate, &[fd, 2 * PAGE as i64]), 0);
    assert_eq!((&m[..3], m[PAGE]), (&b"on\0"[..], 0));
    unmap(p, m);
    assert_eq!(pread(p, fd, 3 * PAGE, 0).len(), 2 * PAGE);
    close(p, fd);
}

fn offsets_parts_and_moves(p: &'static Process) {
    let bytes: Vec<u8> = (0..4 * PAGE).map(|i| (i / PAGE) as u8).collect();
    let fd = file(p, "/dfs/parts", &bytes);
    let at = mmap(p, 3 * PAGE, RW, libc::MAP_SHARED, fd, PAGE as i64);
    assert!(at > 0);
    // SAFETY: mapped; parts go away below and are not touched then.
    let byte = |offset: usize| unsafe { (at as *mut u8).add(offset) };
    // SAFETY: as above.
    unsafe {
        assert_eq!((*byte(0), *byte(PAGE)), (1, 2));
        *byte(PAGE) = 22;
        *byte(2 * PAGE) = 33;
    }
    assert_eq!(sys(p, op::munmap, &[at + PAGE as i64, PAGE as i64]), 0);
    assert_eq!(pread(p, fd, 1, 2 * PAGE as i64), [22]);
    let moved = sys(
        p,
        op::mremap,
        &[
            at + 2 * PAGE as i64,
            PAGE as i64,
            PAGE as i64,
            i64::from(libc::MREMAP_MAYMOVE),
            0,
        ],
    );
    assert!(moved > 0);
    // SAFETY: mapped.
    unsafe { *(moved as *mut u8).add(1) = 44 };
    assert_eq!(sys(p, op::munmap, &[at, PAGE as i64]), 0);
    assert_eq!(sys(p, op::munmap, &[moved, PAGE as i64]), 0);
    assert_eq!(pread(p, fd, 2, 3 * PAGE as i64), [33, 44]);
    // Nothing of ours is there any more.
    assert_eq!(sys(p, op::munmap, &[at, PAGE as i64]), -1000);
    close(p, fd);
}

fn children_share(p: &'static Process) {
    let fd = file(p, "/dfs/child", &[0; 100]);
    let m = map(p, 100, RW, libc::MAP_SHARED, fd);
    let (told, heard) = (Turn::new(), Turn::new());
    let at = m.as_mut_ptr() as usize;
    let child = fork(p, || {
        // SAFETY: the child has the mapping too.
        unsafe { *(at as *mut u8) = 7 };
        told.tell();
        heard.hear();
        // SAFETY: as above.
        unsafe { *(at as *mut u8).add(1) = 8 };
        0
    });
    told.hear();
    assert_eq!(m[0], 7);
    heard.tell();
    assert_eq!(child.wait(), 0);
    // Its changes were written when it ended.
    assert_eq!(pread(p, fd, 2, 0), [7, 8]);
    unmap(p, m);
    close(p, fd);
}

fn large_files_by_pieces(p: &'static Process) {
    let fd = file(p, "/dfs/large", b"start");
    let size: i64 = 64 << 20;
    assert_eq!(sys(p, op::ftruncate, &[fd, size]), 0);
    assert_eq!(sys(p, op::lseek, &[fd, size - 3, 0]), size - 3);
    write(p, fd, b"end");
    let m = map(p, 5, libc::PROT_READ, libc::MAP_SHARED, fd);
    assert_eq!(m, b"start");
    unmap(p, m);
    let at = size - PAGE as i64;
    let last = mmap(p, PAGE, libc::PROT_READ, libc::MAP_PRIVATE, fd, at);
    assert!(last > 0);
    // SAFETY: mapped.
    let m = unsafe { std::slice::from_raw_parts(last as *const u8, PAGE) };
    assert_eq!(&m[PAGE - 3..], b"end");
    unmap(p, m);
    p.mappings.set_limit(1 << 20);
    let refused = mmap(p, 2 << 20, libc::PROT_READ, libc::MAP_PRIVATE, fd, 0);
    assert_eq!(refused, -i64::from(libc::ENODEV));
    p.mappings.set_limit(1 << 30);
    close(p, fd);
}

#[test]
fn mappings() {
    let p = common::process();
    errors(p);
    private_maps_show_and_keep(p);
    shared_maps_are_written(p);
    nothing_is_written_beyond_the_end(p);
    growing_and_truncating(p);
    offsets_parts_and_moves(p);
    children_share(p);
    large_files_by_pieces(p);
}
