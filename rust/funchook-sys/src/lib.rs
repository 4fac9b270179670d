//! The hook engine. It finds the places where libc enters the kernel and sends
//! them to one gate ([`sites`], [`patch`]), and it hooks function entries behind
//! funchook's C API. Relies on the kernel, ELF and the instruction set; of
//! libc it calls nothing but dl_iterate_phdr, and nothing at all while its
//! text is being rewritten.
//!
//! # The gate
//!
//! A patched site jumps to its stub, which runs the window's instructions, lowers
//! the stack pointer by 128 (the red zone) and *calls* the gate. At the gate all
//! registers are those of the original `syscall`, but for `rsp`, which is 136
//! lower; `rcx`, `r11` and the flags are dead, since the kernel would clobber them.
//! [`arch::RETURN`] bytes behind the return address stands the site's descriptor,
//! three 64-bit words:
//!
//! 1. where the original call is made. For a window before the call that is the
//!    original `syscall` itself; for [`sites::Kind::After`] a `syscall` in the
//!    stub, since the original one is overwritten. Never 0.
//! 2. where to go on behind the call with a result in `rax`;
//! 3. the site's index (see [`patch::Patcher::install`]).
//!
//! The gate returns, everything but `rcx`, `r11` (and `rax`, for a result) as it
//! found it: with the zero flag set the stub makes the original call, otherwise it
//! goes on behind it. It may also leave by a jump to one of the two words, `rsp`
//! put back.

pub mod arch;
mod area;
pub mod entry;
#[cfg(any(feature = "builtin", feature = "system"))]
pub mod funchook;
pub mod kernel;
pub mod module;
pub mod patch;
pub mod sites;

mod elf;
#[cfg(all(test, target_arch = "x86_64"))]
mod fixture;
mod text;
mod unwind;
