//! The call sites of the libc and ld.so at hand, kept from one program start to the next: finding
//! them takes longer than everything else the library does at start. A file of the user's run-time
//! directory, named after the build ids of the objects and of this library. It is believed as far as
//! it goes: the owner is checked here, and what stands in a window before every patch.
use funchook_sys::module::{Module, ModuleId};
use funchook_sys::sites::{Kind, Site};
use std::ffi::{CStr, CString};
use std::ops::Range;
use vfs::{call, Errno};

const MAGIC: &[u8; 8] = b"pil4site";
/// Magic, checksum of what follows, length of the key.
const HEADER: usize = 24;
/// One site: module, kind, window's length and instructions; number, window, call; bytes.
const RECORD: usize = 16 + Site::LONGEST;
/// More than any libc has.
const LARGEST: usize = HEADER + 1024 + 2048 * RECORD;

/// Which sites a file is about, and where it lies.
pub struct Cache {
    key: Vec<u8>,
    directory: CString,
    path: CString,
}

impl Cache {
    /// The place for the sites of `modules`, found by the code that lies at `own`. `None` when one
    /// of the objects has no build id.
    pub fn of(modules: &[Module], own: usize, rundir: Option<CString>) -> Option<Cache> {
        let mut key = Vec::with_capacity(128);
        key.extend_from_slice(Module::holding(own)?.build_id()?);
        for module in modules {
            key.push(letter(module.id));
            key.extend_from_slice(module.build_id()?);
        }
        let directory = rundir.or_else(default_directory)?;
        let name = format!("/sites-{:016x}", checksum(&key));
        let path = CString::new([directory.to_bytes(), name.as_bytes()].concat()).ok()?;
        Some(Cache {
            key,
            directory,
            path,
        })
    }

    /// The sites, if they were found before.
    pub fn load(&self, modules: &[Module]) -> Option<Vec<Site>> {
        let bytes = read(&self.path).ok()?;
        let records = opened(&bytes, &self.key)?;
        records
            .chunks(RECORD)
            .map(|record| decode(record, modules))
            .collect()
    }

    /// Keeps the sites for the next program. Nothing is said if that fails: it is only slower.
    pub fn store(&self, modules: &[Module], sites: &[Site]) {
        let mut body = Vec::with_capacity(HEADER + self.key.len() + sites.len() * RECORD);
        body.extend_from_slice(&self.key);
        for site in sites {
            match encode(site, modules) {
                Some(record) => body.extend_from_slice(&record),
                None => return,
            }
        }
        let mut bytes = MAGIC.to_vec();
        bytes.extend_from_slice(&checksum(&body).to_le_bytes());
        bytes.extend_from_slice(&(self.key.len() as u64).to_le_bytes());
        bytes.extend_from_slice(&body);
        let _ = self.write(&bytes);
    }

    /// Writes the file under a name of this process's own, then moves it into place.
    fn write(&self, bytes: &[u8]) -> Result<(), Errno> {
        prepare(&self.directory)?;
        // SAFETY: no memory involved.
        let pid = unsafe { call!(SYS_getpid) }?;
        let suffix = format!(".{pid}");
        let new = [self.path.to_bytes(), suffix.as_bytes()].concat();
        let new = CString::new(new).map_err(|_| Errno::EINVAL)?;
        let flags = libc::O_WRONLY | libc::O_CREAT | libc::O_EXCL | libc::O_CLOEXEC;
        // SAFETY: a string.
        let fd = unsafe { call!(SYS_openat, libc::AT_FDCWD, new.as_ptr(), flags, 0o600) }?;
        // SAFETY: the slice is readable; the descriptor is ours.
        let written = unsafe {
            let written = call!(SYS_write, fd, bytes.as_ptr(), bytes.len());
            let _ = call!(SYS_close, fd);
            written
        };
        let whole = written == Ok(bytes.len() as i64);
        // SAFETY: two strings.
        unsafe {
            match whole {
                true => call!(
                    SYS_renameat,
                    libc::AT_FDCWD,
                    new.as_ptr(),
                    libc::AT_FDCWD,
                    self.path.as_ptr()
                ),
                false => call!(SYS_unlinkat, libc::AT_FDCWD, new.as_ptr(), 0),
            }
        }
        .map(|_| ())
    }
}

/// Whether the modules' text is still that of their files: sites that another library has changed
/// before us are missing in what a scan finds, and must not be missed for ever.
pub fn untouched(modules: &[Module]) -> bool {
    let flags = libc::O_RDONLY | libc::O_CLOEXEC;
    // SAFETY: a string.
    let Ok(fd) = (unsafe {
        call!(
            SYS_openat,
            libc::AT_FDCWD,
            c"/proc/self/pagemap".as_ptr(),
            flags
        )
    }) else {
        return false;
    };
    let untouched = modules
        .iter()
        .flat_map(|m| &m.text)
        .all(|text| of_file(fd, text));
    // SAFETY: the descriptor is ours.
    let _ = unsafe { call!(SYS_close, fd) };
    untouched
}

/// Whether no page of the range is a private copy (Documentation/admin-guide/mm/pagemap.rst).
fn of_file(pagemap: i64, text: &Range<usize>) -> bool {
    const PRESENT: u64 = 1 << 63;
    const SWAPPED: u64 = 1 << 62;
    const FILE: u64 = 1 << 61;
    // SAFETY: plain numbers.
    let page = unsafe { libc::getauxval(libc::AT_PAGESZ) } as usize;
    let (first, last) = (text.start / page.max(1), text.end.div_ceil(page.max(1)));
    let mut entries = vec![0u64; last - first];
    let size = entries.len() * 8;
    // SAFETY: the buffer has so many bytes.
    let read = unsafe { call!(SYS_pread64, pagemap, entries.as_mut_ptr(), size, first * 8) };
    let own = |entry: &&u64| **entry & SWAPPED != 0 || **entry & (PRESENT | FILE) == PRESENT;
    read == Ok(size as i64) && !entries.iter().any(|entry| own(&entry))
}

/// As `vfs::rundir` chooses it, but without a word when it cannot be used.
fn default_directory() -> Option<CString> {
    CString::new(format!("/dev/shm/pil4dfs-{}", euid().ok()?)).ok()
}

fn euid() -> Result<u32, Errno> {
    // SAFETY: no memory involved.
    unsafe { call!(SYS_geteuid) }.map(|uid| uid as u32)
}

/// Makes the directory; `EACCES` if it is somebody else's, or open to others.
fn prepare(directory: &CStr) -> Result<(), Errno> {
    let mut st = std::mem::MaybeUninit::<libc::stat>::zeroed();
    // SAFETY: strings, and a buffer that is a struct stat.
    let st = unsafe {
        let _ = call!(SYS_mkdirat, libc::AT_FDCWD, directory.as_ptr(), 0o700);
        call!(
            SYS_newfstatat,
            libc::AT_FDCWD,
            directory.as_ptr(),
            st.as_mut_ptr(),
            libc::AT_SYMLINK_NOFOLLOW
        )?;
        st.assume_init()
    };
    let private = st.st_mode & (libc::S_IFMT | 0o077) == libc::S_IFDIR;
    match private && st.st_uid == euid()? {
        true => Ok(()),
        false => Err(Errno::EACCES),
    }
}

/// The bytes of a regular file that belongs to this user, whom alone it can have been written by.
fn read(path: &CStr) -> Result<Vec<u8>, Errno> {
    let flags = libc::O_RDONLY | libc::O_CLOEXEC | libc::O_NOFOLLOW | libc::O_NONBLOCK;
    // SAFETY: a string.
    let fd = unsafe { call!(SYS_openat, libc::AT_FDCWD, path.as_ptr(), flags) }?;
    let bytes = read_open(fd);
    // SAFETY: the descriptor is ours.
    let _ = unsafe { call!(SYS_close, fd) };
    bytes
}

fn read_open(fd: i64) -> Result<Vec<u8>, Errno> {
    let mut st = std::mem::MaybeUninit::<libc::stat>::zeroed();
    // SAFETY: the buffer is a struct stat.
    let st = unsafe {
        call!(SYS_fstat, fd, st.as_mut_ptr())?;
        st.assume_init()
    };
    let regular = st.st_mode & (libc::S_IFMT | 0o022) == libc::S_IFREG;
    let size = usize::try_from(st.st_size).unwrap_or(usize::MAX);
    if !regular || size > LARGEST || st.st_uid != euid()? {
        return Err(Errno::EACCES);
    }
    let mut bytes: Vec<u8> = Vec::with_capacity(size);
    // SAFETY: the vector has room for as many.
    unsafe {
        let n = call!(SYS_read, fd, bytes.as_mut_ptr(), size)?;
        bytes.set_len(n as usize);
    }
    Ok(bytes)
}

/// The records of a whole file with this key.
fn opened<'a>(bytes: &'a [u8], key: &[u8]) -> Option<&'a [u8]> {
    let (header, body) = (bytes.get(..HEADER)?, bytes.get(HEADER..)?);
    let word = |at: usize| Some(u64::from_le_bytes(*header[at..].first_chunk()?));
    let fits =
        header.starts_with(MAGIC) && word(8)? == checksum(body) && word(16)? == key.len() as u64;
    let records = body.strip_prefix(key).filter(|_| fits)?;
    (!records.is_empty() && records.len() % RECORD == 0).then_some(records)
}

/// Eight bytes at a time, as FNV-1a does one: for torn and damaged files, not for forged ones.
fn checksum(bytes: &[u8]) -> u64 {
    let mut words = bytes.chunks_exact(8);
    let mix = |hash: u64, word: u64| {
        (hash ^ word)
            .wrapping_mul(0x0000_0100_0000_01b3)
            .rotate_left(29)
    };
    let hash = words.by_ref().fold(0xcbf2_9ce4_8422_2325, |hash, word| {
        mix(
            hash,
            word.first_chunk().map_or(0, |w| u64::from_le_bytes(*w)),
        )
    });
    let hash = words
        .remainder()
        .iter()
        .fold(hash, |hash, &byte| mix(hash, byte.into()));
    mix(hash, bytes.len() as u64)
}

fn letter(id: ModuleId) -> u8 {
    match id {
        ModuleId::Libc => b'c',
        ModuleId::Ld => b'l',
        ModuleId::Pthread => b'p',
        ModuleId::Other => b'o',
    }
}

const KINDS: [Kind; 5] = [
    Kind::Mov,
    Kind::Before,
    Kind::After,
    Kind::Dynamic,
    Kind::Call,
];

fn encode(site: &Site, modules: &[Module]) -> Option<[u8; RECORD]> {
    let module = modules.iter().find(|m| m.id == site.module)?;
    let kind = KINDS.iter().position(|&kind| kind == site.kind)?;
    let window = u32::try_from(site.addr.checked_sub(module.bias)?).ok()?;
    let behind = i16::try_from(site.syscall as i64 - site.addr as i64).ok()?;
    let mut record = [0; RECORD];
    record[..4].copy_from_slice(&[letter(site.module), kind as u8, site.window_len, site.insns]);
    record[4..8].copy_from_slice(&site.nr.unwrap_or(u32::MAX).to_le_bytes());
    record[8..12].copy_from_slice(&window.to_le_bytes());
    record[12..14].copy_from_slice(&behind.to_le_bytes());
    record[16..].copy_from_slice(&site.original);
    Some(record)
}

/// A site of a record, if it lies in the text of its module.
fn decode(record: &[u8], modules: &[Module]) -> Option<Site> {
    let record: &[u8; RECORD] = record.try_into().ok()?;
    let module = modules.iter().find(|m| letter(m.id) == record[0])?;
    let word = |at: usize| {
        u32::from_le_bytes([record[at], record[at + 1], record[at + 2], record[at + 3]])
    };
    let behind = i16::from_le_bytes([record[12], record[13]]);
    let addr = module.bias + word(8) as usize;
    let window_len = record[2];
    let mut original = [0; Site::LONGEST];
    original.copy_from_slice(&record[16..]);
    module.code(addr..addr + Site::LONGEST)?;
    (usize::from(window_len) <= Site::LONGEST).then_some(Site {
        module: module.id,
        addr,
        window_len,
        insns: record[3],
        syscall: addr.wrapping_add_signed(behind.into()),
        nr: Some(word(4)).filter(|&nr| nr != u32::MAX),
        kind: *KINDS.get(usize::from(record[1]))?,
        original,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use funchook_sys::sites;

    fn cache(name: &str) -> (Cache, Vec<Module>) {
        let modules = Module::of_process();
        let directory = format!("/tmp/pil4dfs-test-{}-{name}", euid().unwrap());
        let directory = Some(CString::new(directory).unwrap());
        let cache = Cache::of(&modules, cache as *const () as usize, directory);
        (cache.expect("objects have build ids"), modules)
    }

    fn same(a: &Site, b: &Site) -> bool {
        format!("{a:?}") == format!("{b:?}")
    }

    #[test]
    fn what_was_stored_is_loaded() {
        let (cache, modules) = cache("store");
        let found: Vec<_> = modules
            .iter()
            .flat_map(|m| sites::scan(m, &|_| true))
            .collect();
        cache.store(&modules, &found);
        let loaded = cache.load(&modules).expect("stored");
        assert!(loaded.len() == found.len() && loaded.iter().zip(&found).all(|(a, b)| same(a, b)));
        cache.store(&modules, &found[..9]);
        assert_eq!(cache.load(&modules).unwrap().len(), 9);
    }

    #[test]
    fn changed_text_is_noticed() {
        assert!(untouched(&Module::of_process()));
        let own = Module::holding(untouched as *const () as usize).unwrap();
        let place = std::fs::OpenOptions::new()
            .write(true)
            .open("/proc/self/mem")
            .unwrap();
        let first = own.text[0].start;
        let byte = own.code(first..first + 1).unwrap().to_vec();
        std::os::unix::fs::FileExt::write_at(&place, &byte, first as u64).unwrap();
        assert!(!untouched(&[own]));
    }

    #[test]
    fn damaged_files_and_other_objects_are_nothing() {
        let (cache, modules) = cache("damage");
        let found = sites::scan(&modules[0], &|_| true);
        cache.store(&modules, &found);
        let whole = read(&cache.path).unwrap();
        assert!(opened(&whole, &cache.key).is_some());
        assert!(opened(&whole, b"another").is_none());
        for at in (0..whole.len()).step_by(7) {
            let mut bytes = whole.clone();
            bytes[at] ^= 4;
            assert!(opened(&bytes, &cache.key).is_none(), "{at}");
            assert!(opened(&whole[..at], &cache.key).is_none());
        }
    }

    #[test]
    fn a_place_that_others_can_write_is_not_used() {
        let (cache, modules) = cache("open");
        cache.store(&modules, &sites::scan(&modules[0], &|_| true));
        assert!(cache.load(&modules).is_some());
        // SAFETY: two strings.
        unsafe {
            call!(SYS_fchmodat, libc::AT_FDCWD, cache.path.as_ptr(), 0o666).unwrap();
            assert!(cache.load(&modules).is_none());
            call!(
                SYS_fchmodat,
                libc::AT_FDCWD,
                cache.directory.as_ptr(),
                0o777
            )
            .unwrap();
            assert_eq!(prepare(&cache.directory), Err(Errno::EACCES));
            call!(
                SYS_fchmodat,
                libc::AT_FDCWD,
                cache.directory.as_ptr(),
                0o700
            )
            .unwrap();
            call!(SYS_unlinkat, libc::AT_FDCWD, cache.path.as_ptr(), 0).unwrap();
        }
    }
}
