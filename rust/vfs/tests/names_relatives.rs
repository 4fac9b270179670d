//! What another process of the node does to names: a directory it removes, replaces or renames is
//! not used from memory, an open file it renames is still the file. In one test, one after the
//! other: it forks.
mod common;

use common::{
    arg, at, close, content, file, fresh, fstat, mkdir, names, open, path, process, stat, sys, CWD,
};
use vfs::catalogue as op;

fn errno(e: i32) -> i64 {
    -i64::from(e)
}

/// Runs `f` in a forked child, which must end well.
fn in_child(f: impl FnOnce()) {
    let p = process();
    vfs::inherit::fork_prepare(p);
    // SAFETY: the child runs the operations and ends.
    let pid = unsafe { libc::fork() };
    if pid == 0 {
        vfs::inherit::fork_child();
        vfs::inherit::catch_up();
        let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(f));
        // SAFETY: ends the child without the test harness's handlers.
        unsafe { libc::_exit(i32::from(done.is_err())) };
    }
    vfs::inherit::fork_parent(p, false);
    let mut status = -1;
    // SAFETY: waits for the child just made.
    unsafe { libc::waitpid(pid, &mut status, 0) };
    assert_eq!(status, 0);
}

fn rename(old: &str, new: &str) -> i64 {
    let (old, new) = (path(old), path(new));
    sys(op::renameat2, [CWD, arg(&old), CWD, arg(&new), 0, 0])
}

fn rmdir(text: &str) -> i64 {
    at(op::unlinkat, text, [libc::AT_REMOVEDIR.into(), 0, 0, 0])
}

fn cwd() -> Result<String, i64> {
    let mut buf = [0u8; 200];
    let n = sys(op::getcwd, [buf.as_mut_ptr() as i64, 200, 0, 0, 0, 0]);
    match n {
        n if n < 0 => Err(n),
        n => Ok(String::from_utf8(buf[..n as usize - 1].to_vec()).unwrap()),
    }
}

#[test]
fn names_changed_by_a_relative_are_seen_at_once() {
    let t = fresh("relatives");
    let d = format!("{t}/d");
    let f = format!("{d}/f");

    // removed
    mkdir(&d);
    assert_eq!(stat(&f, 0).err(), Some(errno(libc::ENOENT)));
    in_child(|| assert_eq!(rmdir(&d), 0));
    let new = libc::O_CREAT | libc::O_WRONLY;
    assert_eq!(open(&f, new, 0o600), errno(libc::ENOENT));
    assert_eq!(mkdir(&f), errno(libc::ENOENT));

    // replaced
    mkdir(&d);
    assert_eq!(stat(&f, 0).err(), Some(errno(libc::ENOENT)));
    in_child(|| {
        assert_eq!(rmdir(&d), 0);
        mkdir(&d);
        file(&f, b"child's");
    });
    assert_eq!(content(&f).unwrap(), b"child's");
    file(&format!("{d}/g"), b"");
    assert_eq!(names(&d), ["f", "g"]);

    // renamed while it is open and the working directory
    let fd = open(&d, libc::O_DIRECTORY, 0);
    assert_eq!(sys(op::chdir, [arg(&path(&d)), 0, 0, 0, 0, 0]), 0);
    in_child(|| assert_eq!(rename(&d, &format!("{t}/e")), 0));
    assert_eq!(cwd(), Ok(format!("{t}/e")));
    assert!(stat("f", 0).is_ok());
    assert!(stat("../e/f", 0).is_ok());
    assert_eq!(fstat(fd).unwrap().st_nlink, stat(&t, 0).unwrap().st_nlink);
    assert_eq!(close(open("made", new, 0o600)), 0);
    assert_eq!(names(&format!("{t}/e")), ["f", "g", "made"]);

    // an open file renamed
    let open_file = open("f", libc::O_RDWR, 0);
    in_child(|| assert_eq!(rename(&format!("{t}/e/f"), &format!("{t}/moved")), 0));
    assert_eq!(fstat(open_file).unwrap().st_size, 7);
    assert_eq!(
        fstat(open_file).unwrap().st_ino,
        stat(&format!("{t}/moved"), 0).unwrap().st_ino
    );
    close(open_file);

    // removed while it is the working directory
    in_child(|| {
        for name in ["g", "made"] {
            assert_eq!(at(op::unlinkat, &format!("{t}/e/{name}"), [0; 4]), 0);
        }
        assert_eq!(rmdir(&format!("{t}/e")), 0);
    });
    assert_eq!(cwd(), Err(errno(libc::ENOENT)));
    assert_eq!(open("x", new, 0o600), errno(libc::ENOENT));
    assert_eq!(fstat(fd).unwrap().st_nlink, 0);
    let mut buf = [0u8; 500];
    let a = [fd, buf.as_mut_ptr() as i64, 500, 0, 0, 0];
    assert_eq!(sys(op::getdents64, a), errno(libc::ENOENT));
    assert_eq!(sys(op::chdir, [arg(&path("..")), 0, 0, 0, 0, 0]), 0);
    assert_eq!(cwd(), Ok(t.clone()));
    assert_eq!(names(&t), ["moved"]);
    close(fd);
}
