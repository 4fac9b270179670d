//! The ioctls by which dfuse hands its DAOS handles to a client of the same node: reply layouts
//! and request numbers (type 0xA3, protocol version 7 in every release from 2.4 on). The header
//! is not installed by DAOS, so it is stated here.
use crate::uuid_t;

/// Every reply's first word; refuse any other.
pub const DFUSE_IOCTL_VERSION: u32 = 7;
/// Bit 0 of [`dfuse_il_reply::flags`]: dfuse caches this container's metadata.
pub const DFUSE_IOCTL_FLAGS_MCACHE: u64 = 1;

/// Identity of the file behind a descriptor. Answered to anyone.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct dfuse_il_reply {
    /// [`DFUSE_IOCTL_VERSION`].
    pub version: u32,
    /// Object id.
    pub oid: [u64; 2],
    /// Pool.
    pub pool: uuid_t,
    /// Container.
    pub cont: uuid_t,
    /// `DFUSE_IOCTL_FLAGS_*`.
    pub flags: u64,
}

/// Sizes of the serialized handles, bytes. Only to dfuse's own user and group, else `EPERM`.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct dfuse_hs_reply {
    /// [`DFUSE_IOCTL_VERSION`].
    pub version: u32,
    /// Pool handle.
    pub pool_size: u64,
    /// Container handle.
    pub cont_size: u64,
    /// DFS mount.
    pub dfs_size: u64,
}

/// Size of the serialized object of a descriptor. Answered to anyone.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct dfuse_hsd_reply {
    /// [`DFUSE_IOCTL_VERSION`].
    pub version: u32,
    /// Serialized object, bytes.
    pub obj_size: u64,
}

/// Who runs dfuse. Answered to anyone.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct dfuse_user_reply {
    /// User.
    pub uid: u32,
    /// Group.
    pub gid: u32,
}

/// Replies with [`dfuse_il_reply`].
pub const DFUSE_IOCTL_IL: u32 = 0x8040_a3c1;
/// Replies with [`dfuse_hs_reply`].
pub const DFUSE_IOCTL_IL_SIZE: u32 = 0x8020_a3c7;
/// Replies with [`dfuse_hsd_reply`].
pub const DFUSE_IOCTL_IL_DSIZE: u32 = 0x8010_a3c8;
/// Writes the pool handle to a file and replies with its name (128 bytes); for large handles.
pub const DFUSE_IOCTL_REPLY_PFILE: u32 = 0x8080_a3c9;
/// Replies with [`dfuse_user_reply`].
pub const DFUSE_IOCTL_DFUSE_USER: u32 = 0x8008_a3ca;

/// Largest blob an ioctl can carry, bytes: the size field has 14 bits.
pub const DFUSE_IOCTL_MAX_SIZE: usize = 16383;

/// A serialized handle that an ioctl replies with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Blob {
    /// Pool handle; dfuse's own user only.
    Pool,
    /// Container handle; dfuse's own user only.
    Cont,
    /// DFS mount.
    Dfs,
    /// The descriptor's object.
    Object,
}

/// Request number for `blob` of exactly `size` bytes as asked before (a larger one answers
/// `EAGAIN`, a smaller one `EIO`); `None` where the size field cannot hold it.
pub const fn request(blob: Blob, size: usize) -> Option<u32> {
    if size > DFUSE_IOCTL_MAX_SIZE {
        return None;
    }
    let base = match blob {
        Blob::Pool => 0x8000_a3c3,
        Blob::Cont => 0x8000_a3c4,
        Blob::Dfs => 0x8000_a3c5,
        Blob::Object => 0x8000_a3c6,
    };
    Some(base | (size as u32) << 16)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::mem::{offset_of, size_of};

    #[test]
    fn replies_have_the_size_their_request_says() {
        let size = |request: u32| ((request >> 16) & 0x3fff) as usize;
        assert_eq!(size_of::<dfuse_il_reply>(), size(DFUSE_IOCTL_IL));
        assert_eq!(size_of::<dfuse_hs_reply>(), size(DFUSE_IOCTL_IL_SIZE));
        assert_eq!(size_of::<dfuse_hsd_reply>(), size(DFUSE_IOCTL_IL_DSIZE));
        assert_eq!(size_of::<dfuse_user_reply>(), size(DFUSE_IOCTL_DFUSE_USER));
        assert_eq!(size(DFUSE_IOCTL_REPLY_PFILE), 128);
    }

    #[test]
    fn reply_fields_are_where_dfuse_writes_them() {
        assert_eq!(offset_of!(dfuse_il_reply, oid), 8);
        assert_eq!(offset_of!(dfuse_il_reply, pool), 24);
        assert_eq!(offset_of!(dfuse_il_reply, cont), 40);
        assert_eq!(offset_of!(dfuse_il_reply, flags), 56);
        assert_eq!(offset_of!(dfuse_hs_reply, pool_size), 8);
        assert_eq!(offset_of!(dfuse_hsd_reply, obj_size), 8);
    }

    #[test]
    fn blob_requests_carry_their_size() {
        assert_eq!(request(Blob::Pool, 236), Some(0x80ec_a3c3));
        assert_eq!(request(Blob::Object, 344), Some(0x8158_a3c6));
        assert_eq!(request(Blob::Cont, 16384), None);
    }
}
