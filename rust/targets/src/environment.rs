//! Environments: what the variables of a process say, and what an exec makes of the environment it is
//! given. Settings are refused or sane; a new program finds everything the caller gave, in order, but
//! for the few variables that an exec changes, each of those once.
use std::ffi::{c_char, CStr, CString};
use vfs::inherit::environment::{build, value, Changes, MANIFEST, PRELOAD, SEARCH};
use vfs::inherit::scratch::Scratch;

/// The settings are the C edge's, which is a library of its own: its files are compiled here, too.
#[path = "../../capi/src/bypass.rs"]
#[allow(dead_code)]
mod bypass;
#[path = "../../capi/src/config.rs"]
#[allow(dead_code)]
mod config;
#[path = "../../capi/src/mounts.rs"]
#[allow(dead_code)]
mod mounts;

/// An environment that makes sense, one variable a line.
pub const VALID: &[u8] = b"PATH=/bin\nD_IL_MOUNT_POINT=//dfs/./x/\nD_IL_POOL=p\nD_IL_CONTAINER=c\nD_IL_REPORT=1\n\
PIL4DFS_FD=high\nPIL4DFS_MMAP_LIMIT=4096\nPIL4DFS_RUNDIR=/run/x\nPIL4DFS_REPORT_DIR=/tmp\nD_IL_DCACHE_REC_TIMEOUT=7\n\
DAOS_POOL=p\nPIL4DFS_EXEC=600\nLD_PRELOAD=/lib/a.so:b.so\nLD_LIBRARY_PATH=/lib:/dfs/lib\nPIL4DFS_EXEC_ENV=leave\nA\n=b\n";

/// Feeds the target.
pub fn environment(data: &[u8]) {
    let lines = data
        .split(|&b| b == b'\n')
        .filter_map(|line| CString::new(line).ok());
    let given: Vec<CString> = lines.collect();
    settings(&given);
    exec(&given);
}

fn settings(given: &[CString]) {
    let get = |name: &str| {
        let text = given
            .iter()
            .find_map(|s| s.to_bytes().strip_prefix(name.as_bytes()));
        CString::new(text?.strip_prefix(b"=")?).ok()
    };
    let config = config::Config::read(&get);
    for mount in config.asked.mounts {
        let point = mount.point.as_bytes();
        assert!(point.len() > 1 && point.len() < 4096 && point[0] == b'/');
        for part in point[1..].split(|&b| b == b'/') {
            assert!(!matches!(part, b"" | b"." | b".."), "{:?}", mount.point);
        }
        let vfs::mount::Source::Named {
            pool, container, ..
        } = &mount.source
        else {
            panic!("{mount:?}");
        };
        assert!(!pool.is_empty() && !container.is_empty());
    }
    assert!(config
        .report_dir
        .is_none_or(|dir| dir.to_bytes()[0] == b'/'));
}

fn exec(given: &[CString]) {
    let mut array: Vec<*const c_char> = given.iter().map(|s| s.as_ptr()).collect();
    array.push(std::ptr::null());
    let envp = array.as_ptr() as i64;
    for (manifest, preload, search) in [
        (None, None, None),
        (Some(600), None, None),
        (
            Some(7),
            Some(&b"/lib/x.so"[..]),
            Some(&b"/run/staged:/lib"[..]),
        ),
    ] {
        let changes = Changes {
            manifest,
            search,
            preload,
            leave: false,
        };
        let mut scratch = Scratch::default();
        let changed = build(&mut scratch, envp, &changes).expect("no NUL in what is asked for");
        // SAFETY: the array ends in null, and what it points to is in `given` or the scratch.
        let made: Vec<&CStr> = scratch.envp[..scratch.envp.len() - 1]
            .iter()
            .map(|s| unsafe { CStr::from_ptr(*s) })
            .collect();
        assert_eq!(scratch.envp.last(), Some(&std::ptr::null()));
        let given: Vec<&CStr> = given.iter().map(CString::as_c_str).collect();
        assert!(changed || made == given, "{made:?}");
        let mut names = vec![(MANIFEST, manifest.map(|fd| fd.to_string().into_bytes()))];
        names.extend(preload.map(|text| (PRELOAD, Some(text.to_vec()))));
        names.extend(search.map(|text| (SEARCH, Some(text.to_vec()))));
        let named = |s: &CStr| names.iter().find(|(name, _)| name_of(s) == name.as_bytes());
        for (name, text) in &names {
            let there = made
                .iter()
                .filter(|s| name_of(s) == name.as_bytes())
                .count();
            assert_eq!(there, usize::from(text.is_some()), "{name}");
            let found = value(scratch.envp.as_ptr() as i64, name).expect("readable");
            assert_eq!(found, text.clone().unwrap_or_default(), "{name}");
        }
        let kept = |list: &[&CStr]| -> Vec<CString> {
            let others = list.iter().filter(|s| named(s).is_none());
            others.map(|s| (*s).to_owned()).collect()
        };
        assert_eq!(kept(&made), kept(&given));
    }
}

fn name_of(s: &CStr) -> &[u8] {
    s.to_bytes().split(|b| *b == b'=').next().unwrap_or(b"")
}
