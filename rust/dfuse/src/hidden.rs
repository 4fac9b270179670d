//! Open files without a name. DFS destroys a file with its name, so one that is still open here is
//! moved to `/.pil4dfs/dfuse-<host>-<boot>-<pid>/` of its container first; the last close removes it.
//! What killed servers of this host left is removed by the next one that hides something.
use crate::container::Container;
use dfs::{Attr, DirCursor, Errno, Object, ObjectId, Result};
use std::ffi::{CStr, CString};

/// The directory of the library's own hidden files; not listed.
pub const TOP: &CStr = c".pil4dfs";

/// Moves a file out of sight; `object` is its open handle.
pub fn hide(
    container: &Container,
    dir: &Object,
    name: &CStr,
    attr: &Attr,
    object: Option<&Object>,
) -> Result<()> {
    let hidden = directory(container)?;
    let new = file_name(attr.oid);
    container
        .fs
        .rename(dir, name, attr, hidden, &new, None, false)?;
    if let Some(object) = object {
        let _ = object.renamed(hidden, &new);
    }
    Ok(())
}

/// Removes a hidden file for good.
pub fn destroy(container: &Container, oid: ObjectId) {
    if let Some(dir) = container.hidden.get() {
        let _ = container.fs.unlink(dir, &file_name(oid));
    }
}

/// Removes our directory with all it holds.
pub fn remove_directory(container: &Container) {
    if container.hidden.get().is_some() {
        if let Ok((top, _)) = container
            .fs
            .open(container.fs.root(), TOP, container.access())
        {
            remove_in(container, &top, &own_name());
        }
    }
}

fn file_name(oid: ObjectId) -> CString {
    CString::new(format!("gone-{:016x}{:016x}", oid.hi, oid.lo)).unwrap_or_default()
}

/// Our directory, made at the first use.
fn directory(container: &Container) -> Result<&Object> {
    if let Some(dir) = container.hidden.get() {
        return Ok(dir);
    }
    let top = enter(container, container.fs.root(), TOP)?;
    let dir = enter(container, &top, &own_name())?;
    sweep(container, &top);
    Ok(container.hidden.get_or_init(|| dir))
}

fn enter(container: &Container, parent: &Object, name: &CStr) -> Result<Object> {
    // SAFETY: both cannot fail.
    let owner = unsafe { (libc::geteuid(), libc::getegid()) };
    match container.fs.mkdir(parent, name, 0o1777, owner) {
        Ok(()) | Err(Errno::EEXIST) => {}
        Err(e) => return Err(e),
    }
    Ok(container.fs.open(parent, name, container.access())?.0)
}

/// `dfuse-<host>-<boot>-`: what the directories of this host's servers begin with.
fn host() -> String {
    let read = |path| std::fs::read_to_string(path).unwrap_or_default();
    let name = read("/proc/sys/kernel/hostname");
    let name: String = name.trim().chars().take(60).collect();
    format!(
        "dfuse-{name}-{}-",
        read("/proc/sys/kernel/random/boot_id").trim()
    )
}

fn own_name() -> CString {
    CString::new(format!("{}{}", host(), std::process::id())).unwrap_or_default()
}

/// Removes the directories of servers of this host that are no more.
fn sweep(container: &Container, top: &Object) {
    let prefix = host();
    for name in names(top) {
        let pid = name.to_str().ok().and_then(|n| n.strip_prefix(&prefix));
        let Some(pid) = pid.and_then(|p| p.parse::<i32>().ok()) else {
            continue;
        };
        // SAFETY: signal 0 only asks.
        let alive = unsafe { libc::kill(pid, 0) } == 0
            || std::io::Error::last_os_error().raw_os_error() != Some(libc::ESRCH);
        if !alive {
            remove_in(container, top, &name);
        }
    }
}

fn remove_in(container: &Container, top: &Object, name: &CStr) {
    if let Ok((dir, _)) = container.fs.open(top, name, container.access()) {
        for file in names(&dir) {
            let _ = container.fs.unlink(&dir, &file);
        }
        let _ = container.fs.rmdir(top, name);
    }
}

fn names(dir: &Object) -> Vec<CString> {
    let (mut cursor, mut all) = (DirCursor::start(), Vec::new());
    while !cursor.at_end() {
        match dir.read_names(&mut cursor, 128) {
            Ok(batch) => all.extend(batch),
            Err(_) => break,
        }
    }
    all
}
