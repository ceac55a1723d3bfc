//! Builds the agent and its loader with a cargo of its own (which the outer build may run under several hashes of this script),
//! and packs the agent.
//!
//! The agent has another profile (small), other flags (static) and, on another machine, another target
//! than the program that embeds it, so the surrounding build cannot bring it forth. Nothing is downloaded that the surrounding
//! build doesn't need itself. Cargo looks at times of files: after a switch between branches this may
//! run without need, which takes a moment, since the inner cargo finds its own work done.

#[path = "build/nested.rs"]
mod nested;

use std::error::Error;
use std::fs;

use lz4::block::CompressionMode;

use nested::{Place, Program};

const TARGET: &str = "x86_64-unknown-linux-gnu";

fn main() -> Result<(), Box<dyn Error>> {
    let place = Place::of_script("mwctl-agent-bundle")?;
    let agent = place.crates.join("mwctl-agent");
    let loader = agent.join("loader");
    place.rerun_if_changed([agent.join("src"), agent.join("Cargo.toml"), loader.clone()]);
    build(
        &place,
        &Program {
            package: &agent,
            binary: "mwctl-agent",
            triple: TARGET,
            options: &[
                "--no-default-features",
                "--features",
                "agent",
                "--profile",
                "agent",
            ],
            flags: &["-Ctarget-feature=+crt-static"],
        },
    )?;
    build(
        &place,
        &Program {
            package: &loader,
            binary: "mwctl-agent-loader",
            triple: TARGET,
            options: &["--release"],
            flags: &["-Crelocation-model=static"],
        },
    )?;

    let built = place.target.join(TARGET);
    let agent = fs::read(built.join("agent/mwctl-agent"))?;
    let loader = fs::read(built.join("release/mwctl-agent-loader"))?;
    // The slowest way of packing saves a fifth, and is unpacked as fast as any. It puts the length,
    // four bytes little-endian, before the block.
    let packed = lz4::block::compress(&agent, Some(CompressionMode::HIGHCOMPRESSION(12)), true)?;
    let mut hasher = blake3::Hasher::new();
    hasher.update(&loader).update(&packed);
    println!("cargo:rustc-env=MWCTL_AGENT_DIGEST={}", hasher.finalize());
    fs::write(place.out.join("agent"), loader)?;
    fs::write(place.out.join("agent.lz4"), packed)?;
    Ok(())
}

fn build(place: &Place, program: &Program<'_>) -> Result<(), Box<dyn Error>> {
    let status = program.build(place)?;
    if status.success() {
        return Ok(());
    }
    let binary = program.binary;
    Err(format!(
        "`{binary}` was not built for {TARGET} ({status}); if that target is missing, type \
         `rustup target add {TARGET}` and install a C compiler that links for it"
    )
    .into())
}
