//! Connections: accepted up to a number, spoken to in HTTP, ended when their client is too slow to begin, and handed on when they are
//! upgraded.

use crate::access::User;
use crate::serving::Api;
use crate::streaming::Continuation;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;

/// The most connections at once; who comes then waits in the kernel's queue.
const MOST: usize = 4096;

/// How long a client may take to agree on TLS, and to send the head of a request.
const PATIENCE: Duration = Duration::from_secs(10);

/// The most bytes of the head of a request.
const HEAD: usize = 64 << 10;

/// Accepts connections until it is dropped, which ends them all.
pub(super) async fn accept(listener: TcpListener, tls: TlsAcceptor, api: Arc<Api>) {
    let places = Arc::new(Semaphore::new(MOST));
    let mut connections = JoinSet::new();
    loop {
        let Ok(place) = places.clone().acquire_owned().await else {
            return;
        };
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                // A machine without free descriptors has some again when connections end.
                tracing::warn!(%error, "cannot accept a connection");
                sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        while connections.try_join_next().is_some() {}
        let (tls, api) = (tls.clone(), api.clone());
        connections.spawn(async move {
            greet(stream, tls, api).await;
            drop(place);
        });
    }
}

async fn greet(stream: TcpStream, tls: TlsAcceptor, api: Arc<Api>) {
    let told = stream.set_nodelay(true);
    match timeout(PATIENCE, tls.accept(stream)).await {
        Ok(Ok(stream)) => serve(stream, api, None).await,
        other => tracing::debug!(
            failed = other.is_ok(),
            nodelay = told.is_ok(),
            "a client did not agree on TLS"
        ),
    }
}

/// Answers the requests of one connection; those of a known `user` need no token.
pub(crate) async fn serve<S>(stream: S, api: Arc<Api>, user: Option<User>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (work_tx, mut work_rx) = mpsc::unbounded_channel();
    let service = service_fn(move |mut request: http::Request<hyper::body::Incoming>| {
        let api = api.clone();
        if let Some(user) = &user {
            request.extensions_mut().insert(user.clone());
        }
        request
            .extensions_mut()
            .insert(Continuation(work_tx.clone()));
        async move { Ok::<_, Infallible>(api.answer(request).await) }
    });
    let mut http = Builder::new(TokioExecutor::new());
    http.http1()
        .timer(TokioTimer::new())
        .header_read_timeout(PATIENCE)
        .max_buf_size(2 * HEAD);
    http.http2()
        .timer(TokioTimer::new())
        .max_header_list_size(HEAD as u32)
        .max_concurrent_streams(250)
        .keep_alive_interval(Some(Duration::from_secs(30)));
    if let Err(error) = http
        .serve_connection_with_upgrades(TokioIo::new(stream), service)
        .await
    {
        tracing::debug!(%error, "a connection ended");
    }
    // What the connection was upgraded for, if it was; nobody sends any more.
    while let Some(work) = work_rx.recv().await {
        work.await;
    }
}
