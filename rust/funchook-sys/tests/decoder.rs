//! The decoder against iced-x86, instruction by instruction along iced's own
//! stream, over the functions of this machine's libraries.

#![cfg(target_arch = "x86_64")]

use funchook_sys::arch::decode::{decode, Flow};
use funchook_sys::module::Module;
use iced_x86::{Decoder, DecoderOptions, FlowControl, Instruction, OpKind};

const LIBRARIES: [&str; 10] = [
    "/lib/x86_64-linux-gnu/libc.so.6",
    "/lib64/libc.so.6",
    "/lib64/ld-linux-x86-64.so.2",
    "/lib/x86_64-linux-gnu/libpthread.so.0",
    "/lib/x86_64-linux-gnu/libm.so.6",
    "/lib/x86_64-linux-gnu/libcrypto.so.3",
    "/lib64/libcrypto.so.3",
    "/lib/x86_64-linux-gnu/libstdc++.so.6",
    "/lib/x86_64-linux-gnu/libz.so.1",
    "/lib/x86_64-linux-gnu/libsqlite3.so.0",
];

#[derive(Default, Debug)]
struct Tally {
    same: usize,
    refused: usize,
    wrong: Vec<String>,
}

fn compare(module: &Module, tally: &mut Tally) {
    let mut insn = Instruction::default();
    for function in module.functions() {
        let Some(code) = module.code(function.clone()) else {
            continue;
        };
        let mut oracle = Decoder::with_ip(64, code, function.start as u64, DecoderOptions::NONE);
        while oracle.can_decode() {
            let at = oracle.position();
            oracle.decode_out(&mut insn);
            if insn.is_invalid() {
                break;
            }
            let address = function.start + at;
            let Some(ours) = decode(&code[at..]) else {
                tally.refused += 1;
                continue;
            };
            let near = matches!(
                insn.op0_kind(),
                OpKind::NearBranch64 | OpKind::NearBranch32 | OpKind::NearBranch16
            );
            let target = near.then(|| insn.near_branch_target() as usize);
            let relative = insn.is_ip_rel_memory_operand();
            let reach = (ours.rip_disp != 0).then(|| {
                let from = at + usize::from(ours.rip_disp);
                let disp = i32::from_le_bytes(code[from..from + 4].try_into().unwrap());
                (address + usize::from(ours.len)).wrapping_add_signed(disp as isize) as u64
            });
            let flow = match insn.flow_control() {
                FlowControl::Next => matches!(ours.flow, Flow::Next | Flow::Syscall | Flow::Stop),
                FlowControl::UnconditionalBranch => matches!(ours.flow, Flow::Jump(_)),
                FlowControl::ConditionalBranch | FlowControl::XbeginXabortXend => {
                    matches!(ours.flow, Flow::Branch(_) | Flow::Next)
                }
                FlowControl::Return => ours.flow == Flow::Return,
                FlowControl::IndirectBranch => ours.flow == Flow::JumpIndirect,
                FlowControl::IndirectCall => ours.flow == Flow::CallIndirect,
                FlowControl::Call => matches!(ours.flow, Flow::Call(_) | Flow::Syscall),
                FlowControl::Interrupt | FlowControl::Exception => ours.flow == Flow::Stop,
            };
            if usize::from(ours.len) == insn.len()
                && ours.target(address) == target
                && reach == relative.then(|| insn.ip_rel_memory_address())
                && flow
            {
                tally.same += 1;
            } else {
                tally
                    .wrong
                    .push(format!("{:02x?}: {insn}", &code[at..at + insn.len()]));
            }
        }
    }
}

#[test]
fn agrees_with_iced_over_the_machines_libraries() {
    let mut total = Tally::default();
    for path in LIBRARIES {
        let Ok(file) = std::fs::read(path) else {
            continue;
        };
        let module = Module::of_image(&file).expect("a shared object");
        compare(&module, &mut total);
    }
    println!("{} the same, {} refused", total.same, total.refused);
    total.wrong.truncate(20);
    assert_eq!(total.wrong, Vec::<String>::new());
    assert!(total.same > 100_000);
    // XOP, AMD's retired vector instructions, stands in libcrypto.
    assert!(
        total.refused * 1000 < total.same,
        "{} refused",
        total.refused
    );
}
