//! Writing program text that is mapped read-only and executable. The kernel
//! does it through /proc/self/mem without any page ever being writable and
//! executable; where that is forbidden, pages are made writable, *then*
//! executable again. Nothing of libc runs in between.

use crate::arch::PAGE;
use crate::kernel::{self, File};

/// One change: these bytes stand there, those shall.
#[derive(Clone, Copy)]
pub struct Edit<'a> {
    pub addr: usize,
    pub old: &'a [u8],
    pub new: &'a [u8],
}

/// How text is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// /proc/self/mem, else by protection.
    Any,
    /// /proc/self/mem only.
    Memory,
    /// By changing the pages' protection (what qemu's translator notices).
    Protection,
}

/// Why text was not written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The old bytes are not there: somebody else patched the place.
    Changed,
    /// The kernel refuses, with this errno.
    Kernel(i32),
    /// The kernel said yes, but the new bytes are not there.
    Lost,
}

/// Something that can write text.
pub enum Writer {
    Memory(File),
    Protection,
}

impl Writer {
    /// Opens the way. `probe`, a page-aligned area of text that nobody executes
    /// yet, shows whether a page may become executable again.
    pub fn open(way: Way, probe: (usize, usize)) -> Result<Writer, Failure> {
        if way != Way::Protection {
            match File::open(c"/proc/self/mem", libc::O_RDWR) {
                // Newer kernels can forbid the write itself.
                Ok(file) if rewrite(&file, probe.0) => return Ok(Writer::Memory(file)),
                Ok(_) if way == Way::Memory => return Err(Failure::Kernel(libc::EACCES)),
                Err(errno) if way == Way::Memory => return Err(Failure::Kernel(errno)),
                _ => (),
            }
        }
        let (base, len) = probe;
        if base % PAGE != 0 || len % PAGE != 0 || len == 0 || kernel::threads() != Some(1) {
            return Err(Failure::Kernel(libc::EINVAL));
        }
        // SAFETY: nobody executes the area yet, and it ends as it was.
        unsafe { with_writable(base, len, || ()) }?;
        Ok(Writer::Protection)
    }

    /// Applies `edits`, which stand in the order of their addresses and do not
    /// overlap, one write for each run of touched pages. Stops at the first
    /// failure; what was written before it stays.
    ///
    /// # Safety
    /// No other thread may execute the places, unless each edit is one that
    /// the processor may see at any moment.
    pub unsafe fn apply(&self, edits: &[Edit<'_>]) -> Result<(), Failure> {
        let mut image = Vec::with_capacity(4 * PAGE);
        let mut first = 0;
        while first < edits.len() {
            let start = edits[first].addr;
            let mut end = start;
            let mut next = first;
            // An edit that reaches into a page joins it to the run: a signal
            // handler must not find half of it.
            while let Some(edit) = edits.get(next) {
                let fits = next == first || edit.addr / PAGE == (end - 1) / PAGE;
                if !fits {
                    break;
                }
                end = edit.addr + edit.new.len();
                next += 1;
            }
            image.resize(end - start, 0);
            read(start, &mut image);
            for edit in &edits[first..next] {
                let place = &mut image[edit.addr - start..][..edit.new.len()];
                if place != edit.old {
                    return Err(Failure::Changed);
                }
                place.copy_from_slice(edit.new);
            }
            // SAFETY: the caller's promise.
            unsafe { self.write(start, &image) }?;
            first = next;
        }
        Ok(())
    }

    /// Writes the aligned eight bytes around an edit at once.
    ///
    /// # Safety
    /// The edit lies in one aligned word and changes one instruction.
    pub unsafe fn one_store(&self, edit: &Edit<'_>) -> Result<(), Failure> {
        let word = edit.addr & !7;
        let mut bytes = [0; 8];
        read(word, &mut bytes);
        let place = &mut bytes[edit.addr - word..][..edit.new.len()];
        if place != edit.old {
            return Err(Failure::Changed);
        }
        place.copy_from_slice(edit.new);
        // SAFETY: the caller's promise.
        unsafe { self.write(word, &bytes) }
    }

    /// Writes `bytes` at `addr` and reads them back.
    ///
    /// # Safety
    /// As for [`Writer::apply`].
    pub unsafe fn write(&self, addr: usize, bytes: &[u8]) -> Result<(), Failure> {
        match self {
            Writer::Memory(file) => match file.write_at(bytes, addr) {
                Ok(count) if count == bytes.len() => (),
                Ok(_) => return Err(Failure::Lost),
                Err(errno) => return Err(Failure::Kernel(errno)),
            },
            Writer::Protection => {
                let base = addr & !(PAGE - 1);
                let end = (addr + bytes.len()).next_multiple_of(PAGE);
                // SAFETY: the pages are text of a loaded object, nobody executes
                // them (one thread, signals blocked), and the bytes fit in them.
                unsafe {
                    with_writable(base, end - base, || {
                        let mut to = addr as *mut u8;
                        for byte in bytes {
                            to.write_volatile(*byte);
                            to = to.add(1);
                        }
                    })
                }?;
            }
        }
        if holds(addr, bytes) {
            Ok(())
        } else {
            Err(Failure::Lost)
        }
    }
}

/// Whether `file`, the memory of this process, accepts a byte of text.
fn rewrite(file: &File, addr: usize) -> bool {
    let mut byte = [0];
    read(addr, &mut byte);
    file.write_at(&byte, addr) == Ok(1)
}

/// Runs `work` while the pages are writable and not executable.
///
/// # Safety
/// Nobody may execute the pages meanwhile; `work` must not call into them.
unsafe fn with_writable(base: usize, len: usize, work: impl FnOnce()) -> Result<(), Failure> {
    let mask = kernel::block_signals();
    // SAFETY: the caller's promise.
    let result = unsafe {
        kernel::mprotect(base, len, libc::PROT_READ | libc::PROT_WRITE).and_then(|()| {
            work();
            kernel::mprotect(base, len, libc::PROT_READ | libc::PROT_EXEC)
        })
    };
    kernel::restore_signals(mask);
    result.map_err(Failure::Kernel)
}

/// Copies text as it stands in memory now.
pub fn read(addr: usize, into: &mut [u8]) {
    // SAFETY: callers name text of loaded objects, which stays mapped. No
    // reference is made to it: it changes under our hands.
    unsafe {
        core::ptr::copy_nonoverlapping(addr as *const u8, into.as_mut_ptr(), into.len());
    }
}

/// Whether these bytes stand in memory now.
pub fn holds(addr: usize, bytes: &[u8]) -> bool {
    let mut here = [0u8; 64];
    let mut at = addr;
    bytes.chunks(here.len()).all(|chunk| {
        let here = &mut here[..chunk.len()];
        read(at, here);
        at += chunk.len();
        here == chunk
    })
}
