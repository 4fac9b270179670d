//! An embedded DAOS: the client ABI of libdaos, libdfs and libduns over a local directory, for
//! laptops and tests. It is not DAOS, and says so in its log. What a client must guard against in
//! DAOS - no permission checks, destructive renames, names only in listings - it does as well, so
//! that a missing guard shows here and not first on a real system.
//!
//! Environment: `PIL4DFS_EMBEDDED_ROOT` (the store), `PIL4DFS_EMBEDDED_FAULT` (see `fault.rs`),
//! `PIL4DFS_EMBEDDED_AWAY` (see `away.rs`), `CRT_TIMEOUT`, `PIL4DFS_EMBEDDED_EVICT_MS` (see `evict.rs`), `PIL4DFS_EMBEDDED_POOL_HANDLE` (bytes),
//! `PIL4DFS_EMBEDDED_DELAY_US`, `_INIT_DELAY_US`, `_CONNECT_DELAY_US` (spun), `D_LOG_FILE`.

#[macro_use]
mod call;
mod abi;

pub mod away;

mod check;
mod counters;
mod data;
mod entry;
mod error;
mod evict;
mod fault;
mod handle;
mod key;
mod lmdb;
mod log;
mod namespace;
mod process;
mod record;
mod spin;
mod store;
mod test_store;

/// The heap of whoever links this crate; LMDB keeps to its own few blocks of libc's. A program may call
/// write(2) from a signal handler that interrupted its malloc. A fuzzer's own allocator sees more.
#[cfg_attr(not(fuzzing), global_allocator)]
static HEAP: arena::Arena = arena::Arena::new();

pub use check::{check, Findings};
pub use counters::{Counters, Word};
pub use error::{Error, Result};
pub use log::silence as silence_log;
pub use record::{uuid_text, Container, NewContainer, Pool};
pub use store::Store;
pub use test_store::{test_store, TestStore};

macro_rules! fill {
    (
        required { $($req:ident [$($rsym:literal),+] ($($rarg:ident: $rty:ty),*) -> $rret:ty;)* }
        optional { $($opt:ident [$($osym:literal),+] ($($oarg:ident: $oty:ty),*) -> $oret:ty;)* }
    ) => {{
        use abi::{attr::*, container::*, directory::*, event::*, file::*, life::*, mount::*, object::*, open::*, pool::*, property::*, uns::*, xattr::*};
        daos_sys::Api { $($req,)* $($opt: Some($opt),)* }
    }};
}

/// The table filled with this crate's functions, all of them, for programs that link it in.
pub fn api() -> daos_sys::Api {
    daos_sys::functions!(fill)
}
