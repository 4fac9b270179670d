//! The C structs of DAOS's client headers, laid out as compiled on LP64 Linux. All of them are the
//! same from 2.4 on but [`dfs_obj_info_t`], which grew twice. `struct stat`, `struct dirent` and
//! `mode_t` are the platform's own (crate `libc`).
use std::ffi::{c_char, c_int, c_void};

/// Field names and offsets of a struct, for the test that compares them with `spec/daos.tbl`.
pub trait Layout {
    /// The C name.
    const NAME: &'static str;
    /// Every named field and its offset in bytes.
    const FIELDS: &'static [(&'static str, usize)];
}

macro_rules! structs {
    ($($(#[$meta:meta])* $name:ident { $($(#[$fmeta:meta])* $field:ident: $ty:ty,)* })*) => {
        $(
            $(#[$meta])*
            #[repr(C)]
            #[derive(Clone, Copy)]
            pub struct $name { $($(#[$fmeta])* pub $field: $ty,)* }

            impl Layout for $name {
                const NAME: &'static str = stringify!($name);
                const FIELDS: &'static [(&'static str, usize)] =
                    &[$((stringify!($field), std::mem::offset_of!($name, $field)),)*];
            }

            impl $name {
                /// All bytes zero: what every DAOS structure starts from.
                pub const fn zeroed() -> $name {
                    // SAFETY: integers, arrays of them and raw pointers only; zero is a value of each.
                    unsafe { std::mem::zeroed() }
                }
            }

            impl Default for $name {
                fn default() -> $name { $name::zeroed() }
            }
        )*

        /// (name, size, fields) of every struct.
        #[cfg(test)]
        pub(crate) fn layouts() -> Vec<(&'static str, usize, &'static [(&'static str, usize)])> {
            vec![$(($name::NAME, std::mem::size_of::<$name>(), $name::FIELDS),)*]
        }
    };
}

/// A size in bytes.
pub type daos_size_t = u64;
/// An offset in bytes.
pub type daos_off_t = u64;
/// A point of a container's history.
pub type daos_epoch_t = u64;
/// An object class: how an object is spread and protected.
pub type daos_oclass_id_t = u32;
/// A server's rank.
pub type d_rank_t = u32;
/// `uuid_t` of libuuid.
pub type uuid_t = [u8; 16];
/// Completion callback of an event; called with the queue's lock held.
pub type daos_event_comp_cb_t =
    Option<unsafe extern "C" fn(arg: *mut c_void, ev: *mut daos_event_t, rc: c_int) -> c_int>;
/// Called by `dfs_iterate` for each name; a value other than 0 ends the iteration and is returned.
pub type dfs_filler_cb_t = Option<
    unsafe extern "C" fn(
        dfs: *mut dfs_t,
        obj: *mut dfs_obj_t,
        name: *const c_char,
        arg: *mut c_void,
    ) -> c_int,
>;

/// A mounted DFS container. Opaque.
#[repr(C)]
pub struct dfs_t {
    _opaque: [u8; 0],
}

/// An open DFS file, directory or symbolic link. Opaque, not reference counted.
#[repr(C)]
pub struct dfs_obj_t {
    _opaque: [u8; 0],
}

structs! {
    /// A pool, container, event queue or object handle; 0 is none.
    #[derive(PartialEq, Eq, Debug)]
    daos_handle_t {
        cookie: u64,
    }

    /// A buffer: its start, its capacity, and the bytes in use.
    d_iov_t {
        iov_buf: *mut c_void,
        iov_buf_len: u64,
        iov_len: u64,
    }

    /// A list of buffers; libdfs goes by each `iov_len`.
    d_sg_list_t {
        sg_nr: u32,
        sg_nr_out: u32,
        sg_iovs: *mut d_iov_t,
    }

    /// A place in an enumeration: all zero is the start, `da_type` 3 the end.
    daos_anchor_t {
        da_type: u16,
        da_shard: u16,
        da_flags: u32,
        da_sub_anchors: u64,
        da_buf: [u8; 104],
    }

    /// An asynchronous call. Must not move between `daos_event_init` and `daos_event_fini`.
    daos_event_t {
        /// Result: a positive errno from libdfs, a negative DER number from libdaos.
        ev_error: c_int,
        ev_private: [u64; 20],
        ev_debug: u64,
    }

    /// An object's id in its container.
    #[derive(PartialEq, Eq, Hash, Debug)]
    daos_obj_id_t {
        lo: u64,
        hi: u64,
    }

    /// A range of bytes.
    daos_range_t {
        rg_idx: daos_off_t,
        rg_len: daos_size_t,
    }

    /// The ranges of a file that one `dfs_readx` or `dfs_writex` touches.
    dfs_iod_t {
        iod_nr: daos_size_t,
        iod_rgs: *mut daos_range_t,
    }

    /// What a container is created with, and what `dfs_query` answers.
    dfs_attr_t {
        da_id: u64,
        da_chunk_size: daos_size_t,
        da_oclass_id: daos_oclass_id_t,
        da_props: *mut daos_prop_t,
        da_mode: u32,
        da_dir_oclass_id: daos_oclass_id_t,
        da_file_oclass_id: daos_oclass_id_t,
        da_hints: [c_char; 128],
    }

    /// Class and chunk size of an object. 16 bytes in 2.4, 24 in 2.6.0, 40 since 2.6.1: hand
    /// libdfs a [`dfs_obj_info_buf`].
    dfs_obj_info_t {
        doi_oclass_id: daos_oclass_id_t,
        doi_chunk_size: daos_size_t,
        doi_dir_oclass_id: daos_oclass_id_t,
        doi_file_oclass_id: daos_oclass_id_t,
        doi_oid: daos_obj_id_t,
    }

    /// What `duns_resolve_path` finds. Zero it before use; `da_sys` and `da_rel_path` are
    /// malloc'ed and freed by `duns_destroy_attr`.
    duns_attr_t {
        da_type: u16,
        da_oclass_id: daos_oclass_id_t,
        da_chunk_size: daos_size_t,
        da_props: *mut daos_prop_t,
        da_flags: u32,
        da_pool: [c_char; 128],
        da_cont: [c_char; 128],
        da_sys: *mut c_char,
        da_rel_path: *mut c_char,
        da_on_lustre: u8,
        da_no_prefix: u8,
        da_puuid: uuid_t,
        da_cuuid: uuid_t,
        da_dir_oclass_id: daos_oclass_id_t,
        da_file_oclass_id: daos_oclass_id_t,
        da_hints: [c_char; 128],
    }

    /// Bytes in all and free; index 0 is memory (SCM), 1 NVMe.
    daos_space {
        s_total: [u64; 2],
        s_free: [u64; 2],
    }

    /// Space of a pool over its targets.
    daos_pool_space {
        ps_space: daos_space,
        ps_free_min: [u64; 2],
        ps_free_max: [u64; 2],
        ps_free_mean: [u64; 2],
        ps_ntargets: u32,
        ps_padding: u32,
    }

    /// Progress of a rebuild.
    daos_rebuild_status {
        rs_version: u32,
        rs_seconds: u32,
        rs_errno: i32,
        rs_state: i32,
        rs_flags: u32,
        rs_fail_rank: u32,
        rs_toberb_obj_nr: u64,
        rs_obj_nr: u64,
        rs_rec_nr: u64,
        rs_size: u64,
    }

    /// What `daos_pool_query` answers; `pi_bits` says on input what is wanted (`DPI_*`).
    daos_pool_info_t {
        pi_uuid: uuid_t,
        pi_ntargets: u32,
        pi_nnodes: u32,
        pi_ndisabled: u32,
        pi_map_ver: u32,
        pi_leader: u32,
        pi_bits: u64,
        pi_space: daos_pool_space,
        pi_rebuild_st: daos_rebuild_status,
    }

    /// What `daos_cont_query` and `daos_cont_open` answer.
    daos_cont_info_t {
        ci_uuid: uuid_t,
        ci_lsnapshot: daos_epoch_t,
        ci_nhandles: u32,
        ci_nsnapshots: u32,
        ci_md_otime: u64,
        ci_md_mtime: u64,
    }

    /// One container in the answer of `daos_pool_list_cont`.
    daos_pool_cont_info {
        pci_uuid: uuid_t,
        pci_label: [c_char; 128],
    }

    /// A list of properties.
    daos_prop_t {
        dpp_nr: u32,
        dpp_reserv: u32,
        dpp_entries: *mut daos_prop_entry,
    }

    /// One property; the value is a number or a pointer, by type.
    daos_prop_entry {
        dpe_type: u32,
        dpe_flags: u16,
        dpe_reserv: u16,
        dpe_val: u64,
    }

    /// The roots of a POSIX container: superblock and root directory first.
    daos_prop_co_roots {
        cr_oids: [daos_obj_id_t; 4],
    }

    /// Servers' ranks.
    d_rank_list_t {
        rl_ranks: *mut d_rank_t,
        rl_nr: u32,
    }
}

/// [`dfs_obj_info_t`] with room to grow: later releases may write past the 40 bytes known here.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct dfs_obj_info_buf {
    /// What is known; zero where the release did not write it.
    pub info: dfs_obj_info_t,
    _spare: [u64; 8],
}

impl dfs_obj_info_buf {
    /// Zero bytes, as `dfs_obj_get_info` must be given.
    pub const fn zeroed() -> dfs_obj_info_buf {
        dfs_obj_info_buf {
            info: dfs_obj_info_t::zeroed(),
            _spare: [0; 8],
        }
    }
}

impl Default for dfs_obj_info_buf {
    fn default() -> Self {
        dfs_obj_info_buf::zeroed()
    }
}

impl daos_handle_t {
    /// True of a handle that was never opened.
    pub const fn is_invalid(self) -> bool {
        self.cookie == 0
    }
}

impl daos_anchor_t {
    /// True when the enumeration has come to its end (`daos_anchor_is_eof`).
    pub const fn is_eof(&self) -> bool {
        self.da_type == crate::DAOS_ANCHOR_TYPE_EOF
    }
}

impl d_iov_t {
    /// `len` bytes at `buf`, all in use (`d_iov_set`).
    pub const fn new(buf: *mut c_void, len: u64) -> d_iov_t {
        d_iov_t {
            iov_buf: buf,
            iov_buf_len: len,
            iov_len: len,
        }
    }
}
