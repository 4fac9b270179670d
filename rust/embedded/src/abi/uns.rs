//! The unified namespace: which pool and container a path means, by its text or by the extended
//! attribute `user.daos` of a directory on the way up.
use super::required;
use crate::error::{errno, Error, Result};
use crate::record::{is_label, uuid_from};
use daos_sys::*;
use std::ffi::{c_char, CStr, CString};

/// What a path means.
struct Meaning {
    pool: String,
    cont: String,
    /// What remains below the container's root, from its slash on.
    rel: Option<String>,
}

fn is_name(text: &str) -> bool {
    uuid_from(text).is_some() || is_label(text)
}

/// `pool/cont[/rel]` or `pool` alone.
fn direct(text: &str) -> Option<Meaning> {
    let (pool, rest) = text.split_once('/').unwrap_or((text, ""));
    let (cont, rel) = match rest.split_once('/') {
        Some((cont, rel)) => (cont, Some(format!("/{rel}"))),
        None => (rest, None),
    };
    let good = is_name(pool) && (cont.is_empty() || is_name(cont));
    good.then(|| Meaning {
        pool: pool.into(),
        cont: cont.into(),
        rel,
    })
}

/// The value of `user.daos`: `DAOS.<TYPE>://<pool uuid>/<container uuid>`, with or without NUL.
fn attribute_value(text: &str) -> Option<(u16, Meaning)> {
    let (kind, rest) = text.trim_end_matches('\0').split_once("://")?;
    let kind = match kind.strip_prefix("DAOS.")? {
        "POSIX" => DAOS_PROP_CO_LAYOUT_POSIX,
        "HDF5" => 2,
        "PYTHON" => 3,
        _ => DAOS_PROP_CO_LAYOUT_UNKNOWN,
    };
    let (pool, cont) = rest.split_once('/')?;
    (uuid_from(pool).is_some() && uuid_from(cont).is_some()).then(|| {
        (
            kind,
            Meaning {
                pool: pool.into(),
                cont: cont.into(),
                rel: None,
            },
        )
    })
}

unsafe fn fill(attr: *mut duns_attr_t, kind: u16, meaning: &Meaning) {
    let copy = |to: &mut [c_char; 128], from: &str| {
        for (to, from) in to.iter_mut().zip(from.bytes().chain([0])) {
            *to = from as c_char;
        }
    };
    // SAFETY: the caller's structure.
    unsafe {
        let attr = &mut *attr;
        attr.da_type = kind;
        copy(&mut attr.da_pool, &meaning.pool);
        copy(&mut attr.da_cont, &meaning.cont);
        attr.da_puuid = uuid_from(&meaning.pool).unwrap_or_default();
        attr.da_cuuid = uuid_from(&meaning.cont).unwrap_or_default();
        attr.da_sys = std::ptr::null_mut();
        attr.da_rel_path = match &meaning.rel {
            Some(rel) => libc::strdup(CString::new(rel.as_str()).unwrap_or_default().as_ptr()),
            None => std::ptr::null_mut(),
        };
    }
}

fn read_attribute(path: &str) -> Result<Option<String>> {
    let path = CString::new(path).or(errno(libc::EINVAL))?;
    let mut value = [0u8; DUNS_MAX_XATTR_LEN];
    // SAFETY: NUL-terminated strings and a buffer of its own length.
    let n = unsafe {
        libc::lgetxattr(
            path.as_ptr(),
            DUNS_XATTR_NAME.as_ptr(),
            value.as_mut_ptr().cast(),
            value.len(),
        )
    };
    if n >= 0 {
        return Ok(Some(
            String::from_utf8_lossy(&value[..n as usize]).into_owned(),
        ));
    }
    match Error::last() {
        Error::Errno(libc::ENODATA | libc::ENOTSUP) => Ok(None),
        other => Err(other),
    }
}

fn by_path(path: &str, upwards: bool) -> Result<(u16, Meaning)> {
    let given = CString::new(path).or(errno(libc::EINVAL))?;
    // SAFETY: a NUL-terminated path; the answer is malloc'ed and freed here.
    let real = unsafe {
        let real = libc::realpath(given.as_ptr(), std::ptr::null_mut());
        if real.is_null() {
            return Err(Error::last());
        }
        let text = CStr::from_ptr(real).to_string_lossy().into_owned();
        libc::free(real.cast());
        text
    };
    let mut at = real.as_str();
    loop {
        if let Some(value) = read_attribute(if at.is_empty() { "/" } else { at })? {
            let Some((kind, meaning)) = attribute_value(&value) else {
                return errno(libc::EINVAL);
            };
            let rel = (at.len() < real.len()).then(|| real[at.len()..].to_string());
            return Ok((kind, Meaning { rel, ..meaning }));
        }
        match at.rfind('/') {
            Some(slash) if upwards && !at.is_empty() => at = &at[..slash],
            _ => return errno(libc::ENODATA),
        }
    }
}

export_any_time! {
    /// What a path or `daos://pool/cont/rel` means. Calls libc's file functions.
    DfsLocal fn duns_resolve_path(path: *const c_char, attr: *mut duns_attr_t) {
        let attr = required(attr)?;
        let path = super::text(path)?;
        let flags = (*attr).da_flags;
        if path.len() > 7 && path[..7].eq_ignore_ascii_case("daos://") {
            let Some(meaning) = direct(&path[7..]) else {
                return errno(libc::EINVAL);
            };
            fill(attr, DAOS_PROP_CO_LAYOUT_UNKNOWN, &meaning);
            return Ok(0);
        }
        if flags & DUNS_NO_PREFIX != 0 || (*attr).da_no_prefix != 0 {
            let meaning = path.strip_prefix('/').and_then(direct);
            let any = flags & DUNS_NO_CHECK_PATH != 0;
            if let Some(meaning) = meaning.filter(|m| any || uuid_from(&m.pool).is_some() && uuid_from(&m.cont).is_some()) {
                fill(attr, DAOS_PROP_CO_LAYOUT_UNKNOWN, &meaning);
                return Ok(0);
            }
            if any {
                return errno(libc::EINVAL);
            }
        }
        let (kind, meaning) = by_path(path, flags & DUNS_NO_REVERSE_LOOKUP == 0)?;
        fill(attr, kind, &meaning);
        Ok(0)
    }

    /// The value of `user.daos` taken apart; labels are refused (`EINVAL`).
    DfsLocal fn duns_parse_attr(value: *mut c_char, len: daos_size_t, attr: *mut duns_attr_t) {
        let attr = required(attr)?;
        let value = required(value)?;
        let bytes = std::slice::from_raw_parts(value.cast::<u8>(), (len as usize).min(DUNS_MAX_XATTR_LEN));
        let text = std::str::from_utf8(bytes).or(errno(libc::EINVAL))?;
        let Some((kind, meaning)) = attribute_value(text) else {
            return errno(libc::EINVAL);
        };
        fill(attr, kind, &meaning);
        Ok(0)
    }
}

/// Frees what resolving allocated.
///
/// # Safety
/// Null or a structure that was zeroed before it was filled.
#[no_mangle]
pub unsafe extern "C" fn duns_destroy_attr(attr: *mut duns_attr_t) {
    // SAFETY: as this function asks.
    unsafe {
        if let Some(attr) = attr.as_mut() {
            libc::free(attr.da_rel_path.cast());
            libc::free(attr.da_sys.cast());
            attr.da_rel_path = std::ptr::null_mut();
            attr.da_sys = std::ptr::null_mut();
        }
    }
}
