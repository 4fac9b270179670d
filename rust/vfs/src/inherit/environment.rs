//! The environment of a new program: as the caller gave it, but the library stays preloaded, the
//! settings of this process are completed where a stripped environment lacks them, and a manifest
//! is named. `PIL4DFS_EXEC_ENV=leave`, in the caller's or this process's environment, keeps all but
//! the last of that away.
use super::scratch::Scratch;
use crate::{user, Errno};
use once_cell::sync::OnceCell;
use std::ffi::{c_char, CStr, CString};

/// The variable that names the manifest's descriptor.
pub const MANIFEST: &str = "PIL4DFS_EXEC";

/// The loader's search path.
pub const SEARCH: &str = "LD_LIBRARY_PATH";

/// What the loader loads first.
pub const PRELOAD: &str = "LD_PRELOAD";

/// What an exec must change in an environment.
#[derive(Default)]
pub struct Changes<'a> {
    /// The manifest's descriptor.
    pub manifest: Option<i32>,
    /// What `LD_LIBRARY_PATH` must be.
    pub search: Option<&'a [u8]>,
    /// What `LD_PRELOAD` must be, before the library itself is added.
    pub preload: Option<&'a [u8]>,
    /// Complete nothing.
    pub leave: bool,
}

/// What every program started from here should see.
#[derive(Default, Debug)]
pub struct Kept {
    /// Path of this library as it was preloaded; `None`: it is linked, nothing to re-assert.
    pub library: Option<CString>,
    /// `NAME=value` of every setting of this process (`D_IL_*`, `PIL4DFS_*`, ...).
    pub settings: Vec<CString>,
    /// `PIL4DFS_EXEC_ENV=leave` holds for this process.
    pub leave: bool,
}

static KEPT: OnceCell<Kept> = OnceCell::new();

/// Says what programs started from here should see; once, at start.
pub fn keep(kept: Kept) {
    let _ = KEPT.set(kept);
}

extern "C" {
    static mut environ: *mut *mut c_char;
}

/// Runs `start` with the settings this process began with: DAOS reads its environment when it is
/// started, which the program may have emptied by then (`env -i`). Other threads see the same
/// variables and those beside them meanwhile.
pub fn with_settings<T>(start: impl FnOnce() -> T) -> T {
    let none = Kept::default();
    let kept = KEPT.get().unwrap_or(&none);
    let mut all = Vec::new();
    // SAFETY: the array of this process, ending in null; nobody may change it beside other threads.
    let given = unsafe { environ };
    if strings(given as i64, &mut all).is_err() {
        return start();
    }
    let count = all.len();
    for setting in &kept.settings {
        let name = name_of(setting);
        if !all[..count].iter().any(|s| name_of(at(*s)) == name) {
            all.push(setting.as_ptr());
        }
    }
    if all.len() == count {
        return start();
    }
    all.push(std::ptr::null());
    // Never freed: who has read the pointer may go on reading.
    let completed: &'static mut [*const c_char] = Vec::leak(all);
    // SAFETY: a complete array takes the place of another, by one store.
    unsafe { environ = completed.as_mut_ptr().cast() };
    let result = start();
    // SAFETY: as before; what was set meanwhile was put back by who set it.
    unsafe { environ = given };
    result
}

/// Reads a null-terminated array of strings of the application. `EFAULT`.
pub fn strings(array: i64, into: &mut Vec<*const c_char>) -> Result<(), Errno> {
    if array == 0 {
        return Ok(());
    }
    for i in 0.. {
        match user::get::<usize>(array + i * size_of::<usize>() as i64)? {
            0 => return Ok(()),
            s => into.push(s as *const c_char),
        }
    }
    Ok(())
}

/// The value of a variable in the application's array; empty without.
pub fn value(envp: i64, name: &str) -> Result<Vec<u8>, Errno> {
    let mut all = Vec::new();
    strings(envp, &mut all)?;
    for s in all {
        user::readable(s as i64, 1)?;
        if is_named(at(s), name) {
            return Ok(at(s).to_bytes()[name.len()..]
                .get(1..)
                .unwrap_or(b"")
                .to_vec());
        }
    }
    Ok(Vec::new())
}

/// Fills `scratch.envp` from the application's `envp`, changed. True if it differs from what the
/// application gave.
pub fn build(scratch: &mut Scratch, envp: i64, changes: &Changes<'_>) -> Result<bool, Errno> {
    strings(envp, &mut scratch.envp)?;
    for s in &scratch.envp {
        user::readable(*s as i64, 1)?;
    }
    let given = scratch.envp.len();
    scratch.envp.retain(|s| !is_named(at(*s), MANIFEST));
    let mut changed = scratch.envp.len() != given;
    let none = Kept::default();
    let kept = KEPT.get().unwrap_or(&none);
    let leave = changes.leave
        || scratch
            .envp
            .iter()
            .any(|s| at(*s).to_bytes() == b"PIL4DFS_EXEC_ENV=leave");
    for (name, value) in [(PRELOAD, changes.preload), (SEARCH, changes.search)] {
        if let Some(value) = value {
            scratch.envp.retain(|s| !is_named(at(*s), name));
            let text = [name.as_bytes(), b"=", value].concat();
            let text = CString::new(text).map_err(|_| Errno::EINVAL)?;
            scratch.envp.push(text.as_ptr());
            scratch.strings.push(text);
            changed = true;
        }
    }
    if !kept.leave && !leave {
        changed |= complete(scratch, kept);
    }
    if let Some(fd) = changes.manifest {
        let text = CString::new(format!("{MANIFEST}={fd}")).map_err(|_| Errno::EINVAL)?;
        scratch.envp.push(text.as_ptr());
        scratch.strings.push(text);
        changed = true;
    }
    scratch.envp.push(std::ptr::null());
    Ok(changed)
}

fn complete(scratch: &mut Scratch, kept: &Kept) -> bool {
    let mut changed = false;
    if let Some(library) = &kept.library {
        changed |= preload(scratch, library);
    }
    for setting in &kept.settings {
        let name = name_of(setting);
        if !scratch.envp.iter().any(|s| name_of(at(*s)) == name) {
            scratch.envp.push(setting.as_ptr());
            changed = true;
        }
    }
    changed
}

/// Makes sure `LD_PRELOAD` names the library, after what else it names.
fn preload(scratch: &mut Scratch, library: &CStr) -> bool {
    let place = scratch.envp.iter().position(|s| is_named(at(*s), PRELOAD));
    let old = place.map_or(&b""[..], |i| &at(scratch.envp[i]).to_bytes()[11..]);
    let library = library.to_bytes();
    if old
        .split(|b| matches!(b, b':' | b' '))
        .any(|l| l == library)
    {
        return false;
    }
    let mut text = b"LD_PRELOAD=".to_vec();
    if !old.is_empty() {
        text.extend_from_slice(old);
        text.push(b':');
    }
    text.extend_from_slice(library);
    let Ok(text) = CString::new(text) else {
        return false;
    };
    match place {
        Some(i) => scratch.envp[i] = text.as_ptr(),
        None => scratch.envp.push(text.as_ptr()),
    }
    scratch.strings.push(text);
    true
}

/// A string of the array, which was probed when it was read.
fn at<'a>(s: *const c_char) -> &'a CStr {
    // SAFETY: execve(2)'s caller promises strings; they outlive the call.
    unsafe { CStr::from_ptr(s) }
}

fn name_of(s: &CStr) -> &[u8] {
    s.to_bytes().split(|b| *b == b'=').next().unwrap_or(b"")
}

fn is_named(s: &CStr, name: &str) -> bool {
    name_of(s) == name.as_bytes()
}

/// Takes out of this process's environment what only the way here needed: the manifest's number,
/// which is answered, and our part of the library search path, which the loader has read. Only
/// before other threads exist.
pub fn take_manifest() -> Option<i32> {
    // SAFETY: at start nobody else reads or changes the array; libc owns it.
    let mut entry = unsafe { environ };
    let mut found = None;
    if entry.is_null() {
        return None;
    }
    // SAFETY: the array ends in null; entries are moved down over removed ones.
    unsafe {
        let mut to = entry;
        while !(*entry).is_null() {
            let text = CStr::from_ptr(*entry);
            let kept = match text {
                text if is_named(text, MANIFEST) => {
                    let number = &text.to_bytes()[MANIFEST.len()..];
                    found = number
                        .get(1..)
                        .and_then(|n| std::str::from_utf8(n).ok()?.parse().ok());
                    None
                }
                text if is_named(text, SEARCH) => search_as_given(text),
                _ => Some(text.as_ptr()),
            };
            if let Some(kept) = kept {
                *to = kept.cast_mut();
                to = to.add(1);
            }
            entry = entry.add(1);
        }
        *to = std::ptr::null_mut();
    }
    found.filter(|fd| *fd >= 0)
}

/// `LD_LIBRARY_PATH=...` without our part; `None` if nothing is left.
fn search_as_given(text: &CStr) -> Option<*const c_char> {
    let old = text.to_bytes()[SEARCH.len()..].get(1..).unwrap_or(b"");
    let new = super::libraries::without_ours(old);
    if new == old {
        return Some(text.as_ptr());
    }
    let whole = [SEARCH.as_bytes(), b"=", &new].concat();
    match new.is_empty() {
        true => None,
        // The environment owns it from now on.
        false => CString::new(whole).ok().map(|s| s.into_raw().cast_const()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(list: &[&CStr]) -> Vec<*const c_char> {
        let mut v: Vec<_> = list.iter().map(|s| s.as_ptr()).collect();
        v.push(std::ptr::null());
        v
    }

    fn texts(scratch: &Scratch) -> Vec<String> {
        let all = scratch.envp.iter().filter(|s| !s.is_null());
        all.map(|s| at(*s).to_string_lossy().into_owned()).collect()
    }

    #[test]
    fn the_environment_is_completed_not_replaced() {
        let kept = Kept {
            library: Some(c"/lib/libpil4dfs.so.0".into()),
            settings: vec![
                c"D_IL_MOUNT_POINT=/dfs".into(),
                c"PIL4DFS_RUNDIR=/run/x".into(),
            ],
            leave: false,
        };
        let mut s = Scratch::default();
        let given = env(&[
            c"A=1",
            c"LD_PRELOAD=libother.so",
            c"D_IL_MOUNT_POINT=/other",
        ]);
        strings(given.as_ptr() as i64, &mut s.envp).unwrap();
        assert!(complete(&mut s, &kept));
        assert_eq!(
            texts(&s),
            [
                "A=1",
                "LD_PRELOAD=libother.so:/lib/libpil4dfs.so.0",
                "D_IL_MOUNT_POINT=/other",
                "PIL4DFS_RUNDIR=/run/x"
            ]
        );
        assert!(!complete(&mut s, &kept));
    }

    #[test]
    fn an_old_manifest_is_not_passed_on() {
        let mut s = Scratch::default();
        let given = env(&[c"PIL4DFS_EXEC=9", c"B=2"]);
        let changes = Changes {
            manifest: Some(600),
            ..Changes::default()
        };
        assert!(build(&mut s, given.as_ptr() as i64, &changes).unwrap());
        assert_eq!(texts(&s), ["B=2", "PIL4DFS_EXEC=600"]);
        let mut s = Scratch::default();
        let given = env(&[c"B=2"]);
        assert!(!build(&mut s, given.as_ptr() as i64, &Changes::default()).unwrap());
    }
}
