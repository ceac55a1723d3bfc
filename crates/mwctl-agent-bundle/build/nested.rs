//! A program built by a cargo of its own, in a target directory of its own beside the profiles of the outer build. A part of the
//! build scripts that carry such programs, and no crate: they need it before there is any.
//!
//! Flags and wrappers of the outer build (coverage, clippy) must not reach the inner one, but its registry and its jobserver do.

use std::env;
use std::error::Error;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};

/// Where a script runs, and where it builds.
pub(crate) struct Place {
    /// The folder of the script's crate.
    pub(crate) here: PathBuf,
    /// The folder of all crates.
    pub(crate) crates: PathBuf,
    /// The workspace.
    pub(crate) root: PathBuf,
    /// Where the script's results go.
    pub(crate) out: PathBuf,
    /// The target directory of what is built.
    pub(crate) target: PathBuf,
}

impl Place {
    /// The place of the running script, with a target directory of this name.
    pub(crate) fn of_script(name: &str) -> Result<Self, Box<dyn Error>> {
        let here = PathBuf::from(variable("CARGO_MANIFEST_DIR")?);
        let out = PathBuf::from(variable("OUT_DIR")?);
        let parent = |path: &Path| path.parent().map(Path::to_path_buf);
        let crates = parent(&here).ok_or("the crate has no parent directory")?;
        let root = parent(&crates).ok_or("the crates have no parent directory")?;
        // The script's own directory is `…/<profile>/build/<name and hash>/out`.
        let target = out
            .ancestors()
            .nth(4)
            .ok_or("the output directory is not cargo's")?
            .join(name);
        Ok(Self {
            here,
            crates,
            root,
            out,
            target,
        })
    }

    /// Runs the script again when one of these changes, the script itself, or what the whole workspace says.
    pub(crate) fn rerun_if_changed(&self, inputs: impl IntoIterator<Item = PathBuf>) {
        let own = [
            self.here.join("build.rs"),
            self.crates.join("mwctl-agent-bundle/build/nested.rs"),
            self.root.join("Cargo.toml"),
            self.root.join("Cargo.lock"),
        ];
        for input in own.into_iter().chain(inputs) {
            println!("cargo:rerun-if-changed={}", input.display());
        }
    }
}

/// A program to be built.
pub(crate) struct Program<'a> {
    /// The folder of its package.
    pub(crate) package: &'a Path,
    /// Its name.
    pub(crate) binary: &'a str,
    /// What it is built for.
    pub(crate) triple: &'a str,
    /// More arguments for cargo.
    pub(crate) options: &'a [&'a str],
    /// Flags for the compiler.
    pub(crate) flags: &'a [&'a str],
}

impl Program<'_> {
    /// Builds it, and says how cargo ended.
    pub(crate) fn build(&self, place: &Place) -> Result<ExitStatus, Box<dyn Error>> {
        #[expect(
            clippy::disallowed_methods,
            reason = "a build script has no other place for it"
        )]
        let mut cargo = Command::new(variable("CARGO")?);
        cargo
            .current_dir(self.package)
            .args(["build", "--quiet", "--bin", self.binary])
            .args(["--target", self.triple, "--target-dir"])
            .arg(&place.target)
            .args(self.options);
        for (name, _) in env::vars_os() {
            if belongs_to_the_outer_build(&name) {
                cargo.env_remove(name);
            }
        }
        // Without this the paths of this machine would be in the messages of panics, and digests would differ between two
        // checkouts.
        let remap = |from: &Path, to: &str| format!("--remap-path-prefix={}={to}", from.display());
        let mut flags: Vec<String> = self.flags.iter().map(ToString::to_string).collect();
        flags.push(remap(&place.root, "."));
        if let Some(home) = cargo_home() {
            flags.push(remap(&home, "cargo"));
        }
        cargo.env("CARGO_ENCODED_RUSTFLAGS", flags.join("\x1f"));
        Ok(cargo.status()?)
    }
}

/// What cargo and its companions set for the build that runs this script. What people set to reach their registry stays, and so
/// does the jobserver, so that both builds share the processors.
fn belongs_to_the_outer_build(name: &OsStr) -> bool {
    const KEPT: [&str; 7] = [
        "CARGO_HOME",
        "CARGO_MAKEFLAGS",
        "CARGO_NET_",
        "CARGO_HTTP_",
        "CARGO_REGISTR",
        "CARGO_SOURCE_",
        "CARGO_CACHE_",
    ];
    const REMOVED: [&str; 4] = [
        "RUSTFLAGS",
        "RUSTC_WORKSPACE_WRAPPER",
        "CLIPPY_ARGS",
        "OUT_DIR",
    ];
    let Some(name) = name.to_str() else {
        return false;
    };
    let cargos = name.starts_with("CARGO_") && !KEPT.iter().any(|kept| name.starts_with(kept));
    cargos || REMOVED.contains(&name)
}

fn cargo_home() -> Option<PathBuf> {
    let home = || Some(PathBuf::from(variable("HOME").ok()?).join(".cargo"));
    variable("CARGO_HOME").ok().map(PathBuf::from).or_else(home)
}

/// What cargo tells a build script.
#[expect(
    clippy::disallowed_methods,
    reason = "cargo speaks to build scripts in no other way"
)]
fn variable(name: &str) -> Result<String, Box<dyn Error>> {
    env::var(name).map_err(|error| format!("`{name}`: {error}").into())
}
