//! The side of an exec that sends. Each descriptor that survives says itself what it is: it gets a
//! description of the placeholder of its own, whose position is generation and slot - which outlives
//! dup, fork and programs that never heard of us. The [`Manifest`] describes the slots.
//! Everything is put back when the exec fails ([`Carry`] is dropped); a success never returns.
use super::manifest::{Description, Manifest, Mounted};
use super::{identity, in_shared_child};
use crate::fd::{placeholder, slot};
use crate::file::OpenFile;
use crate::gate::image;
use crate::holders::Holder;
use crate::mount::Mount;
use crate::ownfd::OwnFd;
use crate::process::Process;
use crate::{call, filter, ownfd, Errno};
use dfs::{Kind, ObjectId};

/// A process state on its way to a new program. It owns nothing but the manifest's descriptor: in
/// a child that shares our memory it is never dropped.
pub struct Carry {
    p: &'static Process,
    manifest: OwnFd,
    /// Holds what survives until the new program does; goes with the failed exec.
    _holder: Option<Holder>,
    shared: bool,
}

/// True if there may be something to pass on; a few loads where there is not.
pub fn is_needed(p: &'static Process) -> bool {
    let mut ours = p.cwd.is_ours();
    ours |= (0..filter::end()).any(|fd| filter::fd_is(fd) == filter::OURS);
    p.locks.each(&mut |_, _, _| ours = true);
    ours || p.mounts.iter().any(Mount::can_pass)
}

impl Carry {
    /// Prepares descriptors and manifest; `None` when nothing is ours to pass on. `name` and
    /// `program`: what the program should be called and where it lies, if the kernel will not know.
    pub fn prepare(
        p: &'static Process,
        name: &[u8],
        program: &[u8],
    ) -> Result<Option<Carry>, Errno> {
        let shared = in_shared_child();
        let mut manifest = Manifest {
            pid: identity::getpid(),
            ids: identity::effective_ids(),
            slots: (-1, 0, 0),
            name: name.to_vec(),
            program: program.to_vec(),
            ..Manifest::default()
        };
        let unlocked = sort(p, shared, &mut manifest)?;
        if let Some(Ok(place)) = p.cwd.whereabouts() {
            let (dev, ino) = p.cwd.parked_identity();
            manifest.cwd = Some((place, dev, ino));
        }
        if !shared {
            p.locks.each(&mut |mount, oid, fd| {
                if !unlocked.contains(&(mount, oid)) {
                    manifest.shadows.push((mount, oid, fd.raw()));
                }
            });
        }
        manifest.mounts = p.mounts.iter().filter_map(mounted).collect();
        if manifest.is_empty() {
            return Ok(None);
        }
        if let Some(fd) = slot::descriptor() {
            let st = ownfd::stat_of(fd)?;
            manifest.slots = (fd, st.st_dev, st.st_ino);
            manifest.placeholder = placeholder::identity()?;
        }
        let holder = Holder::successor(&listed(p));
        manifest.holder = holder.as_ref().map_or(-1, Holder::raw);
        let carry = Carry {
            p,
            manifest: manifest.write()?,
            _holder: holder,
            shared,
        };
        carry.announce(&manifest);
        Ok(Some(carry))
    }

    /// The manifest's number, to be named in the environment.
    pub fn manifest(&self) -> i32 {
        self.manifest.raw()
    }

    /// Lets the new program have what the manifest names.
    fn announce(&self, manifest: &Manifest) {
        let _ = self.manifest.set_cloexec(false);
        keep_over_exec(manifest.slots.0, true);
        for fd in manifest.descriptions.iter().flat_map(|d| d.locks) {
            keep_over_exec(fd, true);
        }
        for (_, _, fd) in &manifest.shadows {
            keep_over_exec(*fd, true);
        }
        self.each_file(&mut |file| {
            if self.shared {
                file.slot.take();
            }
        });
    }

    /// Every surviving open file once.
    fn each_file(&self, f: &mut dyn FnMut(&OpenFile)) {
        let mut seen = Vec::new();
        self.p.fds.each(&mut |fd, file| {
            let slot = (file.slot.index(), file.slot.generation());
            if survives(fd) == Some(true) && !seen.contains(&slot) {
                seen.push(slot);
                f(file);
            }
        });
    }
}

/// The exec failed.
impl Drop for Carry {
    fn drop(&mut self) {
        if let Some(fd) = slot::descriptor() {
            keep_over_exec(fd, false);
        }
        self.each_file(&mut |file| {
            file.locks.set_cloexec(true);
            if self.shared {
                file.slot.give();
            }
        });
        self.p
            .locks
            .each(&mut |_, _, fd| keep_over_exec(fd.raw(), false));
    }
}

/// What survives of the open objects, once each.
fn listed(p: &'static Process) -> Vec<u64> {
    let mut keys = Vec::new();
    p.fds.each(&mut |fd, file| {
        if file.node.hold.is_taken() && survives(fd) == Some(true) {
            keys.push(file.node.key());
        }
    });
    keys.sort_unstable();
    keys.dedup();
    keys
}

/// Which open files survive, and which close. Answers the objects of which a descriptor closes: the
/// process's record locks on them go.
fn sort(
    p: &'static Process,
    shared: bool,
    manifest: &mut Manifest,
) -> Result<Vec<(u64, ObjectId)>, Errno> {
    let mut failed = None;
    let (mut closing, mut objects) = (Vec::new(), Vec::new());
    p.fds.each(&mut |fd, file| {
        let slot = (file.slot.index(), file.slot.generation());
        match survives(fd) {
            Some(true) => {}
            Some(false) => {
                objects.push((file.node.mount.hash(), file.node.oid));
                return closing.push(slot);
            }
            None => return,
        }
        if let Err(e) = imprint(fd, slot) {
            failed = Some(e);
        }
        if manifest.descriptions.iter().all(|d| d.slot != slot) {
            manifest.descriptions.push(describe(file, slot));
        }
    });
    if !shared {
        closing.retain(|slot| manifest.descriptions.iter().all(|d| d.slot != *slot));
        closing.sort_unstable();
        closing.dedup();
        manifest.closed = closing;
    }
    failed.map_or(Ok(objects), Err)
}

/// Whether a number stays open over an exec; `None` if the kernel does not know it.
fn survives(fd: i32) -> Option<bool> {
    // SAFETY: no memory involved.
    let flags = unsafe { call!(SYS_fcntl, fd, libc::F_GETFD) }.ok()?;
    Some(flags as i32 & libc::FD_CLOEXEC == 0)
}

/// Gives the number a description of the placeholder that says which slot it is.
fn imprint(fd: i32, (index, generation): (u32, u32)) -> Result<(), Errno> {
    let new = placeholder::reopen(fd)?;
    let position = i64::from(generation & 0x7fff_ffff) << 32 | i64::from(index);
    // SAFETY: descriptors of ours and plain numbers.
    let done = unsafe {
        call!(SYS_lseek, new, position, libc::SEEK_SET)
            .and_then(|_| call!(SYS_dup3, new, fd, 0))
            .map(drop)
    };
    // SAFETY: the descriptor just made.
    let _ = unsafe { call!(SYS_close, new) };
    done
}

/// What an imprinted descriptor says: slot index and generation.
pub fn imprinted(fd: i32) -> Option<(u32, u32)> {
    // SAFETY: plain numbers.
    let position = unsafe { call!(SYS_lseek, fd, 0, libc::SEEK_CUR) }.ok()?;
    let slot = (position as u32, (position >> 32) as u32);
    (slot.0 != 0 && slot.1 != 0).then_some(slot)
}

fn describe(file: &OpenFile, slot: (u32, u32)) -> Description {
    let node = &file.node;
    let path = node
        .last_path()
        .map_or(Vec::new(), |(path, _)| path.into_bytes());
    // For want of a path that leads to it. A removed file is found under its hidden name; a
    // directory has none. (In a fork child the handle's bytes first cost a re-attach.)
    let blob = match image() == 1 || (node.is_gone() && node.kind == Kind::Directory) {
        true => node.object.export().unwrap_or_default(),
        false => Vec::new(),
    };
    let mode = node.permissions.get(u64::MAX);
    Description {
        slot,
        flags: file.flags_access,
        oid: node.oid,
        mount: node.mount.point.as_bytes().to_vec(),
        path,
        blob,
        mode: mode.map_or([0; 3], |m| [m.mode, m.uid, m.gid]),
        locks: file.locks.export(),
    }
}

/// The handles of a mount: they stay valid, and the new program need not connect. Also those this
/// program was given and never needed (env, nice, timeout).
fn mounted(mount: &'static Mount) -> Option<Mounted> {
    let handles = mount.to_pass()?;
    Some(Mounted {
        point: mount.point.as_bytes().to_vec(),
        hash: mount.hash(),
        pool: handles.pool,
        cont: handles.cont,
        dfs: handles.dfs,
        read_only: handles.read_only,
        balanced: handles.balanced,
        ordinal: handles.ordinal,
        names: handles.names,
    })
}

fn keep_over_exec(fd: i32, keep: bool) {
    if fd >= 0 {
        let flag = if keep { 0 } else { libc::FD_CLOEXEC };
        // SAFETY: plain numbers.
        let _ = unsafe { call!(SYS_fcntl, fd, libc::F_SETFD, flag) };
    }
}
