//! `kubectl` of every version that is found: the older ones speak SPDY, the newer ones WebSocket.

#[path = "../kubectl/clients.rs"]
mod clients;

use std::path::Path;
use std::process::{Output, Stdio};
use std::time::Duration;

use clients::Client;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::process::Command;
use tokio::time::timeout;

use crate::server;

/// Far longer than any of these commands takes.
const PATIENCE: Duration = Duration::from_mins(1);

fn clients() -> Vec<Client> {
    let mut clients = clients::versions(None);
    clients.extend(clients::on_path());
    assert!(!clients.is_empty(), "`kubectl` is not on PATH");
    clients
}

/// A `kubectl` with a home of its own.
fn command(client: &Client, folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(&client.path);
    command
        .args(arguments)
        .env_clear()
        .env("HOME", folder)
        .env("PATH", std::env::var_os("PATH").unwrap())
        .env("KUBECONFIG", folder.join("kubeconfig"))
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

async fn run(client: &Client, folder: &Path, arguments: &[&str], input: &[u8]) -> Output {
    let mut child = command(client, folder, arguments);
    let mut child = child.stdin(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let (written, ended) = tokio::join!(
        async {
            let written = stdin.write_all(input).await;
            drop(stdin);
            written
        },
        timeout(PATIENCE, child.wait_with_output())
    );
    // Who doesn't read its input closes it.
    drop(written);
    ended
        .unwrap_or_else(|_| panic!("{} {arguments:?} does not end", client.path.display()))
        .unwrap()
}

fn shown(output: &Output) -> (i32, String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (
        output.status.code().unwrap(),
        text(&output.stdout),
        text(&output.stderr),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn every_client_runs_commands_copies_files_and_forwards_ports() {
    let (server, _node) = server().await;
    let endpoint = server.listen(0).await.unwrap();
    for client in clients() {
        let home = TempDir::new().unwrap();
        let folder = home.path();
        endpoint
            .kubeconfig()
            .write(&folder.join("kubeconfig"), "t")
            .unwrap();
        let version = client.path.display();
        let ask = async |arguments: &[&str], input: &[u8]| {
            shown(&run(&client, folder, arguments, input).await)
        };

        let script = [
            "exec",
            "p",
            "-c",
            "main",
            "--",
            "sh",
            "-c",
            "echo out; echo err >&2; exit 3",
        ];
        let (code, out, err) = ask(&script, b"").await;
        assert_eq!((code, out.as_str()), (3, "out\n"), "{version}: {err}");
        assert!(err.starts_with("err\n"), "{version}: {err}");

        let much: Vec<u8> = (0..1 << 20)
            .map(|number: u32| b'a' + (number % 23) as u8)
            .collect();
        let echoed = run(
            &client,
            folder,
            &["exec", "-i", "p", "-c", "main", "--", "cat"],
            &much,
        )
        .await;
        assert!(
            echoed.stdout == much,
            "{version}: {} bytes",
            echoed.stdout.len()
        );

        let attached = ask(&["attach", "-i", "p", "-c", "main"], b"hello\n").await;
        assert_eq!(
            (attached.0, attached.1.as_str()),
            (0, "hello\n"),
            "{version}: {}",
            attached.2
        );

        std::fs::write(folder.join("here"), &much).unwrap();
        let there = format!("p:{}", folder.join("there").display());
        let copied = ask(&["cp", "here", &there, "-c", "main"], b"").await;
        assert_eq!(copied.0, 0, "{version}: {}", copied.2);
        assert!(
            std::fs::read(folder.join("there")).unwrap() == much,
            "{version}"
        );
        let back = ask(&["cp", &there, "back", "-c", "main"], b"").await;
        assert_eq!(back.0, 0, "{version}: {}", back.2);
        assert!(
            std::fs::read(folder.join("back")).unwrap() == much,
            "{version}"
        );

        let log = ask(&["logs", "p", "-c", "main", "--tail=2"], b"").await;
        assert_eq!(log.1, "two\nthree\n", "{version}: {}", log.2);
        let refused = ask(&["exec", "q", "--", "true"], b"").await;
        assert!(
            refused
                .2
                .contains("node \"elsewhere\" is not a part of this cluster's server"),
            "{version}: {}",
            refused.2
        );

        forward(&client, folder).await;
    }
}

/// Several connections at once over one `kubectl port-forward`, and one to a port that nobody listens on.
async fn forward(client: &Client, folder: &Path) {
    let mut child = command(client, folder, &["port-forward", "pod/p", "0:7", "0:9"])
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut ports = Vec::new();
    while ports.len() < 2 {
        let line = timeout(PATIENCE, lines.next_line()).await.unwrap().unwrap();
        let line = line.unwrap_or_else(|| panic!("{} forwards nothing", client.path.display()));
        if let Some(rest) = line.strip_prefix("Forwarding from 127.0.0.1:") {
            ports.push(rest.split(' ').next().unwrap().parse::<u16>().unwrap());
        }
    }
    let echo = async |letter: u8| {
        let mut stream = TcpStream::connect(("127.0.0.1", ports[0])).await.unwrap();
        let sent = vec![letter; 200_000];
        let mut heard = vec![0; sent.len()];
        let (mut reader, mut writer) = stream.split();
        let (sending, reading) =
            tokio::join!(writer.write_all(&sent), reader.read_exact(&mut heard));
        sending.unwrap();
        reading.unwrap();
        assert!(
            heard == sent,
            "{}: connection {letter}",
            client.path.display()
        );
    };
    timeout(PATIENCE, async { tokio::join!(echo(1), echo(2), echo(3)) })
        .await
        .unwrap();
    let mut nobody = TcpStream::connect(("127.0.0.1", ports[1])).await.unwrap();
    let mut rest = Vec::new();
    let closed = timeout(PATIENCE, nobody.read_to_end(&mut rest)).await;
    assert!(
        closed.is_ok() && rest.is_empty(),
        "{}",
        client.path.display()
    );
    child.kill().await.unwrap();
    let mut told = String::new();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut told)
        .await
        .unwrap();
    assert!(
        told.contains("error forwarding port 9 to pod p"),
        "{}: {told}",
        client.path.display()
    );
}
