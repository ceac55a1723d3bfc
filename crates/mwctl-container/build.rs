//! Builds the zygote with a cargo of its own.
//!
//! It is static and small, whatever the program is that embeds it, so the surrounding build cannot bring it forth.

#[path = "../mwctl-agent-bundle/build/nested.rs"]
mod nested;

use std::error::Error;
use std::{env, fs};

use nested::{Place, Program};

fn main() -> Result<(), Box<dyn Error>> {
    let place = Place::of_script("mwctl-zygote")?;
    let zygote = place.crates.join("mwctl-zygote");
    place.rerun_if_changed([zygote.join("src"), zygote.join("Cargo.toml")]);
    #[expect(
        clippy::disallowed_methods,
        reason = "cargo speaks to build scripts in no other way"
    )]
    let triple = env::var("TARGET")?;
    let program = Program {
        package: &zygote,
        binary: "mwctl-zygote",
        triple: &triple,
        options: &["--profile", "agent", "--features", "program"],
        flags: &["-Ctarget-feature=+crt-static"],
    };
    let status = program.build(&place)?;
    if !status.success() {
        return Err(format!("the zygote was not built for {triple} ({status}); it needs a C library that can be linked statically").into());
    }
    let built = place.target.join(&triple).join("agent/mwctl-zygote");
    fs::copy(built, place.out.join("zygote"))?;
    Ok(())
}
