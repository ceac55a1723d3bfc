//! Writes the table of kinds that `mwctl-apiserver` carries: `cargo run -p mwctl-tests --bin mwctl-kinds -- --help`.
//! What it writes is a matter of [`mwctl_tests::kinds`]; here are the command line, the file and a summary.

use std::error::Error;
use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Parser;
use mwctl_tests::kinds::{self, fetch::Module};

/// The Go modules that declare the types.
const MODULES: [&str; 3] = [
    "k8s.io/api",
    "k8s.io/apimachinery",
    "k8s.io/apiextensions-apiserver",
];

/// Makes the table of kinds from a running API server and the declarations in Kubernetes' Go modules
#[derive(Debug, Parser)]
struct Arguments {
    /// The kubeconfig of the server to ask; without, what kubectl would use
    #[arg(long)]
    kubeconfig: Option<PathBuf>,
    /// The module cache of Go that has the modules of the server's version; without, `go/pkg/mod` in the home folder
    #[arg(long, env = "GOMODCACHE")]
    modules: Option<PathBuf>,
    /// The file to write
    #[arg(long, default_value = "crates/mwctl-apiserver/data/kinds.json.gz")]
    output: PathBuf,
    /// Write the table uncompressed, to be read and compared
    #[arg(long)]
    plain: bool,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse();
    let mut sources = kinds::fetch::sources(arguments.kubeconfig.as_deref()).await?;
    let cache = arguments
        .modules
        .or_else(|| Some(std::env::home_dir()?.join("go/pkg/mod")))
        .ok_or("there is no home folder: name the module cache of Go with --modules")?;
    for module in modules(&cache, &sources.version)? {
        kinds::fetch::declarations(&module, &mut sources)?;
    }
    let made = kinds::make(&sources);

    let mut text = serde_json::to_vec(&made.facts)?;
    if !arguments.plain {
        let mut packed = flate2::GzBuilder::new().write(Vec::new(), flate2::Compression::best());
        packed.write_all(&text)?;
        text = packed.finish()?;
    }
    std::fs::write(&arguments.output, &text)?;

    let mut out = std::io::stdout();
    writeln!(
        out,
        "{}: {} types, {} resources of Kubernetes {} in {} bytes",
        arguments.output.display(),
        made.facts.types.len(),
        made.facts.resources.len(),
        made.facts.version,
        text.len()
    )?;
    for field in made.unnumbered {
        writeln!(out, "no number in protobuf: {field}")?;
    }
    Ok(())
}

/// The Go modules that belong to a version of Kubernetes: `v1.34.10` has k8s.io/api `v0.34.10`.
fn modules(cache: &Path, version: &str) -> Result<Vec<Module>, Box<dyn Error>> {
    let library = version
        .strip_prefix("v1.")
        .and_then(|rest| rest.split(['+', '-']).next())
        .ok_or_else(|| format!("the server has the unknown version {version}"))?;
    MODULES
        .iter()
        .map(|module| {
            let versioned = format!("{module}@v0.{library}");
            let folder = cache.join(&versioned);
            if folder.is_dir() {
                Ok(Module {
                    folder,
                    name: module.replace("k8s.io/", "io.k8s."),
                })
            } else {
                Err(format!(
                    "{} is missing: go mod download {versioned}",
                    folder.display()
                )
                .into())
            }
        })
        .collect()
}
