//! What nobody sends requests to over HTTP: a store, a cache, a job, a worker, and what runs at given times.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use k8s_openapi::api::batch::v1::{CronJob, Job};
use kube::api::{Api, PostParams};
use kube::runtime::wait::{await_condition, conditions};
use mwctl_tests::cluster::PATIENCE;

use crate::sample::{Sample, eventually};

/// Runs what a CronJob would run at its time, as `kubectl create job --from` does, to its end.
async fn run_now(namespace: &str, name: &str) {
    let client = kube::Client::try_default().await.unwrap();
    let cron: Api<CronJob> = Api::namespaced(client.clone(), namespace);
    let cron = cron.get(name).await.unwrap();
    let template = cron.spec.unwrap().job_template;
    let mut job = Job {
        metadata: template.metadata.unwrap_or_default(),
        spec: template.spec,
        ..Job::default()
    };
    job.metadata.name = Some("now".to_owned());
    let jobs: Api<Job> = Api::namespaced(client, namespace);
    jobs.create(&PostParams::default(), &job).await.unwrap();
    let complete = await_condition(jobs, "now", conditions::is_job_completed());
    let ended = tokio::time::timeout(PATIENCE, complete).await;
    ended.expect("the job ends").unwrap();
}

#[test]
fn a_job_fills_a_store_and_a_worker_empties_it() {
    let sample = Sample::up("queue");
    let redis =
        |command: &[&str]| sample.exec("redis", &[&["redis-cli", "--raw"], command].concat());
    let shouted = eventually("all letters are shouted", || {
        let all = redis(&["lrange", "shouted", "0", "-1"]);
        (all.lines().count() == 3).then_some(all)
    });
    assert_eq!(shouted, "A\nB\nC");

    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(run_now("queue", "nightly-local"));
    assert_eq!(redis(&["get", "nights"]), "1");

    let (forward, local) = sample.forward("memcached:0");
    let mut stream = TcpStream::connect(local).unwrap();
    stream
        .write_all(b"set greeting 0 0 5\r\nhello\r\nget greeting\r\nquit\r\n")
        .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert_eq!(answer, "STORED\r\nVALUE greeting 0 5\r\nhello\r\nEND\r\n");
    drop(forward);
    sample.down();
}
