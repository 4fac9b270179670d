//! Walking paths and symbolic links.
use crate::fixture::*;

fn found(fs: &Fs, path: &str) -> Result<u32, i32> {
    fs.lookup(path, libc::O_RDONLY)
        .map(|(_, stat)| stat.st_mode & libc::S_IFMT)
}

#[test]
fn paths_start_at_the_root() {
    let fs = Fs::new();
    let dir = fs.dir(ROOT, "dir");
    fs.file(dir, "f");
    assert_eq!(found(&fs, "/"), Ok(DIR));
    assert_eq!(found(&fs, "//dir///f"), Ok(FILE));
    assert_eq!(found(&fs, "dir/f"), Err(libc::EINVAL));
    assert_eq!(found(&fs, "/none"), Err(libc::ENOENT));
}

#[test]
fn quirk_a_file_in_the_middle_is_enoent_and_a_slash_after_one_is_nothing() {
    let fs = Fs::new();
    fs.file(ROOT, "f");
    assert_eq!(found(&fs, "/f/x"), Err(libc::ENOENT));
    assert_eq!(found(&fs, "/f/"), Ok(FILE));
}

#[test]
fn quirk_dotdot_only_between_names() {
    let fs = Fs::new();
    let dir = fs.dir(ROOT, "dir");
    fs.mkdir(dir, "sub").unwrap();
    fs.file(ROOT, "f");
    assert_eq!(found(&fs, "/dir/../f"), Ok(FILE));
    assert_eq!(found(&fs, "/dir/.."), Err(libc::ENOTSUP));
    assert_eq!(found(&fs, "/dir/sub/../../f"), Err(libc::ENOTSUP));
    assert_eq!(found(&fs, "/dir/./../f"), Err(libc::ENOTSUP));
    assert_eq!(found(&fs, "/dir/./f"), Err(libc::ENOTSUP));
    assert_eq!(found(&fs, "/../f"), Err(libc::ENOENT));
}

#[test]
fn quirk_absolute_links_work_only_in_the_root() {
    let fs = Fs::new();
    let dir = fs.dir(ROOT, "dir");
    fs.file(dir, "f");
    fs.symlink(ROOT, "abs", "/dir/f").unwrap();
    fs.symlink(dir, "abs", "/dir/f").unwrap();
    fs.symlink(dir, "rel", "f").unwrap();
    assert_eq!(found(&fs, "/abs"), Ok(FILE));
    assert_eq!(found(&fs, "/dir/abs"), Err(libc::EINVAL));
    assert_eq!(found(&fs, "/dir/rel"), Ok(FILE));
    fs.symlink(ROOT, "d", "dir").unwrap();
    assert_eq!(found(&fs, "/d/rel"), Ok(FILE));
    assert_eq!(
        fs.lookup("/d", libc::O_NOFOLLOW).map(|f| f.1.st_mode),
        Ok(LINK | 0o777)
    );
}

#[test]
fn quirk_links_to_dots_are_not_supported() {
    let fs = Fs::new();
    for target in [".", "..", "a/.."] {
        fs.symlink(ROOT, "l", target).unwrap();
        assert_eq!(found(&fs, "/l"), Err(libc::ENOTSUP));
        fs.remove(ROOT, "l", false).unwrap();
    }
}

#[test]
fn links_end_in_eloop_and_enoent() {
    let fs = Fs::new();
    fs.symlink(ROOT, "loop", "loop").unwrap();
    fs.symlink(ROOT, "dangling", "none").unwrap();
    assert_eq!(found(&fs, "/loop"), Err(libc::ELOOP));
    assert_eq!(found(&fs, "/dangling"), Err(libc::ENOENT));
    assert_eq!(fs.symlink(ROOT, "loop", "x"), Err(libc::EEXIST));
}

#[test]
fn quirk_an_empty_link_is_eio_for_ever() {
    let fs = Fs::new();
    fs.symlink(ROOT, "empty", "").unwrap();
    assert_eq!(found(&fs, "/empty"), Err(libc::EIO));
    assert_eq!(fs.stat(ROOT, "empty").map(|_| ()), Err(libc::EIO));
}

#[test]
fn quirk_a_links_value_counts_its_nul_and_is_cut_without_a_word() {
    let fs = Fs::new();
    fs.symlink(ROOT, "l", "target").unwrap();
    let (link, stat) = fs.lookup("/l", libc::O_NOFOLLOW).unwrap();
    assert_eq!(stat.st_size, 6);
    let (mut text, mut size) = ([1u8; 16], 16u64);
    let get = fs.api.dfs_get_symlink_value;
    assert_eq!(unsafe { get(link, text.as_mut_ptr().cast(), &mut size) }, 0);
    assert_eq!((&text[..8], size), (b"target\0\x01".as_slice(), 7));
    size = 4;
    assert_eq!(unsafe { get(link, text.as_mut_ptr().cast(), &mut size) }, 0);
    assert_eq!((&text[..4], size), (b"tar\0".as_slice(), 7));
    assert_eq!(
        unsafe { get(fs.file(ROOT, "f"), text.as_mut_ptr().cast(), &mut size) },
        libc::EINVAL
    );
}

#[test]
fn quirk_the_prefix_is_plain_text() {
    let fs = Fs::new();
    fs.file(ROOT, "e");
    let set = fs.api.dfs_set_prefix.unwrap();
    assert_eq!(unsafe { set(fs.dfs, c("/mnt/x").as_ptr()) }, 0);
    assert_eq!(found(&fs, "/mnt/x/e"), Ok(FILE));
    assert_eq!(found(&fs, "/other/e"), Err(libc::EINVAL));
    assert_eq!(found(&fs, "/mnt/xyz/e"), Err(libc::ENOENT));
}
