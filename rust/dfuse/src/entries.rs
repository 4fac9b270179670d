//! Directory entries for the kernel, as many as its buffer holds: plain, or each with the inode
//! behind it, which the kernel then knows without a lookup.
use crate::answers::{dentry_time, GENERATION};
use crate::inode::Inode;
use crate::listing::Entry;
use crate::server::{Found, Server};
use crate::shown::{file_attr, file_type};
use dfs::{Errno, Kind, Result};
use fuser::{INodeNo, ReplyDirectory, ReplyDirectoryPlus};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

/// Names, numbers and kinds.
pub fn fill(server: &Server, fh: u64, offset: u64, reply: &mut ReplyDirectory) -> Result<()> {
    list(server, fh, offset, |inode, entry, next| {
        let (ino, kind, name) = match entry {
            Entry::Itself(ino) => (ino, Kind::Directory, c".".to_owned()),
            Entry::Parent(ino) => (ino, Kind::Directory, c"..".to_owned()),
            Entry::Name(name) => match server.glance(inode, &name)? {
                Some((ino, kind)) => (ino, kind, name),
                None => return Ok(false),
            },
        };
        let name = OsStr::from_bytes(name.to_bytes());
        Ok(reply.add(INodeNo(ino), next, file_type(kind), name))
    })
}

/// The same with attributes, each counted as a lookup.
pub fn fill_plus(
    server: &Server,
    ino: u64,
    fh: u64,
    offset: u64,
    reply: &mut ReplyDirectoryPlus,
) -> Result<()> {
    list(server, fh, offset, |inode, entry, next| {
        let (name, found) = match entry {
            Entry::Itself(_) => (c".".to_owned(), None),
            Entry::Parent(_) => (c"..".to_owned(), None),
            Entry::Name(name) => match server.lookup(ino, &name) {
                Ok(found) => (name, Some(found)),
                Err(Errno::ENOENT) => return Ok(false),
                // An entry point that leads nowhere, say: shown, and its own lookup fails.
                Err(_) => (name, None),
            },
        };
        let name = OsStr::from_bytes(name.to_bytes());
        let Some(Found { inode, stat }) = found else {
            // Number 0: the name alone, the kernel is told of no inode.
            let stat = crate::server::directory_above(inode.ino, (0, 0));
            let (zero, attr) = (Duration::ZERO, file_attr(&stat));
            return Ok(reply.add(INodeNo(0), next, name, &zero, &attr, GENERATION));
        };
        let time = inode.times().attr.min(dentry_time(&inode));
        let number = INodeNo(inode.ino);
        let full = reply.add(number, next, name, &time, &file_attr(&stat), GENERATION);
        if full {
            server.inodes.forget(inode.ino, 1);
        }
        Ok(full)
    })
}

/// Hands the entries from a position on to `each` until it says that its room is full.
fn list(
    server: &Server,
    fh: u64,
    offset: u64,
    mut each: impl FnMut(&Inode, Entry, u64) -> Result<bool>,
) -> Result<()> {
    let file = server.file(fh)?;
    let mut listing = crate::locked(&file.listing);
    let mut position = offset;
    let mut any = false;
    loop {
        let entry = server.entry_at(&file.inode, &mut listing, position)?;
        let Some(entry) = entry else { return Ok(()) };
        position += 1;
        match each(&file.inode, entry, position) {
            Ok(true) => return Ok(()),
            Ok(false) => any = true,
            // What was listed so far counts; the error comes with the next call.
            Err(_) if any => return Ok(()),
            Err(e) => return Err(e),
        }
    }
}
