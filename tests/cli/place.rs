//! A home of its own for whoever runs the tests or, where that is root, for an ordinary user, with the program in it.

use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::process::geteuid;
use tempfile::TempDir;

/// An ordinary user, who needs no entry anywhere.
const ORDINARY: u32 = 1000;

pub(crate) struct Place {
    folder: TempDir,
    user: u32,
}

impl Place {
    /// One for each kind of user that this process may run programs as.
    pub(crate) fn for_everybody() -> Vec<Self> {
        let me = geteuid();
        let ordinary = me.is_root().then_some(ORDINARY);
        let users = [Some(me.as_raw()), ordinary];
        users.into_iter().flatten().map(Self::new).collect()
    }

    fn new(user: u32) -> Self {
        let folder = tempfile::Builder::new()
            .prefix("mwctl-place-")
            .tempdir()
            .unwrap();
        let place = Self { folder, user };
        place.give(&place.path(""));
        // The user may not be allowed to enter the folder of the program under test.
        std::fs::copy(env!("CARGO_BIN_EXE_mwctl-dup"), place.program()).unwrap();
        place
    }

    pub(crate) fn user(&self) -> u32 {
        self.user
    }

    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    pub(crate) fn program(&self) -> PathBuf {
        self.path("mwctl")
    }

    /// The folder of a disposable cluster.
    pub(crate) fn cluster(&self, name: &str) -> PathBuf {
        self.path(".local/state/mwctl/clusters").join(name)
    }

    fn give(&self, path: &Path) {
        chown(path, Some(self.user), Some(self.user)).unwrap();
    }

    /// Writes a file, with the folders above it.
    pub(crate) fn write(&self, path: &str, content: &[u8]) {
        let mut folder = self.path("");
        for part in Path::new(path).parent().unwrap().components() {
            folder.push(part);
            std::fs::create_dir_all(&folder).unwrap();
            self.give(&folder);
        }
        std::fs::write(self.path(path), content).unwrap();
        self.give(&self.path(path));
    }

    /// Copies a folder of the repository to the same place here.
    pub(crate) fn copy(&self, repository: &Path, folder: &str) {
        for entry in std::fs::read_dir(repository.join(folder)).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            let path = format!("{folder}/{name}");
            let from = repository.join(&path);
            if from.is_dir() {
                self.copy(repository, &path);
            } else {
                self.write(&path, &std::fs::read(from).unwrap());
            }
        }
    }

    /// A program that is run here as the place's user.
    pub(crate) fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        #[expect(clippy::disallowed_methods, reason = "the program under test")]
        let mut command = Command::new(program);
        command
            .current_dir(self.path(""))
            .env_clear()
            .env("HOME", self.path(""))
            .env("TMPDIR", self.path(""))
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("MWCTL", self.program())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        if geteuid().as_raw() != self.user {
            command.uid(self.user).gid(self.user);
        }
        command
    }
}
