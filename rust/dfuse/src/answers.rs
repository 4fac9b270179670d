//! What requests bring and what answers are made of: names, users, times, flags.
use crate::data::Pages;
use crate::inode::Inode;
use crate::server::Found;
use crate::shown::{file_attr, no};
use dfs::{Errno, Kind, Result};
use fuser::{
    FopenFlags, Generation, OpenAccMode, OpenFlags, ReplyEmpty, ReplyEntry, ReplyXattr, Request,
};
use std::cell::RefCell;
use std::ffi::{CString, OsStr};
use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

/// Inode numbers are not used twice: there is one generation.
pub const GENERATION: Generation = Generation(0);

thread_local! {
    static BUFFER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Room of `size` bytes that a thread keeps.
pub fn with_buffer(size: usize, use_it: impl FnOnce(&mut [u8])) {
    BUFFER.with_borrow_mut(|buffer| {
        if buffer.len() < size {
            buffer.resize(size, 0);
        }
        use_it(&mut buffer[..size]);
    });
}

/// A name as libdfs takes it.
pub fn c(name: &OsStr) -> Result<CString> {
    CString::new(name.as_bytes()).map_err(|_| Errno::EINVAL)
}

/// Who asks.
pub fn user(request: &Request) -> (u32, u32) {
    (request.uid(), request.gid())
}

/// How long a name may be believed to lead here.
pub fn dentry_time(inode: &Inode) -> Duration {
    match inode.kind {
        Kind::Directory => inode.times().dentry_dir,
        _ => inode.times().dentry,
    }
}

/// Answers a lookup.
pub fn answer_entry(found: Result<Found>, reply: ReplyEntry) {
    match found {
        Ok(Found { inode, stat }) => reply.entry_with_ttls(
            &inode.times().attr,
            &dentry_time(&inode),
            &file_attr(&stat),
            GENERATION,
        ),
        Err(e) => reply.error(no(e)),
    }
}

/// Answers with success or failure.
pub fn answer_empty(result: Result<()>, reply: ReplyEmpty) {
    match result {
        Ok(()) => reply.ok(),
        Err(e) => reply.error(no(e)),
    }
}

/// Answers with a value, or with its size where no room is offered.
pub fn answer_xattr(value: Result<Vec<u8>>, size: u32, reply: ReplyXattr) {
    match value {
        Ok(value) if size == 0 => reply.size(value.len() as u32),
        Ok(value) if value.len() > size as usize => reply.error(no(Errno::ERANGE)),
        Ok(value) => reply.data(&value),
        Err(e) => reply.error(no(e)),
    }
}

/// Tells the kernel what to do with pages.
pub fn open_flags(pages: Pages) -> FopenFlags {
    match pages {
        Pages::None => FopenFlags::FOPEN_DIRECT_IO,
        Pages::Fresh => FopenFlags::empty(),
        Pages::Keep => FopenFlags::FOPEN_KEEP_CACHE,
    }
}

/// Open for writing.
pub fn is_writable(flags: OpenFlags) -> bool {
    flags.acc_mode() != OpenAccMode::O_RDONLY
}
