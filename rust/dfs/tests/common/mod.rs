//! What the tests of this crate share: a store of the embedded provider, a directory of its own for
//! each test, and random numbers that can be repeated.
#![allow(dead_code)]
pub mod watch;
use daos_sys::{daos_cont_info_t, daos_event_t, daos_handle_t, Api, DAOS_COO_RW};
use dfs::{Access, Attr, Client, Create, DirCursor, Filesystem, Kind, Object, Result};
use std::ffi::{c_char, c_int, c_uint, CStr, CString};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

/// An exclusive creation.
pub const NEW: Create = Create {
    mode: 0o644,
    exclusive: true,
    access: Access::ReadWrite,
};

/// A mounted container and a fresh directory in it.
pub struct Tree {
    pub client: Arc<Client>,
    pub fs: Arc<Filesystem>,
    pub dir: Arc<Object>,
    pub owner: (u32, u32),
    cont: &'static CStr,
    name: CString,
}

/// Starting a client changes the environment.
static ENVIRONMENT: Mutex<()> = Mutex::new(());
static COUNT: AtomicU32 = AtomicU32::new(0);

fn start(change: impl FnOnce(&mut Api)) -> Arc<Client> {
    let _alone = ENVIRONMENT.lock();
    pil4dfs_embedded::test_store();
    let mut api = pil4dfs_embedded::api();
    change(&mut api);
    Client::start(Box::leak(Box::new(api))).expect("the provider starts")
}

impl Tree {
    /// In the ordinary container.
    pub fn new() -> Tree {
        Tree::with(|_| ())
    }

    /// With a function table changed by the test.
    pub fn with(change: impl FnOnce(&mut Api)) -> Tree {
        Tree::make(c"cont", change)
    }

    /// In the balanced container.
    pub fn balanced() -> Tree {
        Tree::balanced_with(|_| ())
    }

    pub fn balanced_with(change: impl FnOnce(&mut Api)) -> Tree {
        Tree::make(c"bal", change)
    }

    fn make(cont: &'static CStr, change: impl FnOnce(&mut Api)) -> Tree {
        let client = start(change);
        let fs = Filesystem::connect(&client, c"pool", cont).expect("the container is there");
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = CString::new(format!("test-{}-{number}", std::process::id())).unwrap();
        // SAFETY: both cannot fail.
        let owner = unsafe { (libc::geteuid(), libc::getegid()) };
        let root = fs.root().clone();
        fs.mkdir(&root, &name, 0o755, owner).unwrap();
        let dir = fs.open(&root, &name, Access::ReadWrite).unwrap().0;
        Tree {
            client,
            fs,
            dir: Arc::new(dir),
            owner,
            cont,
            name,
        }
    }

    /// The same directory through another connection.
    pub fn elsewhere(&self) -> Tree {
        self.again(start(|_| ()), Access::ReadWrite)
    }

    /// The same directory through a connection that may only read.
    pub fn read_only(&self) -> Tree {
        let client = start(|api| {
            OPEN.lock().unwrap().get_or_insert(api.daos_cont_open);
            api.daos_cont_open = open_to_read;
        });
        self.again(client, Access::Read)
    }

    fn again(&self, client: Arc<Client>, access: Access) -> Tree {
        let fs = Filesystem::connect(&client, c"pool", self.cont).unwrap();
        let dir = fs.open(fs.root(), &self.name, access).unwrap().0;
        let name = self.name.clone();
        Tree {
            client,
            fs,
            dir: Arc::new(dir),
            owner: self.owner,
            cont: self.cont,
            name,
        }
    }

    /// A directory below this one.
    pub fn below(&self, number: usize) -> Tree {
        let name = CString::new(format!("below-{number}")).unwrap();
        self.mkdir(&name);
        Tree {
            client: self.client.clone(),
            fs: self.fs.clone(),
            dir: Arc::new(self.open(&name)),
            owner: self.owner,
            cont: self.cont,
            name,
        }
    }

    pub fn file(&self, name: &CStr, bytes: &[u8]) -> Object {
        let file = self.fs.create(&self.dir, name, NEW, self.owner).unwrap();
        file.write_bytes(bytes, 0).unwrap();
        file
    }

    pub fn mkdir(&self, name: &CStr) {
        self.fs.mkdir(&self.dir, name, 0o755, self.owner).unwrap();
    }

    pub fn open(&self, name: &CStr) -> Object {
        self.fs.open(&self.dir, name, Access::ReadWrite).unwrap().0
    }

    pub fn stat(&self, name: &CStr) -> Attr {
        self.fs.stat(&self.dir, name).unwrap()
    }

    /// A rename within the directory by a caller who has looked at both names.
    pub fn rename(&self, from: &CStr, to: &CStr) -> Result<()> {
        let attr = self.fs.stat(&self.dir, from)?;
        let target = self.fs.stat(&self.dir, to).ok();
        self.fs.rename(
            &self.dir,
            from,
            &attr,
            &self.dir,
            to,
            target.as_ref(),
            false,
        )
    }

    pub fn remove_any(&self, dir: &Object, name: &CStr) {
        match self.fs.stat(dir, name).unwrap().kind() {
            Kind::Directory => self.fs.rmdir(dir, name).unwrap(),
            _ => self.fs.unlink(dir, name).unwrap(),
        }
    }

    /// All of a file.
    pub fn read(&self, file: &Object) -> Vec<u8> {
        let mut bytes = vec![0; file.size().unwrap() as usize + 1];
        let len = file.read_bytes(&mut bytes, 0).unwrap();
        bytes.truncate(len);
        bytes
    }

    /// The names of a directory, sorted.
    pub fn names(&self, dir: &Object) -> Vec<CString> {
        let (mut names, mut cursor) = (Vec::new(), DirCursor::start());
        while !cursor.at_end() {
            names.extend(dir.read_names(&mut cursor, 16).unwrap());
        }
        names.sort();
        names
    }
}

type ContOpen = unsafe extern "C" fn(
    daos_handle_t,
    *const c_char,
    c_uint,
    *mut daos_handle_t,
    *mut daos_cont_info_t,
    *mut daos_event_t,
) -> c_int;

static OPEN: Mutex<Option<ContOpen>> = Mutex::new(None);

/// What a user who may only read gets.
unsafe extern "C" fn open_to_read(
    poh: daos_handle_t,
    cont: *const c_char,
    flags: c_uint,
    coh: *mut daos_handle_t,
    info: *mut daos_cont_info_t,
    ev: *mut daos_event_t,
) -> c_int {
    if flags & DAOS_COO_RW != 0 {
        return -1001;
    }
    let real = OPEN.lock().unwrap().unwrap();
    // SAFETY: handed through.
    unsafe { real(poh, cont, flags, coh, info, ev) }
}

/// Bytes that differ from their neighbours and from zero.
pub fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i % 251) as u8 + 1).collect()
}

/// Random numbers (xorshift). The seed is `PIL4DFS_TEST_SEED` or the time; print it with `{:?}`.
pub struct Rng {
    seed: u64,
    state: u64,
}

impl Rng {
    pub fn new() -> Rng {
        let seed = match std::env::var("PIL4DFS_TEST_SEED") {
            Ok(text) => text.parse().expect("PIL4DFS_TEST_SEED is a number"),
            Err(_) => std::time::UNIX_EPOCH.elapsed().unwrap().as_nanos() as u64 | 1,
        };
        Rng { seed, state: seed }
    }

    pub fn below(&mut self, limit: usize) -> usize {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        (self.state >> 11) as usize % limit
    }

    /// How many steps a random test makes: `PIL4DFS_TEST_STEPS` or the default.
    pub fn steps(&self, default: usize) -> usize {
        let steps = std::env::var("PIL4DFS_TEST_STEPS");
        steps.map_or(default, |text| text.parse().expect("a number"))
    }
}

impl std::fmt::Debug for Rng {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PIL4DFS_TEST_SEED={}", self.seed)
    }
}
