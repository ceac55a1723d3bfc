//! A folder of its own for each transcript, which is also its home; nothing of the machine is seen.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

pub(crate) struct Folder {
    directory: TempDir,
}

impl Folder {
    pub(crate) fn new() -> Self {
        let directory = tempfile::Builder::new()
            .prefix("mwctl-cli-")
            .tempdir()
            .unwrap();
        std::fs::create_dir(directory.path().join("teller")).unwrap();
        Self { directory }
    }

    /// The home directory of whoever runs the program here.
    pub(crate) fn home(&self) -> String {
        self.directory.path().to_str().unwrap().to_owned()
    }

    /// Where disposable clusters are described.
    pub(crate) fn clusters(&self) -> Vec<String> {
        let folder = self.directory.path().join(".local/state/mwctl/clusters");
        let entries = std::fs::read_dir(folder).unwrap();
        entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect()
    }

    /// Where commands are run; its name is part of what they say.
    pub(crate) fn work(&self) -> std::path::PathBuf {
        self.directory.path().join("teller")
    }

    /// The same with one more file; one whose path starts with a dot goes into the home.
    pub(crate) fn file(self, path: &str, content: &str) -> Self {
        let base = if path.starts_with('.') {
            self.directory.path().to_owned()
        } else {
            self.work()
        };
        let path = base.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
        self
    }

    /// The same with a program on its path: a script of the shell.
    pub(crate) fn program(self, name: &str, script: &str) -> Self {
        let path = self.directory.path().join(name);
        std::fs::write(&path, format!("#!/bin/sh\nPATH=/usr/bin:/bin\n{script}\n")).unwrap();
        std::fs::set_permissions(path, PermissionsExt::from_mode(0o755)).unwrap();
        self
    }

    /// What a file of the place where commands are run says, if it is there.
    pub(crate) fn text(&self, path: &str) -> Option<String> {
        std::fs::read_to_string(self.work().join(path)).ok()
    }

    /// The names in a folder of the place where commands are run.
    pub(crate) fn names(&self, path: &str) -> Vec<String> {
        let entries = std::fs::read_dir(self.work().join(path)).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.collect()
    }

    pub(crate) fn spawn<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Child {
        self.spawn_reading(Stdio::null(), arguments)
    }

    /// The same, reading from somewhere.
    pub(crate) fn spawn_reading<'a>(
        &self,
        input: Stdio,
        arguments: impl IntoIterator<Item = &'a str>,
    ) -> Child {
        self.command(arguments).stdin(input).spawn().unwrap()
    }

    fn command<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Command {
        #[expect(clippy::disallowed_methods, reason = "the program under test")]
        let mut command = Command::new(env!("CARGO_BIN_EXE_mwctl-dup"));
        command
            .arg0("mwctl")
            .args(arguments)
            .current_dir(self.work())
            .env_clear()
            .env("HOME", self.directory.path())
            .env("TMPDIR", self.directory.path())
            .env("PATH", self.directory.path())
            .env("USER", "tester")
            .env("COLUMNS", "100")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// The same as [`Self::mwctl`], with variables.
    pub(crate) fn mwctl_with<'a>(
        &self,
        variables: &[(&str, &str)],
        arguments: impl IntoIterator<Item = &'a str>,
    ) -> String {
        let mut command = self.command(arguments);
        command.envs(variables.iter().copied());
        self.transcript(&command.output().unwrap())
    }

    /// What a run wrote and how it ended.
    pub(crate) fn mwctl<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> String {
        self.transcript(&self.spawn(arguments).wait_with_output().unwrap())
    }

    fn transcript(&self, output: &std::process::Output) -> String {
        let mut transcript = self.plain(&output.stdout);
        if !output.stderr.is_empty() {
            transcript.push_str("-- stderr --\n");
            transcript.push_str(&self.plain(&output.stderr));
        }
        let code = output.status.code().unwrap();
        transcript + &format!("[exit status: {code}]\n")
    }

    /// Text in which this folder has a name that is the same each time.
    fn plain(&self, bytes: &[u8]) -> String {
        let home: &Path = self.directory.path();
        let canonical = home.canonicalize().unwrap();
        let text = String::from_utf8_lossy(bytes)
            .replace(canonical.to_str().unwrap(), "HOME")
            .replace(home.to_str().unwrap(), "HOME");
        // The checkout's mark is made from the folder's path, which is another one each time.
        let mut parts = text.split("mwctl/worktree: ");
        let mut plain = parts.next().unwrap().to_owned();
        for part in parts {
            let (_mark, rest) = part.split_once('\n').unwrap();
            plain.push_str("mwctl/worktree: WORKTREE\n");
            plain.push_str(rest);
        }
        plain
    }
}
