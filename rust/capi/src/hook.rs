//! Puts the call-site trampolines into libc and ld.so, and takes the census of them.
use crate::boundary::boundary;
use funchook_sys as engine;
use std::sync::Mutex;

static PATCHER: Mutex<Option<engine::Patcher>> = Mutex::new(None);
