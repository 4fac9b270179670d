//! A store for the unit tests of a program that links this crate in: one for the process, since
//! `daos_init` knows one, with as many containers as the tests like.
use crate::record::NewContainer;
use crate::store::Store;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::OnceLock;

/// The process's test store: pool `pool`, containers `cont` and `bal` (balanced). It lies in the
/// temporary directory and is removed by the next run of any test.
pub struct TestStore {
    root: PathBuf,
    store: Store,
    pool: u32,
    made: AtomicU32,
}

impl TestStore {
    /// Its directory, which `PIL4DFS_EMBEDDED_ROOT` names.
    pub fn root(&self) -> &std::path::Path {
        &self.root
    }

    /// The pool's label.
    pub fn pool(&self) -> &'static str {
        "pool"
    }

    /// A new relaxed container's label, so that tests which run side by side do not meet.
    pub fn fresh_container(&self) -> String {
        self.container_with(NewContainer {
            posix: true,
            ..NewContainer::default()
        })
    }

    /// A new container's label.
    pub fn container_with(&self, new: NewContainer) -> String {
        let label = format!("test{}", self.made.fetch_add(1, Ordering::Relaxed));
        self.store
            .create_container(self.pool, &label, new)
            .expect("a new container");
        label
    }

    /// Calls of a function so far, by all of the store's users.
    pub fn calls(&self, function: &str) -> u64 {
        crate::Counters::open(&self.root.to_string_lossy()).calls(function)
    }
}

/// Removes what earlier runs left behind.
fn sweep(parent: &std::path::Path) {
    for entry in std::fs::read_dir(parent).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let Some(pid) = name
            .strip_prefix("pil4dfs-test-")
            .and_then(|pid| pid.parse::<i32>().ok())
        else {
            continue;
        };
        if !std::path::Path::new(&format!("/proc/{pid}")).exists() {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

/// Makes the store at the first call, and points the environment at it (`PIL4DFS_EMBEDDED_ROOT`;
/// `D_LOG_FILE` to /dev/null where unset). Call it before `daos_init`.
pub fn test_store() -> &'static TestStore {
    static STORE: OnceLock<TestStore> = OnceLock::new();
    STORE.get_or_init(|| {
        let parent = std::env::temp_dir();
        sweep(&parent);
        let root = parent.join(format!("pil4dfs-test-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&root);
        let text = root.to_string_lossy().into_owned();
        std::env::set_var("PIL4DFS_EMBEDDED_ROOT", &text);
        if std::env::var_os("D_LOG_FILE").is_none() {
            std::env::set_var("D_LOG_FILE", "/dev/null");
        }
        let store = Store::create(&text).expect("a store");
        let pool = store.create_pool("pool").expect("a pool").id;
        let posix = NewContainer {
            posix: true,
            ..NewContainer::default()
        };
        store
            .create_container(pool, "cont", posix)
            .expect("a container");
        store
            .create_container(
                pool,
                "bal",
                NewContainer {
                    balanced: true,
                    ..posix
                },
            )
            .expect("a balanced container");
        TestStore {
            root,
            store,
            pool,
            made: AtomicU32::new(0),
        }
    })
}
