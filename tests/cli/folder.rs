//! A folder of its own for each transcript, which is also its home; nothing of the machine is seen.

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

    /// Where commands are run; its name is part of what they say.
    fn work(&self) -> std::path::PathBuf {
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

    pub(crate) fn spawn<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Child {
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
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }

    /// What a run wrote and how it ended.
    pub(crate) fn mwctl<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> String {
        let output = self.spawn(arguments).wait_with_output().unwrap();
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
