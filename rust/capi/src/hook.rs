//! Puts the call-site trampolines into libc and ld.so - all that a file call needs, or none - and
//! takes the census of them at exit: other libraries patch too (UCX, jemalloc), and a lost site is
//! one we no longer see.
use crate::sitecache::{self, Cache};
use crate::{boundary::boundary, config};
use funchook_sys::module::Module;
use funchook_sys::patch::{Options, Patcher, Reason, StubArea};
use funchook_sys::sites::{self, Refused, Site};
use std::sync::Mutex;

/// What is patched, and where the stubs lie.
struct Installed {
    patcher: Patcher,
    area: StubArea,
    /// Addresses of mmap's calls: see [`is_mmap`].
    mmaps: Vec<usize>,
}

static INSTALLED: Mutex<Option<Installed>> = Mutex::new(None);

/// Wanted calls that may go unseen: without exit_group's site there is no report at exit; munmap,
/// madvise and the shared memory calls are left to the libraries that patch them (our own exports
/// see the program's).
const TOLERATED: [libc::c_long; 6] = [
    libc::SYS_exit_group,
    libc::SYS_munmap,
    libc::SYS_madvise,
    libc::SYS_brk,
    libc::SYS_shmat,
    libc::SYS_shmdt,
];

/// Finds the wanted call sites of libc and ld.so and sends them to `gate`, their stubs going into
/// `len` bytes of our own text at `stubs`. Where libc makes its cancellable calls in one function
/// (glibc 2.41), its call goes to `cancellable` instead, and `callee` becomes that function.
/// The number of patched sites, or negative: nothing is patched.
///
/// # Safety
/// The area is reserved text of this library; `gate` honours the stubs' contract (c/pil.h) and
/// `cancellable` that of the function it stands in for; `callee` can be written.
#[no_mangle]
pub unsafe extern "C" fn pil_hook(
    stubs: *mut u8,
    len: usize,
    gate: *const u8,
    cancellable: *const u8,
    callee: *mut usize,
) -> i32 {
    boundary(-1, || {
        let modules = Module::of_process();
        // SAFETY: the caller reserves the area for this alone.
        let own = unsafe { StubArea::new(stubs, len) };
        let Some((area, way_in, cancellable)) = near(&modules, own, len, gate, cancellable) else {
            log::error!("no room for stubs near the C library: interception stays off");
            return -1;
        };
        let options = Options {
            call: cancellable,
            ..Options::default()
        };
        let mut hooks = Installed {
            patcher: Patcher::new(options),
            area,
            mmaps: Vec::new(),
        };
        let tell = |sites: &[Site]| {
            if let Some(found) = sites.iter().find_map(Site::callee) {
                // SAFETY: the caller's promise.
                unsafe { callee.write(found) };
            }
        };
        let rundir = config::variable("PIL4DFS_RUNDIR").filter(|dir| !dir.is_empty());
        let cache = Cache::of(&modules, gate as usize, rundir);
        if let Some(known) = cache.as_ref().and_then(|cache| cache.load(&modules)) {
            tell(&known);
            // SAFETY: the gate is the entry layer's.
            if let Ok(patched) = unsafe { hooks.install(&known, way_in) } {
                return hooks.keep(patched);
            }
        }
        let found = match find(&modules) {
            Ok(found) => found,
            Err(refused) => {
                log::error!(
                    "call {:?} at {:#x} of this C library cannot be patched ({:?}): interception stays off",
                    refused.nr,
                    refused.syscall,
                    refused.why
                );
                return -1;
            }
        };
        let cache = cache.filter(|_| sitecache::untouched(&modules));
        tell(&found);
        // SAFETY: the gate is the entry layer's.
        match unsafe { hooks.install(&found, way_in) } {
            Ok(patched) => {
                if let Some(cache) = &cache {
                    cache.store(&modules, &found);
                }
                hooks.keep(patched)
            }
            Err((site, why)) => {
                log::error!(
                    "call {:?} at {:#x} of this C library is not patched ({why:?}): interception stays off",
                    site.nr,
                    site.syscall
                );
                -1
            }
        }
    })
}

/// The area for stubs, and the ways from there to the gate and to `cancellable`. Text of a program that
/// the library is linked into lies far from the C library: then an area near that, and bridges.
fn near(
    modules: &[Module],
    own: StubArea,
    len: usize,
    gate: *const u8,
    cancellable: *const u8,
) -> Option<(StubArea, usize, usize)> {
    let (gate, cancellable) = (gate as usize, cancellable as usize);
    let mut texts = modules.iter().flat_map(|module| &module.text);
    if texts.all(|text| own.reaches(text.start) && own.reaches(text.end)) {
        return Some((own, gate, cancellable));
    }
    let mut area = StubArea::near(modules.first()?.text.first()?.start, len)?;
    let (gate, cancellable) = (area.bridge(gate).ok()?, area.bridge(cancellable).ok()?);
    Some((area, gate, cancellable))
}

/// The wanted call sites, or one that a file call needs and that cannot be had.
fn find(modules: &[Module]) -> Result<Vec<Site>, Refused> {
    let wanted = |nr: u32| crate::entry::wants(nr);
    let mut found = Vec::new();
    for module in modules {
        let (mut sites, census) = sites::scan_with_census(module, &wanted);
        sites::prefer_call(module, &mut sites);
        for refused in &census.refused {
            log::debug!(
                "call {:?} at {:#x} is left alone: {:?}",
                refused.nr,
                refused.syscall,
                refused.why
            );
        }
        let needed = |r: &&Refused| {
            r.nr.map_or(behind_jump(module, r.syscall), |nr| {
                wanted(nr) && !tolerated(nr)
            })
        };
        if let Some(missed) = census.refused.iter().find(needed) {
            return Err(*missed);
        }
        log::info!(
            "{:?}: {} calls found, {} to be patched, {} of no interest, {} left alone",
            module.id,
            census.seen,
            sites.len(),
            census.unwanted,
            census.refused.len()
        );
        found.extend(sites);
    }
    Ok(found)
}

/// Whether a jump stands right before a call, filled up with int3: somebody else has patched it, and
/// took the number away. Compilers let a call follow what falls into it.
fn behind_jump(module: &Module, syscall: usize) -> bool {
    let before = module
        .code(syscall - Site::LONGEST..syscall)
        .unwrap_or_default();
    let filled = before
        .iter()
        .rev()
        .take_while(|&&byte| byte == 0xcc)
        .count();
    let jump = before.len().checked_sub(filled + 5);
    jump.is_some_and(|at| before[at] == 0xe9)
}

fn tolerated(nr: u32) -> bool {
    TOLERATED.contains(&nr.into())
}

impl Installed {
    /// Patches the sites: all that matter, or none (then one of those that could not be).
    ///
    /// # Safety
    /// As for [`pil_hook`].
    unsafe fn install(&mut self, sites: &[Site], gate: usize) -> Result<usize, (Site, Reason)> {
        // SAFETY: passed on to the caller.
        let report = unsafe { self.patcher.install(sites, &mut self.area, gate) };
        for (site, why) in &report.refused {
            log::debug!(
                "call {:?} at {:#x} is not patched: {why:?}",
                site.nr,
                site.syscall
            );
        }
        let mmaps = sites.iter().filter(|s| s.nr == Some(libc::SYS_mmap as u32));
        self.mmaps = mmaps.map(|site| site.syscall).collect();
        let missed = report
            .refused
            .iter()
            .find(|(site, _)| !site.nr.is_some_and(tolerated));
        if let Some(&missed) = missed {
            self.patcher.undo(&self.area);
            return Err(missed);
        }
        log::info!(
            "{} call sites patched, {} left alone",
            report.patched,
            report.refused.len()
        );
        Ok(report.patched)
    }

    fn keep(self, patched: usize) -> i32 {
        *lock() = Some(self);
        patched as i32
    }
}

/// Takes every patch back (the start-up self-test failed).
#[no_mangle]
pub extern "C" fn pil_unhook() {
    boundary((), || {
        if let Some(mut installed) = lock().take() {
            installed.patcher.undo(&installed.area);
        }
    })
}

/// The census: reports windows that no longer hold what was written there. Reads text only.
pub fn census() {
    let installed = lock();
    let Some(installed) = installed.as_ref() else {
        return;
    };
    let lost = installed.patcher.verify();
    let rewritten = lost.iter().filter(|l| installed.is_mmap(l.addr)).count();
    if rewritten > 0 {
        log::info!("libc's mmap was rewritten by another library, which sees the program's calls behind us");
    }
    let unseen = lost.iter().find(|l| !installed.is_mmap(l.addr));
    match unseen {
        None => log::info!(
            "{} call sites stand as they were patched",
            installed.patcher.patched() - rewritten
        ),
        Some(first) => log::warn!(
            "{} call sites were overwritten by another library (the first at {:#x}): calls through them were not seen",
            lost.len() - rewritten,
            first.addr
        ),
    }
}

impl Installed {
    /// Whether a window is one of mmap's. In libc's that is near enough to the function's beginning for
    /// a long jump of a memory hook (Open MPI's and UCX's take 13 bytes) to reach into it. Nothing is
    /// lost: programs call our export, and libc itself maps files only to read streams faster.
    fn is_mmap(&self, window: usize) -> bool {
        let within = |call: &usize| (window..window + Site::LONGEST).contains(call);
        self.mmaps.iter().any(within)
    }
}

fn lock() -> std::sync::MutexGuard<'static, Option<Installed>> {
    INSTALLED.lock().unwrap_or_else(|e| e.into_inner())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_libc_has_all_that_is_needed() {
        for module in Module::of_process() {
            let (_, census) = sites::scan_with_census(&module, &|_| true);
            assert!(census
                .refused
                .iter()
                .all(|r| !behind_jump(&module, r.syscall)));
        }
        assert!(find(&Module::of_process()).is_ok());
    }
}
