//! Stubs: the code a patched window jumps to. A stub does what the window did,
//! steps over the red zone and calls the gate; by the flags the gate returns it
//! goes to the original call or behind it. The site's descriptor stands behind
//! that. Only direct jumps and a call that is returned from are used: no page
//! needs relocating, indirect-branch tracking and shadow stacks have nothing to
//! say, and the processor's prediction of returns stays in step (a gate that
//! jumped away instead cost 30 ns a call, measured).

use super::decode::decode;
use super::window::JUMP;
use crate::sites::{Kind, Site};

/// Bytes no stub exceeds: window, red zone, call, return, descriptor, the call
/// of an owned site, way back.
pub const LONGEST_STUB: usize =
    Site::LONGEST + 5 + 5 + RETURN + DESCRIPTOR + 2 + Site::LONGEST + JUMP;
/// Stubs begin at multiples of this.
pub const STUB_ALIGN: usize = 16;

const LEA_RED_ZONE: [u8; 5] = [0x48, 0x8d, 0x64, 0x24, 0x80];
const LEA_BACK: [u8; 8] = [0x48, 0x8d, 0xa4, 0x24, 0x80, 0, 0, 0];
const JNE: [u8; 2] = [0x0f, 0x85];
/// What stands between the gate's return address and the descriptor.
pub const RETURN: usize = LEA_BACK.len() + JNE.len() + 4 + JUMP;
const CALL: u8 = 0xe8;
const JMP: u8 = 0xe9;
const INT3: u8 = 0xcc;
const SYSCALL: [u8; 2] = [0x0f, 0x05];
/// Where to make the original call, where to go on after it, which site.
const DESCRIPTOR: usize = 3 * 8;

/// Appends the stub of `site` to `out`, which will stand at `base`. `None`
/// when something is out of a displacement's reach.
pub fn write_stub(
    out: &mut Vec<u8>,
    base: usize,
    site: &Site,
    gate: usize,
    index: u64,
) -> Option<()> {
    let after = site.syscall + SYSCALL.len();
    if site.kind != Kind::After {
        copy(out, base, site.window(), site.addr)?;
    }
    out.extend(LEA_RED_ZONE);
    branch(out, base, CALL, gate)?;
    let (resume, next) = match site.kind {
        // The call stands right behind the descriptor.
        Kind::After => {
            let own = base + out.len() + RETURN + DESCRIPTOR;
            (own, own + SYSCALL.len())
        }
        _ => (site.syscall, after),
    };
    out.extend(LEA_BACK);
    out.push(JNE[0]);
    branch(out, base, JNE[1], next)?;
    branch(out, base, JMP, resume)?;
    for word in [resume as u64, next as u64, index] {
        out.extend(word.to_le_bytes());
    }
    if site.kind == Kind::After {
        out.extend(SYSCALL);
        copy(out, base, &site.window()[SYSCALL.len()..], after)?;
        branch(out, base, JMP, site.addr + site.window().len())?;
    }
    Some(())
}

/// What replaces a window of `len` bytes at `from`: a jump to `to`, then int3s,
/// which nobody reaches.
pub fn jump(from: usize, to: usize, len: usize) -> Option<[u8; Site::LONGEST]> {
    let mut bytes = [INT3; Site::LONGEST];
    if len < JUMP || len > bytes.len() {
        return None;
    }
    bytes[0] = JMP;
    bytes[1..JUMP].copy_from_slice(&reach(from + JUMP, to)?.to_le_bytes());
    Some(bytes)
}

/// A call of `to` in the place of the one at `from`.
pub fn call(from: usize, to: usize) -> Option<[u8; Site::LONGEST]> {
    let mut bytes = jump(from, to, JUMP)?;
    bytes[0] = CALL;
    Some(bytes)
}

/// A jump to an address out of a displacement's reach, to be put anywhere: `notrack jmp *(%rip)`, and
/// the address. No register changes, and indirect-branch tracking does not look at it.
pub fn far_jump(to: usize) -> Option<[u8; 15]> {
    let mut bytes = [0x3e, 0xff, 0x25, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    bytes[7..].copy_from_slice(&(to as u64).to_le_bytes());
    Some(bytes)
}

/// Appends straight-line instructions that stood at `from`, correcting
/// rip-relative addresses.
pub fn copy(out: &mut Vec<u8>, base: usize, code: &[u8], from: usize) -> Option<()> {
    let mut at = 0;
    while at < code.len() {
        let insn = decode(&code[at..]).filter(|i| i.is_straight())?;
        let len = usize::from(insn.len);
        let place = out.len();
        out.extend(&code[at..at + len]);
        if insn.rip_disp != 0 {
            let field = place + usize::from(insn.rip_disp);
            let old = i32::from_le_bytes(out[field..field + 4].try_into().ok()?);
            let target = (from + at + len).wrapping_add_signed(old as isize);
            let new = reach(base + place + len, target)?;
            out[field..field + 4].copy_from_slice(&new.to_le_bytes());
        }
        at += len;
    }
    Some(())
}

/// Appends a direct call or jump to `to`.
pub fn branch(out: &mut Vec<u8>, base: usize, opcode: u8, to: usize) -> Option<()> {
    out.push(opcode);
    let displacement = reach(base + out.len() + 4, to)?;
    out.extend(displacement.to_le_bytes());
    Some(())
}

/// The displacement from `from` to `to`, if 32 bits hold it.
pub fn reach(from: usize, to: usize) -> Option<i32> {
    i32::try_from(to.wrapping_sub(from) as isize).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::module::ModuleId;

    fn site(kind: Kind, window: &[u8], syscall: usize) -> Site {
        let mut original = [0; Site::LONGEST];
        original[..window.len()].copy_from_slice(window);
        Site {
            module: ModuleId::Other,
            addr: 0x1000,
            window_len: window.len() as u8,
            insns: 1,
            syscall,
            nr: Some(0),
            kind,
            original,
        }
    }

    fn word(stub: &[u8], at: usize) -> u64 {
        u64::from_le_bytes(stub[at..at + 8].try_into().unwrap())
    }

    #[test]
    fn a_mov_stub() {
        let mov = [0xb8, 1, 1, 0, 0];
        let mut out = Vec::new();
        write_stub(&mut out, 0x2000, &site(Kind::Mov, &mov, 0x1005), 0x3000, 7).unwrap();
        assert_eq!(out[..5], mov);
        assert_eq!(out[5..10], LEA_RED_ZONE);
        assert_eq!(out[10], CALL);
        assert_eq!(out[11..15], (0x3000i32 - 0x200f).to_le_bytes());
        let near = |at: usize| {
            let field: [u8; 4] = out[at..at + 4].try_into().unwrap();
            0x2000 + at as i32 + 4 + i32::from_le_bytes(field)
        };
        assert_eq!(out[15..23], LEA_BACK);
        assert_eq!(out[23..25], JNE);
        assert_eq!((near(25), out[29], near(30)), (0x1007, JMP, 0x1005));
        let d = 15 + RETURN;
        assert_eq!(
            [word(&out, d), word(&out, d + 8), word(&out, d + 16)],
            [0x1005, 0x1007, 7]
        );
        assert_eq!(out.len(), d + 24);
        assert!(out.len() <= LONGEST_STUB);
    }

    #[test]
    fn an_after_stub_owns_the_call() {
        let window = [0x0f, 5, 0x48, 0x3d, 0, 0xf0, 0xff, 0xff];
        let mut out = Vec::new();
        write_stub(
            &mut out,
            0x2000,
            &site(Kind::After, &window, 0x1000),
            0x3000,
            1,
        )
        .unwrap();
        let own = word(&out, 10 + RETURN) as usize - 0x2000;
        assert_eq!(out[own..own + 8], window);
        assert_eq!(word(&out, 18 + RETURN) as usize, 0x2000 + own + 2);
        assert_eq!(out[own + 8], JMP);
        let back = i32::from_le_bytes(out[own + 9..own + 13].try_into().unwrap());
        assert_eq!(0x2000 + out.len() as i32 + back, 0x1008);
    }

    #[test]
    fn rip_relative_addresses_are_corrected() {
        // lea 0x100(%rip),%rsi
        let lea = [0x48, 0x8d, 0x35, 0, 1, 0, 0];
        let mut out = Vec::new();
        copy(&mut out, 0x2000, &lea, 0x1000).unwrap();
        assert_eq!(
            i32::from_le_bytes(out[3..7].try_into().unwrap()),
            0x1107 - 0x2007
        );
        assert!(copy(&mut Vec::new(), 0x2_0000_0000, &lea, 0x1000).is_none());
        assert!(copy(&mut Vec::new(), 0x2000, &[0xeb, 0], 0x1000).is_none());
    }

    #[test]
    fn jumps_fill_their_window() {
        let bytes = jump(0x1000, 0x2000, 7).unwrap();
        assert_eq!(bytes[..7], [JMP, 0xfb, 0x0f, 0, 0, INT3, INT3]);
        assert!(jump(0x1000, 0x2_0000_0000, 5).is_none());
        assert!(jump(0x1000, 0x2000, 4).is_none());
    }
}
