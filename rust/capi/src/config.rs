//! The environment of the process, read once at start (names and meanings: spec/environment.tbl).
use super::bypass::Lists;
use super::mounts::{self, Asked};
use std::ffi::{c_char, CStr, CString};
use vfs::dcache::Limits;
use vfs::inherit::Kept;

/// What the variables say.
#[derive(Default, Debug)]
pub struct Config {
    /// The mounts of the variables.
    pub asked: Asked,
    /// `PIL4DFS_CONFIG`: the file of further ones.
    pub file: Option<CString>,
    /// `D_IL_REPORT` is on.
    pub report: bool,
    /// `PIL4DFS_REPORT_DIR`, an absolute path.
    pub report_dir: Option<CString>,
    /// `PIL4DFS_TRACE`, an absolute path.
    pub trace: Option<CString>,
    /// Which programs are left to dfuse where it serves the mount.
    pub programs: Lists,
    /// `D_IL_COMPATIBLE`: all are.
    pub compatible: bool,
    /// `PIL4DFS_HOOK=off`.
    pub hook_off: bool,
    /// `PIL4DFS_LOG`.
    pub log: Option<String>,
    /// `PIL4DFS_FD=high`.
    pub high_numbers: bool,
    /// `PIL4DFS_READDIR=names`.
    pub names_only: bool,
    /// `PIL4DFS_RUNDIR`.
    pub rundir: Option<CString>,
    /// `PIL4DFS_DAOS_DIR`.
    pub daos_dir: Option<CString>,
    /// `PIL4DFS_MMAP_LIMIT`, bytes.
    pub mmap_limit: Option<u64>,
    /// `D_IL_DCACHE_*`.
    pub dcache: Limits,
    /// `D_IL_NO_DCACHE_BASH`: shells have no dcache.
    pub no_dcache_in_shells: bool,
}

extern "C" {
    static environ: *const *const c_char;
}

/// Every `NAME=value` of this process's environment, as bytes (UTF-8 is not required of paths).
fn entries() -> impl Iterator<Item = &'static CStr> {
    // SAFETY: environ is the process's environment; nobody changes it while the constructor runs.
    let mut next = unsafe { environ };
    std::iter::from_fn(move || {
        if next.is_null() {
            return None;
        }
        // SAFETY: the array ends with a null pointer, which is not passed; its entries are strings.
        unsafe {
            let text = (*next).as_ref()?;
            next = next.add(1);
            Some(CStr::from_ptr(text))
        }
    })
}

/// What begins the names of variables read here.
const OURS: [&[u8]; 3] = [b"D_IL_", b"DAOS_", b"PIL4DFS_"];

fn is_ours(entry: &CStr) -> bool {
    OURS.iter()
        .any(|prefix| entry.to_bytes().starts_with(prefix))
}

/// Every `NAME=value` that is not for us.
pub fn others() -> impl Iterator<Item = &'static CStr> {
    entries().filter(|entry| !is_ours(entry))
}

/// The value of a variable of this process.
pub fn variable(name: &str) -> Option<CString> {
    entries().find_map(|entry| value(entry, name))
}

/// The value in `NAME=value`, if that is the name.
fn value(entry: &CStr, name: &str) -> Option<CString> {
    let rest = entry.to_bytes().strip_prefix(name.as_bytes())?;
    CString::new(rest.strip_prefix(b"=")?).ok()
}

/// What programs started from here should find in their environment even when it was stripped: the
/// preload (if that is how the library came here) and the settings of DAOS and of the library.
pub fn kept() -> Kept {
    const SETTINGS: [&str; 13] = [
        "D_IL_",
        "DAOS_POOL=",
        "DAOS_CONTAINER=",
        "DAOS_MOUNT_POINT=",
        "DAOS_AGENT_DRPC_DIR=",
        "PIL4DFS_",
        "D_LOG_",
        "DD_",
        "D_INTERFACE=",
        "D_DOMAIN=",
        "D_PROVIDER=",
        "D_POLL_TIMEOUT=",
        "CRT_",
    ];
    let wanted = |entry: &&CStr| {
        let bytes = entry.to_bytes();
        SETTINGS.iter().any(|s| bytes.starts_with(s.as_bytes()))
            && !bytes.starts_with(b"PIL4DFS_EXEC")
    };
    let preload = variable("LD_PRELOAD").unwrap_or_default();
    let library = preload
        .to_bytes()
        .split(|b| b": ".contains(b))
        .find(|path| path.windows(13).any(|w| w == b"libpil4dfs.so"))
        .and_then(|path| CString::new(path).ok());
    Kept {
        library,
        settings: entries().filter(wanted).map(CStr::to_owned).collect(),
        leave: variable("PIL4DFS_EXEC_ENV").is_some_and(|v| v.as_bytes() == b"leave"),
    }
}

impl Config {
    /// Reads the process's environment, once: most have nothing for us.
    pub fn from_environment() -> Config {
        let entries: Vec<&CStr> = entries().filter(|entry| is_ours(entry)).collect();
        Config::read(&|name| entries.iter().find_map(|entry| value(entry, name)))
    }

    /// Reads an environment through `get`.
    pub fn read(get: &dyn Fn(&str) -> Option<CString>) -> Config {
        let text = |name: &str| get(name).and_then(|v| v.into_string().ok());
        let is = |name: &str, value: &str| text(name).as_deref() == Some(value);
        let on = |name: &str| is_on(text(name).as_deref());
        let number = |name: &str| text(name).and_then(|v| v.trim().parse::<u64>().ok());
        let usual = Limits::default();
        Config {
            asked: mounts::by_variables(get),
            file: get("PIL4DFS_CONFIG").filter(|v| !v.is_empty()),
            report: is_on(text("D_IL_REPORT").as_deref()),
            trace: get("PIL4DFS_TRACE").filter(|v| v.to_bytes().starts_with(b"/")),
            report_dir: get("PIL4DFS_REPORT_DIR").filter(|v| v.to_bytes().starts_with(b"/")),
            programs: Lists {
                none: is("D_IL_NO_BYPASS", "1"),
                left: text("D_IL_BYPASS_LIST").unwrap_or_default(),
                only: text("D_IL_INTERCEPT_LIST").unwrap_or_default(),
            },
            compatible: on("D_IL_COMPATIBLE"),
            hook_off: is("PIL4DFS_HOOK", "off"),
            log: text("PIL4DFS_LOG"),
            high_numbers: is("PIL4DFS_FD", "high"),
            names_only: is("PIL4DFS_READDIR", "names"),
            rundir: get("PIL4DFS_RUNDIR").filter(|v| !v.is_empty()),
            daos_dir: get("PIL4DFS_DAOS_DIR").filter(|v| !v.is_empty()),
            mmap_limit: text("PIL4DFS_MMAP_LIMIT").and_then(|v| v.parse().ok()),
            dcache: Limits {
                life_ms: number("D_IL_DCACHE_REC_TIMEOUT")
                    .map_or(usual.life_ms, |s| s.saturating_mul(1000)),
                size_bits: number("D_IL_DCACHE_SIZE_BITS")
                    .map_or(usual.size_bits, |bits| bits.clamp(6, 24) as u32),
                sweep_ms: number("D_IL_DCACHE_GC_PERIOD")
                    .map_or(usual.sweep_ms, |s| s.saturating_mul(1000)),
                sweep_most: number("D_IL_DCACHE_GC_RECLAIM_MAX")
                    .filter(|n| *n > 0)
                    .map_or(usual.sweep_most, |n| n as usize),
            },
            no_dcache_in_shells: text("D_IL_NO_DCACHE_BASH").is_none() || on("D_IL_NO_DCACHE_BASH"),
        }
    }
}

/// A switch: anything but 0, false and nothing.
fn is_on(value: Option<&str>) -> bool {
    !matches!(value, None | Some("0" | "false" | ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(pairs: &[(&str, &str)]) -> Config {
        Config::read(&|name| {
            let value = pairs.iter().find(|(n, _)| *n == name)?.1;
            Some(CString::new(value).unwrap())
        })
    }

    #[test]
    fn the_dcache_has_upstreams_variables() {
        let usual = config(&[]);
        assert_eq!(usual.dcache, Limits::default());
        assert_eq!(usual.dcache.life_ms, 60_000);
        assert!(usual.no_dcache_in_shells && !usual.compatible);
        let set = config(&[
            ("D_IL_DCACHE_REC_TIMEOUT", "0"),
            ("D_IL_DCACHE_SIZE_BITS", "10"),
            ("D_IL_DCACHE_GC_PERIOD", "7"),
            ("D_IL_DCACHE_GC_RECLAIM_MAX", "0"),
            ("D_IL_NO_DCACHE_BASH", "0"),
            ("D_IL_COMPATIBLE", "1"),
        ]);
        let wanted = Limits {
            life_ms: 0,
            size_bits: 10,
            sweep_ms: 7_000,
            sweep_most: 1_000, // 0 is refused
        };
        assert_eq!(set.dcache, wanted);
        assert!(!set.no_dcache_in_shells && set.compatible);
        let absurd = config(&[
            ("D_IL_DCACHE_REC_TIMEOUT", "-7x"),
            ("D_IL_DCACHE_SIZE_BITS", "99"),
        ]);
        assert_eq!(absurd.dcache.life_ms, 60_000);
        assert_eq!(absurd.dcache.size_bits, 24);
    }

    #[test]
    fn the_report_is_on_for_anything_but_no() {
        assert!(!is_on(None) && !is_on(Some("0")) && !is_on(Some("false")));
        assert!(is_on(Some("1")) && is_on(Some("yes")) && is_on(Some("-1")));
    }
}
