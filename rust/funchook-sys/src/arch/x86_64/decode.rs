//! The x86-64 instruction decoder: length, flow and the positions of what must
//! be fixed when an instruction moves. It is no disassembler: it knows how an
//! instruction is *put together* (Intel SDM volume 2, chapter 2 and the opcode
//! maps of appendix A), and refuses what compilers do not emit (XOP, SSE4a).

/// Where control goes after an instruction. Targets are offsets from the
/// instruction's first byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// To the next instruction.
    Next,
    /// A direct jump (`jmp rel8`, `jmp rel32`).
    Jump(i64),
    /// A conditional direct jump (`jcc`, `loop`, `jrcxz`, `xbegin`).
    Branch(i64),
    /// A direct call.
    Call(i64),
    /// A jump through a register or memory.
    JumpIndirect,
    /// A call through a register or memory.
    CallIndirect,
    /// `ret` in any form.
    Return,
    /// `syscall`.
    Syscall,
    /// Control does not go on: `hlt`, `ud2`, `int3`.
    Stop,
}

/// One decoded instruction.
#[derive(Clone, Copy, Debug)]
pub struct Insn {
    /// Bytes, 1 to 15.
    pub len: u8,
    /// Opcode map: 0 one-byte, 1 `0f`, 2 `0f 38`, 3 `0f 3a`, others of EVEX.
    pub map: u8,
    /// The opcode within its map.
    pub opcode: u8,
    /// The ModRM byte; 0 where there is none.
    pub modrm: u8,
    /// The REX prefix; 0 where there is none.
    pub rex: u8,
    /// VEX or EVEX encoded.
    pub vector: bool,
    /// `66`, `f2`, `f3` seen (any of them).
    pub mandatory: bool,
    /// Offset of a rip-relative disp32; 0 where there is none.
    pub rip_disp: u8,
    /// Offset of the immediate; 0 where there is none.
    pub imm: u8,
    /// Where control goes.
    pub flow: Flow,
}

const MODRM: u8 = 1;
const IMM8: u8 = 2;
/// 4 bytes, 2 with an operand size prefix.
const IMMZ: u8 = 4;
/// 8 bytes with REX.W, else as `IMMZ`.
const IMMV: u8 = 8;
const IMM16: u8 = 16;
const REL8: u8 = 32;
const REL32: u8 = 64;
const BAD: u8 = 128;

const ONE: [u8; 256] = one_byte_map();
const TWO: [u8; 256] = two_byte_map();

const fn one_byte_map() -> [u8; 256] {
    let mut t = [0u8; 256];
    let mut op = 0usize;
    while op < 256 {
        t[op] = match op {
            0x00..=0x3f => match op & 7 {
                0..=3 => MODRM,
                4 => IMM8,
                5 => IMMZ,
                _ => BAD,
            },
            0x60..=0x62 | 0x82 | 0x9a | 0xce | 0xd4..=0xd6 | 0xea => BAD,
            0x40..=0x4f | 0x64..=0x67 | 0xc4 | 0xc5 | 0xf0 | 0xf2 | 0xf3 => BAD,
            0x63 | 0x84..=0x8f | 0xd0..=0xd3 | 0xd8..=0xdf | 0xf6 | 0xf7 | 0xfe | 0xff => MODRM,
            0x68 | 0xa9 => IMMZ,
            0x69 | 0x81 | 0xc7 => MODRM | IMMZ,
            0x6b | 0x80 | 0x83 | 0xc0 | 0xc1 | 0xc6 => MODRM | IMM8,
            0x6a | 0xa8 | 0xb0..=0xb7 | 0xcd | 0xe4..=0xe7 => IMM8,
            0x70..=0x7f | 0xe0..=0xe3 | 0xeb => REL8,
            0xb8..=0xbf => IMMV,
            0xc2 | 0xca => IMM16,
            0xc8 => IMM16 | IMM8,
            0xe8 | 0xe9 => REL32,
            _ => 0,
        };
        op += 1;
    }
    t
}

const fn two_byte_map() -> [u8; 256] {
    let mut t = [MODRM; 256];
    let mut op = 0usize;
    while op < 256 {
        t[op] = match op {
            0x04 | 0x0a | 0x0c | 0x24..=0x27 | 0x36 | 0x38..=0x3f | 0xa6 | 0xa7 => BAD,
            0x05..=0x09 | 0x0b | 0x0e | 0x30..=0x37 | 0x77 | 0xa0..=0xa2 | 0xa8..=0xaa => 0,
            0xc8..=0xcf => 0,
            0x0f | 0x70..=0x73 | 0xa4 | 0xac | 0xba | 0xc2 | 0xc4..=0xc6 => MODRM | IMM8,
            0x80..=0x8f => REL32,
            _ => MODRM,
        };
        op += 1;
    }
    t
}

/// Decodes the instruction at the head of `code`; `None` when it is not one
/// this decoder knows, or `code` ends inside it.
pub fn decode(code: &[u8]) -> Option<Insn> {
    let code = &code[..code.len().min(15)];
    let (mut at, mut rex, mut word, mut repeat) = (0usize, 0u8, false, 0u8);
    let mut narrow = false;
    let mut opcode = loop {
        let byte = *code.get(at)?;
        at += 1;
        match byte {
            0x40..=0x4f => {
                rex = byte;
                continue;
            }
            0x66 => word = true,
            0x67 => narrow = true,
            0xf2 | 0xf3 => repeat = byte,
            0x26 | 0x2e | 0x36 | 0x3e | 0x64 | 0x65 | 0xf0 => (),
            _ => break byte,
        }
        // REX counts only directly before the opcode.
        rex = 0;
    };

    let mut map = 0u8;
    let mut vector = false;
    let shape = match opcode {
        0xc4 | 0xc5 | 0x62 => {
            let payload = match opcode {
                0xc5 => 1,
                0xc4 => 2,
                _ => 3,
            };
            map = match opcode {
                0xc5 => 1,
                0xc4 => code.get(at)? & 0x1f,
                _ => code.get(at)? & 0x07,
            };
            // A prefix that VEX carries inside itself may not stand before it.
            if rex != 0 || word || repeat != 0 {
                return None;
            }
            // Bit 3 of EVEX's first byte is reserved, bit 2 of its second is fixed.
            if opcode == 0x62 && (code[at] & 0x08 != 0 || code.get(at + 1)? & 0x04 == 0) {
                return None;
            }
            vector = true;
            opcode = *code.get(at + payload)?;
            at += payload + 1;
            match map {
                1 => TWO[opcode as usize] & !REL32 & !BAD,
                2 | 5 | 6 => MODRM,
                3 => MODRM | IMM8,
                _ => return None,
            }
        }
        0x0f => {
            opcode = *code.get(at)?;
            at += 1;
            map = 1;
            match opcode {
                0x38 | 0x3a => {
                    map = if opcode == 0x38 { 2 } else { 3 };
                    opcode = *code.get(at)?;
                    at += 1;
                    MODRM | if map == 3 { IMM8 } else { 0 }
                }
                // SSE4a's extrq and insertq carry two immediates.
                0x78 if word || repeat != 0 => return None,
                _ => TWO[opcode as usize],
            }
        }
        _ => ONE[opcode as usize],
    };
    if shape & BAD != 0 {
        return None;
    }

    let (mut modrm, mut rip_disp) = (0u8, 0u8);
    let mut shape = shape;
    if shape & MODRM != 0 {
        modrm = *code.get(at)?;
        at += 1;
        let (mode, rm) = (modrm >> 6, modrm & 7);
        if mode != 3 {
            let mut displacement = [0usize, 1, 4][mode as usize];
            if rm == 4 {
                let base = code.get(at)? & 7;
                at += 1;
                if mode == 0 && base == 5 {
                    displacement = 4;
                }
            } else if mode == 0 && rm == 5 {
                rip_disp = at as u8;
                displacement = 4;
            }
            at += displacement;
        }
        if map == 0 {
            let extension = (modrm >> 3) & 7;
            match opcode {
                // AMD's XOP hides behind pop's unused extensions.
                0x8f if extension != 0 => return None,
                0xf6 if extension < 2 => shape |= IMM8,
                0xf7 if extension < 2 => shape |= IMMZ,
                0xff if extension == 7 => return None,
                0xfe if extension > 1 => return None,
                _ => (),
            }
        }
        // A rip-relative address of 32 bits wraps; nobody writes it.
        if narrow && rip_disp != 0 {
            return None;
        }
    }

    let immediate = at;
    if shape & IMM8 != 0 {
        at += 1;
    }
    if shape & IMM16 != 0 {
        at += 2;
    }
    if shape & IMMV != 0 && rex & 8 != 0 {
        at += 8;
    } else if shape & (IMMZ | IMMV) != 0 {
        at += if word && rex & 8 == 0 { 2 } else { 4 };
    }
    if map == 0 && (0xa0..=0xa3).contains(&opcode) {
        at += if narrow { 4 } else { 8 };
    }
    let relative = at;
    at += match shape & (REL8 | REL32) {
        REL8 => 1,
        REL32 => 4,
        _ => 0,
    };
    let bytes = code.get(..at)?;
    let imm = if relative > immediate {
        immediate as u8
    } else {
        0
    };

    let target = || match shape & (REL8 | REL32) {
        REL8 => at as i64 + i64::from(bytes[relative] as i8),
        _ => at as i64 + i64::from(read_i32(bytes, at - 4)),
    };
    let flow = match (map, opcode) {
        _ if vector => Flow::Next,
        (0, 0x70..=0x7f | 0xe0..=0xe3) | (1, 0x80..=0x8f) => Flow::Branch(target()),
        (0, 0xe8) => Flow::Call(target()),
        (0, 0xe9 | 0xeb) => Flow::Jump(target()),
        (0, 0xc7) if modrm == 0xf8 => Flow::Branch(at as i64 + i64::from(read_i32(bytes, at - 4))),
        (0, 0xc2 | 0xc3 | 0xca | 0xcb | 0xcf) => Flow::Return,
        (0, 0xcc | 0xf4) | (1, 0x0b) => Flow::Stop,
        (0, 0xff) => match (modrm >> 3) & 7 {
            2 | 3 => Flow::CallIndirect,
            4 | 5 => Flow::JumpIndirect,
            _ => Flow::Next,
        },
        (1, 0x05) => Flow::Syscall,
        // sysret, sysenter, sysexit and int n: nothing an ordinary program holds.
        (1, 0x07 | 0x34 | 0x35) | (0, 0xcd) => return None,
        _ => Flow::Next,
    };
    Some(Insn {
        len: at as u8,
        map,
        opcode,
        modrm,
        rex,
        vector,
        mandatory: word || repeat != 0,
        rip_disp,
        imm,
        flow,
    })
}

/// A little-endian i32 at `at`.
fn read_i32(bytes: &[u8], at: usize) -> i32 {
    i32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

impl Insn {
    /// The absolute target of a direct branch or call that stands at `address`.
    pub fn target(&self, address: usize) -> Option<usize> {
        match self.flow {
            Flow::Jump(d) | Flow::Branch(d) | Flow::Call(d) => {
                Some(address.wrapping_add(d as usize))
            }
            _ => None,
        }
    }

    /// Nothing but straight-line work: may be copied elsewhere.
    pub fn is_straight(&self) -> bool {
        self.flow == Flow::Next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(bytes: &[u8]) -> Insn {
        decode(bytes).expect("decodes")
    }

    #[test]
    fn lengths_of_the_shapes_libc_uses() {
        for bytes in [
            &[0xb8, 1, 1, 0, 0][..],                        // mov $257,%eax
            &[0x48, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0],          // movabs
            &[0x66, 0xb8, 0, 0],                            // mov $0,%ax
            &[0x31, 0xc0],                                  // xor %eax,%eax
            &[0x0f, 0x05],                                  // syscall
            &[0x4c, 0x8b, 0x4c, 0x24, 0x08],                // mov 8(%rsp),%r9
            &[0x80, 0x3d, 0, 0, 0, 0, 0],                   // cmpb $0,x(%rip)
            &[0x48, 0x3d, 0, 0xf0, 0xff, 0xff],             // cmp $-4096,%rax
            &[0xf7, 0xc7, 1, 0, 0, 0],                      // test $1,%edi
            &[0xf7, 0xd8],                                  // neg %eax
            &[0xc5, 0xf8, 0x77],                            // vzeroupper
            &[0x64, 0x8b, 0x04, 0x25, 0x18, 0, 0, 0],       // mov %fs:0x18,%eax
            &[0xf3, 0x0f, 0x1e, 0xfa],                      // endbr64
            &[0x66, 0x66, 0x48, 0xe8, 0, 0, 0, 0],          // data16 call
            &[0xc8, 0, 0, 0],                               // enter
            &[0x62, 0xf1, 0x7c, 0x48, 0x10, 0x44, 0x24, 1], // vmovups zmm
            &[0xa1, 0, 0, 0, 0, 0, 0, 0, 0],                // movabs moffs,%eax
            &[0x66, 0x0f, 0x3a, 0x0f, 0xc1, 8],             // palignr
        ] {
            assert_eq!(one(bytes).len as usize, bytes.len(), "{bytes:02x?}");
        }
    }

    #[test]
    fn branch_targets() {
        assert_eq!(one(&[0xeb, 0xfe]).flow, Flow::Jump(0));
        assert_eq!(one(&[0x0f, 0x84, 1, 0, 0, 0]).flow, Flow::Branch(7));
        assert_eq!(one(&[0xe8, 0, 0, 0, 0]).target(100), Some(105));
        assert_eq!(one(&[0xff, 0xe0]).flow, Flow::JumpIndirect);
        assert_eq!(one(&[0xff, 0x25, 0, 0, 0, 0]).rip_disp, 2);
    }

    #[test]
    fn what_ends_early_or_is_foreign_is_refused() {
        assert!(decode(&[]).is_none());
        assert!(decode(&[0xb8, 1, 1, 0]).is_none());
        assert!(decode(&[0x0f]).is_none());
        assert!(decode(&[0x8f, 0xe8, 0x78, 0xa2, 0, 0]).is_none());
        assert!(decode(&[0x66; 16]).is_none());
    }
}
