//! The side of an exec that receives. The environment names a manifest; each of our descriptors is
//! the placeholder of the earlier image with a position that says which slot it is. What does not
//! fit together is left alone: the number then stays a dead placeholder, whose reads and writes fail.
use super::carry::imprinted;
use super::manifest::{is_file, Description, Manifest};
use super::{environment, identity};
use crate::fd::{placeholder, slot, Slot};
use crate::file::OpenFile;
use crate::mount::Mount;
use crate::node::Node;
use crate::ops::hidden;
use crate::ownfd::{self, OwnFd};
use crate::permission::Mode;
use crate::process::Process;
use crate::whereabouts::{at_path, last_move};
use crate::{call, Errno};
use dfs::{Handles, Kind};
use once_cell::sync::OnceCell;
use std::collections::HashMap;
use std::ffi::CString;
use std::sync::Arc;

/// Takes over what the image before this one left: descriptors, locks, working directory. To be
/// called once, in the constructor, after [`Process::set`]; answers the number of descriptors taken.
/// Connects to DAOS only if a descriptor is taken.
pub fn adopt(p: &'static Process) -> usize {
    identity::start();
    match environment::take_manifest() {
        Some(fd) => adopt_from(p, fd),
        None => 0,
    }
}

/// [`adopt`] of the manifest in this descriptor, which is closed.
pub fn adopt_from(p: &'static Process, fd: i32) -> usize {
    // A number that is nothing, or somebody's file, is not ours to close.
    if !looks_like_manifest(fd) {
        return 0;
    }
    let file = OwnFd::hide(fd);
    match Manifest::read(&file, identity::effective_ids()) {
        Ok(manifest) => take(p, &manifest),
        Err(e) => {
            log::warn!("descriptors of the program before this one are not taken over: {e}");
            0
        }
    }
}

fn looks_like_manifest(fd: i32) -> bool {
    // SAFETY: plain numbers; only memfds have seals.
    matches!(unsafe { call!(SYS_fcntl, fd, libc::F_GET_SEALS) }, Ok(seals) if seals as i32 & libc::F_SEAL_WRITE != 0)
}

fn take(p: &'static Process, manifest: &Manifest) -> usize {
    if !manifest.name.is_empty() {
        name_thread(&manifest.name);
    }
    if !manifest.program.is_empty() {
        let _ = PROGRAM.set(manifest.program.clone());
    }
    let (fd, dev, ino) = manifest.slots;
    if is_file(fd, dev, ino) && !slot::attach(fd) {
        log::warn!("the slot table of the program before this one cannot be used");
    }
    offer_handles(p, manifest);
    let same_process = manifest.pid == identity::getpid();
    if same_process {
        give_back(manifest);
    }
    let taken = take_descriptors(p, manifest, same_process);
    // Afterwards: a node that is only passed on the way would take its shadow's locks along.
    if same_process {
        take_shadows(p, manifest);
    }
    crate::holders::succeeded(manifest.holder);
    restore_cwd(p, manifest);
    taken
}

static PROGRAM: OnceCell<Vec<u8>> = OnceCell::new();

/// Where this program lies, if it runs from a copy: what `/proc/self/exe` leads to.
pub fn program() -> Option<&'static [u8]> {
    PROGRAM.get().map(Vec::as_slice)
}

/// The handles of mounts both images know.
fn offer_handles(p: &'static Process, manifest: &Manifest) {
    for m in &manifest.mounts {
        if let Some(mount) = p.mounts.at(&m.point).filter(|at| at.hash() == m.hash) {
            mount.offer(Handles {
                pool: m.pool.clone(),
                cont: m.cont.clone(),
                dfs: m.dfs.clone(),
                read_only: m.read_only,
                balanced: m.balanced,
                ordinal: m.ordinal,
                names: m.names.clone(),
            });
        }
    }
}

/// The references of descriptors that closed at the exec.
fn give_back(manifest: &Manifest) {
    for (index, generation) in &manifest.closed {
        drop(Slot::inherit(*index, *generation));
    }
}

/// The process's record locks live as long as these stay open.
fn take_shadows(p: &'static Process, manifest: &Manifest) {
    for (mount, oid, fd) in &manifest.shadows {
        if crate::lock::is_shadow(*fd) {
            p.locks.inherit(*mount, *oid, hidden(*fd));
        }
    }
}

fn take_descriptors(p: &'static Process, manifest: &Manifest, same_process: bool) -> usize {
    let (dev, ino) = manifest.placeholder;
    let mut files: HashMap<(u32, u32), Option<Arc<OpenFile>>> = HashMap::new();
    let (mut taken, mut unknown) = (0, 0);
    for fd in open_descriptors() {
        if !is_file(fd, dev, ino) {
            continue;
        }
        let known = |slot: &(u32, u32)| {
            manifest.descriptions.iter().any(|d| d.slot == *slot) && Slot::lives(slot.0, slot.1)
        };
        let Some(slot) = imprinted(fd).filter(known) else {
            unknown += 1;
            continue;
        };
        let file = files
            .entry(slot)
            .or_insert_with(|| open(p, manifest, slot, same_process));
        if let Some(file) = file {
            taken += usize::from(put(p, fd, file.clone()).is_ok());
        }
    }
    if unknown > 0 {
        log::warn!(
            "{unknown} inherited descriptors cannot be used: nothing says which files they are"
        );
    }
    taken
}

/// The description of a slot, as an open file; `None` (and one line) if it cannot be had.
fn open(
    p: &'static Process,
    manifest: &Manifest,
    slot: (u32, u32),
    same_process: bool,
) -> Option<Arc<OpenFile>> {
    let d = manifest.descriptions.iter().find(|d| d.slot == slot)?;
    let handle = Slot::inherit(slot.0, slot.1)?;
    if !same_process {
        // A program in between forked without us: its own reference stays where it is.
        handle.take();
    }
    match node(p, d) {
        Ok(node) => {
            let file = OpenFile::inherit(node, handle, d.flags);
            let [flock, record] = d
                .locks
                .map(|fd| crate::lock::is_shadow(fd).then(|| hidden(fd)));
            file.locks.inherit(flock, record);
            Some(file)
        }
        Err(e) => {
            log::error!(
                "inherited file {} cannot be opened again: {e}",
                String::from_utf8_lossy(&d.path)
            );
            None
        }
    }
}

/// The object of a description: at its path if it is still there, else by its handle's bytes.
fn node(p: &'static Process, d: &Description) -> Result<Arc<Node>, Errno> {
    let mount = p.mounts.at(&d.mount).ok_or(Errno::ENODEV)?;
    if let Some(node) = p.nodes.find(mount, d.oid) {
        return Ok(node);
    }
    if let Some(node) = hidden::find(p, mount, d.oid) {
        return Ok(node);
    }
    at_path(p, mount, &d.path, d.oid)
        .or_else(|e| match last_move(mount, d.oid) {
            Some(path) => at_path(p, mount, &path, d.oid),
            None => Err(e),
        })
        .or_else(|e| match d.blob.is_empty() {
            true => Err(e),
            false => by_handle(p, mount, d),
        })
}

fn by_handle(
    p: &'static Process,
    mount: &'static Mount,
    d: &Description,
) -> Result<Arc<Node>, Errno> {
    let object = mount.fs()?.import(&d.blob, mount.access())?;
    if object.id() != d.oid || object.kind() == Kind::Symlink {
        return Err(Errno::ESTALE);
    }
    let name = d.path.rsplit(|b| *b == b'/').next().unwrap_or(b"");
    let name = CString::new(name).map_err(|_| Errno::EINVAL)?;
    let node = p.nodes.intern(mount, object, Some(mount.root()?), name);
    let [mode, uid, gid] = d.mode;
    if mode != 0 {
        node.permissions.set(Mode { mode, uid, gid });
    }
    Ok(node)
}

/// The number becomes one of ours, on this process's own placeholder.
fn put(p: &'static Process, fd: i32, file: Arc<OpenFile>) -> Result<(), Errno> {
    // SAFETY: plain numbers.
    let flags = unsafe { call!(SYS_fcntl, fd, libc::F_GETFD) }?;
    placeholder::onto(fd, flags as i32 & libc::FD_CLOEXEC != 0)?;
    p.fds.adopt(fd, file)
}

fn restore_cwd(p: &'static Process, manifest: &Manifest) {
    let Some((place, dev, ino)) = &manifest.cwd else {
        return;
    };
    // Somebody in between went elsewhere: then the kernel's directory is the right one.
    if (*dev, *ino) != (0, 0) && !crate::cwd::kernel_cwd_is(*dev, *ino) {
        return;
    }
    match p.mounts.locate(place.path.to_bytes()) {
        // dfuse has it: the kernel is there already, and a look costs what the call would.
        Some((mount, _)) if mount.served_by_dfuse => {
            let _ = p.cwd.enter_path(p, &place.path);
        }
        Some(_) => p.cwd.enter_later(place.clone()),
        None => log::error!(
            "the working directory {} is in no mount of this program",
            place.path.to_string_lossy()
        ),
    }
}

/// A descriptor of ours that came through the exec: out of the application's sight.
fn hidden(fd: i32) -> OwnFd {
    let fd = OwnFd::inherited(fd);
    let _ = fd.set_cloexec(true);
    fd
}

/// Every open number of this process, from `/proc/self/fd`.
fn open_descriptors() -> Vec<i32> {
    let flags = libc::O_RDONLY | libc::O_DIRECTORY;
    let Ok(dir) = OwnFd::open(libc::AT_FDCWD, c"/proc/self/fd", flags, 0) else {
        return Vec::new();
    };
    let mut all = Vec::new();
    ownfd::for_names(&dir, &mut |name| {
        let number = std::str::from_utf8(name).ok();
        all.extend(number.and_then(|n| n.parse::<i32>().ok()));
    });
    all.retain(|fd| *fd != dir.raw());
    all
}

/// The kernel named the program after the descriptor it ran from.
fn name_thread(name: &[u8]) {
    let mut text = [0u8; 16];
    let n = name.len().min(15);
    text[..n].copy_from_slice(&name[..n]);
    // SAFETY: a NUL-terminated string of 16 bytes.
    let _ = unsafe { call!(SYS_prctl, libc::PR_SET_NAME, text.as_ptr()) };
}
