//! Every quirk of DAOS that the product guards against, shown on the provider through its C
//! functions. A test's name says the quirk; what is not marked so is what a file system does.
#![allow(clippy::undocumented_unsafe_blocks)] // every call is of a live table with live handles

mod attributes;
mod bytes;
mod fixture;
mod handles;
mod names;
mod paths;
mod renames;
mod threads;
mod xattrs;
