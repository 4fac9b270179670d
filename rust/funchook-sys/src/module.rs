//! A loaded ELF object: its executable segments, its function ranges and its
//! exported symbols, found through the program headers alone (a stripped libc
//! has nothing else). Relies on dl_iterate_phdr(3) and on the `.eh_frame_hdr`
//! that every toolchain of the last twenty years emits.

use core::ffi::{c_int, c_void, CStr};
use core::ops::Range;

use crate::elf::{self, Dynamic};
use crate::unwind::Unwind;

/// Which object of the process a module is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ModuleId {
    /// libc.so.6
    Libc,
    /// The dynamic loader.
    Ld,
    /// libpthread.so.0, before glibc 2.34 a library of its own.
    Pthread,
    /// Something else the caller asked for.
    Other,
}

impl ModuleId {
    /// By the name an object gives itself (DT_SONAME).
    fn of(soname: &CStr) -> ModuleId {
        match soname.to_bytes() {
            b"libc.so.6" => ModuleId::Libc,
            b"libpthread.so.0" => ModuleId::Pthread,
            name if name.starts_with(b"ld-linux-") => ModuleId::Ld,
            _ => ModuleId::Other,
        }
    }
}

/// An object in memory. All addresses are those of this process; a module made
/// of a file image owns that memory.
pub struct Module {
    pub id: ModuleId,
    /// What is added to the file's virtual addresses.
    pub bias: usize,
    /// Executable PT_LOAD ranges.
    pub text: Vec<Range<usize>>,
    unwind: Unwind,
    dynamic: Dynamic,
    notes: Vec<Range<usize>>,
    _image: Option<Vec<u8>>,
}

impl Module {
    /// The modules of this process that hold libc's system calls: libc, the
    /// loader and, where it is separate, libpthread. Takes the loader's lock.
    pub fn of_process() -> Vec<Module> {
        let mut found = Vec::with_capacity(3);
        Module::each(&mut |module| {
            if module.id != ModuleId::Other {
                found.push(module);
            }
        });
        found
    }

    /// The loaded module whose text holds `address`.
    pub fn holding(address: usize) -> Option<Module> {
        let mut found = None;
        Module::each(&mut |module| {
            if module.text.iter().any(|text| text.contains(&address)) {
                found = Some(module);
            }
        });
        found
    }

    /// Calls `visit` with every loaded object that can be described.
    fn each(visit: &mut dyn FnMut(Module)) {
        unsafe extern "C" fn step(
            info: *mut libc::dl_phdr_info,
            _size: usize,
            data: *mut c_void,
        ) -> c_int {
            // SAFETY: `data` is the reference given to dl_iterate_phdr below.
            let visit = unsafe { &mut *data.cast::<&mut dyn FnMut(Module)>() };
            // SAFETY: the loader describes an object that stays mapped meanwhile.
            let module = unsafe {
                let info = &*info;
                let headers =
                    core::slice::from_raw_parts(info.dlpi_phdr, usize::from(info.dlpi_phnum));
                Module::describe(info.dlpi_addr as usize, headers, None)
            };
            if let Some(module) = module {
                visit(module);
            }
            0
        }
        let mut visit = visit;
        // SAFETY: `step` only runs during the call, while `visit` lives.
        unsafe { libc::dl_iterate_phdr(Some(step), (&raw mut visit).cast()) };
    }

    /// The module a shared object's file would become, laid out in memory of its own.
    pub fn of_image(file: &[u8]) -> Option<Module> {
        let headers = elf::program_headers(file)?;
        let image = elf::lay_out(file, &headers)?;
        let bias = image.as_ptr() as usize;
        // SAFETY: the image holds every segment at its address, and moves into the module.
        unsafe { Module::describe(bias, &headers, Some(image)) }
    }

    /// # Safety
    /// `headers` describe readable segments that outlive the module.
    unsafe fn describe(
        bias: usize,
        headers: &[libc::Elf64_Phdr],
        image: Option<Vec<u8>>,
    ) -> Option<Module> {
        let range = |header: &libc::Elf64_Phdr| {
            let start = bias.wrapping_add(header.p_vaddr as usize);
            start..start + header.p_memsz as usize
        };
        let find = |kind| headers.iter().find(|h| h.p_type == kind).map(range);
        let text: Vec<_> = headers
            .iter()
            .filter(|h| h.p_type == libc::PT_LOAD && h.p_flags & libc::PF_X != 0)
            .map(range)
            .collect();
        // SAFETY: both ranges lie in the segments the caller vouches for.
        let (unwind, dynamic) = unsafe {
            (
                Unwind::new(find(libc::PT_GNU_EH_FRAME)?)?,
                Dynamic::new(bias, find(libc::PT_DYNAMIC)?)?,
            )
        };
        Some(Module {
            id: ModuleId::of(dynamic.soname()),
            bias,
            text,
            unwind,
            dynamic,
            notes: headers
                .iter()
                .filter(|h| h.p_type == libc::PT_NOTE)
                .map(range)
                .collect(),
            _image: image,
        })
    }

    /// The bytes of `range`, which must lie in one executable segment.
    pub fn code(&self, range: Range<usize>) -> Option<&[u8]> {
        let inside = |text: &&Range<usize>| text.start <= range.start && range.end <= text.end;
        self.text.iter().find(inside)?;
        let len = range.end.checked_sub(range.start)?;
        // SAFETY: an executable segment of a loaded object is readable.
        Some(unsafe { core::slice::from_raw_parts(range.start as *const u8, len) })
    }

    /// The function that holds `address`, as its unwind entry describes it.
    /// Signal frames count as none: glibc's begin a byte early.
    pub fn function(&self, address: usize) -> Option<Range<usize>> {
        self.unwind.function(address)
    }

    /// All functions, in the order of their addresses.
    pub fn functions(&self) -> impl Iterator<Item = Range<usize>> + '_ {
        self.unwind.functions()
    }

    /// The linker's fingerprint of the object (`NT_GNU_BUILD_ID`).
    pub fn build_id(&self) -> Option<&[u8]> {
        self.notes.iter().find_map(|notes| {
            // SAFETY: a segment of the object, which stays mapped.
            let bytes =
                unsafe { core::slice::from_raw_parts(notes.start as *const u8, notes.len()) };
            elf::build_id(bytes)
        })
    }

    /// The address of an exported function.
    pub fn symbol(&self, name: &CStr) -> Option<usize> {
        self.dynamic.symbol(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_process_has_a_libc_and_a_loader() {
        let modules = Module::of_process();
        for id in [ModuleId::Libc, ModuleId::Ld] {
            let module = modules.iter().find(|m| m.id == id).expect("loaded");
            assert!(module.functions().count() > 100);
            assert!(!module.text.is_empty());
        }
    }

    #[test]
    fn symbols_and_functions_agree() {
        let modules = Module::of_process();
        let libc = modules.iter().find(|m| m.id == ModuleId::Libc).unwrap();
        for name in [c"syscall", c"read", c"openat", c"readdir"] {
            let symbol = libc.symbol(name).expect("exported");
            // SAFETY: dlsym with a C string.
            let linked = unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) };
            assert_eq!(symbol, linked as usize);
            assert_eq!(libc.function(symbol).unwrap().start, symbol);
            assert_eq!(libc.function(symbol + 1).unwrap().start, symbol);
        }
        assert_eq!(libc.symbol(c"no_such_function_here"), None);
        assert_eq!(libc.function(1), None);
    }

    #[test]
    fn a_file_image_is_the_same_module() {
        let modules = Module::of_process();
        let loaded = modules.iter().find(|m| m.id == ModuleId::Libc).unwrap();
        let Ok(file) = std::fs::read("/lib/x86_64-linux-gnu/libc.so.6") else {
            return;
        };
        let image = Module::of_image(&file).unwrap();
        assert_eq!(image.id, ModuleId::Libc);
        assert!(image
            .functions()
            .map(|f| f.start - image.bias)
            .eq(loaded.functions().map(|f| f.start - loaded.bias)));
    }

    #[test]
    fn fingerprints_are_told_apart() {
        let modules = Module::of_process();
        let id = |id| modules.iter().find(|m| m.id == id).unwrap().build_id();
        let (libc, loader) = (id(ModuleId::Libc).unwrap(), id(ModuleId::Ld).unwrap());
        assert!(libc.len() >= 8 && libc != loader);
    }

    #[test]
    fn nonsense_is_no_module() {
        assert!(Module::of_image(b"").is_none());
        assert!(Module::of_image(&[0x7f; 100]).is_none());
    }
}
