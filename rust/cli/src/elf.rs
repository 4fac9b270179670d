//! What an ELF file says of itself: for which machine, with which loader and libraries, which
//! functions it wants, and whether it makes system calls of its own.
use object::elf::{DT_NEEDED, DT_RPATH, DT_RUNPATH, EM_AARCH64, EM_X86_64, PF_X, PT_LOAD};
use object::read::elf::{Dyn, FileHeader, ProgramHeader, Sym};
use object::read::{ReadCache, ReadRef};
use object::{Endianness, FileKind};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;
use vfs::catalogue;

/// What the file says.
#[derive(Default, Serialize)]
pub struct Facts {
    /// 32 or 64.
    pub bits: u8,
    /// Whether this machine's programs of 64 bits are of this kind.
    pub native: bool,
    /// The loader; a static program has none.
    pub interpreter: Option<String>,
    /// Linked at run time: a static one may be, too (static-pie), without a loader.
    pub needed: Vec<String>,
    /// DT_RPATH and DT_RUNPATH.
    pub search: Vec<String>,
    /// Made by Go's linker.
    pub go: bool,
    /// Functions wanted of libraries, sorted.
    pub imports: Vec<String>,
    /// System calls of its own with a number known at the place, by name, x86-64 only.
    pub system_calls: BTreeMap<String, usize>,
}

/// Reads a file; `None` if it is no ELF file of a known class, or not a whole one.
/// `deep`: also imports and system calls, for which all of it is read.
pub fn facts(path: &Path, deep: bool) -> Option<Facts> {
    let cache = ReadCache::new(File::open(path).ok()?);
    match FileKind::parse(&cache).ok()? {
        FileKind::Elf64 => of::<object::elf::FileHeader64<Endianness>, _>(&cache, 64, deep),
        FileKind::Elf32 => of::<object::elf::FileHeader32<Endianness>, _>(&cache, 32, deep),
        _ => None,
    }
}

fn of<'a, H, R>(data: R, bits: u8, deep: bool) -> Option<Facts>
where
    H: FileHeader<Endian = Endianness>,
    R: ReadRef<'a>,
{
    let header = H::parse(data).ok()?;
    let endian = header.endian().ok()?;
    let machine = match cfg!(target_arch = "x86_64") {
        true => EM_X86_64,
        false => EM_AARCH64,
    };
    let mut facts = Facts {
        bits,
        native: bits == 64 && header.e_machine(endian) == machine,
        ..Facts::default()
    };
    for segment in header.program_headers(endian, data).ok()? {
        if let Ok(Some(name)) = segment.interpreter(endian, data) {
            facts.interpreter = Some(text(name));
        }
        if let Ok(Some(mut notes)) = segment.notes(endian, data) {
            while let Ok(Some(note)) = notes.next() {
                facts.go |= note.name() == b"Go";
            }
        }
        let code = segment.p_type(endian) == PT_LOAD && segment.p_flags(endian) & PF_X != 0;
        if deep && code && facts.native {
            if let Ok(bytes) = segment.data(endian, data) {
                system_calls(bytes, &mut facts.system_calls);
            }
        }
    }
    let sections = header.sections(endian, data).ok()?;
    if let Ok(Some((entries, link))) = sections.dynamic(endian, data) {
        let strings = sections.strings(endian, data, link).ok()?;
        for entry in entries {
            let list = match entry.tag32(endian) {
                Some(DT_NEEDED) => &mut facts.needed,
                Some(DT_RPATH | DT_RUNPATH) => &mut facts.search,
                _ => continue,
            };
            let name = entry.val32(endian).and_then(|at| strings.get(at).ok());
            list.extend(name.map(text));
        }
    }
    if deep {
        let symbols = sections
            .symbols(endian, data, object::elf::SHT_DYNSYM)
            .ok()?;
        for symbol in symbols.iter().filter(|s| s.is_undefined(endian)) {
            let name = symbol.name(endian, symbols.strings()).ok().map(text);
            facts.imports.extend(name.filter(|n| !n.is_empty()));
        }
        facts.imports.sort();
        facts.imports.dedup();
    }
    Some(facts)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// What the patcher of call sites proves from the bytes before a `syscall`.
#[cfg(target_arch = "x86_64")]
fn system_calls(code: &[u8], found: &mut BTreeMap<String, usize>) {
    use funchook_sys::arch::near::{look, Finding};
    /// Bytes on both sides that are looked at.
    const NEAR: usize = 256;
    for at in 0..code.len().saturating_sub(1) {
        if code[at..at + 2] != [0x0f, 0x05] {
            continue;
        }
        let from = at.saturating_sub(NEAR);
        let around = &code[from..code.len().min(at + NEAR)];
        let number = match look(around, at - from) {
            Finding::Call(number, _) => Some(number),
            Finding::Unknown => number_before(around, at - from),
            Finding::Nothing => None,
        };
        if let Some(index) = number.and_then(catalogue::caller) {
            let name = catalogue::caller_name(index);
            let name = name.trim_start_matches("SYS_").to_owned();
            *found.entry(name).or_default() += 1;
        }
    }
}

/// The last `mov $number,%eax` that straight instructions lead from to the call.
#[cfg(target_arch = "x86_64")]
fn number_before(code: &[u8], call: usize) -> Option<u32> {
    use funchook_sys::arch::decode::decode;
    let leads = |from: usize| {
        let mut here = from;
        while here < call {
            match decode(&code[here..]) {
                Some(insn) if insn.is_straight() => here += usize::from(insn.len),
                _ => return false,
            }
        }
        here == call
    };
    let numbers = (call.saturating_sub(40)..call.saturating_sub(4)).rev();
    numbers
        .into_iter()
        .find_map(|from| match code[from..from + 5] {
            [0xb8, low, high @ 0..=1, 0, 0] if leads(from) => {
                Some(u32::from(low) | u32::from(high) << 8)
            }
            _ => None,
        })
}

#[cfg(not(target_arch = "x86_64"))]
fn system_calls(_: &[u8], _: &mut BTreeMap<String, usize>) {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_program_is_known() {
        let facts = facts(Path::new("/proc/self/exe"), true).unwrap();
        assert!(facts.native && facts.bits == 64 && !facts.go);
        assert!(facts.interpreter.unwrap().contains("ld-linux"));
        assert!(facts.needed.iter().any(|n| n == "libc.so.6"));
        assert!(facts.imports.iter().any(|n| n == "read"));
    }

    #[test]
    fn what_is_no_program_is_none() {
        assert!(facts(Path::new("/etc/passwd"), true).is_none());
        assert!(facts(Path::new("/nonexistent"), true).is_none());
    }

    #[test]
    #[cfg(target_arch = "x86_64")]
    fn system_calls_are_seen_with_their_numbers() {
        let mut found = BTreeMap::new();
        // mov $257,%eax; mov %rsi,%rdi; syscall; ret; mov $39,%eax (getpid: no file call); syscall
        let code = b"\xb8\x01\x01\0\0\x48\x89\xf7\x0f\x05\xc3\xb8\x27\0\0\0\x0f\x05";
        system_calls(code, &mut found);
        assert_eq!(
            found.into_iter().collect::<Vec<_>>(),
            [("openat".to_owned(), 1)]
        );
    }
}
