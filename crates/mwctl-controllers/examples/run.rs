//! Runs the controllers against the cluster of the kubeconfig, until interrupted.
//!
//! `KUBECONFIG=… cargo run -p mwctl-controllers --example run -- --simulate-pods`. Never beside a cluster's own controllers: two of a kind
//! would both act.

use anyhow::Context;
use kube::Client;
use mwctl_controllers::{Controllers, Options};

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let simulate = std::env::args().any(|argument| argument == "--simulate-pods");
    let client = Client::try_default().await.context("no cluster")?;
    let options = Options::default().simulate_pods(simulate);
    let controllers = Controllers::start(client, options).await?;
    tokio::signal::ctrl_c().await?;
    controllers.shutdown().await;
    Ok(())
}
