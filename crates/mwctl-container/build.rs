//! Builds the zygote with a cargo of its own, in a target directory of its own beside the profiles of the outer build.
//!
//! It is static and small, whatever the program is that embeds it, so the surrounding build cannot bring it forth. Flags and
//! wrappers of that build (coverage, clippy) must not reach this one, but its registry and its jobserver do.

use std::error::Error;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

fn main() -> Result<(), Box<dyn Error>> {
    let here = PathBuf::from(variable("CARGO_MANIFEST_DIR")?);
    let out = PathBuf::from(variable("OUT_DIR")?);
    let triple = variable("TARGET")?;
    let crates = here.parent().ok_or("the crate has no parent directory")?;
    let root = crates
        .parent()
        .ok_or("the crates have no parent directory")?;
    let zygote = crates.join("mwctl-zygote");
    for input in [
        here.join("build.rs"),
        zygote.join("src"),
        zygote.join("Cargo.toml"),
        root.join("Cargo.toml"),
        root.join("Cargo.lock"),
    ] {
        println!("cargo:rerun-if-changed={}", input.display());
    }
    // The script's own directory is `…/<profile>/build/<name and hash>/out`.
    let target = out
        .ancestors()
        .nth(4)
        .ok_or("the output directory is not cargo's")?;
    let target = target.join("mwctl-zygote");
    build(&zygote, root, &target, &triple)?;
    fs::copy(
        target.join(&triple).join("agent/mwctl-zygote"),
        out.join("zygote"),
    )?;
    Ok(())
}

fn build(package: &Path, root: &Path, target: &Path, triple: &str) -> Result<(), Box<dyn Error>> {
    #[expect(
        clippy::disallowed_methods,
        reason = "a build script has no other place for it"
    )]
    let mut cargo = Command::new(variable("CARGO")?);
    cargo
        .current_dir(package)
        .args([
            "build",
            "--quiet",
            "--profile",
            "agent",
            "--bin",
            "mwctl-zygote",
            "--features",
            "program",
        ])
        .args(["--target", triple, "--target-dir"])
        .arg(target);
    for (name, _) in env::vars_os() {
        if belongs_to_the_outer_build(&name) {
            cargo.env_remove(name);
        }
    }
    // Without this the paths of this machine would be in the messages of panics.
    let remap = |from: &Path, to: &str| format!("--remap-path-prefix={}={to}", from.display());
    let mut flags = vec!["-Ctarget-feature=+crt-static".to_owned(), remap(root, ".")];
    if let Some(home) = cargo_home() {
        flags.push(remap(&home, "cargo"));
    }
    cargo.env("CARGO_ENCODED_RUSTFLAGS", flags.join("\x1f"));
    let status = cargo.status()?;
    if status.success() {
        return Ok(());
    }
    Err(format!("the zygote was not built for {triple} ({status}); it needs a C library that can be linked statically").into())
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

#[expect(
    clippy::disallowed_methods,
    reason = "cargo speaks to build scripts in no other way"
)]
fn variable(name: &str) -> Result<String, Box<dyn Error>> {
    env::var(name).map_err(|error| format!("`{name}`: {error}").into())
}
