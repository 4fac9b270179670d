//! AArch64: fixed four-byte instructions. Not done yet: no site is found, so
//! nothing is ever patched and the caller stays at "off". The shape is known:
//! `mov x8,#nr` before `svc #0` becomes `b stub`, one aligned store, +-128 MiB.

use crate::entry::{Prologue, Refusal};
use crate::module::Module;
use crate::sites::{Scan, Site};

/// A `b`.
pub const JUMP: usize = 4;
/// The largest page the architecture has.
pub const PAGE: usize = 65536;
/// Bytes no stub exceeds.
pub const LONGEST_STUB: usize = 128;
/// Bytes between the gate's return address and the descriptor.
pub const RETURN: usize = 0;
/// Bytes no trampoline exceeds.
pub const LONGEST_TRAMPOLINE: usize = 64;
/// Stubs begin at multiples of this.
pub const STUB_ALIGN: usize = 16;

/// Finds nothing.
pub fn scan(_module: &Module, _scan: &mut Scan<'_>) {}

/// Changes nothing.
pub fn prefer_call(_module: &Module, _sites: &mut [Site]) {}

/// There is no such site.
pub fn target_of(_site: &Site) -> Option<usize> {
    None
}

/// Refuses.
pub fn call(_from: usize, _to: usize) -> Option<[u8; Site::LONGEST]> {
    None
}

/// Refuses.
pub fn write_stub(
    _out: &mut Vec<u8>,
    _base: usize,
    _site: &Site,
    _gate: usize,
    _index: u64,
) -> Option<()> {
    None
}

/// Refuses.
pub fn jump(_from: usize, _to: usize, _len: usize) -> Option<[u8; Site::LONGEST]> {
    None
}

/// Refuses.
pub fn far_jump(_to: usize) -> Option<[u8; 15]> {
    None
}

/// Refuses.
pub fn prologue(_start: usize, _code: &[u8]) -> Result<Prologue, Refusal> {
    Err(Refusal::Undecodable)
}

/// Refuses.
pub fn write_trampoline(
    _base: usize,
    _from: usize,
    _code: &[u8],
    _hook: usize,
) -> Option<(Vec<u8>, usize, usize)> {
    None
}
