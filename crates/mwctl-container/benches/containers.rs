//! How long containers take: `cargo bench -p mwctl-container` as root or as an ordinary user.
//!
//! Each figure is from the order to the answer, of containers of this machine's programs with limits, a network of their own and
//! the filter of system calls.

#![allow(clippy::unwrap_used, reason = "a benchmark fails where it can't go on")]
#![allow(clippy::print_stdout, reason = "its answer")]

use std::io::{BufRead, BufReader};
use std::time::{Duration, Instant};

use mwctl_container::{Container, Limits, Options, Process, Runtime, Streams, host};

const TIMES: usize = 50;
const AT_ONCE: usize = 20;

fn container(number: usize, script: &str) -> (Container, BufReader<std::io::PipeReader>) {
    let (root, mounts) = host::root();
    let (read, write) = std::io::pipe().unwrap();
    let streams = Streams {
        stdout: Some(write.into()),
        ..Streams::default()
    };
    let limits = Limits {
        memory: Some(256 << 20),
        processes: Some(100),
        ..Limits::default()
    };
    let process = Some(Process::new(["/bin/sh", "-c", script]));
    let container = Container {
        root,
        mounts,
        process,
        streams,
        limits,
        ..Container::new(format!("c{number}"))
    };
    (container, BufReader::new(read))
}

fn line(read: &mut impl BufRead) {
    let mut text = String::new();
    read.read_line(&mut text).unwrap();
    assert_eq!(text, "up\n");
}

fn show(what: &str, mut times: Vec<Duration>) {
    times.sort();
    let at = |part: usize| times[times.len() * part / 100].as_secs_f64() * 1e3;
    println!(
        "{what:24} p50 {:6.2} ms   p95 {:6.2} ms   max {:6.2} ms",
        at(50),
        at(95),
        times[times.len() - 1].as_secs_f64() * 1e3
    );
}

#[tokio::main]
async fn main() {
    let begin = Instant::now();
    let runtime = Runtime::start(Options::default()).await.unwrap();
    println!(
        "first process {:.2} ms; ids {:?}; lacks {:?}",
        begin.elapsed().as_secs_f64() * 1e3,
        runtime.ids(),
        runtime.lacks()
    );
    let (mut started, mut first, mut further, mut ended) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for number in 0..TIMES {
        let (container, mut read) = container(number, "echo up; exec sleep 1000");
        let name = container.name.clone();
        let begin = Instant::now();
        let running = runtime.run(container).await.unwrap();
        started.push(begin.elapsed());
        line(&mut read);
        first.push(begin.elapsed());
        let (again, write) = std::io::pipe().unwrap();
        let streams = Streams {
            stdout: Some(write.into()),
            ..Streams::default()
        };
        let begin = Instant::now();
        running
            .enter(Process::new(["/bin/echo", "up"]), streams)
            .await
            .unwrap();
        line(&mut BufReader::new(again));
        further.push(begin.elapsed());
        let begin = Instant::now();
        running.signal(libc::SIGKILL).await.unwrap();
        running.ended().await;
        runtime.remove(&name).await.unwrap();
        ended.push(begin.elapsed());
    }
    show("started", started);
    show("first output", first);
    show("further process, output", further);
    show("killed and removed", ended);
    let begin = Instant::now();
    let mut all = tokio::task::JoinSet::new();
    for number in 0..AT_ONCE {
        let runtime = runtime.clone();
        all.spawn(async move {
            let (container, mut read) = container(number, "echo up; exec sleep 1000");
            runtime.run(container).await.unwrap();
            tokio::task::block_in_place(|| line(&mut read));
        });
    }
    all.join_all().await;
    println!(
        "{AT_ONCE} at once, all up    {:6.2} ms",
        begin.elapsed().as_secs_f64() * 1e3
    );
    let begin = Instant::now();
    runtime.stop().await;
    println!(
        "all ended               {:6.2} ms",
        begin.elapsed().as_secs_f64() * 1e3
    );
}
