//! stat(2) in its general form, and statx(2).
use crate::ops::outside;
use crate::process::Process;
use crate::resolve::{self, settle, Options, Seen};
use crate::{fail, user, Errno, Op};

const STAT_FLAGS: i32 = libc::AT_SYMLINK_NOFOLLOW | libc::AT_NO_AUTOMOUNT | libc::AT_EMPTY_PATH;

/// `statat(dirfd, path, buf, flags)`
pub fn statat(p: &'static Process, a: [i64; 6]) -> Op<i64> {
    let flags = a[3] as i32;
    let seen = settle(resolve::attributes(
        p,
        a[0],
        a[1],
        &Options::from_flags(flags),
    ))?;
    if flags & !STAT_FLAGS != 0 {
        return fail(Errno::EINVAL);
    }
    let mut stat = match seen? {
        Seen::Outside(path) => return outside::at(libc::SYS_newfstatat, &path, 0, a),
        Seen::Attr(attr, _) => attr.stat,
    };
    p.credentials.ids().show(&mut stat);
    user::put(a[2], stat)?;
    Ok(0)
}

/// `statx(dirfd, path, flags, mask, buf)`. There is no birth time; the mask says so.
pub fn statx(p: &'static Process, a: [i64; 6]) -> Op<i64> {
    let flags = a[2] as i32;
    let seen = settle(resolve::attributes(
        p,
        a[0],
        a[1],
        &Options::from_flags(flags),
    ))?;
    let sync = libc::AT_STATX_FORCE_SYNC | libc::AT_STATX_DONT_SYNC;
    if flags & !(STAT_FLAGS | sync) != 0
        || flags & sync == sync
        || a[3] as u32 & libc::STATX__RESERVED as u32 != 0
    {
        return fail(Errno::EINVAL);
    }
    let (attr, mount) = match seen? {
        Seen::Outside(path) => return outside::at(libc::SYS_statx, &path, 0, a),
        Seen::Attr(attr, mount) => (attr, mount),
    };
    let is_root = mount.root().is_ok_and(|root| root.oid == attr.oid);
    let mut stat = attr.stat;
    p.credentials.ids().show(&mut stat);
    user::put(a[4], extended(&stat, is_root))?;
    Ok(0)
}

fn extended(s: &libc::stat, is_root: bool) -> libc::statx {
    // SAFETY: a plain C structure.
    let mut x: libc::statx = unsafe { std::mem::zeroed() };
    let set = |time: &mut libc::statx_timestamp, sec, nsec| {
        (time.tv_sec, time.tv_nsec) = (sec, nsec as u32);
    };
    set(&mut x.stx_atime, s.st_atime, s.st_atime_nsec);
    set(&mut x.stx_mtime, s.st_mtime, s.st_mtime_nsec);
    set(&mut x.stx_ctime, s.st_ctime, s.st_ctime_nsec);
    x.stx_mask = libc::STATX_BASIC_STATS;
    x.stx_blksize = s.st_blksize as u32;
    x.stx_attributes_mask = libc::STATX_ATTR_MOUNT_ROOT as u64;
    if is_root {
        x.stx_attributes = libc::STATX_ATTR_MOUNT_ROOT as u64;
    }
    x.stx_nlink = s.st_nlink as u32;
    (x.stx_uid, x.stx_gid) = (s.st_uid, s.st_gid);
    x.stx_mode = s.st_mode as u16;
    x.stx_ino = s.st_ino;
    x.stx_size = s.st_size as u64;
    x.stx_blocks = s.st_blocks as u64;
    x.stx_dev_major = libc::major(s.st_dev);
    x.stx_dev_minor = libc::minor(s.st_dev);
    x
}
