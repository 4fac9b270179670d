//! The operations: one function for each general call, named after it, reading like its man page.
//! All have the shape `fn(&'static Process, [i64; 6]) -> Op<i64>`, the arguments in the kernel's order.

mod allocate;
pub mod births;
mod close;
mod copy;
mod data;
mod dup;
mod fcntl;
mod flock;
mod ioctl;
mod iov;
pub mod limits;
mod map;
mod process;
mod seek;
mod sync;

pub use allocate::{fallocate, ftruncate, resize};
pub use births::sendmsg;
pub use close::{close, close_range};
pub use copy::{copy_file_range, sendfile, splice};
pub use data::{pread64, preadv2, pwrite64, pwritev2, read, write};
pub use dup::{dup, dup2, dup3};
pub use fcntl::fcntl;
pub use flock::flock;
pub use ioctl::ioctl;
pub use limits::file_size_limit;
pub use map::{madvise, mmap, mremap, msync, munmap};
pub use process::exit_group;
pub use seek::lseek;
pub use sync::{fadvise64, fdatasync, fsync, readahead, sync_file_range, syncfs};
