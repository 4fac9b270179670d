//! statfs(2): the pool's space, in bytes, as dfuse shows it.
use crate::mount::Mount;
use crate::ops::outside;
use crate::process::Process;
use crate::resolve::{self, Follow, Options, Seen};
use crate::{user, Op};
use std::sync::atomic::{AtomicBool, Ordering};

/// `DAOS_SUPER_MAGIC`: what MPI-IO layers with a driver for DAOS look for.
const MAGIC: i64 = 0xDA05_AD10;
/// What a dfuse shows: `FUSE_SUPER_MAGIC`.
const FUSE_MAGIC: i64 = 0x6573_5546;
static AS_DFUSE: AtomicBool = AtomicBool::new(false);
const ST_VALID: i64 = 0x20;

/// From now on `f_type` is that of a dfuse: the MPI of this program has no driver for DAOS, and some
/// (ROMIO in MPICH 4.0) refuse every file of a type they know and cannot serve.
pub fn set_type_of_dfuse() {
    AS_DFUSE.store(true, Ordering::Relaxed);
}

/// `statfs(path, buf)`
pub fn statfs(p: &'static Process, a: [i64; 6]) -> Op<i64> {
    let options = Options::new(Follow::Yes);
    let at = i64::from(libc::AT_FDCWD);
    let mount = match resolve::attributes(p, at, a[0], &options)? {
        Seen::Outside(path) => return outside::path(libc::SYS_statfs, &path, 0, a),
        Seen::Attr(_, mount) => mount,
    };
    fill(mount, a[1])
}

/// `fstatfs(fd, buf)`
pub fn fstatfs(p: &'static Process, a: [i64; 6]) -> Op<i64> {
    fill(p.fds.get(a[0] as i32)?.node.mount, a[1])
}

/// The kernel's `struct statfs` on 64-bit machines (libc's declaration hides the flags).
#[repr(C)]
#[derive(Clone, Copy)]
struct Statfs {
    kind: i64,
    block: i64,
    blocks: u64,
    free: u64,
    available: u64,
    files: u64,
    files_free: u64,
    id: [u32; 2],
    name_max: i64,
    fragment: i64,
    flags: i64,
    spare: [i64; 4],
}

const _: () = assert!(size_of::<Statfs>() == size_of::<libc::statfs>());

fn fill(mount: &'static Mount, buf: i64) -> Op<i64> {
    let space = mount.fs()?.space()?;
    let read_only = if mount.is_read_only() {
        libc::ST_RDONLY
    } else {
        0
    };
    let flags = read_only | libc::ST_NOSUID | libc::ST_NODEV | libc::ST_NOATIME;
    let s = Statfs {
        kind: match AS_DFUSE.load(Ordering::Relaxed) {
            true => FUSE_MAGIC,
            false => MAGIC,
        },
        block: 1,
        blocks: space.total,
        free: space.free,
        available: space.free,
        files: u64::MAX,
        files_free: u64::MAX,
        id: [mount.dev as u32, 0],
        name_max: 255,
        fragment: 1,
        flags: ST_VALID | flags as i64,
        spare: [0; 4],
    };
    user::put(buf, s)?;
    Ok(0)
}
