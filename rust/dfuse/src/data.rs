//! Opening, reading, writing and closing.
use crate::cache::Data;
use crate::hidden;
use crate::inode::{Body, Inode, Named};
use crate::locked;
use crate::server::Server;
use dfs::{Errno, Kind, Object, Result, SetAttr};
use std::sync::Arc;
use std::time::Instant;

/// What the kernel does with the pages of a file just opened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Pages {
    /// None are made: every read and write comes to us.
    None,
    /// Those of earlier opens are dropped.
    Fresh,
    /// Those of earlier opens are good.
    Keep,
}

impl Server {
    /// `open(2)` of a file the kernel has looked up and may open. `ENOENT` if it was removed since.
    pub fn open(&self, inode: Arc<Inode>, writable: bool) -> Result<(u64, Pages)> {
        if writable {
            self.may_change()?;
        }
        let pages = {
            let mut state = locked(&inode.state);
            if state.named == Named::Gone {
                return Err(Errno::ENOENT);
            }
            let pages = pages(&inode, state.opens, state.closed);
            state.opens += 1;
            pages
        };
        Ok((self.files.add(inode, writable), pages))
    }

    /// The last reference to an open file is gone.
    pub fn release(&self, fh: u64) {
        let Some(file) = self.files.remove(fh) else {
            return;
        };
        let mut state = locked(&file.inode.state);
        state.opens = state.opens.saturating_sub(1);
        state.closed = Some(Instant::now());
        if state.opens > 0 || state.named != Named::Hidden {
            return;
        }
        if let Body::Object(container, oid) = &file.inode.body {
            hidden::destroy(container, *oid);
        }
        state.named = Named::Gone;
    }

    /// Reads into `buf`; short at the end of file. `ESTALE` if the file ends before what was known
    /// of it because somebody else has removed it: an end of file would be a lie.
    pub fn read(&self, fh: u64, offset: u64, buf: &mut [u8]) -> Result<usize> {
        let file = self.file(fh)?;
        let (_, object) = file.inode.object()?;
        let n = object.read_bytes(buf, offset)?;
        if n < buf.len() {
            let end = offset + n as u64;
            let state = locked(&file.inode.state);
            let expected = state.last.st_size as u64 > end && state.named == Named::Yes;
            drop(state);
            if expected {
                let attr = object.attr()?;
                locked(&file.inode.state).last = attr.stat;
            }
        }
        Ok(n)
    }

    /// Writes all or fails. With `lowers` the writer may not keep the file's set-id bits.
    pub fn write(&self, fh: u64, offset: u64, data: &[u8], lowers: bool) -> Result<()> {
        let file = self.file(fh)?;
        if !file.writable {
            return Err(Errno::EBADF);
        }
        let (_, object) = file.inode.object()?;
        if lowers {
            lower(&file.inode, &object)?;
        }
        object.write_bytes(data, offset)?;
        let end = (offset + data.len() as u64) as i64;
        let mut state = locked(&file.inode.state);
        state.last.st_size = state.last.st_size.max(end);
        Ok(())
    }

    /// `fallocate(2)`, as the library answers it: nothing is reserved, holes are punched.
    pub fn fallocate(&self, fh: u64, offset: u64, len: u64, mode: i32) -> Result<()> {
        const KEEP: i32 = libc::FALLOC_FL_KEEP_SIZE;
        let file = self.file(fh)?;
        if file.inode.kind != Kind::File || !file.writable {
            return Err(Errno::EBADF);
        }
        let (_, object) = file.inode.object()?;
        let size = object.size()?;
        let end = offset.checked_add(len).ok_or(Errno::EFBIG)?;
        let punches = match mode & !KEEP {
            0 => false,
            libc::FALLOC_FL_PUNCH_HOLE if mode & KEEP != 0 => true,
            libc::FALLOC_FL_ZERO_RANGE => true,
            _ => return Err(Errno(libc::EOPNOTSUPP)),
        };
        if mode & KEEP == 0 && end > size {
            object.truncate(end)?;
        }
        match punches && offset < end.min(size) {
            true => object.punch_hole(offset, end.min(size) - offset),
            false => Ok(()),
        }
    }
}

/// Takes the set-id bits away (the second one only where the group may execute).
fn lower(inode: &Inode, object: &Object) -> Result<()> {
    let mode = locked(&inode.state).last.st_mode & 0o7777;
    let kept = match mode & libc::S_IXGRP {
        0 => mode & !libc::S_ISUID,
        _ => mode & !(libc::S_ISUID | libc::S_ISGID),
    };
    if kept == mode {
        return Ok(());
    }
    object.set_attr(&SetAttr {
        mode: Some(kept),
        ..SetAttr::default()
    })?;
    locked(&inode.state).last.st_mode ^= mode ^ kept;
    Ok(())
}

fn pages(inode: &Inode, opens: u32, closed: Option<Instant>) -> Pages {
    if inode.is_bypassed() {
        return Pages::None;
    }
    match inode.times().data {
        Data::Off => Pages::None,
        Data::For(_) if opens > 0 => Pages::Keep,
        Data::For(time) => match closed {
            Some(closed) if closed.elapsed() < time => Pages::Keep,
            _ => Pages::Fresh,
        },
    }
}
