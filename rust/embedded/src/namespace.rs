//! A container's tree inside the metadata: names to entries, the walk of paths with DFS's own
//! rules for "..", symbolic links and files in the middle, and the changes (insert, remove, move,
//! exchange), each one transaction.
use crate::data;
use crate::entry::{Entry, Time};
use crate::error::{errno, Result};
use crate::key::{self, Key, Oid, ROOT, ROOT_NAME, SUPERBLOCK};
use crate::lmdb::{Txn, WriteTxn};
use crate::store::Store;

/// Symbolic links followed on one walk.
const MAX_LINKS: u32 = 40;

/// A container's tree.
#[derive(Clone, Copy)]
pub struct Tree<'s> {
    /// The store.
    pub store: &'s Store,
    /// The container's number.
    pub cont: u32,
}

/// A name that was found.
#[derive(Clone)]
pub struct Node {
    /// The directory it was found in.
    pub parent: Oid,
    /// The name there.
    pub name: Vec<u8>,
    /// Its entry.
    pub entry: Entry,
    /// A symbolic link's text.
    pub link: Vec<u8>,
}

impl Node {
    /// A directory known by its id, as the start of a walk: only the id matters there.
    fn start(dir: Oid) -> Node {
        Node {
            parent: SUPERBLOCK,
            name: ROOT_NAME.to_vec(),
            entry: Entry::new(libc::S_IFDIR, 0, 0, dir, 0, 0),
            link: Vec::new(),
        }
    }
}

/// DFS refuses what cannot be a name: empty, longer than 255 bytes, with a slash - all `EINVAL`.
pub fn check_name(name: &[u8]) -> Result<()> {
    match name.is_empty() || name.len() > daos_sys::DFS_MAX_NAME || name.contains(&b'/') {
        true => errno(libc::EINVAL),
        false => Ok(()),
    }
}

impl<'s> Tree<'s> {
    /// The entry of a name, if there is one. "." is `ENOTSUP`; ".." is a name like any other.
    pub fn get(self, txn: &Txn<'_>, parent: Oid, name: &[u8]) -> Result<Option<Entry>> {
        if name == b"." {
            return errno(libc::ENOTSUP);
        }
        txn.get(&Key::entry(self.cont, parent, name), |bytes| {
            Entry::decode(bytes).map(|(entry, _)| entry)
        })?
        .transpose()
    }

    /// As [`Tree::get`], with a symbolic link's text; `ENOENT` if there is none. A link with an
    /// empty text is `EIO`.
    pub fn node(self, txn: &Txn<'_>, parent: Oid, name: &[u8]) -> Result<Node> {
        if name == b"." {
            return errno(libc::ENOTSUP);
        }
        let found = txn.get(&Key::entry(self.cont, parent, name), |bytes| {
            Entry::decode(bytes).map(|(entry, link)| (entry, link.to_vec()))
        })?;
        let Some(found) = found else {
            return errno(libc::ENOENT);
        };
        let (entry, link) = found?;
        if entry.is_link() && link.is_empty() {
            return errno(libc::EIO);
        }
        Ok(Node {
            parent,
            name: name.to_vec(),
            entry,
            link,
        })
    }

    /// The root directory.
    pub fn root(self, txn: &Txn<'_>) -> Result<Node> {
        self.node(txn, SUPERBLOCK, ROOT_NAME)
    }

    /// Walks an absolute path. `follow`: also through a link in the last place.
    pub fn lookup(self, txn: &Txn<'_>, path: &[u8], follow: bool) -> Result<Node> {
        if path.first() != Some(&b'/') {
            return errno(libc::EINVAL);
        }
        let root = self.root(txn)?;
        self.walk(txn, vec![root], path, follow, &mut 0)
    }

    /// The name in a directory, through links if `follow`.
    pub fn lookup_in(self, txn: &Txn<'_>, dir: Oid, name: &[u8], follow: bool) -> Result<Node> {
        let node = self.node(txn, dir, name)?;
        match node.entry.is_link() && follow {
            false => Ok(node),
            true => self.follow(txn, &[Node::start(dir)], &node, &mut 0),
        }
    }

    fn walk(
        self,
        txn: &Txn<'_>,
        mut trail: Vec<Node>,
        path: &[u8],
        follow: bool,
        links: &mut u32,
    ) -> Result<Node> {
        let parts: Vec<&[u8]> = path
            .split(|b| *b == b'/')
            .filter(|part| !part.is_empty())
            .collect();
        for (place, part) in parts.iter().enumerate() {
            let last = place + 1 == parts.len();
            if *part == b".." {
                let before = place.checked_sub(1).map(|before| parts[before]);
                let after = parts.get(place + 1).copied();
                let odd = |part: Option<&[u8]>| part == Some(b"..") || part == Some(b".");
                if last || odd(before) || odd(after) {
                    return errno(libc::ENOTSUP);
                }
                trail.pop();
                if trail.is_empty() {
                    return errno(libc::ENOENT); // above the root, or above where a link stands
                }
                continue;
            }
            let Some(dir) = trail.last() else {
                return errno(libc::ENOENT);
            };
            if !dir.entry.is_dir() {
                return errno(libc::ENOENT); // and not ENOTDIR: DFS's own choice
            }
            let mut node = self.node(txn, dir.entry.oid, part)?;
            if node.entry.is_link() && (follow || !last) {
                node = self.follow(txn, &trail, &node, links)?;
            }
            trail.push(node);
        }
        trail.pop().map_or(errno(libc::ENOENT), Ok)
    }

    /// What a link that stands at the end of `trail` leads to.
    fn follow(self, txn: &Txn<'_>, trail: &[Node], link: &Node, links: &mut u32) -> Result<Node> {
        *links += 1;
        if *links > MAX_LINKS {
            return errno(libc::ELOOP);
        }
        let text = link.link.as_slice();
        if matches!(
            text.rsplit(|b| *b == b'/').find(|part| !part.is_empty()),
            Some(b"." | b"..")
        ) {
            return errno(libc::ENOTSUP);
        }
        if text[0] == b'/' {
            // Taken from the container's root, and understood only there.
            if link.parent != ROOT {
                return errno(libc::EINVAL);
            }
            let root = self.root(txn)?;
            return self.walk(txn, vec![root], text, true, links);
        }
        self.walk(txn, trail.to_vec(), text, true, links)
    }

    /// When a directory's names last changed.
    pub fn directory_time(self, txn: &Txn<'_>, dir: Oid) -> Result<Option<Time>> {
        txn.get(&Key::directory(self.cont, dir), Time::decode)
    }

    /// The object's own time: a directory's from the metadata, a file's from its bytes.
    pub fn object_time(self, txn: &Txn<'_>, entry: &Entry) -> Result<Option<Time>> {
        if entry.is_dir() {
            return self.directory_time(txn, entry.oid);
        }
        match entry.is_file() {
            true => Ok(data::stat(self.store, self.cont, entry.oid)?.map(|stat| stat.time)),
            false => Ok(None),
        }
    }

    /// Stores an entry (its link's text unchanged if it has one).
    pub fn put(self, txn: &WriteTxn<'_>, node: &Node) -> Result<()> {
        let key = Key::entry(self.cont, node.parent, &node.name);
        txn.put(&key, &node.entry.encode(&node.link))
    }

    fn touch(self, txn: &WriteTxn<'_>, dir: Oid) -> Result<()> {
        txn.put(&Key::directory(self.cont, dir), &Time::now().encode())
    }

    /// A new name; `EEXIST`.
    pub fn insert(
        self,
        txn: &WriteTxn<'_>,
        parent: Oid,
        name: &[u8],
        entry: &Entry,
        link: &[u8],
    ) -> Result<()> {
        txn.insert(&Key::entry(self.cont, parent, name), &entry.encode(link))?;
        if entry.is_dir() {
            self.touch(txn, entry.oid)?;
        }
        self.touch(txn, parent)
    }

    /// True when a directory has no names.
    pub fn is_empty(self, txn: &Txn<'_>, dir: Oid) -> Result<bool> {
        let prefix = Key::entries(self.cont, dir);
        let mut empty = true;
        txn.scan(&prefix, &prefix, |_, _| {
            empty = false;
            false
        })?;
        Ok(empty)
    }

    /// Forgets an object that has no name any more; files' bytes are added to `doomed`.
    fn forget(self, txn: &WriteTxn<'_>, entry: &Entry, doomed: &mut Vec<Oid>) -> Result<()> {
        txn.delete_prefix(&Key::xattr(self.cont, entry.oid, b""))?;
        if entry.is_dir() {
            txn.delete(&Key::directory(self.cont, entry.oid))?;
        }
        if entry.is_file() {
            doomed.push(entry.oid);
        }
        Ok(())
    }

    /// Removes a name of any type and destroys its object. A directory with names is `ENOTEMPTY`
    /// unless `force`, which removes them all.
    pub fn remove(
        self,
        txn: &WriteTxn<'_>,
        parent: Oid,
        name: &[u8],
        force: bool,
        doomed: &mut Vec<Oid>,
    ) -> Result<Entry> {
        let Some(entry) = self.get(txn, parent, name)? else {
            return errno(libc::ENOENT);
        };
        if entry.is_dir() && !self.is_empty(txn, entry.oid)? {
            if !force {
                return errno(libc::ENOTEMPTY);
            }
            self.remove_all_in(txn, entry.oid, doomed)?;
        }
        txn.delete(&Key::entry(self.cont, parent, name))?;
        self.forget(txn, &entry, doomed)?;
        self.touch(txn, parent)?;
        Ok(entry)
    }

    fn remove_all_in(self, txn: &WriteTxn<'_>, dir: Oid, doomed: &mut Vec<Oid>) -> Result<()> {
        let mut dirs = vec![dir];
        while let Some(dir) = dirs.pop() {
            let mut found = Vec::new();
            let prefix = Key::entries(self.cont, dir);
            txn.scan(&prefix, &prefix, |key, bytes| {
                found.push((key.to_vec(), Entry::decode(bytes).map(|(entry, _)| entry)));
                true
            })?;
            for (key, entry) in found {
                let entry = entry?;
                if entry.is_dir() {
                    dirs.push(entry.oid);
                }
                txn.delete(&key)?;
                self.forget(txn, &entry, doomed)?;
            }
        }
        Ok(())
    }

    /// `dfs_move`, faults included: nothing keeps a name from being moved onto itself (which
    /// destroys it) or a directory below itself (which orphans it). Answers the entry moved and
    /// the one that had to go.
    pub fn rename(
        self,
        txn: &WriteTxn<'_>,
        from: (Oid, &[u8]),
        to: (Oid, &[u8]),
        noreplace: bool,
        doomed: &mut Vec<Oid>,
    ) -> Result<(Entry, Option<Entry>)> {
        let mut node = self.node(txn, from.0, from.1)?;
        let there = self.get(txn, to.0, to.1)?;
        if let Some(there) = &there {
            if noreplace {
                return errno(libc::EEXIST);
            }
            if there.is_dir() {
                if !node.entry.is_dir() {
                    return errno(libc::EINVAL);
                }
                if !self.is_empty(txn, there.oid)? {
                    return errno(libc::ENOTEMPTY);
                }
            }
            txn.delete(&Key::entry(self.cont, to.0, to.1))?;
            self.forget(txn, there, doomed)?;
        }
        node.entry.renamed();
        let moved = Node {
            parent: to.0,
            name: to.1.to_vec(),
            ..node
        };
        self.put(txn, &moved)?;
        txn.delete(&Key::entry(self.cont, from.0, from.1))?;
        self.touch(txn, from.0)?;
        self.touch(txn, to.0)?;
        Ok((moved.entry, there))
    }

    /// `dfs_exchange`: two names change places and lose their extended attributes.
    pub fn exchange(self, txn: &WriteTxn<'_>, one: (Oid, &[u8]), two: (Oid, &[u8])) -> Result<()> {
        let missing = |error| match error {
            crate::error::Error::Errno(libc::ENOENT) => crate::error::Error::Errno(libc::EINVAL),
            other => other,
        };
        let mut first = self.node(txn, one.0, one.1).map_err(missing)?;
        let mut second = self.node(txn, two.0, two.1).map_err(missing)?;
        for node in [&mut first, &mut second] {
            node.entry.renamed();
            txn.delete_prefix(&Key::xattr(self.cont, node.entry.oid, b""))?;
        }
        std::mem::swap(&mut first.parent, &mut second.parent);
        std::mem::swap(&mut first.name, &mut second.name);
        self.put(txn, &first)?;
        self.put(txn, &second)?;
        self.touch(txn, one.0)?;
        self.touch(txn, two.0)
    }

    /// Names of a directory from a place in hash order on: shows (hash, name) to `look` until it
    /// answers false. `skip` names with the place's own hash are passed over.
    pub fn list(
        self,
        txn: &Txn<'_>,
        dir: Oid,
        place: u64,
        mut skip: u32,
        mut look: impl FnMut(u64, &[u8]) -> bool,
    ) -> Result<()> {
        let from = Key::entries_from(self.cont, dir, place);
        txn.scan(&Key::entries(self.cont, dir), &from, |key, _| {
            let (hash, name) = key::split_entry(key);
            if hash == place && skip > 0 {
                skip -= 1;
                return true;
            }
            look(hash, name)
        })
    }
}
