//! io_submit(2), what libaio is made of. A request on a descriptor of ours is done at once; then
//! the kernel is given one that ends at once with the same result - a write of as many bytes to
//! /dev/null - so that the event arrives in the context's own ring, where the application looks.
use super::{data, sync};
use crate::ownfd::OwnFd;
use crate::process::Process;
use crate::{call, fail, user, Errno, Op, Reject};
use once_cell::sync::OnceCell;

const PREAD: u16 = 0;
const PWRITE: u16 = 1;
const FSYNC: u16 = 2;
const FDSYNC: u16 = 3;
const PREADV: u16 = 7;
const PWRITEV: u16 = 8;

/// The kernel's `struct iocb` (linux/aio_abi.h).
#[derive(Clone, Copy)]
#[repr(C)]
struct Request {
    data: u64,
    #[cfg(target_endian = "little")]
    key: u32,
    rw_flags: i32,
    #[cfg(target_endian = "big")]
    key: u32,
    opcode: u16,
    priority: i16,
    fd: u32,
    buf: u64,
    bytes: u64,
    offset: i64,
    reserved: u64,
    flags: u32,
    event_fd: u32,
}

/// `io_submit(ctx, count, iocbs)`: how many were taken. An error of ours is the call's own, as if
/// the request had been refused, and only of the first request.
pub fn io_submit(p: &'static Process, a: [i64; 6]) -> Op<i64> {
    let (count, list) = (a[1], a[2]);
    if !(0..count)
        .map_while(|i| request(list, i).ok())
        .any(|(_, r)| is_ours(p, &r))
    {
        return Err(Reject::NotOurs);
    }
    for done in 0..count {
        match submit(p, a[0], list, done) {
            Ok(()) => {}
            Err(_) if done > 0 => return Ok(done),
            Err(e) => return Err(e),
        }
    }
    Ok(count)
}

/// One request of the application's array, and where it lies.
fn request(list: i64, index: i64) -> Result<(i64, Request), Errno> {
    let slot = list.wrapping_add(index.wrapping_mul(8));
    let at = user::get::<i64>(slot)?;
    Ok((at, user::get::<Request>(at)?))
}

fn is_ours(p: &'static Process, request: &Request) -> bool {
    p.fds.get(request.fd as i32).is_ok()
}

fn submit(p: &'static Process, ctx: i64, list: i64, index: i64) -> Op<()> {
    let (at, mut asked) = request(list, index)?;
    if !is_ours(p, &asked) {
        return one(ctx, at);
    }
    let n = serve(p, &asked)?;
    let stand_in = Request {
        opcode: PWRITE,
        rw_flags: 0,
        fd: nowhere()? as u32,
        // Never looked at: what is written to /dev/null is not read.
        buf: 4096,
        bytes: n as u64,
        offset: 0,
        ..asked
    };
    // The event names the application's own request, so that is what the kernel must be given.
    user::put(at, stand_in)?;
    let taken = one(ctx, at);
    asked.key = 0;
    user::put(at, asked)?;
    taken
}

/// Gives one request to the kernel.
fn one(ctx: i64, at: i64) -> Op<()> {
    // SAFETY: an array of one pointer; the kernel checks what it points to.
    unsafe { call!(SYS_io_submit, ctx, 1, &raw const at) }?;
    Ok(())
}

/// Does what a request asks for: bytes moved, or 0.
fn serve(p: &'static Process, r: &Request) -> Op<i64> {
    let fd = i64::from(r.fd as i32);
    let file = p.fds.get_data(fd as i32)?;
    if r.reserved != 0 {
        return fail(Errno::EINVAL);
    }
    let single = [r.buf, r.bytes];
    let (iov, len) = match r.opcode {
        PREAD | PWRITE if (r.bytes as i64) < 0 => return fail(Errno::EINVAL),
        PREAD | PWRITE => (single.as_ptr() as i64, 1),
        _ => (r.buf as i64, r.bytes as i64),
    };
    // A position of -1 is one, and not the file's own.
    let args = [fd, iov, len, r.offset, 1, i64::from(r.rw_flags)];
    match r.opcode {
        PREAD | PREADV => data::preadv2(p, args),
        // A full ring makes the application ask again: harmless at a place, twice the bytes here.
        PWRITE | PWRITEV if file.slot.flags() & libc::O_APPEND != 0 => fail(Errno::EINVAL),
        PWRITE | PWRITEV => data::pwritev2(p, args),
        FSYNC => sync::fsync(p, [fd, 0, 0, 0, 0, 0]),
        FDSYNC => sync::fdatasync(p, [fd, 0, 0, 0, 0, 0]),
        _ => fail(Errno::EINVAL),
    }
}

/// A descriptor of /dev/null, opened at its first use.
fn nowhere() -> Result<i32, Errno> {
    static NOWHERE: OnceCell<OwnFd> = OnceCell::new();
    let open = || OwnFd::open(libc::AT_FDCWD, c"/dev/null", libc::O_WRONLY, 0);
    Ok(NOWHERE.get_or_try_init(open)?.raw())
}
