//! A function table that watches: which functions a thread calls, how many handles it holds, and,
//! on order, one call that fails.
use daos_sys::*;
use libc::{dirent, gid_t, mode_t, stat, uid_t};
use std::cell::{Cell, RefCell};
use std::ffi::{c_char, c_int, c_uint, c_void};
use std::sync::OnceLock;

thread_local! {
    static CALLS: RefCell<Vec<&'static str>> = const { RefCell::new(Vec::new()) };
    static FAIL: Cell<Option<usize>> = const { Cell::new(None) };
    static HANDLES: Cell<i64> = const { Cell::new(0) };
}

/// Calls that ask a server; the others are local.
const LOCAL: &[&str] = &[
    "dfs_release",
    "dfs_obj2id",
    "dfs_get_mode",
    "dfs_get_chunk_size",
    "dfs_get_symlink_value",
    "dfs_dup",
    "dfs_update_parentfd",
    "dfs_query",
    "dfs_obj_get_info",
];
/// Calls that cannot fail on a valid handle, or whose failure is made up for.
const SAFE: &[&str] = &[
    "dfs_release",
    "dfs_obj2id",
    "dfs_update_parentfd",
    "dfs_obj_copy_attr",
    "dfs_get_chunk_size",
];
/// Calls that make a handle, which `dfs_release` gives back.
const MAKERS: &[&str] = &[
    "dfs_open",
    "dfs_open_stat",
    "dfs_lookup",
    "dfs_lookup_rel",
    "dfs_lookupx",
    "dfs_dup",
    "dfs_obj_global2local",
];

/// The functions called during `f`, but for the local ones.
pub fn calls(f: impl FnOnce()) -> Vec<&'static str> {
    CALLS.take();
    f();
    let mut calls = CALLS.take();
    calls.retain(|name| !LOCAL.contains(name));
    calls
}

/// Handles this thread got and did not give back.
pub fn handles() -> i64 {
    HANDLES.get()
}

/// Runs `f` with its call number `n` (from 0) failing with `EIO`; false if it made fewer calls.
pub fn failing(n: usize, f: impl FnOnce()) -> bool {
    FAIL.set(Some(n));
    f();
    FAIL.take().is_none()
}

/// True if this is the call to fail.
fn enter(name: &'static str) -> bool {
    CALLS.with_borrow_mut(|calls| calls.push(name));
    if SAFE.contains(&name) {
        return false;
    }
    match FAIL.get() {
        Some(0) => {
            FAIL.set(None);
            true
        }
        Some(n) => {
            FAIL.set(Some(n - 1));
            false
        }
        None => false,
    }
}

fn leave(name: &'static str, result: impl Result_) {
    if name == "dfs_release" {
        HANDLES.set(HANDLES.get() - 1);
    } else if MAKERS.contains(&name) && result.is_success() {
        HANDLES.set(HANDLES.get() + 1);
    }
}

/// What a function answers.
trait Result_: Copy {
    fn failure(name: &str) -> Self;
    fn is_success(self) -> bool {
        true
    }
}

impl Result_ for c_int {
    fn failure(name: &str) -> c_int {
        match name.starts_with("daos_") {
            true => -DER_IO.abs(),
            false => libc::EIO,
        }
    }
    fn is_success(self) -> bool {
        self == 0
    }
}

impl Result_ for () {
    fn failure(_: &str) {}
}

impl<T> Result_ for *mut T {
    fn failure(_: &str) -> *mut T {
        std::ptr::null_mut()
    }
}

static REAL: OnceLock<Api> = OnceLock::new();

macro_rules! watch {
    (
        required { $($req:ident [$($rsym:literal),+] ($($rarg:ident: $rty:ty),*) -> $rret:ty;)* }
        optional { $($opt:ident [$($osym:literal),+] ($($oarg:ident: $oty:ty),*) -> $oret:ty;)* }
    ) => {
        $(unsafe extern "C" fn $req($($rarg: $rty),*) -> $rret {
            if enter(stringify!($req)) {
                return Result_::failure(stringify!($req));
            }
            // SAFETY: handed through.
            let result = unsafe { (REAL.get().unwrap().$req)($($rarg),*) };
            leave(stringify!($req), result);
            result
        })*
        $(#[allow(clippy::too_many_arguments, clippy::let_unit_value)]
        unsafe extern "C" fn $opt($($oarg: $oty),*) -> $oret {
            if enter(stringify!($opt)) {
                return Result_::failure(stringify!($opt));
            }
            // SAFETY: handed through.
            let result = unsafe { (REAL.get().unwrap().$opt.unwrap())($($oarg),*) };
            leave(stringify!($opt), result);
            result
        })*

        /// Puts a watching function in front of each of the table's.
        pub fn watch(api: &mut Api) {
            REAL.get_or_init(|| *api);
            $(api.$req = $req;)*
            $(api.$opt = api.$opt.map(|_| $opt as _);)*
        }
    };
}

daos_sys::functions!(watch);
