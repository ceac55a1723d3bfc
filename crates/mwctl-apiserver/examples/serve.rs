//! Serves an empty cluster until Ctrl-C, or until the program that started it closes its standard input.
//! Prints the path of a kubeconfig: `KUBECONFIG=$(… ) kubectl get namespaces`.
#![expect(
    clippy::print_stdout,
    reason = "what an example prints is its only answer"
)]

use mwctl_apiserver::server::Server;
use tokio::io::{AsyncReadExt as _, stdin};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let endpoint = Server::new()?.listen(0).await?;
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("kubeconfig");
    endpoint.kubeconfig().write(&path, "mwctl")?;
    println!("{}", path.display());
    let (mut parent, mut rest) = (stdin(), Vec::new());
    tokio::select! {
        ended = tokio::signal::ctrl_c() => ended?,
        read = parent.read_to_end(&mut rest) => drop(read?),
    }
    Ok(())
}
