//! Open files without a name: kept as `/.pil4dfs/<node>-<boot>/<object>.<pid>` of their container
//! until the last close.
//!
//! Each hidden name has a file of the run directory locked shared by the processes that inherited
//! the open file (the lock goes with the last of them); what a killed process left is removed by the
//! next one on the node that hides something and finds it unlocked, its process gone.
use crate::dirstream::HIDDEN;
use crate::gate::Guarded;
use crate::mount::Mount;
use crate::node::{Gone, Node};
use crate::ownfd::OwnFd;
use crate::permission::read_file;
use crate::process::Process;
use crate::{call, rundir, Errno};
use dfs::{Attr, DirCursor, Filesystem, ObjectId};
use std::ffi::{CStr, CString};
use std::sync::Arc;

/// The locks of what this process hid.
static LOCKS: Guarded<Vec<(ObjectId, OwnFd)>> = Guarded::new(Vec::new());

/// Moves an open file out of sight; its node knows. Two DFS calls, more the first time.
pub fn hide(
    p: &'static Process,
    node: &Arc<Node>,
    parent: &Arc<Node>,
    name: &CStr,
    attr: &Attr,
) -> Result<(), Errno> {
    let fs = node.mount.fs()?;
    let dir = directory(p, node.mount)?;
    // SAFETY: no arguments.
    let pid = unsafe { call!(SYS_getpid) }.unwrap_or(0);
    let hidden = file_name(node.oid, pid);
    if let Ok(lock) = lock_file(&hidden, libc::LOCK_SH) {
        LOCKS.lock().push((node.oid, lock));
    }
    fs.rename(
        &parent.object,
        name,
        attr,
        &dir.object,
        &hidden,
        None,
        false,
    )?;
    let mut place = node.place.lock().unwrap_or_else(|e| e.into_inner());
    place.parent = Some(dir.clone());
    place.name = hidden.clone();
    place.gone = Some(Gone {
        attr: *attr,
        hidden: true,
    });
    drop(place);
    let _ = node.object.renamed(&dir.object, &hidden);
    Ok(())
}

/// Removes the hidden name: the last open description is gone.
pub fn destroy_hidden(_p: &Process, node: &Node) {
    destroy(node);
}

/// As [`destroy_hidden`], also from the node's own end. Does nothing the second time.
pub(crate) fn destroy(node: &Node) {
    let (dir, name) = {
        let mut place = node.place.lock().unwrap_or_else(|e| e.into_inner());
        match &mut place.gone {
            Some(gone) if gone.hidden => gone.hidden = false,
            _ => return,
        }
        (place.parent.clone(), place.name.clone())
    };
    if let (Some(dir), Ok(fs)) = (dir, node.mount.fs()) {
        let _ = fs.unlink(&dir.object, &name);
    }
    if let Some(path) = name.to_str().ok().and_then(|name| rundir::file(name).ok()) {
        // SAFETY: a string.
        let _ = unsafe { call!(SYS_unlinkat, libc::AT_FDCWD, path.as_ptr(), 0) };
    }
    let mut locks = LOCKS.lock();
    let mine = locks.iter().position(|(oid, _)| *oid == node.oid);
    let lock = mine.map(|i| locks.swap_remove(i));
    drop(locks);
    drop(lock);
}

fn file_name(oid: ObjectId, pid: i64) -> CString {
    CString::new(format!("gone-{:016x}{:016x}.{pid}", oid.hi, oid.lo)).unwrap_or_default()
}

fn lock_file(name: &CStr, how: i32) -> Result<OwnFd, Errno> {
    let fd = rundir::open(
        name.to_str().map_err(|_| Errno::EINVAL)?,
        libc::O_RDWR | libc::O_CREAT,
    )?;
    // SAFETY: no memory involved.
    unsafe { call!(SYS_flock, fd.raw(), how | libc::LOCK_NB) }?;
    Ok(fd)
}

/// The directory of this node and boot, made on first use.
fn directory(p: &'static Process, mount: &'static Mount) -> Result<&'static Arc<Node>, Errno> {
    mount.hidden_dir(|| {
        let fs = mount.fs()?;
        let root = mount.root()?;
        let top = enter(p, fs, &root, HIDDEN)?;
        let dir = enter(p, fs, &top, &node_name())?;
        sweep(fs, &dir);
        Ok(dir)
    })
}

fn enter(
    p: &'static Process,
    fs: &Arc<Filesystem>,
    parent: &Arc<Node>,
    name: &CStr,
) -> Result<Arc<Node>, Errno> {
    match fs.mkdir(&parent.object, name, 0o1777, p.credentials.ids().owner()) {
        Ok(()) | Err(Errno::EEXIST) => {}
        Err(e) => return Err(e),
    }
    let (object, attr) = fs.lookup(&parent.object, name, parent.mount.access())?;
    Ok(p.nodes.intern_entry(parent, name, object, &attr))
}

/// `<node name>-<boot id>`: pids mean something within it only.
fn node_name() -> CString {
    let mut buf = [0u8; 256];
    let mut text = read_file(c"/proc/sys/kernel/hostname", &mut buf)
        .trim_ascii()
        .to_vec();
    text.truncate(180);
    text.push(b'-');
    text.extend_from_slice(read_file(c"/proc/sys/kernel/random/boot_id", &mut buf).trim_ascii());
    CString::new(text).unwrap_or_else(|_| c"node".into())
}

/// Removes what processes of this node left that are no more.
fn sweep(fs: &Arc<Filesystem>, dir: &Node) {
    let mut cursor = DirCursor::start();
    while !cursor.at_end() {
        let Ok(names) = dir.object.read_names(&mut cursor, 128) else {
            return;
        };
        for name in names.iter().filter(|name| is_abandoned(name)) {
            let _ = fs.unlink(&dir.object, name);
        }
    }
}

fn is_abandoned(name: &CStr) -> bool {
    let pid = name
        .to_str()
        .ok()
        .and_then(|n| n.rsplit_once('.')?.1.parse::<i64>().ok());
    let Some(pid) = pid else { return false };
    // SAFETY: signal 0 only asks.
    if unsafe { call!(SYS_kill, pid, 0) } != Err(Errno::ESRCH) {
        return false;
    }
    match lock_file(name, libc::LOCK_EX) {
        Ok(_) => {
            if let Some(path) = name.to_str().ok().and_then(|n| rundir::file(n).ok()) {
                // SAFETY: a string.
                let _ = unsafe { call!(SYS_unlinkat, libc::AT_FDCWD, path.as_ptr(), 0) };
            }
            true
        }
        Err(_) => false,
    }
}
