//! The background: the command returns when the mount is there, or with what went wrong; and the
//! signals that end the server.
use crate::mountpoint;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, FromRawFd};
use std::path::PathBuf;
use std::time::Duration;

/// The server's end of the pipe to the command that waits.
pub struct Waiting(Option<File>);

impl Waiting {
    /// Nobody waits.
    pub fn nobody() -> Waiting {
        Waiting(None)
    }

    /// The mount is there: the command may return. From here on nobody reads what we write.
    pub fn ready(&mut self) {
        if let Some(mut pipe) = self.0.take() {
            let _ = pipe.write_all(b"+");
            if let Ok(null) = File::options().read(true).write(true).open("/dev/null") {
                for fd in 0..3 {
                    // SAFETY: both are descriptors of ours.
                    unsafe { libc::dup2(null.as_raw_fd(), fd) };
                }
            }
        }
    }
}

/// Goes to the background, before anything is started (libdaos does not survive a fork). The
/// parent does not return: it ends with status 0 once the mount is there, with 1 if the server
/// ended before.
pub fn detach() -> io::Result<Waiting> {
    let mut ends = [0; 2];
    // SAFETY: room for two descriptors, owned at once; the process has one thread.
    unsafe {
        if libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) != 0 {
            return Err(io::Error::last_os_error());
        }
        let (mut reader, writer) = (File::from_raw_fd(ends[0]), File::from_raw_fd(ends[1]));
        match libc::fork() {
            -1 => Err(io::Error::last_os_error()),
            0 => {
                libc::setsid();
                Ok(Waiting(Some(writer)))
            }
            _ => {
                drop(writer);
                let mut word = [0];
                let came = matches!(reader.read(&mut word), Ok(1));
                libc::_exit(i32::from(!came));
            }
        }
    }
}

/// Keeps the signals that end us from all threads that are started later.
pub fn block_signals() -> libc::sigset_t {
    // SAFETY: a set of our own; SIGPIPE is ignored so that a reader who is gone is an error.
    unsafe {
        let mut set = std::mem::zeroed();
        libc::sigemptyset(&mut set);
        for signal in [libc::SIGTERM, libc::SIGINT, libc::SIGHUP] {
            libc::sigaddset(&mut set, signal);
        }
        libc::pthread_sigmask(libc::SIG_BLOCK, &set, std::ptr::null_mut());
        libc::signal(libc::SIGPIPE, libc::SIG_IGN);
        set
    }
}

/// Unmounts at the first signal. Who is still in the mount has a second to go; then `last` runs
/// and the process ends, and whoever is left gets `ENOTCONN`.
pub fn unmount_on_signal(set: libc::sigset_t, at: PathBuf, last: impl FnOnce() + Send + 'static) {
    std::thread::spawn(move || {
        let mut signal = 0;
        // SAFETY: the set was blocked in all threads.
        while unsafe { libc::sigwait(&set, &mut signal) } != 0 {}
        let _ = mountpoint::unmount(&at);
        // The session ends by itself when nobody is in it, and with it the process.
        std::thread::sleep(Duration::from_secs(1));
        last();
        std::process::exit(0);
    });
}
