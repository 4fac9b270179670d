//! The table of DAOS's functions, each said once: name, symbols, signature. A required function
//! that is missing refuses the library; an optional one came with a later release (or belongs to
//! an uninstalled header) and is an `Option`. Results: `daos_*` 0 or a negative DER number,
//! `dfs_*` and `duns_*` 0 or a positive errno. All may be called from any thread at any time, but
//! for the releasing of what another thread still uses; none may be called in a fork child before
//! `daos_reinit`, nor in a signal handler.
use std::ffi::{c_void, CStr};

/// Expands `$callback!` with every function of the table: first the required ones, then the
/// optional ones, each as `name [symbol, ...] (arguments) -> result;`. The first symbol that is
/// found is bound.
#[macro_export]
macro_rules! functions {
    ($callback:ident) => {
        $callback! {
            required {
                // Life cycle.
                daos_init ["daos_init"] () -> c_int;
                daos_fini ["daos_fini"] () -> c_int;

                // Pool. Labels or UUID strings; `sys` null is the default system.
                daos_pool_connect ["daos_pool_connect2", "daos_pool_connect"] (pool: *const c_char, sys: *const c_char, flags: c_uint, poh: *mut daos_handle_t, info: *mut daos_pool_info_t, ev: *mut daos_event_t) -> c_int;
                daos_pool_disconnect ["daos_pool_disconnect"] (poh: daos_handle_t, ev: *mut daos_event_t) -> c_int;
                daos_pool_query ["daos_pool_query"] (poh: daos_handle_t, ranks: *mut *mut d_rank_list_t, info: *mut daos_pool_info_t, prop: *mut daos_prop_t, ev: *mut daos_event_t) -> c_int;
                daos_pool_local2global ["daos_pool_local2global"] (poh: daos_handle_t, glob: *mut d_iov_t) -> c_int;
                daos_pool_global2local ["daos_pool_global2local"] (glob: d_iov_t, poh: *mut daos_handle_t) -> c_int;

                // Container.
                daos_cont_open ["daos_cont_open2", "daos_cont_open"] (poh: daos_handle_t, cont: *const c_char, flags: c_uint, coh: *mut daos_handle_t, info: *mut daos_cont_info_t, ev: *mut daos_event_t) -> c_int;
                daos_cont_close ["daos_cont_close"] (coh: daos_handle_t, ev: *mut daos_event_t) -> c_int;
                daos_cont_local2global ["daos_cont_local2global"] (coh: daos_handle_t, glob: *mut d_iov_t) -> c_int;
                daos_cont_global2local ["daos_cont_global2local"] (poh: daos_handle_t, glob: d_iov_t, coh: *mut daos_handle_t) -> c_int;

                // DFS: the mount.
                dfs_mount ["dfs_mount"] (poh: daos_handle_t, coh: daos_handle_t, flags: c_int, dfs: *mut *mut dfs_t) -> c_int;
                dfs_umount ["dfs_umount"] (dfs: *mut dfs_t) -> c_int;
                dfs_local2global ["dfs_local2global"] (dfs: *mut dfs_t, glob: *mut d_iov_t) -> c_int;
                dfs_global2local ["dfs_global2local"] (poh: daos_handle_t, coh: daos_handle_t, flags: c_int, glob: d_iov_t, dfs: *mut *mut dfs_t) -> c_int;

                // DFS: objects.
                dfs_open ["dfs_open"] (dfs: *mut dfs_t, parent: *mut dfs_obj_t, name: *const c_char, mode: mode_t, flags: c_int, cid: daos_oclass_id_t, chunk_size: daos_size_t, value: *const c_char, obj: *mut *mut dfs_obj_t) -> c_int;
                dfs_release ["dfs_release"] (obj: *mut dfs_obj_t) -> c_int;
                dfs_lookup ["dfs_lookup"] (dfs: *mut dfs_t, path: *const c_char, flags: c_int, obj: *mut *mut dfs_obj_t, mode: *mut mode_t, stbuf: *mut stat) -> c_int;
                dfs_lookup_rel ["dfs_lookup_rel"] (dfs: *mut dfs_t, parent: *mut dfs_obj_t, name: *const c_char, flags: c_int, obj: *mut *mut dfs_obj_t, mode: *mut mode_t, stbuf: *mut stat) -> c_int;
                dfs_dup ["dfs_dup"] (dfs: *mut dfs_t, obj: *mut dfs_obj_t, flags: c_int, new_obj: *mut *mut dfs_obj_t) -> c_int;
                dfs_obj_local2global ["dfs_obj_local2global"] (dfs: *mut dfs_t, obj: *mut dfs_obj_t, glob: *mut d_iov_t) -> c_int;
                dfs_obj_global2local ["dfs_obj_global2local"] (dfs: *mut dfs_t, flags: c_int, glob: d_iov_t, obj: *mut *mut dfs_obj_t) -> c_int;
                dfs_obj2id ["dfs_obj2id"] (obj: *mut dfs_obj_t, oid: *mut daos_obj_id_t) -> c_int;
                dfs_get_mode ["dfs_get_mode"] (obj: *mut dfs_obj_t, mode: *mut mode_t) -> c_int;
                dfs_get_symlink_value ["dfs_get_symlink_value"] (obj: *mut dfs_obj_t, buf: *mut c_char, size: *mut daos_size_t) -> c_int;

                // DFS: data.
                dfs_read ["dfs_read"] (dfs: *mut dfs_t, obj: *mut dfs_obj_t, sgl: *mut d_sg_list_t, off: daos_off_t, read_size: *mut daos_size_t, ev: *mut daos_event_t) -> c_int;
                dfs_write ["dfs_write"] (dfs: *mut dfs_t, obj: *mut dfs_obj_t, sgl: *mut d_sg_list_t, off: daos_off_t, ev: *mut daos_event_t) -> c_int;
                dfs_get_size ["dfs_get_size"] (dfs: *mut dfs_t, obj: *mut dfs_obj_t, size: *mut daos_size_t) -> c_int;
                dfs_punch ["dfs_punch"] (dfs: *mut dfs_t, obj: *mut dfs_obj_t, offset: daos_off_t, len: daos_size_t) -> c_int;

                // DFS: names.
                dfs_readdir ["dfs_readdir"] (dfs: *mut dfs_t, obj: *mut dfs_obj_t, anchor: *mut daos_anchor_t, nr: *mut u32, dirs: *mut dirent) -> c_int;
                dfs_mkdir ["dfs_mkdir"] (dfs: *mut dfs_t, parent: *mut dfs_obj_t, name: *const c_char, mode: mode_t, cid: daos_oclass_id_t) -> c_int;
                dfs_remove ["dfs_remove"] (dfs: *mut dfs_t, parent: *mut dfs_obj_t, name: *const c_char, force: bool, oid: *mut daos_obj_id_t) -> c_int;
                dfs_move ["dfs_move"] (dfs: *mut dfs_t, parent: *mut dfs_obj_t, name: *const c_char, new_parent: *mut dfs_obj_t, new_name: *const c_char, oid: *mut daos_obj_id_t) -> c_int;

                // DFS: attributes.
                dfs_stat ["dfs_stat"] (dfs: *mut dfs_t, parent: *mut dfs_obj_t, name: *const c_char, stbuf: *mut stat) -> c_int;
                dfs_ostat ["dfs_ostat"] (dfs: *mut dfs_t, obj: *mut dfs_obj_t, stbuf: *mut stat) -> c_int;
                dfs_osetattr ["dfs_osetattr"] (dfs: *mut dfs_t, obj: *mut dfs_obj_t, stbuf: *mut stat, flags: c_int) -> c_int;
                dfs_chmod ["dfs_chmod"] (dfs: *mut dfs_t, parent: *mut dfs_obj_t, name: *const c_char, mode: mode_t) -> c_int;
                dfs_chown ["dfs_chown"] (dfs: *mut dfs_t, parent: *mut dfs_obj_t, name: *const c_char, uid: uid_t, gid: gid_t, flags: c_int) -> c_int;
                dfs_setxattr ["dfs_setxattr"] (dfs: *mut dfs_t, obj: *mut dfs_obj_t, name: *const c_char, value: *const c_void, size: daos_size_t, flags: c_int) -> c_int;
                dfs_getxattr ["dfs_getxattr"] (dfs: *mut dfs_t, obj: *mut dfs_obj_t, name: *const c_char, value: *mut c_void, size: *mut daos_size_t) -> c_int;
                dfs_listxattr ["dfs_listxattr"] (dfs: *mut dfs_t, obj: *mut dfs_obj_t, list: *mut c_char, size: *mut daos_size_t) -> c_int;
                dfs_removexattr ["dfs_removexattr"] (dfs: *mut dfs_t, obj: *mut dfs_obj_t, name: *const c_char) -> c_int;

                // Event queues. Events must not move while they are in use.
                daos_eq_create ["daos_eq_create"] (eqh: *mut daos_handle_t) -> c_int;
                daos_eq_destroy ["daos_eq_destroy"] (eqh: daos_handle_t, flags: c_int) -> c_int;
                daos_eq_poll ["daos_eq_poll"] (eqh: daos_handle_t, wait_running: c_int, timeout: i64, nevents: c_uint, events: *mut *mut daos_event_t) -> c_int;
                daos_event_init ["daos_event_init"] (ev: *mut daos_event_t, eqh: daos_handle_t, parent: *mut daos_event_t) -> c_int;
                daos_event_fini ["daos_event_fini"] (ev: *mut daos_event_t) -> c_int;
                daos_event_test ["daos_event_test"] (ev: *mut daos_event_t, timeout: i64, flag: *mut bool) -> c_int;
            }
            optional {
                // Life cycle: after fork, and which release this is.
                daos_reinit ["daos_reinit"] () -> c_int;
                daos_eq_lib_reset_after_fork ["daos_eq_lib_reset_after_fork"] () -> c_int;
                daos_eq_lib_fini ["daos_eq_lib_fini"] () -> c_int;
                daos_version_get ["daos_version_get"] (major: *mut c_int, minor: *mut c_int, fix: *mut c_int) -> c_int;

                // Events beyond the least.
                daos_eq_query ["daos_eq_query"] (eqh: daos_handle_t, query: c_uint, nevents: c_uint, events: *mut *mut daos_event_t) -> c_int;
                daos_event_register_comp_cb ["daos_event_register_comp_cb"] (ev: *mut daos_event_t, cb: daos_event_comp_cb_t, arg: *mut c_void) -> c_int;
                daos_event_abort ["daos_event_abort"] (ev: *mut daos_event_t) -> c_int;

                // Containers: creation, attributes, listing.
                daos_pool_list_cont ["daos_pool_list_cont"] (poh: daos_handle_t, ncont: *mut daos_size_t, cbuf: *mut daos_pool_cont_info, ev: *mut daos_event_t) -> c_int;
                daos_cont_create_with_label ["daos_cont_create_with_label"] (poh: daos_handle_t, label: *const c_char, prop: *mut daos_prop_t, uuid: *mut uuid_t, ev: *mut daos_event_t) -> c_int;
                daos_cont_destroy ["daos_cont_destroy2", "daos_cont_destroy"] (poh: daos_handle_t, cont: *const c_char, force: c_int, ev: *mut daos_event_t) -> c_int;
                daos_cont_query ["daos_cont_query"] (coh: daos_handle_t, info: *mut daos_cont_info_t, prop: *mut daos_prop_t, ev: *mut daos_event_t) -> c_int;
                daos_cont_list_attr ["daos_cont_list_attr"] (coh: daos_handle_t, buffer: *mut c_char, size: *mut usize, ev: *mut daos_event_t) -> c_int;
                daos_cont_get_attr ["daos_cont_get_attr"] (coh: daos_handle_t, n: c_int, names: *const *const c_char, buffers: *const *mut c_void, sizes: *mut usize, ev: *mut daos_event_t) -> c_int;
                daos_cont_set_attr ["daos_cont_set_attr"] (coh: daos_handle_t, n: c_int, names: *const *const c_char, values: *const *const c_void, sizes: *const usize, ev: *mut daos_event_t) -> c_int;
                daos_cont_del_attr ["daos_cont_del_attr"] (coh: daos_handle_t, n: c_int, names: *const *const c_char, ev: *mut daos_event_t) -> c_int;
                dfs_cont_create_with_label ["dfs_cont_create_with_label"] (poh: daos_handle_t, label: *const c_char, attr: *mut dfs_attr_t, uuid: *mut uuid_t, coh: *mut daos_handle_t, dfs: *mut *mut dfs_t) -> c_int;

                // Properties (libdaos_common).
                daos_prop_alloc ["daos_prop_alloc"] (entries: u32) -> *mut daos_prop_t;
                daos_prop_free ["daos_prop_free"] (prop: *mut daos_prop_t) -> ();
                daos_prop_entry_get ["daos_prop_entry_get"] (prop: *mut daos_prop_t, kind: u32) -> *mut daos_prop_entry;

                // DFS: mounts by label.
                dfs_init ["dfs_init"] () -> c_int;
                dfs_fini ["dfs_fini"] () -> c_int;
                dfs_connect ["dfs_connect"] (pool: *const c_char, sys: *const c_char, cont: *const c_char, flags: c_int, attr: *mut dfs_attr_t, dfs: *mut *mut dfs_t) -> c_int;
                dfs_disconnect ["dfs_disconnect"] (dfs: *mut dfs_t) -> c_int;
                dfs_query ["dfs_query"] (dfs: *mut dfs_t, attr: *mut dfs_attr_t) -> c_int;
                dfs_set_prefix ["dfs_set_prefix"] (dfs: *mut dfs_t, prefix: *const c_char) -> c_int;
                dfs_sync ["dfs_sync"] (dfs: *mut dfs_t) -> c_int;

                // DFS: objects, in fewer round trips or with more to say.
                dfs_lookupx ["dfs_lookupx"] (dfs: *mut dfs_t, parent: *mut dfs_obj_t, name: *const c_char, flags: c_int, obj: *mut *mut dfs_obj_t, mode: *mut mode_t, stbuf: *mut stat, xnr: c_int, xnames: *mut *mut c_char, xvals: *mut *mut c_void, xsizes: *mut daos_size_t) -> c_int;
                dfs_open_stat ["dfs_open_stat"] (dfs: *mut dfs_t, parent: *mut dfs_obj_t, name: *const c_char, mode: mode_t, flags: c_int, cid: daos_oclass_id_t, chunk_size: daos_size_t, value: *const c_char, obj: *mut *mut dfs_obj_t, stbuf: *mut stat) -> c_int;
                dfs_move_internal ["dfs_move_internal"] (dfs: *mut dfs_t, flags: c_uint, parent: *mut dfs_obj_t, name: *const c_char, new_parent: *mut dfs_obj_t, new_name: *const c_char, moid: *mut daos_obj_id_t, oid: *mut daos_obj_id_t) -> c_int;
                dfs_exchange ["dfs_exchange"] (dfs: *mut dfs_t, parent1: *mut dfs_obj_t, name1: *const c_char, parent2: *mut dfs_obj_t, name2: *const c_char) -> c_int;
                dfs_update_parent ["dfs_update_parent"] (obj: *mut dfs_obj_t, src_obj: *mut dfs_obj_t, name: *const c_char) -> c_int;
                dfs_update_parentfd ["dfs_update_parentfd"] (obj: *mut dfs_obj_t, new_parent: *mut dfs_obj_t, name: *const c_char) -> ();
                dfs_obj_copy_attr ["dfs_obj_copy_attr"] (dst_obj: *mut dfs_obj_t, src_obj: *mut dfs_obj_t) -> ();
                dfs_obj_get_info ["dfs_obj_get_info"] (dfs: *mut dfs_t, obj: *mut dfs_obj_t, info: *mut dfs_obj_info_t) -> c_int;
                dfs_get_chunk_size ["dfs_get_chunk_size"] (obj: *mut dfs_obj_t, chunk_size: *mut daos_size_t) -> c_int;
                dfs_obj_set_chunk_size ["dfs_obj_set_chunk_size"] (dfs: *mut dfs_t, obj: *mut dfs_obj_t, flags: c_int, csize: daos_size_t) -> c_int;
                dfs_obj_set_oclass ["dfs_obj_set_oclass"] (dfs: *mut dfs_t, obj: *mut dfs_obj_t, flags: c_int, cid: daos_oclass_id_t) -> c_int;
                dfs_ostatx ["dfs_ostatx"] (dfs: *mut dfs_t, obj: *mut dfs_obj_t, stbuf: *mut stat, ev: *mut daos_event_t) -> c_int;
                dfs_access ["dfs_access"] (dfs: *mut dfs_t, parent: *mut dfs_obj_t, name: *const c_char, mask: c_int) -> c_int;
                dfs_readx ["dfs_readx"] (dfs: *mut dfs_t, obj: *mut dfs_obj_t, iod: *mut dfs_iod_t, sgl: *mut d_sg_list_t, read_size: *mut daos_size_t, ev: *mut daos_event_t) -> c_int;
                dfs_writex ["dfs_writex"] (dfs: *mut dfs_t, obj: *mut dfs_obj_t, iod: *mut dfs_iod_t, sgl: *mut d_sg_list_t, ev: *mut daos_event_t) -> c_int;

                // DFS: directories.
                dfs_readdirplus ["dfs_readdirplus"] (dfs: *mut dfs_t, obj: *mut dfs_obj_t, anchor: *mut daos_anchor_t, nr: *mut u32, dirs: *mut dirent, stbufs: *mut stat) -> c_int;
                dfs_iterate ["dfs_iterate"] (dfs: *mut dfs_t, obj: *mut dfs_obj_t, anchor: *mut daos_anchor_t, nr: *mut u32, size: usize, op: dfs_filler_cb_t, arg: *mut c_void) -> c_int;
                dfs_dir_anchor_set ["dfs_dir_anchor_set"] (obj: *mut dfs_obj_t, name: *const c_char, anchor: *mut daos_anchor_t) -> c_int;
                dfs_obj_anchor_split ["dfs_obj_anchor_split"] (obj: *mut dfs_obj_t, nr: *mut u32, anchors: *mut daos_anchor_t) -> c_int;
                dfs_obj_anchor_set ["dfs_obj_anchor_set"] (obj: *mut dfs_obj_t, index: u32, anchor: *mut daos_anchor_t) -> c_int;

                // The unified namespace. `duns_resolve_path` calls libc's file functions.
                duns_resolve_path ["duns_resolve_path"] (path: *const c_char, attr: *mut duns_attr_t) -> c_int;
                duns_parse_attr ["duns_parse_attr"] (value: *mut c_char, len: daos_size_t, attr: *mut duns_attr_t) -> c_int;
                duns_destroy_attr ["duns_destroy_attr"] (attr: *mut duns_attr_t) -> ();
            }
        }
    };
}

macro_rules! table {
    (
        required { $($req:ident [$($rsym:literal),+] ($($rarg:ident: $rty:ty),*) -> $rret:ty;)* }
        optional { $($opt:ident [$($osym:literal),+] ($($oarg:ident: $oty:ty),*) -> $oret:ty;)* }
    ) => {
        mod signatures {
            #![allow(clippy::too_many_arguments)]
            use super::Api;
            use crate::*;
            use libc::{dirent, gid_t, mode_t, stat, uid_t};
            use std::ffi::{c_char, c_int, c_uint, c_void, CStr};

            /// libdaos, libdfs and libduns as a table of functions; each field is the C function
            /// of that name (`daos_pool_connect` and its kin: whichever symbol was found).
            #[derive(Clone, Copy)]
            #[allow(missing_docs)]
            pub struct ApiTable {
                $(pub $req: unsafe extern "C" fn($($rarg: $rty),*) -> $rret,)*
                $(pub $opt: Option<unsafe extern "C" fn($($oarg: $oty),*) -> $oret>,)*
            }

            pub(super) fn resolve(
                find: &mut dyn FnMut(&CStr) -> *mut c_void,
            ) -> Result<Api, super::MissingSymbol> {
                Ok(ApiTable {
                    $($req: {
                        let symbols: &[&str] = &[$(concat!($rsym, "\0")),+];
                        let found = super::first(symbols, find)
                            .ok_or(super::MissingSymbol { name: concat!(stringify!($req), "\0") })?;
                        // SAFETY: the symbol is DAOS's function of that name, whose type the
                        // table states; function and data pointers are alike on Linux.
                        unsafe {
                            std::mem::transmute::<*mut c_void, unsafe extern "C" fn($($rty),*) -> $rret>(found)
                        }
                    },)*
                    $($opt: {
                        let symbols: &[&str] = &[$(concat!($osym, "\0")),+];
                        super::first(symbols, find).map(|found| {
                            // SAFETY: as above.
                            unsafe {
                                std::mem::transmute::<*mut c_void, unsafe extern "C" fn($($oty),*) -> $oret>(found)
                            }
                        })
                    },)*
                })
            }
        }

        /// (name, required) of every function.
        #[cfg(test)]
        pub(crate) const FUNCTIONS: &[(&str, bool)] = &[
            $((stringify!($req), true),)*
            $((stringify!($opt), false),)*
        ];
    };
}

functions!(table);

pub use signatures::ApiTable as Api;

impl Api {
    /// Fills the table with what `find` answers for each symbol (null: not there). `find` is
    /// asked for every symbol once, the `2` names before the plain ones.
    pub fn resolve(find: &mut dyn FnMut(&CStr) -> *mut c_void) -> Result<Api, MissingSymbol> {
        signatures::resolve(find)
    }
}

/// A required function that the library does not export: too old, or not DAOS.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MissingSymbol {
    name: &'static str,
}

impl MissingSymbol {
    /// The function's name.
    pub fn name(&self) -> &'static str {
        self.name.trim_end_matches('\0')
    }
}

impl std::fmt::Display for MissingSymbol {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "no function {}", self.name())
    }
}

impl std::error::Error for MissingSymbol {}

/// The address of the first of `symbols` (each ending in NUL) that `find` knows.
fn first(symbols: &[&str], find: &mut dyn FnMut(&CStr) -> *mut c_void) -> Option<*mut c_void> {
    symbols.iter().find_map(|symbol| {
        let symbol = CStr::from_bytes_with_nul(symbol.as_bytes()).ok()?;
        Some(find(symbol)).filter(|address| !address.is_null())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::c_int;

    unsafe extern "C" fn answer() -> c_int {
        42
    }

    #[test]
    fn a_missing_required_function_is_named() {
        let error = Api::resolve(&mut |_| std::ptr::null_mut()).err();
        assert_eq!(error.map(|e| e.name()), Some("daos_init"));
    }

    #[test]
    fn optional_functions_may_be_missing() {
        let optional: Vec<&str> = FUNCTIONS.iter().filter(|f| !f.1).map(|f| f.0).collect();
        let api = Api::resolve(&mut |symbol| {
            let name = symbol.to_str().expect("symbols are ASCII");
            match optional.contains(&name) {
                true => std::ptr::null_mut(),
                false => answer as *mut c_void,
            }
        })
        .expect("all required functions are there");
        assert!(api.daos_reinit.is_none());
        // SAFETY: `answer` is what the resolver was given, with this very signature.
        assert_eq!(unsafe { (api.daos_init)() }, 42);
    }

    #[test]
    fn the_plain_name_serves_where_the_strong_one_is_missing() {
        let mut asked = Vec::new();
        let api = Api::resolve(&mut |symbol| {
            asked.push(symbol.to_owned());
            match symbol.to_bytes().ends_with(b"2") {
                true => std::ptr::null_mut(),
                false => answer as *mut c_void,
            }
        });
        assert!(api.is_ok());
        let place = |name: &CStr| asked.iter().position(|a| a.as_c_str() == name);
        assert!(place(c"daos_cont_open2") < place(c"daos_cont_open"));
    }
}
