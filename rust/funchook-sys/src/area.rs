//! Areas for stubs and trampolines: text within a displacement's reach of the
//! code that jumps there, filled from the front and never emptied.

use crate::arch::{self, PAGE};
use crate::kernel;
use crate::text::{Failure, Way, Writer};

/// Reserved text that stubs are written into. Within 2 GiB of the sites; for
/// [`Way::Protection`] whole pages that hold nothing else.
pub struct StubArea {
    base: usize,
    len: usize,
    used: usize,
}

impl StubArea {
    /// # Safety
    /// The area is mapped readable and executable for the rest of the process's
    /// life, and nobody else writes or executes it.
    pub unsafe fn new(base: *mut u8, len: usize) -> StubArea {
        StubArea {
            base: base as usize,
            len,
            used: 0,
        }
    }

    /// Maps `len` bytes of text (rounded up to pages) within 2 GiB of `address`,
    /// readable and executable, never writable. For the process's life.
    pub fn near(address: usize, len: usize) -> Option<StubArea> {
        let len = len.next_multiple_of(PAGE);
        let step = len.max(1 << 21);
        let middle = address & !(step - 1);
        (1..REACH / step)
            .flat_map(|n| [middle.checked_sub(n * step), middle.checked_add(n * step)])
            .flatten()
            .find_map(|hint| kernel::map_at(hint, len, libc::PROT_READ | libc::PROT_EXEC).ok())
            // SAFETY: just mapped, for us alone.
            .map(|base| unsafe { StubArea::new(base as *mut u8, len) })
    }

    /// True if jumps lead from every byte of the area to the address, and back.
    pub fn reaches(&self, address: usize) -> bool {
        let ends = [self.base, self.base + self.len];
        ends.iter().all(|&end| end.abs_diff(address) < REACH)
    }

    /// Puts a jump into the area that leads to `to`, however far away: its own address, which is
    /// nearer.
    pub fn bridge(&mut self, to: usize) -> Result<usize, Failure> {
        let bytes = arch::far_jump(to).ok_or(Failure::Lost)?;
        let at = self.next().next_multiple_of(arch::STUB_ALIGN);
        let writer = Writer::open(Way::Any, self.whole())?;
        // SAFETY: the area is ours, and nothing leads there yet.
        unsafe { writer.write(at, &bytes) }?;
        self.used = at + bytes.len() - self.base;
        Ok(at)
    }

    /// Bytes not used yet.
    pub fn left(&self) -> usize {
        self.len - self.used
    }

    pub(crate) fn next(&self) -> usize {
        self.base + self.used
    }

    pub(crate) fn take(&mut self, len: usize) {
        self.used += len;
    }

    pub(crate) fn whole(&self) -> (usize, usize) {
        (self.base, self.len)
    }
}

/// A displacement's reach, with a margin for both ends' own size.
const REACH: usize = (1 << 31) - (1 << 24);
