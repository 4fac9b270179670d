//! Opening, creating, listing, removing.
use crate::fixture::*;
use daos_sys::*;
use std::ffi::c_void;

#[test]
fn quirk_the_type_bits_must_be_right() {
    let fs = Fs::new();
    fs.file(ROOT, "f");
    fs.mkdir(ROOT, "d").unwrap();
    fs.symlink(ROOT, "l", "f").unwrap();
    assert_eq!(fs.open(ROOT, "f", 0o644, libc::O_RDWR), Err(libc::EINVAL));
    assert_eq!(
        fs.open(ROOT, "x", libc::S_IFIFO, libc::O_CREAT),
        Err(libc::EINVAL)
    );
    assert_eq!(fs.open(ROOT, "d", FILE, libc::O_RDWR), Err(libc::EINVAL));
    assert_eq!(
        fs.open(ROOT, "d", FILE, libc::O_RDWR | libc::O_CREAT),
        Err(libc::EINVAL)
    );
    assert_eq!(fs.open(ROOT, "l", FILE, libc::O_RDWR), Err(libc::EINVAL));
    assert_eq!(fs.open(ROOT, "f", DIR, libc::O_RDWR), Err(libc::ENOTDIR));
    assert_eq!(fs.open(ROOT, "l", LINK, libc::O_RDWR), Err(libc::ENOTSUP));
    assert_eq!(fs.open(ROOT, "none", FILE, libc::O_RDWR), Err(libc::ENOENT));
}

#[test]
fn quirk_append_is_refused() {
    let fs = Fs::new();
    let file = fs.file(ROOT, "f");
    let append = libc::O_RDWR | libc::O_APPEND;
    assert_eq!(fs.open(ROOT, "f", FILE, append), Err(libc::ENOTSUP));
    assert_eq!(fs.lookup("/f", append).map(|_| ()), Err(libc::ENOTSUP));
    assert_eq!(fs.lookup_rel(ROOT, "f", append), Err(libc::ENOTSUP));
    let mut copy = std::ptr::null_mut();
    assert_eq!(
        unsafe { (fs.api.dfs_dup)(fs.dfs, file, append, &mut copy) },
        libc::ENOTSUP
    );
}

#[test]
fn quirk_bad_names_are_einval() {
    let fs = Fs::new();
    let long = "x".repeat(256);
    for name in ["", "a/b", &long] {
        assert_eq!(
            fs.open(ROOT, name, FILE, libc::O_CREAT | libc::O_RDWR),
            Err(libc::EINVAL)
        );
        assert_eq!(fs.mkdir(ROOT, name), Err(libc::EINVAL));
        assert_eq!(fs.stat(ROOT, name).map(|_| ()), Err(libc::EINVAL));
        assert_eq!(fs.remove(ROOT, name, false), Err(libc::EINVAL));
    }
    fs.file(ROOT, &long[..255]);
    assert_eq!(fs.stat(ROOT, ".").map(|_| ()), Err(libc::ENOTSUP));
}

#[test]
fn quirk_dotdot_is_an_ordinary_name() {
    let fs = Fs::new();
    fs.mkdir(ROOT, "..").unwrap();
    assert_eq!(fs.names(fs.root(), 10), [".."]);
    assert_eq!(fs.stat(ROOT, "..").unwrap().st_mode & libc::S_IFMT, DIR);
}

#[test]
fn create_opens_what_is_there_and_exclusive_does_not() {
    let fs = Fs::new();
    let file = fs.file(ROOT, "f");
    fs.write(file, b"hello", 0).unwrap();
    let flags = libc::O_CREAT | libc::O_RDWR;
    let again = fs.open(ROOT, "f", FILE | 0o600, flags).unwrap();
    assert_eq!(fs.ostat(again).unwrap().st_mode, FILE | 0o644);
    assert_eq!(
        fs.open(ROOT, "f", FILE, flags | libc::O_EXCL),
        Err(libc::EEXIST)
    );
    assert_eq!(fs.size(again), 5);
    fs.open(ROOT, "f", FILE, libc::O_RDWR | libc::O_TRUNC)
        .unwrap();
    assert_eq!(fs.size(again), 0);
}

#[test]
fn quirk_neither_umask_nor_permissions_matter() {
    let fs = Fs::new();
    let file = fs
        .open(ROOT, "f", FILE | 0o2777, libc::O_CREAT | libc::O_RDWR)
        .unwrap();
    assert_eq!(fs.ostat(file).unwrap().st_mode, FILE | 0o2777);
    let none = fs
        .open(ROOT, "none", FILE, libc::O_CREAT | libc::O_RDWR)
        .unwrap();
    assert_eq!(fs.ostat(none).unwrap().st_mode, FILE);
    fs.write(none, b"x", 0).unwrap();
    assert!(fs.open(ROOT, "none", FILE, libc::O_RDWR).is_ok());
    unsafe { (fs.api.dfs_mkdir)(fs.dfs, ROOT, c("t").as_ptr(), 0o1777, 0) };
    assert_eq!(fs.stat(ROOT, "t").unwrap().st_mode, DIR | 0o1777);
}

#[test]
fn quirk_listings_hold_names_only() {
    let fs = Fs::new();
    fs.mkdir(ROOT, "d").unwrap();
    let mut anchor = daos_anchor_t::zeroed();
    let mut entry: libc::dirent = unsafe { std::mem::zeroed() };
    (entry.d_ino, entry.d_off, entry.d_reclen, entry.d_type) = (77, 78, 79, 80);
    let mut nr = 1;
    let rc = unsafe { (fs.api.dfs_readdir)(fs.dfs, fs.root(), &mut anchor, &mut nr, &mut entry) };
    assert_eq!((rc, nr), (0, 1));
    assert_eq!(
        (entry.d_ino, entry.d_off, entry.d_reclen, entry.d_type),
        (77, 78, 79, 80)
    );
    assert_eq!(entry.d_name[..2], [b'd' as libc::c_char, 0]);
}

#[test]
fn quirk_listings_are_in_hash_order_and_end_late() {
    let fs = Fs::new();
    let root = fs.root();
    let mut made: Vec<String> = (0..100).map(|n| format!("name{n:03}")).collect();
    for name in &made {
        fs.release(fs.file(ROOT, name));
    }
    let whole = fs.names(root, 1000);
    assert_ne!(whole, made);
    for batch in [1, 7, 50, 100] {
        assert_eq!(fs.names(root, batch), whole);
    }
    let mut sorted = whole.clone();
    sorted.sort();
    made.sort();
    assert_eq!(sorted, made);
    // A full batch does not say that it was the last.
    let mut anchor = daos_anchor_t::zeroed();
    let mut entries: Vec<libc::dirent> = vec![unsafe { std::mem::zeroed() }; 100];
    let mut nr = 100;
    unsafe { (fs.api.dfs_readdir)(fs.dfs, root, &mut anchor, &mut nr, entries.as_mut_ptr()) };
    assert!(nr == 100 && !anchor.is_eof());
    unsafe { (fs.api.dfs_readdir)(fs.dfs, root, &mut anchor, &mut nr, entries.as_mut_ptr()) };
    assert!(nr == 0 && anchor.is_eof());
}

#[test]
fn an_anchor_can_be_set_at_a_name() {
    let fs = Fs::new();
    let root = fs.root();
    for n in 0..20 {
        fs.release(fs.file(ROOT, &n.to_string()));
    }
    let whole = fs.names(root, 100);
    let mut anchor = daos_anchor_t::zeroed();
    let set = fs.api.dfs_dir_anchor_set.unwrap();
    assert_eq!(unsafe { set(root, c(&whole[7]).as_ptr(), &mut anchor) }, 0);
    let mut entry: libc::dirent = unsafe { std::mem::zeroed() };
    let mut nr = 1;
    unsafe { (fs.api.dfs_readdir)(fs.dfs, root, &mut anchor, &mut nr, &mut entry) };
    let name = unsafe { std::ffi::CStr::from_ptr(entry.d_name.as_ptr()) };
    assert_eq!(name.to_str().unwrap(), whole[7]);
}

unsafe extern "C" fn stop_at_three(
    _: *mut dfs_t,
    _: Object,
    _: *const libc::c_char,
    arg: *mut c_void,
) -> i32 {
    let seen = unsafe { &mut *arg.cast::<i32>() };
    *seen += 1;
    if *seen == 3 {
        42
    } else {
        0
    }
}

#[test]
fn quirk_iterate_loses_the_batch_its_callback_ends() {
    let fs = Fs::new();
    let root = fs.root();
    for n in 0..10 {
        fs.release(fs.file(ROOT, &n.to_string()));
    }
    let iterate = fs.api.dfs_iterate.unwrap();
    let (mut anchor, mut nr, mut seen) = (daos_anchor_t::zeroed(), 10, 0i32);
    let arg = (&raw mut seen).cast();
    let rc = unsafe {
        iterate(
            fs.dfs,
            root,
            &mut anchor,
            &mut nr,
            4096,
            Some(stop_at_three),
            arg,
        )
    };
    assert_eq!((rc, seen, nr), (42, 3, 10));
    seen = 10;
    let rc = unsafe {
        iterate(
            fs.dfs,
            root,
            &mut anchor,
            &mut nr,
            4096,
            Some(stop_at_three),
            arg,
        )
    };
    assert_eq!((rc, seen, nr), (0, 10, 0));
    let mut anchor = daos_anchor_t::zeroed();
    nr = 10;
    let rc = unsafe {
        iterate(
            fs.dfs,
            root,
            &mut anchor,
            &mut nr,
            1,
            Some(stop_at_three),
            arg,
        )
    };
    assert_eq!(rc, libc::E2BIG);
}

#[test]
fn quirk_remove_takes_any_type() {
    let fs = Fs::new();
    let dir = fs.dir(ROOT, "d");
    fs.file(dir, "f");
    assert_eq!(fs.remove(ROOT, "d", false), Err(libc::ENOTEMPTY));
    fs.remove(dir, "f", false).unwrap();
    fs.remove(ROOT, "d", false).unwrap(); // by the call that unlinks files
    assert_eq!(fs.remove(ROOT, "d", false), Err(libc::ENOENT));
    let dir = fs.dir(ROOT, "d");
    fs.file(fs.dir(dir, "sub"), "f");
    fs.remove(ROOT, "d", true).unwrap();
    assert!(fs.names(fs.root(), 10).is_empty());
}

#[test]
fn quirk_removing_an_open_file_destroys_its_bytes() {
    let fs = Fs::new();
    let (one, two) = (fs.file(ROOT, "f"), fs.file(ROOT, "f"));
    fs.write(one, b"hello", 0).unwrap();
    assert_eq!(fs.read(two, 10, 0).unwrap(), b"hello");
    fs.remove(ROOT, "f", false).unwrap();
    assert_eq!(fs.read(two, 10, 0).unwrap(), b"");
    fs.write(one, b"orphan", 0).unwrap();
    assert_eq!(fs.ostat(one).map(|_| ()), Err(libc::ENOENT));
    let new = fs.file(ROOT, "f");
    assert_eq!(fs.size(new), 0);
}

#[test]
fn quirk_a_read_only_mount_answers_eperm() {
    let label = pil4dfs_embedded::test_store().fresh_container();
    let fs = Fs::mount(&label, libc::O_RDWR).unwrap();
    fs.file(ROOT, "f");
    let fs = Fs::mount(&label, libc::O_RDONLY).unwrap();
    let create = libc::O_CREAT | libc::O_RDONLY;
    assert_eq!(fs.open(ROOT, "g", FILE, create), Err(libc::EPERM));
    assert_eq!(fs.open(ROOT, "f", FILE, libc::O_RDWR), Err(libc::EPERM));
    assert_eq!(fs.mkdir(ROOT, "d"), Err(libc::EPERM));
    assert_eq!(fs.remove(ROOT, "f", false), Err(libc::EPERM));
    assert_eq!(fs.rename((ROOT, "f"), (ROOT, "g")), Err(libc::EPERM));
    assert_eq!(unsafe { (fs.api.dfs_sync.unwrap())(fs.dfs) }, libc::EPERM);
    assert!(fs.open(ROOT, "f", FILE, libc::O_RDONLY).is_ok());
}
