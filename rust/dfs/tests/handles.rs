//! Handles that travel, die, or find themselves in a fork child.
mod common;
use common::*;
use daos_sys::{d_sg_list_t, daos_event_t, dfs_obj_t, dfs_t};
use dfs::{Access, Errno, Filesystem, Kind, SetAttr, XattrFlags};
use std::ffi::{c_char, c_int};
use std::sync::atomic::{AtomicPtr, Ordering};
use std::sync::OnceLock;

#[test]
fn objects_travel_as_bytes() {
    let t = Tree::new();
    let f = t.file(c"f", b"data");
    t.mkdir(c"d");
    let (blob_f, blob_d) = (f.export().unwrap(), t.open(c"d").export().unwrap());
    let other = t.elsewhere();
    let g = other.fs.import(&blob_f, Access::ReadWrite).unwrap();
    assert_eq!(
        (g.id(), g.kind(), g.access()),
        (f.id(), Kind::File, Access::ReadWrite)
    );
    assert_eq!(t.read(&g), b"data");
    g.write_bytes(b"DATA", 0).unwrap();
    assert_eq!(t.read(&f), b"DATA");
    assert_eq!(g.attr().unwrap().oid, f.id());
    let r = other.fs.import(&blob_f, Access::Read).unwrap();
    assert_eq!(r.write_bytes(b"x", 0), Err(Errno::EBADF));
    let d = other.fs.import(&blob_d, Access::Read).unwrap();
    assert_eq!(d.kind(), Kind::Directory);
    other.fs.mkdir(&d, c"x", 0o755, t.owner).unwrap();
    assert_eq!(t.names(&t.open(c"d")), [c"x".to_owned()]);
    let root = other
        .fs
        .import(&t.fs.root().export().unwrap(), Access::Read)
        .unwrap();
    assert!(root.is_root());
    assert_eq!(root.attr().unwrap().stat.st_ino, 1);
}

#[test]
fn only_handles_travel() {
    let t = Tree::new();
    t.fs.symlink(&t.dir, c"l", c"x", t.owner).unwrap();
    assert_eq!(t.open(c"l").export().err(), Some(Errno::EINVAL));
    let mut blob = t.dir.export().unwrap();
    blob.pop();
    assert_eq!(t.fs.import(&blob, Access::Read).err(), Some(Errno::EINVAL));
    assert_eq!(t.fs.import(&[], Access::Read).err(), Some(Errno::EINVAL));
    assert_eq!(
        t.fs.import(&[0; 344], Access::Read).err(),
        Some(Errno::EINVAL)
    );
}

#[test]
fn a_mount_travels_without_a_connect() {
    let t = Tree::new();
    t.file(c"f", b"data");
    let handles = t.fs.export_handles().unwrap();
    assert!(!t.fs.is_borrowed());
    let fs = Filesystem::import_handles(&t.client, &handles).unwrap();
    assert!(fs.is_borrowed());
    assert!(!fs.is_read_only());
    assert_eq!(fs.chunk_size(), t.fs.chunk_size());
    let dir = fs
        .import(&t.dir.export().unwrap(), Access::ReadWrite)
        .unwrap();
    assert_eq!(fs.stat(&dir, c"f").unwrap().stat.st_size, 4);
    fs.mkdir(&dir, c"d", 0o755, t.owner).unwrap();
    fs.reconnect().unwrap();
    assert!(!fs.is_borrowed());
    assert_eq!(fs.stat(&dir, c"d").unwrap().kind(), Kind::Directory);

    let mut broken = handles.clone();
    broken.dfs.pop();
    let error = Filesystem::import_handles(&t.client, &broken).err();
    assert_eq!(error, Some(Errno::EINVAL));
}

/// A mount whose handles the servers have forgotten: everything on it answers `EINVAL`.
static DEAD: AtomicPtr<dfs_t> = AtomicPtr::new(std::ptr::null_mut());
static REAL: OnceLock<daos_sys::Api> = OnceLock::new();

fn dead(dfs: *mut dfs_t) -> bool {
    DEAD.load(Ordering::Relaxed) == dfs
}

fn real() -> &'static daos_sys::Api {
    REAL.get().unwrap()
}

unsafe extern "C" fn lookup(
    dfs: *mut dfs_t,
    path: *const c_char,
    flags: c_int,
    obj: *mut *mut dfs_obj_t,
    mode: *mut libc::mode_t,
    stat: *mut libc::stat,
) -> c_int {
    if dead(dfs) {
        return libc::EINVAL;
    }
    // SAFETY: handed through.
    unsafe { (real().dfs_lookup)(dfs, path, flags, obj, mode, stat) }
}

unsafe extern "C" fn lookup_rel(
    dfs: *mut dfs_t,
    parent: *mut dfs_obj_t,
    name: *const c_char,
    flags: c_int,
    obj: *mut *mut dfs_obj_t,
    mode: *mut libc::mode_t,
    stat: *mut libc::stat,
) -> c_int {
    if dead(dfs) {
        return libc::EINVAL;
    }
    // SAFETY: handed through.
    unsafe { (real().dfs_lookup_rel)(dfs, parent, name, flags, obj, mode, stat) }
}

unsafe extern "C" fn read(
    dfs: *mut dfs_t,
    obj: *mut dfs_obj_t,
    list: *mut d_sg_list_t,
    at: u64,
    done: *mut u64,
    ev: *mut daos_event_t,
) -> c_int {
    if dead(dfs) {
        return libc::EINVAL;
    }
    // SAFETY: handed through.
    unsafe { (real().dfs_read)(dfs, obj, list, at, done, ev) }
}

unsafe extern "C" fn ostat(dfs: *mut dfs_t, obj: *mut dfs_obj_t, stat: *mut libc::stat) -> c_int {
    if dead(dfs) {
        return libc::EINVAL;
    }
    // SAFETY: handed through.
    unsafe { (real().dfs_ostat)(dfs, obj, stat) }
}

unsafe extern "C" fn mount_noting(
    poh: daos_sys::daos_handle_t,
    coh: daos_sys::daos_handle_t,
    flags: c_int,
    dfs: *mut *mut dfs_t,
) -> c_int {
    // SAFETY: handed through.
    let rc = unsafe { (real().dfs_mount)(poh, coh, flags, dfs) };
    // The first mount of this test's client is the one that will die.
    if rc == 0 && LAST.load(Ordering::Relaxed).is_null() {
        // SAFETY: filled on success.
        LAST.store(unsafe { *dfs }, Ordering::Relaxed);
    }
    rc
}
static LAST: AtomicPtr<dfs_t> = AtomicPtr::new(std::ptr::null_mut());

#[test]
fn dead_handles_are_replaced_and_objects_follow() {
    let t = Tree::with(|api| {
        REAL.set(*api).ok().unwrap();
        api.dfs_mount = mount_noting;
        api.dfs_lookup = lookup;
        api.dfs_lookup_rel = lookup_rel;
        api.dfs_read = read;
        api.dfs_ostat = ostat;
    });
    let f = t.file(c"f", b"data");
    t.fs.symlink(&t.dir, c"l", c"text", t.owner).unwrap();
    let l = t.open(c"l");
    let stale_read = t.fs.lookup(&t.dir, c"f", Access::Read).unwrap().0;

    // An EINVAL of its own is no reason to connect.
    let einval = t.fs.import(&[0; 344], Access::Read).err();
    assert_eq!(einval, Some(Errno::EINVAL));

    DEAD.store(LAST.load(Ordering::Relaxed), Ordering::Relaxed);
    std::thread::scope(|s| {
        for _ in 0..4 {
            s.spawn(|| assert_eq!(t.read(&f), b"data"));
        }
    });
    assert_eq!(t.stat(c"f").oid, f.id());
    assert_eq!(f.attr().unwrap().stat.st_size, 4);
    assert_eq!(l.attr().unwrap().stat.st_size, 4);
    assert_eq!(l.readlink(), Ok(c"text".to_owned()));
    assert_eq!(stale_read.write_bytes(b"x", 0), Err(Errno::EBADF));
    f.write_bytes(b"DATA", 0).unwrap();
    assert_eq!(t.read(&stale_read), b"DATA");
    assert_eq!(t.fs.root().attr().unwrap().stat.st_ino, 1);
    f.set_xattr(c"user.a", b"1", XattrFlags::Any).unwrap();
    t.rename(c"f", c"g").unwrap();
    f.renamed(&t.dir, c"g").unwrap();
    assert_eq!(f.attr().unwrap().stat.st_size, 4);
}

#[test]
fn without_names_dead_handles_stay_dead() {
    let t = Tree::new();
    let mut handles = t.fs.export_handles().unwrap();
    handles.names = None;
    let fs = Filesystem::import_handles(&t.client, &handles).unwrap();
    assert_eq!(fs.reconnect(), Err(Errno::EIO));
}

#[test]
fn a_fork_child_reads_writes_and_lets_go() {
    let t = Tree::new();
    let f = t.file(c"f", b"parent");
    let spare = t.file(c"spare", b"");
    // SAFETY: the child calls nothing but the code under test, and _exit.
    let pid = unsafe { libc::fork() };
    if pid == 0 {
        t.client.forked();
        // Dropped before the first use: nothing may be called.
        drop(spare);
        let child = || -> dfs::Result<bool> {
            let mut buf = [0; 6];
            f.read_bytes(&mut buf, 0)?;
            f.write_bytes(b"child!", 0)?;
            t.fs.mkdir(&t.dir, c"made", 0o755, t.owner)?;
            t.fs.stat(&t.dir, c"made")?;
            f.set_attr(&SetAttr {
                mode: Some(0o600),
                ..SetAttr::default()
            })?;
            Ok(&buf == b"parent" && t.fs.is_borrowed())
        };
        let ok = child() == Ok(true);
        // SAFETY: ends the child without running the parent's exit handlers.
        unsafe { libc::_exit(i32::from(!ok)) };
    }
    let mut status = -1;
    // SAFETY: waits for the child just made.
    unsafe { libc::waitpid(pid, &mut status, 0) };
    assert_eq!(status, 0);
    assert_eq!(t.read(&f), b"child!");
    assert_eq!(spare.attr().unwrap().stat.st_size, 0);
    assert_eq!(t.stat(c"made").kind(), Kind::Directory);
    assert_eq!(t.stat(c"f").stat.st_mode, libc::S_IFREG | 0o600);
}

#[test]
fn entry_points_are_seen_with_the_lookup() {
    let uuid = "01234567-89ab-cdef-0123-456789abcdef";
    let value = format!("DAOS.POSIX://{uuid}/{uuid}\0");
    for t in [Tree::new(), Tree::with(|api| api.dfs_lookupx = None)] {
        t.mkdir(c"plain");
        t.mkdir(c"entry");
        t.mkdir(c"bad");
        let mark = |name, value: &[u8]| {
            t.open(name)
                .set_xattr(c"user.daos", value, XattrFlags::Any)
                .unwrap();
        };
        mark(c"entry", value.as_bytes());
        mark(c"bad", b"nonsense");
        t.file(c"f", b"");
        mark(c"f", value.as_bytes());
        let look = |name| {
            t.fs.lookup_crossing(&t.dir, name, Access::Read)
                .map(|found| found.2)
        };
        assert_eq!(look(c"plain"), Ok(None));
        assert_eq!(look(c"f"), Ok(None));
        assert_eq!(look(c"bad"), Err(Errno::EINVAL));
        assert_eq!(look(c"none"), Err(Errno::ENOENT));
        let entry = look(c"entry").unwrap().unwrap();
        assert_eq!(entry.cont.to_str(), Ok(uuid));
        assert_eq!(t.open(c"entry").entry_point(), Ok(Some(entry)));
    }
}

#[test]
fn a_handle_is_renamed_while_others_use_it() {
    let t = Tree::with(common::watch::watch);
    let before = common::watch::handles();
    let f = t.file(c"a", b"data");
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|s| {
        for _ in 0..2 {
            s.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    assert_eq!(t.read(&f), b"data");
                    // Between the rename and its news the name is wrong.
                    let attr = f.attr().map(|attr| attr.oid);
                    assert!(attr == Ok(f.id()) || attr == Err(Errno::ESTALE));
                }
            });
        }
        for i in 0..200 {
            let (from, to) = if i % 2 == 0 {
                (c"a", c"b")
            } else {
                (c"b", c"a")
            };
            t.rename(from, to).unwrap();
            f.renamed(&t.dir, to).unwrap();
        }
        done.store(true, Ordering::Relaxed);
    });
    assert_eq!(f.attr().unwrap().oid, f.id());
    drop(f);
    assert_eq!(
        common::watch::handles(),
        before,
        "replaced handles are given back"
    );
}
