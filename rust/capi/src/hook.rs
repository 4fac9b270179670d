//! Puts the call-site trampolines into libc and ld.so, and takes the census of them at exit:
//! other libraries patch too (UCX, jemalloc), and a lost site is one we no longer see.
use crate::boundary::boundary;
use funchook_sys::module::Module;
use funchook_sys::patch::{Options, Patcher, StubArea};
use funchook_sys::sites;
use std::sync::Mutex;

/// What is patched, and where the stubs lie.
struct Installed {
    patcher: Patcher,
    area: StubArea,
}

static INSTALLED: Mutex<Option<Installed>> = Mutex::new(None);

/// Below this many sites something is wrong with the libc at hand: better off than half served.
const FEWEST: usize = 60;

/// Scans libc and ld.so and sends the wanted call sites to `gate`, their stubs going into
/// `len` bytes of our own text at `stubs`. The number of patched sites, or negative: nothing is patched.
///
/// # Safety
/// The area is reserved text of this library; `gate` honours the stubs' contract (c/pil.h).
#[no_mangle]
pub unsafe extern "C" fn pil_hook(stubs: *mut u8, len: usize, gate: *const u8) -> i32 {
    boundary(-1, || {
        // SAFETY: the caller reserves the area for this alone.
        let mut area = unsafe { StubArea::new(stubs, len) };
        let mut patcher = Patcher::new(Options::default());
        let wanted = |nr: u32| crate::entry::wants(nr);
        let modules = Module::of_process();
        let found: Vec<_> = modules.iter().flat_map(|m| sites::scan(m, &wanted)).collect();
        // SAFETY: the gate is the entry layer's.
        let report = unsafe { patcher.install(&found, &mut area, gate as usize) };
        for (site, why) in &report.refused {
            log::debug!("call site {:#x} ({:?}) is left alone: {why:?}", site.addr, site.nr);
        }
        log::debug!("{} call sites patched, {} left alone", report.patched, report.refused.len());
        let patched = report.patched;
        let mut installed = Installed { patcher, area };
        if patched < FEWEST {
            installed.patcher.undo(&installed.area);
            log::error!(
                "only {patched} call sites of this C library could be patched: interception stays off"
            );
            return -1;
        }
        *lock() = Some(installed);
        patched as i32
    })
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
    let lost = installed.as_ref().map(|i| i.patcher.verify()).unwrap_or_default();
    if !lost.is_empty() {
        log::warn!(
            "{} call sites were overwritten by another library (the first at {:#x}): calls through them were not seen",
            lost.len(),
            lost[0].addr
        );
    }
}

fn lock() -> std::sync::MutexGuard<'static, Option<Installed>> {
    INSTALLED.lock().unwrap_or_else(|e| e.into_inner())
}
