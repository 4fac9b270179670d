//! Mounts that come and go by call (Linux: mount(2) and umount(2)), for programs that link the library.
//!
//! A mount by call is connected before any path leads into it. An unmount refuses while something is
//! open; then paths lead there no more, calls still under way are waited for, and the connection is
//! given back. Not for processes that share their parent's memory.
use super::table::{below, clean};
use super::{ExplicitMount, Mount};
use crate::gate::Guarded;
use crate::process::Process;
use crate::{call, inherit, Errno};
use std::sync::atomic::Ordering;
use std::sync::Arc;

/// One caller of [`mount`] or [`unmount`] at a time.
static CHANGING: Guarded<()> = Guarded::new(());

/// How long an unmount waits for calls of other threads, in steps of a millisecond.
const PATIENCE: u32 = 1_000;

/// Connects to a container and lets it begin at a path, which need not exist. Blocks for the connect. `EINVAL` for a path that is relative, "/" or has
/// "..", `EBUSY` where a mount of ours is already, `ENOENT`, `EACCES`, ... as the connect fails (a line
/// of the log says more).
pub fn mount(p: &'static Process, wanted: &ExplicitMount) -> Result<(), Errno> {
    inherit::only_in_own_memory("a mount by call")?;
    let point = clean(wanted.point.as_bytes()).ok_or(Errno::EINVAL)?;
    let _alone = CHANGING.lock();
    if p.mounts.at(point.as_bytes()).is_some() {
        return Err(Errno::EBUSY);
    }
    // Lives on where the connect fails, too: a mount is never freed.
    let mount: &'static Mount = Box::leak(Box::new(Mount {
        by_call: true,
        dev: p.mounts.next_dev(),
        ..Mount::explicit(point, wanted)
    }));
    mount.bring_up()?;
    p.mounts.add(vec![mount]);
    // A mount may now lie below the kernel's working directory.
    if !p.cwd.is_ours() {
        p.cwd.changed_by_kernel(p);
    }
    Ok(())
}

/// Ends the mount at exactly this path. `EINVAL` where none is that was mounted by name, `EBUSY` while
/// a descriptor, the working directory or a mapping of this process is in it, or a mount below it.
pub fn unmount(p: &'static Process, path: &[u8]) -> Result<(), Errno> {
    inherit::only_in_own_memory("an unmount by call")?;
    let point = clean(path).ok_or(Errno::EINVAL)?;
    let _alone = CHANGING.lock();
    let mount = p.mounts.at(point.as_bytes()).ok_or(Errno::EINVAL)?;
    if mount.names().is_none() || mount.served_by_dfuse {
        return Err(Errno::EINVAL);
    }
    let under = |m: &'static Mount| !m.is_gone() && below(m.point.as_bytes(), point.as_bytes());
    if p.mounts.iter().any(under) || in_use(p, mount) {
        return Err(Errno::EBUSY);
    }
    mount.gone.store(true, Ordering::SeqCst);
    p.mounts.add(Vec::new());
    p.dcache.clear();
    if in_use(p, mount) || !wait_until(|| is_quiet(p, mount)) {
        mount.gone.store(false, Ordering::SeqCst);
        p.mounts.add(Vec::new());
        return Err(Errno::EBUSY);
    }
    mount.given_up.store(true, Ordering::Relaxed);
    mount.end(p);
    Ok(())
}

/// A descriptor, the working directory or a mapping is in the mount.
fn in_use(p: &'static Process, mount: &'static Mount) -> bool {
    let mut used = p.mappings.any_of(mount);
    p.fds
        .each(&mut |_, file| used |= std::ptr::eq(file.node.mount, mount));
    used || p
        .cwd
        .path()
        .and_then(Result::ok)
        .and_then(|path| p.mounts.locate(path.to_bytes()))
        .is_some_and(|(at, _)| std::ptr::eq(at, mount))
        || p.cwd
            .node()
            .is_some_and(|node| std::ptr::eq(node.mount, mount))
}

/// No call is inside: nobody but the mount itself holds a node of it.
fn is_quiet(p: &'static Process, mount: &'static Mount) -> bool {
    let Some(up) = mount.up.get() else {
        return true;
    };
    let hidden = mount.hidden.get();
    let own = |node: &Arc<_>| {
        Arc::ptr_eq(node, &up.root) || hidden.is_some_and(|hidden| Arc::ptr_eq(node, hidden))
    };
    let mut others = false;
    p.nodes.each(&mut |node| {
        others |= std::ptr::eq(node.mount, mount) && !own(node);
    });
    let of_hidden = hidden.map_or(0, |hidden| {
        usize::from(
            hidden
                .parent()
                .is_some_and(|parent| Arc::ptr_eq(&parent, &up.root)),
        )
    });
    !others && Arc::strong_count(&up.root) <= 1 + of_hidden
}

fn wait_until(mut what: impl FnMut() -> bool) -> bool {
    for _ in 0..PATIENCE {
        if what() {
            return true;
        }
        let pause = libc::timespec {
            tv_sec: 0,
            tv_nsec: 1_000_000,
        };
        // SAFETY: plain sleep.
        let _ = unsafe { call!(SYS_nanosleep, &raw const pause, 0) };
    }
    what()
}

impl Mount {
    /// The first use, before there are paths.
    fn bring_up(&'static self) -> Result<(), Errno> {
        self.fs().map(|_| ())
    }

    /// Gives the connection back. Calls that found their way in before the mount was gone begin no
    /// more; where one does not end, the connection stays until the process does.
    fn end(&'static self, p: &'static Process) {
        self.ended.store(true, Ordering::Release);
        let Some(up) = self.up.get() else { return };
        up.fs.bar();
        if !wait_until(|| is_quiet(p, self)) {
            log::warn!(
                "{}: unmounted, but a call does not end: the connection stays",
                self.shown()
            );
            return;
        }
        let mut kept = vec![&up.root.object];
        kept.extend(self.hidden.get().map(|hidden| &hidden.object));
        // SAFETY: barred, quiet, and the two are the nodes that outlive it.
        unsafe { up.fs.disconnect(&kept) };
    }
}
