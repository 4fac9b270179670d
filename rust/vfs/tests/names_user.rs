//! Random histories of names as an ordinary user among files of others: permissions, ownership,
//! sticky directories. Prepared as root; without root there is nothing to prepare and it is the
//! same as names_random.
mod common;
mod random;

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

fn open_to_all(dir: &Path) {
    for entry in std::fs::read_dir(dir).unwrap().flatten() {
        let is_dir = entry.file_type().unwrap().is_dir();
        let mode = if is_dir { 0o777 } else { 0o666 };
        std::fs::set_permissions(entry.path(), PermissionsExt::from_mode(mode)).unwrap();
        if is_dir {
            open_to_all(&entry.path());
        }
    }
}

#[test]
fn random_histories_of_a_user_match_the_kernel() {
    let setting = |name: &str, default| std::env::var(name).map_or(default, |s| s.parse().unwrap());
    let first: u64 = setting("PIL4DFS_SEED", 1);
    let seeds = first..first + setting("PIL4DFS_SEEDS", 40);
    // SAFETY: cannot fail.
    let root = unsafe { libc::geteuid() } == 0;
    let mut prepared: Vec<_> = seeds.map(|seed| random::places("u", seed)).collect();
    if root {
        // things of root and of others first
        for (twins, r) in &mut prepared {
            twins.history(r, 150);
            twins.share();
        }
        let store = pil4dfs_embedded::test_store().root();
        std::fs::set_permissions(store, PermissionsExt::from_mode(0o777)).unwrap();
        open_to_all(store);
        let groups = [12347];
        // SAFETY: plain numbers; libc changes all threads.
        unsafe {
            assert_eq!(libc::setgroups(1, groups.as_ptr()), 0);
            assert_eq!(libc::setresgid(12345, 12345, 12345), 0);
            assert_eq!(libc::setresuid(12345, 12345, 12345), 0);
        }
        vfs::ops::after(common::process(), vfs::catalogue::credentials, [0; 6], 0);
    }
    for (twins, r) in &mut prepared {
        twins.history(r, 300);
        twins.remove();
        twins.close_all();
    }
}
