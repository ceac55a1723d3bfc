//! What the node of the embedded cluster costs, beside a real node and the loopback in the same run.
//!
//! `tests/bench/run node` starts a bed and this, which prints what it found and writes it to its section of
//! `docs/reference/performance.md`. It judges nothing: the gate is a reader. Root is needed, to enter the pods' network.

#[path = "node/pods.rs"]
mod pods;
#[path = "node/program.rs"]
mod program;
#[path = "node/report.rs"]
mod report;
#[path = "node/traffic.rs"]
mod traffic;

use kube::config::Kubeconfig;
use mwctl_tests::performance;

use pods::Pods;
use program::Home;
use report::Report;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    // The parts of this program that run in a pod's network.
    if let Some(at) = arguments.iter().position(|word| word == traffic::PART) {
        traffic::take_part(&arguments[at + 1..]);
        return;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    // Quick, for whoever works on it: without the real one, and nothing is written.
    let alone = arguments.iter().any(|word| word == "--alone");
    let real = (!alone).then(performance::real::kubeconfig);
    let report = runtime.block_on(measure(real));
    if alone {
        report.show();
    } else {
        report.write();
    }
}

async fn measure(real: Option<Kubeconfig>) -> Report {
    let home = Home::new();
    let image = home.import();
    let times = program::times(&home, &image).await;
    let cluster = home.create("bench");
    let idle = cluster.idle();
    let loopback = traffic::loopback();
    let ours = Pods::new(cluster.kubeconfig(), &image)
        .await
        .measure()
        .await;
    drop(cluster);
    let real = match real {
        Some(kubeconfig) => {
            let pods = Pods::new(kubeconfig, &image).await;
            let measured = pods.measure().await;
            pods.end().await;
            Some(measured)
        }
        None => None,
    };
    Report {
        times,
        idle,
        loopback,
        ours,
        real,
    }
}
