//! DAOS's own error numbers (DER) and the errno that libdfs makes of each. Functions of libdaos
//! return them negated; functions of libdfs and libduns return a positive errno instead. The
//! mapping is a static inline of DAOS's headers and no exported symbol, so it is stated here.
use std::ffi::c_int;

macro_rules! der {
    ($($name:ident = $value:literal;)*) => {
        $(#[allow(missing_docs)] pub const $name: c_int = $value;)*

        /// Every error number by name, without its prefix.
        pub(crate) const DER: &[(&str, c_int)] = &[$((stringify!($name), $value),)*];
    };
}

der! {
    DER_NO_PERM = 1001;
    DER_NO_HDL = 1002;
    DER_INVAL = 1003;
    DER_EXIST = 1004;
    DER_NONEXIST = 1005;
    DER_UNREACH = 1006;
    DER_NOSPACE = 1007;
    DER_ALREADY = 1008;
    DER_NOMEM = 1009;
    DER_NOSYS = 1010;
    DER_TIMEDOUT = 1011;
    DER_BUSY = 1012;
    DER_AGAIN = 1013;
    DER_PROTO = 1014;
    DER_UNINIT = 1015;
    DER_TRUNC = 1016;
    DER_OVERFLOW = 1017;
    DER_CANCELED = 1018;
    DER_OOG = 1019;
    DER_HG = 1020;
    DER_UNREG = 1021;
    DER_ADDRSTR_GEN = 1022;
    DER_PMIX = 1023;
    DER_IVCB_FORWARD = 1024;
    DER_MISC = 1025;
    DER_BADPATH = 1026;
    DER_NOTDIR = 1027;
    DER_CORPC_INCOMPLETE = 1028;
    DER_NO_RAS_RANK = 1029;
    DER_NOTATTACH = 1030;
    DER_MISMATCH = 1031;
    DER_EXCLUDED = 1032;
    DER_NOREPLY = 1033;
    DER_DOS = 1034;
    DER_BAD_TARGET = 1035;
    DER_GRPVER = 1036;
    DER_HLC_SYNC = 1037;
    DER_NO_SHMEM = 1038;
    DER_HG_FATAL = 1045;
    DER_QUOTA_LIMIT = 1046;
    DER_IO = 2001;
    DER_FREE_MEM = 2002;
    DER_ENOENT = 2003;
    DER_NOTYPE = 2004;
    DER_NOSCHEMA = 2005;
    DER_NOLOCAL = 2006;
    DER_STALE = 2007;
    DER_NOTLEADER = 2008;
    DER_TGT_CREATE = 2009;
    DER_EP_RO = 2010;
    DER_EP_OLD = 2011;
    DER_KEY2BIG = 2012;
    DER_REC2BIG = 2013;
    DER_IO_INVAL = 2014;
    DER_EQ_BUSY = 2015;
    DER_DOMAIN = 2016;
    DER_SHUTDOWN = 2017;
    DER_INPROGRESS = 2018;
    DER_NOTAPPLICABLE = 2019;
    DER_NOTREPLICA = 2020;
    DER_CSUM = 2021;
    DER_DF_INVAL = 2022;
    DER_DF_INCOMPT = 2023;
    DER_REC_SIZE = 2024;
    DER_TX_RESTART = 2025;
    DER_DATA_LOSS = 2026;
    DER_OP_CANCELED = 2027;
    DER_TX_BUSY = 2028;
    DER_AGENT_INCOMPAT = 2029;
    DER_NEED_TX = 2030;
    DER_RF = 2031;
    DER_FETCH_AGAIN = 2032;
    DER_TX_UNCERTAIN = 2033;
    DER_AGENT_COMM = 2034;
    DER_ID_MISMATCH = 2035;
    DER_TGT_RETRY = 2036;
    DER_NOTSUPPORTED = 2037;
    DER_CONTROL_INCOMPAT = 2038;
    DER_NO_SERVICE = 2039;
    DER_TX_ID_REUSED = 2040;
    DER_UPDATE_AGAIN = 2041;
    DER_NVME_IO = 2042;
    DER_NO_CERT = 2043;
    DER_BAD_CERT = 2044;
    DER_VOS_PARTIAL_UPDATE = 2045;
    DER_CHKPT_BUSY = 2046;
    DER_DIV_BY_ZERO = 2047;
    DER_OVERLOAD_RETRY = 2048;
    DER_NOT_RESUME = 2049;
    DER_CONT_NONEXIST = 2050;
    DER_CONT_DESTROYING = 2051;
    DER_IGNORE = 2052;
}

/// The errno libdfs would answer for a result of libdaos: 0 stays 0, a negative DER number is
/// mapped as in DAOS 2.8, a positive number is an errno already and stays itself.
pub const fn der_to_errno(rc: c_int) -> c_int {
    if rc >= 0 {
        return rc;
    }
    match rc.saturating_neg() {
        DER_NO_PERM | DER_EP_RO | DER_EP_OLD | DER_CONT_DESTROYING => libc::EPERM,
        DER_NONEXIST | DER_ENOENT => libc::ENOENT,
        DER_INVAL | DER_NOTYPE | DER_NOSCHEMA | DER_NOLOCAL | DER_NO_HDL | DER_IO_INVAL => {
            libc::EINVAL
        }
        DER_KEY2BIG | DER_REC2BIG => libc::E2BIG,
        DER_EXIST => libc::EEXIST,
        DER_UNREACH => libc::EHOSTUNREACH,
        DER_NOSPACE => libc::ENOSPC,
        DER_ALREADY => libc::EALREADY,
        DER_NOMEM | DER_DOS => libc::ENOMEM,
        DER_TIMEDOUT => libc::ETIMEDOUT,
        DER_BUSY | DER_EQ_BUSY => libc::EBUSY,
        DER_AGAIN => libc::EAGAIN,
        DER_PROTO => libc::EPROTO,
        DER_IO => libc::EIO,
        DER_CANCELED => libc::ECANCELED,
        DER_OVERFLOW => libc::EOVERFLOW,
        DER_BADPATH | DER_NOTDIR => libc::ENOTDIR,
        DER_STALE => libc::ESTALE,
        DER_TX_RESTART => libc::ERESTART,
        DER_NOTSUPPORTED => libc::ENOTSUP,
        _ => libc::EIO,
    }
}

/// The name of a DER number of either sign (`"DER_NONEXIST"`), for log lines.
pub fn der_name(rc: c_int) -> Option<&'static str> {
    let number = rc.saturating_abs();
    DER.iter()
        .find(|(_, value)| *value == number)
        .map(|(name, _)| *name)
}

/// The number (positive) of a name with or without its prefix: `"DER_IO"`, `"IO"`.
pub fn der_from_name(name: &str) -> Option<c_int> {
    let bare = name.strip_prefix("DER_").unwrap_or(name);
    DER.iter()
        .find(|(known, _)| &known[4..] == bare)
        .map(|(_, value)| *value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mapping_is_that_of_libdfs() {
        let expected = [
            (1001, libc::EPERM),
            (2010, libc::EPERM),
            (2011, libc::EPERM),
            (2051, libc::EPERM),
            (1005, libc::ENOENT),
            (2003, libc::ENOENT),
            (1002, libc::EINVAL),
            (1003, libc::EINVAL),
            (2004, libc::EINVAL),
            (2005, libc::EINVAL),
            (2006, libc::EINVAL),
            (2014, libc::EINVAL),
            (2012, libc::E2BIG),
            (2013, libc::E2BIG),
            (1004, libc::EEXIST),
            (1006, libc::EHOSTUNREACH),
            (1007, libc::ENOSPC),
            (1008, libc::EALREADY),
            (1009, libc::ENOMEM),
            (1034, libc::ENOMEM),
            (1011, libc::ETIMEDOUT),
            (1012, libc::EBUSY),
            (2015, libc::EBUSY),
            (1013, libc::EAGAIN),
            (1014, libc::EPROTO),
            (2001, libc::EIO),
            (1018, libc::ECANCELED),
            (1017, libc::EOVERFLOW),
            (1026, libc::ENOTDIR),
            (1027, libc::ENOTDIR),
            (2007, libc::ESTALE),
            (2025, libc::ERESTART),
            (2037, libc::ENOTSUP),
        ];
        for number in (1001..=1046).chain(2001..=2052) {
            let errno = expected
                .iter()
                .find(|(n, _)| *n == number)
                .map_or(libc::EIO, |(_, e)| *e);
            assert_eq!(der_to_errno(-number), errno, "DER {number}");
        }
        assert_eq!(der_to_errno(0), 0);
        assert_eq!(der_to_errno(libc::ENOENT), libc::ENOENT);
        assert_eq!(der_to_errno(c_int::MIN), libc::EIO);
    }

    #[test]
    fn numbers_have_names() {
        assert_eq!(der_name(-1005), Some("DER_NONEXIST"));
        assert_eq!(der_from_name("IO"), Some(2001));
        assert_eq!(der_from_name("DER_NO_HDL"), Some(1002));
        assert_eq!(der_from_name("NOTHING"), None);
    }

    #[test]
    fn numbers_are_unique_and_ordered() {
        assert!(DER.windows(2).all(|pair| pair[0].1 < pair[1].1));
    }
}
