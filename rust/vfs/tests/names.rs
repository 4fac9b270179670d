//! Names on a mount, each rule by its own test: what DFS does differently from POSIX, what open files
//! keep when their name goes, directory streams, the working directory.
mod common;

use common::{
    arg, at, close, content, file, fresh, fstat, kernel, list_fd, mkdir, names, open, path,
    process, stat, stat_at, symlink, sys, CWD, NOT_OURS,
};
use vfs::catalogue as op;

fn errno(e: i32) -> i64 {
    -i64::from(e)
}

fn rename(old: &str, new: &str, flags: i64) -> i64 {
    let (old, new) = (path(old), path(new));
    sys(op::renameat2, [CWD, arg(&old), CWD, arg(&new), flags, 0])
}

fn unlink(text: &str) -> i64 {
    at(op::unlinkat, text, [0; 4])
}

fn rmdir(text: &str) -> i64 {
    at(op::unlinkat, text, [libc::AT_REMOVEDIR.into(), 0, 0, 0])
}

fn read(fd: i64, n: usize) -> Vec<u8> {
    let mut buf = vec![0u8; n];
    let n = sys(op::read, [fd, buf.as_mut_ptr() as i64, n as i64, 0, 0, 0]);
    assert!(n >= 0, "read: {n}");
    buf.truncate(n as usize);
    buf
}

fn write(fd: i64, bytes: &[u8]) -> i64 {
    sys(
        op::write,
        [fd, bytes.as_ptr() as i64, bytes.len() as i64, 0, 0, 0],
    )
}

#[test]
fn rename_onto_itself_keeps_the_file() {
    let _alone = common::alone();
    let d = fresh("self");
    file(&format!("{d}/a"), b"data");
    assert_eq!(rename(&format!("{d}/a"), &format!("{d}/a"), 0), 0);
    assert_eq!(rename(&format!("{d}/a"), &format!("{d}/./a"), 0), 0);
    assert_eq!(content(&format!("{d}/a")).unwrap(), b"data");
    assert_eq!(
        rename(&format!("{d}/a"), &format!("{d}/a"), 1),
        errno(libc::EEXIST)
    );
}

#[test]
fn a_directory_does_not_move_into_itself() {
    let _alone = common::alone();
    let d = fresh("below");
    mkdir(&format!("{d}/a"));
    mkdir(&format!("{d}/a/b"));
    assert_eq!(
        rename(&format!("{d}/a"), &format!("{d}/a/c"), 0),
        errno(libc::EINVAL)
    );
    assert_eq!(
        rename(&format!("{d}/a"), &format!("{d}/a/b/c"), 0),
        errno(libc::EINVAL)
    );
    assert_eq!(
        rename(&format!("{d}/a/b"), &format!("{d}/a"), 0),
        errno(libc::ENOTEMPTY)
    );
    assert_eq!(rename(&d, &format!("{d}/a"), 2), errno(libc::EINVAL));
    assert_eq!(names(&format!("{d}/a")), ["b"]);
}

#[test]
fn types_must_agree() {
    let _alone = common::alone();
    let d = fresh("types");
    file(&format!("{d}/f"), b"");
    mkdir(&format!("{d}/dir"));
    mkdir(&format!("{d}/full"));
    file(&format!("{d}/full/x"), b"");
    assert_eq!(
        rename(&format!("{d}/f"), &format!("{d}/dir"), 0),
        errno(libc::EISDIR)
    );
    assert_eq!(
        rename(&format!("{d}/dir"), &format!("{d}/f"), 0),
        errno(libc::ENOTDIR)
    );
    assert_eq!(
        rename(&format!("{d}/dir"), &format!("{d}/full"), 0),
        errno(libc::ENOTEMPTY)
    );
    assert_eq!(unlink(&format!("{d}/dir")), errno(libc::EISDIR));
    assert_eq!(rmdir(&format!("{d}/f")), errno(libc::ENOTDIR));
    assert_eq!(rmdir(&format!("{d}/full")), errno(libc::ENOTEMPTY));
    assert_eq!(rmdir(&format!("{d}/dir/.")), errno(libc::EINVAL));
    assert_eq!(rmdir(&format!("{d}/dir/..")), errno(libc::ENOTEMPTY));
    assert_eq!(rmdir("/dfs"), errno(libc::EBUSY));
    assert_eq!(unlink("/dfs"), errno(libc::EISDIR));
    assert_eq!(open(&format!("{d}/f/"), 0, 0), errno(libc::ENOTDIR));
    assert_eq!(open(&format!("{d}/f/x"), 0, 0), errno(libc::ENOTDIR));
    assert_eq!(
        open(&format!("{d}/dir"), libc::O_WRONLY, 0),
        errno(libc::EISDIR)
    );
    assert_eq!(
        open(&format!("{d}/new/"), libc::O_CREAT | libc::O_RDWR, 0o600),
        errno(libc::EISDIR)
    );
    assert_eq!(names(&d), ["dir", "f", "full"]);
}

#[test]
fn links_between_names_are_refused() {
    let _alone = common::alone();
    let d = fresh("hard");
    file(&format!("{d}/a"), b"");
    let (old, new) = (path(&format!("{d}/a")), path(&format!("{d}/b")));
    let link = |old, new| sys(op::linkat, [CWD, arg(old), CWD, arg(new), 0, 0]);
    assert_eq!(link(&old, &new), errno(libc::EPERM));
    assert_eq!(link(&old, &old), errno(libc::EEXIST));
    assert_eq!(link(&new, &new), errno(libc::ENOENT));
    assert_eq!(link(&old, &path("/tmp/x")), errno(libc::EXDEV));
    let mode = i64::from(libc::S_IFIFO | 0o600);
    assert_eq!(
        at(op::mknodat, &format!("{d}/p"), [mode, 0, 0, 0]),
        errno(libc::EPERM)
    );
    assert_eq!(
        at(op::mknodat, &format!("{d}/a"), [mode, 0, 0, 0]),
        errno(libc::EEXIST)
    );
}

#[test]
fn an_unlinked_file_lives_until_its_last_close() {
    let _alone = common::alone();
    let d = fresh("unlinked");
    let name = format!("{d}/a");
    file(&name, b"content");
    let fd = open(&name, libc::O_RDWR, 0);
    assert_eq!(unlink(&name), 0);
    assert_eq!(stat(&name, 0).err(), Some(errno(libc::ENOENT)));
    assert!(names(&d).is_empty());
    assert_eq!(read(fd, 100), b"content");
    assert_eq!(write(fd, b"!"), 1);
    let st = fstat(fd).unwrap();
    assert_eq!((st.st_nlink, st.st_size), (0, 8));
    // the name is free, and what is made there is another file
    file(&name, b"other");
    assert_eq!(sys(op::lseek, [fd, 0, 0, 0, 0, 0]), 0);
    assert_eq!(read(fd, 100), b"content!");
    assert_eq!(content(&name).unwrap(), b"other");
    // its directory can go
    assert_eq!(unlink(&name), 0);
    assert_eq!(rmdir(&d), 0);
    assert_eq!(read(fd, 10), b"");
    let hidden = hidden_names();
    assert_eq!(hidden.len(), 1, "{hidden:?}");
    assert_eq!(close(fd), 0);
    assert!(hidden_names().is_empty());
    assert!(!names("/dfs").contains(&".pil4dfs".to_string()));
}

/// What is kept of files without a name.
fn hidden_names() -> Vec<String> {
    let nodes = names("/dfs/.pil4dfs");
    nodes
        .iter()
        .flat_map(|n| names(&format!("/dfs/.pil4dfs/{n}")))
        .collect()
}

#[test]
fn a_file_replaced_while_open_keeps_its_data() {
    let _alone = common::alone();
    let d = fresh("replaced");
    file(&format!("{d}/old"), b"old");
    file(&format!("{d}/new"), b"new");
    let fd = open(&format!("{d}/old"), libc::O_RDONLY, 0);
    assert_eq!(rename(&format!("{d}/new"), &format!("{d}/old"), 0), 0);
    assert_eq!(read(fd, 10), b"old");
    assert_eq!(fstat(fd).unwrap().st_nlink, 0);
    assert_eq!(content(&format!("{d}/old")).unwrap(), b"new");
    assert_eq!(close(fd), 0);
    assert_eq!(names(&d), ["old"]);
}

#[test]
fn descriptors_follow_a_rename() {
    let _alone = common::alone();
    let d = fresh("moved");
    mkdir(&format!("{d}/x"));
    file(&format!("{d}/x/f"), b"1");
    let (dir, fd) = (
        open(&format!("{d}/x"), libc::O_DIRECTORY, 0),
        open(&format!("{d}/x/f"), libc::O_RDWR, 0),
    );
    let before = fstat(fd).unwrap();
    assert_eq!(rename(&format!("{d}/x/f"), &format!("{d}/g"), 0), 0);
    assert_eq!(rename(&format!("{d}/x"), &format!("{d}/y"), 0), 0);
    assert_eq!(fstat(fd).unwrap().st_ino, before.st_ino);
    assert_eq!(stat(&format!("{d}/g"), 0).unwrap().st_ino, before.st_ino);
    assert!(fstat(dir).is_ok());
    assert_eq!(stat(&format!("{d}/x"), 0).err(), Some(errno(libc::ENOENT)));
    // relative to the moved directory, and up from it
    let new = path("new");
    let flags = i64::from(libc::O_CREAT | libc::O_WRONLY);
    let made = sys(op::openat, [dir, arg(&new), flags, 0o600, 0, 0]);
    assert_eq!(close(made), 0);
    assert_eq!(names(&format!("{d}/y")), ["new"]);
    assert!(stat_at(dir, "../g", 0).is_ok());
    let link = path(&format!("/proc/self/fd/{dir}"));
    let mut buf = [0u8; 100];
    let n = sys(
        op::readlinkat,
        [CWD, arg(&link), buf.as_mut_ptr() as i64, 100, 0, 0],
    );
    assert_eq!(&buf[..n as usize], format!("{d}/y").as_bytes());
    close(dir);
    close(fd);
}

#[test]
fn exchange_swaps_and_descriptors_follow() {
    let _alone = common::alone();
    let d = fresh("exchange");
    file(&format!("{d}/a"), b"A");
    mkdir(&format!("{d}/b"));
    file(&format!("{d}/b/in"), b"in");
    let fd = open(&format!("{d}/a"), libc::O_RDONLY, 0);
    assert_eq!(rename(&format!("{d}/a"), &format!("{d}/b"), 2), 0);
    assert_eq!(content(&format!("{d}/b")).unwrap(), b"A");
    assert_eq!(names(&format!("{d}/a")), ["in"]);
    assert_eq!(
        fstat(fd).unwrap().st_ino,
        stat(&format!("{d}/b"), 0).unwrap().st_ino
    );
    assert_eq!(
        rename(&format!("{d}/a"), &format!("{d}/c"), 2),
        errno(libc::ENOENT)
    );
    assert_eq!(
        rename(&format!("{d}/a"), &format!("{d}/c"), 4),
        errno(libc::EINVAL)
    );
    close(fd);
}

#[test]
fn nothing_is_made_in_a_removed_directory() {
    let _alone = common::alone();
    let d = fresh("removed");
    let fd = open(&d, libc::O_DIRECTORY, 0);
    assert_eq!(rmdir(&d), 0);
    assert_eq!(fstat(fd).unwrap().st_nlink, 0);
    let x = path("x");
    assert_eq!(
        sys(op::mkdirat, [fd, arg(&x), 0o755, 0, 0, 0]),
        errno(libc::ENOENT)
    );
    let flags = i64::from(libc::O_CREAT | libc::O_WRONLY);
    assert_eq!(
        sys(op::openat, [fd, arg(&x), flags, 0o600, 0, 0]),
        errno(libc::ENOENT)
    );
    let mut buf = [0u8; 1024];
    let a = [fd, buf.as_mut_ptr() as i64, 1024, 0, 0, 0];
    assert_eq!(sys(op::getdents64, a), errno(libc::ENOENT));
    assert!(stat_at(fd, "..", 0).is_ok());
    close(fd);
}

#[test]
fn listings_are_whole_at_any_buffer_size() {
    let _alone = common::alone();
    let d = fresh("list");
    let mut expected = vec![".".to_string(), "..".to_string()];
    for n in 0..700 {
        let name = format!("entry-{n:04}");
        match n % 3 {
            0 => file(&format!("{d}/{name}"), b""),
            1 => assert_eq!(mkdir(&format!("{d}/{name}")), 0),
            _ => assert_eq!(symlink("x", &format!("{d}/{name}")), 0),
        }
        expected.push(name);
    }
    expected.sort();
    for size in [64, 100, 1000, 32768] {
        let fd = open(&d, libc::O_DIRECTORY, 0);
        let entries = list_fd(fd, size);
        let mut found: Vec<String> = entries.iter().map(|e| e.name.clone()).collect();
        found.sort();
        assert_eq!(found, expected, "{size}");
        for e in entries.iter().filter(|e| e.name.starts_with("entry")) {
            let st = stat_at(fd, &e.name, libc::AT_SYMLINK_NOFOLLOW).unwrap();
            assert_eq!((st.st_ino, st.st_mode >> 12), (e.ino, u32::from(e.kind)));
        }
        close(fd);
    }
    let fd = open(&d, libc::O_DIRECTORY, 0);
    let mut buf = [0u8; 16];
    let a = [fd, buf.as_mut_ptr() as i64, 16, 0, 0, 0];
    assert_eq!(sys(op::getdents64, a), errno(libc::EINVAL));
    close(fd);
}

#[test]
fn cookies_find_their_place_again() {
    let _alone = common::alone();
    let d = fresh("seek");
    for n in 0..400 {
        file(&format!("{d}/e{n}"), b"");
    }
    let fd = open(&d, libc::O_DIRECTORY, 0);
    let all = list_fd(fd, 4096);
    for from in [0, 1, 2, 100, 128, 129, 300, 401] {
        let cookie = all[from].next;
        assert_eq!(sys(op::lseek, [fd, cookie, 0, 0, 0, 0]), cookie);
        let rest: Vec<_> = list_fd(fd, 1000).into_iter().map(|e| e.name).collect();
        let expected: Vec<_> = all[from + 1..].iter().map(|e| e.name.clone()).collect();
        assert_eq!(rest, expected, "from {from}");
    }
    // entries in front of a cookie go: what follows it is still each shown once
    for e in &all[150..250] {
        assert_eq!(unlink(&format!("{d}/{}", e.name)), 0);
    }
    sys(op::lseek, [fd, all[260].next, 0, 0, 0, 0]);
    let rest: Vec<_> = list_fd(fd, 1000).into_iter().map(|e| e.name).collect();
    let expected: Vec<_> = all[261..].iter().map(|e| e.name.clone()).collect();
    assert_eq!(rest, expected);
    sys(op::lseek, [fd, 0, 0, 0, 0, 0]);
    assert_eq!(list_fd(fd, 1000).len(), 302);
    // a fresh stream that only knows the cookie (after exec)
    let other = open(&d, libc::O_DIRECTORY, 0);
    let cookie = list_fd(open(&d, libc::O_DIRECTORY, 0), 1000)[299].next;
    assert_eq!(sys(op::lseek, [other, cookie, 0, 0, 0, 0]), cookie);
    assert_eq!(list_fd(other, 1000).len(), 2);
    close(fd);
    close(other);
}

#[test]
fn removing_while_reading_empties_a_directory() {
    let _alone = common::alone();
    let d = fresh("rmwhile");
    for n in 0..500 {
        file(&format!("{d}/e{n}"), b"");
    }
    let fd = open(&d, libc::O_DIRECTORY, 0);
    let mut buf = vec![0u8; 2048];
    loop {
        let n = sys(op::getdents64, [fd, buf.as_mut_ptr() as i64, 2048, 0, 0, 0]);
        assert!(n >= 0);
        if n == 0 {
            break;
        }
        for e in common::dirents(&buf[..n as usize]) {
            if !e.name.starts_with('.') {
                assert_eq!(unlink(&format!("{d}/{}", e.name)), 0);
            }
        }
    }
    assert_eq!(rmdir(&d), 0);
    close(fd);
}

#[test]
fn the_working_directory_moves_and_parks_the_kernels() {
    let _alone = common::alone();
    let d = fresh("cwd");
    mkdir(&format!("{d}/in"));
    let old = std::env::current_dir().unwrap();
    assert_eq!(
        sys(op::chdir, [arg(&path(&format!("{d}/in"))), 0, 0, 0, 0, 0]),
        0
    );
    let mut buf = [0u8; 100];
    let cwd = |buf: &mut [u8], n| sys(op::getcwd, [buf.as_mut_ptr() as i64, n, 0, 0, 0, 0]);
    let n = cwd(&mut buf, 100);
    assert_eq!(&buf[..n as usize], format!("{d}/in\0").as_bytes());
    assert_eq!(cwd(&mut buf, n - 1), errno(libc::ERANGE));
    // whoever bypasses us is nowhere
    let x = path("x");
    let flags = i64::from(libc::O_CREAT | libc::O_WRONLY);
    for text in ["x", "../x", "../../../x"] {
        let a = [CWD, arg(&path(text)), flags, 0o600, 0, 0];
        assert_eq!(kernel(libc::SYS_openat, a), errno(libc::ENOENT));
    }
    // relative paths are ours, up and out as well
    assert_eq!(
        close(sys(op::openat, [CWD, arg(&x), flags, 0o600, 0, 0])),
        0
    );
    assert_eq!(names(&format!("{d}/in")), ["x"]);
    assert!(stat("../in/x", 0).is_ok());
    assert_eq!(stat("../../../etc/hostname", 0).unwrap().st_ino, {
        use std::os::unix::fs::MetadataExt;
        std::fs::metadata("/etc/hostname").unwrap().ino()
    });
    // it is renamed, and removed
    assert_eq!(rename(&format!("{d}/in"), &format!("{d}/out"), 0), 0);
    let n = cwd(&mut buf, 100);
    assert_eq!(&buf[..n as usize], format!("{d}/out\0").as_bytes());
    assert_eq!(unlink("x"), 0);
    assert_eq!(rmdir("../out"), 0);
    assert_eq!(cwd(&mut buf, 100), errno(libc::ENOENT));
    assert_eq!(
        open("y", libc::O_CREAT | libc::O_RDWR, 0o600),
        errno(libc::ENOENT)
    );
    assert_eq!(sys(op::chdir, [arg(&path("..")), 0, 0, 0, 0, 0]), 0);
    let n = cwd(&mut buf, 100);
    assert_eq!(&buf[..n as usize], format!("{d}\0").as_bytes());
    // out of the mount by ".."
    assert_eq!(sys(op::chdir, [arg(&path("../../tmp")), 0, 0, 0, 0, 0]), 0);
    assert_eq!(
        std::env::current_dir().unwrap(),
        std::path::Path::new("/tmp")
    );
    assert_eq!(cwd(&mut buf, 100), NOT_OURS);
    // from "/" a plain relative path leads in
    assert_eq!(kernel(libc::SYS_chdir, [arg(&path("/")), 0, 0, 0, 0, 0]), 0);
    assert_eq!(
        vfs::ops::after(process(), op::chdir, [arg(&path("/")), 0, 0, 0, 0, 0], 0),
        0
    );
    assert!(stat(&d[1..], 0).is_ok());
    assert_eq!(stat("tmp", 0).err(), Some(NOT_OURS));
    std::env::set_current_dir(old).unwrap();
    process().cwd.changed_by_kernel(process());
}

#[test]
fn attributes_say_what_the_kernel_would() {
    let _alone = common::alone();
    let d = fresh("attr");
    file(&format!("{d}/f"), b"12345");
    symlink("f", &format!("{d}/l"));
    let st = stat(&format!("{d}/l"), 0).unwrap();
    assert_eq!(
        (st.st_size, st.st_nlink, st.st_mode),
        (5, 1, libc::S_IFREG | 0o644)
    );
    assert_ne!(st.st_dev, 0);
    assert_ne!(st.st_ino, 0);
    let link = stat(&format!("{d}/l"), libc::AT_SYMLINK_NOFOLLOW).unwrap();
    assert_eq!((link.st_size, link.st_mode), (1, libc::S_IFLNK | 0o777));
    assert_eq!(stat("/dfs", 0).unwrap().st_ino, 1);
    assert_eq!(stat("/dfs", 0).unwrap().st_dev, st.st_dev);
    // SAFETY: a plain C structure.
    let mut x: libc::statx = unsafe { std::mem::zeroed() };
    let f = path(&format!("{d}/f"));
    let a = [CWD, arg(&f), 0, 0xfff, &raw mut x as i64, 0];
    assert_eq!(sys(op::statx, a), 0);
    assert_eq!(x.stx_mask, libc::STATX_BASIC_STATS);
    assert_eq!((x.stx_size, x.stx_ino), (5, st.st_ino));
    assert_eq!(libc::makedev(x.stx_dev_major, x.stx_dev_minor), st.st_dev);
    // times: given, kept, now
    let times = |a: (i64, i64), b: (i64, i64)| {
        [a, b].map(|(tv_sec, tv_nsec)| libc::timespec { tv_sec, tv_nsec })
    };
    let given = times((1, 0), (1_000_000_000, 5));
    let set =
        |t: &[libc::timespec; 2]| sys(op::utimensat, [CWD, arg(&f), t.as_ptr() as i64, 0, 0, 0]);
    assert_eq!(set(&given), 0);
    let st = stat(&format!("{d}/f"), 0).unwrap();
    assert_eq!((st.st_mtime, st.st_mtime_nsec), (1_000_000_000, 5));
    assert_eq!(set(&times((0, libc::UTIME_OMIT), (0, libc::UTIME_OMIT))), 0);
    assert_eq!(stat(&format!("{d}/f"), 0).unwrap().st_mtime, 1_000_000_000);
    assert_eq!(set(&times((0, 0), (0, -1))), errno(libc::EINVAL));
    assert_eq!(set(&times((0, libc::UTIME_OMIT), (0, libc::UTIME_NOW))), 0);
    assert!(stat(&format!("{d}/f"), 0).unwrap().st_mtime > 1_700_000_000);
    // rename keeps the time
    assert_eq!(set(&given), 0);
    assert_eq!(rename(&format!("{d}/f"), &format!("{d}/g"), 0), 0);
    assert_eq!(stat(&format!("{d}/g"), 0).unwrap().st_mtime, 1_000_000_000);
}

#[test]
fn space_carries_the_magic_mpi_looks_for() {
    let _alone = common::alone();
    // SAFETY: a plain C structure.
    let mut s: libc::statfs = unsafe { std::mem::zeroed() };
    let dfs = path("/dfs");
    assert_eq!(
        sys(op::statfs, [arg(&dfs), &raw mut s as i64, 0, 0, 0, 0]),
        0
    );
    assert_eq!(s.f_type, 0xDA05_AD10);
    assert!(s.f_blocks > 0 && s.f_bfree <= s.f_blocks);
    assert_eq!(s.f_namelen, 255);
}

#[test]
fn extended_attributes_keep_their_rules() {
    let _alone = common::alone();
    let d = fresh("xattr");
    let f = format!("{d}/f");
    file(&f, b"");
    symlink("f", &format!("{d}/l"));
    let set = |name: &str, value: &[u8], flags: i32| {
        let (f, name) = (path(&f), path(name));
        let a = [
            CWD,
            arg(&f),
            arg(&name),
            value.as_ptr() as i64,
            value.len() as i64,
            flags.into(),
        ];
        sys(op::setxattrat, a)
    };
    let get = |name: &str, size: i64| {
        let (f, name) = (path(&f), path(name));
        let mut buf = vec![0u8; size as usize];
        let n = sys(
            op::getxattrat,
            [CWD, arg(&f), arg(&name), buf.as_mut_ptr() as i64, size, 0],
        );
        (n, buf)
    };
    assert_eq!(
        set("user.a", b"value", libc::XATTR_REPLACE),
        errno(libc::ENODATA)
    );
    assert_eq!(set("user.a", b"value", libc::XATTR_CREATE), 0);
    assert_eq!(
        set("user.a", b"other", libc::XATTR_CREATE),
        errno(libc::EEXIST)
    );
    assert_eq!(get("user.a", 5), (5, b"value".to_vec()));
    assert_eq!(get("user.a", 4).0, errno(libc::ERANGE));
    assert_eq!(get("user.a", 0).0, 5);
    assert_eq!(get("user.b", 9).0, errno(libc::ENODATA));
    assert_eq!(set("security.x", b"", 0), errno(libc::EOPNOTSUPP));
    assert_eq!(set("user.", b"", 0), errno(libc::EINVAL));
    assert_eq!(
        set(&format!("user.{}", "x".repeat(251)), b"", 0),
        errno(libc::ERANGE)
    );
    assert_eq!(set("user.b", b"", 0), 0);
    let list = |size: i64| {
        let f = path(&f);
        let mut buf = vec![0u8; size as usize];
        let n = sys(
            op::listxattrat,
            [CWD, arg(&f), buf.as_mut_ptr() as i64, size, 0, 0],
        );
        (n, buf)
    };
    let (n, buf) = list(100);
    let mut all: Vec<_> = buf[..n as usize]
        .split(|&b| b == 0)
        .filter(|s| !s.is_empty())
        .collect();
    all.sort();
    assert_eq!(all, [b"user.a", b"user.b"]);
    assert_eq!(list(5).0, errno(libc::ERANGE));
    let remove = |name: &str| {
        let (f, name) = (path(&f), path(name));
        sys(op::removexattrat, [CWD, arg(&f), arg(&name), 0, 0, 0])
    };
    assert_eq!(remove("user.a"), 0);
    assert_eq!(remove("user.a"), errno(libc::ENODATA));
    let (l, name) = (path(&format!("{d}/l")), path("user.x"));
    let nofollow = libc::AT_SYMLINK_NOFOLLOW.into();
    let a = [CWD, arg(&l), arg(&name), 0, 0, nofollow];
    assert_eq!(sys(op::setxattrat, a), errno(libc::EPERM));
    // through the link it is the file's
    assert_eq!(sys(op::setxattrat, [CWD, arg(&l), arg(&name), 0, 0, 0]), 0);
    assert_eq!(get("user.x", 0).0, 0);
}

#[test]
fn modes_follow_umask_and_setgid_directories() {
    let _alone = common::alone();
    let d = fresh("mode");
    let old = kernel(libc::SYS_umask, [0o027, 0, 0, 0, 0, 0]);
    vfs::ops::after(process(), op::umask, [0o027, 0, 0, 0, 0, 0], old);
    close(open(
        &format!("{d}/f"),
        libc::O_CREAT | libc::O_WRONLY,
        0o666,
    ));
    assert_eq!(at(op::mkdirat, &format!("{d}/s"), [0o777, 0, 0, 0]), 0);
    kernel(libc::SYS_umask, [old, 0, 0, 0, 0, 0]);
    vfs::ops::after(process(), op::umask, [old, 0, 0, 0, 0, 0], 0o027);
    let mode = |name: &str| stat(&format!("{d}/{name}"), 0).unwrap().st_mode & 0o7777;
    assert_eq!((mode("f"), mode("s")), (0o640, 0o750));
    assert_eq!(at(op::fchmodat2, &format!("{d}/s"), [0o2775, 0, 0, 0]), 0);
    assert_eq!(mode("s"), 0o2775);
    mkdir(&format!("{d}/s/in"));
    assert_eq!(mode("s/in"), 0o2755);
    file(&format!("{d}/s/in/f"), b"");
    assert_eq!(mode("s/in/f"), 0o644);
    let fd = open(&format!("{d}/f"), libc::O_RDONLY, 0);
    let empty = path("");
    let a = [fd, arg(&empty), 0o400, libc::AT_EMPTY_PATH.into(), 0, 0];
    assert_eq!(sys(op::fchmodat2, a), 0);
    assert_eq!(mode("f"), 0o400);
    close(fd);
}
