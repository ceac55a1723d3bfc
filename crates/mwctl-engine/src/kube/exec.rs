//! Runs a command in a container, with the caller's streams.

use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Status;
use kube::Api;
use kube::api::{AttachParams, TerminalSize};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::sync::watch;

use super::{ApiError, Cluster};

/// A command couldn't be run in a container.
#[derive(Debug, thiserror::Error)]
pub enum Exec {
    /// The stream can't be opened.
    #[error("cannot run a command in pod `{pod}`")]
    Open {
        /// The pod.
        pod: String,
        /// Why.
        #[source]
        source: Box<ApiError>,
    },
    /// The command could not be started, or the stream broke.
    #[error("the command did not run to its end in pod `{pod}`: {reason}")]
    Broken {
        /// The pod.
        pod: String,
        /// What the node says.
        reason: String,
    },
}

/// The caller's side of the streams.
pub struct Streams<I, O, E> {
    /// Where the command's input comes from; `None` for no input.
    pub input: Option<I>,
    /// Where its output goes.
    pub output: O,
    /// Where its errors go; unused with a terminal.
    pub errors: E,
    /// The terminal's size as (columns, rows) when the command gets a terminal.
    pub terminal: Option<watch::Receiver<(u16, u16)>>,
}

/// Runs `command` and returns its exit code.
pub async fn run<I, O, E>(
    cluster: &Cluster,
    pod: &str,
    container: &str,
    command: &[String],
    streams: Streams<I, O, E>,
) -> Result<i32, Exec>
where
    I: AsyncRead + Unpin,
    O: AsyncWrite + Unpin,
    E: AsyncWrite + Unpin,
{
    let pods: Api<Pod> = Api::namespaced(cluster.client.clone(), &cluster.namespace);
    let terminal = streams.terminal.is_some();
    let parameters = AttachParams {
        container: Some(container.to_owned()),
        stdin: streams.input.is_some(),
        stdout: true,
        stderr: !terminal,
        tty: terminal,
        max_stdin_buf_size: Some(64 << 10),
        max_stdout_buf_size: Some(64 << 10),
        max_stderr_buf_size: Some(64 << 10),
    };
    let mut attached = pods
        .exec(pod, command, &parameters)
        .await
        .map_err(|source| Exec::Open {
            pod: pod.to_owned(),
            source: Box::new(ApiError(source)),
        })?;
    let (stdin, stdout, stderr) = (attached.stdin(), attached.stdout(), attached.stderr());
    let status = attached.take_status();
    let sizes = attached.terminal_size();

    let Streams {
        input,
        mut output,
        mut errors,
        terminal,
    } = streams;
    let feed = async {
        if let (Some(mut input), Some(mut stdin)) = (input, stdin) {
            // The command may end before its input does; its exit code tells more than a broken pipe.
            drop(tokio::io::copy(&mut input, &mut stdin).await);
            drop(stdin.shutdown().await);
        }
        std::future::pending::<()>().await;
    };
    let resize = async {
        use futures::SinkExt;
        if let (Some(mut terminal), Some(mut sizes)) = (terminal, sizes) {
            loop {
                let (width, height) = *terminal.borrow_and_update();
                if sizes.send(TerminalSize { width, height }).await.is_err()
                    || terminal.changed().await.is_err()
                {
                    break;
                }
            }
        }
        std::future::pending::<()>().await;
    };
    let show = async {
        let out = async {
            if let Some(mut stdout) = stdout {
                drop(copy_at_once(&mut stdout, &mut output).await);
            }
        };
        let err = async {
            if let Some(mut stderr) = stderr {
                drop(copy_at_once(&mut stderr, &mut errors).await);
            }
        };
        tokio::join!(out, err);
        match status {
            Some(status) => status.await,
            None => None,
        }
    };
    let status = tokio::select! {
        status = show => status,
        () = feed => None,
        () = resize => None,
    };
    code(status).map_err(|reason| Exec::Broken {
        pod: pod.to_owned(),
        reason,
    })
}

/// Copies and flushes each piece, so that a prompt without a line end is seen.
async fn copy_at_once(
    reader: &mut (impl AsyncRead + Unpin),
    writer: &mut (impl AsyncWrite + Unpin),
) -> std::io::Result<()> {
    use tokio::io::AsyncReadExt;
    let mut buffer = vec![0; 16 << 10];
    loop {
        let count = reader.read(&mut buffer).await?;
        if count == 0 {
            return Ok(());
        }
        writer.write_all(&buffer[..count]).await?;
        writer.flush().await?;
    }
}

/// The exit code that a status speaks of.
fn code(status: Option<Status>) -> Result<i32, String> {
    let Some(status) = status else {
        return Err("the connection was lost".to_owned());
    };
    if status.status.as_deref() == Some("Success") {
        return Ok(0);
    }
    let causes = status
        .details
        .as_ref()
        .and_then(|details| details.causes.as_ref());
    let exit = causes
        .into_iter()
        .flatten()
        .find(|cause| cause.reason.as_deref() == Some("ExitCode"))
        .and_then(|cause| cause.message.as_ref()?.parse().ok());
    exit.ok_or_else(|| {
        status
            .message
            .unwrap_or_else(|| "it failed without a reason".to_owned())
    })
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::{StatusCause, StatusDetails};

    use super::*;

    #[test]
    fn a_status_tells_the_commands_exit_code_or_why_there_is_none() {
        let success = Status {
            status: Some("Success".into()),
            ..Status::default()
        };
        assert_eq!(code(Some(success)), Ok(0));
        let cause = StatusCause {
            reason: Some("ExitCode".into()),
            message: Some("3".into()),
            ..StatusCause::default()
        };
        let failure = Status {
            status: Some("Failure".into()),
            details: Some(StatusDetails {
                causes: Some(vec![cause]),
                ..StatusDetails::default()
            }),
            ..Status::default()
        };
        assert_eq!(code(Some(failure)), Ok(3));
        let no_program = Status {
            status: Some("Failure".into()),
            message: Some("no such file".into()),
            ..Status::default()
        };
        assert_eq!(code(Some(no_program)), Err("no such file".into()));
        assert!(code(None).is_err());
    }
}
