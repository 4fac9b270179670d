//! Function entries: what may be moved out of the way of a jump, and the
//! trampoline that does it elsewhere.

use super::decode::Flow;
use super::flow::{Function, Unreadable};
use super::stub::{branch, copy, reach};
use super::window::JUMP;
use crate::entry::{Prologue, Refusal};
use crate::sites::Site;

/// Bytes no trampoline exceeds.
pub const LONGEST_TRAMPOLINE: usize = ENDBR.len() + Site::LONGEST + 8 + JUMP + DETOUR;
const DETOUR: usize = 14;
const ENDBR: [u8; 4] = [0xf3, 0x0f, 0x1e, 0xfa];
const JMP: u8 = 0xe9;

/// The instructions at the head of the function at `start` that make room for a
/// jump. An `endbr64` stays where it is: indirect calls must land on it.
pub fn prologue(start: usize, code: &[u8]) -> Result<Prologue, Refusal> {
    let mut function = Function::default();
    function.read(start, code).map_err(|why| match why {
        Unreadable::Instruction => Refusal::Undecodable,
        Unreadable::Branch => Refusal::JumpsBack,
    })?;
    let first = usize::from(code.starts_with(&ENDBR));
    let addr = start + first * ENDBR.len();
    let (mut len, mut insns) = (0, 0);
    while len < JUMP {
        let insn = function.insn(first + insns).ok_or(Refusal::TooShort)?;
        match insn.flow {
            Flow::Next => (),
            _ => return Err(Refusal::Branch),
        }
        len += usize::from(insn.len);
        insns += 1;
    }
    let unknown = function.has_unknown_targets() && insns > 1;
    if unknown
        || function.is_entered(addr + 1, addr + len)
        || first == 1 && function.is_entered(addr, addr + 1)
    {
        return Err(Refusal::JumpsBack);
    }
    Ok(Prologue { addr, len, insns })
}

/// The trampoline to stand at `base` for `code` moved away from `from`, with the
/// detour to `hook` where a direct jump does not reach that far. Returns the
/// bytes, the address to call for the original, and where the entry jumps.
pub fn write_trampoline(
    base: usize,
    from: usize,
    code: &[u8],
    hook: usize,
) -> Option<(Vec<u8>, usize, usize)> {
    let mut out = Vec::with_capacity(LONGEST_TRAMPOLINE);
    out.extend(ENDBR);
    copy(&mut out, base, code, from)?;
    branch(&mut out, base, JMP, from + code.len())?;
    let entry = match reach(from + JUMP, hook) {
        Some(_) => hook,
        None => {
            while out.len() % 8 != 2 {
                out.push(0xcc);
            }
            let detour = base + out.len();
            // jmp *0(%rip), and the aligned address behind it
            out.extend([0xff, 0x25, 0, 0, 0, 0]);
            out.extend((hook as u64).to_le_bytes());
            detour
        }
    };
    Some((out, base, entry))
}
