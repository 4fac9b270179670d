//! The x86-64 instruction decoder: length, flow and the positions of what must
//! be fixed when an instruction moves. It is no disassembler: it knows how an
//! instruction is *put together* (Intel SDM volume 2, chapter 2 and the opcode
//! maps of appendix A), and refuses what compilers do not emit (XOP, SSE4a).

/// Where control goes after an instruction. Targets are offsets from the
/// instruction's first byte.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Flow {
    /// To the next instruction.
    #[default]
    Next,
    /// A direct jump (`jmp rel8`, `jmp rel32`).
    Jump(i32),
    /// A conditional direct jump (`jcc`, `loop`, `jrcxz`, `xbegin`).
    Branch(i32),
    /// A direct call.
    Call(i32),
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
#[derive(Clone, Copy, Debug, Default)]
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

const MODRM: u16 = 1;
const IMM8: u16 = 1 << 1;
/// 4 bytes, 2 with an operand size prefix.
const IMMZ: u16 = 1 << 2;
/// 8 bytes with REX.W, else as `IMMZ`.
const IMMV: u16 = 1 << 3;
const IMM16: u16 = 1 << 4;
const REL8: u16 = 1 << 5;
const REL32: u16 = 1 << 6;
const BAD: u16 = 1 << 7;
const PREFIX: u16 = 1 << 8;
const REX: u16 = 1 << 9;
/// Another opcode map follows.
const ESCAPE: u16 = 1 << 10;
/// The length depends on ModRM's middle field, or some of its values are bad.
const GROUP: u16 = 1 << 11;
/// An address of the machine's width.
const OFFSET: u16 = 1 << 12;
/// Control may not go to the next instruction.
const FLOW: u16 = 1 << 13;

static ONE: [u16; 256] = one_byte_map();
static TWO: [u16; 256] = two_byte_map();
/// For each ModRM byte the bytes of SIB and displacement, and [`SIB`].
static OPERAND: [u8; 256] = operand_map();
const SIB: u8 = 0x80;

const fn one_byte_map() -> [u16; 256] {
    let mut t = [0u16; 256];
    let mut op = 0usize;
    while op < 256 {
        t[op] = match op {
            0x0f | 0x62 | 0xc4 | 0xc5 => ESCAPE,
            0x26 | 0x2e | 0x36 | 0x3e | 0x64..=0x67 | 0xf0 | 0xf2 | 0xf3 => PREFIX,
            0x00..=0x3f => match op & 7 {
                0..=3 => MODRM,
                4 => IMM8,
                5 => IMMZ,
                _ => BAD,
            },
            0x40..=0x4f => REX,
            0x60 | 0x61 | 0x82 | 0x9a | 0xce | 0xd4..=0xd6 | 0xea => BAD,
            // int n: nothing an ordinary program holds.
            0xcd => BAD,
            0x63 | 0x84..=0x8e | 0xd0..=0xd3 | 0xd8..=0xdf => MODRM,
            0x8f | 0xf6 | 0xf7 | 0xfe => MODRM | GROUP,
            0xff => MODRM | GROUP | FLOW,
            0x68 | 0xa9 => IMMZ,
            0x69 | 0x81 => MODRM | IMMZ,
            0xc7 => MODRM | IMMZ | FLOW,
            0x6b | 0x80 | 0x83 | 0xc0 | 0xc1 | 0xc6 => MODRM | IMM8,
            0x6a | 0xa8 | 0xb0..=0xb7 | 0xe4..=0xe7 => IMM8,
            0x70..=0x7f | 0xe0..=0xe3 | 0xeb => REL8 | FLOW,
            0xa0..=0xa3 => OFFSET,
            0xb8..=0xbf => IMMV,
            0xc2 | 0xca => IMM16 | FLOW,
            0xc3 | 0xcb | 0xcc | 0xcf | 0xf4 => FLOW,
            0xc8 => IMM16 | IMM8,
            0xe8 | 0xe9 => REL32 | FLOW,
            _ => 0,
        };
        op += 1;
    }
    t
}

const fn two_byte_map() -> [u16; 256] {
    let mut t = [0u16; 256];
    let mut op = 0usize;
    while op < 256 {
        t[op] = match op {
            0x04 | 0x0a | 0x0c | 0x24..=0x27 | 0x36 | 0x38..=0x3f | 0xa6 | 0xa7 => BAD,
            // sysret, sysenter, sysexit: the kernel's.
            0x07 | 0x34 | 0x35 => BAD,
            0x05 | 0x0b => FLOW,
            0x06..=0x09 | 0x0e | 0x30..=0x37 | 0x77 | 0xa0..=0xa2 | 0xa8..=0xaa => 0,
            0xc8..=0xcf => 0,
            0x0f | 0x70..=0x73 | 0xa4 | 0xac | 0xba | 0xc2 | 0xc4..=0xc6 => MODRM | IMM8,
            0x80..=0x8f => REL32 | FLOW,
            _ => MODRM,
        };
        op += 1;
    }
    t
}

const fn operand_map() -> [u8; 256] {
    let mut t = [0u8; 256];
    let mut modrm = 0usize;
    while modrm < 256 {
        let sib = if modrm & 7 == 4 { 1 | SIB } else { 0 };
        t[modrm] = match modrm >> 6 {
            0 if modrm & 7 == 5 => 4,
            0 => sib,
            1 => sib + 1,
            2 => sib + 4,
            _ => 0,
        };
        modrm += 1;
    }
    t
}

/// Decodes the instruction at the head of `code`; `None` when it is not one
/// this decoder knows, or `code` ends inside it.
pub fn decode(code: &[u8]) -> Option<Insn> {
    let mut insn = Insn::default();
    insn.read(code).then_some(insn)
}

/// Decodes from sixteen bytes, one more than an instruction may have. Offsets
/// are taken modulo sixteen; what ran over is refused at the end.
fn parse(code: &[u8; 16], insn: &mut Insn) -> bool {
    let byte = |at: usize| code[at & 15];
    let whole = u128::from_le_bytes(*code);
    let dword_before = |end: usize| (whole >> (8 * (end.wrapping_sub(4) & 15))) as i32;

    // Branches here are mispredicted as often as not: what an instruction may
    // have or not (REX, ModRM, an immediate) is added up without any.
    let (mut at, mut word, mut narrow, mut repeat) = (0usize, false, false, false);
    while ONE[usize::from(byte(at))] & PREFIX != 0 {
        word |= byte(at) == 0x66;
        narrow |= byte(at) == 0x67;
        repeat |= byte(at) | 1 == 0xf3;
        at += 1;
        if at > 14 {
            return false;
        }
    }
    let has_rex = byte(at) & 0xf0 == 0x40;
    let rex = if has_rex { byte(at) } else { 0 };
    at += usize::from(has_rex);
    let mut opcode = byte(at);
    let mut shape = ONE[usize::from(opcode)];
    at += 1;
    if shape & (PREFIX | REX | BAD) != 0 {
        // A REX that does not stand before the opcode counts for nothing, and
        // nobody writes it.
        return false;
    }

    let (mut map, mut vector) = (0u8, false);
    if shape & ESCAPE != 0 {
        if opcode == 0x0f {
            map = 1;
            opcode = byte(at);
            at += 1;
            shape = TWO[usize::from(opcode)];
            if opcode | 2 == 0x3a {
                map = if opcode == 0x38 { 2 } else { 3 };
                shape = if map == 3 { MODRM | IMM8 } else { MODRM };
                opcode = byte(at);
                at += 1;
            } else if opcode == 0x78 && (word || repeat) {
                // SSE4a's extrq and insertq carry two immediates.
                return false;
            }
        } else {
            let payload = match opcode {
                0xc5 => 1,
                0xc4 => 2,
                _ => 3,
            };
            map = match opcode {
                0xc5 => 1,
                0xc4 => byte(at) & 0x1f,
                _ => byte(at) & 0x07,
            };
            // What VEX carries inside itself may not stand before it. Of EVEX's
            // fixed bits one is 0 and one is 1.
            let fixed = opcode == 0x62 && (byte(at) & 8 != 0 || byte(at + 1) & 4 == 0);
            if rex != 0 || word || repeat || fixed {
                return false;
            }
            vector = true;
            opcode = byte(at + payload);
            at += payload + 1;
            shape = match map {
                1 => TWO[usize::from(opcode)] & (MODRM | IMM8),
                2 | 5 | 6 => MODRM,
                3 => MODRM | IMM8,
                _ => return false,
            };
        }
    }

    let has = |what: u16| usize::from(shape & what != 0);
    let has_modrm = has(MODRM);
    let modrm = if has_modrm != 0 { byte(at) } else { 0 };
    let operand = if has_modrm != 0 {
        OPERAND[usize::from(modrm)]
    } else {
        0
    };
    at += has_modrm;
    let relative = has_modrm != 0 && modrm & 0xc7 == 5;
    let rip_disp = if relative { at as u8 } else { 0 };
    // A SIB without base has a disp32.
    let baseless = operand & SIB != 0 && modrm < 0x40 && byte(at) & 7 == 5;
    at += usize::from(operand & !SIB) + 4 * usize::from(baseless);
    let mut sized = shape;
    if shape & GROUP != 0 {
        let extension = (modrm >> 3) & 7;
        match opcode {
            // AMD's XOP hides behind pop's unused extensions.
            0x8f if extension != 0 => return false,
            0xf6 if extension < 2 => sized |= IMM8,
            0xf7 if extension < 2 => sized |= IMMZ,
            0xff if extension == 7 => return false,
            0xfe if extension > 1 => return false,
            _ => (),
        }
    }

    let immediate = at;
    let has = |what: u16| usize::from(sized & what != 0);
    let wide = usize::from(rex & 8 != 0);
    let short = usize::from(word) & !wide & 1;
    at += has(IMM8) + 2 * has(IMM16);
    at += has(IMMZ | IMMV) * (4 - 2 * short) + 4 * (has(IMMV) & wide);
    at += has(OFFSET) * if narrow { 4 } else { 8 };
    let imm = if at > immediate { immediate as u8 } else { 0 };

    let mut flow = Flow::Next;
    if shape & FLOW != 0 {
        let target = if shape & REL8 != 0 {
            at += 1;
            at as i32 + i32::from(byte(at - 1) as i8)
        } else {
            at += if shape & REL32 != 0 { 4 } else { 0 };
            (at as i32).wrapping_add(dword_before(at))
        };
        flow = match (map, opcode) {
            (0, 0x70..=0x7f | 0xe0..=0xe3) | (1, 0x80..=0x8f) => Flow::Branch(target),
            (0, 0xe8) => Flow::Call(target),
            (0, 0xe9 | 0xeb) => Flow::Jump(target),
            // xbegin's immediate is where an abort goes.
            (0, 0xc7) if modrm == 0xf8 => Flow::Branch(target),
            (0, 0xc2 | 0xc3 | 0xca | 0xcb | 0xcf) => Flow::Return,
            (0, 0xff) if (modrm >> 4) & 3 == 1 => Flow::CallIndirect,
            (0, 0xff) if (modrm >> 4) & 3 == 2 => Flow::JumpIndirect,
            (1, 0x05) => Flow::Syscall,
            (0, 0xc7 | 0xff) => Flow::Next,
            _ => Flow::Stop,
        };
    }
    // A rip-relative address of 32 bits wraps, and nobody writes it.
    if at > 15 || shape & BAD != 0 || narrow && relative {
        return false;
    }
    *insn = Insn {
        len: at as u8,
        map,
        opcode,
        modrm,
        rex,
        vector,
        mandatory: word || repeat,
        rip_disp,
        imm,
        flow,
    };
    true
}

impl Insn {
    /// Decodes the instruction at the head of `code` in place, since copying
    /// fields just written costs as much as decoding them.
    pub fn read(&mut self, code: &[u8]) -> bool {
        if let Some(bytes) = code.first_chunk() {
            return parse(bytes, self);
        }
        let mut bytes = [0; 16];
        bytes[..code.len()].copy_from_slice(code);
        parse(&bytes, self) && usize::from(self.len) <= code.len()
    }

    /// The absolute target of a direct branch or call that stands at `address`.
    pub fn target(&self, address: usize) -> Option<usize> {
        match self.flow {
            Flow::Jump(d) | Flow::Branch(d) | Flow::Call(d) => {
                Some(address.wrapping_add_signed(d as isize))
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
