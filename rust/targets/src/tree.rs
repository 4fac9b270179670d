//! Whole trees, by whoever makes the calls: looked at, and removed.
use crate::world::*;
use std::collections::BTreeMap;

/// Makes a call on one of the two sides.
pub type Caller<'a> = &'a dyn Fn(Call, [i64; 6]) -> i64;

/// One entry of a directory.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Dirent {
    /// Its name.
    pub name: String,
    /// `d_type`
    pub kind: u8,
    /// `d_ino`
    pub ino: u64,
    /// `d_off`
    pub next: i64,
}

/// What one buffer of getdents64 holds (with `old` set: of getdents).
pub fn dirents(buf: &[u8], old: bool) -> Vec<Dirent> {
    let (mut entries, mut at) = (Vec::new(), 0);
    while at < buf.len() {
        let len = usize::from(u16::from_ne_bytes([buf[at + 16], buf[at + 17]]));
        let entry = &buf[at..at + len];
        let name = &entry[if old { 18 } else { 19 }..];
        let end = name.iter().position(|&b| b == 0).expect("a NUL");
        let word = |at: usize| <[u8; 8]>::try_from(&entry[at..at + 8]).expect("eight bytes");
        entries.push(Dirent {
            name: String::from_utf8_lossy(&name[..end]).into_owned(),
            kind: if old { entry[len - 1] } else { entry[18] },
            ino: u64::from_ne_bytes(word(0)),
            next: i64::from_ne_bytes(word(8)),
        });
        at += len;
    }
    entries
}

/// The entries of a directory but "." and "..", or the answer of its open.
pub fn list(call: Caller, dir: &str) -> Result<Vec<Dirent>, i64> {
    let at = path(dir);
    let flags = libc::O_RDONLY | libc::O_DIRECTORY | libc::O_NOFOLLOW;
    let fd = call(openat, [CWD, arg(&at), flags.into(), 0, 0, 0]);
    if fd < 0 {
        return Err(fd);
    }
    let (mut all, mut buf) = (Vec::new(), vec![0u8; 1 << 15]);
    loop {
        let n = call(
            getdents64,
            [fd, buf.as_mut_ptr() as i64, buf.len() as i64, 0, 0, 0],
        );
        assert!(n >= 0, "getdents64 of {dir}: {n}");
        if n == 0 {
            break;
        }
        all.extend(dirents(&buf[..n as usize], false));
    }
    call(close, [fd, 0, 0, 0, 0, 0]);
    all.retain(|e| e.name != "." && e.name != "..");
    Ok(all)
}

/// Everything below `base` and `below` by its path from `base` on: type, mode and, of a link, the text with `base` as `^`.
pub fn tree(call: Caller, base: &str, below: &str) -> BTreeMap<String, (u32, String)> {
    let (mut seen, mut todo) = (BTreeMap::new(), vec![below.to_string()]);
    while let Some(dir) = todo.pop() {
        let entries = match list(call, &format!("{base}{dir}")) {
            Ok(entries) => entries,
            Err(answer) => {
                seen.insert(format!("{dir}/"), (answer as u32, String::new()));
                continue;
            }
        };
        for entry in entries {
            let below = format!("{dir}/{}", entry.name);
            let (at, mut st) = (path(&format!("{base}{below}")), empty_stat());
            let nofollow = libc::AT_SYMLINK_NOFOLLOW.into();
            let answer = call(statat, [CWD, arg(&at), &raw mut st as i64, nofollow, 0, 0]);
            let mode = if answer < 0 {
                answer as u32
            } else {
                st.st_mode
            };
            let mut text = vec![0u8; 4096];
            let n = call(
                readlinkat,
                [CWD, arg(&at), text.as_mut_ptr() as i64, 4096, 0, 0],
            );
            text.truncate(n.max(0) as usize);
            let text = String::from_utf8_lossy(&text).replace(base, "^");
            seen.insert(below.clone(), (mode, text));
            if entry.kind == libc::DT_DIR {
                todo.push(below);
            }
        }
    }
    seen
}

/// Removes everything below `base` but the paths (from `base` on) in `keep`.
pub fn clear(call: Caller, base: &str, below: &str, keep: &[&str]) {
    let dir = path(&format!("{base}{below}"));
    call(fchmodat2, [CWD, arg(&dir), 0o755, 0, 0, 0]);
    for entry in list(call, &format!("{base}{below}")).unwrap_or_default() {
        let name = format!("{below}/{}", entry.name);
        let flags = match entry.kind {
            libc::DT_DIR => {
                clear(call, base, &name, keep);
                libc::AT_REMOVEDIR
            }
            _ => 0,
        };
        if !keep.contains(&name.as_str()) {
            let at = path(&format!("{base}{name}"));
            let answer = call(unlinkat, [CWD, arg(&at), flags.into(), 0, 0, 0]);
            assert_eq!(answer, 0, "removing {at:?}");
        }
    }
}
