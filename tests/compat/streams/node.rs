//! A node whose containers are this machine: commands are its processes, and a port of a pod is one that echoes.

use std::process::Stdio;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use futures::{FutureExt as _, StreamExt as _, stream};
use mwctl_apiserver::backend::{
    Backend, Connection, ContainerRef, Exit, Log, LogOptions, PodRef, Process, Streams,
    TerminalSize,
};
use mwctl_apiserver::status::Status;
use tokio::io::{AsyncWriteExt as _, duplex, split};
use tokio::process::Command;
use tokio::sync::Notify;

pub(crate) struct Node;

/// What the log of every container says.
pub(crate) const LOG: [&str; 3] = ["one\n", "two\n", "three\n"];

#[async_trait]
impl Backend for Node {
    async fn log(&self, container: &ContainerRef, options: &LogOptions) -> Result<Log, Status> {
        if container.name == "side" {
            return Err(Status::bad_request(
                "container \"side\" in pod \"p\" is waiting to start: ContainerCreating",
            ));
        }
        let skipped = LOG
            .len()
            .saturating_sub(options.tail.map_or(LOG.len(), |tail| tail as usize));
        let lines = stream::iter(LOG).skip(skipped).map(|line| Ok(line.into()));
        Ok(if options.follow {
            lines.chain(stream::pending()).boxed()
        } else {
            lines.boxed()
        })
    }

    async fn exec(
        &self,
        _: &ContainerRef,
        argv: &[String],
        streams: Streams,
    ) -> Result<Process, Status> {
        if streams.tty {
            return Ok(terminal());
        }
        let pipe = |wanted: bool| {
            if wanted {
                Stdio::piped()
            } else {
                Stdio::null()
            }
        };
        let mut child = Command::new(&argv[0])
            .args(&argv[1..])
            .stdin(pipe(streams.stdin))
            .stdout(pipe(streams.stdout))
            .stderr(pipe(streams.stderr))
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| Status::internal(format!("cannot start {:?}: {error}", argv[0])))?;
        Ok(Process {
            stdin: child.stdin.take().map(|it| Box::new(it) as _),
            stdout: child.stdout.take().map(|it| Box::new(it) as _),
            stderr: child.stderr.take().map(|it| Box::new(it) as _),
            resize: None,
            exit: async move {
                match child.wait().await {
                    Ok(status) => Exit::Code(status.code().unwrap_or(137)),
                    Err(error) => Exit::Lost(error.to_string()),
                }
            }
            .boxed(),
        })
    }

    async fn attach(&self, container: &ContainerRef, streams: Streams) -> Result<Process, Status> {
        let argv = ["cat".to_owned()];
        self.exec(container, &argv, streams).await
    }

    async fn connect(&self, _: &PodRef, port: u16) -> Result<Connection, Status> {
        if port != 7 {
            return Err(Status::internal("connection refused"));
        }
        let (near, far) = duplex(64 << 10);
        tokio::spawn(async move {
            let (mut reader, mut writer) = split(far);
            tokio::io::copy(&mut reader, &mut writer).await.unwrap();
            writer.shutdown().await.unwrap();
        });
        Ok(Box::new(near))
    }
}

/// Prints the size of its terminal when it hears of one, and ends.
fn terminal() -> Process {
    let (mut writer, reader) = duplex(1024);
    let heard: Arc<(Mutex<Option<TerminalSize>>, Notify)> = Arc::default();
    let told = heard.clone();
    Process {
        stdin: None,
        stdout: Some(Box::new(reader)),
        stderr: None,
        resize: Some(Box::new(move |size| {
            *told.0.lock().unwrap() = Some(size);
            told.1.notify_one();
        })),
        exit: async move {
            heard.1.notified().await;
            let size = heard.0.lock().unwrap().unwrap();
            let line = format!("{}x{}\n", size.width, size.height);
            writer.write_all(line.as_bytes()).await.unwrap();
            drop(writer);
            Exit::Code(0)
        }
        .boxed(),
    }
}
