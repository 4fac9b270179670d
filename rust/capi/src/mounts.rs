//! The mounts that are asked for: by the three variables, by a list in one variable, and by a file.
//! The file is read with the kernel's calls, once, at start.
use conf::{mount_point, Source, WRONG_POINT};
use std::ffi::{CStr, CString};
use vfs::mount::{self, ExplicitMount};
use vfs::ownfd::OwnFd;
use vfs::Errno;

/// More than any list of mounts is.
const FILE_MAX: usize = 16 << 20;

/// What the environment asks for.
#[derive(Default, Debug)]
pub struct Asked {
    /// Mounts of `PIL4DFS_MOUNTS`, then the one of `D_IL_*`, else of `DAOS_*`: of two at one point
    /// the last counts.
    pub mounts: Vec<ExplicitMount>,
    /// A sentence about variables of which no mount is made; printed once.
    pub complaint: Option<String>,
}

/// What an environment, read through `get`, asks for.
pub fn by_variables(get: &dyn Fn(&str) -> Option<CString>) -> Asked {
    let mut asked = Asked::default();
    let mut add = |found: Result<Vec<ExplicitMount>, String>| match found {
        Ok(mounts) => asked.mounts.extend(mounts),
        Err(line) => asked.complaint = Some(line),
    };
    if let Some(list) = get("PIL4DFS_MOUNTS") {
        add(by_list(&list));
    }
    add(by_names(get));
    asked
}

fn by_list(list: &CStr) -> Result<Vec<ExplicitMount>, String> {
    let list = list.to_string_lossy();
    match conf::parse_list(&list) {
        Ok(mounts) => Ok(mounts.into_iter().filter_map(explicit).collect()),
        Err(what) => Err(format!("PIL4DFS_MOUNTS: {what}; no mount is made of it")),
    }
}

/// `D_IL_*` half set is worth a line; the older `DAOS_*` names are common in job scripts for other
/// purposes and count only when all three are there.
fn by_names(get: &dyn Fn(&str) -> Option<CString>) -> Result<Vec<ExplicitMount>, String> {
    const NEW: [&str; 3] = ["D_IL_MOUNT_POINT", "D_IL_POOL", "D_IL_CONTAINER"];
    const OLD: [&str; 3] = ["DAOS_MOUNT_POINT", "DAOS_POOL", "DAOS_CONTAINER"];
    let all = |names: [&str; 3]| names.map(|n| get(n).filter(|v| !v.is_empty()));
    let (names, set) = match all(NEW) {
        [None, None, None] => (OLD, all(OLD)),
        set => (NEW, set),
    };
    let missing = set.iter().position(Option::is_none);
    match (set, missing) {
        ([Some(point), Some(pool), Some(container)], _) => match mount_point(point.to_bytes()) {
            Some(clean) => {
                let point = CString::new(clean).unwrap_or_default();
                Ok(vec![ExplicitMount::named(&point, &pool, &container)])
            }
            None => Err(format!(
                "{}={} {WRONG_POINT}: no mount is made of it",
                names[0],
                point.to_string_lossy()
            )),
        },
        (_, Some(missing)) if names == NEW => Err(format!(
            "{}, {} and {} must be set together: {} is missing, so no mount is made of them",
            NEW[0], NEW[1], NEW[2], NEW[missing]
        )),
        _ => Ok(Vec::new()),
    }
}

/// The mounts of the file of `PIL4DFS_CONFIG`, or a sentence that says what is wrong with it.
pub fn by_file(path: &CStr) -> Result<Vec<ExplicitMount>, String> {
    let shown = path.to_string_lossy();
    if !path.to_bytes().starts_with(b"/") {
        return Err(format!("PIL4DFS_CONFIG={shown} must be an absolute path"));
    }
    let text = read(path).map_err(|why| format!("configuration file {shown}: {why}"))?;
    let mounts = conf::parse(&text).map_err(|wrong| format!("{shown}, {wrong}"))?;
    Ok(mounts.into_iter().filter_map(explicit).collect())
}

fn read(path: &CStr) -> Result<Vec<u8>, String> {
    let cannot = |e: Errno| format!("cannot be read ({e:?})");
    let flags = libc::O_RDONLY | libc::O_NONBLOCK | libc::O_NOCTTY;
    let file = OwnFd::open(libc::AT_FDCWD, path, flags, 0).map_err(cannot)?;
    let stat = file.stat().map_err(cannot)?;
    if stat.st_mode & libc::S_IFMT != libc::S_IFREG {
        return Err("is no regular file".into());
    }
    let len = usize::try_from(stat.st_size).unwrap_or(usize::MAX);
    if len > FILE_MAX {
        return Err(format!("is larger than {FILE_MAX} bytes"));
    }
    let mut text = vec![0; len];
    let n = file.read_at(&mut text, 0).map_err(cannot)?;
    text.truncate(n);
    Ok(text)
}

fn explicit(asked: conf::Mount) -> Option<ExplicitMount> {
    let text = |s: String| CString::new(s).ok();
    Some(ExplicitMount {
        point: text(asked.point)?,
        source: match asked.source {
            Source::Url(url) => mount::Source::Named {
                pool: text(url.pool)?,
                container: text(url.container)?,
                below: text(url.below)?,
            },
            Source::EntryPoint => mount::Source::EntryPoint,
        },
        read_only: asked.read_only,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(pairs: &[(&str, &str)]) -> Asked {
        by_variables(&|name| {
            let value = pairs.iter().find(|(n, _)| *n == name)?.1;
            Some(CString::new(value).unwrap())
        })
    }

    #[test]
    fn a_mount_needs_all_three_variables() {
        let full = asked(&[
            ("D_IL_MOUNT_POINT", "//dfs/./x/"),
            ("D_IL_POOL", "p"),
            ("D_IL_CONTAINER", "c"),
        ]);
        assert_eq!(full.mounts[0].point.to_bytes(), b"/dfs/x");
        let half = asked(&[("D_IL_MOUNT_POINT", "/dfs"), ("D_IL_CONTAINER", "c")]);
        assert!(half.mounts.is_empty() && half.complaint.unwrap().contains("D_IL_POOL is missing"));
        let old = asked(&[("DAOS_MOUNT_POINT", "/dfs"), ("DAOS_POOL", "p")]);
        assert!(old.mounts.is_empty() && old.complaint.is_none());
        let old = asked(&[
            ("DAOS_MOUNT_POINT", "/dfs"),
            ("DAOS_POOL", "p"),
            ("DAOS_CONTAINER", "c"),
        ]);
        assert_eq!(old.mounts.len(), 1);
    }

    #[test]
    fn mount_points_that_cannot_be() {
        for bad in ["dfs", "/", "/a/../b", "."] {
            let a = asked(&[
                ("D_IL_MOUNT_POINT", bad),
                ("D_IL_POOL", "p"),
                ("D_IL_CONTAINER", "c"),
            ]);
            assert!(a.mounts.is_empty() && a.complaint.is_some(), "{bad}");
        }
    }

    #[test]
    fn lists_and_names_come_together() {
        let both = asked(&[
            ("PIL4DFS_MOUNTS", "/a=daos://p/c/d /b=daos://p/e"),
            ("D_IL_MOUNT_POINT", "/dfs"),
            ("D_IL_POOL", "p"),
            ("D_IL_CONTAINER", "c"),
        ]);
        let points: Vec<_> = both.mounts.iter().map(|m| m.point.to_bytes()).collect();
        assert_eq!(points, [&b"/a"[..], b"/b", b"/dfs"]);
        let bad = asked(&[("PIL4DFS_MOUNTS", "/a=/b")]);
        assert!(bad.mounts.is_empty() && bad.complaint.unwrap().starts_with("PIL4DFS_MOUNTS: "));
    }

    #[test]
    fn files_are_read_or_refused() {
        let path = format!("/tmp/pil4dfs-test-conf-{}", std::process::id());
        let file = CString::new(path.as_str()).unwrap();
        std::fs::write(&path, "[[mount]]\npoint = '/a'\nsource = 'daos://p/c'\n").unwrap();
        assert_eq!(by_file(&file).unwrap().len(), 1);
        std::fs::write(&path, "[[mount]]\npoint = '/a\n").unwrap();
        let said = by_file(&file).unwrap_err();
        assert!(said.contains(&path) && said.contains("line 2: "), "{said}");
        std::fs::remove_file(&path).unwrap();
        assert!(by_file(&file).unwrap_err().contains("ENOENT"));
        assert!(by_file(c"/dev/zero").unwrap_err().contains("regular"));
        assert!(by_file(c"x").unwrap_err().contains("absolute"));
    }
}
