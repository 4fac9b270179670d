//! The page cache of one mapped file: a memfd whose pages the application maps, filled from DFS
//! chunk by chunk as mappings come to cover them, and - while a shared writable mapping lives - a
//! clean copy beside it that tells which bytes the application changed. Write-back reads the memfd,
//! never an address of the application.
//!
//! The state's lock is held over DFS calls: it is the page lock of this one file.
use crate::gate::{Guard, Guarded};
use crate::node::Node;
use crate::ownfd::OwnFd;
use crate::{lock, rundir, Errno};
use std::ffi::CString;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::Arc;

/// Bytes filled, compared and written back at a time.
pub(super) const CHUNK: u64 = 1 << 20;
const PAGE: usize = 4096;

/// The pages of one file.
pub struct Pages {
    /// Whose pages.
    pub node: Arc<Node>,
    state: Guarded<State>,
    /// Shared writable mappings of it; read without the lock by data calls.
    writers: AtomicU32,
}

#[derive(Default)]
struct State {
    /// The memfd and a read-only description of it; `None` until the first mapping.
    memory: Option<(OwnFd, OwnFd)>,
    /// The bytes DFS has, for every filled chunk; while there are writers.
    clean: Option<OwnFd>,
    /// While there are writers: no other process may have any.
    session: Option<OwnFd>,
    /// Size of the file, and of the memfd.
    size: u64,
    /// Mappings reach to here: what a growing file uncovers below must be filled.
    reach: u64,
    /// One bit a chunk.
    filled: Vec<u64>,
    /// Modification time the contents were read at.
    mtime: (i64, i64),
    /// Two halves of a chunk buffer; empty while unused.
    buffer: Vec<u8>,
}

impl Pages {
    /// Pages of a file nobody maps yet.
    pub fn new(node: Arc<Node>) -> Pages {
        Pages {
            node,
            state: Guarded::default(),
            writers: AtomicU32::new(0),
        }
    }

    /// True while shared writable mappings live.
    pub fn has_writers(&self) -> bool {
        self.writers.load(Ordering::Acquire) > 0
    }

    /// Makes `len` bytes at `offset` ready to be mapped and answers the kernel descriptor to map:
    /// one that can only be read unless `write`, which also counts a writer the caller must end. `ENODEV` when another process of this user and
    /// node has a shared writable mapping and `write` is asked for, or the node has no place to
    /// agree on that; DFS's errors; `ENOMEM`.
    pub fn prepare(&self, offset: u64, len: u64, write: bool) -> Result<i32, Errno> {
        let mut state = self.state.lock();
        self.refresh(&mut state)?;
        let end = offset.saturating_add(len);
        self.fill(&mut state, offset, end)?;
        state.reach = state.reach.max(end);
        if write {
            self.begin_writing(&mut state)?;
            self.add_writer();
        }
        state.buffer = Vec::new();
        let (live, reader) = state.memory.as_ref().ok_or(Errno::ENOMEM)?;
        Ok(if write { live.raw() } else { reader.raw() })
    }

    /// Counts one more shared writable mapping.
    pub fn add_writer(&self) {
        self.writers.fetch_add(1, Ordering::AcqRel);
    }

    /// A shared writable mapping went: its changes are written, and with the last one what only
    /// writing needs goes too.
    pub fn remove_writer(&self) {
        let mut state = self.state.lock();
        if let Err(e) = self.write_back(&mut state, 0, u64::MAX) {
            log::error!(
                "a mapped file could not be written back: {e}: its changes are lost ({})",
                self.name()
            );
        }
        if self.writers.fetch_sub(1, Ordering::AcqRel) == 1 {
            state.clean = None;
            state.session = None;
        }
        state.buffer = Vec::new();
    }

    /// Writes what the application changed between the two offsets. DFS's errors; what failed stays
    /// changed and is tried again.
    pub fn flush(&self, from: u64, to: u64) -> Result<(), Errno> {
        if !self.has_writers() {
            return Ok(());
        }
        let mut state = self.state.lock();
        let done = self.write_back(&mut state, from, to);
        state.buffer = Vec::new();
        done
    }

    /// The file was written through a descriptor: mappings see it, and it is not theirs to write.
    ///
    /// # Safety
    /// As for write(2): every iovec readable for its length.
    pub unsafe fn wrote(&self, offset: u64, iov: &[libc::iovec]) {
        let mut state = self.state.lock();
        if state.memory.is_none() {
            return;
        }
        let len: u64 = iov.iter().map(|v| v.iov_len as u64).sum();
        self.grow(&mut state, offset.saturating_add(len));
        let mut at = offset;
        for v in iov {
            // SAFETY: the caller vouches for the iovec.
            let bytes = unsafe { std::slice::from_raw_parts(v.iov_base as *const u8, v.iov_len) };
            for (start, part) in by_chunk(at, bytes) {
                state.store(start, part);
            }
            at += v.iov_len as u64;
        }
        state.mtime = UNKNOWN;
    }

    /// The file was truncated or extended through a descriptor or its path.
    pub fn truncated(&self, size: u64) {
        let mut state = self.state.lock();
        if state.memory.is_none() {
            return;
        }
        if size < state.size {
            let _ = state.resize(size);
        } else {
            self.grow(&mut state, size);
        }
        state.mtime = UNKNOWN;
        state.buffer = Vec::new();
    }

    /// Before a new mapping: contents somebody else changed are read again, unless unwritten
    /// changes of ours lie over them.
    fn refresh(&self, state: &mut State) -> Result<(), Errno> {
        let attr = self.node.object.attr();
        let (size, mtime) = match attr {
            Ok(attr) => (
                attr.stat.st_size as u64,
                (attr.stat.st_mtime, attr.stat.st_mtime_nsec),
            ),
            // Its name is gone: the bytes are there all the same.
            Err(Errno::ESTALE) => (self.node.object.size()?, UNKNOWN),
            Err(e) => return Err(e),
        };
        if state.memory.is_none() {
            let live = OwnFd::executable_memory(&self.memory_name())?;
            let reader = live.reopen(libc::O_RDONLY)?;
            state.memory = Some((live, reader));
        } else if self.has_writers() {
            return Ok(());
        }
        if size != state.size || mtime != state.mtime || mtime == UNKNOWN {
            state.filled.clear();
            state.resize(size)?;
            state.mtime = mtime;
            let reach = state.reach;
            self.fill(state, 0, reach)?;
        }
        Ok(())
    }

    /// Reads the chunks of a range that are not here yet.
    fn fill(&self, state: &mut State, from: u64, to: u64) -> Result<(), Errno> {
        for chunk in from / CHUNK..to.min(state.size).div_ceil(CHUNK) {
            if state.is_filled(chunk) {
                continue;
            }
            let start = chunk * CHUNK;
            let len = (state.size - start).min(CHUNK) as usize;
            let mut buffer = state.take_buffer();
            let read = self.read(&mut buffer[..len], start);
            let stored = read.and_then(|()| state.put(start, &buffer[..len], true));
            state.buffer = buffer;
            stored?;
            state.set_filled(chunk);
        }
        Ok(())
    }

    /// Reads from DFS; what lies beyond the object's end is zeros.
    fn read(&self, buf: &mut [u8], offset: u64) -> Result<(), Errno> {
        let n = self.node.object.read_bytes(buf, offset)?;
        buf[n..].fill(0);
        Ok(())
    }

    /// The first shared writable mapping: nobody else may have one, and the filled chunks are
    /// copied as they are now.
    fn begin_writing(&self, state: &mut State) -> Result<(), Errno> {
        if state.session.is_none() {
            state.session = Some(self.claim_session()?);
        }
        if state.clean.is_some() {
            return Ok(());
        }
        let clean = OwnFd::memory(c"daos:clean", 0)?;
        clean.set_len_quietly(state.size)?;
        let mut buffer = state.take_buffer();
        for chunk in 0..state.size.div_ceil(CHUNK) {
            if state.is_filled(chunk) {
                let n = state
                    .live()?
                    .read_at(&mut buffer[..CHUNK as usize], chunk * CHUNK)?;
                clean.write_quietly(&buffer[..n], chunk * CHUNK)?;
            }
        }
        state.buffer = buffer;
        state.clean = Some(clean);
        Ok(())
    }

    fn claim_session(&self) -> Result<OwnFd, Errno> {
        let file = rundir::open("maps", libc::O_RDWR | libc::O_CREAT).map_err(|_| Errno::ENODEV)?;
        lock::claim_byte(&file, &self.node).map_err(|_| Errno::ENODEV)?;
        Ok(file)
    }

    /// Writes the changed bytes of a range: runs of changed pages, cut to the changed bytes at both
    /// ends, never beyond the file's size.
    fn write_back(&self, state: &mut State, from: u64, to: u64) -> Result<(), Errno> {
        if state.clean.is_none() {
            return Ok(());
        }
        let mut buffer = state.take_buffer();
        let mut result = Ok(());
        for chunk in from / CHUNK..to.min(state.size).div_ceil(CHUNK) {
            if state.is_filled(chunk) {
                result = result.and(self.write_chunk(state, chunk, &mut buffer));
            }
            if result.is_err_and(Errno::is_outage) {
                break; // the rest would wait as long, each
            }
        }
        state.buffer = buffer;
        result
    }

    fn write_chunk(&self, state: &State, chunk: u64, buffer: &mut [u8]) -> Result<(), Errno> {
        let start = chunk * CHUNK;
        let len = (state.size - start).min(CHUNK) as usize;
        let (new, old) = buffer.split_at_mut(CHUNK as usize);
        let (new, old) = (&mut new[..len], &mut old[..len]);
        let clean = state.clean.as_ref().ok_or(Errno::EIO)?;
        state.live()?.read_at(new, start)?;
        clean.read_at(old, start)?;
        if new == old {
            return Ok(());
        }
        for (from, to) in changed(new, old) {
            self.node
                .object
                .write_bytes(&new[from..to], start + from as u64)?;
            clean.write_quietly(&new[from..to], start + from as u64)?;
        }
        Ok(())
    }

    /// The file became longer: the memfd too, and what mappings now see of it is read.
    fn grow(&self, state: &mut State, size: u64) {
        if size <= state.size {
            return;
        }
        let old = state.size;
        if state.resize(size).is_err() {
            return;
        }
        // The last chunk was filled up to the old end; zeros follow, as in the file.
        let reach = state.reach;
        if self.fill(state, old, reach).is_err() {
            log::error!("a mapped file could not be read again ({})", self.name());
        }
    }

    fn name(&self) -> String {
        let place = self.node.place.lock().unwrap_or_else(|e| e.into_inner());
        place.name.to_string_lossy().into_owned()
    }

    /// What `/proc/self/maps` shows.
    fn memory_name(&self) -> CString {
        let name: String = self.name().chars().take(60).collect();
        CString::new(format!("daos:{name}")).unwrap_or_default()
    }

    /// For tests and the report: chunks read so far.
    pub fn filled_chunks(&self) -> u32 {
        let state: Guard<'_, State> = self.state.lock();
        state.filled.iter().map(|w| w.count_ones()).sum()
    }
}

/// No modification time equals it.
const UNKNOWN: (i64, i64) = (i64::MIN, 0);

impl State {
    fn live(&self) -> Result<&OwnFd, Errno> {
        self.memory.as_ref().map(|m| &m.0).ok_or(Errno::EIO)
    }

    fn is_filled(&self, chunk: u64) -> bool {
        self.filled
            .get((chunk / 64) as usize)
            .is_some_and(|w| w & (1 << (chunk % 64)) != 0)
    }

    fn set_filled(&mut self, chunk: u64) {
        let word = (chunk / 64) as usize;
        if self.filled.len() <= word {
            self.filled.resize(word + 1, 0);
        }
        self.filled[word] |= 1 << (chunk % 64);
    }

    /// Gives memfd and clean copy this size; chunks beyond are forgotten.
    fn resize(&mut self, size: u64) -> Result<(), Errno> {
        self.live()?.set_len_quietly(size)?;
        if let Some(clean) = &self.clean {
            clean.set_len_quietly(size)?;
        }
        self.size = size;
        let chunks = size.div_ceil(CHUNK);
        self.filled.truncate(chunks.div_ceil(64) as usize);
        if chunks % 64 != 0 && self.filled.len() as u64 == chunks.div_ceil(64) {
            if let Some(last) = self.filled.last_mut() {
                *last &= (1 << (chunks % 64)) - 1;
            }
        }
        Ok(())
    }

    /// Stores bytes of one chunk in the memfd and (`clean`) its copy, skipping zeros of a new chunk.
    fn put(&self, start: u64, bytes: &[u8], fresh: bool) -> Result<(), Errno> {
        let sparse = fresh && bytes.iter().all(|b| *b == 0);
        if !sparse {
            self.live()?.write_quietly(bytes, start)?;
            if let Some(clean) = &self.clean {
                clean.write_quietly(bytes, start)?;
            }
        }
        Ok(())
    }

    /// Bytes written through a descriptor, if their chunk is here.
    fn store(&mut self, start: u64, bytes: &[u8]) {
        let chunk = start / CHUNK;
        if self.is_filled(chunk) && self.put(start, bytes, false).is_err() {
            log::error!("a mapping could not be brought up to date");
        }
    }

    fn take_buffer(&mut self) -> Vec<u8> {
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.resize(2 * CHUNK as usize, 0);
        buffer
    }
}

/// Cuts bytes at chunk borders.
fn by_chunk(mut at: u64, mut bytes: &[u8]) -> impl Iterator<Item = (u64, &[u8])> {
    std::iter::from_fn(move || {
        if bytes.is_empty() {
            return None;
        }
        let n = ((CHUNK - at % CHUNK) as usize).min(bytes.len());
        let (part, rest) = bytes.split_at(n);
        let start = at;
        (at, bytes) = (at + n as u64, rest);
        Some((start, part))
    })
}

/// Runs of changed pages as byte ranges, cut to the changed bytes at both ends.
fn changed<'a>(new: &'a [u8], old: &'a [u8]) -> impl Iterator<Item = (usize, usize)> + 'a {
    let pages = new.len().div_ceil(PAGE);
    let differs = move |page: usize| {
        let range = page * PAGE..((page + 1) * PAGE).min(new.len());
        new[range.clone()] != old[range]
    };
    let mut page = 0;
    std::iter::from_fn(move || {
        while page < pages && !differs(page) {
            page += 1;
        }
        let first = page;
        while page < pages && differs(page) {
            page += 1;
        }
        let run = first * PAGE..(page * PAGE).min(new.len());
        let from = run.clone().find(|i| new[*i] != old[*i])?;
        let to = run.rev().find(|i| new[*i] != old[*i])? + 1;
        Some((from, to))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changed_bytes_are_found_exactly() {
        let old = vec![0u8; 5 * PAGE + 10];
        let mut new = old.clone();
        new[3] = 1;
        new[PAGE - 1] = 1;
        new[PAGE] = 1;
        new[3 * PAGE + 7] = 1;
        new[5 * PAGE + 9] = 1;
        let runs: Vec<_> = changed(&new, &old).collect();
        assert_eq!(
            runs,
            [
                (3, PAGE + 1),
                (3 * PAGE + 7, 3 * PAGE + 8),
                (5 * PAGE + 9, 5 * PAGE + 10)
            ]
        );
        assert_eq!(changed(&old, &old).count(), 0);
    }

    #[test]
    fn parts_do_not_cross_chunks() {
        let bytes = vec![7u8; 2 * CHUNK as usize];
        let parts: Vec<_> = by_chunk(CHUNK - 3, &bytes)
            .map(|(at, part)| (at, part.len() as u64))
            .collect();
        let want = [(CHUNK - 3, 3), (CHUNK, CHUNK), (2 * CHUNK, CHUNK - 3)];
        assert_eq!(parts, want);
    }
}
