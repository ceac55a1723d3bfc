//! What a network carries: small messages there and back, and as much as it can one way. This program starts copies of itself in the
//! networks of pods, so that nothing but the network differs from the loopback.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use mwctl_tests::cluster::{PATIENCE, command};
use mwctl_tests::performance::Samples;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// Makes a copy of this program take part: `serve ECHO SINK`, `ask ADDRESS ECHO SINK`, `spin`.
pub(crate) const PART: &str = "--traffic";

/// The ports in pods: of what answers, and of what only takes.
pub(crate) const PORTS: [u16; 2] = [7001, 7002];

const MESSAGE: usize = 64;
const WARM: usize = 500;
const ROUNDS: usize = 5000;

/// One way, so much, so often; the middle counts.
const BYTES: usize = 1 << 30;
const TIMES: usize = 3;
const PIECE: usize = 256 << 10;

/// What was measured.
#[derive(Debug, Default)]
pub(crate) struct Traffic {
    pub(crate) echo: Samples,
    /// In Gbit/s.
    pub(crate) throughput: f64,
}

/// Keeps every processor from sleeping, by work that gives way to all other: how long an idle processor takes to wake, which on a virtual
/// machine is longer than any network, isn't the network's.
fn awake() -> Vec<Part> {
    let spin = |_| {
        let mut program = command("chrt");
        program.args(["--idle", "0"]).arg(own());
        start(program, &["spin"]).0
    };
    (0..mwctl_tests::performance::processors())
        .map(spin)
        .collect()
}

/// On this machine's loopback.
pub(crate) fn loopback() -> Traffic {
    let _awake = awake();
    let (_server, ports) = serve(here(), [0, 0]);
    ask(here(), &Ipv4Addr::LOCALHOST.to_string(), ports)
}

/// From one network to another, whose processes these are, at each address of the second.
pub(crate) fn between<const N: usize>(
    server: u32,
    client: u32,
    addresses: [String; N],
) -> [Traffic; N] {
    let _awake = awake();
    let (_server, ports) = serve(inside(server), PORTS);
    addresses.map(|address| ask(inside(client), &address, ports))
}

/// This program, in this network.
fn here() -> Command {
    command(own().to_str().expect("a plain path"))
}

/// This program, in the network of a process.
fn inside(process: u32) -> Command {
    let mut command = command("nsenter");
    command
        .args(["--target", &process.to_string(), "--net"])
        .arg(own());
    command
}

fn own() -> std::path::PathBuf {
    std::env::current_exe().expect("this program")
}

/// Ends with whoever waits for it.
struct Part(Child);

impl Drop for Part {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

fn start(mut program: Command, words: &[&str]) -> (Part, BufReader<ChildStdout>) {
    program.arg(PART).args(words).stdout(Stdio::piped());
    let mut child = program.spawn().expect("`nsenter` and `chrt` of util-linux");
    let stdout = child.stdout.take().expect("it is piped");
    (Part(child), BufReader::new(stdout))
}

fn serve(program: Command, ports: [u16; 2]) -> (Part, [u16; 2]) {
    let [echo, sink] = ports.map(|port| port.to_string());
    let (part, mut said) = start(program, &["serve", &echo, &sink]);
    let mut told = || {
        let mut line = String::new();
        said.read_line(&mut line).expect("a line");
        line.trim().parse().expect("a port")
    };
    let ports = [told(), told()];
    (part, ports)
}

fn ask(program: Command, address: &str, ports: [u16; 2]) -> Traffic {
    let [echo, sink] = ports.map(|port| port.to_string());
    let (mut part, said) = start(program, &["ask", address, &echo, &sink]);
    let mut traffic = Traffic::default();
    let mut throughputs = Vec::new();
    for line in said.lines().map_while(Result::ok) {
        match line.split_once(' ') {
            Some(("echo", nanos)) => {
                let nanos = nanos.parse().expect("a number");
                traffic.echo.take(Duration::from_nanos(nanos));
            }
            Some(("throughput", gigabits)) => {
                throughputs.push(gigabits.parse::<f64>().expect("a number"));
            }
            _ => panic!("{line}"),
        }
    }
    assert!(part.0.wait().is_ok_and(|status| status.success()));
    throughputs.sort_by(f64::total_cmp);
    traffic.throughput = throughputs[throughputs.len() / 2];
    traffic
}

/// What the copies do.
pub(crate) fn take_part(words: &[String]) {
    let port = |at: usize| words[at].parse::<u16>().expect("a port");
    match &*words[0] {
        "serve" => {
            let listener = |port| TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).expect("a port");
            let (echoes, sinks) = (listener(port(1)), listener(port(2)));
            for listener in [&echoes, &sinks] {
                tell(&listener.local_addr().expect("a port").port().to_string());
            }
            std::thread::spawn(move || each(&sinks, sink));
            each(&echoes, echo);
        }
        "spin" => loop {
            std::hint::spin_loop();
        },
        "ask" => {
            let address: IpAddr = words[1].parse().expect("an address");
            let echo = SocketAddr::new(address, port(2));
            std::thread::spawn(move || echoes(echo))
                .join()
                .expect("its end");
            for _ in 0..TIMES {
                throughput(SocketAddr::new(address, port(3)));
            }
        }
        other => panic!("{other}"),
    }
}

#[expect(clippy::print_stdout, reason = "its parent reads it")]
fn tell(line: &str) {
    println!("{line}");
}

fn each(listener: &TcpListener, serve: fn(TcpStream)) {
    for stream in listener.incoming() {
        let stream = stream.expect("a connection");
        std::thread::spawn(move || serve(stream));
    }
}

/// Keeps this thread on the first processor that it may use, as all do who send messages there and back: otherwise chance decides whether
/// another processor has to be woken for each, which takes several times as long as the network.
fn share_a_processor() {
    let all = sched_getaffinity(None).expect("the processors of this thread");
    let mut first = CpuSet::new();
    first.set(
        (0..CpuSet::MAX_CPU)
            .find(|it| all.is_set(*it))
            .expect("a processor"),
    );
    sched_setaffinity(None, &first).expect("a processor that it had");
}

fn echo(mut stream: TcpStream) {
    share_a_processor();
    stream.set_nodelay(true).expect("a socket");
    let mut message = [0; MESSAGE];
    while stream.read_exact(&mut message).is_ok() {
        stream.write_all(&message).expect("a connection");
    }
}

/// Reads until the end, then says so.
fn sink(mut stream: TcpStream) {
    let mut piece = vec![0; PIECE];
    while stream.read(&mut piece).unwrap_or(0) > 0 {}
    stream.write_all(b".").expect("a connection");
}

/// A service is reached a moment after it is made.
fn connect(to: SocketAddr) -> TcpStream {
    let start = Instant::now();
    loop {
        match TcpStream::connect(to) {
            Ok(stream) => return stream,
            Err(error) => assert!(start.elapsed() < PATIENCE, "{to}: {error}"),
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn echoes(to: SocketAddr) {
    share_a_processor();
    let mut stream = connect(to);
    stream.set_nodelay(true).expect("a socket");
    let mut message = [7; MESSAGE];
    let mut times = Vec::with_capacity(ROUNDS);
    for round in 0..WARM + ROUNDS {
        let start = Instant::now();
        stream.write_all(&message).expect("a connection");
        stream.read_exact(&mut message).expect("a connection");
        if round >= WARM {
            times.push(start.elapsed());
        }
    }
    for time in times {
        tell(&format!("echo {}", time.as_nanos()));
    }
}

fn throughput(to: SocketAddr) {
    let mut stream = connect(to);
    let piece = vec![0; PIECE];
    let start = Instant::now();
    for _ in 0..BYTES / PIECE {
        stream.write_all(&piece).expect("a connection");
    }
    stream.shutdown(Shutdown::Write).expect("a connection");
    stream.read_exact(&mut [0]).expect("an answer");
    let seconds = start.elapsed().as_secs_f64();
    tell(&format!(
        "throughput {}",
        BYTES as f64 * 8.0 / seconds / 1e9
    ));
}
