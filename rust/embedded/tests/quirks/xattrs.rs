//! Extended attributes.
use crate::fixture::*;

#[test]
fn quirk_create_and_replace_are_not_enforced() {
    let fs = Fs::new();
    let file = fs.file(ROOT, "f");
    fs.setxattr(file, "any name", b"1", libc::XATTR_REPLACE)
        .unwrap();
    fs.setxattr(file, "any name", b"2", libc::XATTR_CREATE)
        .unwrap();
    assert_eq!(fs.getxattr(file, "any name", 5).unwrap(), b"2");
}

#[test]
fn quirk_a_short_buffer_is_e2big() {
    let fs = Fs::new();
    let file = fs.file(ROOT, "f");
    fs.setxattr(file, "user.x", b"12345", 0).unwrap();
    assert_eq!(fs.getxattr(file, "user.x", 3), Err((libc::E2BIG, 5)));
    let mut size = 0;
    let name = c("user.x");
    let get = fs.api.dfs_getxattr;
    assert_eq!(
        unsafe { get(fs.dfs, file, name.as_ptr(), std::ptr::null_mut(), &mut size) },
        0
    );
    assert_eq!(size, 5);
    fs.setxattr(file, "user.empty", b"", 0).unwrap();
    assert_eq!(fs.getxattr(file, "user.empty", 5).unwrap(), b"");
}

#[test]
fn quirk_a_missing_attribute_is_enodata_to_get_and_enoent_to_remove() {
    let fs = Fs::new();
    let file = fs.file(ROOT, "f");
    assert_eq!(fs.getxattr(file, "user.x", 5), Err((libc::ENODATA, 5)));
    assert_eq!(fs.removexattr(file, "user.x"), Err(libc::ENOENT));
    fs.setxattr(file, "user.x", b"1", 0).unwrap();
    fs.removexattr(file, "user.x").unwrap();
    assert_eq!(fs.getxattr(file, "user.x", 5), Err((libc::ENODATA, 5)));
}

#[test]
fn quirk_a_short_list_is_cut_without_a_word() {
    let fs = Fs::new();
    let file = fs.file(ROOT, "f");
    fs.setxattr(file, "user.aa", b"1", 0).unwrap();
    fs.setxattr(file, "user.bb", b"2", 0).unwrap();
    assert_eq!(fs.listxattr(file, 16), (b"user.aa\0user.bb\0".to_vec(), 16));
    assert_eq!(fs.listxattr(file, 10), (b"user.aa\0\0\0".to_vec(), 16));
}

#[test]
fn quirk_limits_are_einval() {
    let fs = Fs::new();
    let file = fs.file(ROOT, "f");
    fs.setxattr(file, &"x".repeat(255), &[1; 65536], 0).unwrap();
    assert_eq!(
        fs.getxattr(file, &"x".repeat(255), 65536).unwrap().len(),
        65536
    );
    assert_eq!(
        fs.setxattr(file, "user.big", &[1; 65537], 0),
        Err(libc::EINVAL)
    );
    assert_eq!(
        fs.setxattr(file, &"x".repeat(256), b"", 0),
        Err(libc::EINVAL)
    );
}

#[test]
fn links_and_directories_have_them_too() {
    let fs = Fs::new();
    fs.symlink(ROOT, "l", "x").unwrap();
    let link = fs.lookup("/l", libc::O_RDWR | libc::O_NOFOLLOW).unwrap().0;
    fs.setxattr(link, "user.x", b"1", 0).unwrap();
    assert_eq!(fs.getxattr(link, "user.x", 5).unwrap(), b"1");
    assert_eq!(fs.lookup("/l", libc::O_NOFOLLOW).unwrap().1.st_size, 1);
    let root = fs.root();
    fs.setxattr(root, "user.x", b"2", 0).unwrap();
    assert_eq!(fs.getxattr(root, "user.x", 5).unwrap(), b"2");
}

#[test]
fn lookupx_answers_size_zero_for_what_is_not_there() {
    let fs = Fs::new();
    let dir = fs.dir(ROOT, "d");
    fs.setxattr(dir, "user.daos", b"value", 0).unwrap();
    let lookupx = fs.api.dfs_lookupx.unwrap();
    let (mut obj, mut mode, mut stat) = (std::ptr::null_mut(), 0, stat_zero());
    let (one, two) = (c("user.daos"), c("user.none"));
    let mut names = [one.as_ptr().cast_mut(), two.as_ptr().cast_mut()];
    let (mut first, mut second) = ([0u8; 170], [0u8; 170]);
    let mut values = [first.as_mut_ptr().cast(), second.as_mut_ptr().cast()];
    let mut sizes = [170u64, 170];
    let rc = unsafe {
        let (n, v, s) = (names.as_mut_ptr(), values.as_mut_ptr(), sizes.as_mut_ptr());
        lookupx(
            fs.dfs,
            ROOT,
            c("d").as_ptr(),
            libc::O_RDONLY,
            &mut obj,
            &mut mode,
            &mut stat,
            2,
            n,
            v,
            s,
        )
    };
    assert_eq!((rc, sizes, &first[..5]), (0, [5, 0], b"value".as_slice()));
}
