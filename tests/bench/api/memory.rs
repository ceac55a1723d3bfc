//! How much memory a cluster takes: idle, and after very many writes. Measured in processes of their own.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use mwctl_apiserver::server::Server;
use mwctl_tests::processes;
use serde_json::json;

use crate::report::Report;

/// All writes, and after how many the memory is looked at.
const WRITES: usize = 1_000_000;
const STEP: usize = 100_000;

/// Measures both.
#[expect(clippy::disallowed_methods, reason = "the programs that are measured")]
pub(crate) fn measure(report: &mut Report) {
    // The command's parent is the program that serves the cluster.
    let script = "sleep 3; sed -n 's/^\\(VmRSS\\|RssAnon\\):[^0-9]*//p' /proc/$PPID/status";
    let idle = std::process::Command::new(env!("CARGO_BIN_EXE_mwctl-dup"))
        .args(["cluster", "run", "--", "sh", "-c", script])
        .output()
        .expect("mwctl");
    let text = String::from_utf8_lossy(&idle.stdout);
    let sizes: Vec<u64> = text.lines().filter_map(kilobytes).collect();
    let [resident, own] = sizes[..] else {
        panic!("{idle:?}");
    };
    report.idle(resident, own);

    let mut child = std::process::Command::new(std::env::current_exe().expect("this program"))
        .args(["--writes", &WRITES.to_string()])
        .stdout(Stdio::piped())
        .spawn()
        .expect("this program");
    let lines = BufReader::new(child.stdout.take().expect("it is piped")).lines();
    let sizes: Vec<u64> = lines
        .map_while(Result::ok)
        .filter_map(|line| kilobytes(&line))
        .collect();
    assert!(
        child.wait().is_ok_and(|status| status.success()),
        "the writer ends well"
    );
    assert_eq!(sizes.len(), WRITES / STEP);
    report.growth(sizes);
}

/// Writes so often, and prints after each step how much memory this process has.
pub(crate) fn write(count: usize) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let maps: Api<ConfigMap> = Api::default_namespaced(Server::new().expect("a server").client());
        let (post, patch) = (PostParams::default(), PatchParams::default());
        let mut written = 0;
        while written < count {
            // A map is made, changed twice and deleted; a thousand of them are there at a time.
            let number = written / 4;
            let name = format!("map-{}", number % 1000);
            let map = json!({"metadata": {"name": name}, "data": {"number": number.to_string(), "rest": "x".repeat(200)}});
            let map = serde_json::from_value(map).expect("a ConfigMap");
            if number >= 1000 {
                maps.delete(&name, &DeleteParams::default()).await.expect("a deletion");
            }
            maps.create(&post, &map).await.expect("a creation");
            for change in 0..2 {
                let merge = Patch::Merge(json!({"data": {"change": format!("{number}-{change}")}}));
                maps.patch(&name, &patch, &merge).await.expect("a change");
            }
            written += 4;
            if written.is_multiple_of(STEP) {
                let size = processes::resident(std::process::id()).expect("a size");
                tell(&format!("{size} kB"));
            }
        }
    });
}

#[expect(clippy::print_stdout, reason = "its parent reads it")]
fn tell(line: &str) {
    println!("{line}");
}

/// Reads `1234 kB`.
fn kilobytes(text: &str) -> Option<u64> {
    text.trim().strip_suffix("kB")?.trim().parse().ok()
}
