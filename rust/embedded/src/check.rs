//! A check of a whole store: every record readable, every directory reachable. Orphans (a directory
//! moved below itself, names made in a removed directory) and leaked bytes (a process killed
//! between the removal of a name and that of its bytes) are counted and are no damage: DAOS leaves
//! them, too.
use crate::entry::Entry;
use crate::error::Result;
use crate::key::{Key, Oid, ROOT, ROOT_NAME, SUPERBLOCK};
use crate::store::Store;
use std::collections::{HashMap, HashSet};

/// What was found.
#[derive(Default, Debug, PartialEq, Eq)]
pub struct Findings {
    /// Names in directories that can be reached.
    pub names: u64,
    /// Names in directories that cannot.
    pub orphans: u64,
    /// Files' bytes without a name.
    pub leaked: u64,
    /// What is wrong, in words. Empty is good.
    pub damage: Vec<String>,
}

/// Name and entry of all there is in one directory.
type Names = Vec<(Vec<u8>, Entry)>;

fn directories(store: &Store, cont: u32, findings: &mut Findings) -> Result<HashMap<Oid, Names>> {
    let mut all: HashMap<Oid, Names> = HashMap::new();
    let prefix = Key::all(b'E', cont);
    store.env().read()?.scan(&prefix, &prefix, |key, bytes| {
        let word = |at: usize| {
            key.get(at..at + 8)
                .and_then(|b| b.try_into().ok())
                .map(u64::from_be_bytes)
        };
        let (Some(lo), Some(hi), true) = (word(5), word(13), key.len() > 29) else {
            findings
                .damage
                .push(format!("container {cont}: a key of {} bytes", key.len()));
            return true;
        };
        let name = key[29..].to_vec();
        if Key::entry(cont, Oid { lo, hi }, &name)[..] != *key {
            findings.damage.push(format!(
                "container {cont}: {name:?} stands in the wrong place"
            ));
        }
        match Entry::decode(bytes) {
            Ok((entry, _)) => all.entry(Oid { lo, hi }).or_default().push((name, entry)),
            Err(_) => findings
                .damage
                .push(format!("container {cont}: {name:?} is unreadable")),
        }
        true
    })?;
    Ok(all)
}

fn data_files(store: &Store, cont: u32) -> HashSet<String> {
    let dirs = std::fs::read_dir(format!("{}/data/{cont:x}", store.root()));
    let files = dirs
        .into_iter()
        .flatten()
        .flatten()
        .flat_map(|dir| std::fs::read_dir(dir.path()));
    files
        .flatten()
        .flatten()
        .map(|file| file.path().to_string_lossy().into_owned())
        .collect()
}

fn check_container(store: &Store, cont: u32, findings: &mut Findings) -> Result<()> {
    let mut all = directories(store, cont, findings)?;
    match all.remove(&SUPERBLOCK).as_deref() {
        Some([(name, entry)]) if name == ROOT_NAME && entry.oid == ROOT && entry.is_dir() => {}
        _ => findings
            .damage
            .push(format!("container {cont}: no root directory")),
    }
    let mut files = data_files(store, cont);
    let mut seen = HashSet::from([ROOT]);
    let mut queue = vec![ROOT];
    while let Some(dir) = queue.pop() {
        if !store.env().read()?.has(&Key::directory(cont, dir))? {
            findings
                .damage
                .push(format!("container {cont}: directory {dir:?} has no time"));
        }
        for (name, entry) in all.remove(&dir).unwrap_or_default() {
            findings.names += 1;
            if !seen.insert(entry.oid) {
                findings.damage.push(format!(
                    "container {cont}: {name:?} is not the only name of its object"
                ));
            }
            if entry.is_dir() {
                queue.push(entry.oid);
            }
            if entry.is_file() {
                files.remove(&*store.data_path(cont, entry.oid).to_string_lossy());
            }
        }
    }
    findings.orphans += all.values().map(|names| names.len() as u64).sum::<u64>();
    findings.leaked += files.len() as u64;
    Ok(())
}

/// Checks a store that nobody changes meanwhile.
pub fn check(store: &Store) -> Result<Findings> {
    let mut findings = Findings::default();
    for pool in store.pools()? {
        for cont in store
            .containers(pool.id)?
            .into_iter()
            .filter(|cont| cont.posix)
        {
            check_container(store, cont.id, &mut findings)?;
        }
    }
    Ok(findings)
}
