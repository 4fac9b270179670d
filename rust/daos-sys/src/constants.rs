//! The numbers of DAOS's client headers, the same in every release from 2.4 on unless the row in
//! `spec/daos.tbl` says otherwise. Open flags are Linux's own (`O_*` of crate `libc`).

macro_rules! constants {
    ($($(#[$meta:meta])* $name:ident: $ty:ty = $value:expr;)*) => {
        $($(#[$meta])* #[allow(missing_docs)] pub const $name: $ty = $value;)*

        /// Every constant and its value.
        #[cfg(test)]
        pub(crate) const CONSTANTS: &[(&str, u64)] = &[$((stringify!($name), $name as u64),)*];
    };
}

constants! {
    /// Longest name of a directory entry, bytes; longer is `EINVAL` from libdfs.
    DFS_MAX_NAME: usize = 255;
    DFS_MAX_PATH: usize = 4096;
    /// As the length of `dfs_punch`: truncate or extend to the offset.
    DFS_MAX_FSIZE: u64 = u64::MAX;
    DFS_DEFAULT_CHUNK_SIZE: u64 = 1 << 20;
    DFS_MAX_XATTR_NAME: usize = 255;
    DFS_MAX_XATTR_LEN: usize = 65536;
    /// `f_type` of a DAOS file system.
    DAOS_SUPER_MAGIC: u64 = 0xDA05_AD10;
    /// Consistency mode and mount flag.
    DFS_RELAXED: i32 = 0;
    /// Consistency mode and mount flag: a balanced container mounts only with it (else `EPERM`).
    DFS_BALANCED: i32 = 4;
    DFS_RDONLY: i32 = 0;
    DFS_RDWR: i32 = 2;
    DFS_SET_ATTR_MODE: i32 = 0x1;
    DFS_SET_ATTR_ATIME: i32 = 0x2;
    DFS_SET_ATTR_MTIME: i32 = 0x4;
    DFS_SET_ATTR_SIZE: i32 = 0x8;
    DFS_SET_ATTR_UID: i32 = 0x10;
    DFS_SET_ATTR_GID: i32 = 0x20;
    DAOS_PC_RO: u32 = 1;
    DAOS_PC_RW: u32 = 2;
    DAOS_PC_EX: u32 = 4;
    DAOS_COO_RO: u32 = 1;
    DAOS_COO_RW: u32 = 2;
    DAOS_COO_EX: u32 = 4;
    DAOS_COO_FORCE: u32 = 8;
    DAOS_COO_RO_MDSTATS: u32 = 0x10;
    DAOS_COO_EVICT: u32 = 0x20;
    DAOS_COO_EVICT_ALL: u32 = 0x40;
    DAOS_COO_NEW_LAYOUT: u32 = 0x80;
    DPI_SPACE: u64 = 1;
    DPI_REBUILD_STATUS: u64 = 2;
    DPI_ALL: u64 = u64::MAX;
    DAOS_EQ_WAIT: i64 = -1;
    DAOS_EQ_NOWAIT: i64 = 0;
    DAOS_EQR_COMPLETED: u32 = 1;
    DAOS_EQR_WAITING: u32 = 2;
    DAOS_EQR_ALL: u32 = 3;
    DAOS_EV_READY: u32 = 0;
    DAOS_EV_RUNNING: u32 = 1;
    DAOS_EV_COMPLETED: u32 = 2;
    DAOS_EV_ABORTED: u32 = 3;
    DAOS_EQ_DESTROY_FORCE: i32 = 1;
    DAOS_ANCHOR_TYPE_ZERO: u16 = 0;
    DAOS_ANCHOR_TYPE_HKEY: u16 = 1;
    DAOS_ANCHOR_TYPE_KEY: u16 = 2;
    DAOS_ANCHOR_TYPE_EOF: u16 = 3;
    /// Longest label of a pool or container, bytes without the NUL.
    DAOS_PROP_MAX_LABEL_LEN: usize = 127;
    DAOS_ATTR_NAME_MAX: usize = 511;
    DAOS_EPOCH_MAX: u64 = u64::MAX;
    DUNS_NO_PREFIX: u32 = 1;
    DUNS_NO_REVERSE_LOOKUP: u32 = 2;
    DUNS_NO_CHECK_PATH: u32 = 4;
    DUNS_MAX_XATTR_LEN: usize = 170;
    DAOS_PROP_CO_LAYOUT_UNKNOWN: u16 = 0;
    DAOS_PROP_CO_LAYOUT_POSIX: u16 = 1;
    DAOS_PROP_PO_LABEL: u32 = 1;
    DAOS_PROP_CO_LABEL: u32 = 0x1001;
    DAOS_PROP_CO_LAYOUT_TYPE: u32 = 0x1002;
    DAOS_PROP_CO_LAYOUT_VER: u32 = 0x1003;
    DAOS_PROP_CO_REDUN_FAC: u32 = 0x1007;
    DAOS_PROP_CO_REDUN_LVL: u32 = 0x1008;
    DAOS_PROP_CO_ACL: u32 = 0x100a;
    DAOS_PROP_CO_OWNER: u32 = 0x100d;
    DAOS_PROP_CO_OWNER_GROUP: u32 = 0x100e;
    DAOS_PROP_CO_ROOTS: u32 = 0x1011;
    DAOS_PROP_CO_STATUS: u32 = 0x1012;
    OC_S1: u32 = 0x0100_0001;
    OC_SX: u32 = 0x0100_ffff;
    OC_RP_2GX: u32 = 0x0800_ffff;
    /// First word of a serialized pool handle.
    POOL_GLOB_MAGIC: u32 = 0x16da_0386;
    /// First word of a serialized container handle.
    CONT_GLOB_MAGIC: u32 = 0x16ca_0387;
    /// First word of a serialized DFS mount.
    DFS_GLOB_MAGIC: u32 = 0xda05_df50;
    /// First word of a serialized DFS object.
    DFS_OBJ_GLOB_MAGIC: u32 = 0xdf50_0b90;
    CONT_GLOB_SIZE: usize = 120;
    /// Size of a serialized DFS mount, 2.8 and later; before it was 120.
    DFS_GLOB_SIZE: usize = 128;
    DFS_OBJ_GLOB_SIZE: usize = 344;
}

/// Name of the extended attribute that makes a directory an entry point of the unified namespace.
pub const DUNS_XATTR_NAME: &std::ffi::CStr = c"user.daos";
