//! The client ABI of DAOS as plain facts: C types, constants and error numbers of libdaos, libdfs
//! and libduns (2.4 up to the present), the ioctls of dfuse, and one table of function pointers
//! ([`Api`]) that is filled by dlopen ([`load`]) or by a provider linked in for tests.
//! Nothing here calls DAOS; `spec/daos.tbl` lists what is relied upon, and a test compares.
#![allow(non_camel_case_types)]

mod api;
mod constants;
pub mod dfuse;
mod error;
pub mod load;
mod types;

pub use api::{Api, MissingSymbol};
pub use constants::*;
pub use error::*;
pub use types::*;

#[cfg(test)]
mod table;
