//! A Kubernetes client of a server in the same process.
//!
//! A request is answered by the function that answers those from sockets, without being written and read as HTTP in between. Only what a
//! connection goes on with after HTTP (commands, forwarded ports) needs one: that is a pipe in memory, and carries all that sockets carry.

use crate::access::User;
use crate::server::Server;
use crate::server::serve;
use crate::serving::{Api, BodyError};

use bytes::Bytes;
use http::uri::{Authority, Scheme};
use http::{Request, Response, header};
use http_body_util::BodyExt as _;
use http_body_util::combinators::UnsyncBoxBody;
use hyper_util::client::legacy::Client as HttpClient;
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::{TokioExecutor, TokioIo};
use kube::client::Body;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::io::{DuplexStream, duplex};
use tokio::task::JoinSet;
use tower::service_fn;

/// The most bytes that wait inside a pipe.
const PIPE: usize = 256 << 10;

/// One end of a connection. The task that serves the other end is its own and ends with it.
struct Pipe {
    stream: TokioIo<DuplexStream>,
    _server: JoinSet<()>,
}

/// An answer, wherever it comes from.
type Answer = Response<UnsyncBoxBody<Bytes, BodyError>>;

impl Server {
    /// A client that may do everything. Needs a runtime, on which it is served.
    pub fn client(&self) -> kube::Client {
        self.client_as(&User::admin())
    }

    /// A client that is this user.
    pub fn client_as(&self, user: &User) -> kube::Client {
        let (api, user) = (self.api().clone(), user.clone());
        let service = service_fn(move |request: Request<Body>| {
            let (api, user) = (api.clone(), user.clone());
            async move {
                if request.headers().contains_key(header::UPGRADE) {
                    over_pipe(api, user, request).await
                } else {
                    Ok(directly(&api, user, request).await)
                }
            }
        });
        kube::Client::new(service, "default")
    }
}

async fn directly(api: &Api, user: User, mut request: Request<Body>) -> Answer {
    request.extensions_mut().insert(user);
    let answer = api.answer(request).await;
    answer.map(|body| body.map_err(|never| match never {}).boxed_unsync())
}

/// The answer over a connection of its own, which the client may go on with.
async fn over_pipe(api: Arc<Api>, user: User, request: Request<Body>) -> Result<Answer, BodyError> {
    let connect = service_fn(move |_: http::Uri| {
        let (api, user) = (api.clone(), user.clone());
        Box::pin(async move {
            let (near, far) = duplex(PIPE);
            let mut server = JoinSet::new();
            server.spawn(serve(far, api, Some(user)));
            Ok::<_, io::Error>(Pipe {
                stream: TokioIo::new(near),
                _server: server,
            })
        })
    });
    let http: HttpClient<_, Body> = HttpClient::builder(TokioExecutor::new()).build(connect);
    let answer = http.request(addressed(request)).await?;
    Ok(answer.map(|body| body.map_err(Into::into).boxed_unsync()))
}
/// The same request with an address, which a connection pool asks for although there is only one place.
fn addressed(mut request: http::Request<Body>) -> http::Request<Body> {
    let mut uri = std::mem::take(request.uri_mut()).into_parts();
    uri.scheme = Some(Scheme::HTTP);
    uri.authority = Some(Authority::from_static("mwctl"));
    *request.uri_mut() = http::Uri::from_parts(uri).unwrap_or_default();
    request
}

impl Connection for Pipe {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

impl hyper::rt::Read for Pipe {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: hyper::rt::ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl hyper::rt::Write for Pipe {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
