//! Transactions: a snapshot to read, or a change in the making; and the cursor that scans them.
use super::{bytes, check, ffi, val, Env};
use crate::error::Result;
use std::ptr;

/// What reading and writing transactions share.
pub struct Txn<'e> {
    pub(super) raw: *mut ffi::MDB_txn,
    pub(super) env: &'e Env,
}

/// A snapshot.
pub struct ReadTxn<'e> {
    pub(super) txn: Txn<'e>,
}

/// A change in the making. Values read from it are copied: they may move with the next change.
pub struct WriteTxn<'e> {
    pub(super) txn: Txn<'e>,
}

impl<'e> std::ops::Deref for ReadTxn<'e> {
    type Target = Txn<'e>;
    fn deref(&self) -> &Txn<'e> {
        &self.txn
    }
}

impl<'e> std::ops::Deref for WriteTxn<'e> {
    type Target = Txn<'e>;
    fn deref(&self) -> &Txn<'e> {
        &self.txn
    }
}

impl Drop for ReadTxn<'_> {
    fn drop(&mut self) {
        self.txn.env.give_back(self.txn.raw);
    }
}

impl Drop for WriteTxn<'_> {
    fn drop(&mut self) {
        if !self.txn.raw.is_null() {
            // SAFETY: a live transaction that was not committed.
            unsafe { ffi::mdb_txn_abort(self.txn.raw) };
        }
    }
}

impl Txn<'_> {
    /// The value of `key`, seen by `look` inside the map.
    pub fn get<T>(&self, key: &[u8], look: impl FnOnce(&[u8]) -> T) -> Result<Option<T>> {
        let mut key = val(key);
        let mut value = val(&[]);
        // SAFETY: a live transaction and its database; LMDB fills `value`.
        match unsafe { ffi::mdb_get(self.raw, self.env.dbi, &mut key, &mut value) } {
            ffi::MDB_NOTFOUND => Ok(None),
            rc => {
                check(rc)?;
                // SAFETY: filled just now; `look` ends before anything can change.
                Ok(Some(look(unsafe { bytes(&value) })))
            }
        }
    }

    /// True when there is such a key.
    pub fn has(&self, key: &[u8]) -> Result<bool> {
        Ok(self.get(key, |_| ())?.is_some())
    }

    /// Shows every (key, value) from `from` on that starts with `prefix`, in order, until `look`
    /// answers false.
    pub fn scan(
        &self,
        prefix: &[u8],
        from: &[u8],
        mut look: impl FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<()> {
        let cursor = Cursor::open(self)?;
        let mut op = ffi::MDB_SET_RANGE;
        let mut key = val(from);
        let mut value = val(&[]);
        loop {
            // SAFETY: a live cursor; LMDB fills key and value.
            match unsafe { ffi::mdb_cursor_get(cursor.0, &mut key, &mut value, op) } {
                ffi::MDB_NOTFOUND => return Ok(()),
                rc => check(rc)?,
            }
            // SAFETY: filled just now, and nothing changes while `look` looks.
            let (found, data) = unsafe { (bytes(&key), bytes(&value)) };
            if !found.starts_with(prefix) || !look(found, data) {
                return Ok(());
            }
            op = ffi::MDB_NEXT;
        }
    }
}

impl WriteTxn<'_> {
    /// Stores `value` under `key`, over whatever is there.
    pub fn put(&self, key: &[u8], value: &[u8]) -> Result<()> {
        self.store(key, value, 0)
    }

    /// Stores `value` under a new `key`; `EEXIST` if there is one.
    pub fn insert(&self, key: &[u8], value: &[u8]) -> Result<()> {
        self.store(key, value, ffi::MDB_NOOVERWRITE)
    }

    fn store(&self, key: &[u8], value: &[u8], flags: u32) -> Result<()> {
        let (mut key, mut value) = (val(key), val(value));
        // SAFETY: a live write transaction; LMDB copies key and value.
        check(unsafe { ffi::mdb_put(self.raw, self.env.dbi, &mut key, &mut value, flags) })
    }

    /// Removes `key`; true if it was there.
    pub fn delete(&self, key: &[u8]) -> Result<bool> {
        let mut key = val(key);
        // SAFETY: a live write transaction.
        match unsafe { ffi::mdb_del(self.raw, self.env.dbi, &mut key, ptr::null_mut()) } {
            ffi::MDB_NOTFOUND => Ok(false),
            rc => check(rc).map(|()| true),
        }
    }

    /// Removes every key that starts with `prefix`.
    pub fn delete_prefix(&self, prefix: &[u8]) -> Result<()> {
        let mut keys = Vec::new();
        self.scan(prefix, prefix, |key, _| {
            keys.push(key.to_vec());
            true
        })?;
        for key in keys {
            self.delete(&key)?;
        }
        Ok(())
    }
}

struct Cursor(*mut ffi::MDB_cursor);

impl Cursor {
    fn open(txn: &Txn<'_>) -> Result<Cursor> {
        let mut cursor = ptr::null_mut();
        // SAFETY: a live transaction and its database.
        check(unsafe { ffi::mdb_cursor_open(txn.raw, txn.env.dbi, &mut cursor) })?;
        Ok(Cursor(cursor))
    }
}

impl Drop for Cursor {
    fn drop(&mut self) {
        // SAFETY: opened by `open`, and its transaction is still alive: it is borrowed there.
        unsafe { ffi::mdb_cursor_close(self.0) }
    }
}
