//! Giving a mount back: one that dfuse serves too is the kernel's to unmount.
use crate::ops::{after, outside};
use crate::process::Process;
use crate::resolve::start_node;
use crate::user::PathBuffer;
use crate::{Errno, Op};

/// `umount2(target, flags)`: at the mount point of a dfuse the kernel decides (`EBUSY` while
/// somebody is in it), and its mount table is looked at before the next path. `EPERM` elsewhere in
/// a mount.
pub fn umount2(p: &'static Process, a: [i64; 6]) -> Op<i64> {
    let mut buffer = PathBuffer::new();
    let path = buffer.copy(a[0])?;
    let only_dots = |rest: &[u8]| rest.split(|&b| b == b'/').all(|n| matches!(n, b"" | b"."));
    let mount = match path.first() {
        Some(b'/') => p
            .mounts
            .locate(path)
            .filter(|(_, at)| only_dots(&path[*at..])),
        Some(_) if only_dots(path) => {
            let node = start_node(p, libc::AT_FDCWD.into())?;
            node.object.is_root().then_some((node.mount, 0))
        }
        _ => None,
    };
    match mount {
        Some((mount, _)) if mount.served_by_dfuse => {
            let done = outside::path(libc::SYS_umount2, &mount.point, 0, a);
            p.mounts.look_soon();
            done
        }
        _ => after::refuse(p, libc::AT_FDCWD.into(), a[0], Errno::EPERM),
    }
}
