//! A dfuse that says anything: short, long, changing and senseless replies to the questions a mount is
//! asked at its first use. What is believed has the stated sizes and names, and is refused or mounted
//! by the next layer; the questions come to an end.
use crate::world::{path, world, World};
use daos_sys::dfuse::{
    dfuse_hs_reply, dfuse_il_reply, DFUSE_IOCTL_IL, DFUSE_IOCTL_IL_SIZE, DFUSE_IOCTL_VERSION,
};
use std::cell::{Cell, RefCell};
use std::ffi::CStr;
use vfs::dfuse::{hear, Dfuse};
use vfs::Errno;

/// More questions than this are too many.
const PATIENCE: usize = 100;

/// Answers with what is left of the input.
struct Liar<'a> {
    rest: RefCell<&'a [u8]>,
    /// So many calls for blobs are answered `EAGAIN`.
    again: Cell<u8>,
    /// The first question is not understood: an old or other dfuse.
    deaf: bool,
    asked: Cell<usize>,
}

impl Liar<'_> {
    fn fill(&self, reply: &mut [u8]) -> Result<(), Errno> {
        self.asked.set(self.asked.get() + 1);
        assert!(self.asked.get() < PATIENCE, "asked too often");
        let mut rest = self.rest.borrow_mut();
        if rest.is_empty() {
            return Err(Errno::EIO);
        }
        let n = reply.len().min(rest.len());
        reply[..n].copy_from_slice(&rest[..n]);
        *rest = &rest[n..];
        Ok(())
    }
}

impl Dfuse for Liar<'_> {
    fn query(&self, request: u32, reply: &mut [u8]) -> Result<(), Errno> {
        assert_eq!(
            (request >> 16) as usize & 0x3fff,
            reply.len(),
            "{request:x}"
        );
        if request == DFUSE_IOCTL_IL && self.deaf {
            return Err(Errno::ENOTTY);
        }
        if !matches!(request, DFUSE_IOCTL_IL | DFUSE_IOCTL_IL_SIZE) && self.again.get() > 0 {
            self.again.set(self.again.get() - 1);
            return Err(Errno::EAGAIN);
        }
        self.fill(reply)
    }

    fn attribute(&self, value: &mut [u8]) -> Result<usize, Errno> {
        let mut length = [0u8; 2];
        self.fill(&mut length)?;
        self.fill(value)?;
        Ok(usize::from(u16::from_ne_bytes(length)))
    }

    fn file(&self, name: &CStr, size: usize) -> Result<Vec<u8>, Errno> {
        assert!(name.to_bytes().len() < 128);
        let mut bytes = vec![0u8; size];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }
}

/// Feeds the target.
pub fn answers(data: &[u8]) {
    let [flags, again, rest @ ..] = data else {
        return;
    };
    let liar = Liar {
        rest: RefCell::new(rest),
        again: Cell::new(again & 7),
        deaf: flags & 1 != 0,
        asked: Cell::new(0),
    };
    let Ok(answer) = hear(&liar, flags & 2 != 0, flags & 4 == 0) else {
        return;
    };
    let (pool, cont) = &answer.names;
    assert!(!pool.is_empty() && !cont.is_empty());
    assert!(pool.as_bytes().len() < 512 && cont.as_bytes().len() < 512);
    let Some(handles) = answer.handles else {
        return;
    };
    assert_eq!(handles.read_only, flags & 2 != 0);
    assert_eq!(handles.names.as_ref(), Some(&answer.names));
    let world = &*world();
    let client = world
        .process
        .mounts
        .locate(point(world).as_bytes())
        .and(vfs::mount::client());
    let client = client.expect("a client");
    if let Ok(fs) = dfs::Filesystem::import_handles(client, &handles) {
        let _ = fs.stat(fs.root(), c"none");
    }
}

fn point(world: &World) -> std::ffi::CString {
    path(&format!("{}/m", world.near))
}

/// What a true dfuse says.
pub fn valid() -> Vec<u8> {
    let world = &*world();
    let (mount, _) = world
        .process
        .mounts
        .locate(point(world).as_bytes())
        .expect("a mount");
    let handles = mount
        .fs()
        .and_then(|fs| fs.export_handles())
        .expect("handles");
    let who = dfuse_il_reply {
        version: DFUSE_IOCTL_VERSION,
        pool: [1; 16],
        cont: [2; 16],
        ..Default::default()
    };
    let sizes = dfuse_hs_reply {
        version: DFUSE_IOCTL_VERSION,
        pool_size: handles.pool.len() as u64,
        cont_size: handles.cont.len() as u64,
        dfs_size: handles.dfs.len() as u64,
    };
    [
        &[0, 0],
        bytes(&who),
        bytes(&sizes),
        &handles.pool,
        &handles.cont,
        &handles.dfs,
    ]
    .concat()
}

/// The bytes of a reply, padding included.
fn bytes<T: Copy>(reply: &T) -> &[u8] {
    // SAFETY: a plain C structure with padding that was zeroed or does not matter; read as bytes.
    unsafe { std::slice::from_raw_parts(std::ptr::from_ref(reply).cast(), size_of::<T>()) }
}
