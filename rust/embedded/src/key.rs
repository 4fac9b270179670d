//! The keys of the metadata: a tag, the container's number, and what is told apart below it, all
//! big-endian so that what belongs together stands together. Names of a directory are ordered by
//! hash, as DAOS orders them.
use daos_sys::daos_obj_id_t;

/// An object id; the root directory is (0, 1), the superblock (0, 0).
pub type Oid = daos_obj_id_t;

/// The superblock, whose one entry `/` is the root directory.
pub const SUPERBLOCK: Oid = Oid { lo: 0, hi: 0 };
/// The root directory.
pub const ROOT: Oid = Oid { lo: 0, hi: 1 };
/// The root directory's name in the superblock.
pub const ROOT_NAME: &[u8] = b"/";

/// Longest key: tag, container, object, hash, name.
const LONGEST: usize = 1 + 4 + 16 + 8 + 255;

/// A key on the stack.
#[derive(Clone)]
pub struct Key {
    len: usize,
    bytes: [u8; LONGEST],
}

impl std::ops::Deref for Key {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

impl Key {
    /// Built in place, part by part: a key is large enough that moving it shows.
    #[inline]
    fn of(tag: u8, build: impl FnOnce(&mut Key)) -> Key {
        let mut key = Key {
            len: 1,
            bytes: [0; LONGEST],
        };
        key.bytes[0] = tag;
        build(&mut key);
        key
    }

    #[inline]
    fn add(&mut self, part: &[u8]) {
        // Names are checked at the ABI's edge; a longer one here is cut, never out of bounds.
        let len = part.len().min(LONGEST - self.len);
        self.bytes[self.len..self.len + len].copy_from_slice(&part[..len]);
        self.len += len;
    }

    #[inline]
    fn add_object(&mut self, cont: u32, oid: Oid) {
        self.add(&cont.to_be_bytes());
        self.add(&oid.lo.to_be_bytes());
        self.add(&oid.hi.to_be_bytes());
    }

    /// A pool by label, and all of them with an empty one.
    pub fn pool(label: &[u8]) -> Key {
        Key::of(b'P', |key| key.add(label))
    }

    /// A container of a pool by label, and all of them with an empty one.
    pub fn container(pool: u32, label: &[u8]) -> Key {
        Key::of(b'C', |key| {
            key.add(&pool.to_be_bytes());
            key.add(label);
        })
    }

    /// The next free number of pools and containers.
    pub fn next_number() -> Key {
        Key::of(b'N', |_| ())
    }

    /// The next free `lo` of a container's object ids.
    pub fn next_oid(cont: u32) -> Key {
        Key::all(b'I', cont)
    }

    /// An attribute of a container, and all of them with an empty name.
    pub fn attribute(cont: u32, name: &[u8]) -> Key {
        Key::of(b'A', |key| {
            key.add(&cont.to_be_bytes());
            key.add(name);
        })
    }

    /// The names of a directory.
    pub fn entries(cont: u32, dir: Oid) -> Key {
        Key::of(b'E', |key| key.add_object(cont, dir))
    }

    /// The names of a directory from a hash on.
    pub fn entries_from(cont: u32, dir: Oid, hash: u64) -> Key {
        Key::of(b'E', |key| {
            key.add_object(cont, dir);
            key.add(&hash.to_be_bytes());
        })
    }

    /// One name of a directory.
    pub fn entry(cont: u32, dir: Oid, name: &[u8]) -> Key {
        Key::of(b'E', |key| {
            key.add_object(cont, dir);
            key.add(&hash(name).to_be_bytes());
            key.add(name);
        })
    }

    /// When a directory's names last changed.
    pub fn directory(cont: u32, dir: Oid) -> Key {
        Key::of(b'D', |key| key.add_object(cont, dir))
    }

    /// An extended attribute of an object, and all of them with an empty name.
    pub fn xattr(cont: u32, oid: Oid, name: &[u8]) -> Key {
        Key::of(b'X', |key| {
            key.add_object(cont, oid);
            key.add(name);
        })
    }

    /// Everything of one kind that belongs to a container, for its destruction.
    pub fn all(tag: u8, cont: u32) -> Key {
        Key::of(tag, |key| key.add(&cont.to_be_bytes()))
    }
}

/// Tags of what belongs to a container.
pub const CONTAINER_TAGS: &[u8] = b"IAEDX";

/// The hash and the name in a key of [`Key::entry`].
pub fn split_entry(key: &[u8]) -> (u64, &[u8]) {
    const NAME: usize = 1 + 4 + 16 + 8;
    let mut hash = [0; 8];
    hash.copy_from_slice(&key[NAME - 8..NAME]);
    (u64::from_be_bytes(hash), &key[NAME..])
}

/// The name in a key of [`Key::xattr`].
pub fn split_xattr(key: &[u8]) -> &[u8] {
    &key[1 + 4 + 16..]
}

/// FNV-1a with a final mix: any order will do, as long as it is not the names' own.
pub fn hash(name: &[u8]) -> u64 {
    let folded = name.iter().fold(0xcbf2_9ce4_8422_2325u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let mixed = (folded ^ (folded >> 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed ^ (mixed >> 29)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directorys_names_stand_together() {
        let dir = Oid { lo: 7, hi: 9 };
        let key = Key::entry(3, dir, b"name");
        assert!(key.starts_with(&Key::entries(3, dir)));
        assert!(key.starts_with(&Key::entries_from(3, dir, hash(b"name"))));
        assert_eq!(split_entry(&key), (hash(b"name"), b"name".as_slice()));
        assert_eq!(Key::entry(3, dir, &[b'x'; 255]).len(), LONGEST);
    }

    #[test]
    fn attributes_know_their_name() {
        assert_eq!(split_xattr(&Key::xattr(1, ROOT, b"user.a")), b"user.a");
    }
}
