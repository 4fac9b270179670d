//! A mount that one program and its children see alone: `pil4dfs-dfuse --private ... -- PROGRAM`.
//! For programs that the library cannot reach (static ones, Go's): no right is needed but a user
//! name space and an accessible /dev/fuse, and nobody else's tree changes.
//!
//! The server is split off first and stays in the name spaces it was born in; this process makes
//! new ones, mounts, hands the server the device, and becomes the program. When the last process
//! in there ends, the kernel takes the mount down and the server ends with it.
//!
//! In a user name space only one user is known: what belongs to others can be read there as far as
//! its mode allows, and never be written (the kernel refuses it, whatever the mode).
use crate::mountpoint::{self, Way};
use std::ffi::OsString;
use std::fs;
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

/// The word for "go on" in both directions; anything else is the reason why not.
const GO: &[u8] = b"+";

/// The server's side: waits for the device.
pub struct Guest(UnixStream);

/// Splits the server off: `Ok` in the process that becomes the program, `Err` in the server's, whose
/// parent is gone and which has nothing open but its side. To be called with one thread.
pub fn split() -> io::Result<Result<UnixStream, Guest>> {
    let (ours, theirs) = UnixStream::pair()?;
    // SAFETY: the process has one thread; the child forks again and ends, so that the program will
    // find no child of ours.
    match unsafe { libc::fork() } {
        -1 => return Err(io::Error::last_os_error()),
        0 => {}
        child => {
            let mut status = 0;
            // SAFETY: our own child.
            unsafe { libc::waitpid(child, &mut status, 0) };
            return Ok(Ok(ours));
        }
    }
    // SAFETY: the child has one thread. Descriptors are closed that nobody here uses: the
    // program's pipes must not stay open because of us.
    unsafe {
        libc::setsid();
        if libc::fork() != 0 {
            libc::_exit(0);
        }
        let null = libc::open(c"/dev/null".as_ptr(), libc::O_RDWR);
        for fd in 0..3 {
            libc::dup2(null, fd);
        }
        let side = theirs.as_raw_fd();
        if side > 3 {
            libc::syscall(libc::SYS_close_range, 3, side - 1, 0);
        }
        libc::syscall(libc::SYS_close_range, side + 1, u32::MAX, 0);
        libc::chdir(c"/".as_ptr());
    }
    std::mem::forget(ours); // closed above
    Ok(Err(Guest(theirs)))
}

impl Guest {
    /// Says that all is ready but the mount, and waits for the device.
    pub fn device(&mut self) -> io::Result<OwnedFd> {
        self.0.write_all(GO)?;
        receive(&self.0)
    }

    /// The mount is served: the program may start.
    pub fn serving(mut self) {
        let _ = self.0.write_all(GO);
    }

    /// It will not be: why.
    pub fn failed(mut self, why: &str) {
        let _ = self.0.write_all(why.as_bytes());
    }
}

/// This process's side, after [`split`]: mounts and becomes the program; answers only why not.
pub fn become_program(
    mut server: UnixStream,
    at: &Path,
    way: Way,
    variables: &[(OsString, OsString)],
    command: &[OsString],
) -> String {
    match enter(&mut server, at, way) {
        Ok(()) => {}
        Err(why) => return why,
    }
    let mut program = Command::new(&command[0]);
    program.args(&command[1..]);
    for (name, value) in variables {
        program.env(name, value);
    }
    let error = program.exec();
    format!("cannot run {}: {error}", Path::new(&command[0]).display())
}

fn enter(server: &mut UnixStream, at: &Path, way: Way) -> Result<(), String> {
    wait_for(server)?;
    let shown = at.display();
    let cwd = std::env::current_dir();
    name_spaces()?;
    let device = mountpoint::mount(at, way).map_err(|e| match e.raw_os_error() {
        Some(libc::EACCES | libc::ENOENT) if fs::File::open("/dev/fuse").is_err() => {
            format!("/dev/fuse cannot be opened ({e}): an administrator has to allow it (chmod 666 /dev/fuse)")
        }
        _ => format!("cannot mount {shown} in a name space of its own: {e}"),
    })?;
    send(server, device.as_raw_fd()).map_err(|e| format!("the server is gone: {e}"))?;
    wait_for(server)?;
    // Where we stand may lie below the new mount: stand on it.
    if let Ok(cwd) = cwd {
        let _ = std::env::set_current_dir(cwd);
    }
    Ok(())
}

/// A mount name space, and for ordinary users a user name space in which they are who they are.
fn name_spaces() -> Result<(), String> {
    // SAFETY: both cannot fail.
    let (uid, gid) = unsafe { (libc::geteuid(), libc::getegid()) };
    // SAFETY: plain flags; the process has one thread.
    let unshare = |flags| match unsafe { libc::unshare(flags) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    };
    let alone = unshare(libc::CLONE_NEWNS);
    if let Err(e) = alone {
        if e.raw_os_error() != Some(libc::EPERM) {
            return Err(format!("no mount name space: {e}"));
        }
        unshare(libc::CLONE_NEWUSER | libc::CLONE_NEWNS).map_err(|e| {
            format!("no user name space ({e}): the system forbids them to ordinary users (kernel.unprivileged_userns_clone, user.max_user_namespaces)")
        })?;
        let map = |file: &str, id: u32| {
            fs::write(file, format!("{id} {id} 1")).map_err(|e| format!("{file}: {e}"))
        };
        fs::write("/proc/self/setgroups", "deny").map_err(|e| format!("setgroups: {e}"))?;
        map("/proc/self/uid_map", uid)?;
        map("/proc/self/gid_map", gid)?;
    }
    // SAFETY: strings and null pointers, as mount(2) wants them for a change of propagation.
    let rc = unsafe {
        libc::mount(
            std::ptr::null(),
            c"/".as_ptr(),
            std::ptr::null(),
            libc::MS_REC | libc::MS_SLAVE,
            std::ptr::null(),
        )
    };
    match rc {
        0 => Ok(()),
        _ => Err(format!(
            "cannot part from the system's mounts: {}",
            io::Error::last_os_error()
        )),
    }
}

/// The server's word.
fn wait_for(server: &mut UnixStream) -> Result<(), String> {
    let mut word = [0; 1];
    match server.read(&mut word) {
        Ok(1) if word == GO => Ok(()),
        Ok(1) => {
            let mut rest = Vec::new();
            let _ = server.read_to_end(&mut rest);
            let text = [&word[..], &rest].concat();
            Err(String::from_utf8_lossy(&text).into_owned())
        }
        _ => Err("the server ended".into()),
    }
}

/// Room for one descriptor in a control message, aligned as it must be.
#[repr(C, align(8))]
struct Control([u8; 64]);

fn message(byte: &mut libc::iovec, control: &mut Control) -> libc::msghdr {
    // SAFETY: a msghdr of zeros is valid.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_iov = byte;
    message.msg_iovlen = 1;
    message.msg_control = control.0.as_mut_ptr().cast();
    // SAFETY: arithmetic only.
    message.msg_controllen = unsafe { libc::CMSG_SPACE(4) } as usize;
    message
}

fn send(to: &UnixStream, fd: RawFd) -> io::Result<()> {
    let mut word = *b"f";
    let mut byte = libc::iovec {
        iov_base: word.as_mut_ptr().cast(),
        iov_len: 1,
    };
    let mut control = Control([0; 64]);
    let message = message(&mut byte, &mut control);
    // SAFETY: the control buffer has room for the header and one number, which is all that is
    // written; everything lives through the call.
    let n = unsafe {
        let header = libc::CMSG_FIRSTHDR(&message);
        (*header).cmsg_level = libc::SOL_SOCKET;
        (*header).cmsg_type = libc::SCM_RIGHTS;
        (*header).cmsg_len = libc::CMSG_LEN(4) as usize;
        libc::CMSG_DATA(header).cast::<RawFd>().write_unaligned(fd);
        libc::sendmsg(to.as_raw_fd(), &message, libc::MSG_NOSIGNAL)
    };
    match n {
        1 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

fn receive(from: &UnixStream) -> io::Result<OwnedFd> {
    let mut word = [0u8];
    let mut byte = libc::iovec {
        iov_base: word.as_mut_ptr().cast(),
        iov_len: 1,
    };
    let mut control = Control([0; 64]);
    let mut message = message(&mut byte, &mut control);
    // SAFETY: the buffers live through the call; the header is looked at only if it is there, and
    // then holds one descriptor that is ours from here on.
    unsafe {
        let n = libc::recvmsg(from.as_raw_fd(), &mut message, libc::MSG_CMSG_CLOEXEC);
        let header = libc::CMSG_FIRSTHDR(&message);
        if n != 1 || header.is_null() || (*header).cmsg_type != libc::SCM_RIGHTS {
            return Err(io::Error::other("the program did not mount"));
        }
        let fd = libc::CMSG_DATA(header).cast::<RawFd>().read_unaligned();
        Ok(OwnedFd::from_raw_fd(fd))
    }
}
