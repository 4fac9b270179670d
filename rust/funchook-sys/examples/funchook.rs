//! A stand-in for libfunchook.so: our own engine under funchook's C names, so
//! that the binding (feature `system`) can be linked and run where funchook is
//! not installed. It exports what the binding declares and nothing more.

// Over the binding it would call itself.
#[cfg(all(feature = "builtin", not(feature = "system")))]
mod names {
    use core::ffi::{c_char, c_int, c_void};
    use funchook_sys::funchook::{self, Funchook};

    macro_rules! names {
        ($($name:ident($($arg:ident: $type:ty),*) -> $result:ty;)*) => {
            $(
                #[no_mangle]
                unsafe extern "C" fn $name($($arg: $type),*) -> $result {
                    // SAFETY: the caller promises what the function of this name asks.
                    #[allow(unused_unsafe)]
                    unsafe {
                        funchook::$name($($arg),*)
                    }
                }
            )*
        };
    }

    names! {
        funchook_create() -> *mut Funchook;
        funchook_prepare(handle: *mut Funchook, target: *mut *mut c_void, hook: *mut c_void) -> c_int;
        funchook_install(handle: *mut Funchook, flags: c_int) -> c_int;
        funchook_uninstall(handle: *mut Funchook, flags: c_int) -> c_int;
        funchook_destroy(handle: *mut Funchook) -> c_int;
        funchook_error_message(handle: *const Funchook) -> *const c_char;
        funchook_set_debug_file(name: *const c_char) -> c_int;
    }
}
