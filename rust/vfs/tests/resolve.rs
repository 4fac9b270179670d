//! What paths lead to: links in and out, a mount in a mount, descriptors' names, limits, openat2's
//! restrictions, and directories that change through another client.
mod common;

use common::{
    arg, at, close, content, file, fstat, kernel, mkdir, names, open, path, process_with, stat,
    stat_at, symlink, sys, CWD, NOT_OURS,
};
use std::sync::Arc;
use vfs::catalogue as op;

fn errno(e: i32) -> i64 {
    -i64::from(e)
}

/// `/dfs` and, in it, `/dfs/inner/mount`: another container.
fn mounts() -> (
    std::sync::MutexGuard<'static, ()>,
    &'static vfs::process::Process,
) {
    let alone = common::alone();
    let p = process_with(&[(c"/dfs", c"cont"), (c"/dfs/inner/mount", c"bal")]);
    mkdir("/dfs/inner");
    (alone, p)
}

fn fresh(name: &str) -> String {
    common::fresh(name)
}

/// A directory of the kernel's.
fn outside(name: &str) -> String {
    let dir = format!("/tmp/pil4dfs-resolve-{}-{name}", std::process::id());
    std::fs::create_dir(&dir).unwrap();
    dir
}

#[test]
fn a_mount_in_a_mount() {
    let (_alone, _) = mounts();
    file("/dfs/inner/mount/f", b"in");
    assert_eq!(content("/dfs/inner/../inner/mount/f").unwrap(), b"in");
    assert!(names("/dfs/inner").is_empty());
    let inner = open("/dfs/inner", libc::O_DIRECTORY, 0);
    assert_eq!(stat_at(inner, "mount", 0).unwrap().st_ino, 1);
    let (one, two) = (
        stat("/dfs/inner", 0).unwrap(),
        stat("/dfs/inner/mount", 0).unwrap(),
    );
    assert_ne!(one.st_dev, two.st_dev);
    assert_eq!(stat("/dfs/inner/mount/..", 0).unwrap().st_ino, one.st_ino);
    assert_eq!(symlink("/dfs/inner/mount/f", "/dfs/to-inner"), 0);
    assert_eq!(content("/dfs/to-inner").unwrap(), b"in");
    let (old, new) = (path("/dfs/inner/mount/f"), path("/dfs/f"));
    let rename = |old, new| sys(op::renameat2, [CWD, arg(old), CWD, arg(new), 0, 0]);
    assert_eq!(rename(&old, &new), errno(libc::EXDEV));
    assert_eq!(rename(&path("/dfs/inner/mount"), &new), errno(libc::EBUSY));
    let a = [libc::AT_REMOVEDIR.into(), 0, 0, 0];
    assert_eq!(at(op::unlinkat, "/dfs/inner/mount", a), errno(libc::EBUSY));
    close(inner);
}

#[test]
fn links_lead_out_and_in_again() {
    let (_alone, p) = mounts();
    let (d, out) = (fresh("links"), outside("links"));
    file(&format!("{d}/f"), b"inside");
    std::fs::write(format!("{out}/f"), b"outside").unwrap();
    symlink(&out, &format!("{d}/out"));
    symlink(&format!("{out}/back/f"), &format!("{d}/around"));
    std::os::unix::fs::symlink(&d, format!("{out}/back")).unwrap();
    std::os::unix::fs::symlink(format!("{d}/f"), format!("{out}/file")).unwrap();
    let fd = open(&format!("{d}/out/f"), 0, 0);
    assert!(fd >= 0);
    assert_eq!(fstat(fd).err(), Some(NOT_OURS));
    kernel(libc::SYS_close, [fd, 0, 0, 0, 0, 0]);
    assert_eq!(content(&format!("{d}/around")).unwrap(), b"inside");
    assert_eq!(content(&format!("{d}/out/back/f")).unwrap(), b"inside");
    // as the entry layer does it: the kernel first
    let late = |op, nr, text: &str, c, d: i64| {
        let text = path(text);
        let a = [CWD, arg(&text), c, d, 0, 0];
        vfs::ops::after(p, op, a, kernel(nr, a))
    };
    for text in ["back/f", "file", "back/../links/f", "./back//f"] {
        let fd = late(op::openat, libc::SYS_openat, &format!("{out}/{text}"), 0, 0);
        assert!(fd >= 0, "{text}: {fd}");
        assert_eq!(fstat(fd).unwrap().st_size, 6, "{text}");
        close(fd);
    }
    let flags = i64::from(libc::O_CREAT | libc::O_WRONLY);
    let fd = late(
        op::openat,
        libc::SYS_openat,
        &format!("{out}/back/new"),
        flags,
        0o600,
    );
    assert!(fd >= 0);
    close(fd);
    assert_eq!(names(&d), ["around", "f", "new", "out"]);
    // the link itself is the kernel's; what is not there stays away, also the second time
    let text = format!("{out}/none/x");
    for _ in 0..2 {
        assert_eq!(
            late(op::openat, libc::SYS_openat, &text, 0, 0),
            errno(libc::ENOENT)
        );
    }
    assert_eq!(
        late(
            op::unlinkat,
            libc::SYS_unlinkat,
            &format!("{out}/file"),
            0,
            0
        ),
        0
    );
    assert_eq!(content(&format!("{d}/f")).unwrap(), b"inside");
    // a rename from a link's side is a rename
    let (old, new) = (path(&format!("{out}/back/f")), path(&format!("{d}/g")));
    assert_eq!(
        sys(op::renameat2, [CWD, arg(&old), CWD, arg(&new), 0, 0]),
        0
    );
    // round and round
    symlink(&format!("{out}/loop"), &format!("{d}/loop"));
    std::os::unix::fs::symlink(format!("{d}/loop"), format!("{out}/loop")).unwrap();
    assert_eq!(open(&format!("{d}/loop"), 0, 0), errno(libc::ELOOP));
    let text = format!("{out}/loop");
    assert_eq!(
        late(op::openat, libc::SYS_openat, &text, 0, 0),
        errno(libc::ELOOP)
    );
    std::fs::remove_dir_all(out).unwrap();
}

/// A call of one path as the entry layer makes it, the kernel first.
fn late(
    p: &'static vfs::process::Process,
    (op, nr): (vfs::catalogue::OpId, i64),
    dirfd: i64,
    text: &str,
    rest: [i64; 2],
) -> i64 {
    let text = path(text);
    let a = [dirfd, arg(&text), rest[0], rest[1], 0, 0];
    vfs::ops::after(p, op, a, kernel(nr, a))
}

/// unlink, rmdir and rename do not follow a link because of a slash behind it.
#[test]
fn a_link_to_a_directory_is_not_the_directory() {
    let (_alone, p) = mounts();
    let (d, out) = (fresh("named"), outside("named"));
    mkdir(&format!("{d}/empty"));
    let link = format!("{out}/link/");
    std::os::unix::fs::symlink(format!("{d}/empty"), format!("{out}/link")).unwrap();
    let unlink = (op::unlinkat, libc::SYS_unlinkat);
    let rmdir = [libc::AT_REMOVEDIR.into(), 0];
    assert_eq!(late(p, unlink, CWD, &link, rmdir), errno(libc::ENOTDIR));
    assert_eq!(late(p, unlink, CWD, &link, [0, 0]), errno(libc::ENOTDIR));
    let (old, new) = (path(&link), path(&format!("{d}/moved")));
    let rename = [CWD, arg(&old), CWD, arg(&new), 0, 0];
    assert_eq!(sys(op::renameat2, rename), errno(libc::EXDEV));
    // out of the mount and back to the link
    let around = format!("{d}/out/link/");
    symlink(&out, &format!("{d}/out"));
    assert_eq!(
        at(op::unlinkat, &around, [rmdir[0], 0, 0, 0]),
        errno(libc::ENOTDIR)
    );
    assert_eq!(names(&d), ["empty", "out"]);
    // what looks through it does follow it
    let look = (op::faccessat2, libc::SYS_faccessat2);
    assert_eq!(late(p, look, CWD, &link, [0, 0]), 0);
    std::fs::remove_dir_all(out).unwrap();
}

/// A directory in which nothing led into a mount a moment ago.
#[test]
fn a_new_link_and_the_mount_itself_are_found_at_once() {
    let (_alone, p) = mounts();
    let (d, out) = (fresh("at-once"), outside("at-once"));
    file(&format!("{d}/f"), b"x");
    let look = (op::faccessat2, libc::SYS_faccessat2);
    let text = format!("{out}/later/f");
    assert_eq!(late(p, look, CWD, &text, [0, 0]), errno(libc::ENOENT));
    let (target, link) = (path(&d), path(&format!("{out}/later")));
    let a = [arg(&target), CWD, arg(&link), 0, 0, 0];
    let made = kernel(libc::SYS_symlinkat, a);
    assert_eq!(vfs::ops::after(p, op::symlinkat, a, made), 0);
    assert_eq!(late(p, look, CWD, &text, [0, 0]), 0);
    let root = kernel(libc::SYS_openat, [CWD, arg(&path("/")), 0, 0, 0, 0]);
    assert_eq!(late(p, look, root, "none", [0, 0]), errno(libc::ENOENT));
    assert_eq!(late(p, look, root, "dfs", [0, 0]), 0);
    kernel(libc::SYS_close, [root, 0, 0, 0, 0, 0]);
    std::fs::remove_dir_all(out).unwrap();
}

/// ".." at the end is no name: what it leads to is not made, renamed or removed.
#[test]
fn the_directory_around_a_mount_has_no_name_in_it() {
    let (_alone, _) = mounts();
    for above in [
        "/dfs/..",
        "/dfs/..//",
        "/dfs/inner/mount/..",
        "/dfs/inner/mount/../../..",
    ] {
        let rmdir = [libc::AT_REMOVEDIR.into(), 0, 0, 0];
        assert_eq!(
            at(op::unlinkat, above, rmdir),
            errno(libc::ENOTEMPTY),
            "{above}"
        );
        let flags = libc::O_CREAT | libc::O_RDWR;
        assert_eq!(open(above, flags, 0o600), errno(libc::EISDIR), "{above}");
        let exclusive = open(above, flags | libc::O_EXCL, 0o600);
        assert_eq!(exclusive, errno(libc::EEXIST), "{above}");
    }
    // a link of the kernel's behind it is the kernel's to follow, or not
    let (d, out) = (fresh("behind"), outside("behind"));
    std::os::unix::fs::symlink("none/x", format!("{out}/dangles")).unwrap();
    symlink(&out, &format!("{d}/out"));
    let dangles = open(&format!("{d}/out/dangles/"), libc::O_CREAT, 0o600);
    assert_eq!(dangles, errno(libc::EISDIR));
    std::fs::remove_dir_all(out).unwrap();
    let (old, new) = (path("/dfs/inner/mount/.."), path("/dfs/moved"));
    let rename = [CWD, arg(&old), CWD, arg(&new), 0, 0];
    assert_eq!(sys(op::renameat2, rename), errno(libc::EBUSY));
    let flags = libc::O_CREAT | libc::O_EXCL | libc::O_RDWR;
    assert_eq!(open("/dfs/", flags, 0o600), errno(libc::EISDIR));
    assert_eq!(open("/dfs", flags, 0o600), errno(libc::EEXIST));
}

#[test]
fn the_kernels_directory_is_followed_by_text() {
    let (_alone, p) = mounts();
    file("/dfs/from-above", b"x");
    let old = std::env::current_dir().unwrap();
    let cd = |text: &str| {
        let text = path(text);
        let a = [arg(&text), 0, 0, 0, 0, 0];
        vfs::ops::after(p, op::chdir, a, kernel(libc::SYS_chdir, a))
    };
    for steps in [
        &["/tmp/.", "..", "proc/../"][..],
        &["/"],
        &["/usr", "../dev", ".."],
    ] {
        for step in steps {
            assert_eq!(cd(step), 0);
        }
        assert!(stat("dfs/from-above", 0).is_ok(), "{steps:?}");
        assert_eq!(stat("tmp", 0).err(), Some(NOT_OURS));
    }
    assert_eq!(cd("/tmp"), 0);
    assert_eq!(stat("dfs/from-above", 0).err(), Some(NOT_OURS));
    assert!(stat("../dfs/from-above", 0).is_ok());
    std::env::set_current_dir(old).unwrap();
    p.cwd.changed_by_kernel(p);
}

#[test]
fn forty_links_are_followed_not_more() {
    let (_alone, _) = mounts();
    let d = fresh("forty");
    file(&format!("{d}/l0"), b"end");
    for n in 1..=41 {
        symlink(&format!("l{}", n - 1), &format!("{d}/l{n}"));
    }
    assert_eq!(content(&format!("{d}/l40")).unwrap(), b"end");
    assert_eq!(open(&format!("{d}/l41"), 0, 0), errno(libc::ELOOP));
}

#[test]
fn names_and_paths_have_limits() {
    let (_alone, _) = mounts();
    let d = fresh("limits");
    let long = "n".repeat(255);
    file(&format!("{d}/{long}"), b"");
    assert_eq!(names(&d), std::slice::from_ref(&long));
    assert_eq!(
        open(&format!("{d}/{long}x"), 0, 0),
        errno(libc::ENAMETOOLONG)
    );
    assert_eq!(mkdir(&format!("{d}/{long}x")), errno(libc::ENAMETOOLONG));
    assert_eq!(
        open(&format!("{d}/{long}x/y"), 0, 0),
        errno(libc::ENAMETOOLONG)
    );
    let deep = format!("{d}{}", "/.".repeat(2100));
    assert_eq!(open(&deep, 0, 0), errno(libc::ENAMETOOLONG));
    assert_eq!(open("", 0, 0), NOT_OURS);
    let fd = open(&d, libc::O_DIRECTORY, 0);
    assert_eq!(stat_at(fd, "", 0).err(), Some(errno(libc::ENOENT)));
    assert!(stat_at(fd, "", libc::AT_EMPTY_PATH).is_ok());
    close(fd);
    assert!(stat("//dfs///limits/./", 0).is_ok());
}

#[test]
fn descriptors_have_names() {
    let (_alone, _) = mounts();
    let d = fresh("magic");
    file(&format!("{d}/f"), b"data");
    let (fd, dir) = (
        open(&format!("{d}/f"), libc::O_RDWR, 0),
        open(&d, libc::O_DIRECTORY, 0),
    );
    let pid = std::process::id();
    for text in [
        format!("/proc/self/fd/{fd}"),
        format!("/proc/{pid}/fd/{fd}"),
        format!("/proc/thread-self/fd/{fd}"),
        format!("/proc/self/task/{pid}/fd/{fd}"),
        format!("/dev/fd/{fd}"),
        format!("//proc/./self/fd/../fd/{fd}"),
        format!("/proc/self/fd/{dir}/f"),
        format!("/proc/self/fd/{dir}/../magic/f"),
    ] {
        assert_eq!(content(&text).unwrap(), b"data", "{text}");
    }
    assert_eq!(
        open(&format!("/proc/self/fd/{fd}/x"), 0, 0),
        errno(libc::ENOTDIR)
    );
    assert_eq!(
        stat(&format!("/proc/self/fd/{fd}"), 256).err(),
        Some(NOT_OURS)
    );
    assert_eq!(open("/proc/self/fd/999", 0, 0), NOT_OURS);
    // a file without a name still has this one
    assert_eq!(at(op::unlinkat, &format!("{d}/f"), [0; 4]), 0);
    assert_eq!(content(&format!("/proc/self/fd/{fd}")).unwrap(), b"data");
    let link = path(&format!("/proc/self/fd/{fd}"));
    let mut buf = [0u8; 200];
    let n = sys(
        op::readlinkat,
        [CWD, arg(&link), buf.as_mut_ptr() as i64, 200, 0, 0],
    );
    assert!(buf[..n as usize].ends_with(b" (deleted)"));
    close(fd);
    close(dir);
}

#[test]
fn openat2_keeps_to_its_limits() {
    let (_alone, _) = mounts();
    let d = fresh("beneath");
    mkdir(&format!("{d}/in"));
    file(&format!("{d}/f"), b"f");
    file(&format!("{d}/in/f"), b"in");
    symlink("../f", &format!("{d}/in/up"));
    symlink("/f", &format!("{d}/in/abs"));
    symlink("f", &format!("{d}/in/near"));
    let dir = open(&format!("{d}/in"), libc::O_DIRECTORY, 0);
    let open2 = |text: &str, resolve: u64| {
        let (text, how) = (path(text), [0u64, 0, resolve]);
        let fd = sys(
            op::openat2,
            [dir, arg(&text), how.as_ptr() as i64, 24, 0, 0],
        );
        match fd {
            fd if fd < 0 => Err(fd),
            fd => {
                let mut buf = [0u8; 8];
                let n = sys(op::read, [fd, buf.as_mut_ptr() as i64, 8, 0, 0, 0]);
                close(fd);
                Ok(buf[..n as usize].to_vec())
            }
        }
    };
    use vfs::resolve::{BENEATH, IN_ROOT, NO_SYMLINKS, NO_XDEV};
    assert_eq!(open2("f", BENEATH), Ok(b"in".to_vec()));
    assert_eq!(open2("../f", 0), Ok(b"f".to_vec()));
    assert_eq!(open2("../f", BENEATH), Err(errno(libc::EXDEV)));
    assert_eq!(open2("up", BENEATH), Err(errno(libc::EXDEV)));
    assert_eq!(open2("abs", BENEATH), Err(errno(libc::EXDEV)));
    assert_eq!(open2(&format!("{d}/f"), BENEATH), Err(errno(libc::EXDEV)));
    assert_eq!(open2("near", BENEATH), Ok(b"in".to_vec()));
    assert_eq!(open2("near", NO_SYMLINKS), Err(errno(libc::ELOOP)));
    assert_eq!(open2("abs", IN_ROOT), Ok(b"in".to_vec()));
    assert_eq!(open2("../../f", IN_ROOT), Ok(b"in".to_vec()));
    assert_eq!(open2("/f", IN_ROOT), Ok(b"in".to_vec()));
    assert_eq!(
        open2("../../../etc/passwd", NO_XDEV),
        Err(errno(libc::EXDEV))
    );
    assert_eq!(open2("f", 1 << 20), Err(errno(libc::EINVAL)));
    close(dir);
}

/// The same container through another connection.
fn elsewhere() -> Arc<dfs::Filesystem> {
    let client = vfs::mount::client().unwrap();
    dfs::Filesystem::connect(client, c"pool", c"cont").unwrap()
}

#[test]
fn directories_replaced_by_another_client_are_seen() {
    let (_alone, _) = mounts();
    let d = fresh("remote");
    mkdir(&format!("{d}/x"));
    file(&format!("{d}/x/old"), b"");
    let other = elsewhere();
    let (dir, _) = other
        .lookup(other.root(), c"remote", dfs::Access::ReadWrite)
        .unwrap();
    let (x, _) = other.lookup(&dir, c"x", dfs::Access::ReadWrite).unwrap();
    assert!(stat(&format!("{d}/x/old"), 0).is_ok());
    other.unlink(&x, c"old").unwrap();
    other.rmdir(&dir, c"x").unwrap();
    // SAFETY: no arguments.
    let owner = unsafe { (libc::geteuid(), libc::getegid()) };
    other.mkdir(&dir, c"x", 0o755, owner).unwrap();
    let (x, _) = other.lookup(&dir, c"x", dfs::Access::ReadWrite).unwrap();
    other.mkdir(&x, c"new", 0o755, owner).unwrap();
    // within a second the cached directory may still be asked; after it, ENOENT is not believed
    std::thread::sleep(std::time::Duration::from_millis(1100));
    assert!(stat(&format!("{d}/x/new"), 0).is_ok());
    file(&format!("{d}/x/mine"), b"");
    assert!(other.stat(&x, c"mine").is_ok());
    // and nothing is made in a directory that was removed
    other.unlink(&x, c"mine").unwrap();
    other.rmdir(&x, c"new").unwrap();
    other.rmdir(&dir, c"x").unwrap();
    std::thread::sleep(std::time::Duration::from_millis(1100));
    let made = open(
        &format!("{d}/x/lost"),
        libc::O_CREAT | libc::O_WRONLY,
        0o600,
    );
    assert_eq!(made, errno(libc::ENOENT));
}

#[test]
fn a_file_removed_by_another_client_is_stale() {
    let (_alone, _) = mounts();
    let d = fresh("stale");
    file(&format!("{d}/f"), b"content");
    let fd = open(&format!("{d}/f"), libc::O_RDWR, 0);
    let mut buf = [0u8; 10];
    let read = |buf: &mut [u8]| sys(op::pread64, [fd, buf.as_mut_ptr() as i64, 10, 0, 0, 0]);
    assert_eq!(read(&mut buf), 7);
    let other = elsewhere();
    let (dir, _) = other
        .lookup(other.root(), c"stale", dfs::Access::ReadWrite)
        .unwrap();
    other.unlink(&dir, c"f").unwrap();
    assert_eq!(read(&mut buf), errno(libc::ESTALE));
    assert_eq!(fstat(fd).err(), Some(errno(libc::ESTALE)));
    assert_eq!(close(fd), 0);
}
