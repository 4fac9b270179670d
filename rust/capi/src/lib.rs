//! The C edge of libpil4dfs: everything the C entry layer calls, and nothing else.
//!
//! Each `extern "C"` function here is: the panic boundary, pointers into references, one call.
//! errno is never touched (the entry layer saves and restores it), nothing is printed to stdout,
//! and a panic becomes `EIO` with one line on stderr - the application lives.
mod api;
mod boundary;
mod bypass;
mod config;
mod dispatch;
mod entry;
mod hook;
mod logging;
mod mounts;
mod report;
mod sitecache;
mod start;
mod statistics;
mod text;
mod trace;
mod values;
mod watch;

#[global_allocator]
static ARENA: arena::Arena = arena::Arena::new();
