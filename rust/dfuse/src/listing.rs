//! Reading directories. The names come in batches and are kept while the directory is open, so that
//! a position is an index, which stays right whatever is removed meanwhile.
use crate::hidden;
use crate::inode::{Body, Inode};
use crate::server::Server;
use dfs::{DirCursor, Kind, Result};
use std::ffi::CString;

/// Names asked for at a time.
const BATCH: usize = 128;

/// The names seen so far. "." and ".." are positions 0 and 1, the first name is 2.
#[derive(Default)]
pub struct Listing {
    names: Vec<CString>,
    cursor: Option<DirCursor>,
    ended: bool,
}

/// One entry of a directory.
pub enum Entry {
    /// "."
    Itself(u64),
    /// ".."
    Parent(u64),
    /// A name.
    Name(CString),
}

impl Server {
    /// The entry at a position; `None` at the end. Position 0 begins anew.
    pub fn entry_at(
        &self,
        inode: &Inode,
        listing: &mut Listing,
        position: u64,
    ) -> Result<Option<Entry>> {
        match position {
            0 => {
                *listing = Listing::default();
                return Ok(Some(Entry::Itself(inode.ino)));
            }
            1 => return Ok(Some(Entry::Parent(crate::locked(&inode.state).place.0))),
            _ => {}
        }
        let index = (position - 2) as usize;
        while index >= listing.names.len() && !listing.ended {
            self.more(inode, listing)?;
        }
        Ok(listing.names.get(index).cloned().map(Entry::Name))
    }

    fn more(&self, inode: &Inode, listing: &mut Listing) -> Result<()> {
        if !matches!(inode.body, Body::Object(..)) {
            listing.names.extend(self.names_above(&inode.body)?);
            listing.ended = true;
            return Ok(());
        }
        let (_, object) = inode.directory()?;
        let cursor = listing.cursor.get_or_insert_with(DirCursor::start);
        let mut batch = object.read_names(cursor, BATCH)?;
        if object.is_root() {
            batch.retain(|name| name.as_c_str() != hidden::TOP);
        }
        listing.ended = cursor.at_end();
        listing.names.extend(batch);
        Ok(())
    }

    /// Number and kind of an entry, without the kernel being told of it; `None` if it went.
    pub fn glance(&self, inode: &Inode, name: &CString) -> Result<Option<(u64, Kind)>> {
        if !matches!(inode.body, Body::Object(..)) {
            // Not connected for being listed: any number will do.
            return Ok(Some((u64::MAX, Kind::Directory)));
        }
        let (container, object) = inode.directory()?;
        match container.fs.stat(&object, name) {
            Ok(attr) => Ok(Some((attr.stat.st_ino, attr.kind()))),
            Err(dfs::Errno::ENOENT) => Ok(None),
            Err(e) => Err(e),
        }
    }
}
