//! The kernel's requests, handed to [`Server`]; no decisions but how long an answer may be kept.
//! What is not here answers `ENOSYS`, after which the kernel does it by itself and asks no more:
//! flush and fsync (nothing is held back), lseek (all of a file is data), copy_file_range.
use crate::answers::*;
use crate::entries;
use crate::server::{Found, Server};
use crate::shown::{file_attr, no, set_time};
use dfs::{Errno, Kind, SetAttr};
use fuser::{
    BsdFileFlags, FileHandle, FopenFlags, INodeNo, InitFlags, IoctlFlags, KernelConfig, LockOwner,
    OpenFlags, RenameFlags, ReplyAttr, ReplyCreate, ReplyData, ReplyDirectory, ReplyDirectoryPlus,
    ReplyEmpty, ReplyEntry, ReplyIoctl, ReplyOpen, ReplyStatfs, ReplyWrite, ReplyXattr, Request,
    TimeOrNow, WriteFlags,
};
use std::ffi::OsStr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// What fuser calls.
pub struct Front(pub Arc<Server>);

/// Largest write asked of us at once, bytes: as dfuse.
const MAX_WRITE: u32 = 1 << 20;

impl Front {
    fn attr_time(&self, ino: u64) -> Duration {
        let inode = self.0.inodes.get(ino);
        inode.map_or(Duration::ZERO, |inode| inode.times().attr)
    }

    /// How long the kernel may believe that nothing has this name.
    fn negative(&self, parent: INodeNo) -> Option<Duration> {
        let time = self.0.inodes.get(parent.0).ok()?.times().ndentry;
        (time > Duration::ZERO).then_some(time)
    }
}

impl fuser::Filesystem for Front {
    fn init(&mut self, _: &Request, config: &mut KernelConfig) -> std::io::Result<()> {
        let wanted = InitFlags::FUSE_PARALLEL_DIROPS
            | InitFlags::FUSE_AUTO_INVAL_DATA
            | InitFlags::FUSE_DO_READDIRPLUS
            | InitFlags::FUSE_READDIRPLUS_AUTO
            | InitFlags::FUSE_HAS_IOCTL_DIR
            | InitFlags::FUSE_ASYNC_DIO
            | InitFlags::FUSE_DIRECT_IO_ALLOW_MMAP;
        let _ = config.add_capabilities(wanted & config.capabilities());
        let _ = config.set_max_write(MAX_WRITE);
        let _ = config.set_max_background(64);
        Ok(())
    }

    fn lookup(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let found = c(name).and_then(|name| self.0.lookup(parent.0, &name));
        if let (Err(Errno::ENOENT), Some(time)) = (&found, self.negative(parent)) {
            // An entry numbered 0 says that there is none, for a time.
            // SAFETY: a stat of zeros is valid.
            let nothing = unsafe { std::mem::zeroed() };
            return reply.entry(&time, &file_attr(&nothing), GENERATION);
        }
        answer_entry(found, reply);
    }

    fn forget(&self, _: &Request, ino: INodeNo, count: u64) {
        self.0.inodes.forget(ino.0, count);
    }

    fn getattr(&self, _: &Request, ino: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        match self.0.stat(ino.0) {
            Ok(stat) => reply.attr(&self.attr_time(ino.0), &file_attr(&stat)),
            Err(e) => reply.error(no(e)),
        }
    }

    #[allow(clippy::too_many_arguments)]
    fn setattr(
        &self,
        _: &Request,
        ino: INodeNo,
        mode: Option<u32>,
        uid: Option<u32>,
        gid: Option<u32>,
        size: Option<u64>,
        atime: Option<TimeOrNow>,
        mtime: Option<TimeOrNow>,
        _: Option<SystemTime>,
        _: Option<FileHandle>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        let set = SetAttr {
            mode: mode.map(|mode| mode & 0o7777),
            uid,
            gid,
            atime: atime.map(set_time),
            // A new size sets the time by itself.
            mtime: mtime.map(set_time),
        };
        match self.0.set_stat(ino.0, &set, size) {
            Ok(stat) => reply.attr(&self.attr_time(ino.0), &file_attr(&stat)),
            Err(e) => reply.error(no(e)),
        }
    }

    fn readlink(&self, _: &Request, ino: INodeNo, reply: ReplyData) {
        match self.0.readlink(ino.0) {
            Ok(text) => reply.data(text.as_bytes()),
            Err(e) => reply.error(no(e)),
        }
    }

    fn mknod(
        &self,
        request: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        _umask: u32,
        _: u32,
        reply: ReplyEntry,
    ) {
        if mode & libc::S_IFMT != libc::S_IFREG {
            return reply.error(no(Errno::EPERM));
        }
        let made = c(name).and_then(|n| {
            self.0
                .create(parent.0, &n, mode & 0o7777, true, user(request))
        });
        answer_entry(made.map(|(found, _)| found), reply);
    }

    fn mkdir(
        &self,
        request: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        _umask: u32,
        reply: ReplyEntry,
    ) {
        let made = c(name).and_then(|n| self.0.mkdir(parent.0, &n, mode & 0o7777, user(request)));
        answer_entry(made, reply);
    }

    fn unlink(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        answer_empty(c(name).and_then(|n| self.0.unlink(parent.0, &n)), reply);
    }

    fn rmdir(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        answer_empty(c(name).and_then(|n| self.0.rmdir(parent.0, &n)), reply);
    }

    fn symlink(
        &self,
        request: &Request,
        parent: INodeNo,
        name: &OsStr,
        target: &Path,
        reply: ReplyEntry,
    ) {
        let made = c(name).and_then(|name| {
            let target = c(target.as_os_str())?;
            self.0.symlink(parent.0, &name, &target, user(request))
        });
        answer_entry(made, reply);
    }

    fn rename(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        new_parent: INodeNo,
        new_name: &OsStr,
        flags: RenameFlags,
        reply: ReplyEmpty,
    ) {
        let result = c(name).and_then(|name| {
            let new_name = c(new_name)?;
            let (from, to) = (
                (parent.0, name.as_c_str()),
                (new_parent.0, new_name.as_c_str()),
            );
            self.0.rename(from, to, flags.bits())
        });
        answer_empty(result, reply);
    }

    fn link(&self, _: &Request, _: INodeNo, _: INodeNo, _: &OsStr, reply: ReplyEntry) {
        reply.error(no(Errno::EPERM)); // DFS has no hard links
    }

    fn open(&self, _: &Request, ino: INodeNo, flags: OpenFlags, reply: ReplyOpen) {
        let opened = self
            .0
            .expect(ino.0, Kind::File)
            .and_then(|inode| self.0.open(inode, is_writable(flags)));
        match opened {
            Ok((fh, pages)) => reply.opened(FileHandle(fh), open_flags(pages)),
            Err(e) => reply.error(no(e)),
        }
    }

    fn create(
        &self,
        request: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        _umask: u32,
        flags: i32,
        reply: ReplyCreate,
    ) {
        let exclusive = flags & libc::O_EXCL != 0;
        let made = c(name).and_then(|name| {
            let mode = mode & 0o7777;
            let (found, _) = self
                .0
                .create(parent.0, &name, mode, exclusive, user(request))?;
            let writable = is_writable(OpenFlags(flags));
            let opened = match found.inode.kind {
                Kind::File => self.0.open(found.inode.clone(), writable),
                Kind::Directory => Err(Errno::EISDIR),
                Kind::Symlink => Err(Errno::ESTALE), // the kernel looks again, and follows
            };
            match opened {
                Ok((fh, pages)) => Ok((found, fh, pages)),
                Err(e) => {
                    self.0.inodes.forget(found.inode.ino, 1);
                    Err(e)
                }
            }
        });
        match made {
            Ok((Found { inode, stat }, fh, pages)) => reply.created(
                &inode.times().attr.min(inode.times().dentry),
                &file_attr(&stat),
                GENERATION,
                FileHandle(fh),
                open_flags(pages),
            ),
            Err(e) => reply.error(no(e)),
        }
    }

    fn read(
        &self,
        _: &Request,
        _: INodeNo,
        fh: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        with_buffer(size as usize, |buffer| {
            match self.0.read(fh.0, offset, buffer) {
                Ok(n) => reply.data(&buffer[..n]),
                Err(e) => reply.error(no(e)),
            }
        });
    }

    fn write(
        &self,
        _: &Request,
        _: INodeNo,
        fh: FileHandle,
        offset: u64,
        data: &[u8],
        flags: WriteFlags,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        let lowers = flags.contains(WriteFlags::FUSE_WRITE_KILL_SUIDGID);
        match self.0.write(fh.0, offset, data, lowers) {
            Ok(()) => reply.written(data.len() as u32),
            Err(e) => reply.error(no(e)),
        }
    }

    fn release(
        &self,
        _: &Request,
        _: INodeNo,
        fh: FileHandle,
        _: OpenFlags,
        _: Option<LockOwner>,
        _: bool,
        reply: ReplyEmpty,
    ) {
        self.0.release(fh.0);
        reply.ok();
    }

    fn opendir(&self, _: &Request, ino: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        match self.0.expect(ino.0, Kind::Directory) {
            Ok(inode) => {
                let fh = self.0.files.add(inode, false);
                reply.opened(FileHandle(fh), FopenFlags::empty());
            }
            Err(e) => reply.error(no(e)),
        }
    }

    fn readdir(
        &self,
        _: &Request,
        _: INodeNo,
        fh: FileHandle,
        offset: u64,
        mut reply: ReplyDirectory,
    ) {
        match entries::fill(&self.0, fh.0, offset, &mut reply) {
            Ok(()) => reply.ok(),
            Err(e) => reply.error(no(e)),
        }
    }

    fn readdirplus(
        &self,
        _: &Request,
        ino: INodeNo,
        fh: FileHandle,
        offset: u64,
        mut reply: ReplyDirectoryPlus,
    ) {
        match entries::fill_plus(&self.0, ino.0, fh.0, offset, &mut reply) {
            Ok(()) => reply.ok(),
            Err(e) => reply.error(no(e)),
        }
    }

    fn releasedir(&self, _: &Request, _: INodeNo, fh: FileHandle, _: OpenFlags, reply: ReplyEmpty) {
        self.0.files.remove(fh.0);
        reply.ok();
    }

    fn statfs(&self, _: &Request, ino: INodeNo, reply: ReplyStatfs) {
        const NONE: u64 = u64::MAX;
        match self.0.space(ino.0) {
            Ok(space) => reply.statfs(space.total, space.free, space.free, NONE, NONE, 1, 255, 1),
            Err(e) => reply.error(no(e)),
        }
    }

    fn setxattr(
        &self,
        _: &Request,
        ino: INodeNo,
        name: &OsStr,
        value: &[u8],
        flags: i32,
        _: u32,
        reply: ReplyEmpty,
    ) {
        let result = c(name).and_then(|name| self.0.set_xattr(ino.0, &name, value, flags));
        answer_empty(result, reply);
    }

    fn getxattr(&self, _: &Request, ino: INodeNo, name: &OsStr, size: u32, reply: ReplyXattr) {
        let value = c(name).and_then(|name| self.0.get_xattr(ino.0, &name));
        answer_xattr(value, size, reply);
    }

    fn listxattr(&self, _: &Request, ino: INodeNo, size: u32, reply: ReplyXattr) {
        answer_xattr(self.0.list_xattr(ino.0), size, reply);
    }

    fn removexattr(&self, _: &Request, ino: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        let result = c(name).and_then(|name| self.0.remove_xattr(ino.0, &name));
        answer_empty(result, reply);
    }

    fn ioctl(
        &self,
        request: &Request,
        ino: INodeNo,
        fh: FileHandle,
        _: IoctlFlags,
        command: u32,
        _: &[u8],
        room: u32,
        reply: ReplyIoctl,
    ) {
        let writable = self.0.files.get(fh.0).is_some_and(|file| file.writable);
        let answer = self
            .0
            .inodes
            .get(ino.0)
            .and_then(|inode| self.0.ioctl(&inode, writable, command, user(request)));
        match answer {
            Ok(bytes) if bytes.len() <= room as usize => reply.ioctl(0, &bytes),
            Ok(_) => reply.error(no(Errno::EIO)),
            Err(e) => reply.error(no(e)),
        }
    }

    fn fallocate(
        &self,
        _: &Request,
        _: INodeNo,
        fh: FileHandle,
        offset: u64,
        length: u64,
        mode: i32,
        reply: ReplyEmpty,
    ) {
        answer_empty(self.0.fallocate(fh.0, offset, length, mode), reply);
    }
}
