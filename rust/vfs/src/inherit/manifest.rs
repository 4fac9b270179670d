//! What a process tells the program it becomes: a sealed memfd. It only describes - the descriptors
//! say themselves which open file description they are (see [`super::carry`]) - and whoever reads
//! it treats it as hostile: length-checked, bounded, owner and seals verified.
use crate::codec::{Reader, Writer};
use crate::ownfd::OwnFd;
use crate::whereabouts::Whereabouts;
use crate::{ownfd, Errno};
use dfs::ObjectId;
use std::ffi::CString;

const MAGIC: u64 = 0x5049_4c45_5845_4331;
const VERSION: u32 = 5;
/// A manifest larger than this is nobody's.
const MAX_BYTES: i64 = 64 << 20;
const SEALS: i32 = libc::F_SEAL_WRITE | libc::F_SEAL_GROW | libc::F_SEAL_SHRINK | libc::F_SEAL_SEAL;

/// The state that passes over an exec.
#[derive(Default, PartialEq, Debug)]
pub struct Manifest {
    /// The process that wrote it: exec keeps the number, a program in between that forked does not.
    pub pid: i32,
    /// Effective user and group it is meant for.
    pub ids: (u32, u32),
    /// Device and inode of the placeholder.
    pub placeholder: (u64, u64),
    /// The slot table: descriptor, device, inode.
    pub slots: (i32, u64, u64),
    /// Working directory, if it is ours: which, and device and inode of the kernel's parked one.
    pub cwd: Option<(Whereabouts, u64, u64)>,
    /// Name the program should have (`comm`); empty: the kernel's is right.
    pub name: Vec<u8>,
    /// Where the program lies, if it runs from a copy; empty: the kernel knows.
    pub program: Vec<u8>,
    /// The open file descriptions that survive.
    pub descriptions: Vec<Description>,
    /// Slots (index, generation) whose descriptors close at the exec: their references go back.
    pub closed: Vec<(u32, u32)>,
    /// Shadows of objects the process may hold record locks on: mount, object, descriptor.
    pub shadows: Vec<(u64, ObjectId, i32)>,
    /// Mounts in use.
    pub mounts: Vec<Mounted>,
    /// The descriptor that holds the surviving objects ([`crate::holders::Holder`]), or -1.
    pub holder: i32,
}

/// The handles of one mount.
#[derive(Default, PartialEq, Debug)]
pub struct Mounted {
    /// Mount point.
    pub point: Vec<u8>,
    /// Which container that is ([`crate::mount::Mount::hash`]).
    pub hash: u64,
    /// The pool's handle as bytes.
    pub pool: Vec<u8>,
    /// The container's handle as bytes.
    pub cont: Vec<u8>,
    /// The file system's handle as bytes.
    pub dfs: Vec<u8>,
    /// Nothing may be changed through them.
    pub read_only: bool,
    /// Mounted in balanced mode.
    pub balanced: bool,
    /// The container's number in inode numbers.
    pub ordinal: u64,
    /// Pool and container, to connect to the very same when the handles die.
    pub names: Option<(CString, CString)>,
}

/// One open file description.
#[derive(Default, PartialEq, Debug)]
pub struct Description {
    /// Slot index and generation.
    pub slot: (u32, u32),
    /// Access mode and lasting flags.
    pub flags: i32,
    /// Which object, in which mount (by mount point).
    pub oid: ObjectId,
    /// Mount point.
    pub mount: Vec<u8>,
    /// Absolute path as last known.
    pub path: Vec<u8>,
    /// The object's handle as bytes; empty: by path only.
    pub blob: Vec<u8>,
    /// Mode, owner and group as last seen.
    pub mode: [u32; 3],
    /// Descriptors that own its flock and OFD locks, or -1.
    pub locks: [i32; 2],
}

impl Manifest {
    /// Writes it to a sealed memfd, close-on-exec like all of ours.
    pub fn write(&self) -> Result<OwnFd, Errno> {
        let bytes = self.encode();
        let fd = OwnFd::memory(c"daos-exec", libc::MFD_ALLOW_SEALING)?;
        fd.write_quietly(&bytes, 0)?;
        // SAFETY: no memory involved.
        unsafe { crate::call!(SYS_fcntl, fd.raw(), libc::F_ADD_SEALS, SEALS) }?;
        Ok(fd)
    }

    /// Reads one. `EINVAL` for anything that is not a manifest for this very user.
    pub fn read(fd: &OwnFd, ids: (u32, u32)) -> Result<Manifest, Errno> {
        let st = fd.stat()?;
        // SAFETY: no memory involved.
        let seals = unsafe { crate::call!(SYS_fcntl, fd.raw(), libc::F_GET_SEALS) }?;
        let ours = st.st_mode & libc::S_IFMT == libc::S_IFREG
            && st.st_uid == ids.0
            && seals as i32 & SEALS == SEALS
            && (1..=MAX_BYTES).contains(&st.st_size);
        if !ours {
            return Err(Errno::EINVAL);
        }
        let mut bytes = vec![0; st.st_size as usize];
        let n = fd.read_at(&mut bytes, 0)?;
        let manifest = Manifest::decode(&bytes[..n]).ok_or(Errno::EINVAL)?;
        if manifest.ids != ids {
            return Err(Errno::EINVAL);
        }
        Ok(manifest)
    }

    /// True if there is nothing a new program needs to know.
    pub fn is_empty(&self) -> bool {
        self.cwd.is_none()
            && self.name.is_empty()
            && self.descriptions.is_empty()
            && self.closed.is_empty()
            && self.shadows.is_empty()
            && self.mounts.is_empty()
    }

    /// The bytes of it.
    pub fn encode(&self) -> Vec<u8> {
        let mut w = Writer(Vec::with_capacity(256));
        w.u64(MAGIC);
        w.u32(VERSION);
        w.i32(self.pid);
        w.u32(self.ids.0);
        w.u32(self.ids.1);
        w.u64(self.placeholder.0);
        w.u64(self.placeholder.1);
        w.i32(self.slots.0);
        w.u64(self.slots.1);
        w.u64(self.slots.2);
        w.u32(self.cwd.is_some().into());
        if let Some((place, dev, ino)) = &self.cwd {
            w.bytes(place.path.as_bytes());
            w.u32(place.identities.len() as u32);
            for oid in &place.identities {
                w.u64(oid.lo);
                w.u64(oid.hi);
            }
            w.u32(place.changes);
            w.u64(place.moves);
            w.u64(*dev);
            w.u64(*ino);
        }
        w.bytes(&self.name);
        w.bytes(&self.program);
        w.u32(self.descriptions.len() as u32);
        for d in &self.descriptions {
            w.u32(d.slot.0);
            w.u32(d.slot.1);
            w.i32(d.flags);
            w.u64(d.oid.lo);
            w.u64(d.oid.hi);
            w.bytes(&d.mount);
            w.bytes(&d.path);
            w.bytes(&d.blob);
            d.mode.iter().for_each(|n| w.u32(*n));
            w.i32(d.locks[0]);
            w.i32(d.locks[1]);
        }
        w.u32(self.closed.len() as u32);
        for (index, generation) in &self.closed {
            w.u32(*index);
            w.u32(*generation);
        }
        w.u32(self.shadows.len() as u32);
        for (mount, oid, fd) in &self.shadows {
            w.u64(*mount);
            w.u64(oid.lo);
            w.u64(oid.hi);
            w.i32(*fd);
        }
        w.u32(self.mounts.len() as u32);
        for m in &self.mounts {
            w.bytes(&m.point);
            w.u64(m.hash);
            w.bytes(&m.pool);
            w.bytes(&m.cont);
            w.bytes(&m.dfs);
            w.u32(m.read_only.into());
            w.u32(m.balanced.into());
            w.u64(m.ordinal);
            w.names(m.names.as_ref());
        }
        w.i32(self.holder);
        w.0
    }

    /// What bytes say; nothing if they are not exactly a manifest.
    pub fn decode(bytes: &[u8]) -> Option<Manifest> {
        let mut r = Reader(bytes);
        if r.u64()? != MAGIC || r.u32()? != VERSION {
            return None;
        }
        let mut m = Manifest {
            pid: r.i32()?,
            ids: (r.u32()?, r.u32()?),
            placeholder: (r.u64()?, r.u64()?),
            slots: (r.i32()?, r.u64()?, r.u64()?),
            ..Manifest::default()
        };
        if r.u32()? != 0 {
            let mut place = Whereabouts {
                path: r.string()?,
                ..Whereabouts::default()
            };
            for _ in 0..r.u32()? {
                place.identities.push(r.oid()?);
            }
            (place.changes, place.moves) = (r.u32()?, r.u64()?);
            m.cwd = Some((place, r.u64()?, r.u64()?));
        }
        m.name = r.bytes()?;
        m.program = r.bytes()?;
        for _ in 0..r.u32()? {
            m.descriptions.push(Description {
                slot: (r.u32()?, r.u32()?),
                flags: r.i32()?,
                oid: r.oid()?,
                mount: r.bytes()?,
                path: r.bytes()?,
                blob: r.bytes()?,
                mode: [r.u32()?, r.u32()?, r.u32()?],
                locks: [r.i32()?, r.i32()?],
            });
        }
        for _ in 0..r.u32()? {
            m.closed.push((r.u32()?, r.u32()?));
        }
        for _ in 0..r.u32()? {
            let mount = r.u64()?;
            let oid = r.oid()?;
            m.shadows.push((mount, oid, r.i32()?));
        }
        for _ in 0..r.u32()? {
            m.mounts.push(Mounted {
                point: r.bytes()?,
                hash: r.u64()?,
                pool: r.bytes()?,
                cont: r.bytes()?,
                dfs: r.bytes()?,
                read_only: r.u32()? != 0,
                balanced: r.u32()? != 0,
                ordinal: r.u64()?,
                names: r.names()?,
            });
        }
        m.holder = r.i32()?;
        r.is_empty().then_some(m)
    }
}

/// True if a descriptor is this very file.
pub fn is_file(fd: i32, dev: u64, ino: u64) -> bool {
    fd >= 0 && ownfd::stat_of(fd).is_ok_and(|st| (st.st_dev, st.st_ino) == (dev, ino))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Manifest {
        Manifest {
            pid: 42,
            ids: (1000, 100),
            placeholder: (1, 77),
            slots: (600, 1, 78),
            cwd: Some((
                Whereabouts {
                    path: c"/dfs/dir".into(),
                    identities: vec![ObjectId { lo: 3, hi: 4 }, ObjectId { lo: 1, hi: 1 }],
                    changes: 2,
                    moves: 9,
                },
                5,
                6,
            )),
            name: b"cat".to_vec(),
            program: b"/dfs/bin/cat".to_vec(),
            descriptions: vec![Description {
                slot: (3, 9),
                flags: 1,
                oid: ObjectId { lo: 7, hi: 8 },
                mount: b"/dfs".to_vec(),
                path: b"/dfs/f".to_vec(),
                blob: vec![1, 2, 3],
                mode: [0o100644, 1, 2],
                locks: [-1, 601],
            }],
            closed: vec![(4, 1)],
            shadows: vec![(11, ObjectId { lo: 1, hi: 2 }, 602)],
            mounts: vec![Mounted {
                point: b"/dfs".to_vec(),
                hash: 5,
                pool: vec![1],
                cont: vec![2, 3],
                dfs: vec![4],
                read_only: true,
                balanced: false,
                ordinal: 1,
                names: Some((c"p".into(), c"c".into())),
            }],
            holder: 603,
        }
    }

    #[test]
    fn what_is_written_is_read() {
        assert_eq!(Manifest::decode(&sample().encode()), Some(sample()));
    }

    #[test]
    fn cut_or_damaged_bytes_are_refused_not_believed() {
        let bytes = sample().encode();
        for n in 0..bytes.len() {
            assert_eq!(Manifest::decode(&bytes[..n]), None);
        }
        let mut longer = bytes.clone();
        longer.push(0);
        assert_eq!(Manifest::decode(&longer), None);
        for at in 0..bytes.len() {
            let mut bad = bytes.clone();
            bad[at] = 0xff;
            let _ = Manifest::decode(&bad);
        }
    }
}
