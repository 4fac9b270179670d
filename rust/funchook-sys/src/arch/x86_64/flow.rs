//! One function, decoded: where its instructions begin, who jumps where, and
//! which constant a register holds at a point. Everything said here is proven
//! from the code alone, or not said.

use super::decode::{Flow, Insn};

/// Register numbers as ModRM has them.
pub const RAX: u8 = 0;
/// What a call may change (System V AMD64 ABI, 3.2.1).
const CALLER_SAVED: u16 = 0b0000_1111_1100_0111;
const ALL: u16 = 0xffff;

/// The value of a register at a point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value {
    /// The same number on every way there.
    Constant(u32),
    /// Not proven.
    Unknown,
}

/// Why a function cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unreadable {
    /// Bytes that are no instruction we know.
    Instruction,
    /// A branch into the middle of an instruction.
    Branch,
}

/// A decoded function. Positions are indices of instructions.
#[derive(Default)]
pub struct Function {
    start: usize,
    insns: Vec<(u32, Insn)>,
    /// (offset of the target, index of the branch), sorted.
    branches: Vec<(u32, u32)>,
    /// A jump through a register: its targets are not known.
    indirect: bool,
    seen: Vec<(u32, u8)>,
}

impl Function {
    /// Decodes `code`, which begins at address `start`, reusing the memory of an
    /// earlier function.
    pub fn read(&mut self, start: usize, code: &[u8]) -> Result<(), Unreadable> {
        self.start = start;
        self.insns.clear();
        self.branches.clear();
        self.indirect = false;
        let mut at = 0usize;
        while at < code.len() {
            let index = self.insns.len() as u32;
            self.insns.push((at as u32, Insn::default()));
            let insn = &mut self.insns[index as usize].1;
            if !insn.read(&code[at..]) {
                return Err(Unreadable::Instruction);
            }
            match insn.flow {
                Flow::Jump(d) | Flow::Branch(d) | Flow::Call(d) => {
                    let target = at as i64 + i64::from(d);
                    if (0..code.len() as i64).contains(&target) {
                        self.branches.push((target as u32, index));
                    }
                }
                Flow::JumpIndirect => self.indirect = true,
                _ => (),
            }
            at += usize::from(insn.len);
        }
        self.branches.sort_unstable();
        self.lands_on_instructions(code)
            .then_some(())
            .ok_or(Unreadable::Branch)
    }

    /// Whether every branch goes to where an instruction begins, or behind a
    /// lock prefix, which glibc before 2.33 jumps over.
    fn lands_on_instructions(&self, code: &[u8]) -> bool {
        let mut insns = self.insns.iter().map(|&(at, _)| at).peekable();
        self.branches.iter().all(|&(target, _)| {
            while insns.peek().is_some_and(|&at| at + 1 < target) {
                insns.next();
            }
            match insns.peek() {
                Some(&at) if at == target => true,
                Some(&at) if at + 1 == target => {
                    code[at as usize] == 0xf0 || self.index(target).is_some()
                }
                _ => false,
            }
        })
    }

    fn index(&self, offset: u32) -> Option<usize> {
        self.insns.binary_search_by_key(&offset, |&(at, _)| at).ok()
    }

    /// The instruction that begins at `address`.
    pub fn at(&self, address: usize) -> Option<usize> {
        self.index(u32::try_from(address.checked_sub(self.start)?).ok()?)
    }

    /// Instruction `index`, if there is one.
    pub fn insn(&self, index: usize) -> Option<&Insn> {
        self.insns.get(index).map(|(_, insn)| insn)
    }

    /// The address of instruction `index`.
    pub fn address(&self, index: usize) -> usize {
        self.start + self.insns[index].0 as usize
    }

    /// How many instructions there are.
    pub fn len(&self) -> usize {
        self.insns.len()
    }

    /// Direct calls: where they stand, and their targets.
    pub fn calls(&self) -> impl Iterator<Item = (usize, usize)> + '_ {
        self.insns.iter().filter_map(|(offset, insn)| {
            let address = self.start + *offset as usize;
            let call = matches!(insn.flow, Flow::Call(_));
            Some((address, insn.target(address).filter(|_| call)?))
        })
    }

    /// Where the first direct call of `target` stands.
    pub fn call_of(&self, target: usize) -> Option<usize> {
        let mut calls = self.calls();
        calls.find_map(|(address, to)| (to == target).then_some(address))
    }

    /// Whether the function holds a jump whose targets are unknown.
    pub fn has_unknown_targets(&self) -> bool {
        self.indirect
    }

    /// Whether a branch of this function lands in `low..high` (addresses).
    pub fn is_entered(&self, low: usize, high: usize) -> bool {
        let low = (low - self.start) as u32;
        let high = (high - self.start) as u32;
        let first = self.branches.partition_point(|&(target, _)| target < low);
        self.branches.get(first).is_some_and(|&(t, _)| t < high)
    }

    /// The value of `register` before instruction `index`, over all ways there.
    pub fn value(&mut self, register: u8, index: usize) -> Value {
        let mut seen = core::mem::take(&mut self.seen);
        seen.clear();
        let mut found = None;
        let proven = self.trace(register, index, &mut found, &mut seen);
        self.seen = seen;
        match found {
            Some(number) if proven => Value::Constant(number),
            _ => Value::Unknown,
        }
    }

    /// Walks backwards from `index`; false as soon as one way says something
    /// else than `found`. A way that comes back to where it was adds nothing.
    fn trace(
        &self,
        register: u8,
        index: usize,
        found: &mut Option<u32>,
        seen: &mut Vec<(u32, u8)>,
    ) -> bool {
        let (mut register, mut index) = (register, index);
        loop {
            let here = (index as u32, register);
            if seen.contains(&here) {
                return true;
            }
            if seen.len() >= 256 {
                return false;
            }
            seen.push(here);

            let offset = self.insns[index].0;
            let first = self
                .branches
                .partition_point(|&(target, _)| target < offset);
            let mut entered = false;
            for &(_, source) in self.branches[first..].iter().take_while(|b| b.0 == offset) {
                entered = true;
                let source = source as usize;
                if self.zero_by_branch(register, source, true) {
                    if found.replace(0).is_some_and(|n| n != 0) {
                        return false;
                    }
                } else if matches!(self.insns[source].1.flow, Flow::Call(_))
                    || !self.trace(register, source, found, seen)
                {
                    return false;
                }
            }

            let Some(previous) = index.checked_sub(1) else {
                // The caller's registers.
                return false;
            };
            let insn = &self.insns[previous].1;
            match insn.flow {
                Flow::Jump(_) | Flow::JumpIndirect | Flow::Return | Flow::Stop => {
                    // Nothing falls into this place. If nobody jumps here either it
                    // is padding, or a case of a switch.
                    return (entered || self.is_padding(index)) && !self.indirect;
                }
                Flow::Branch(_) if self.zero_by_branch(register, previous, false) => {
                    return found.replace(0).is_none_or(|n| n == 0);
                }
                _ => (),
            }
            if writes(insn) & 1 << register != 0 {
                match effect(insn, register, || self.immediate(previous)) {
                    Effect::Number(number) => {
                        return found.replace(number).is_none_or(|n| n == number);
                    }
                    Effect::Copy(source) => register = source,
                    Effect::Unknown => return false,
                }
            }
            index = previous;
        }
    }

    fn is_padding(&self, index: usize) -> bool {
        let insn = &self.insns[index].1;
        matches!((insn.map, insn.opcode), (0, 0x90) | (1, 0x1f))
    }

    fn immediate(&self, index: usize) -> u32 {
        let (offset, insn) = &self.insns[index];
        let at = self.start + *offset as usize + usize::from(insn.imm);
        // SAFETY: `read` decoded these four bytes in memory that stays.
        unsafe { (at as *const u32).read_unaligned() }
    }

    /// Whether going through the branch at `index` (taken or not) means that
    /// `register` is zero: a `je` or `jne` right after `test r,r`.
    fn zero_by_branch(&self, register: u8, index: usize, taken: bool) -> bool {
        let Some(before) = index.checked_sub(1) else {
            return false;
        };
        let (branch, test) = (&self.insns[index].1, &self.insns[before].1);
        let equal = match (branch.map, branch.opcode) {
            (0, 0x74) | (1, 0x84) => true,
            (0, 0x75) | (1, 0x85) => false,
            _ => return false,
        };
        let place = self.address(index);
        equal == taken
            && test.map == 0
            && test.opcode == 0x85
            && !test.mandatory
            && test.modrm >> 6 == 3
            && test.reg() == test.rm()
            && test.rm() == register
            && !self.is_entered(place, place + 1)
    }
}

/// What an instruction does to a register it writes.
pub enum Effect {
    Number(u32),
    Copy(u8),
    Unknown,
}

/// What `insn` puts into `register`, which it writes. `immediate` reads its number.
pub fn effect(insn: &Insn, register: u8, immediate: impl FnOnce() -> u32) -> Effect {
    if insn.map != 0 || insn.vector || insn.mandatory {
        return Effect::Unknown;
    }
    let (reg, rm) = (insn.reg(), insn.rm());
    let same = insn.modrm >> 6 == 3 && reg == rm;
    match insn.opcode {
        0xb8..=0xbf if insn.rex & 8 == 0 => Effect::Number(immediate()),
        0xc7 if insn.modrm >> 6 == 3 => Effect::Number(immediate()),
        0x31 | 0x33 | 0x29 | 0x2b if same => Effect::Number(0),
        0x89 if rm == register && insn.modrm >> 6 == 3 => Effect::Copy(reg),
        0x8b if reg == register && insn.modrm >> 6 == 3 => Effect::Copy(rm),
        _ => Effect::Unknown,
    }
}

impl Insn {
    /// The register of ModRM's middle field.
    pub fn reg(&self) -> u8 {
        (self.modrm >> 3) & 7 | (self.rex & 4) << 1
    }

    /// `mov` between a register and a register or memory.
    pub fn is_move(&self) -> bool {
        self.map == 0 && matches!(self.opcode, 0x89 | 0x8b) && !self.vector
    }

    /// The register of ModRM's low field (where the mode is 3).
    pub fn rm(&self) -> u8 {
        self.modrm & 7 | (self.rex & 1) << 3
    }
}

/// The general registers an instruction may write. What is not known to write
/// none or few writes all.
pub fn writes(insn: &Insn) -> u16 {
    // A byte register without REX may be the second byte of registers 0 to 3.
    let byte = |r: u8| 1u16 << r | 1 << (r & 3);
    let (reg, rm) = (1u16 << insn.reg(), 1u16 << insn.rm());
    let register = insn.modrm >> 6 == 3;
    let to_rm = if register { rm } else { 0 };
    let to_rm8 = if register { byte(insn.rm()) } else { 0 };
    let extension = (insn.modrm >> 3) & 7;
    match insn.flow {
        Flow::Call(_) | Flow::CallIndirect => return CALLER_SAVED,
        Flow::Syscall => return 1 << RAX | 1 << 1 | 1 << 11,
        Flow::Branch(_) if insn.map == 1 || insn.opcode < 0x80 => return 0,
        Flow::Jump(_) => return 0,
        _ => (),
    }
    if insn.vector {
        return ALL;
    }
    match (insn.map, insn.opcode) {
        (0, 0x38..=0x3d) => 0,
        (0, op @ 0x00..=0x3f) => match op & 7 {
            0 => to_rm8,
            1 => to_rm,
            2 => byte(insn.reg()),
            3 => reg,
            _ => 1 << RAX,
        },
        (0, 0x50..=0x57 | 0x68 | 0x6a) => 1 << 4,
        (0, op @ 0x58..=0x5f) => 1 << 4 | 1 << (op & 7 | (insn.rex & 1) << 3),
        (0, 0x63 | 0x69 | 0x6b | 0x8b | 0x8d) => reg,
        (0, 0x80) if extension == 7 => 0,
        (0, 0x80) => to_rm8,
        (0, 0x81 | 0x83) if extension == 7 => 0,
        (0, 0x81 | 0x83) => to_rm,
        (0, 0x84 | 0x85 | 0x90 | 0xa8 | 0xa9 | 0xf8..=0xfd) => 0,
        (0, 0x88 | 0xc6) => to_rm8,
        (0, 0x89 | 0xc7) => to_rm,
        (0, 0x8a) => byte(insn.reg()),
        (0, 0x98) => 1 << RAX,
        (0, 0x99) => 1 << 2,
        (0, op @ 0xb0..=0xb7) => byte(op & 7 | (insn.rex & 1) << 3),
        (0, op @ 0xb8..=0xbf) => 1 << (op & 7 | (insn.rex & 1) << 3),
        (0, 0xc0 | 0xd0 | 0xd2) => to_rm8,
        (0, 0xc1 | 0xd1 | 0xd3) => to_rm,
        (0, 0xf6 | 0xf7) if extension < 2 => 0,
        (0, 0xf6) if extension < 4 => to_rm8,
        (0, 0xf7) if extension < 4 => to_rm,
        (0, 0xfe) => to_rm8,
        (0, 0xff) if extension < 2 => to_rm,
        (0, 0xff) if extension == 6 => 1 << 4,
        // nops, endbr64 and rdssp, which writes its operand.
        (1, 0x18..=0x1f) => to_rm,
        (1, 0x10..=0x17 | 0x28..=0x2b | 0x2e | 0x2f | 0x51..=0x76 | 0x7f | 0xc6) => 0,
        (1, 0x40..=0x4f | 0xaf | 0xb6 | 0xb7 | 0xbc..=0xbf) => reg,
        (1, 0x90..=0x9f) => to_rm8,
        (1, 0xa3) => 0,
        (1, 0xab | 0xb3 | 0xbb | 0xba) => to_rm,
        _ => ALL,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(code: &[u8]) -> (Function, Result<(), Unreadable>) {
        let mut function = Function::default();
        let result = function.read(code.as_ptr() as usize, code);
        (function, result)
    }

    fn rax_at_syscall(code: &[u8]) -> Value {
        let (mut function, result) = read(code);
        assert_eq!(result, Ok(()));
        let site = (0..)
            .find(|&i| function.insn(i).unwrap().flow == Flow::Syscall)
            .unwrap();
        function.value(RAX, site)
    }

    #[test]
    fn constants_are_found() {
        use Value::*;
        // mov $257,%eax; mov %edi,%esi; syscall
        assert_eq!(
            rax_at_syscall(&[0xb8, 1, 1, 0, 0, 0x89, 0xfe, 0x0f, 5]),
            Constant(257)
        );
        // xor %eax,%eax; syscall
        assert_eq!(rax_at_syscall(&[0x31, 0xc0, 0x0f, 5]), Constant(0));
        // mov $16,%r9d; nop; mov %r9d,%eax; syscall; jmp back to the nop
        assert_eq!(
            rax_at_syscall(&[0x41, 0xb9, 16, 0, 0, 0, 0x90, 0x44, 0x89, 0xc8, 0x0f, 5, 0xeb, 0xf8]),
            Constant(16)
        );
        // test %eax,%eax; jne +2; syscall; ret (2.31's read)
        assert_eq!(
            rax_at_syscall(&[0x85, 0xc0, 0x75, 2, 0x0f, 5, 0xc3]),
            Constant(0)
        );
    }

    #[test]
    fn what_is_not_proven_is_unknown() {
        for code in [
            &[0x0f, 5][..],                                       // the caller's
            &[0x89, 0xf8, 0x0f, 5],                               // mov %edi,%eax
            &[0xb8, 1, 0, 0, 0, 0xe8, 0, 0, 0, 0, 0x0f, 5],       // a call between
            &[0xb8, 1, 0, 0, 0, 0x8b, 0x07, 0x0f, 5],             // a load over it
            &[0xb8, 1, 0, 0, 0, 0x0f, 5, 0x89, 0xf8, 0xeb, 0xfa], // two ways, two numbers
            &[0xb8, 1, 0, 0, 0, 0x85, 0xc0, 0x74, 0, 0x0f, 5],    // taken je says zero
            &[0xb8, 1, 0, 0, 0, 0xb0, 2, 0x0f, 5],                // half of it changed
            &[0xb8, 1, 0, 0, 0, 0xb4, 2, 0x0f, 5],                // %ah
        ] {
            assert_eq!(rax_at_syscall(code), Value::Unknown, "{code:02x?}");
        }
    }

    #[test]
    fn odd_code_is_refused() {
        assert_eq!(read(&[0x06]).1, Err(Unreadable::Instruction));
        assert_eq!(
            read(&[0xeb, 1, 0xb8, 0, 0, 0, 0]).1,
            Err(Unreadable::Branch)
        );
        // je over a lock prefix is glibc's own
        assert_eq!(read(&[0x74, 1, 0xf0, 0xff, 0x07]).1, Ok(()));
    }

    #[test]
    fn entries_are_ranges() {
        let code = [0x90, 0x90, 0xeb, 0xfd, 0xc3];
        let (function, _) = read(&code);
        let start = function.address(0);
        assert!(function.is_entered(start + 1, start + 2));
        assert!(!function.is_entered(start, start + 1));
        assert!(!function.is_entered(start + 2, start + 5));
    }
}
