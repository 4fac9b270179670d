//! How what processes tell each other is written: numbers of fixed size, little-endian, and strings
//! behind their length. Whoever reads takes nothing for granted but the bytes' number.
use dfs::ObjectId;
use std::ffi::CString;

/// Appends numbers and strings to bytes.
pub(crate) struct Writer(pub(crate) Vec<u8>);

impl Writer {
    pub(crate) fn u32(&mut self, v: u32) {
        self.0.extend_from_slice(&v.to_le_bytes());
    }
    pub(crate) fn i32(&mut self, v: i32) {
        self.0.extend_from_slice(&v.to_le_bytes());
    }
    pub(crate) fn u64(&mut self, v: u64) {
        self.0.extend_from_slice(&v.to_le_bytes());
    }
    pub(crate) fn bytes(&mut self, v: &[u8]) {
        self.u32(v.len() as u32);
        self.0.extend_from_slice(v);
    }
    /// Pool and container, if they are known.
    pub(crate) fn names(&mut self, v: Option<&(CString, CString)>) {
        self.u32(v.is_some().into());
        if let Some((pool, cont)) = v {
            self.bytes(pool.as_bytes());
            self.bytes(cont.as_bytes());
        }
    }
}

/// Takes them off again; `None` where the bytes end too early.
pub(crate) struct Reader<'a>(pub(crate) &'a [u8]);

impl Reader<'_> {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
    fn take(&mut self, n: usize) -> Option<&[u8]> {
        let (head, tail) = self.0.split_at_checked(n)?;
        self.0 = tail;
        Some(head)
    }
    pub(crate) fn u32(&mut self) -> Option<u32> {
        Some(u32::from_le_bytes(self.take(4)?.try_into().ok()?))
    }
    pub(crate) fn i32(&mut self) -> Option<i32> {
        self.u32().map(|v| v as i32)
    }
    pub(crate) fn u64(&mut self) -> Option<u64> {
        Some(u64::from_le_bytes(self.take(8)?.try_into().ok()?))
    }
    pub(crate) fn oid(&mut self) -> Option<ObjectId> {
        Some(ObjectId {
            lo: self.u64()?,
            hi: self.u64()?,
        })
    }
    pub(crate) fn bytes(&mut self) -> Option<Vec<u8>> {
        let n = self.u32()? as usize;
        Some(self.take(n)?.to_vec())
    }
    pub(crate) fn string(&mut self) -> Option<CString> {
        CString::new(self.bytes()?).ok()
    }
    pub(crate) fn names(&mut self) -> Option<Option<(CString, CString)>> {
        Some(match self.u32()? {
            0 => None,
            _ => Some((self.string()?, self.string()?)),
        })
    }
}
