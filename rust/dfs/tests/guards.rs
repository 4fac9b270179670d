//! What libdfs does differently from POSIX must not be visible above this crate: one test for each
//! item of the guard list, on the embedded provider, which has libdfs's manners.
mod common;
use common::*;
use dfs::{Access, Create, Errno, Kind, SetAttr, SetTime, XattrFlags};
use std::ffi::CString;

#[test]
fn attributes_are_complete() {
    let t = Tree::new();
    let file = t.file(c"f", b"hello");
    let attr = file.attr().unwrap();
    let looked = t.stat(c"f");
    assert_eq!(looked.oid, file.id());
    assert_eq!(looked.stat.st_ino, file.id().ino(1));
    assert_eq!(attr.stat.st_ino, looked.stat.st_ino);
    assert_eq!(looked.stat.st_nlink, 1);
    assert_eq!(looked.stat.st_size, 5);
    assert_eq!(looked.stat.st_blocks, 1);
    assert_eq!(looked.stat.st_blksize as u64, t.fs.chunk_size());
    assert_eq!(attr.stat.st_blksize, looked.stat.st_blksize);
    t.mkdir(c"d");
    let dir = t.stat(c"d");
    assert_eq!(
        (dir.kind(), dir.stat.st_nlink, dir.stat.st_blksize),
        (Kind::Directory, 2, 4096)
    );
    t.fs.symlink(&t.dir, c"l", c"to/there", t.owner).unwrap();
    let link = t.stat(c"l");
    assert_eq!(
        (link.kind(), link.stat.st_size, link.stat.st_blksize),
        (Kind::Symlink, 8, 4096)
    );
    assert_eq!(link.stat.st_mode, libc::S_IFLNK | 0o777);
}

#[test]
fn the_root_has_its_ordinal_as_inode_number() {
    let t = Tree::new();
    assert!(t.fs.root().is_root());
    let attr = t.fs.root().attr().unwrap();
    assert_eq!(attr.stat.st_ino, 1);
    assert_eq!(attr.kind(), Kind::Directory);
}

#[test]
fn names_are_checked_everywhere() {
    let t = Tree::new();
    t.file(c"f", b"");
    let long = CString::new(vec![b'n'; 256]).unwrap();
    let bad: [(&std::ffi::CStr, Errno); 5] = [
        (c"", Errno::EINVAL),
        (c".", Errno::EINVAL),
        (c"..", Errno::EINVAL),
        (c"a/b", Errno::EINVAL),
        (&long, Errno::ENAMETOOLONG),
    ];
    let (fs, d) = (&t.fs, &*t.dir);
    for (name, error) in bad {
        assert_eq!(fs.lookup(d, name, Access::Read).err(), Some(error));
        assert_eq!(fs.open(d, name, Access::Read).err(), Some(error));
        assert_eq!(fs.stat(d, name).err(), Some(error));
        assert_eq!(fs.mkdir(d, name, 0o755, t.owner), Err(error));
        assert_eq!(fs.symlink(d, name, c"x", t.owner), Err(error));
        assert_eq!(fs.create(d, name, NEW, t.owner).err(), Some(error));
        assert_eq!(fs.unlink(d, name), Err(error));
        assert_eq!(fs.rmdir(d, name), Err(error));
        assert_eq!(t.rename(c"f", name), Err(error));
        assert_eq!(fs.exchange(d, c"f", d, name), Err(error));
        assert_eq!(fs.lookup_crossing(d, name, Access::Read).err(), Some(error));
    }
    let most = CString::new(vec![b'n'; 255]).unwrap();
    t.file(&most, b"");
    assert_eq!(t.stat(&most).stat.st_size, 0);
}

#[test]
fn a_file_is_no_directory() {
    let t = Tree::new();
    let f = t.file(c"f", b"");
    let fs = &t.fs;
    assert_eq!(fs.stat(&f, c"x").err(), Some(Errno::ENOTDIR));
    assert_eq!(fs.mkdir(&f, c"x", 0o755, t.owner), Err(Errno::ENOTDIR));
    assert_eq!(fs.unlink(&f, c"x"), Err(Errno::ENOTDIR));
    assert_eq!(
        f.read_names(&mut dfs::DirCursor::start(), 9),
        Err(Errno::ENOTDIR)
    );
}

#[test]
fn creation_says_what_is_in_the_way() {
    let t = Tree::new();
    t.file(c"f", b"data");
    t.mkdir(c"d");
    t.fs.symlink(&t.dir, c"l", c"f", t.owner).unwrap();
    let open = Create {
        exclusive: false,
        ..NEW
    };
    let create = |name, how| t.fs.create(&t.dir, name, how, t.owner);
    for name in [c"f", c"d", c"l"] {
        assert_eq!(create(name, NEW).err(), Some(Errno::EEXIST), "{name:?}");
        assert_eq!(t.fs.mkdir(&t.dir, name, 0o700, t.owner), Err(Errno::EEXIST));
        assert_eq!(
            t.fs.symlink(&t.dir, name, c"x", t.owner),
            Err(Errno::EEXIST)
        );
    }
    assert_eq!(create(c"f", open).unwrap().size(), Ok(4));
    assert_eq!(create(c"d", open).err(), Some(Errno::EISDIR));
    assert_eq!(create(c"l", open).err(), Some(Errno::ELOOP));
}

#[test]
fn mode_bits_and_owners_are_stored_as_given() {
    let t = Tree::new();
    let stranger = (t.owner.0 + 4711, t.owner.1 + 815);
    for (i, owner) in [t.owner, stranger].into_iter().enumerate() {
        for mode in [0o4755, 0o1777, 0o2070, 0o000] {
            let name = CString::new(format!("f{i}{mode:o}")).unwrap();
            let how = Create { mode, ..NEW };
            t.fs.create(&t.dir, &name, how, owner).unwrap();
            let stat = t.stat(&name).stat;
            assert_eq!(stat.st_mode, libc::S_IFREG | mode, "{name:?}");
            assert_eq!((stat.st_uid, stat.st_gid), owner);
            let name = CString::new(format!("d{i}{mode:o}")).unwrap();
            t.fs.mkdir(&t.dir, &name, mode, owner).unwrap();
            let stat = t.stat(&name).stat;
            assert_eq!(stat.st_mode, libc::S_IFDIR | mode, "{name:?}");
            assert_eq!((stat.st_uid, stat.st_gid), owner);
        }
        let name = CString::new(format!("l{i}")).unwrap();
        t.fs.symlink(&t.dir, &name, c"x", owner).unwrap();
        let stat = t.stat(&name).stat;
        assert_eq!((stat.st_uid, stat.st_gid), owner);
    }
}

#[test]
fn owners_are_right_without_the_internal_function_too() {
    let t = Tree::with(|api| api.dfs_open_stat = None);
    let stranger = (t.owner.0 + 1, t.owner.1 + 2);
    t.fs.create(&t.dir, c"f", NEW, stranger).unwrap();
    t.fs.mkdir(&t.dir, c"d", 0o751, stranger).unwrap();
    t.fs.symlink(&t.dir, c"l", c"x", stranger).unwrap();
    for name in [c"f", c"d", c"l"] {
        let stat = t.stat(name).stat;
        assert_eq!((stat.st_uid, stat.st_gid), stranger, "{name:?}");
    }
}

#[test]
fn symlink_targets_are_checked_and_come_back_without_nul() {
    let t = Tree::new();
    let long = CString::new(vec![b't'; 4096]).unwrap();
    let most = CString::new(vec![b't'; 4095]).unwrap();
    let link = |name, target| t.fs.symlink(&t.dir, name, target, t.owner);
    assert_eq!(link(c"a", c""), Err(Errno::ENOENT));
    assert_eq!(link(c"a", &long), Err(Errno::ENAMETOOLONG));
    assert_eq!(link(c"a", &most), Ok(()));
    assert_eq!(link(c"b", c"/x/../y"), Ok(()));
    let read = |name| t.open(name).readlink();
    assert_eq!(read(c"a"), Ok(most));
    assert_eq!(read(c"b"), Ok(c"/x/../y".to_owned()));
    t.file(c"f", b"");
    assert_eq!(read(c"f"), Err(Errno::EINVAL));
}

#[test]
fn removal_of_what_is_not_empty() {
    let t = Tree::new();
    t.mkdir(c"d");
    let d = t.open(c"d");
    t.fs.mkdir(&d, c"x", 0o755, t.owner).unwrap();
    assert_eq!(t.fs.rmdir(&t.dir, c"d"), Err(Errno::ENOTEMPTY));
    assert_eq!(t.fs.unlink(&t.dir, c"d"), Err(Errno::EISDIR));
    t.fs.rmdir(&d, c"x").unwrap();
    assert_eq!(t.fs.rmdir(&t.dir, c"d"), Ok(()));
    assert_eq!(t.fs.rmdir(&t.dir, c"d"), Err(Errno::ENOENT));
    assert_eq!(t.fs.unlink(&t.dir, c"d"), Err(Errno::ENOENT));
}

#[test]
fn files_gone_or_moved_by_others_are_stale() {
    let t = Tree::new();
    let gone = t.file(c"gone", b"x");
    let moved = t.file(c"moved", b"yy");
    t.fs.unlink(&t.dir, c"gone").unwrap();
    t.rename(c"moved", c"new").unwrap();
    let set = SetAttr {
        mode: Some(0o600),
        ..SetAttr::default()
    };
    for object in [&gone, &moved] {
        assert_eq!(object.attr().err(), Some(Errno::ESTALE));
        assert_eq!(object.set_attr(&set), Err(Errno::ESTALE));
    }
    moved.renamed(&t.dir, c"new").unwrap();
    assert_eq!(moved.attr().unwrap().stat.st_size, 2);
    assert_eq!(moved.set_attr(&set), Ok(()));
    assert_eq!(t.stat(c"new").stat.st_mode, libc::S_IFREG | 0o600);
    assert_eq!(t.read(&moved), b"yy");
}

#[test]
fn a_renamed_handle_is_repaired_without_the_internal_function_too() {
    let t = Tree::with(|api| api.dfs_update_parentfd = None);
    let f = t.file(c"f", b"yy");
    t.mkdir(c"d");
    let d = t.open(c"d");
    let from = t.stat(c"f");
    t.fs.rename(&t.dir, c"f", &from, &d, c"g", None, false)
        .unwrap();
    t.file(c"other", b"");
    assert_eq!(f.renamed(&t.dir, c"other"), Err(Errno::ESTALE));
    assert_eq!(f.renamed(&t.dir, c"missing"), Err(Errno::ENOENT));
    f.renamed(&d, c"g").unwrap();
    assert_eq!(f.attr().unwrap().stat.st_size, 2);
    assert_eq!(t.read(&f), b"yy");
}

#[test]
fn attributes_change_one_by_one_and_through_any_handle() {
    let t = Tree::new();
    t.file(c"f", b"x");
    let f = t.fs.lookup(&t.dir, c"f", Access::Read).unwrap().0;
    let set = |set: SetAttr| f.set_attr(&set).unwrap();
    set(SetAttr {
        mode: Some(0o6711),
        ..SetAttr::default()
    });
    set(SetAttr {
        mtime: Some(SetTime::At(12345, 678)),
        ..SetAttr::default()
    });
    set(SetAttr {
        uid: Some(77),
        ..SetAttr::default()
    });
    set(SetAttr {
        gid: Some(88),
        ..SetAttr::default()
    });
    set(SetAttr {
        atime: Some(SetTime::At(1, 1)),
        ..SetAttr::default()
    });
    set(SetAttr::default());
    let stat = t.stat(c"f").stat;
    assert_eq!(stat.st_mode, libc::S_IFREG | 0o6711);
    assert_eq!((stat.st_mtime, stat.st_mtime_nsec), (12345, 678));
    assert_eq!((stat.st_uid, stat.st_gid), (77, 88));
    set(SetAttr {
        mtime: Some(SetTime::Now),
        ..SetAttr::default()
    });
    assert!(t.stat(c"f").stat.st_mtime > 1_700_000_000);
    t.mkdir(c"d");
    let d = t.open(c"d");
    d.set_attr(&SetAttr {
        mode: Some(0o700),
        ..SetAttr::default()
    })
    .unwrap();
    assert_eq!(t.stat(c"d").stat.st_mode, libc::S_IFDIR | 0o700);
    let root = t.fs.root();
    let before = root.attr().unwrap().stat.st_mode & 0o7777;
    root.set_attr(&SetAttr {
        mode: Some(0o751),
        ..SetAttr::default()
    })
    .unwrap();
    assert_eq!(root.attr().unwrap().stat.st_mode, libc::S_IFDIR | 0o751);
    root.set_attr(&SetAttr {
        mode: Some(before),
        ..SetAttr::default()
    })
    .unwrap();
}

#[test]
fn access_is_enforced_as_the_kernel_does() {
    let t = Tree::new();
    t.file(c"f", b"abc");
    let f = t.fs.lookup(&t.dir, c"f", Access::Read).unwrap().0;
    assert_eq!(f.write_bytes(b"x", 0), Err(Errno::EBADF));
    assert_eq!(f.punch_hole(0, 1), Err(Errno::EBADF));
    assert_eq!(f.truncate(0), Err(Errno::EINVAL));
    let w = f.reopen(Access::ReadWrite).unwrap();
    w.write_bytes(b"X", 0).unwrap();
    assert_eq!(t.read(&f), b"Xbc");
    assert_eq!(
        w.reopen(Access::Read).unwrap().write_bytes(b"x", 0),
        Err(Errno::EBADF)
    );
    assert_eq!(t.dir.read_bytes(&mut [0], 0), Err(Errno::EISDIR));
    assert_eq!(t.dir.truncate(0), Err(Errno::EISDIR));
    // A directory handle's access says nothing about its entries.
    t.mkdir(c"d");
    let d = t.fs.lookup(&t.dir, c"d", Access::Read).unwrap().0;
    t.fs.mkdir(&d, c"x", 0o755, t.owner).unwrap();
    d.set_xattr(c"user.a", b"", XattrFlags::Any).unwrap();
}

#[test]
fn a_read_only_mount_says_erofs() {
    let t = Tree::new();
    t.file(c"f", b"abc")
        .set_xattr(c"user.a", b"v", XattrFlags::Any)
        .unwrap();
    t.mkdir(c"d");
    let ro = t.read_only();
    assert!(ro.fs.is_read_only());
    let (fs, d) = (&ro.fs, &*ro.dir);
    let attr = ro.stat(c"f");
    assert_eq!(
        fs.lookup(d, c"f", Access::ReadWrite).err(),
        Some(Errno::EROFS)
    );
    let f = fs.lookup(d, c"f", Access::Read).unwrap().0;
    assert_eq!(f.reopen(Access::ReadWrite).err(), Some(Errno::EROFS));
    assert_eq!(fs.create(d, c"n", NEW, t.owner).err(), Some(Errno::EROFS));
    assert_eq!(fs.mkdir(d, c"n", 0o755, t.owner), Err(Errno::EROFS));
    assert_eq!(fs.symlink(d, c"n", c"x", t.owner), Err(Errno::EROFS));
    assert_eq!(fs.unlink(d, c"f"), Err(Errno::EROFS));
    assert_eq!(fs.rmdir(d, c"d"), Err(Errno::EROFS));
    assert_eq!(
        fs.rename(d, c"f", &attr, d, c"g", None, false),
        Err(Errno::EROFS)
    );
    assert_eq!(fs.exchange(d, c"f", d, c"d"), Err(Errno::EROFS));
    let set = SetAttr {
        mode: Some(0),
        ..SetAttr::default()
    };
    assert_eq!(f.set_attr(&set), Err(Errno::EROFS));
    assert_eq!(
        f.set_xattr(c"user.a", b"", XattrFlags::Any),
        Err(Errno::EROFS)
    );
    assert_eq!(f.remove_xattr(c"user.a"), Err(Errno::EROFS));
    // Reading goes on.
    assert_eq!(ro.read(&f), b"abc");
    assert_eq!(f.get_xattr(c"user.a"), Ok(b"v".to_vec()));
    assert_eq!(f.list_xattr(), Ok(b"user.a\0".to_vec()));
    assert_eq!(ro.names(d), [c"d".to_owned(), c"f".to_owned()]);
}

#[test]
fn space_is_the_pools() {
    let t = Tree::new();
    let space = t.fs.space().unwrap();
    assert!(space.total > 0 && space.free <= space.total, "{space:?}");
}
