//! The program, with a store of its own.

use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

/// A home with a store of images.
pub(crate) struct Home(TempDir);

impl Home {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self, below: &str) -> PathBuf {
        self.0.path().join(below)
    }

    /// The store's folder.
    pub(crate) fn store(&self) -> PathBuf {
        self.path(".local/share/mwctl/images")
    }

    /// Programs of the test's own go before this machine's.
    fn programs(&self) -> String {
        let own = self.path("bin");
        format!("{}:/usr/sbin:/usr/bin:/sbin:/bin", own.display())
    }

    fn command<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Command {
        #[expect(clippy::disallowed_methods, reason = "the program under test")]
        let mut command = Command::new(env!("CARGO_BIN_EXE_mwctl-dup"));
        command
            .arg0("mwctl")
            .args(arguments)
            .current_dir(self.0.path())
            .env_clear()
            .env("HOME", self.0.path())
            .env("PATH", self.programs())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    pub(crate) fn spawn<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Child {
        self.command(arguments).spawn().unwrap()
    }

    /// What a run writes, which must succeed.
    pub(crate) fn output<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> String {
        let output = self.command(arguments).output().unwrap();
        check(&output);
        String::from_utf8(output.stdout).unwrap()
    }

    /// What a run answers, which must succeed.
    pub(crate) fn answer<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Value {
        let arguments = arguments.into_iter().chain(["--output", "json"]);
        let output = self.command(arguments).output().unwrap();
        check(&output);
        serde_json::from_slice(&output.stdout).unwrap()
    }
}

impl Home {
    /// A file of the home, with the folders that lead to it.
    pub(crate) fn write(&self, path: &str, content: &str) {
        let path = self.path(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    /// What a run that succeeds says beside its answer.
    pub(crate) fn told<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> String {
        let output = self.command(arguments).output().unwrap();
        check(&output);
        String::from_utf8_lossy(&output.stderr).into_owned()
    }

    /// What a run that fails writes for people.
    pub(crate) fn failure<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> String {
        let output = self.command(arguments).output().unwrap();
        assert!(!output.status.success());
        String::from_utf8_lossy(&output.stderr).into_owned()
    }
}

impl Home {
    /// What a terminal shows of a run in which these keys are typed.
    pub(crate) fn at_terminal(&self, arguments: &str, typed: &str) -> String {
        let mut command = self.command([]);
        let program = command.get_program().to_string_lossy().into_owned();
        command = {
            // It makes a terminal of its own, and hands on what it reads.
            #[expect(
                clippy::disallowed_methods,
                reason = "the terminal of the program under test"
            )]
            let mut script = Command::new("script");
            script.args(["--quiet", "--return", "--command"]);
            script
                .arg(format!("{program} {arguments}"))
                .arg("/dev/null");
            script.current_dir(self.0.path()).env_clear();
            let variables = command.get_envs();
            script.envs(variables.filter_map(|(name, value)| Some((name, value?))));
            script.env("TERM", "xterm").env("SHELL", "/bin/sh");
            script.stdin(Stdio::piped()).stdout(Stdio::piped());
            script
        };
        let mut child = command.spawn().unwrap();
        let mut keys = child.stdin.take().unwrap();
        std::io::Write::write_all(&mut keys, typed.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        drop(keys);
        assert!(!output.status.success());
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}

fn check(output: &Output) {
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
}

/// All files below a folder.
pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_path_buf()];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            if entry.file_type().unwrap().is_dir() {
                open.push(entry.path());
            } else {
                found.push(entry.path());
            }
        }
    }
    found
}
