//! The decoder against iced-x86, instruction by instruction along iced's own
//! stream, over the functions of this machine's libraries.

#![cfg(target_arch = "x86_64")]

use funchook_sys::arch::decode::{decode, Flow};
use funchook_sys::module::Module;
use iced_x86::{Decoder, DecoderOptions, FlowControl, Instruction, OpKind};
use std::collections::BTreeSet;
use std::path::PathBuf;

/// Compared in every run; with PIL4DFS_TEST_LONG set all that lie in [`DIRECTORIES`].
const LIBRARIES: [&str; 12] = [
    "libc.so.6",
    "ld-linux-x86-64.so.2",
    "libpthread.so.0",
    "libm.so.6",
    "libmvec.so.1",
    "libcrypto.so.3",
    "libstdc++.so.6",
    "libpython3.11.so.1.0",
    "libperl.so.5.36",
    "libz.so.1",
    "libgmp.so.10",
    "libsqlite3.so.0",
];
const DIRECTORIES: [&str; 3] = ["/usr/lib/x86_64-linux-gnu", "/lib64", "/usr/lib64"];

/// Each file once, by whatever names it has.
fn libraries() -> BTreeSet<PathBuf> {
    let all = std::env::var_os("PIL4DFS_TEST_LONG").is_some();
    let entries = DIRECTORIES.iter().flat_map(std::fs::read_dir).flatten();
    let wanted = entries.flatten().map(|entry| entry.path()).filter(|path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        LIBRARIES.contains(&&*name) || all && (name.contains(".so.") || name.ends_with(".so"))
    });
    wanted.flat_map(|path| path.canonicalize()).collect()
}

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
    let mut modules = 0;
    for path in libraries() {
        // A linker's script, or an object of another machine, is no module.
        let Some(module) = std::fs::read(&path).ok().and_then(|f| Module::of_image(&f)) else {
            continue;
        };
        modules += 1;
        let before = (total.same, total.refused, total.wrong.len());
        compare(&module, &mut total);
        if total.wrong.len() > before.2 || total.refused - before.1 > 1000 {
            let refused = total.refused - before.1;
            let same = total.same - before.0;
            println!("{}: {same} the same, {refused} refused", path.display());
        }
    }
    println!("{modules} libraries");
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
