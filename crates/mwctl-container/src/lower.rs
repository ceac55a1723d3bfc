//! From what a caller describes to what the zygote is told: files become places in a list, and paths become mounts where the
//! zygote may not enter them.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;

use mwctl_zygote::protocol::{self, Entry, Mount, Passed, Root, Source, Upper};
use mwctl_zygote::resolve::open_or_make_below;
use mwctl_zygote::socket::MOST_DESCRIPTORS;
use rustix::fs::{CWD, FileType, Gid, Mode, OFlags, Uid, fchown, fstat, openat};
use rustix::mount::{OpenTreeFlags, open_tree};

use crate::container::{Join, Streams};
use crate::ids::Ids;
use crate::system;

/// The files that go with an order.
#[derive(Debug, Default)]
pub(crate) struct Files(Vec<Kept>);

#[derive(Debug)]
enum Kept {
    Own(OwnedFd),
    Shared(Arc<OwnedFd>),
}

impl Files {
    pub(crate) fn own(&mut self, file: impl Into<OwnedFd>) -> io::Result<Passed> {
        self.keep(Kept::Own(file.into()))
    }

    pub(crate) fn shared(&mut self, file: Arc<OwnedFd>) -> io::Result<Passed> {
        self.keep(Kept::Shared(file))
    }

    fn keep(&mut self, file: Kept) -> io::Result<Passed> {
        // One is left for a message that is too long for a packet.
        if self.0.len() + 1 >= MOST_DESCRIPTORS {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "too many layers and mounts for one container",
            ));
        }
        let place = u8::try_from(self.0.len()).map_err(io::Error::other)?;
        self.0.push(file);
        Ok(Passed(place))
    }

    pub(crate) fn list(&self) -> Vec<BorrowedFd<'_>> {
        self.0.iter().map(Kept::borrow).collect()
    }
}

impl Kept {
    fn borrow(&self) -> BorrowedFd<'_> {
        match self {
            Self::Own(file) => file.as_fd(),
            Self::Shared(file) => file.as_fd(),
        }
    }
}

/// How paths become what the zygote can use.
#[derive(Debug)]
pub(crate) enum Paths {
    /// The zygote has the caller's own rights.
    Known,
    /// It hasn't: each becomes a mount whose files belong to whom this user namespace says.
    Opened {
        /// The zygote's.
        user_namespace: File,
    },
}

/// The streams, which their container may open again (`/dev/stdout`): its root owns the pipes.
pub(crate) fn streams(
    streams: Streams,
    ids: Ids,
    files: &mut Files,
) -> io::Result<protocol::Streams> {
    if let Ids::Range { first, .. } = ids {
        for stream in [&streams.stdin, &streams.stdout, &streams.stderr]
            .into_iter()
            .flatten()
        {
            if FileType::from_raw_mode(fstat(stream)?.st_mode) == FileType::Fifo {
                fchown(
                    stream,
                    Some(Uid::from_raw(first)),
                    Some(Gid::from_raw(first)),
                )?;
            }
        }
    }
    Ok(protocol::Streams {
        stdin: streams.stdin.map(|file| files.own(file)).transpose()?,
        stdout: streams.stdout.map(|file| files.own(file)).transpose()?,
        stderr: streams.stderr.map(|file| files.own(file)).transpose()?,
        terminal: streams.terminal,
    })
}

pub(crate) fn join(join: Join, files: &mut Files) -> io::Result<protocol::Join> {
    Ok(protocol::Join {
        network: join.network.map(|file| files.shared(file)).transpose()?,
        host_network: join.host_network,
        ipc: join.ipc.map(|file| files.shared(file)).transpose()?,
        uts: join.uts.map(|file| files.shared(file)).transpose()?,
        processes_of: join.processes.map(|running| running.order()),
    })
}

impl Paths {
    pub(crate) fn root(&self, mut root: Root, files: &mut Files) -> io::Result<Root> {
        for layer in &mut root.layers {
            self.lower(&mut layer.source, None, files)?;
        }
        if let Upper::Directory(source) = &mut root.upper {
            self.lower(source, None, files)?;
        }
        Ok(root)
    }

    pub(crate) fn mounts(
        &self,
        mut mounts: Vec<Mount>,
        files: &mut Files,
    ) -> io::Result<Vec<Mount>> {
        for mount in &mut mounts {
            if let Entry::Bind(bind) = &mut mount.entry
                && let Source::Path(_) = bind.source
            {
                let below = bind.below.clone();
                let below = below.as_deref().map(|below| (below, bind.directory));
                if self.lower(&mut bind.source, below, files)? {
                    bind.below = None;
                }
            }
        }
        Ok(mounts)
    }

    fn lower(
        &self,
        source: &mut Source,
        below: Option<(&Path, bool)>,
        files: &mut Files,
    ) -> io::Result<bool> {
        let (Self::Opened { user_namespace }, Source::Path(path)) = (self, &*source) else {
            return Ok(false);
        };
        let tree = tree(path, below, user_namespace).map_err(|error| {
            io::Error::new(
                error.kind(),
                format!("cannot mount {}: {error}", path.display()),
            )
        })?;
        *source = Source::Tree(files.own(tree)?);
        Ok(true)
    }
}

/// A mount of the path that is nowhere yet, with translated owners where its file system can do that (Linux 5.12; not all file
/// systems can). Where it can't, root's files are nobody's in the container: they can be read as far as everybody may.
fn tree(path: &Path, below: Option<(&Path, bool)>, user_namespace: &File) -> io::Result<OwnedFd> {
    let clone = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_RECURSIVE;
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let mut opened = openat(CWD, path, flags, Mode::empty())?;
    if let Some((below, folder)) = below {
        opened = open_or_make_below(&opened, below, folder).map_err(|(_, error)| error)?;
    }
    let whole = open_tree(&opened, "", clone | OpenTreeFlags::AT_EMPTY_PATH)?;
    // A copy of a shared mount is one of its peers, which most machines' mounts are, and no such mount can become anybody's root.
    system::make_private(whole.as_fd())?;
    for recursive in [true, false] {
        match system::translate_owners(whole.as_fd(), user_namespace.as_fd(), recursive) {
            Ok(()) => break,
            Err(error) => {
                tracing::debug!(path = %path.display(), recursive, "owners aren't translated: {error}");
            }
        }
    }
    Ok(whole)
}
