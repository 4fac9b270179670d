//! Moving and exchanging names: what DAOS does not prevent.
use crate::fixture::*;
use pil4dfs_embedded::NewContainer;

#[test]
fn quirk_moving_a_name_onto_itself_destroys_it() {
    let fs = Fs::new();
    let file = fs.file(ROOT, "a");
    fs.write(file, b"precious", 0).unwrap();
    fs.rename((ROOT, "a"), (ROOT, "a")).unwrap();
    assert_eq!(fs.stat(ROOT, "a").map(|_| ()), Err(libc::ENOENT));
    assert_eq!(fs.read(file, 10, 0).unwrap(), b"");
}

#[test]
fn quirk_a_directory_moved_below_itself_is_orphaned() {
    let fs = Fs::new();
    let dir = fs.dir(ROOT, "d");
    let sub = fs.dir(dir, "sub");
    fs.rename((ROOT, "d"), (sub, "d")).unwrap();
    assert!(fs.names(fs.root(), 10).is_empty());
    assert_eq!(fs.names(sub, 10), ["d"]);
}

#[test]
fn quirk_a_directory_takes_the_place_of_a_file() {
    let fs = Fs::new();
    fs.mkdir(ROOT, "d").unwrap();
    fs.file(ROOT, "f");
    fs.rename((ROOT, "d"), (ROOT, "f")).unwrap();
    assert_eq!(fs.stat(ROOT, "f").unwrap().st_mode & libc::S_IFMT, DIR);
}

#[test]
fn quirk_a_file_over_a_directory_is_einval() {
    let fs = Fs::new();
    let full = fs.dir(ROOT, "full");
    fs.file(full, "x");
    fs.mkdir(ROOT, "empty").unwrap();
    fs.mkdir(ROOT, "d").unwrap();
    fs.file(ROOT, "f");
    assert_eq!(fs.rename((ROOT, "f"), (ROOT, "empty")), Err(libc::EINVAL));
    assert_eq!(fs.rename((ROOT, "d"), (ROOT, "full")), Err(libc::ENOTEMPTY));
    fs.rename((ROOT, "d"), (ROOT, "empty")).unwrap();
    assert_eq!(fs.rename((ROOT, "none"), (ROOT, "f")), Err(libc::ENOENT));
}

#[test]
fn quirk_moving_sets_both_times_and_leaves_handles_stale() {
    let fs = Fs::new();
    let file = fs.file(ROOT, "a");
    fs.write(file, b"data", 0).unwrap();
    fs.setxattr(file, "user.x", b"1", 0).unwrap();
    let mut stat = stat_zero();
    stat.st_mtime = 1000;
    fs.setattr(file, &mut stat, daos_sys::DFS_SET_ATTR_MTIME)
        .unwrap();
    assert_eq!(fs.stat(ROOT, "a").unwrap().st_mtime, 1000);
    let dir = fs.dir(ROOT, "d");
    fs.rename((ROOT, "a"), (dir, "b")).unwrap();
    assert!(fs.stat(dir, "b").unwrap().st_mtime > 1000);
    assert_eq!(fs.ostat(file).map(|_| ()), Err(libc::ENOENT));
    assert_eq!(fs.getxattr(file, "user.x", 9), Err((libc::ENOENT, 9)));
    assert_eq!(fs.read(file, 9, 0).unwrap(), b"data");
    // Repaired, the attributes are there: they moved along.
    unsafe { (fs.api.dfs_update_parentfd.unwrap())(file, dir, c("b").as_ptr()) };
    assert_eq!(fs.ostat(file).unwrap().st_size, 4);
    assert_eq!(fs.getxattr(file, "user.x", 9).unwrap(), b"1");
}

#[test]
fn quirk_links_do_not_move_in_balanced_containers() {
    let new = NewContainer {
        posix: true,
        balanced: true,
        ..NewContainer::default()
    };
    let label = pil4dfs_embedded::test_store().container_with(new);
    assert_eq!(Fs::mount(&label, libc::O_RDWR).err(), Some(libc::EPERM));
    assert!(Fs::mount(&label, libc::O_RDONLY).is_ok());
    let fs = Fs::mount(&label, libc::O_RDWR | daos_sys::DFS_BALANCED).unwrap();
    fs.symlink(ROOT, "l", "x").unwrap();
    fs.rename((ROOT, "l"), (ROOT, "m")).unwrap();
    assert_eq!(fs.names(fs.root(), 10), ["l"]);
    fs.file(ROOT, "f");
    fs.rename((ROOT, "f"), (ROOT, "g")).unwrap();
    assert!(fs.stat(ROOT, "g").is_ok());
}

#[test]
fn noreplace_is_for_the_internal_call_alone() {
    let fs = Fs::new();
    let moves = fs.api.dfs_move_internal.unwrap();
    fs.file(ROOT, "a");
    fs.file(ROOT, "b");
    let call = |flags, from: &str, to: &str| {
        let none = std::ptr::null_mut();
        unsafe {
            moves(
                fs.dfs,
                flags,
                ROOT,
                c(from).as_ptr(),
                ROOT,
                c(to).as_ptr(),
                none,
                none,
            )
        }
    };
    assert_eq!(call(libc::RENAME_NOREPLACE, "a", "b"), libc::EEXIST);
    assert_eq!(call(libc::RENAME_EXCHANGE, "a", "b"), libc::ENOTSUP);
    assert_eq!(call(libc::RENAME_NOREPLACE, "a", "c"), 0);
    assert_eq!(call(0, "c", "b"), 0);
    assert_eq!(fs.names(fs.root(), 10), ["b"]);
}

#[test]
fn quirk_exchange_loses_extended_attributes() {
    let fs = Fs::new();
    let (a, _d) = (fs.file(ROOT, "a"), fs.dir(ROOT, "d"));
    fs.setxattr(a, "user.x", b"1", 0).unwrap();
    let exchange = fs.api.dfs_exchange.unwrap();
    let (one, two, none) = (c("a"), c("d"), c("none"));
    assert_eq!(
        unsafe { exchange(fs.dfs, ROOT, one.as_ptr(), ROOT, none.as_ptr()) },
        libc::EINVAL
    );
    assert_eq!(
        unsafe { exchange(fs.dfs, ROOT, one.as_ptr(), ROOT, two.as_ptr()) },
        0
    );
    assert_eq!(fs.stat(ROOT, "a").unwrap().st_mode & libc::S_IFMT, DIR);
    let moved = fs.lookup("/d", libc::O_RDWR).unwrap().0;
    assert_eq!(fs.getxattr(moved, "user.x", 9), Err((libc::ENODATA, 9)));
}
