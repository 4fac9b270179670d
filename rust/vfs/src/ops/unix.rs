//! bind(2) and connect(2) with a UNIX socket's path: DFS keeps no sockets, and the kernel must not
//! make one below a mount point, or where a relative path would lead it.
use crate::process::Process;
use crate::resolve::{self, Follow, Located, Options};
use crate::{call, fail, user, Errno, Op, Reject};
use std::ffi::CStr;

/// `bind(fd, addr, len)`: `EPERM`, as from file systems without special files; `EADDRINUSE` where
/// the name is taken.
pub fn bind(p: &'static Process, a: [i64; 6]) -> Op<i64> {
    match locate(p, a, Follow::No)? {
        Located::Missing(_) => fail(Errno::EPERM),
        Located::Outside(path) => elsewhere(libc::SYS_bind, &path, a),
        _ => fail(Errno(libc::EADDRINUSE)),
    }
}

/// `connect(fd, addr, len)`: `ENOENT`, or `ECONNREFUSED` from whatever is there.
pub fn connect(p: &'static Process, a: [i64; 6]) -> Op<i64> {
    match locate(p, a, Follow::Yes)? {
        Located::Missing(_) => fail(Errno::ENOENT),
        Located::Outside(path) => elsewhere(libc::SYS_connect, &path, a),
        _ => fail(Errno(libc::ECONNREFUSED)),
    }
}

/// Where the address leads. What is no UNIX socket hears the kernel's own answer.
fn locate(p: &'static Process, a: [i64; 6], follow: Follow) -> Op<Located> {
    if domain(a[0]) != Some(libc::AF_UNIX) {
        return Err(Reject::NotOurs);
    }
    let mut address = empty();
    let room = address.sun_path.len();
    let len = (a[2] as usize).saturating_sub(HEAD).min(room);
    let path = a[1] + HEAD as i64;
    for (i, byte) in address.sun_path.iter_mut().take(len).enumerate() {
        *byte = user::get(path + i as i64)?;
    }
    let path: Vec<u8> = address.sun_path[..len]
        .iter()
        .map(|&byte| byte as u8)
        .take_while(|&byte| byte != 0)
        .collect();
    resolve::lookup_path(p, i64::from(libc::AT_FDCWD), &path, &Options::new(follow))
}

/// A link led out of the mount: the same call with the kernel's own path.
fn elsewhere(nr: i64, path: &CStr, mut a: [i64; 6]) -> Op<i64> {
    let mut address = empty();
    let path = path.to_bytes();
    if path.len() >= address.sun_path.len() {
        return fail(Errno::ENAMETOOLONG);
    }
    for (to, from) in address.sun_path.iter_mut().zip(path) {
        *to = *from as libc::c_char;
    }
    a[1] = &raw const address as i64;
    a[2] = (HEAD + path.len() + 1) as i64;
    // SAFETY: an address of ours of the stated length.
    Ok(unsafe { crate::kernel::syscall(nr, a) }?)
}

/// Bytes before `sun_path`.
const HEAD: usize = size_of::<libc::sa_family_t>();

fn empty() -> libc::sockaddr_un {
    libc::sockaddr_un {
        sun_family: libc::AF_UNIX as libc::sa_family_t,
        sun_path: [0; 108],
    }
}

/// The address family of a socket; `None` for other descriptors.
fn domain(fd: i64) -> Option<i32> {
    let (mut domain, mut len) = (0i32, size_of::<i32>() as u32);
    let (at, room) = (&raw mut domain, &raw mut len);
    // SAFETY: room for one int, as its length says.
    unsafe {
        call!(
            SYS_getsockopt,
            fd,
            libc::SOL_SOCKET,
            libc::SO_DOMAIN,
            at,
            room
        )
    }
    .ok()?;
    Some(domain)
}
