//! Rename and exchange: nothing is destroyed, nothing is lost, in either kind of container.
mod common;
use common::*;
use dfs::{Attr, Errno, Kind, SetAttr, SetTime, XattrFlags};
use std::ffi::CStr;

const OLD: SetAttr = SetAttr {
    mode: None,
    uid: None,
    gid: None,
    atime: None,
    mtime: Some(SetTime::At(1_000_000, 999)),
};

fn mtime(attr: &Attr) -> (i64, i64) {
    (attr.stat.st_mtime, attr.stat.st_mtime_nsec)
}

fn both(test: impl Fn(Tree)) {
    test(Tree::new());
    test(Tree::balanced());
}

#[test]
fn a_rename_to_itself_keeps_the_entry() {
    both(|t| {
        t.file(c"f", b"data");
        t.mkdir(c"d");
        t.fs.symlink(&t.dir, c"l", c"x", t.owner).unwrap();
        for name in [c"f", c"d", c"l"] {
            let attr = t.stat(name);
            assert_eq!(t.rename(name, name), Ok(()));
            assert_eq!(t.stat(name).oid, attr.oid);
            let again =
                t.fs.rename(&t.dir, name, &attr, &t.dir, name, Some(&attr), true);
            assert_eq!(again, Err(Errno::EEXIST));
        }
        assert_eq!(t.read(&t.open(c"f")), b"data");
    });
}

#[test]
fn a_directory_does_not_move_into_itself() {
    both(|t| {
        t.mkdir(c"d");
        let d = t.open(c"d");
        let attr = t.stat(c"d");
        let into = t.fs.rename(&t.dir, c"d", &attr, &d, c"x", None, false);
        assert_eq!(into, Err(Errno::EINVAL));
        assert_eq!(t.stat(c"d").oid, attr.oid);
        t.fs.mkdir(&d, c"x", 0o755, t.owner).unwrap();
        assert_eq!(t.fs.exchange(&t.dir, c"d", &d, c"x"), Err(Errno::EINVAL));
        assert_eq!(t.fs.exchange(&d, c"x", &t.dir, c"d"), Err(Errno::EINVAL));
    });
}

#[test]
fn types_must_agree() {
    both(|t| {
        t.file(c"f", b"");
        t.mkdir(c"d");
        t.mkdir(c"full");
        t.fs.mkdir(&t.open(c"full"), c"x", 0o755, t.owner).unwrap();
        t.fs.symlink(&t.dir, c"l", c"x", t.owner).unwrap();
        assert_eq!(t.rename(c"d", c"f"), Err(Errno::ENOTDIR));
        assert_eq!(t.rename(c"d", c"l"), Err(Errno::ENOTDIR));
        assert_eq!(t.rename(c"f", c"d"), Err(Errno::EISDIR));
        assert_eq!(t.rename(c"l", c"d"), Err(Errno::EISDIR));
        assert_eq!(t.rename(c"d", c"full"), Err(Errno::ENOTEMPTY));
        assert_eq!(t.rename(c"full", c"d"), Ok(()));
        assert_eq!(
            t.names(&t.dir),
            [c"d".to_owned(), c"f".to_owned(), c"l".to_owned()]
        );
        assert_eq!(t.names(&t.open(c"d")), [c"x".to_owned()]);
    });
}

#[test]
fn a_target_that_appears_meanwhile_is_looked_at() {
    both(|t| {
        let t = &t;
        let blind = |from: &CStr, to: &CStr, no_replace| {
            let attr = t.stat(from);
            t.fs.rename(&t.dir, from, &attr, &t.dir, to, None, no_replace)
        };
        t.file(c"f", b"f");
        t.file(c"g", b"g");
        t.mkdir(c"d");
        t.fs.symlink(&t.dir, c"l", c"x", t.owner).unwrap();
        for from in [c"f", c"d", c"l"] {
            assert_eq!(blind(from, c"g", true), Err(Errno::EEXIST), "{from:?}");
        }
        assert_eq!(blind(c"d", c"g", false), Err(Errno::ENOTDIR));
        assert_eq!(blind(c"f", c"d", false), Err(Errno::EISDIR));
        assert_eq!(blind(c"l", c"d", false), Err(Errno::EISDIR));
        assert_eq!(blind(c"f", c"g", false), Ok(()));
        assert_eq!(t.read(&t.open(c"g")), b"f");
        assert_eq!(blind(c"l", c"g", false), Ok(()));
        assert_eq!(t.stat(c"g").kind(), Kind::Symlink);
    });
}

#[test]
fn no_replace_without_the_internal_function() {
    let t = Tree::with(|api| api.dfs_move_internal = None);
    t.file(c"f", b"f");
    t.file(c"g", b"g");
    let attr = t.stat(c"f");
    let to = |name| t.fs.rename(&t.dir, c"f", &attr, &t.dir, name, None, true);
    assert_eq!(to(c"g"), Err(Errno::EEXIST));
    assert_eq!(to(c"h"), Ok(()));
    assert_eq!(t.rename(c"h", c"g"), Ok(()));
    assert_eq!(t.read(&t.open(c"g")), b"f");
}

#[test]
fn times_and_extended_attributes_move_along() {
    both(|t| {
        t.file(c"f", b"data");
        t.mkdir(c"d");
        t.fs.symlink(&t.dir, c"l", c"there", t.owner).unwrap();
        t.mkdir(c"sub");
        let sub = t.open(c"sub");
        for name in [c"f", c"d", c"l"] {
            let object = t.open(name);
            object
                .set_xattr(c"user.a", b"value", XattrFlags::Any)
                .unwrap();
            object.set_attr(&OLD).unwrap();
            let attr = t.stat(name);
            assert_eq!(mtime(&attr), (1_000_000, 999));
            t.fs.rename(&t.dir, name, &attr, &sub, c"n", None, false)
                .unwrap();
            let moved = t.fs.stat(&sub, c"n").unwrap();
            assert_eq!(mtime(&moved), (1_000_000, 999), "{name:?}");
            assert_eq!(moved.kind(), attr.kind());
            let is_link = attr.kind() == Kind::Symlink;
            if !is_link {
                let object = t.fs.open(&sub, c"n", dfs::Access::Read).unwrap().0;
                assert_eq!(
                    object.get_xattr(c"user.a"),
                    Ok(b"value".to_vec()),
                    "{name:?}"
                );
                assert_eq!(moved.oid, attr.oid);
            }
            assert_eq!(t.fs.stat(&t.dir, name).err(), Some(Errno::ENOENT));
            t.remove_any(&sub, c"n");
        }
    });
}

#[test]
fn links_move_in_every_container() {
    both(|t| {
        let link = |name| t.fs.symlink(&t.dir, name, c"the/target", t.owner).unwrap();
        let text = |name| t.open(name).readlink().unwrap();
        link(c"l");
        t.open(c"l").set_attr(&OLD).unwrap();
        assert_eq!(t.rename(c"l", c"m"), Ok(()));
        assert_eq!(text(c"m"), c"the/target".to_owned());
        assert_eq!(mtime(&t.stat(c"m")), (1_000_000, 999));
        assert_eq!(t.fs.stat(&t.dir, c"l").err(), Some(Errno::ENOENT));
        // Over a file, and over another link.
        t.file(c"f", b"data");
        assert_eq!(t.rename(c"m", c"f"), Ok(()));
        assert_eq!(text(c"f"), c"the/target".to_owned());
        t.fs.symlink(&t.dir, c"o", c"other", t.owner).unwrap();
        assert_eq!(t.rename(c"f", c"o"), Ok(()));
        assert_eq!(text(c"o"), c"the/target".to_owned());
        assert_eq!(mtime(&t.stat(c"o")), (1_000_000, 999));
        assert_eq!(t.names(&t.dir), [c"o".to_owned()]);
    });
}

#[test]
fn links_move_in_a_balanced_container_that_cannot_exchange() {
    let t = Tree::balanced_with(|api| api.dfs_exchange = None);
    t.fs.symlink(&t.dir, c"l", c"x", t.owner).unwrap();
    t.file(c"f", b"data");
    assert_eq!(t.rename(c"l", c"f"), Ok(()));
    assert_eq!(t.open(c"f").readlink(), Ok(c"x".to_owned()));
    assert_eq!(t.names(&t.dir), [c"f".to_owned()]);
}

#[test]
fn exchange_keeps_everything() {
    both(|t| {
        let f = t.file(c"f", b"data");
        t.mkdir(c"d");
        let d = t.open(c"d");
        t.fs.symlink(&d, c"l", c"x", t.owner).unwrap();
        f.set_xattr(c"user.f", b"file", XattrFlags::Any).unwrap();
        f.set_xattr(c"user.g", b"", XattrFlags::Any).unwrap();
        d.set_xattr(c"user.d", b"directory", XattrFlags::Any)
            .unwrap();
        f.set_attr(&OLD).unwrap();
        let (attr_f, attr_d) = (t.stat(c"f"), t.stat(c"d"));
        assert_eq!(t.fs.exchange(&t.dir, c"f", &t.dir, c"d"), Ok(()));
        let (new_f, new_d) = (t.stat(c"d"), t.stat(c"f"));
        assert_eq!((new_f.oid, new_d.oid), (attr_f.oid, attr_d.oid));
        assert_eq!(mtime(&new_f), (1_000_000, 999));
        assert_eq!(mtime(&new_d), mtime(&attr_d));
        let (f, d) = (t.open(c"d"), t.open(c"f"));
        assert_eq!(f.get_xattr(c"user.f"), Ok(b"file".to_vec()));
        assert_eq!(f.get_xattr(c"user.g"), Ok(vec![]));
        assert_eq!(d.get_xattr(c"user.d"), Ok(b"directory".to_vec()));
        assert_eq!(f.get_xattr(c"user.d"), Err(Errno::ENODATA));
        assert_eq!(t.read(&f), b"data");
        assert_eq!(t.names(&d), [c"l".to_owned()]);

        let missing = t.fs.exchange(&t.dir, c"f", &t.dir, c"none");
        assert_eq!(missing, Err(Errno::ENOENT));
        assert_eq!(t.fs.exchange(&t.dir, c"f", &t.dir, c"f"), Ok(()));
        assert_eq!(t.names(&t.dir), [c"d".to_owned(), c"f".to_owned()]);
    });
}
