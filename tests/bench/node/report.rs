//! The section of the page that the node's figures are written to.

use mwctl_tests::performance::{self, Table};

use crate::pods::Measured;
use crate::program::{Idle, Times};
use crate::traffic::Traffic;

/// Everything that was measured.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) times: Times,
    pub(crate) idle: Idle,
    pub(crate) loopback: Traffic,
    pub(crate) ours: Measured,
    pub(crate) real: Option<Measured>,
}

impl Report {
    /// Prints it, and writes it to the page.
    pub(crate) fn write(&self) {
        performance::write("The node", &self.text());
    }

    /// Prints it alone.
    #[expect(clippy::print_stdout, reason = "a benchmark's answer")]
    pub(crate) fn show(&self) {
        println!("{}", self.text());
    }

    fn table(&self) -> Table {
        let mut table = Table::default();
        let (times, ours) = (&self.times, &self.ours);
        let none = f64::NAN;
        let echo = &self.loopback.echo;
        let twice = echo.percentile(50) * 2.0;
        table.add(
            "nothing → a sample of three is ready",
            times.sample.clone(),
            1500.0,
        );
        table.add(
            "`cluster run --grade node -- true`",
            times.run.clone(),
            100.0,
        );
        table.add("`cluster create --grade node`", times.create.clone(), none);
        table.add("`cluster delete`, with two pods", times.stop.clone(), 100.0);
        table.add(
            "Deployment created → its container runs",
            ours.running.clone(),
            40.0,
        );
        table.add(
            "Deployment of 20 created → all run",
            ours.twenty.clone(),
            150.0,
        );
        table.add("`exec true` → how it ended", ours.exec.clone(), 5.0);
        table.add(
            "a line through an open `exec`, there and back",
            ours.stream.clone(),
            none,
        );
        table.add("64 bytes there and back, loopback", echo.clone(), none);
        table.add(
            "64 bytes there and back, pod to pod",
            ours.direct.echo.clone(),
            twice,
        );
        table.add(
            "64 bytes there and back, pod to ClusterIP",
            ours.service.echo.clone(),
            twice,
        );
        if let Some(real) = &self.real {
            for (what, samples) in [
                ("Deployment created → its container runs", &real.running),
                ("Deployment of 20 created → all run", &real.twenty),
                ("`exec true` → how it ended", &real.exec),
                (
                    "a line through an open `exec`, there and back",
                    &real.stream,
                ),
                ("64 bytes there and back, pod to pod", &real.direct.echo),
                (
                    "64 bytes there and back, pod to ClusterIP",
                    &real.service.echo,
                ),
            ] {
                table.reference(what, samples.clone());
            }
        }
        table
    }

    fn text(&self) -> String {
        let loopback = self.loopback.throughput;
        let share = |traffic: &Traffic| {
            format!(
                "{:.1} ({:.2} of it)",
                traffic.throughput,
                traffic.throughput / loopback
            )
        };
        let of = |measured: &Measured| {
            let (direct, service) = (share(&measured.direct), share(&measured.service));
            format!("pod to pod {direct}, pod to ClusterIP {service}")
        };
        let real = self.real.as_ref();
        let middle = |rates: &[f64]| rates[rates.len() / 2];
        let bulk = real.map_or_else(String::new, |real| {
            format!("; on the real node {:.0}", middle(&real.bulk))
        });
        let bulk = format!("{:.0}{bulk}", middle(&self.ours.bulk));
        let real = real.map_or_else(String::new, |real| {
            format!("; on the real node {}", of(real))
        });
        format!(
            "Milliseconds on a machine with {} processors, of load {} at the end (what ran or waited in the minute before; beyond the processors, the figures \
             are those of a busy machine); `mwctl` built {}, as root; *real* is a node of Kubernetes v1.34 with containerd, runc and bridged pods \
             on the same machine, in the same run, with the same image. Written by `tests/bench/run node`.\n\n\
             {}\n\
             Throughput one way over TCP, the middle of three times 1 GiB, in Gbit/s: loopback {loopback:.1}, {}{real} (aim: at least half of the \
             loopback's). What a command writes through `exec`, the middle of five times 256 MiB, in MB/s: {bulk} (aim: at least 200).\n\n\
             An idle cluster with its node has {:.1} MB in memory, all its processes together (aim: at most 40; {:.1} where what they share counts for \
             each), and uses {:.2} % of one processor (aim: at most 0.5).\n\n\
             - *Nothing*: no cluster, no image, no state; the sample is `conventions/stacks/greeting`, two services, a helper and a job, up to the end of \
             `mwctl up`. It includes Python's own starts, one after the other where they wait for each other.\n\
             - *Runs* is what a client hears that watches the pods. They are gone a second before the next round begins.\n\
             - *There and back* is between copies of one program, in the networks of two pods or on the loopback, on one processor, while work that \
             gives way to all other keeps the processors from sleeping.\n",
            performance::processors(),
            performance::load(),
            performance::profile(),
            self.table().text(),
            of(&self.ours),
            self.idle.memory as f64 / 1024.0,
            self.idle.resident as f64 / 1024.0,
            self.idle.processor,
        )
    }
}
