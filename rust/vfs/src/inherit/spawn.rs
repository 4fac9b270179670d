//! Before posix_spawn(3): its child shares our memory but not our descriptors, so a mount cannot be
//! brought up in it. What the child is going to use first is brought up by its parent. libc's list
//! of file actions is read for that: its layout has been the same since glibc 2.29, and what does
//! not look like it is left alone.
use crate::process::Process;
use crate::user;
use std::ffi::CStr;

/// `spawn_do_open` and `spawn_do_chdir` of glibc's list.
const OPEN: i32 = 2;
const CHDIR: i32 = 3;
/// Size of an entry, and where the path of an open and of a chdir lies in it.
const ENTRY: i64 = 32;
const OPEN_PATH: i64 = 16;
const CHDIR_PATH: i64 = 8;
/// Longer lists are nobody's.
const MANY: i32 = 4096;

/// Brings up the mounts that `path`, a program found by `PATH` (`search`), or a path of the file
/// actions lies in, unless they are. Errors are the child's to meet.
pub fn prepare(p: &'static Process, path: i64, actions: i64, search: bool) {
    if p.mounts.iter().all(|mount| mount.is_up()) {
        return;
    }
    let Ok(path) = user::path(path) else { return };
    match search && !path.to_bytes().contains(&b'/') {
        true => path_list(p),
        false => touch(p, path.to_bytes()),
    }
    if actions != 0 {
        let _ = each_path(actions, &mut |path| touch(p, path.to_bytes()));
    }
}

fn touch(p: &'static Process, path: &[u8]) {
    let mount = match path.first() {
        Some(b'/') => p.mounts.locate(path).map(|(mount, _)| mount),
        _ => p
            .cwd
            .path()
            .and_then(Result::ok)
            .and_then(|cwd| p.mounts.locate(cwd.to_bytes()).map(|(mount, _)| mount)),
    };
    if let Some(mount) = mount {
        let _ = mount.fs();
    }
}

fn path_list(p: &'static Process) {
    // SAFETY: the environment is read; nobody may change it beside other threads.
    let list = unsafe { libc::getenv(c"PATH".as_ptr()).as_ref() };
    // SAFETY: a string of the environment.
    let list = list.map_or(c"", |list| unsafe { CStr::from_ptr(list) });
    for dir in list.to_bytes().split(|b| *b == b':') {
        touch(p, dir);
    }
}

/// Every path of the list: `int allocated, used; struct *entries`.
fn each_path(actions: i64, f: &mut dyn FnMut(&CStr)) -> Result<(), crate::Errno> {
    let (allocated, used) = (user::get::<i32>(actions)?, user::get::<i32>(actions + 4)?);
    if !(0..=allocated.min(MANY)).contains(&used) {
        return Ok(());
    }
    let entries = user::get::<i64>(actions + 8)?;
    for i in 0..i64::from(used) {
        let entry = entries + i * ENTRY;
        let at = match user::get::<i32>(entry)? {
            OPEN => OPEN_PATH,
            CHDIR => CHDIR_PATH,
            _ => continue,
        };
        f(&user::path(user::get::<i64>(entry + at)?)?);
    }
    Ok(())
}
