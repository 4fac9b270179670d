//! The panic boundary: what C sees when Rust fails. The one policy of the crate.
use std::panic::{catch_unwind, AssertUnwindSafe};

/// Runs `f`; a panic is logged once and answered with `on_panic`.
pub fn boundary<T>(on_panic: T, f: impl FnOnce() -> T) -> T {
    match catch_unwind(AssertUnwindSafe(f)) {
        Ok(value) => value,
        Err(_) => {
            log::error!("internal error: the call was answered with an error, the program goes on");
            on_panic
        }
    }
}

/// Replaces std's panic message (which would go through the application's stderr stream and look
/// for a backtrace in files) by one logged line.
pub fn install_panic_hook() {
    std::panic::set_hook(Box::new(|info| {
        log::error!("internal error at {:?}: {}", info.location(), message(info));
    }));
}

fn message<'a>(info: &'a std::panic::PanicHookInfo<'_>) -> &'a str {
    let payload = info.payload();
    payload
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("panic")
}
