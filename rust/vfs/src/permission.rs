//! Permission checks, which DFS leaves to its callers (Linux: `inode_permission` and friends).
//!
//! The rules are the kernel's: owner, group, supplementary groups, others, capabilities. A root of
//! a user name space has the latter over files whose owner and group have names there, no others.
//! Whose they are is read in credentials.rs.
use crate::idmap::IdMap;
use crate::Errno;
use dfs::Attr;

/// `MAY_READ` of the kernel, `R_OK` of access(2).
pub const READ: u32 = 4;
/// `MAY_WRITE`, `W_OK`.
pub const WRITE: u32 = 2;
/// `MAY_EXEC`, `X_OK`: search for directories.
pub const EXEC: u32 = 1;

const CAP_CHOWN: u32 = 0;
const CAP_DAC_OVERRIDE: u32 = 1;
const CAP_DAC_READ_SEARCH: u32 = 2;
const CAP_FOWNER: u32 = 3;
const CAP_FSETID: u32 = 4;

/// Mode, owner and group of a file: what a permission check looks at. Ids are those of the
/// initial user namespace.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Mode {
    /// `st_mode`
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
}

impl From<&Attr> for Mode {
    fn from(attr: &Attr) -> Mode {
        let s = &attr.stat;
        Mode {
            mode: s.st_mode,
            uid: s.st_uid,
            gid: s.st_gid,
        }
    }
}

impl Mode {
    /// True for a directory.
    pub fn is_dir(&self) -> bool {
        self.mode & libc::S_IFMT == libc::S_IFDIR
    }
}

/// Ids (of the initial user name space) and capabilities one check is made with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Who {
    /// User.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Capabilities in the process's own user name space.
    pub caps: u64,
}

impl Who {
    fn capable(&self, cap: u32) -> bool {
        self.caps & (1 << cap) != 0
    }
}

/// The process's identity towards files, immutable; a change makes another one.
#[derive(PartialEq, Eq, Debug)]
pub struct Ids {
    /// The file system ids, which follow the effective ones.
    pub effective: Who,
    /// The real ids.
    pub real: Who,
    /// Supplementary groups.
    pub groups: Vec<u32>,
    /// Names of users.
    pub users: IdMap,
    /// Names of groups.
    pub group_ids: IdMap,
}

/// Whose rights a check is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum As {
    /// The effective ids: every call but access(2).
    Effective,
    /// The real ids.
    Real,
}

impl Ids {
    /// Effective user and group as DAOS should store them.
    pub fn owner(&self) -> (u32, u32) {
        (self.effective.uid, self.effective.gid)
    }

    fn who(&self, whose: As) -> &Who {
        match whose {
            As::Effective => &self.effective,
            As::Real => &self.real,
        }
    }

    /// `capable_wrt_inode_uidgid` of the kernel.
    fn capable_over(&self, who: &Who, file: Mode, cap: u32) -> bool {
        who.capable(cap) && self.names_owner(file) && self.group_ids.to_inside(file.gid).is_some()
    }

    fn names_owner(&self, file: Mode) -> bool {
        self.users.to_inside(file.uid).is_some()
    }

    fn in_group(&self, who: &Who, gid: u32) -> bool {
        who.gid == gid || self.groups.contains(&gid)
    }

    /// May `mask` (of [`READ`], [`WRITE`], [`EXEC`]) be done? `EACCES` if not. Links allow all.
    pub fn check(&self, file: Mode, mask: u32, whose: As) -> Result<(), Errno> {
        let who = self.who(whose);
        if file.mode & libc::S_IFMT == libc::S_IFLNK {
            return Ok(());
        }
        let class = match () {
            () if who.uid == file.uid => file.mode >> 6,
            () if self.in_group(who, file.gid) => file.mode >> 3,
            () => file.mode,
        };
        if mask & !class & 7 == 0 || self.override_allows(who, file, mask) {
            return Ok(());
        }
        Err(Errno::EACCES)
    }

    fn override_allows(&self, who: &Who, file: Mode, mask: u32) -> bool {
        let capable = |cap| self.capable_over(who, file, cap);
        if file.is_dir() {
            return capable(CAP_DAC_OVERRIDE)
                || (mask & WRITE == 0 && capable(CAP_DAC_READ_SEARCH));
        }
        if mask == READ && capable(CAP_DAC_READ_SEARCH) {
            return true;
        }
        (mask & EXEC == 0 || file.mode & 0o111 != 0) && capable(CAP_DAC_OVERRIDE)
    }

    /// Owner of the file, or capable of acting as one.
    pub fn owns(&self, file: Mode) -> bool {
        let me = &self.effective;
        me.uid == file.uid || (me.capable(CAP_FOWNER) && self.names_owner(file))
    }

    /// True if the file may change owner at will.
    pub fn may_give_away(&self, file: Mode) -> bool {
        self.capable_over(&self.effective, file, CAP_CHOWN)
    }

    /// True if the owner may hand the file to group `gid`.
    pub fn may_take_group(&self, file: Mode, gid: u32) -> bool {
        self.may_give_away(file)
            || (self.effective.uid == file.uid
                && (gid == file.gid || self.in_group(&self.effective, gid)))
    }

    /// Writing to a file does not take its set-id bits away.
    pub fn keeps_setid(&self) -> bool {
        self.users.is_initial() && self.effective.capable(CAP_FSETID)
    }

    /// A set-group-id bit stays when the caller is of the file's group or capable.
    pub fn keeps_setgid(&self, file: Mode) -> bool {
        let me = &self.effective;
        self.in_group(me, file.gid) || self.capable_over(me, file, CAP_FSETID)
    }

    /// May an entry with attributes `victim` be removed from `dir`? `EACCES`, `EPERM` (sticky).
    pub fn may_delete(&self, dir: Mode, victim: Mode) -> Result<(), Errno> {
        self.check(dir, WRITE | EXEC, As::Effective)?;
        let me = &self.effective;
        let sticky = dir.mode & libc::S_ISVTX != 0;
        let mine = me.uid == victim.uid || me.uid == dir.uid;
        if sticky && !mine && !self.capable_over(me, victim, CAP_FOWNER) {
            return Err(Errno::EPERM);
        }
        Ok(())
    }

    /// A user id of the application's as DAOS stores it; `None` for -1, `EINVAL` for one without
    /// meaning in this user namespace.
    pub fn user_in(&self, uid: i64) -> Result<Option<u32>, Errno> {
        self.users.inward(uid)
    }

    /// As [`Ids::user_in`], for groups.
    pub fn group_in(&self, gid: i64) -> Result<Option<u32>, Errno> {
        self.group_ids.inward(gid)
    }

    /// Owner and group of a file as the application sees them.
    pub fn show(&self, stat: &mut libc::stat) {
        stat.st_uid = self.users.outward(stat.st_uid);
        stat.st_gid = self.group_ids.outward(stat.st_gid);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(uid: u32, gid: u32, groups: &[u32], caps: u64) -> Ids {
        let who = Who { uid, gid, caps };
        Ids {
            effective: who,
            real: who,
            groups: groups.to_vec(),
            users: IdMap::default(),
            group_ids: IdMap::default(),
        }
    }

    fn file(mode: u32, uid: u32, gid: u32) -> Mode {
        Mode {
            mode: libc::S_IFREG | mode,
            uid,
            gid,
        }
    }

    fn dir(mode: u32, uid: u32, gid: u32) -> Mode {
        Mode {
            mode: libc::S_IFDIR | mode,
            uid,
            gid,
        }
    }

    #[test]
    fn the_first_class_that_fits_decides() {
        let me = ids(10, 20, &[30], 0);
        assert!(me.check(file(0o077, 10, 20), READ, As::Effective).is_err());
        assert!(me.check(file(0o707, 11, 30), READ, As::Effective).is_err());
        assert!(me
            .check(file(0o070, 11, 30), READ | WRITE | EXEC, As::Effective)
            .is_ok());
        assert!(me.check(file(0o004, 11, 21), READ, As::Effective).is_ok());
    }

    #[test]
    fn root_reads_all_but_executes_only_programs() {
        let root = ids(0, 0, &[], 0x1f);
        assert!(root
            .check(file(0, 1, 1), READ | WRITE, As::Effective)
            .is_ok());
        assert_eq!(
            root.check(file(0o666, 1, 1), EXEC, As::Effective),
            Err(Errno::EACCES)
        );
        assert!(root.check(file(0o001, 1, 1), EXEC, As::Effective).is_ok());
        assert!(root
            .check(dir(0, 1, 1), WRITE | EXEC, As::Effective)
            .is_ok());
    }

    #[test]
    fn sticky_directories_protect_entries_of_others() {
        let me = ids(10, 20, &[], 0);
        let tmp = dir(0o1777, 0, 0);
        assert_eq!(me.may_delete(tmp, file(0o666, 11, 20)), Err(Errno::EPERM));
        assert!(me.may_delete(tmp, file(0o600, 10, 20)).is_ok());
        assert_eq!(
            me.may_delete(dir(0o755, 0, 0), file(0o600, 10, 20)),
            Err(Errno::EACCES)
        );
        assert!(me
            .may_delete(dir(0o1777, 10, 0), file(0o600, 11, 20))
            .is_ok());
    }

    #[test]
    fn a_root_of_a_user_namespace_owns_what_it_can_name() {
        let mut me = ids(1000, 1000, &[], 0x1f);
        me.users = IdMap::parse(b"0 1000 1\n1 100000 100\n");
        me.group_ids = IdMap::parse(b"0 1000 1\n");
        assert!(me.check(file(0, 1000, 1000), READ, As::Effective).is_ok());
        assert!(me
            .check(file(0, 100_001, 1000), READ, As::Effective)
            .is_ok());
        assert!(me.check(file(0, 100_001, 5), READ, As::Effective).is_err());
        assert!(me.check(file(0, 0, 0), READ, As::Effective).is_err());
        assert!(me.owns(file(0, 100_001, 5)) && !me.owns(file(0, 0, 1000)));
        assert!(!me.may_give_away(file(0, 0, 1000)) && !me.keeps_setid());
    }
}
