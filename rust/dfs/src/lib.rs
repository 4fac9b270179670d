//! Safe DAOS: the layer between the VFS and the foreign functions.
//!
//! A [`Client`] is a started libdaos, a [`Filesystem`] a mounted POSIX container, an
//! [`Object`] an open file, directory or symbolic link. Handles release themselves, DAOS error
//! numbers become [`Errno`], and what libdfs does differently from POSIX (the guard list of
//! daos-abi) ends here: nothing above this crate knows a DER code or a quirk.
//!
//! Nothing here resolves paths: every call takes a directory object and one name.
mod attr;
mod client;
mod errno;
mod filesystem;
mod object;
mod xattr;

pub use attr::{Attr, Kind, ObjectId, SetAttr, SetTime};
pub use client::Client;
pub use errno::{Errno, Result};
pub use filesystem::{Create, Filesystem, Space};
pub use object::{Access, DirCursor, Object};
pub use xattr::XattrFlags;
