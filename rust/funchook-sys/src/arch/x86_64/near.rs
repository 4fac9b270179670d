//! Proves most sites from the bytes around them, without decoding their function:
//! which instructions lead to the call, with which number, and that no branch of
//! the function lands among them. Branches are looked for at *every* byte, so
//! more are seen than there are, and never fewer. Who is not convinced decodes.

use super::decode::{Flow, Insn};
use super::flow::{effect, writes, Effect, RAX};
use super::window::JUMP;
use core::arch::x86_64::*;
use core::ops::Range;

/// `syscall`.
const CALL: usize = 2;
/// Bytes before the call within which all readings of the code must meet.
const RUN_UP: usize = 48;
/// An instruction's longest form.
const LONGEST: usize = 15;

/// What the neighbourhood of a `0f 05` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finding {
    /// No instruction begins there.
    Nothing,
    /// A call with this number, and perhaps with a window before it.
    Call(u32, Option<Window>),
    /// Nothing is proven.
    Unknown,
}

/// Straight instructions before a call, at least a jump long, entered at the head alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Offset of its first byte.
    pub start: usize,
    /// Instructions.
    pub count: usize,
    /// It is the one instruction that loads the number.
    pub mov: bool,
}

/// Looks at the `0f 05` at offset `at` of the function `code`.
pub fn look(code: &[u8], at: usize) -> Finding {
    let run = Run::new(code, at);
    match run.meeting() {
        Meeting::Here(common) => run.number(common),
        Meeting::Elsewhere => Finding::Nothing,
        Meeting::Nowhere => Finding::Unknown,
    }
}

/// All ways to read the bytes before a call.
struct Run<'a> {
    code: &'a [u8],
    at: usize,
    first: usize,
}

enum Meeting {
    /// Every reading begins an instruction at the call. The bits are the offsets from
    /// `first` at which all of them do.
    Here(u64),
    /// No reading does.
    Elsewhere,
    /// Some do.
    Nowhere,
}

impl<'a> Run<'a> {
    fn new(code: &'a [u8], at: usize) -> Run<'a> {
        let first = at.saturating_sub(RUN_UP);
        Run { code, at, first }
    }

    fn insn(&self, here: usize) -> Option<Insn> {
        let mut insn = Insn::default();
        insn.read(&self.code[here..]).then_some(insn)
    }

    /// An instruction begins within any fifteen bytes of a function, or at its head: one
    /// of the readings from there is the processor's. A reading that meets bytes which
    /// are no instruction is not it.
    fn meeting(&self) -> Meeting {
        const BAD: u8 = u8::MAX;
        let end = self.at - self.first;
        let starts = if self.first == 0 { 1 } else { LONGEST };
        // Where the instruction at an offset ends; 0: not read yet.
        let mut ends = [0u8; RUN_UP];
        let (mut common, mut some) = (u64::MAX, false);
        for start in 0..starts.min(end + 1) {
            let (mut here, mut visited) = (start, 0u64);
            while here < end {
                visited |= 1 << here;
                if ends[here] == 0 {
                    let insn = self.insn(self.first + here);
                    ends[here] = insn.map_or(BAD, |insn| here as u8 + insn.len);
                }
                here = usize::from(ends[here]);
            }
            if here != usize::from(BAD) {
                let arrives = here == end;
                some |= arrives;
                common &= visited | u64::from(arrives) << end;
            }
        }
        match (common >> end & 1 != 0, some) {
            (true, true) => Meeting::Here(common),
            (false, true) => Meeting::Nowhere,
            (_, false) if common == u64::MAX => Meeting::Nowhere,
            (_, false) => Meeting::Elsewhere,
        }
    }

    /// Walks back from the call to where its number comes from.
    fn number(&self, common: u64) -> Finding {
        let mut left = common & ((1 << (self.at - self.first)) - 1);
        let (mut register, mut number) = (RAX, None);
        // The window as far as it has grown; complete when it is long enough.
        let (mut window, mut growing) = (None, true);
        let mut count = 0;
        let mut low = self.at;
        while left != 0 && (number.is_none() || growing) {
            let place = self.first + 63 - left.leading_zeros() as usize;
            left &= !(1 << (place - self.first));
            let Some(insn) = self.insn(place) else {
                return Finding::Unknown;
            };
            growing &= insn.is_straight();
            if growing {
                count += 1;
                if self.at - place >= JUMP {
                    growing = false;
                    let mov = count == 1 && insn.opcode == 0xb8 && self.at - place == JUMP;
                    window = Some(Window {
                        start: place,
                        count,
                        mov,
                    });
                }
                low = place;
            }
            if number.is_some() {
                continue;
            }
            if !matches!(insn.flow, Flow::Next | Flow::Branch(_)) {
                return Finding::Unknown;
            }
            if writes(&insn) >> register & 1 != 0 {
                match effect(&insn, register, || self.immediate(place, &insn)) {
                    Effect::Number(n) => number = Some(n),
                    Effect::Copy(source) => register = source,
                    Effect::Unknown => return Finding::Unknown,
                }
            }
            low = place;
        }
        let Some(number) = number else {
            return Finding::Unknown;
        };
        if is_entered(self.code, low + 1..self.at + CALL) {
            return Finding::Unknown;
        }
        let safe = |w: &Window| w.count == 1 || !jumps_through_register(self.code);
        Finding::Call(number, window.filter(safe))
    }

    fn immediate(&self, place: usize, insn: &Insn) -> u32 {
        let bytes = self.code[place + usize::from(insn.imm)..].first_chunk();
        bytes.map_or(0, |bytes| u32::from_le_bytes(*bytes))
    }
}

/// Whether `code` holds a jump whose targets are unknown: an `ff /4` or `ff /5` that
/// cannot be told from an instruction.
fn jumps_through_register(code: &[u8]) -> bool {
    let like = |pair: &[u8]| pair[0] == 0xff && (pair[1] >> 4) & 3 == 2;
    let is_insn = |at: usize| !matches!(Run::new(code, at).meeting(), Meeting::Elsewhere);
    code.windows(2)
        .enumerate()
        .any(|(at, pair)| like(pair) && is_insn(at))
}

/// Whether some bytes of `code` read like a direct jump or call into `window`.
fn is_entered(code: &[u8], window: Range<usize>) -> bool {
    let short = window.start.saturating_sub(130)..(window.end + 130).min(code.len());
    short_displacements(code, short, &window) || long_displacements(code, &window)
}

/// Bytes whose value as a displacement leads into `window`, and that stand behind the
/// opcode of a short jump.
fn short_displacements(code: &[u8], range: Range<usize>, window: &Range<usize>) -> bool {
    let is_jump = |at: usize| {
        let opcode = at.checked_sub(1).map(|before| code[before]);
        let target = (at + 1).wrapping_add_signed(code[at] as i8 as isize);
        matches!(opcode, Some(0x70..=0x7f | 0xe0..=0xe3 | 0xeb)) && window.contains(&target)
    };
    let last = _mm(window.len() as u8 - 1);
    let mut at = range.start;
    while at + 16 <= range.end {
        // What is added to a displacement to make it an offset into the window, modulo 256.
        let base = (at + 1).wrapping_sub(window.start) as u8;
        // SAFETY: SSE2 is part of x86-64; sixteen bytes are there.
        let hits = unsafe {
            let places = _mm_setr_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
            let bytes = _mm_loadu_si128(code.as_ptr().add(at).cast());
            let offsets = _mm_add_epi8(bytes, _mm_add_epi8(places, _mm(base)));
            _mm_movemask_epi8(_mm_cmpeq_epi8(_mm_min_epu8(offsets, last), offsets))
        };
        if hits != 0 && (at..at + 16).any(is_jump) {
            return true;
        }
        at += 16;
    }
    (at..range.end).any(is_jump)
}

fn _mm(byte: u8) -> __m128i {
    // SAFETY: SSE2 is part of x86-64.
    unsafe { _mm_set1_epi8(byte as i8) }
}

/// The same for displacements of four bytes, and all the function.
fn long_displacements(code: &[u8], window: &Range<usize>) -> bool {
    let is_jump = |at: usize| {
        let Some(bytes) = code[at..].first_chunk() else {
            return false;
        };
        let target = (at + 4).wrapping_add_signed(i32::from_le_bytes(*bytes) as isize);
        let opcode = (
            at.checked_sub(2).map(|b| code[b]),
            at.checked_sub(1).map(|b| code[b]),
        );
        let jump = matches!(
            opcode,
            (_, Some(0xe8 | 0xe9)) | (Some(0x0f), Some(0x80..=0x8f)) | (Some(0xc7), Some(0xf8))
        );
        jump && window.contains(&target)
    };
    let mut at = 0;
    while at + 19 <= code.len() {
        // SAFETY: SSE2 is part of x86-64; nineteen bytes are there.
        let hits = unsafe {
            let minimum = _mm_set1_epi32(i32::MIN);
            let last = _mm_set1_epi32(i32::MIN + window.len() as i32);
            let steps = _mm_setr_epi32(0, 4, 8, 12);
            let mut hits = _mm_setzero_si128();
            for shift in 0..4 {
                let base = (at + shift + 4).wrapping_sub(window.start) as i32;
                let bytes = _mm_loadu_si128(code.as_ptr().add(at + shift).cast());
                let offsets = _mm_add_epi32(bytes, _mm_add_epi32(steps, _mm_set1_epi32(base)));
                // SSE2 compares signed numbers only.
                let unsigned = _mm_xor_si128(offsets, minimum);
                hits = _mm_or_si128(hits, _mm_cmplt_epi32(unsigned, last));
            }
            _mm_movemask_epi8(hits)
        };
        if hits != 0 && (at..at + 16).any(is_jump) {
            return true;
        }
        at += 16;
    }
    (at..code.len()).any(is_jump)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A function of `len` nops with `mov $257,%eax; syscall` at `at`.
    fn function(len: usize, at: usize) -> Vec<u8> {
        let mut code = vec![0x90; len];
        code[at..at + 7].copy_from_slice(&[0xb8, 1, 1, 0, 0, 0x0f, 5]);
        code
    }

    #[test]
    fn a_lonely_window_is_proven() {
        for at in 0..300 {
            let window = Window {
                start: at,
                count: 1,
                mov: true,
            };
            let found = look(&function(310, at), at + 5);
            assert_eq!(found, Finding::Call(257, Some(window)), "{at}");
        }
    }

    #[test]
    fn numbers_further_back_are_found() {
        // mov $257,%eax; mov %rdi,%rsi; mov $-100,%edi; syscall
        let code = [
            0xb8, 1, 1, 0, 0, 0x48, 0x89, 0xfe, 0xbf, 0x9c, 0xff, 0xff, 0xff, 0x0f, 5,
        ];
        let window = Window {
            start: 8,
            count: 1,
            mov: false,
        };
        assert_eq!(look(&code, 13), Finding::Call(257, Some(window)));
        // jump in between: jne over nothing
        let code = [0xb8, 1, 1, 0, 0, 0x75, 0, 0x0f, 5];
        assert_eq!(look(&code, 7), Finding::Unknown);
        // a call in between
        let code = [0xb8, 1, 1, 0, 0, 0xe8, 0, 0, 0, 0, 0x0f, 5];
        assert_eq!(look(&code, 10), Finding::Unknown);
        // half of the register changed
        let code = [0xb8, 1, 1, 0, 0, 0xb0, 2, 0x0f, 5];
        assert_eq!(look(&code, 7), Finding::Unknown);
        // two instructions, and a jump through a register: a number, no window
        let code = [0x31, 0xc0, 0x48, 0x89, 0xfe, 0x0f, 5, 0xff, 0xe0];
        assert_eq!(look(&code, 5), Finding::Call(0, None));
    }

    #[test]
    fn branches_from_everywhere_are_seen() {
        for (len, at) in [(400, 200), (400, 3), (90, 80), (16, 9)] {
            let clean = function(len, at);
            for place in (0..len - 6).filter(|&p| p + 6 <= at || p >= at + 7) {
                for target in at..at + 9 {
                    let inside = (at + 1..at + 7).contains(&target);
                    let forms: [(&[u8], usize); 5] = [
                        (&[0xeb], 1),
                        (&[0x74], 1),
                        (&[0xe8], 4),
                        (&[0xe9], 4),
                        (&[0x0f, 0x85], 4),
                    ];
                    for (opcode, size) in forms {
                        let end = place + opcode.len() + size;
                        let distance = target as i64 - end as i64;
                        if size == 1 && i8::try_from(distance).is_err() {
                            continue;
                        }
                        let mut code = clean.clone();
                        code[place..place + opcode.len()].copy_from_slice(opcode);
                        code[place + opcode.len()..end]
                            .copy_from_slice(&distance.to_le_bytes()[..size]);
                        let entered = is_entered(&code, at + 1..at + 7);
                        assert_eq!(entered, inside, "{place} {target}");
                    }
                }
            }
        }
    }

    #[test]
    fn the_middle_of_an_instruction_is_no_call() {
        // movabs with the call in its immediate
        let code = [0x48, 0xb8, 0xb8, 1, 1, 0, 0, 0x0f, 5, 0];
        assert_eq!(look(&code, 7), Finding::Nothing);
        let mut code = vec![0x90; 100];
        code[50..60].copy_from_slice(&[0x48, 0xb8, 0, 1, 1, 0, 0, 0, 0x0f, 5]);
        assert!(!matches!(look(&code, 58), Finding::Call(..)));
    }
}
