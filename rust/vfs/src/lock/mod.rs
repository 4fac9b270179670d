//! Locks on files of a mount, among the processes of one user on one node.
//!
//! DFS has none, so the kernel keeps them on files of the run-time directory: record locks
//! (fcntl(2)) on one shadow file per object, flock(2) and the write-at-end lock as one byte of a
//! file common to all objects. Owners are the kernel's: the process for `F_SETLK`, the open file
//! description for `F_OFD_SETLK` and flock, whose [`Description`] is a kernel description of its
//! own, shared over fork and exec like the one it stands for. A killed process leaves no lock.
mod append;
mod beside;
mod description;
mod record;
mod shadow;
mod wait;

pub use append::Append;
pub use description::Description;
pub use record::Locks;
pub use wait::{set_later, LATER};

use crate::node::Node;
use crate::ownfd::OwnFd;
use crate::Errno;

/// Where an object's byte is in a common file: 62 bits that all processes compute alike.
fn byte_of(node: &Node) -> i64 {
    (mix(mix(node.mount.hash(), node.oid.hi), node.oid.lo) >> 2) as i64
}

/// Takes the object's byte of a common file for the description `file`, without waiting.
/// `EAGAIN` while another description has it.
pub fn claim_byte(file: &OwnFd, node: &Node) -> Result<(), Errno> {
    claim_at(file, byte_of(node))
}

/// [`claim_byte`] of any byte.
pub(crate) fn claim_at(file: &OwnFd, byte: i64) -> Result<(), Errno> {
    fcntl_lock(file.raw(), libc::F_OFD_SETLK, &mut range(WRITE, byte, 1)).map(drop)
}

/// Takes a byte together with others that share it.
pub(crate) fn share_byte(file: &OwnFd, byte: i64) -> Result<(), Errno> {
    fcntl_lock(file.raw(), libc::F_OFD_SETLK, &mut range(READ, byte, 1)).map(drop)
}

/// True if another description than `file` has the byte, or nobody can say.
pub(crate) fn is_claimed(file: &OwnFd, byte: i64) -> bool {
    let mut lock = range(WRITE, byte, 1);
    let asked = fcntl_lock(file.raw(), libc::F_OFD_GETLK, &mut lock);
    asked.is_err() || lock.l_type != UNLOCK
}

fn mix(seed: u64, value: u64) -> u64 {
    let x = (seed ^ value).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let x = (x ^ (x >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93);
    x ^ (x >> 29)
}

/// True if a descriptor that came through an exec can be an owner of locks: a file of this user's,
/// open for reading and writing, of size 0.
pub(crate) fn is_shadow(fd: i32) -> bool {
    let plain = |st: libc::stat| st.st_mode & libc::S_IFMT == libc::S_IFREG && st.st_size == 0;
    // SAFETY: plain numbers.
    let mode = unsafe { crate::call!(SYS_fcntl, fd, libc::F_GETFL) };
    fd >= 0
        && mode.is_ok_and(|m| m as i32 & libc::O_ACCMODE == libc::O_RDWR)
        && crate::ownfd::stat_of(fd).is_ok_and(plain)
}

/// One byte, or a range, as the kernel takes it (`len` 0: to the end).
fn range(kind: i16, start: i64, len: i64) -> libc::flock {
    // SAFETY: flock is plain data; all zeros is a value of it.
    let mut lock: libc::flock = unsafe { std::mem::zeroed() };
    lock.l_type = kind;
    lock.l_whence = libc::SEEK_SET as i16;
    lock.l_start = start;
    lock.l_len = len;
    lock
}

/// fcntl(2) with a lock argument.
fn fcntl_lock(fd: i32, cmd: i32, lock: &mut libc::flock) -> Result<i64, Errno> {
    // SAFETY: the kernel reads, and for F_GETLK writes, the struct.
    unsafe { crate::call!(SYS_fcntl, fd, cmd, std::ptr::from_mut(lock)) }
}

const READ: i16 = libc::F_RDLCK as i16;
const WRITE: i16 = libc::F_WRLCK as i16;
const UNLOCK: i16 = libc::F_UNLCK as i16;
