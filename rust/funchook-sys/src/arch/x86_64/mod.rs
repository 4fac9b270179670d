//! x86-64: variable-length instructions, five-byte jumps.

pub mod decode;
mod entry;
mod flow;
mod funnel;
pub mod near;
mod stub;
mod window;

pub use entry::{prologue, write_trampoline, LONGEST_TRAMPOLINE};
pub use funnel::{prefer_call, target_of};
pub use stub::{call, far_jump, jump, write_stub, LONGEST_STUB, RETURN, STUB_ALIGN};
pub use window::{scan, JUMP};

/// The page size.
pub const PAGE: usize = 4096;
