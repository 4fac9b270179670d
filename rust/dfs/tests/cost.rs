//! What each operation costs in calls to DAOS, and that a failure of any of them is an error above
//! and leaves no handle behind.
mod common;
use common::watch::{calls, failing, handles, watch};
use common::*;
use dfs::{Access, Create, DirCursor, Errno, Result, SetAttr, SetTime, XattrFlags};

#[test]
fn calls_per_operation() {
    let t = Tree::with(watch);
    let (fs, d) = (&t.fs, &*t.dir);
    let f = t.file(c"f", &pattern(100));
    t.mkdir(c"d");
    fs.symlink(d, c"l", c"x", t.owner).unwrap();
    let cost = |expected: &[&str], f: &mut dyn FnMut()| assert_eq!(calls(f), expected);
    let stranger = (t.owner.0 + 1, t.owner.1);

    cost(&["dfs_lookup_rel"], &mut || {
        drop(fs.lookup(d, c"f", Access::Read).unwrap())
    });
    cost(&["dfs_lookup_rel"], &mut || {
        drop(fs.open(d, c"d", Access::Read).unwrap())
    });
    cost(&["dfs_lookup_rel"], &mut || {
        assert!(fs.stat(d, c"l").is_ok())
    });
    cost(&["dfs_lookup_rel"], &mut || {
        assert!(fs.stat(d, c"none").is_err())
    });
    cost(&["dfs_lookupx"], &mut || {
        drop(fs.lookup_crossing(d, c"d", Access::Read).unwrap())
    });
    cost(&["dfs_open"], &mut || {
        drop(fs.create(d, c"n", NEW, t.owner).unwrap())
    });
    cost(&["dfs_open_stat"], &mut || {
        drop(fs.create(d, c"o", NEW, stranger).unwrap())
    });
    cost(&["dfs_mkdir"], &mut || {
        fs.mkdir(d, c"m", 0o755, t.owner).unwrap()
    });
    cost(&["dfs_open_stat"], &mut || {
        fs.mkdir(d, c"p", 0o755, stranger).unwrap()
    });
    cost(&["dfs_open"], &mut || {
        fs.symlink(d, c"s", c"x", t.owner).unwrap()
    });
    cost(&["dfs_remove"], &mut || fs.unlink(d, c"n").unwrap());
    cost(&["dfs_remove"], &mut || fs.rmdir(d, c"m").unwrap());
    let attr = t.stat(c"o");
    cost(
        &["dfs_move_internal", "dfs_lookup_rel", "dfs_osetattr"],
        &mut || {
            fs.rename(d, c"o", &attr, d, c"q", None, false).unwrap();
        },
    );

    let mut buf = [0; 100];
    cost(&["dfs_read"], &mut || {
        assert_eq!(f.read_bytes(&mut buf, 0), Ok(100))
    });
    cost(&[], &mut || assert_eq!(f.read_bytes(&mut [], 0), Ok(0)));
    cost(&["dfs_write"], &mut || f.write_bytes(&buf, 0).unwrap());
    cost(&[], &mut || f.write_bytes(&[], 0).unwrap());
    cost(&["dfs_get_size"], &mut || assert_eq!(f.size(), Ok(100)));
    cost(&["dfs_punch"], &mut || f.truncate(50).unwrap());
    cost(&["dfs_get_size", "dfs_punch"], &mut || {
        f.punch_hole(1, 10).unwrap()
    });
    cost(&["dfs_ostat"], &mut || assert!(f.attr().is_ok()));
    cost(&[], &mut || drop(f.reopen(Access::Read).unwrap()));
    cost(&[], &mut || f.renamed(d, c"f").unwrap());
    // A copied directory handle keeps what new files in it get.
    cost(&["dfs_obj_copy_attr"], &mut || {
        drop(d.reopen(Access::Read).unwrap());
    });
    let link = t.open(c"l");
    cost(&[], &mut || drop(link.readlink().unwrap()));
    let set = SetAttr {
        mode: Some(0o600),
        mtime: Some(SetTime::Now),
        ..SetAttr::default()
    };
    cost(&["dfs_osetattr"], &mut || f.set_attr(&set).unwrap());
    cost(&[], &mut || {
        f.set_attr(&SetAttr {
            atime: Some(SetTime::Now),
            ..SetAttr::default()
        })
        .unwrap()
    });
    cost(&["dfs_readdir"], &mut || {
        drop(d.read_names(&mut DirCursor::start(), 128).unwrap())
    });
    cost(&["dfs_setxattr"], &mut || {
        f.set_xattr(c"user.a", b"1", XattrFlags::Any).unwrap()
    });
    cost(&["dfs_getxattr"], &mut || {
        drop(f.get_xattr(c"user.a").unwrap())
    });
    cost(&["dfs_listxattr"], &mut || drop(f.list_xattr().unwrap()));
    cost(&["dfs_removexattr"], &mut || {
        f.remove_xattr(c"user.a").unwrap()
    });
    cost(&["daos_pool_query"], &mut || assert!(fs.space().is_ok()));
}

/// Makes `operation` fail at each of its calls in turn, in a directory prepared anew each time.
/// Answers how many calls could be made to fail without the operation failing.
fn each_fault(prepare: impl Fn(&Tree), operation: impl Fn(&Tree) -> Result<()>) -> usize {
    let t = Tree::with(watch);
    let mut forgiven = 0;
    for n in 0.. {
        let t = t.below(n);
        prepare(&t);
        let before = handles();
        let mut result = Ok(());
        let hit = failing(n, || result = operation(&t));
        assert_eq!(handles(), before, "call {n} leaks");
        match (hit, result) {
            (false, Ok(())) => return forgiven,
            (true, Ok(())) => forgiven += 1,
            (true, Err(Errno::EIO)) => {}
            (hit, result) => panic!("call {n}: fault {hit}, {result:?}"),
        }
    }
    unreachable!()
}

fn entries(t: &Tree) {
    let f = t.file(c"f", &pattern(100));
    f.set_xattr(c"user.a", b"1", XattrFlags::Any).unwrap();
    t.file(c"g", b"g");
    t.mkdir(c"d");
    t.fs.symlink(&t.dir, c"l", c"x", t.owner).unwrap();
}

#[test]
fn every_fault_is_an_error_and_leaks_nothing() {
    let strict = |operation: fn(&Tree) -> Result<()>| {
        assert_eq!(each_fault(entries, operation), 0);
    };
    strict(|t| t.fs.lookup(&t.dir, c"f", Access::Read).map(drop));
    strict(|t| t.fs.lookup_crossing(&t.dir, c"d", Access::Read).map(drop));
    strict(|t| t.fs.stat(&t.dir, c"d").map(drop));
    strict(|t| t.fs.create(&t.dir, c"n", NEW, t.owner).map(drop));
    strict(|t| t.fs.create(&t.dir, c"n", NEW, (7, 7)).map(drop));
    strict(|t| {
        let how = Create {
            exclusive: false,
            ..NEW
        };
        t.fs.create(&t.dir, c"f", how, t.owner).map(drop)
    });
    strict(|t| t.fs.mkdir(&t.dir, c"n", 0o755, t.owner));
    strict(|t| t.fs.mkdir(&t.dir, c"n", 0o755, (7, 7)));
    strict(|t| t.fs.symlink(&t.dir, c"n", c"x", t.owner));
    strict(|t| t.fs.unlink(&t.dir, c"f"));
    strict(|t| t.fs.rmdir(&t.dir, c"d"));
    let on_file = |operation: fn(&Tree, dfs::Object) -> Result<()>| {
        each_fault(entries, |t| {
            let f = t.fs.open(&t.dir, c"f", Access::ReadWrite)?.0;
            operation(t, f)
        })
    };
    assert_eq!(on_file(|_, f| f.attr().map(drop)), 0);
    assert_eq!(on_file(|_, f| f.reopen(Access::Read).map(drop)), 0);
    assert_eq!(on_file(|t, f| f.renamed(&t.dir, c"f")), 0);
    assert_eq!(on_file(|_, f| f.truncate(1)), 0);
    assert_eq!(on_file(|_, f| f.punch_hole(1, 1000)), 0);
    assert_eq!(on_file(|_, f| f.read_bytes(&mut [0], 0).map(drop)), 0);
    assert_eq!(
        on_file(|_, f| f.set_xattr(c"user.a", b"2", XattrFlags::Replace)),
        0
    );
    assert_eq!(on_file(|_, f| f.get_xattr(c"user.a").map(drop)), 0);
    assert_eq!(on_file(|_, f| f.list_xattr().map(drop)), 0);
    assert_eq!(on_file(|_, f| f.export().map(drop)), 0);
    let to_mode = SetAttr {
        mode: Some(0),
        ..SetAttr::default()
    };
    let set = each_fault(entries, |t| {
        t.fs.open(&t.dir, c"f", Access::Read)?.0.set_attr(&to_mode)
    });
    assert_eq!(set, 0);
}

#[test]
fn a_rename_done_is_not_called_failed() {
    // The entry's time may be lost, the entry not: lookup and change are forgiven.
    let rename = |from: &'static std::ffi::CStr, to: &'static std::ffi::CStr| {
        move |t: &Tree| t.rename(from, to)
    };
    let files = each_fault(entries, rename(c"f", c"n"));
    assert!(files <= 3, "{files}");
    // Both times may be lost, extended attributes not silently.
    let exchange = each_fault(entries, |t| t.fs.exchange(&t.dir, c"f", &t.dir, c"d"));
    assert_eq!(exchange, 2);
}

#[test]
fn a_bring_up_that_fails_leaves_nothing_open() {
    let client = Tree::with(watch).client;
    let connect = || dfs::Filesystem::connect(&client, c"pool", c"cont");
    for n in 0.. {
        let before = handles();
        let mut result = None;
        let hit = failing(n, || result = Some(connect().map(drop)));
        assert_eq!(handles(), before, "call {n}");
        match (hit, result.unwrap()) {
            (false, Ok(())) => break,
            // The chunk size has a default.
            (true, Ok(()) | Err(Errno::EIO)) => {}
            other => panic!("call {n}: {other:?}"),
        }
    }
}
