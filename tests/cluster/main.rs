//! What only a real cluster can show: the program, run as a person runs it, against the test bed.
//!
//! One file per behaviour; `tests/cluster/run` starts the bed, and this.

mod commands;
mod dependencies;
mod deploy;
mod describe;
mod diagnosis;
mod edit;
mod failure;
mod guides;
mod leave;
mod mathoid;
mod moments;
mod mount;
mod outage;
mod recipe;
mod rendered;
mod replace;
#[path = "../conventions/scenarios.rs"]
mod scenarios;
#[path = "../conventions/served.rs"]
mod served;

use mwctl_tests::cluster::TestCluster;

/// A namespace of the test's own, and in its folder a service of twenty lines without dependencies.
fn plain(test: &str) -> TestCluster {
    cluster(test, "plain")
}

fn cluster(test: &str, fixture: &str) -> TestCluster {
    TestCluster::new(env!("CARGO_BIN_EXE_mwctl-dup"), test, fixture)
}
