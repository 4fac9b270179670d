//! Patching call sites: stubs into an area of our own text, then a jump into
//! each window. What stood there is checked before every write and kept, so
//! that the census at exit can compare and `undo` can restore.

use crate::arch;
use crate::kernel;
use crate::sites::{Kind, Site};
use crate::text::{self, Edit, Failure, Writer};

pub use crate::area::StubArea;
pub use crate::text::Way;

/// What a caller may choose.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    pub way: Way,
    /// Also patch munmap, madvise, brk, shmat and shmdt, which other libraries
    /// (UCX) like to patch themselves.
    pub memory_calls: bool,
    /// Accept windows that hold the call itself.
    pub after: bool,
    /// The function that sites of kind [`Kind::Call`] shall call; 0: they are refused.
    /// It has the replaced function's type and outlives the process's text.
    pub call: usize,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            way: Way::Any,
            memory_calls: false,
            after: true,
            call: 0,
        }
    }
}

/// Why a site was not patched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// One of the memory calls, or a window the options exclude.
    LeftAlone,
    /// Other threads run, and the window cannot change in one store.
    Threads,
    /// The stub area is full.
    NoRoom,
    /// Stub, gate or an address in the window is more than 2 GiB away.
    TooFar,
    /// The window does not hold what the scan saw.
    Changed,
    /// Writing failed; nothing of this call stays patched.
    Write(Failure),
}

/// What [`Patcher::install`] did.
#[derive(Debug, Default)]
pub struct Report {
    /// Sites that now jump to their stubs.
    pub patched: usize,
    pub refused: Vec<(Site, Reason)>,
}

/// True if the process has one thread, so that any window may be written.
pub fn alone() -> bool {
    kernel::threads() == Some(1)
}

/// A window that no longer holds our jump.
#[derive(Debug, Clone, Copy)]
pub struct Lost {
    /// The site's index, as in its stub's descriptor.
    pub index: u64,
    pub addr: usize,
    /// The first bytes that stand there now.
    pub found: [u8; 5],
}

/// A window as it was and as it was written.
struct Window {
    index: u64,
    addr: usize,
    len: usize,
    old: [u8; Site::LONGEST],
    new: [u8; Site::LONGEST],
}

impl Window {
    fn edit(&self) -> Edit<'_> {
        Edit {
            addr: self.addr,
            old: &self.old[..self.len],
            new: &self.new[..self.len],
        }
    }

    fn undo(&self) -> Edit<'_> {
        Edit {
            addr: self.addr,
            old: &self.new[..self.len],
            new: &self.old[..self.len],
        }
    }
}

/// The patches of a process. Dropping it leaves them in place.
#[derive(Default)]
pub struct Patcher {
    options: Options,
    windows: Vec<Window>,
    /// The index the next site gets.
    next: u64,
}

impl Patcher {
    pub fn new(options: Options) -> Patcher {
        Patcher {
            options,
            ..Patcher::default()
        }
    }

    /// Sends `sites` to `gate`. The index in a stub's descriptor is the site's
    /// position in `sites`, plus the number of sites given in earlier calls.
    ///
    /// With other threads running only single-instruction windows that one
    /// aligned eight-byte store covers are written, each by a pwrite of these
    /// eight bytes: the kernel copies them in one move, though nobody
    /// promises it. Not to be called by two threads at a time.
    ///
    /// # Safety
    /// `gate` is the address of code that honours the contract of the stubs'
    /// descriptor (see the crate's documentation), and is never unloaded.
    pub unsafe fn install(&mut self, sites: &[Site], area: &mut StubArea, gate: usize) -> Report {
        let first = self.next;
        self.next += sites.len() as u64;
        let mut report = Report::default();
        let threads = !alone();

        let mut stubs = Vec::with_capacity(sites.len() * 64);
        let mut new = Vec::with_capacity(sites.len());
        let stubs_at = area.next().next_multiple_of(arch::STUB_ALIGN);
        let room = area.left().saturating_sub(stubs_at - area.next());
        for (position, site) in sites.iter().enumerate() {
            let index = first + position as u64;
            let size = stubs.len();
            let window = self
                .may_patch(site, threads)
                .and_then(|()| match site.kind {
                    Kind::Call => redirect(site, index, self.options.call),
                    _ => prepare(site, index, stubs_at, &mut stubs, room, gate, threads),
                });
            match window {
                Ok(window) => new.push((window, site)),
                Err(why) => {
                    stubs.truncate(size);
                    report.refused.push((*site, why));
                }
            }
        }
        if new.is_empty() {
            return report;
        }
        new.sort_unstable_by_key(|(window, _)| window.addr);

        // SAFETY: passed on to the caller.
        match unsafe {
            write(
                self.options.way,
                area.whole(),
                stubs_at,
                &stubs,
                &new,
                threads,
            )
        } {
            Ok(()) => {
                area.take(stubs_at - area.next() + stubs.len());
                report.patched = new.len();
                self.windows
                    .extend(new.into_iter().map(|(window, _)| window));
            }
            Err(failure) => {
                let all = new.iter().map(|&(_, site)| (*site, Reason::Write(failure)));
                report.refused.extend(all);
            }
        }
        report
    }

    fn may_patch(&self, site: &Site, threads: bool) -> Result<(), Reason> {
        if site.kind == Kind::After && !self.options.after
            || site.kind == Kind::Call && self.options.call == 0
            || site.nr.is_some_and(is_memory_call) && !self.options.memory_calls
        {
            return Err(Reason::LeftAlone);
        }
        let one_store = site.insns == 1 && site.addr % 8 + arch::JUMP <= 8;
        if threads && (site.kind == Kind::After || !one_store) {
            return Err(Reason::Threads);
        }
        if !text::holds(site.addr, site.window()) {
            return Err(Reason::Changed);
        }
        Ok(())
    }

    /// Sites patched now.
    pub fn patched(&self) -> usize {
        self.windows.len()
    }

    /// The census: windows that do not hold what was written. Reads text only.
    pub fn verify(&self) -> Vec<Lost> {
        let lost = |window: &&Window| !text::holds(window.addr, window.edit().new);
        self.windows
            .iter()
            .filter(lost)
            .map(|window| {
                let mut found = [0; 5];
                text::read(window.addr, &mut found);
                Lost {
                    index: window.index,
                    addr: window.addr,
                    found,
                }
            })
            .collect()
    }

    /// Restores every window that still holds our jump; the stubs stay, since a
    /// thread may be in one. Returns the windows that were not restored.
    pub fn undo(&mut self, area: &StubArea) -> Vec<Lost> {
        let lost = self.verify();
        let mut edits: Vec<_> = self
            .windows
            .iter()
            .filter(|window| lost.iter().all(|l| l.addr != window.addr))
            .map(Window::undo)
            .collect();
        edits.sort_unstable_by_key(|edit| edit.addr);
        let result = Writer::open(self.options.way, area.whole())
            // SAFETY: the old instructions mean the same as the jump: a thread sees
            // one or the other, or - torn, only where install was told that there
            // are no threads - is not there.
            .and_then(|writer| unsafe { writer.apply(&edits) });
        let after = match result {
            Ok(()) => lost,
            Err(_) => self.verify(),
        };
        self.windows.clear();
        after
    }
}

/// Calls that other libraries patch, or that malloc makes underneath everything.
fn is_memory_call(nr: u32) -> bool {
    let nr = libc::c_long::from(nr as i32);
    let mut left = [
        libc::SYS_munmap,
        libc::SYS_madvise,
        libc::SYS_brk,
        libc::SYS_shmat,
        libc::SYS_shmdt,
    ]
    .into_iter();
    left.any(|call| call == nr)
}

/// Appends the stub of `site` and says what its window becomes.
fn prepare(
    site: &Site,
    index: u64,
    stubs_at: usize,
    stubs: &mut Vec<u8>,
    room: usize,
    gate: usize,
    threads: bool,
) -> Result<Window, Reason> {
    while stubs.len() % arch::STUB_ALIGN != 0 {
        stubs.push(0xcc);
    }
    let stub = stubs_at + stubs.len();
    if stubs.len() + arch::LONGEST_STUB > room {
        return Err(Reason::NoRoom);
    }
    arch::write_stub(stubs, stubs_at, site, gate, index).ok_or(Reason::TooFar)?;
    let whole = site.window().len();
    let new = arch::jump(site.addr, stub, whole).ok_or(Reason::TooFar)?;
    Ok(Window {
        index,
        addr: site.addr,
        len: if threads { arch::JUMP } else { whole },
        old: site.original,
        new,
    })
}

/// What the window of a [`Kind::Call`] becomes: no stub, another callee.
fn redirect(site: &Site, index: u64, to: usize) -> Result<Window, Reason> {
    Ok(Window {
        index,
        addr: site.addr,
        len: site.window().len(),
        old: site.original,
        new: arch::call(site.addr, to).ok_or(Reason::TooFar)?,
    })
}

/// Stubs first, then the jumps; on failure the jumps are taken back.
///
/// # Safety
/// As for [`Patcher::install`].
unsafe fn write(
    way: Way,
    area: (usize, usize),
    stubs_at: usize,
    stubs: &[u8],
    windows: &[(Window, &Site)],
    threads: bool,
) -> Result<(), Failure> {
    let writer = Writer::open(way, area)?;
    // SAFETY: the area is ours, and no jump leads there yet.
    unsafe { writer.write(stubs_at, stubs) }?;
    let edits: Vec<_> = windows.iter().map(|(window, _)| window.edit()).collect();
    let result = if threads {
        edits
            .iter()
            // SAFETY: each is one instruction in one aligned word.
            .try_for_each(|edit| unsafe { writer.one_store(edit) })
    } else {
        // SAFETY: there is one thread, and it is here.
        unsafe { writer.apply(&edits) }
    };
    if result.is_err() {
        for (window, _) in windows {
            if text::holds(window.addr, window.edit().new) {
                // SAFETY: as above.
                let _ = unsafe { writer.apply(&[window.undo()]) };
            }
        }
    }
    result
}

#[cfg(all(test, target_arch = "x86_64"))]
mod tests {
    use super::*;
    use crate::fixture::*;

    fn same_results_with(gate: unsafe extern "C" fn(), options: Options) {
        in_child(|| {
            let plain = work(&temporary());
            let sites = all_sites();
            let before: Vec<_> = sites.iter().map(|s| s.window().to_vec()).collect();
            let (mut area, gate) = area_and_gate(gate);
            let mut patcher = Patcher::new(options);
            // SAFETY: the gate honours the contract.
            let report = unsafe { patcher.install(&sites, &mut area, gate) };
            let began = count();
            let patched = work(&temporary());
            let calls = count() - began;
            let lost = patcher.verify().len() + patcher.undo(&area).len();
            let ended = count();
            let again = work(&temporary());
            let restored = sites
                .iter()
                .zip(&before)
                .all(|(site, bytes)| text::holds(site.addr, bytes));
            assert_eq!(report.refused.len(), 0, "{:?}", report.refused);
            assert!(report.patched > 400 && calls > 2000, "{calls}");
            assert_eq!(
                (plain.as_str(), lost, restored),
                (patched.as_str(), 0, true)
            );
            assert_eq!((again, count()), (plain, ended));
            true
        });
    }

    #[test]
    fn a_patched_libc_behaves_the_same() {
        same_results_with(pil_test_resume_gate, everything());
    }

    #[test]
    fn calls_the_gate_serves_go_on_behind_the_site() {
        same_results_with(pil_test_serve_gate, everything());
    }

    #[test]
    fn patching_by_protection_is_the_same() {
        let options = Options {
            way: Way::Protection,
            ..everything()
        };
        same_results_with(pil_test_resume_gate, options);
    }

    #[test]
    fn a_foreign_patch_is_left_alone_and_reported() {
        in_child(|| {
            let sites = all_sites();
            let site = *sites
                .iter()
                .find(|s| s.nr == Some(libc::SYS_acct as u32))
                .unwrap();
            let other = *sites
                .iter()
                .find(|s| s.nr == Some(libc::SYS_swapon as u32))
                .unwrap();
            let (mut area, gate) = area_and_gate(pil_test_resume_gate);
            let mut patcher = Patcher::default();
            let writer = Writer::open(Way::Any, area.whole()).ok().unwrap();
            // SAFETY: nobody calls acct or swapon here.
            unsafe { writer.write(site.addr, &[0xcc]) }.unwrap();
            // SAFETY: the gate honours the contract.
            let report = unsafe { patcher.install(&[site, other], &mut area, gate) };
            assert_eq!(report.patched, 1);
            assert_eq!(report.refused[0].1, Reason::Changed);
            // SAFETY: as above.
            unsafe { writer.write(other.addr, &[0xcc]) }.unwrap();
            let lost = patcher.verify();
            assert_eq!((lost.len(), lost[0].index, lost[0].found[0]), (1, 1, 0xcc));
            // Not ours any more: undo keeps its hands off.
            assert_eq!(patcher.undo(&area).len(), 1);
            text::holds(other.addr, &[0xcc])
        });
    }

    #[test]
    fn memory_calls_and_owned_calls_are_a_choice() {
        in_child(|| {
            let sites = all_sites();
            let (mut area, gate) = area_and_gate(pil_test_resume_gate);
            let mut patcher = Patcher::new(Options {
                after: false,
                ..Options::default()
            });
            // SAFETY: the gate honours the contract.
            let report = unsafe { patcher.install(&sites, &mut area, gate) };
            let left =
                |site: &&Site| site.kind == Kind::After || site.nr.is_some_and(is_memory_call);
            assert_eq!(report.refused.len(), sites.iter().filter(left).count());
            assert!(report
                .refused
                .iter()
                .all(|(_, why)| *why == Reason::LeftAlone));
            assert_eq!(report.patched + report.refused.len(), sites.len());
            true
        });
    }

    #[test]
    fn with_threads_only_single_stores_are_made() {
        in_child(|| {
            let (stop, wait) = std::sync::mpsc::channel::<()>();
            let thread = std::thread::spawn(move || wait.recv().ok());
            let sites = all_sites();
            let (mut area, gate) = area_and_gate(pil_test_resume_gate);
            let mut patcher = Patcher::new(everything());
            // SAFETY: the gate honours the contract.
            let report = unsafe { patcher.install(&sites, &mut area, gate) };
            drop(stop);
            thread.join().unwrap();
            assert!(report.patched > 100);
            for (site, why) in &report.refused {
                assert_eq!(*why, Reason::Threads);
                assert!(site.insns > 1 || site.addr % 8 > 3);
            }
            patcher.verify().is_empty() && patcher.undo(&area).is_empty()
        });
    }

    #[test]
    fn threads_at_work_do_not_notice() {
        in_child(|| {
            let dir = temporary();
            let stop = std::sync::atomic::AtomicBool::new(false);
            let rounds = std::sync::atomic::AtomicU64::new(0);
            let sites = all_sites();
            let before: Vec<_> = sites.iter().map(|s| s.window().to_vec()).collect();
            let (mut area, gate) = area_and_gate(pil_test_resume_gate);
            std::thread::scope(|scope| {
                for n in 0..8 {
                    let (dir, stop, rounds) = (dir.to_str().unwrap(), &stop, &rounds);
                    scope.spawn(move || {
                        while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                            let path = format!("{dir}/{n}");
                            std::fs::write(&path, vec![n; 100]).unwrap();
                            assert_eq!(std::fs::read(&path).unwrap(), vec![n; 100]);
                            std::fs::remove_file(&path).unwrap();
                            rounds.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                        }
                    });
                }
                for _ in 0..20 {
                    let mut patcher = Patcher::new(everything());
                    // SAFETY: the gate honours the contract.
                    let report = unsafe { patcher.install(&sites, &mut area, gate) };
                    assert!(report.patched > 100);
                    std::thread::sleep(std::time::Duration::from_millis(5));
                    assert!(patcher.undo(&area).is_empty());
                }
                stop.store(true, std::sync::atomic::Ordering::Relaxed);
            });
            std::fs::remove_dir_all(dir.to_str().unwrap()).unwrap();
            let mut windows = sites.iter().zip(&before);
            let restored = windows.all(|(site, bytes)| text::holds(site.addr, bytes));
            restored && count() > 0 && rounds.into_inner() > 100
        });
    }

    #[test]
    fn text_that_cannot_be_written_stays() {
        in_child(|| {
            let sites = all_sites();
            let (mut area, gate) = area_and_gate(pil_test_resume_gate);
            let mut patcher = Patcher::new(Options {
                way: Way::Memory,
                ..everything()
            });
            close_every_door();
            // SAFETY: the gate honours the contract.
            let report = unsafe { patcher.install(&sites, &mut area, gate) };
            let closed = Reason::Write(Failure::Kernel(libc::EMFILE));
            assert!(report.refused.iter().all(|(_, why)| *why == closed));
            assert_eq!((report.patched, patcher.patched()), (0, 0));
            assert_eq!(report.refused.len(), sites.len());
            sites.iter().all(|s| text::holds(s.addr, s.window()))
        });
    }

    #[test]
    fn a_full_area_and_a_far_gate_are_refused() {
        in_child(|| {
            let sites = all_sites();
            let (mut area, gate) = area_and_gate(pil_test_resume_gate);
            let base = area.next().next_multiple_of(16);
            // SAFETY: part of the same area.
            let mut small = unsafe { StubArea::new(base as *mut u8, 4096) };
            let mut patcher = Patcher::new(everything());
            // SAFETY: the gate honours the contract.
            let report = unsafe { patcher.install(&sites, &mut small, gate) };
            assert!(report.patched > 10 && small.left() < 200);
            assert!(report.refused.iter().all(|(_, why)| *why == Reason::NoRoom));
            patcher.undo(&small);
            // SAFETY: refused before anything is written.
            let report =
                unsafe { patcher.install(&sites[..1], &mut area, base.wrapping_add(1 << 33)) };
            report.refused[0].1 == Reason::TooFar
        });
    }
}
