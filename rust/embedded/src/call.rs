//! What every exported function does around its body: refuse before init and after fork, count,
//! delay, fail on order, catch panics, and answer in its library's convention.
use crate::away::{self, Fate};
use crate::error::{der, Error, Result};
use crate::process;
use std::ffi::c_int;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::time::Duration;

macro_rules! list {
    (
        required { $($req:ident [$($rsym:literal),+] ($($rarg:ident: $rty:ty),*) -> $rret:ty;)* }
        optional { $($opt:ident [$($osym:literal),+] ($($oarg:ident: $oty:ty),*) -> $oret:ty;)* }
    ) => {
        /// Every function of the table of `daos-sys`, by name.
        #[allow(non_camel_case_types)]
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub enum Function { $($req,)* $($opt,)* }

        /// Their names, in the enum's order.
        pub const FUNCTION_NAMES: &[&str] = &[$(stringify!($req),)* $(stringify!($opt),)*];
    };
}

daos_sys::functions!(list);

/// How a function answers and what it is in DAOS.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// 0 or a negative DER number; asks a server.
    Daos,
    /// 0 or a negative DER number; local.
    DaosLocal,
    /// 0 or a positive errno; asks a server.
    Dfs,
    /// 0 or a positive errno; local.
    DfsLocal,
}

impl Style {
    fn answer(self, result: Result<c_int>) -> c_int {
        match (result, self) {
            (Ok(value), _) => value,
            (Err(error), Style::Daos | Style::DaosLocal) => error.as_daos(),
            (Err(error), Style::Dfs | Style::DfsLocal) => error.as_dfs(),
        }
    }
}

/// Busy for so long, as a client that polls the network is.
pub fn spin(time: Duration) {
    let start = std::time::Instant::now();
    while start.elapsed() < time {
        std::hint::spin_loop();
    }
}

/// Runs `body` as `function`. `EIO` (or DER_UNINIT) before init and after fork.
#[inline]
pub fn run(function: Function, style: Style, body: impl FnOnce() -> Result<c_int>) -> c_int {
    style.answer(attached(function, style, body))
}

#[inline]
fn attached(
    function: Function,
    style: Style,
    body: impl FnOnce() -> Result<c_int>,
) -> Result<c_int> {
    let Some(process) = process::current() else {
        process::refused();
        // A real fork child would hang here; failing shows the same fault sooner.
        return match style {
            Style::Daos | Style::DaosLocal => der(daos_sys::DER_UNINIT),
            Style::Dfs | Style::DfsLocal => Err(Error::Errno(libc::EIO)),
        };
    };
    process.counters.call(function);
    if !process.faults.is_empty() {
        if let Err(error) = process.faults.strike(function) {
            process.counters.fault(function);
            return Err(error);
        }
    }
    let mut fate = Fate::Made;
    if process.away() != 0 {
        fate = away::decide(|| process.away(), process.timeout, function, style)
            .inspect_err(|_| process.counters.fault(function))?;
    }
    if !process.delay.is_zero() && matches!(style, Style::Daos | Style::Dfs) {
        spin(process.delay);
    }
    match (guarded(body), fate) {
        (Ok(_), Fate::Lost) => der(daos_sys::DER_TIMEDOUT),
        (result, _) => result,
    }
}

/// Runs `body` as a function that needs no init; faults and counts only where there is one.
pub fn run_any_time(
    function: Function,
    style: Style,
    body: impl FnOnce() -> Result<c_int>,
) -> c_int {
    if let Some(process) = process::current() {
        process.counters.call(function);
        if let Err(error) = process.faults.strike(function) {
            process.counters.fault(function);
            return style.answer(Err(error));
        }
    }
    style.answer(guarded(body))
}

fn guarded(body: impl FnOnce() -> Result<c_int>) -> Result<c_int> {
    catch_unwind(AssertUnwindSafe(body)).unwrap_or(Err(Error::Errno(libc::EIO)))
}

/// Defines exported functions of the C ABI: `style fn name(arguments) { body }`, where the body
/// answers `Result<c_int>`; with `any_time` before the style: also before `daos_init`.
macro_rules! export {
    ($($(#[$meta:meta])* $style:ident fn $name:ident($($arg:ident: $ty:ty),* $(,)?) $body:block)*) => {$(
        $(#[$meta])*
        ///
        /// # Safety
        /// As DAOS's header asks: pointers null or valid, handles live.
        #[no_mangle]
        pub unsafe extern "C" fn $name($($arg: $ty),*) -> ::std::ffi::c_int {
            // SAFETY: the caller keeps the contract of DAOS's header for this function; the
            // body's unsafe calls are conversions of exactly these arguments.
            #[allow(unused_unsafe)]
            $crate::call::run($crate::call::Function::$name, $crate::call::Style::$style, || unsafe { $body })
        }
    )*};
}

/// As `export!`, for functions that may be called before `daos_init`.
macro_rules! export_any_time {
    ($($(#[$meta:meta])* $style:ident fn $name:ident($($arg:ident: $ty:ty),* $(,)?) $body:block)*) => {$(
        $(#[$meta])*
        ///
        /// # Safety
        /// As DAOS's header asks: pointers null or valid, handles live.
        #[no_mangle]
        pub unsafe extern "C" fn $name($($arg: $ty),*) -> ::std::ffi::c_int {
            // SAFETY: as in `export!`.
            #[allow(unused_unsafe)]
            $crate::call::run_any_time($crate::call::Function::$name, $crate::call::Style::$style, || unsafe { $body })
        }
    )*};
}
