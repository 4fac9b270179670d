//! The calls that make, move and remove names. Types were checked by the kernel, with what it may
//! have cached; what that could destroy (libdfs removes and replaces anything) is checked again.
use crate::container::Container;
use crate::inode::{Inode, Named};
use crate::server::{Found, Server};
use crate::{hidden, locked};
use dfs::{Access, Attr, Create, Errno, Kind, Object, Result};
use std::ffi::CStr;
use std::sync::Arc;

/// A name in a directory of a container.
struct Place<'a> {
    dir: Arc<Inode>,
    container: Arc<Container>,
    object: Arc<Object>,
    name: &'a CStr,
}

impl Place<'_> {
    fn stat(&self) -> Result<Attr> {
        self.container.fs.stat(&self.object, self.name)
    }
}

impl Server {
    fn place<'a>(&self, parent: u64, name: &'a CStr) -> Result<Place<'a>> {
        self.may_change()?;
        let dir = self.inodes.get(parent)?;
        let (container, object) = dir.directory()?;
        let container = container.clone();
        Ok(Place {
            dir,
            container,
            object,
            name,
        })
    }

    /// Creates a file, or finds the one that is there unless `exclusive`; true if it was created.
    pub fn create(
        &self,
        parent: u64,
        name: &CStr,
        mode: u32,
        exclusive: bool,
        user: (u32, u32),
    ) -> Result<(Found, bool)> {
        let place = self.place(parent, name)?;
        let (owner, _) = self.owner_in(&place.dir, user);
        let how = Create {
            mode,
            exclusive: true,
            access: Access::ReadWrite,
        };
        loop {
            match place.container.fs.create(&place.object, name, how, owner) {
                Ok(object) => {
                    let attr = object.attr()?;
                    let inode = self
                        .inodes
                        .found(&place.container, parent, name, object, &attr);
                    let mut stat = attr.stat;
                    stat.st_ino = inode.ino;
                    return Ok((Found { inode, stat }, true));
                }
                Err(Errno::EEXIST) if !exclusive => {}
                Err(e) => return Err(e),
            }
            match self.lookup(parent, name) {
                // Removed since: create it after all.
                Err(Errno::ENOENT) => {}
                other => return other.map(|found| (found, false)),
            }
        }
    }

    /// `mkdir(2)`.
    pub fn mkdir(&self, parent: u64, name: &CStr, mode: u32, user: (u32, u32)) -> Result<Found> {
        let place = self.place(parent, name)?;
        let (owner, inherits) = self.owner_in(&place.dir, user);
        let mode = match inherits {
            true => mode | libc::S_ISGID,
            false => mode,
        };
        place.container.fs.mkdir(&place.object, name, mode, owner)?;
        self.lookup(parent, name)
    }

    /// `symlink(2)`.
    pub fn symlink(
        &self,
        parent: u64,
        name: &CStr,
        target: &CStr,
        user: (u32, u32),
    ) -> Result<Found> {
        let place = self.place(parent, name)?;
        let (owner, _) = self.owner_in(&place.dir, user);
        let fs = &place.container.fs;
        fs.symlink(&place.object, name, target, owner)?;
        self.lookup(parent, name)
    }

    /// `unlink(2)`: a file that is open through us lives on without a name.
    pub fn unlink(&self, parent: u64, name: &CStr) -> Result<()> {
        let place = self.place(parent, name)?;
        let attr = place.stat()?;
        if attr.kind() == Kind::Directory {
            return Err(Errno::EISDIR);
        }
        self.remove(&place, &attr)
    }

    /// Takes a name of a file or link away.
    fn remove(&self, place: &Place<'_>, attr: &Attr) -> Result<()> {
        let Some(inode) = self.inode_of(place, attr) else {
            return place.container.fs.unlink(&place.object, place.name);
        };
        let mut state = locked(&inode.state);
        if state.opens > 0 && state.named == Named::Yes {
            let held = state.object.clone();
            let object = held.as_deref();
            hidden::hide(&place.container, &place.object, place.name, attr, object)?;
            state.named = Named::Hidden;
        } else {
            place.container.fs.unlink(&place.object, place.name)?;
            state.named = Named::Gone;
        }
        state.last = attr.stat;
        Ok(())
    }

    fn inode_of(&self, place: &Place<'_>, attr: &Attr) -> Option<Arc<Inode>> {
        let container = &place.container;
        self.inodes.known(container, attr.oid, attr.stat.st_ino)
    }

    /// `rmdir(2)`.
    pub fn rmdir(&self, parent: u64, name: &CStr) -> Result<()> {
        let place = self.place(parent, name)?;
        let attr = place.stat()?;
        if attr.kind() != Kind::Directory {
            return Err(Errno::ENOTDIR);
        }
        place.container.fs.rmdir(&place.object, name)?;
        if let Some(inode) = self.inode_of(&place, &attr) {
            let mut state = locked(&inode.state);
            state.named = Named::Gone;
            state.last = attr.stat;
        }
        Ok(())
    }

    /// `renameat2(2)` with `RENAME_NOREPLACE` or `RENAME_EXCHANGE`, else plain.
    pub fn rename(&self, from: (u64, &CStr), to: (u64, &CStr), flags: u32) -> Result<()> {
        let (source, target) = (self.place(from.0, from.1)?, self.place(to.0, to.1)?);
        if !Arc::ptr_eq(&source.container, &target.container) {
            return Err(Errno::EXDEV);
        }
        match flags {
            0 | libc::RENAME_NOREPLACE => self.move_to(&source, &target, flags != 0),
            libc::RENAME_EXCHANGE => self.exchange(&source, &target),
            _ => Err(Errno::EINVAL),
        }
    }

    fn move_to(&self, source: &Place<'_>, target: &Place<'_>, no_replace: bool) -> Result<()> {
        let fs = &source.container.fs;
        let moved = source.stat()?;
        let replaced = match target.stat() {
            Ok(attr) => Some(attr),
            Err(Errno::ENOENT) => None,
            Err(e) => return Err(e),
        };
        if no_replace && replaced.is_some() {
            return Err(Errno::EEXIST);
        }
        let victim = replaced.as_ref().filter(|to| to.oid != moved.oid);
        let victim = victim.and_then(|to| Some((to, self.inode_of(target, to)?)));
        let open = victim.as_ref().filter(|(to, inode)| {
            to.kind() == Kind::File && moved.kind() != Kind::Directory && {
                let state = locked(&inode.state);
                state.opens > 0 && state.named == Named::Yes
            }
        });
        let mut remaining = replaced.as_ref();
        if let Some((to, _)) = open {
            self.remove(target, to)?;
            remaining = None;
        }
        fs.rename(
            &source.object,
            source.name,
            &moved,
            &target.object,
            target.name,
            remaining,
            no_replace,
        )?;
        if let (Some((to, inode)), Some(_)) = (&victim, remaining) {
            let mut state = locked(&inode.state);
            state.named = Named::Gone;
            state.last = to.stat;
        }
        self.moved(target, &moved);
        Ok(())
    }

    fn exchange(&self, source: &Place<'_>, target: &Place<'_>) -> Result<()> {
        let (one, two) = (source.stat()?, target.stat()?);
        source
            .container
            .fs
            .exchange(&source.object, source.name, &target.object, target.name)?;
        self.moved(target, &one);
        self.moved(source, &two);
        Ok(())
    }

    /// An object's name now is this one: its handle is told.
    fn moved(&self, place: &Place<'_>, attr: &Attr) {
        let Some(inode) = self.inode_of(place, attr) else {
            return;
        };
        let mut state = locked(&inode.state);
        state.place = (place.dir.ino, place.name.to_owned());
        let renamed = |object: &Arc<Object>| object.renamed(&place.object, place.name);
        if state
            .object
            .as_ref()
            .map(renamed)
            .is_none_or(|r| r.is_err())
        {
            // Not told: the next lookup brings a handle that knows.
            state.place.0 = 0;
        }
    }
}
