//! The way out of a program that doesn't see the machine's network: a proxy in the program's own network, which goes on from
//! the machine's side, where that is allowed.
//!
//! It speaks what programs that fetch something speak to any proxy: `CONNECT`, and HTTP with whole addresses. So names are looked
//! up here, and the program needs no packet filter, no name server and no rights. IPv4 alone goes out. Where the machine itself has a
//! proxy, the way goes on through that. Which addresses are allowed isn't known here: [`Gate`].

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONNECTION, HeaderValue, PROXY_AUTHORIZATION};
use hyper::http::uri::Authority;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode, Uri};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream, lookup_host};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tower::Service as _;

/// Where it listens in each network, of which each is its program's own.
const PLACE: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 3128);
/// How long a destination has to accept.
const PATIENCE: Duration = Duration::from_secs(20);

/// Says what a program may reach, and why it may not reach something else. Without one, it reaches nothing.
#[derive(Clone, Default)]
pub struct Gate(Option<Arc<Allows>>);

/// Is asked for a host, as the program named it, and an address of it. `Err`: why not, as the end of a sentence that begins with the host.
pub type Allows = dyn Fn(&str, SocketAddrV4) -> Result<(), String> + Send + Sync;

impl Gate {
    /// One that asks this, for each connection.
    pub fn new(
        allows: impl Fn(&str, SocketAddrV4) -> Result<(), String> + Send + Sync + 'static,
    ) -> Self {
        Self(Some(Arc::new(allows)))
    }

    fn allows(&self, host: &str, to: SocketAddrV4) -> Result<(), String> {
        match &self.0 {
            Some(allows) => allows(host, to),
            None => Err("isn't allowed: nothing is".to_owned()),
        }
    }
}

impl fmt::Debug for Gate {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Gate").finish_non_exhaustive()
    }
}

/// A relay that runs. It ends, with all that it carries, when this is dropped.
pub(super) struct Running {
    /// What wasn't let through, in words.
    pub(super) refusals: mpsc::UnboundedReceiver<String>,
    _tasks: JoinSet<()>,
}

/// What leads programs to the relay, whichever spelling they know.
pub(super) fn variables() -> BTreeMap<String, String> {
    let mut variables = BTreeMap::new();
    let mut add = |name: &str, value: &str| {
        variables.insert(name.to_owned(), value.to_owned());
        variables.insert(name.to_ascii_uppercase(), value.to_owned());
    };
    for name in ["http_proxy", "https_proxy", "all_proxy"] {
        add(name, &format!("http://{PLACE}"));
    }
    add("no_proxy", "localhost,127.0.0.1,::1");
    // Node.js asks for them only where it is told to.
    variables.insert("NODE_USE_ENV_PROXY".to_owned(), "1".to_owned());
    variables
}

/// Serves a socket of a program's network, until what it gives is dropped. `machine` has the variables that lead this machine to its
/// network. Must be called within a runtime.
pub(super) fn start(
    socket: OwnedFd,
    gate: Gate,
    machine: &BTreeMap<String, String>,
) -> io::Result<Running> {
    start_at(socket, PLACE, gate, machine).map(|(_, running)| running)
}

/// The same at another place, whose port may be any; gives the place.
fn start_at(
    socket: OwnedFd,
    place: SocketAddrV4,
    gate: Gate,
    machine: &BTreeMap<String, String>,
) -> io::Result<(SocketAddr, Running)> {
    rustix::net::bind(&socket, &place)?;
    rustix::net::listen(&socket, 128)?;
    let listener = std::net::TcpListener::from(socket);
    listener.set_nonblocking(true)?;
    let place = listener.local_addr()?;
    let listener = TcpListener::from_std(listener)?;
    let (refusal_tx, refusals) = mpsc::unbounded_channel();
    let (work_tx, work_rx) = mpsc::unbounded_channel();
    let relay = Relay {
        gate,
        proxies: Arc::new(proxies(machine)),
        refusals: refusal_tx,
        work: work_tx,
    };
    let mut tasks = JoinSet::new();
    tasks.spawn(relay.serve(listener, work_rx));
    let running = Running {
        refusals,
        _tasks: tasks,
    };
    Ok((place, running))
}

/// The machine's own proxies.
fn proxies(variables: &BTreeMap<String, String>) -> Matcher {
    let value = |name: &str| {
        let upper = name.to_ascii_uppercase();
        let found = variables.get(name).or_else(|| variables.get(&upper));
        found.cloned().unwrap_or_default()
    };
    let builder = Matcher::builder().all(value("all_proxy"));
    let builder = builder
        .http(value("http_proxy"))
        .https(value("https_proxy"));
    builder.no(value("no_proxy")).build()
}

#[derive(Clone)]
struct Relay {
    gate: Gate,
    proxies: Arc<Matcher>,
    refusals: mpsc::UnboundedSender<String>,
    /// What goes on beside an answer, to whoever ends it at last.
    work: mpsc::UnboundedSender<BoxFuture<'static, ()>>,
}

/// Why there is no way to a destination.
enum NoWay {
    Refused(String),
    Broken(String),
}

impl NoWay {
    fn broken(error: impl fmt::Display) -> Self {
        Self::Broken(error.to_string())
    }
}

type Answer = Response<BoxBody<Bytes, hyper::Error>>;

impl Relay {
    async fn serve(
        self,
        listener: TcpListener,
        mut work: mpsc::UnboundedReceiver<BoxFuture<'static, ()>>,
    ) {
        let mut tasks = JoinSet::new();
        loop {
            tokio::select! {
                accepted = listener.accept() => match accepted {
                    Ok((stream, _)) => drop(tasks.spawn(self.clone().carry(stream))),
                    Err(error) => {
                        tracing::warn!(%error, "the relay of a build can't take a connection");
                        tokio::task::yield_now().await;
                    }
                },
                Some(work) = work.recv() => drop(tasks.spawn(work)),
                Some(_) = tasks.join_next() => {}
            }
        }
    }

    async fn carry(self, stream: TcpStream) {
        stream.set_nodelay(true).ok();
        let answers = service_fn(move |request| {
            let relay = self.clone();
            async move { Ok::<_, hyper::Error>(relay.answer(request).await) }
        });
        let mut server = hyper::server::conn::http1::Builder::new();
        server.preserve_header_case(true);
        let serving = server.serve_connection(TokioIo::new(stream), answers);
        ended("a connection", serving.with_upgrades().await);
    }

    fn go_on(&self, work: impl Future<Output = ()> + Send + 'static) {
        // Whoever takes it lives as long as this.
        drop(self.work.send(work.boxed()));
    }

    async fn answer(self, request: Request<Incoming>) -> Answer {
        // Without the name and the password that an address may begin with.
        let asked = request.uri().authority().map(|it| {
            let port = it.port().map(|port| format!(":{port}"));
            format!("{}{}", it.host(), port.unwrap_or_default())
        });
        let asked = asked.unwrap_or_default();
        let answered = if request.method() == Method::CONNECT {
            self.tunnel(request).await
        } else {
            self.forward(request).await
        };
        let (status, why) = match answered {
            Ok(answer) => return answer,
            Err(NoWay::Refused(why)) => (StatusCode::FORBIDDEN, why),
            Err(NoWay::Broken(why)) => {
                (StatusCode::BAD_GATEWAY, format!("can't be reached: {why}"))
            }
        };
        let words = format!("{asked} {why}");
        // Nobody listens any more once the program has ended.
        drop(self.refusals.send(words.clone()));
        let body = Full::from(format!("mwctl: {words}\n")).map_err(|never| match never {});
        let mut answer = Response::new(body.boxed());
        *answer.status_mut() = status;
        answer
    }

    async fn tunnel(&self, request: Request<Incoming>) -> Result<Answer, NoWay> {
        let to = request.uri().authority().cloned();
        let to =
            to.ok_or_else(|| NoWay::Broken("a tunnel leads to a name and a port".to_owned()))?;
        let mut there = self.connect(&to).await?;
        self.go_on(async move {
            let carried = async {
                let here = hyper::upgrade::on(request)
                    .await
                    .map_err(io::Error::other)?;
                tokio::io::copy_bidirectional(&mut TokioIo::new(here), &mut there).await
            };
            ended("a tunnel", carried.await);
        });
        let nothing = Full::new(Bytes::new()).map_err(|never| match never {});
        Ok(Response::new(nothing.boxed()))
    }

    /// A connection that bytes are carried through as they are.
    async fn connect(&self, to: &Authority) -> Result<TcpStream, NoWay> {
        let port = to.port_u16().unwrap_or(443);
        let uri = Uri::builder().scheme("https").authority(to.as_str());
        let uri = uri.path_and_query("/").build().map_err(NoWay::broken)?;
        let Some(proxy) = self.proxies.intercept(&uri) else {
            return self.dial(to.host(), port).await;
        };
        self.pass_gate(to.host(), port).await?;
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let mut tunnel = Tunnel::new(proxy.uri().clone(), connector);
        if let Some(auth) = proxy.basic_auth() {
            tunnel = tunnel.with_auth(auth.clone());
        }
        let connecting = timeout(PATIENCE, tunnel.call(uri)).await;
        let connected = connecting.map_err(NoWay::broken)?.map_err(NoWay::broken)?;
        Ok(connected.into_inner())
    }

    async fn forward(&self, mut request: Request<Incoming>) -> Result<Answer, NoWay> {
        let uri = request.uri().clone();
        let (Some("http"), Some(to)) = (uri.scheme_str(), uri.authority()) else {
            return Err(NoWay::Broken(
                "a proxy is asked for whole addresses that begin with `http://`".to_owned(),
            ));
        };
        let port = to.port_u16().unwrap_or(80);
        let headers = request.headers_mut();
        // They are between the program and this proxy.
        for name in ["proxy-connection", "proxy-authorization", "keep-alive"] {
            headers.remove(name);
        }
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
        let stream = if let Some(proxy) = self.proxies.intercept(&uri) {
            self.pass_gate(to.host(), port).await?;
            if let Some(auth) = proxy.basic_auth() {
                headers.insert(PROXY_AUTHORIZATION, auth.clone());
            }
            to_proxy(&proxy).await?
        } else {
            let stream = self.dial(to.host(), port).await?;
            let path = uri.path_and_query().map_or("/", |path| path.as_str());
            *request.uri_mut() = path.parse().map_err(NoWay::broken)?;
            stream
        };
        let mut client = hyper::client::conn::http1::Builder::new();
        client.preserve_header_case(true);
        let (mut sender, connection) = client
            .handshake(TokioIo::new(stream))
            .await
            .map_err(NoWay::broken)?;
        self.go_on(async move { ended("a request", connection.await) });
        let answer = sender.send_request(request).await.map_err(NoWay::broken)?;
        Ok(answer.map(BodyExt::boxed))
    }

    /// Connects to the first address of a host that is allowed and answers.
    async fn dial(&self, host: &str, port: u16) -> Result<TcpStream, NoWay> {
        let mut why = NoWay::Broken("its name has no address of IPv4".to_owned());
        for to in addresses(host, port).await.map_err(NoWay::broken)? {
            if let Err(refusal) = self.gate.allows(host, to) {
                why = NoWay::Refused(refusal);
                continue;
            }
            match timeout(PATIENCE, TcpStream::connect(SocketAddr::V4(to))).await {
                Ok(Ok(stream)) => {
                    stream.set_nodelay(true).ok();
                    return Ok(stream);
                }
                Ok(Err(error)) => why = NoWay::broken(error),
                Err(elapsed) => why = NoWay::broken(elapsed),
            }
        }
        Err(why)
    }

    /// What the machine's proxy is to reach. It may know names that nobody knows here.
    async fn pass_gate(&self, host: &str, port: u16) -> Result<(), NoWay> {
        for to in addresses(host, port).await.unwrap_or_default() {
            self.gate.allows(host, to).map_err(NoWay::Refused)?;
        }
        Ok(())
    }
}

fn ended<T>(what: &str, end: Result<T, impl fmt::Display>) {
    if let Err(error) = end {
        tracing::debug!("{what} of a build's relay ended: {error}");
    }
}

async fn addresses(host: &str, port: u16) -> io::Result<Vec<SocketAddrV4>> {
    let found = timeout(PATIENCE, lookup_host((host, port))).await??;
    Ok(found
        .filter_map(|address| match address {
            SocketAddr::V4(address) => Some(address),
            SocketAddr::V6(_) => None,
        })
        .collect())
}

async fn to_proxy(proxy: &Intercept) -> Result<TcpStream, NoWay> {
    let uri = proxy.uri();
    let (Some("http"), Some(host)) = (uri.scheme_str(), uri.host()) else {
        return Err(NoWay::Broken(format!(
            "the machine's proxy isn't asked over TLS: {uri}"
        )));
    };
    let connecting = TcpStream::connect((host, uri.port_u16().unwrap_or(80)));
    let connected = timeout(PATIENCE, connecting).await;
    connected.map_err(NoWay::broken)?.map_err(NoWay::broken)
}

#[cfg(test)]
mod tests;
