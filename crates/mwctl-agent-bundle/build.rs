//! Builds the agent and its loader with a cargo of its own, in a target directory of its own beside the
//! profiles of the outer build (which may run this script under several hashes), and packs the agent.
//!
//! The agent has another profile (small), other flags (static) and, on another machine, another target
//! than the program that embeds it, so the surrounding build cannot bring it forth. Flags and wrappers
//! of that build (coverage, clippy) must not reach this one. Nothing is downloaded that the surrounding
//! build doesn't need itself. Cargo looks at times of files: after a switch between branches this may
//! run without need, which takes a moment, since the inner cargo finds its own work done.

use std::error::Error;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use lz4::block::CompressionMode;

const TARGET: &str = "x86_64-unknown-linux-gnu";

fn main() -> Result<(), Box<dyn Error>> {
    let here = PathBuf::from(variable("CARGO_MANIFEST_DIR")?);
    let out = PathBuf::from(variable("OUT_DIR")?);
    let crates = here.parent().ok_or("the crate has no parent directory")?;
    let root = crates
        .parent()
        .ok_or("the crates have no parent directory")?;
    let agent = crates.join("mwctl-agent");
    let loader = agent.join("loader");
    for input in [
        here.join("build.rs"),
        agent.join("src"),
        agent.join("Cargo.toml"),
        loader.clone(),
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
    let target = target.join("mwctl-agent-bundle");
    let options = [
        "--no-default-features",
        "--features",
        "agent",
        "--profile",
        "agent",
    ];
    build(
        &agent,
        root,
        &target,
        "mwctl-agent",
        &options,
        &["-Ctarget-feature=+crt-static"],
    )?;
    build(
        &loader,
        root,
        &target,
        "mwctl-agent-loader",
        &["--release"],
        &["-Crelocation-model=static"],
    )?;

    let built = target.join(TARGET);
    let agent = fs::read(built.join("agent/mwctl-agent"))?;
    let loader = fs::read(built.join("release/mwctl-agent-loader"))?;
    // The slowest way of packing saves a fifth, and is unpacked as fast as any. It puts the length,
    // four bytes little-endian, before the block.
    let packed = lz4::block::compress(&agent, Some(CompressionMode::HIGHCOMPRESSION(12)), true)?;
    let mut hasher = blake3::Hasher::new();
    hasher.update(&loader).update(&packed);
    println!("cargo:rustc-env=MWCTL_AGENT_DIGEST={}", hasher.finalize());
    fs::write(out.join("agent"), loader)?;
    fs::write(out.join("agent.lz4"), packed)?;
    Ok(())
}

fn build(
    package: &Path,
    root: &Path,
    target: &Path,
    binary: &str,
    options: &[&str],
    flags: &[&str],
) -> Result<(), Box<dyn Error>> {
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
            "--target",
            TARGET,
            "--bin",
            binary,
            "--target-dir",
        ])
        .arg(target)
        .args(options);
    for (name, _) in env::vars_os() {
        if belongs_to_the_outer_build(&name) {
            cargo.env_remove(name);
        }
    }
    // Without this the paths of this machine would be in the messages of panics, and the digest would
    // differ between two checkouts.
    let remap = |from: &Path, to: &str| format!("--remap-path-prefix={}={to}", from.display());
    let mut flags: Vec<String> = flags.iter().map(ToString::to_string).collect();
    flags.push(remap(root, "."));
    if let Some(home) = cargo_home() {
        flags.push(remap(&home, "cargo"));
    }
    cargo.env("CARGO_ENCODED_RUSTFLAGS", flags.join("\x1f"));
    let status = cargo.status()?;
    if status.success() {
        return Ok(());
    }
    Err(format!(
        "`{binary}` was not built for {TARGET} ({status}); if that target is missing, type \
         `rustup target add {TARGET}` and install a C compiler that links for it"
    )
    .into())
}

/// What cargo and its companions set for the build that runs this script. What people set to reach
/// their registry stays, and so does the jobserver, so that both builds share the processors.
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
