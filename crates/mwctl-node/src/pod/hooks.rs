//! Asks a container: probes, and hooks at its beginning and its end.

use std::pin::pin;
use std::time::Duration;

use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::Request;
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use k8s_openapi::api::core::v1::{
    Container, ExecAction, HTTPGetAction, LifecycleHandler, Pod, Probe, TCPSocketAction,
};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use mwctl_container::{End, Process, Streams};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite};

use crate::attachment::Through;
use crate::context::Context;

use super::live::{self, Bound, Live};
use super::{grpc, probes, tls};

/// How much of what a probe writes is told.
const TOLD: usize = 1024;
/// How much of an answer is read at most.
const READ: usize = 64 * 1024;

/// Runs a hook to its end.
pub(crate) async fn run(
    context: &Context,
    pod: &Pod,
    container: &Container,
    live: &Live,
    hook: &LifecycleHandler,
) -> Result<(), String> {
    if let Some(action) = &hook.exec {
        return exec(live, action).await;
    }
    if let Some(action) = &hook.http_get {
        return get(context, pod, container, action).await;
    }
    if let Some(action) = &hook.tcp_socket {
        return connect(context, pod, container, action).await;
    }
    if let Some(action) = &hook.sleep {
        let seconds = Duration::from_secs(action.seconds.max(0).unsigned_abs());
        // Whoever ends meanwhile needs no more time.
        drop(tokio::time::timeout(seconds, live.running.ended()).await);
    }
    Ok(())
}

/// Asks a probe's question once, within its time.
pub(crate) async fn probe(
    context: &Context,
    pod: &Pod,
    container: &Container,
    live: &Live,
    probe: &Probe,
) -> Result<(), String> {
    let asked = async {
        if let Some(action) = &probe.exec {
            return exec(live, action).await;
        }
        if let Some(action) = &probe.http_get {
            return get(context, pod, container, action).await;
        }
        if let Some(action) = &probe.tcp_socket {
            return connect(context, pod, container, action).await;
        }
        if let Some(action) = &probe.grpc {
            let number = IntOrString::Int(action.port);
            let port = port(container, &number)?;
            let stream = reach(context, pod, None, port).await?;
            return grpc::check(stream, action.service.as_deref().unwrap_or_default(), port).await;
        }
        Err("this node asks by exec, httpGet, tcpSocket and grpc, and not otherwise".to_owned())
    };
    let limit = probes::timeout(probe);
    tokio::time::timeout(limit, asked)
        .await
        .unwrap_or_else(|_| Err(format!("command timed out after {}s", limit.as_secs())))
}

async fn exec(live: &Live, action: &ExecAction) -> Result<(), String> {
    let arguments = action.command.clone().unwrap_or_default();
    let process = Process {
        arguments,
        ..(*live.environment).clone()
    };
    let (read, write) = std::io::pipe().map_err(|error| error.to_string())?;
    let again = write.try_clone().map_err(|error| error.to_string())?;
    let streams = Streams {
        stdout: Some(write.into()),
        stderr: Some(again.into()),
        ..Streams::default()
    };
    let running = live
        .running
        .enter(process, streams)
        .await
        .map_err(|error| error.to_string())?;
    let running = Bound(running);
    let mut read = live::receiver(read.into()).map_err(|error| error.to_string())?;
    let mut said = Vec::new();
    let mut buffer = [0; 4096];
    while let Ok(length @ 1..) = read.read(&mut buffer).await {
        let room = TOLD.saturating_sub(said.len());
        said.extend_from_slice(buffer.get(..length.min(room)).unwrap_or_default());
    }
    match running.0.ended().await {
        End::Code(0) => Ok(()),
        _ => Err(String::from_utf8_lossy(&said).into_owned()),
    }
}

async fn get(
    context: &Context,
    pod: &Pod,
    container: &Container,
    action: &HTTPGetAction,
) -> Result<(), String> {
    let port = port(container, &action.port)?;
    let stream = reach(context, pod, action.host.as_deref(), port).await?;
    if action.scheme.as_deref() == Some("HTTPS") {
        ask(tls::over(stream).await?, action, port).await
    } else {
        ask(stream, action, port).await
    }
}

async fn ask(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    action: &HTTPGetAction,
    port: u16,
) -> Result<(), String> {
    let (mut client, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(text)?;
    let path = action
        .path
        .as_deref()
        .filter(|path| !path.is_empty())
        .unwrap_or("/");
    let path = if path.starts_with('/') {
        path.to_owned()
    } else {
        format!("/{path}")
    };
    let mut request = Request::get(path)
        .header("user-agent", "kube-probe/1.34")
        .header("accept", "*/*");
    let mut named = false;
    for header in action.http_headers.iter().flatten() {
        named |= header.name.eq_ignore_ascii_case("host");
        request = request.header(&header.name, &header.value);
    }
    if !named {
        request = request.header("host", format!("localhost:{port}"));
    }
    let request = request
        .header("connection", "close")
        .body(Empty::<Bytes>::new())
        .map_err(text)?;
    let asked = async {
        let answer = client.send_request(request).await.map_err(text)?;
        let status = answer.status();
        // Read, so that a server that is slow to write counts as slow. What can't be read doesn't matter.
        drop(Limited::new(answer.into_body(), READ).collect().await);
        if status.is_success() || status.is_redirection() {
            Ok(())
        } else {
            Err(format!(
                "HTTP probe failed with statuscode: {}",
                status.as_u16()
            ))
        }
    };
    carried(asked, connection).await
}

/// The answer to what is asked over a connection, which is carried meanwhile.
pub(super) async fn carried<T>(asked: impl Future<Output = T>, connection: impl Future) -> T {
    let (mut asked, mut connection) = (pin!(asked), pin!(connection));
    let mut open = true;
    loop {
        tokio::select! {
            biased;
            answer = &mut asked => return answer,
            // How it ended is part of the answer.
            _ = &mut connection, if open => open = false,
        }
    }
}

async fn connect(
    context: &Context,
    pod: &Pod,
    container: &Container,
    action: &TCPSocketAction,
) -> Result<(), String> {
    let port = port(container, &action.port)?;
    reach(context, pod, action.host.as_deref(), port)
        .await
        .map(drop)
}

async fn reach(
    context: &Context,
    pod: &Pod,
    host: Option<&str>,
    port: u16,
) -> Result<tokio::net::TcpStream, String> {
    let through = match host {
        None | Some("") => Through::Address,
        Some("localhost" | "127.0.0.1") => Through::Loopback,
        Some(other) => Through::Node(other.parse().map_err(|_| {
            format!("this node asks pods and services by their addresses, not {other:?}")
        })?),
    };
    let uid = pod.metadata.uid.as_deref().unwrap_or_default();
    let connected = context.networks.connect(uid, port, through).await;
    connected.map_err(|error| format!("dial tcp :{port}: {error}"))
}

/// A port by its number, or by its name among the container's.
fn port(container: &Container, port: &IntOrString) -> Result<u16, String> {
    let number = match port {
        IntOrString::Int(number) => Some(*number),
        IntOrString::String(name) => {
            let mut ports = container.ports.iter().flatten();
            let named = ports
                .find(|port| port.name.as_deref() == Some(name))
                .map(|port| port.container_port);
            named.or_else(|| name.parse().ok())
        }
    };
    number
        .and_then(|number| u16::try_from(number).ok())
        .ok_or_else(|| format!("there is no port {port:?}"))
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}
