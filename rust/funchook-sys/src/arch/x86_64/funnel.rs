//! glibc 2.41 and later send every cancellable call through two hidden functions,
//! known by shape: one makes the call while nobody can cancel the thread, and else
//! calls the other, whose few instructions the cancellation signal's handler knows
//! by their addresses.

use super::decode::Flow;
use super::flow::{writes, Function};
use super::window::JUMP;
use crate::module::Module;
use crate::sites::{Kind, Site};

const CALL: u8 = 0xe8;
const JMP: u8 = 0xe9;

/// Whether the call at `site`, whose number is not known, is one of the two: with
/// the number in a register (`__syscall_cancel_arch`) or on the stack
/// (`__internal_syscall_cancel`).
pub fn is_cancellation_funnel(module: &Module, function: &Function, site: usize) -> bool {
    shifts_arguments(function, site)
        || loads_number_from_stack(function, site) && calls_a_shifter(module, function)
}

/// `__syscall_cancel_arch`: an unbroken run of moves before the call loads %rax
/// and every argument, which no ordinary wrapper has reason to.
fn shifts_arguments(function: &Function, site: usize) -> bool {
    const RAX_RDX_RSI_RDI_R10: u16 = 1 | 1 << 2 | 1 << 6 | 1 << 7 | 1 << 10;
    let mut moved = 0u16;
    for index in (0..site).rev() {
        match function.insn(index) {
            Some(insn) if insn.is_move() => moved |= writes(insn),
            _ => break,
        }
    }
    moved & RAX_RDX_RSI_RDI_R10 == RAX_RDX_RSI_RDI_R10
}

/// `mov disp8(%rsp),%rax` right before the call: an argument on the stack.
fn loads_number_from_stack(function: &Function, site: usize) -> bool {
    let load = site.checked_sub(1).and_then(|index| function.insn(index));
    load.is_some_and(|insn| {
        insn.is_move() && insn.opcode == 0x8b && insn.modrm == 0x44 && insn.len == 5
    })
}

/// Whether `function` calls one that does nothing but shift its arguments and
/// make the call.
fn calls_a_shifter(module: &Module, function: &Function) -> bool {
    let mut callee = Function::default();
    function.calls().any(|(_, target)| {
        let range = module
            .function(target)
            .filter(|f| f.start == target && f.len() < 256);
        let code = range.clone().and_then(|range| module.code(range));
        let (Some(range), Some(code)) = (range, code) else {
            return false;
        };
        callee.read(range.start, code).is_ok()
            && (0..callee.len()).any(|index| {
                let made = callee.insn(index).is_some_and(|i| i.flow == Flow::Syscall);
                made && shifts_arguments(&callee, index)
            })
    })
}

/// Where `__syscall_cancel_arch` is called by the funnel and by nobody else, that call
/// takes the place of the `syscall` inside among the sites: a call made from anywhere else
/// than there would not be found by the cancellation signal's handler.
pub fn prefer_call(module: &Module, sites: &mut [Site]) {
    let mut function = Function::default();
    let mut shifters = Vec::new();
    let mut funnels = Vec::new();
    for (index, site) in sites.iter().enumerate() {
        let range = module.function(site.syscall);
        let code = range.clone().and_then(|range| module.code(range));
        let (Kind::Dynamic, Some(range), Some(code)) = (site.kind, range, code) else {
            continue;
        };
        let at = function.read(range.start, code).ok();
        let Some(at) = at.and_then(|()| function.at(site.syscall)) else {
            continue;
        };
        if loads_number_from_stack(&function, at) {
            funnels.push(range);
        } else if shifts_arguments(&function, at) {
            shifters.push((index, range.start));
        }
    }
    for (index, shifter) in shifters {
        let address = funnels.iter().find_map(|funnel| {
            let code = module.code(funnel.clone())?;
            function.read(funnel.start, code).ok()?;
            let address = function.call_of(shifter)?;
            let entered = function.is_entered(address + 1, address + JUMP);
            (!entered && references(module, shifter).eq([address])).then_some(address)
        });
        let code = address.and_then(|address| module.code(address..address + JUMP));
        let (Some(address), Some(code)) = (address, code) else {
            continue;
        };
        let mut original = [0; Site::LONGEST];
        original[..JUMP].copy_from_slice(code);
        sites[index] = Site {
            addr: address,
            window_len: JUMP as u8,
            insns: 1,
            syscall: address,
            kind: Kind::Call,
            original,
            ..sites[index]
        };
    }
    sites.sort_by_key(|site| site.addr);
}

/// What the call of a site of that kind called.
pub fn target_of(site: &Site) -> Option<usize> {
    let field: &[u8; 4] = site.window().get(1..)?.first_chunk()?;
    let displacement = i32::from_le_bytes(*field) as isize;
    (site.kind == Kind::Call).then(|| (site.addr + JUMP).wrapping_add_signed(displacement))
}

/// Every place of the text that reads like a call of or a jump to `target`.
fn references<'a>(module: &'a Module, target: usize) -> impl Iterator<Item = usize> + 'a {
    let texts = module.text.iter();
    texts.flat_map(move |text| {
        let code = module.code(text.clone()).unwrap_or_default();
        let windows = code.windows(JUMP).enumerate();
        windows.filter_map(move |(offset, bytes)| {
            let displacement = i32::from_le_bytes([bytes[1], bytes[2], bytes[3], bytes[4]]);
            let behind = text.start + offset + JUMP;
            let reads = matches!(bytes[0], CALL | JMP)
                && behind.wrapping_add_signed(displacement as isize) == target;
            reads.then_some(text.start + offset)
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sites::{scan_with_census, Refusal};

    // The two shapes of glibc 2.41, and an ordinary function whose number only
    // its caller knows.
    core::arch::global_asm!(
        ".globl pil_test_shifter, pil_test_funnel, pil_test_stranger",
        ".hidden pil_test_shifter, pil_test_funnel, pil_test_stranger",
        ".text",
        "pil_test_shifter:",
        ".cfi_startproc",
        "testb $8, (%rdi)",
        "mov %rdi, %r11",
        "mov %rsi, %rax",
        "mov %rdx, %rdi",
        "mov %rcx, %rsi",
        "mov %r8, %rdx",
        "mov %r9, %r10",
        "mov 8(%rsp), %r8",
        "mov 16(%rsp), %r9",
        "mov %r11, 8(%rsp)",
        "syscall",
        "ret",
        ".cfi_endproc",
        "pil_test_funnel:",
        ".cfi_startproc",
        "test %r9, %r9",
        "je 1f",
        "call pil_test_shifter",
        "ret",
        "1: mov 16(%rsp), %rax",
        "syscall",
        "ret",
        ".cfi_endproc",
        "pil_test_stranger:",
        ".cfi_startproc",
        "test %r9, %r9",
        "mov 16(%rsp), %rax",
        "syscall",
        "ret",
        ".cfi_endproc",
        options(att_syntax)
    );

    extern "C" {
        fn pil_test_shifter();
        fn pil_test_funnel();
        fn pil_test_stranger();
    }

    #[test]
    fn cancellation_funnels_are_known_by_shape() {
        let at = |function: unsafe extern "C" fn()| function as *const () as usize;
        let module = Module::holding(at(pil_test_funnel)).unwrap();
        let (sites, census) = scan_with_census(&module, &|_| false);
        let kind = |function| {
            let range = module.function(at(function)).unwrap();
            let site = sites.iter().find(|site| range.contains(&site.syscall));
            site.map(|site| site.kind)
        };
        assert_eq!(kind(pil_test_shifter), Some(Kind::Dynamic));
        assert_eq!(kind(pil_test_funnel), Some(Kind::Dynamic));
        assert_eq!(kind(pil_test_stranger), None);
        let stranger = module.function(at(pil_test_stranger)).unwrap();
        let refused = |r: &&crate::sites::Refused| stranger.contains(&r.syscall);
        let refused = census.refused.iter().find(refused).unwrap();
        assert_eq!(refused.why, Refusal::UnknownNumber);
    }

    /// The call of the one by the other can be had instead, if it is the only one.
    #[test]
    fn the_call_of_the_funnel_is_found() {
        let at = |function: unsafe extern "C" fn()| function as *const () as usize;
        let module = Module::holding(at(pil_test_funnel)).unwrap();
        let mut sites = scan_with_census(&module, &|_| false).0;
        let ours = [at(pil_test_shifter), at(pil_test_funnel)];
        sites.retain(|site| ours.contains(&module.function(site.syscall).unwrap().start));
        assert_eq!(sites.len(), 2);
        let mut other = sites.clone();
        prefer_call(&module, &mut sites);
        let call = sites.iter().find(|site| site.kind == Kind::Call).unwrap();
        assert_eq!((sites.len(), call.window_len, call.insns), (2, 5, 1));
        assert_eq!(target_of(call), Some(at(pil_test_shifter)));
        assert!(module
            .function(at(pil_test_funnel))
            .unwrap()
            .contains(&call.addr));
        // Without the site that makes the call itself nothing is known of the funnel.
        let shifter = module.function(at(pil_test_shifter)).unwrap();
        other.retain(|site| shifter.contains(&site.syscall));
        prefer_call(&module, &mut other);
        assert_eq!(other[0].kind, Kind::Dynamic);
    }
}
