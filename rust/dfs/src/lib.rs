//! Safe DAOS: the layer between the VFS and the foreign functions.
//!
//! A [`Client`] is a started libdaos, a [`Filesystem`] a mounted POSIX container, an
//! [`Object`] an open file, directory or symbolic link. Handles release themselves, DAOS error
//! numbers become [`Errno`], and what libdfs does differently from POSIX (the guard list of
//! daos-abi) ends here: nothing above this crate knows a DER code or a quirk.
//!
//! Nothing here resolves paths: every call takes a directory object and one name. Nothing takes a
//! lock, so a process may fork at any instant; nothing is cached beyond the handles themselves.
mod attr;
mod client;
mod connect;
mod container;
mod directory;
mod entry;
mod entry_point;
mod environment;
mod errno;
mod file;
mod filesystem;
mod footprint;
mod handle;
mod handles;
mod meter;
mod mount;
mod name;
mod object;
mod outage;
mod pool;
mod rename;
#[cfg(test)]
mod stub;
mod xattr;

pub use attr::{Attr, Kind, ObjectId, SetAttr, SetTime};
pub use client::Client;
pub use container::Uuids;
pub use directory::DirCursor;
pub use entry::Create;
pub use entry_point::EntryPoint;
pub use errno::{Errno, Result};
pub use filesystem::{Filesystem, Space};
pub use handles::Handles;
pub use meter::{cost, forked as cost_forked, install as meter, Meter};
pub use object::{Access, Object};
pub use pool::{uuid_text, Listed, Pool};
pub use xattr::XattrFlags;
