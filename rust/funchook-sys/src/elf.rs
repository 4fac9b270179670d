//! The parts of ELF that are needed: program headers of a file, the dynamic
//! section's names, and the GNU hash table that ld.so itself looks names up in
//! (System V gABI, and the GNU extensions as glibc's elf/dl-lookup.c reads them).

use core::ffi::CStr;
use core::ops::Range;

const DT_STRTAB: i64 = 5;
const DT_SYMTAB: i64 = 6;
const DT_SONAME: i64 = 14;
const DT_GNU_HASH: i64 = 0x6fff_fef5;

/// The dynamic section of a module in memory.
pub struct Dynamic {
    bias: usize,
    strings: usize,
    symbols: usize,
    hash: usize,
    soname: usize,
}

/// # Safety
/// `at` must be the address of a readable value.
unsafe fn read<T: Copy>(at: usize) -> T {
    // SAFETY: the caller's.
    unsafe { (at as *const T).read_unaligned() }
}

impl Dynamic {
    /// # Safety
    /// `section` is the dynamic section of an object in memory, all of whose
    /// segments are readable for as long as the result lives.
    pub unsafe fn new(bias: usize, section: Range<usize>) -> Option<Dynamic> {
        // The loader adds the bias in place, but not where the section is read-only.
        let address = |value: usize| if value < bias { bias + value } else { value };
        let mut found = Dynamic {
            bias,
            strings: 0,
            symbols: 0,
            hash: 0,
            soname: 0,
        };
        for at in section.step_by(16) {
            // SAFETY: inside the section.
            let (tag, value) = unsafe { (read::<i64>(at), read::<usize>(at + 8)) };
            match tag {
                0 => break,
                DT_STRTAB => found.strings = address(value),
                DT_SYMTAB => found.symbols = address(value),
                DT_GNU_HASH => found.hash = address(value),
                DT_SONAME => found.soname = value,
                _ => (),
            }
        }
        (found.strings != 0 && found.symbols != 0).then_some(found)
    }

    /// DT_SONAME; empty for a program.
    pub fn soname(&self) -> &CStr {
        if self.soname == 0 {
            return c"";
        }
        self.name(self.soname)
    }

    fn name(&self, offset: usize) -> &CStr {
        // SAFETY: the string table's offsets name strings that end in it.
        unsafe { CStr::from_ptr((self.strings + offset) as *const _) }
    }

    /// The address of a defined, exported function (STT_FUNC: not an ifunc).
    pub fn symbol(&self, name: &CStr) -> Option<usize> {
        if self.hash == 0 {
            return None;
        }
        let wanted = name
            .to_bytes()
            .iter()
            .fold(5381u32, |h, &b| h.wrapping_mul(33).wrapping_add(b.into()));
        // SAFETY: the table is laid out as the loader reads it.
        unsafe {
            let [buckets, first, words, _]: [u32; 4] = read(self.hash);
            let table = self.hash + 16 + 8 * words as usize;
            let chain = table + 4 * buckets as usize;
            if buckets == 0 {
                return None;
            }
            let mut index: u32 = read(table + 4 * (wanted % buckets) as usize);
            if index < first {
                return None;
            }
            loop {
                let hash: u32 = read(chain + 4 * (index - first) as usize);
                if hash | 1 == wanted | 1 {
                    let symbol: libc::Elf64_Sym = read(self.symbols + 24 * index as usize);
                    if symbol.st_info & 15 == 2
                        && symbol.st_shndx != 0
                        && self.name(symbol.st_name as usize) == name
                    {
                        return Some(self.bias + symbol.st_value as usize);
                    }
                }
                if hash & 1 != 0 {
                    return None;
                }
                index += 1;
            }
        }
    }
}

/// The description of the note `GNU`/`NT_GNU_BUILD_ID` among `notes`.
pub fn build_id(mut notes: &[u8]) -> Option<&[u8]> {
    const NT_GNU_BUILD_ID: u32 = 3;
    const HEADER: usize = 12;
    loop {
        let word = |at: usize| {
            let bytes = notes.get(at..at + 4)?.try_into().ok()?;
            Some(u32::from_le_bytes(bytes))
        };
        let (name, description, kind) = (word(0)? as usize, word(4)? as usize, word(8)?);
        let start = HEADER + name.next_multiple_of(4);
        if kind == NT_GNU_BUILD_ID && notes.get(HEADER..HEADER + name)? == b"GNU\0" {
            return notes.get(start..start + description);
        }
        notes = notes.get(start + description.next_multiple_of(4)..)?;
    }
}

/// The program headers of a 64-bit little-endian file.
pub fn program_headers(file: &[u8]) -> Option<Vec<libc::Elf64_Phdr>> {
    if file.len() < 64 || file[..6] != [0x7f, b'E', b'L', b'F', 2, 1] {
        return None;
    }
    // SAFETY: the header's 64 bytes are there.
    let header: libc::Elf64_Ehdr = unsafe { read(file.as_ptr() as usize) };
    let size = core::mem::size_of::<libc::Elf64_Phdr>();
    (0..usize::from(header.e_phnum))
        .map(|index| {
            let at = (header.e_phoff as usize).checked_add(index * size)?;
            let bytes = file.get(at..at.checked_add(size)?)?;
            // SAFETY: the slice has the header's size.
            Some(unsafe { read(bytes.as_ptr() as usize) })
        })
        .collect()
}

/// The memory image of a file's PT_LOADs, from virtual address 0 on.
pub fn lay_out(file: &[u8], headers: &[libc::Elf64_Phdr]) -> Option<Vec<u8>> {
    let loads = || headers.iter().filter(|h| h.p_type == libc::PT_LOAD);
    let size = loads().map(|h| h.p_vaddr + h.p_memsz).max()?;
    let mut image = vec![0u8; usize::try_from(size).ok().filter(|&s| s < 1 << 30)?];
    for load in loads() {
        let (from, to, len) = (
            load.p_offset as usize,
            load.p_vaddr as usize,
            load.p_filesz as usize,
        );
        image
            .get_mut(to..to.checked_add(len)?)?
            .copy_from_slice(file.get(from..from.checked_add(len)?)?);
    }
    Some(image)
}
