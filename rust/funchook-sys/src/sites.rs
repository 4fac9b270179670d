//! Call sites: the places in libc's text where it enters the kernel. Relies on
//! the architecture's half ([`crate::arch`]) to find and prove them.

use crate::arch;
use crate::module::{Module, ModuleId};

/// How a site can be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The window is the one instruction that loads the constant number, right
    /// before the call.
    Mov,
    /// The window is the last instructions before the call.
    Before,
    /// The window is the call itself and what follows it: the stub owns the call.
    After,
    /// The number is known at run time only. The window stands before the call.
    Dynamic,
    /// The window is a call of the function that makes the call, as if that
    /// function were the system call (see [`prefer_call`]).
    Call,
}

/// One place where a module enters the kernel.
#[derive(Clone, Copy, Debug)]
pub struct Site {
    pub module: ModuleId,
    /// Address of the window.
    pub addr: usize,
    /// Bytes of the window, at least five.
    pub window_len: u8,
    /// Instructions of the window.
    pub insns: u8,
    /// Address of the `syscall` instruction, or of the call that is the window.
    pub syscall: usize,
    /// The constant number, where there is one.
    pub nr: Option<u32>,
    pub kind: Kind,
    /// What stood in the window when it was examined.
    pub original: [u8; Site::LONGEST],
}

impl Site {
    /// The longest window: four bytes and one instruction.
    pub const LONGEST: usize = 20;

    /// The window's bytes as they were.
    pub fn window(&self) -> &[u8] {
        &self.original[..usize::from(self.window_len)]
    }
}

/// Why a place was left alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// No unwind entry covers it, or that of a signal frame.
    NoFunction,
    /// Its function holds bytes that are no known instruction.
    Undecodable,
    /// Its function branches into the middle of an instruction.
    OddBranch,
    /// The number is not proven, and the place is none of the known dynamic ones.
    UnknownNumber,
    /// No safe window.
    NoWindow,
}

/// A place that was left alone.
#[derive(Clone, Copy, Debug)]
pub struct Refused {
    pub module: ModuleId,
    pub syscall: usize,
    pub nr: Option<u32>,
    pub why: Refusal,
}

/// What a scan saw beside the sites it returns.
#[derive(Default, Debug)]
pub struct Census {
    /// `syscall` instructions met.
    pub seen: usize,
    /// Of these, with a number nobody wanted.
    pub unwanted: usize,
    /// Of these, not provable.
    pub refused: Vec<Refused>,
}

/// A scan in progress.
pub struct Scan<'a> {
    pub(crate) wanted: &'a dyn Fn(u32) -> bool,
    pub(crate) found: Vec<Site>,
    pub(crate) census: Census,
}

impl Scan<'_> {
    pub(crate) fn refuse(
        &mut self,
        module: &Module,
        syscall: usize,
        nr: Option<u32>,
        why: Refusal,
    ) {
        self.census.refused.push(Refused {
            module: module.id,
            syscall,
            nr,
            why,
        });
    }
}

/// The sites of `module` whose constant number is wanted, and its dynamic ones,
/// in the order of their addresses.
pub fn scan(module: &Module, wanted: &dyn Fn(u32) -> bool) -> Vec<Site> {
    scan_with_census(module, wanted).0
}

/// As [`scan`], with the account of what was left out.
pub fn scan_with_census(module: &Module, wanted: &dyn Fn(u32) -> bool) -> (Vec<Site>, Census) {
    let mut scan = Scan {
        wanted,
        found: Vec::with_capacity(256),
        census: Census::default(),
    };
    arch::scan(module, &mut scan);
    (scan.found, scan.census)
}

/// From glibc 2.41 on the signal that cancels a thread does so only between two
/// addresses of one function, and a call made elsewhere blocks on. Where it is
/// proven that the function is called from one place, that place becomes the site
/// instead: of kind [`Kind::Call`], for [`crate::patch::Options::call`]. All other
/// modules stay as they are.
pub fn prefer_call(module: &Module, sites: &mut [Site]) {
    arch::prefer_call(module, sites);
}

impl Site {
    /// What a site of kind [`Kind::Call`] calls.
    pub fn callee(&self) -> Option<usize> {
        arch::target_of(self)
    }
}

#[cfg(all(test, target_arch = "x86_64"))]
mod tests {
    use super::*;

    fn libc_and_loader() -> Vec<Module> {
        Module::of_process()
    }

    #[test]
    fn every_file_call_of_libc_is_found() {
        let modules = libc_and_loader();
        let libc = modules.iter().find(|m| m.id == ModuleId::Libc).unwrap();
        let (sites, _) = scan_with_census(libc, &|_| true);
        for nr in [
            libc::SYS_read,
            libc::SYS_write,
            libc::SYS_openat,
            libc::SYS_close,
            libc::SYS_newfstatat,
            libc::SYS_getdents64,
            libc::SYS_lseek,
            libc::SYS_execve,
            libc::SYS_rt_sigaction,
            libc::SYS_exit_group,
        ] {
            assert!(sites.iter().any(|s| s.nr == Some(nr as u32)), "{nr}");
        }
        let dynamic = libc.function(libc.symbol(c"syscall").unwrap()).unwrap();
        let by_name = sites.iter().find(|s| dynamic.contains(&s.syscall)).unwrap();
        assert_eq!((by_name.kind, by_name.nr), (Kind::Dynamic, None));
    }

    /// The scan only looks for branches inside a function. Here every place of
    /// the text that reads like a jump or call is asked where it goes.
    #[test]
    fn nobody_jumps_into_a_window_from_elsewhere() {
        for module in libc_and_loader() {
            let sites = scan(&module, &|_| true);
            let mut inner = std::collections::HashMap::new();
            for site in &sites {
                let end = match site.kind {
                    Kind::After => site.addr + site.window().len(),
                    _ => site.syscall + 1,
                };
                inner.extend((site.addr + 1..end).map(|address| (address, site)));
            }
            for text in &module.text {
                let code = module.code(text.clone()).unwrap();
                for (at, bytes) in code.windows(6).enumerate() {
                    let near = matches!(bytes[1], 0xe8 | 0xe9)
                        || bytes[0] == 0x0f && bytes[1] & 0xf0 == 0x80;
                    let displacement = i32::from_le_bytes(bytes[2..].try_into().unwrap());
                    let target = (text.start + at + 6).wrapping_add_signed(displacement as isize);
                    if near && inner.contains_key(&target) {
                        panic!("{:x} jumps into {:x?}", text.start + at, inner[&target]);
                    }
                }
            }
        }
    }

    #[test]
    fn windows_do_not_overlap() {
        for module in libc_and_loader() {
            let mut sites = scan(&module, &|_| true);
            sites.sort_by_key(|site| site.addr);
            for pair in sites.windows(2) {
                assert!(pair[0].addr + pair[0].window().len() <= pair[1].addr);
            }
        }
    }

    #[test]
    fn the_account_adds_up() {
        for module in libc_and_loader() {
            let (sites, census) = scan_with_census(&module, &|_| true);
            let of = |kind| sites.iter().filter(|s| s.kind == kind).count();
            println!(
                "{:?}: {} seen, {} mov, {} before, {} after, {} dynamic, refused:",
                module.id,
                census.seen,
                of(Kind::Mov),
                of(Kind::Before),
                of(Kind::After),
                of(Kind::Dynamic)
            );
            for refused in &census.refused {
                println!(
                    "  {:x} {:?} {:?}",
                    refused.syscall - module.bias,
                    refused.nr,
                    refused.why
                );
            }
            assert_eq!(
                census.seen,
                sites.len() + census.unwanted + census.refused.len()
            );
            assert!(census.refused.len() * 6 <= census.seen);
            for site in &sites {
                assert!(site.window_len >= 5);
                assert_eq!(
                    module.code(site.addr..site.addr + site.window().len()),
                    Some(site.window())
                );
                assert_eq!(
                    module.code(site.syscall..site.syscall + 2),
                    Some(&[0x0f, 5][..])
                );
            }
        }
    }
}
