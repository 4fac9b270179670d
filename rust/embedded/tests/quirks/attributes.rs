//! Stat, and what changes it.
use crate::fixture::*;
use daos_sys::*;

#[test]
fn quirk_stat_knows_no_inode_and_one_link() {
    let fs = Fs::new();
    let file = fs.file(ROOT, "f");
    fs.write(file, &[1; 1000], 0).unwrap();
    fs.mkdir(ROOT, "d").unwrap();
    fs.symlink(ROOT, "l", "target").unwrap();
    let (f, d, l) = (
        fs.stat(ROOT, "f").unwrap(),
        fs.stat(ROOT, "d").unwrap(),
        fs.stat(ROOT, "l").unwrap(),
    );
    for stat in [&f, &d, &l] {
        assert_eq!((stat.st_ino, stat.st_dev, stat.st_nlink), (0, 0, 1));
    }
    assert_eq!((f.st_size, f.st_blocks, f.st_blksize), (1000, 2, 1 << 20));
    assert_eq!((d.st_size, d.st_blocks, d.st_blksize), (104, 0, 0));
    assert_eq!((l.st_size, l.st_mode, l.st_blksize), (6, LINK | 0o777, 0));
    assert_eq!(fs.ostat(file).unwrap().st_blksize, 1 << 20);
    assert_eq!(fs.lookup("/f", libc::O_RDONLY).unwrap().1.st_blksize, 0);
    let me = unsafe { (libc::geteuid(), libc::getegid()) };
    assert_eq!((f.st_uid, f.st_gid), me);
}

#[test]
fn quirk_the_access_time_is_the_later_of_the_others() {
    let fs = Fs::new();
    let file = fs.file(ROOT, "f");
    let mut stat = stat_zero();
    stat.st_atime = 5;
    fs.setattr(file, &mut stat, DFS_SET_ATTR_ATIME).unwrap();
    assert!(stat.st_atime > 5);
    stat.st_mtime = i64::from(i32::MAX) + 10;
    fs.setattr(file, &mut stat, DFS_SET_ATTR_MTIME).unwrap();
    assert_eq!(stat.st_atime, i64::from(i32::MAX) + 10);
    stat.st_mtime = 10;
    fs.setattr(file, &mut stat, DFS_SET_ATTR_MTIME).unwrap();
    assert_eq!((stat.st_mtime, stat.st_atime), (10, stat.st_ctime));
}

#[test]
fn an_explicit_mtime_holds_until_the_next_write() {
    let fs = Fs::new();
    for written_before in [true, false] {
        let file = fs.file(ROOT, if written_before { "w" } else { "n" });
        if written_before {
            fs.write(file, b"x", 0).unwrap();
        }
        let mut stat = stat_zero();
        (stat.st_mtime, stat.st_mtime_nsec) = (1234, 5678);
        fs.setattr(file, &mut stat, DFS_SET_ATTR_MTIME).unwrap();
        let there = fs.ostat(file).unwrap();
        assert_eq!((there.st_mtime, there.st_mtime_nsec), (1234, 5678));
        fs.write(file, b"y", 0).unwrap();
        assert!(fs.ostat(file).unwrap().st_mtime > 1234);
    }
}

#[test]
fn a_directorys_mtime_is_its_last_change() {
    let fs = Fs::new();
    let dir = fs.dir(ROOT, "d");
    let mut stat = stat_zero();
    stat.st_mtime = 1000;
    fs.setattr(dir, &mut stat, DFS_SET_ATTR_MTIME).unwrap();
    assert_eq!(fs.stat(ROOT, "d").unwrap().st_mtime, 1000);
    fs.file(dir, "f");
    assert!(fs.stat(ROOT, "d").unwrap().st_mtime > 1000);
}

#[test]
fn quirk_setattr_needs_a_handle_for_writing_and_the_type() {
    let fs = Fs::new();
    fs.file(ROOT, "f");
    let reader = fs.open(ROOT, "f", FILE, libc::O_RDONLY).unwrap();
    let mut stat = stat_zero();
    stat.st_mode = FILE | 0o600;
    assert_eq!(
        fs.setattr(reader, &mut stat, DFS_SET_ATTR_MODE),
        Err(libc::EPERM)
    );
    let file = fs.file(ROOT, "f");
    fs.setattr(file, &mut stat, DFS_SET_ATTR_MODE).unwrap();
    assert_eq!(fs.stat(ROOT, "f").unwrap().st_mode, FILE | 0o600);
    stat.st_mode = 0o600;
    assert_eq!(
        fs.setattr(file, &mut stat, DFS_SET_ATTR_MODE),
        Err(libc::EINVAL)
    );
    assert_eq!(fs.setattr(file, &mut stat, 0x40), Err(libc::EINVAL));
}

#[test]
fn several_attributes_at_once() {
    let fs = Fs::new();
    let file = fs.file(ROOT, "f");
    let mut stat = stat_zero();
    (stat.st_mode, stat.st_uid, stat.st_gid) = (FILE | 0o4711, 12345, 54321);
    (stat.st_size, stat.st_mtime) = (77, 99);
    let all = DFS_SET_ATTR_MODE
        | DFS_SET_ATTR_UID
        | DFS_SET_ATTR_GID
        | DFS_SET_ATTR_SIZE
        | DFS_SET_ATTR_MTIME;
    fs.setattr(file, &mut stat, all).unwrap();
    let there = fs.stat(ROOT, "f").unwrap();
    assert_eq!(
        (there.st_mode, there.st_uid, there.st_gid),
        (FILE | 0o4711, 12345, 54321)
    );
    assert_eq!((there.st_size, there.st_mtime), (77, 99));
    assert_eq!((stat.st_size, stat.st_mtime), (77, 99));
}

#[test]
fn quirk_chmod_refuses_the_sticky_bit_and_follows_links() {
    let fs = Fs::new();
    fs.file(ROOT, "f");
    fs.symlink(ROOT, "l", "f").unwrap();
    let chmod =
        |name: &str, mode| unsafe { (fs.api.dfs_chmod)(fs.dfs, ROOT, c(name).as_ptr(), mode) };
    assert_eq!(chmod("f", 0o1644), libc::ENOTSUP);
    assert_eq!(chmod("f", DIR | 0o644), libc::EINVAL);
    assert_eq!(chmod("l", 0o2711), 0);
    assert_eq!(fs.stat(ROOT, "f").unwrap().st_mode, FILE | 0o2711);
}

#[test]
fn quirk_chown_asks_nobody() {
    let fs = Fs::new();
    fs.file(ROOT, "f");
    fs.symlink(ROOT, "l", "f").unwrap();
    let chown = |name: &str, uid, gid, flags| unsafe {
        (fs.api.dfs_chown)(fs.dfs, ROOT, c(name).as_ptr(), uid, gid, flags)
    };
    assert_eq!(chown("l", 7, u32::MAX, 0), 0);
    assert_eq!(chown("l", 8, 9, libc::O_NOFOLLOW), 0);
    let (f, l) = (fs.stat(ROOT, "f").unwrap(), fs.stat(ROOT, "l").unwrap());
    assert_eq!((f.st_uid, f.st_gid), (7, unsafe { libc::getegid() }));
    assert_eq!((l.st_uid, l.st_gid), (8, 9));
}

#[test]
fn quirk_access_does_not_know_root() {
    let fs = Fs::new();
    fs.open(ROOT, "none", FILE, libc::O_CREAT | libc::O_RDWR)
        .unwrap();
    let access = fs.api.dfs_access.unwrap();
    let ask = |mask| unsafe { access(fs.dfs, ROOT, c("none").as_ptr(), mask) };
    assert_eq!(ask(libc::F_OK), 0);
    assert_eq!(ask(libc::R_OK), libc::EACCES);
}

#[test]
fn the_root_has_a_stat_by_no_name() {
    let fs = Fs::new();
    let mut stat = stat_zero();
    assert_eq!(
        unsafe { (fs.api.dfs_stat)(fs.dfs, ROOT, std::ptr::null(), &mut stat) },
        0
    );
    assert_eq!(stat.st_mode, DIR | 0o755);
    assert_eq!(fs.ostat(fs.root()).unwrap().st_mode, DIR | 0o755);
}

#[test]
fn open_stat_takes_the_owner() {
    let fs = Fs::new();
    let open_stat = fs.api.dfs_open_stat.unwrap();
    let (mut obj, mut stat) = (std::ptr::null_mut(), stat_zero());
    (stat.st_uid, stat.st_gid) = (11, 12);
    let (name, flags) = (c("f"), libc::O_CREAT | libc::O_RDWR);
    let mut open = |flags| unsafe {
        open_stat(
            fs.dfs,
            ROOT,
            name.as_ptr(),
            FILE | 0o640,
            flags,
            0,
            0,
            std::ptr::null(),
            &mut obj,
            &mut stat,
        )
    };
    assert_eq!(open(libc::O_RDWR), libc::ENOTSUP);
    assert_eq!(open(flags), 0);
    assert_eq!(
        (stat.st_uid, stat.st_gid, stat.st_mode),
        (11, 12, FILE | 0o640)
    );
    assert_eq!(fs.stat(ROOT, "f").unwrap().st_uid, 11);
}
