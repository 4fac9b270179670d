//! Object ids after a fork: a `dfs_t` holds the ids of objects yet to be made, so that a child which
//! goes on with its parent's would give two files one object, each overwriting the other.
mod common;
use common::watch::{calls, failing, watch};
use common::*;
use dfs::{Access, ObjectId, Result};
use std::collections::HashSet;
use std::ffi::CString;

/// A fork child that runs `body` and answers whether it was true.
fn child(t: &Tree, body: impl FnOnce() -> bool) -> libc::pid_t {
    // SAFETY: the child calls nothing but the code under test, and _exit.
    let pid = unsafe { libc::fork() };
    if pid == 0 {
        t.client.forked();
        let ok = std::panic::catch_unwind(std::panic::AssertUnwindSafe(body)).unwrap_or(false);
        // SAFETY: ends the child without running the parent's exit handlers.
        unsafe { libc::_exit(i32::from(!ok)) };
    }
    assert!(pid > 0);
    pid
}

fn wait(pid: libc::pid_t) {
    let mut status = -1;
    // SAFETY: waits for a child of this process.
    unsafe { libc::waitpid(pid, &mut status, 0) };
    assert_eq!(status, 0);
}

/// Files of `who`, each with its own name as contents, and a directory and a link.
fn make(t: &Tree, who: &str, files: usize) -> Result<()> {
    for i in 0..files {
        let name = CString::new(format!("{who}-{i}")).unwrap();
        let file = t.fs.create(&t.dir, &name, NEW, t.owner)?;
        file.write_bytes(name.as_bytes(), 0)?;
    }
    let name = |kind| CString::new(format!("{who}-{kind}")).unwrap();
    t.fs.mkdir(&t.dir, &name("dir"), 0o755, t.owner)?;
    t.fs.symlink(&t.dir, &name("link"), &name("link"), t.owner)
}

/// Every object has one name, and every file the bytes its maker wrote. Answers the number of names.
fn all_distinct(t: &Tree) -> usize {
    let names = t.names(&t.dir);
    let mut seen: HashSet<ObjectId> = HashSet::new();
    for name in &names {
        let (object, attr) = t.fs.lookup(&t.dir, name, Access::Read).unwrap();
        assert!(seen.insert(attr.oid), "{name:?} shares its object");
        if attr.kind() == dfs::Kind::File {
            assert_eq!(t.read(&object), name.as_bytes(), "{name:?}");
        }
    }
    names.len()
}

#[test]
fn a_chain_of_children_gives_ids_of_its_own() {
    for t in [Tree::new(), Tree::balanced()] {
        make(&t, "before", 2).unwrap();
        let pid = child(&t, || {
            make(&t, "child", 3).unwrap();
            let pid = child(&t, || {
                make(&t, "grandchild", 3).unwrap();
                let pid = child(&t, || make(&t, "greatgrandchild", 3).is_ok());
                wait(pid);
                make(&t, "grandchild-after", 1).is_ok()
            });
            make(&t, "child-after", 3).unwrap();
            wait(pid);
            make(&t, "child-at-last", 3).is_ok()
        });
        make(&t, "parent", 3).unwrap();
        wait(pid);
        make(&t, "after", 2).unwrap();
        assert_eq!(all_distinct(&t), 9 * 2 + 2 + 3 * 6 + 1 + 2);
    }
}

#[test]
fn children_and_parent_make_files_at_once() {
    let t = Tree::new();
    make(&t, "before", 1).unwrap();
    let pids: Vec<_> = (0..4)
        .map(|i| {
            let (t, who) = (&t, format!("child{i}"));
            child(t, move || make(t, &who, 1000).is_ok())
        })
        .collect();
    make(&t, "parent", 1000).unwrap();
    pids.into_iter().for_each(wait);
    assert_eq!(all_distinct(&t), 3 + 5 * 1002);
}

#[test]
fn threads_of_a_child_agree_on_its_ids() {
    let t = Tree::new();
    make(&t, "before", 1).unwrap();
    let pid = child(&t, || {
        std::thread::scope(|s| {
            for i in 0..4 {
                let t = &t;
                s.spawn(move || make(t, &format!("thread{i}"), 50).unwrap());
            }
        });
        true
    });
    make(&t, "parent", 50).unwrap();
    wait(pid);
    assert_eq!(all_distinct(&t), 3 + 5 * 52);
}

#[test]
fn open_objects_go_on_in_a_child_that_makes_files() {
    let t = Tree::new();
    let f = t.file(c"f", b"parent");
    t.mkdir(c"d");
    let d = t.open(c"d");
    t.file(c"gone", b"gone");
    let gone = t.open(c"gone");
    t.fs.unlink(&t.dir, c"gone").unwrap();
    let pid = child(&t, || {
        let before = d.read_names(&mut dfs::DirCursor::start(), 1);
        t.fs.create(&d, c"new", NEW, t.owner).unwrap();
        f.write_bytes(b"child!", 0).unwrap();
        assert_eq!(f.attr().unwrap().oid, f.id());
        assert_eq!(gone.attr().err(), Some(dfs::Errno::ESTALE));
        assert!(t.fs.is_borrowed());
        // The rest of the child's life is as before, with new handles too.
        t.fs.reconnect().unwrap();
        assert!(!t.fs.is_borrowed());
        t.fs.mkdir(&d, c"sub", 0o755, t.owner).unwrap();
        before == Ok(vec![]) && t.read(&f) == b"child!"
    });
    wait(pid);
    assert_eq!(t.read(&f), b"child!");
    assert_eq!(t.names(&d), [c"new".to_owned(), c"sub".to_owned()]);
}

#[test]
fn a_child_that_makes_nothing_pays_nothing() {
    let t = Tree::with(watch);
    let f = t.file(c"f", b"data");
    let pid = child(&t, || {
        let idle = calls(|| {
            f.write_bytes(b"DATA", 0).unwrap();
            t.stat(c"f");
            t.rename(c"f", c"g").unwrap();
        });
        assert!(!idle.contains(&"dfs_global2local"));
        let mut busy = calls(|| {
            make(&t, "child", 2).unwrap();
            make(&t, "again", 2).unwrap();
        });
        busy.retain(|call| ["dfs_global2local", "dfs_mount"].contains(call));
        busy == ["dfs_global2local"]
    });
    wait(pid);
}

#[test]
fn a_child_that_cannot_copy_the_mount_connects() {
    let t = Tree::with(watch);
    make(&t, "before", 1).unwrap();
    let pid = child(&t, || {
        t.stat(c"before-0"); // has re-attached
        let one_fails = failing(0, || make(&t, "child", 2).unwrap());
        one_fails && !t.fs.is_borrowed()
    });
    make(&t, "parent", 2).unwrap();
    wait(pid);
    assert_eq!(all_distinct(&t), 3 + 4 + 4);
}
