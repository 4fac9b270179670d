//! The environment of the process, read once at start (names and meanings: spec/environment.tbl).
use std::ffi::{c_char, CStr, CString};
use std::path::{Component, Path};
use std::time::Duration;
use vfs::inherit::Kept;

/// A mount named by variables.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ExplicitMount {
    /// Absolute, normal: no "//", "/./", trailing slash.
    pub point: CString,
    /// Label or UUID.
    pub pool: CString,
    /// Label or UUID.
    pub container: CString,
}

/// What the variables say.
#[derive(Default, Debug)]
pub struct Config {
    /// The mount of `D_IL_*`, else of `DAOS_*`.
    pub mount: Option<ExplicitMount>,
    /// A sentence about variables that cannot be used; printed once.
    pub complaint: Option<String>,
    /// `D_IL_REPORT` is on.
    pub report: bool,
    /// `PIL4DFS_REPORT_DIR`, an absolute path.
    pub report_dir: Option<CString>,
    /// `PIL4DFS_TRACE`, an absolute path.
    pub trace: Option<CString>,
    /// `D_IL_BYPASS_LIST`.
    pub bypass_list: String,
    /// `D_IL_NO_BYPASS=1`.
    pub no_bypass: bool,
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
    /// `D_IL_DCACHE_REC_TIMEOUT`, seconds.
    pub dcache_timeout: Option<Duration>,
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
        let (mount, complaint) = explicit_mount(get);
        Config {
            mount,
            complaint,
            report: is_on(text("D_IL_REPORT").as_deref()),
            trace: get("PIL4DFS_TRACE").filter(|v| v.to_bytes().starts_with(b"/")),
            report_dir: get("PIL4DFS_REPORT_DIR").filter(|v| v.to_bytes().starts_with(b"/")),
            bypass_list: text("D_IL_BYPASS_LIST").unwrap_or_default(),
            no_bypass: is("D_IL_NO_BYPASS", "1"),
            hook_off: is("PIL4DFS_HOOK", "off"),
            log: text("PIL4DFS_LOG"),
            high_numbers: is("PIL4DFS_FD", "high"),
            names_only: is("PIL4DFS_READDIR", "names"),
            rundir: get("PIL4DFS_RUNDIR").filter(|v| !v.is_empty()),
            daos_dir: get("PIL4DFS_DAOS_DIR").filter(|v| !v.is_empty()),
            mmap_limit: text("PIL4DFS_MMAP_LIMIT").and_then(|v| v.parse().ok()),
            dcache_timeout: text("D_IL_DCACHE_REC_TIMEOUT")
                .and_then(|v| v.parse().ok())
                .map(Duration::from_secs),
        }
    }
}

/// `D_IL_REPORT`: anything but 0, false and nothing.
fn is_on(value: Option<&str>) -> bool {
    !matches!(value, None | Some("0" | "false" | ""))
}

/// The mount of the variables. `D_IL_*` half set is worth a line; the older `DAOS_*` names are common in job
/// scripts for other purposes and count only when all three are there.
fn explicit_mount(
    get: &dyn Fn(&str) -> Option<CString>,
) -> (Option<ExplicitMount>, Option<String>) {
    const NEW: [&str; 3] = ["D_IL_MOUNT_POINT", "D_IL_POOL", "D_IL_CONTAINER"];
    const OLD: [&str; 3] = ["DAOS_MOUNT_POINT", "DAOS_POOL", "DAOS_CONTAINER"];
    let all = |names: [&str; 3]| names.map(|n| get(n).filter(|v| !v.is_empty()));
    let set = all(NEW);
    if set.iter().any(Option::is_some) {
        if let Some(missing) = set.iter().position(Option::is_none) {
            let line = format!(
                "{}, {} and {} must be set together: {} is missing, so no mount is made of them",
                NEW[0], NEW[1], NEW[2], NEW[missing]
            );
            return (None, Some(line));
        }
        return build(NEW[0], set);
    }
    build(OLD[0], all(OLD))
}

fn build(
    name: &str,
    [point, pool, container]: [Option<CString>; 3],
) -> (Option<ExplicitMount>, Option<String>) {
    let (Some(point), Some(pool), Some(container)) = (point, pool, container) else {
        return (None, None);
    };
    match normal(&point) {
        Some(point) => (
            Some(ExplicitMount {
                point,
                pool,
                container,
            }),
            None,
        ),
        None => {
            let line = format!(
                "{name}={} must be an absolute path other than /, without \"..\": no mount is made of it",
                point.to_string_lossy()
            );
            (None, Some(line))
        }
    }
}

/// An absolute path without "//", "/./" and trailing slash; `None` for relative paths, "/" and paths with "..".
fn normal(path: &CStr) -> Option<CString> {
    use std::os::unix::ffi::OsStrExt;
    let path = Path::new(std::ffi::OsStr::from_bytes(path.to_bytes()));
    let mut out = Vec::new();
    let mut components = path.components();
    if components.next() != Some(Component::RootDir) {
        return None;
    }
    for component in components {
        let Component::Normal(name) = component else {
            return None;
        };
        out.push(b'/');
        out.extend_from_slice(name.as_bytes());
    }
    CString::new(out)
        .ok()
        .filter(|p| !p.is_empty() && p.as_bytes().len() < libc::PATH_MAX as usize)
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
    fn a_mount_needs_all_three_variables() {
        let full = config(&[
            ("D_IL_MOUNT_POINT", "//dfs/./x/"),
            ("D_IL_POOL", "p"),
            ("D_IL_CONTAINER", "c"),
        ]);
        assert_eq!(full.mount.unwrap().point.to_bytes(), b"/dfs/x");
        let half = config(&[("D_IL_MOUNT_POINT", "/dfs"), ("D_IL_CONTAINER", "c")]);
        assert!(half.mount.is_none() && half.complaint.unwrap().contains("D_IL_POOL is missing"));
        let old = config(&[("DAOS_MOUNT_POINT", "/dfs"), ("DAOS_POOL", "p")]);
        assert!(old.mount.is_none() && old.complaint.is_none());
        let old = config(&[
            ("DAOS_MOUNT_POINT", "/dfs"),
            ("DAOS_POOL", "p"),
            ("DAOS_CONTAINER", "c"),
        ]);
        assert!(old.mount.is_some());
    }

    #[test]
    fn the_report_is_on_for_anything_but_no() {
        assert!(!is_on(None) && !is_on(Some("0")) && !is_on(Some("false")));
        assert!(is_on(Some("1")) && is_on(Some("yes")) && is_on(Some("-1")));
    }

    #[test]
    fn mount_points_that_cannot_be() {
        for bad in ["dfs", "/", "/a/../b", "."] {
            let c = config(&[
                ("D_IL_MOUNT_POINT", bad),
                ("D_IL_POOL", "p"),
                ("D_IL_CONTAINER", "c"),
            ]);
            assert!(c.mount.is_none() && c.complaint.is_some(), "{bad}");
        }
    }
}
