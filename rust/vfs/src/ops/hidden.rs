//! Open files without a name: kept as `/.pil4dfs/<node>-<boot>-<table>/gone-<object>` of their
//! container until the last process of this node that has one open is done with it.
//!
//! Who has what open is in the table of [`crate::holders`]: whoever removes a name asks it, and
//! leaves word with the holders, the last of which removes the hidden name. What killed processes
//! leave is removed by the next one that hides something and finds it without a holder. Without
//! that table only this process's own open files are kept; the name then ends in its number.
use crate::credentials::read_file;
use crate::dirstream::HIDDEN;
use crate::holders::{self, GONE};
use crate::mount::Mount;
use crate::node::{Gone, Node};
use crate::process::Process;
use crate::{call, Errno};
use dfs::{Attr, DirCursor, Filesystem, Kind, ObjectId};
use std::ffi::{CStr, CString};
use std::sync::Arc;

/// Takes the name of a file that may be open away: out of sight if it is, else for good.
/// `node` is this process's own. One DFS call either way, more the first time something is hidden.
pub fn remove(
    p: &'static Process,
    node: Option<&Arc<Node>>,
    parent: &Arc<Node>,
    name: &CStr,
    attr: &Attr,
) -> Result<(), Errno> {
    match hide(p, node, parent, name, attr)? {
        true => Ok(()),
        false => parent.mount.fs()?.unlink(&parent.object, name),
    }
}

/// Moves a file that is open on this node out of sight; those that have it open are told. False,
/// and nothing done, if nobody has.
pub fn hide(
    p: &'static Process,
    node: Option<&Arc<Node>>,
    parent: &Arc<Node>,
    name: &CStr,
    attr: &Attr,
) -> Result<bool, Errno> {
    let mount = parent.mount;
    let key = holders::key(mount.hash(), attr.oid);
    match node {
        // it may be on its way to be opened by another thread
        Some(node) => node.list(),
        None if !holders::is_held(key, true) => return Ok(false),
        None => {}
    }
    let (fs, dir) = (mount.fs()?, directory(p, mount)?);
    let hidden = file_name(attr.oid);
    fs.rename(
        &parent.object,
        name,
        attr,
        &dir.object,
        &hidden,
        None,
        false,
    )?;
    holders::tell(key, GONE);
    if let Some(node) = node {
        lies(node, dir, &hidden, attr);
    } else if !holders::is_held(key, true) {
        // the last holder went meanwhile, and did not know
        let _ = fs.unlink(&dir.object, &hidden);
    }
    Ok(true)
}

/// The node's entry now is the hidden one.
fn lies(node: &Node, dir: &Arc<Node>, name: &CStr, attr: &Attr) {
    let mut place = node.place.lock().unwrap_or_else(|e| e.into_inner());
    let old = place.parent.replace(dir.clone());
    place.name = name.into();
    place.gone = Some(Gone {
        attr: *attr,
        hidden: true,
    });
    drop(place);
    drop(old);
    let _ = node.object.renamed(&dir.object, name);
}

/// Another process of this node has hidden the file of this node.
pub(crate) fn learn(node: &Node) {
    let Some(p) = Process::get() else { return };
    let Ok(dir) = directory(p, node.mount) else {
        return;
    };
    let name = file_name(node.oid);
    let _ = node.object.renamed(&dir.object, &name);
    let attr = node.object.attr().unwrap_or_else(|_| node.remembered());
    lies(node, dir, &name, &attr);
}

/// The node of a file that is hidden, for a program that was handed it.
pub(crate) fn find(p: &'static Process, mount: &'static Mount, oid: ObjectId) -> Option<Arc<Node>> {
    if holders::news_of(holders::key(mount.hash(), oid)) & GONE == 0 {
        return None;
    }
    let (fs, dir) = (mount.fs().ok()?, directory(p, mount).ok()?);
    let name = file_name(oid);
    let (object, attr) = fs.lookup(&dir.object, &name, mount.access()).ok()?;
    (object.id() == oid && attr.kind() != Kind::Directory)
        .then(|| p.nodes.intern_entry(dir, &name, object, &attr))
}

/// A node's end: it is not open in this process any more. The last holder removes a hidden name.
pub(crate) fn last_use(node: &mut Node) {
    let listed = node.hold.is_taken();
    let told = node.hold.release() & GONE != 0;
    let elsewhere = *node.elsewhere.get_mut();
    let place = node.place.lock().unwrap_or_else(|e| e.into_inner());
    let known = place.gone.as_ref().is_some_and(|gone| gone.hidden);
    drop(place);
    if node.kind == Kind::Directory || !(told || known) || (elsewhere && !listed) {
        return;
    }
    if !holders::is_held(node.key(), true) {
        destroy(node);
    }
}

fn destroy(node: &Node) {
    let Some(p) = Process::get() else { return };
    if let (Ok(fs), Ok(dir)) = (node.mount.fs(), directory(p, node.mount)) {
        if fs.is_away() {
            return; // swept later; many files must not wait for the servers one by one
        }
        let _ = fs.unlink(&dir.object, &file_name(node.oid));
    }
}

fn file_name(oid: ObjectId) -> CString {
    let name = format!("gone-{:016x}{:016x}", oid.hi, oid.lo);
    let name = match holders::identity() {
        Some(_) => name,
        // SAFETY: no arguments.
        None => format!("{name}.{}", unsafe { call!(SYS_getpid) }.unwrap_or(0)),
    };
    CString::new(name).unwrap_or_default()
}

/// The directory of this node, boot and table, made on first use.
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

/// `<node name>-<boot id>-<table>`: those who can say whether a file in it is open.
fn node_name() -> CString {
    let mut buf = [0u8; 256];
    let mut text = read_file(c"/proc/sys/kernel/hostname", &mut buf)
        .trim_ascii()
        .to_vec();
    text.truncate(150);
    text.push(b'-');
    text.extend_from_slice(read_file(c"/proc/sys/kernel/random/boot_id", &mut buf).trim_ascii());
    if let Some((dev, ino)) = holders::identity() {
        text.extend_from_slice(format!("-{dev:x}.{ino:x}").as_bytes());
    }
    CString::new(text).unwrap_or_else(|_| c"node".into())
}

/// Removes what processes of this node left that are no more.
fn sweep(fs: &Arc<Filesystem>, dir: &Node) {
    if holders::identity().is_some() && holders::is_unsure() {
        return;
    }
    let mut cursor = DirCursor::start();
    while !cursor.at_end() {
        let Ok(names) = dir.object.read_names(&mut cursor, 128) else {
            return;
        };
        for name in names.iter() {
            if is_abandoned(dir.mount, name)
                && fs.unlink(&dir.object, name).is_err_and(|e| e.is_outage())
            {
                return;
            }
        }
    }
}

/// Nobody has the file of this hidden name open.
fn is_abandoned(mount: &Mount, name: &CStr) -> bool {
    let text = name.to_str().ok().and_then(|n| n.strip_prefix("gone-"));
    let Some((hex, rest)) = text.and_then(|t| t.split_at_checked(32)) else {
        return false;
    };
    let number = |text: Option<&str>| u64::from_str_radix(text.unwrap_or("-"), 16);
    let (Ok(hi), Ok(lo)) = (number(hex.get(..16)), number(hex.get(16..))) else {
        return false;
    };
    match rest.strip_prefix('.').map(str::parse::<i64>) {
        Some(Ok(pid)) => {
            // SAFETY: signal 0 only asks.
            let asked = unsafe { call!(SYS_kill, pid, 0) };
            asked == Err(Errno::ESRCH)
        }
        Some(Err(_)) => false,
        None => !holders::is_held(holders::key(mount.hash(), ObjectId { lo, hi }), true),
    }
}
