//! The HTTP client below all requests: one connection for those that are answered, one each for those that become streams.
//!
//! Which cluster and as whom is the kubeconfig's word, and what is asked is the other modules'.

use std::time::Duration;

use ::kube::client::{Body, ConfigExt};
use ::kube::{Client, Config, Error};
use http::Request;
use http::header::UPGRADE;
use hyper_rustls::{FixedServerNameResolver, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client as Http;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::ClientConfig;
use tower::{BoxError, ServiceBuilder, service_fn};

/// After how long without a word the other side is asked whether it is still there; as Go's clients of Kubernetes do.
const SILENT: Duration = Duration::from_secs(30);
/// How long that answer may take before the connection counts as lost, with all that waits on it.
const LOST: Duration = Duration::from_secs(15);
/// How much may be under way to us in all streams of a connection, in bytes. One that nobody reads for a while holds what its own window
/// lets through; the others must go on.
const WINDOW: u32 = 64 << 20;

/// A client whose small messages go out at once, and whose requests share a connection.
///
/// The library's own client leaves Nagle's algorithm on: an edit that follows another message within
/// the peer's delayed acknowledgement then waits 40 ms. And it speaks HTTP/1.1 alone: as many requests side by side are as many
/// connections, each with a handshake that takes longer than its answer.
pub(super) fn client(config: Config) -> Result<Client, Error> {
    if config.proxy_url.is_some() {
        return Client::try_from(config);
    }
    let tls = config.rustls_client_config()?;
    let shared: Http<_, Body> = Http::builder(TokioExecutor::new())
        .timer(TokioTimer::new())
        .http2_initial_connection_window_size(WINDOW)
        .http2_keep_alive_interval(SILENT)
        .http2_keep_alive_timeout(LOST)
        .http2_keep_alive_while_idle(true)
        .build(connector(&config, tls.clone(), Version::Any)?);
    // HTTP/2 has no upgrade as Kubernetes' streams want it.
    let own: Http<_, Body> =
        Http::builder(TokioExecutor::new()).build(connector(&config, tls, Version::One)?);
    let http = service_fn(move |request: Request<Body>| {
        let becomes_stream = request.headers().contains_key(UPGRADE);
        if becomes_stream { &own } else { &shared }.request(request)
    });
    let service = ServiceBuilder::new()
        .layer(config.base_uri_layer())
        .option_layer(config.auth_layer()?)
        .layer(config.extra_headers_layer()?)
        .map_err(BoxError::from)
        .service(http);
    Ok(Client::new(service, config.default_namespace))
}

/// What a connection may speak.
#[derive(Clone, Copy)]
enum Version {
    /// HTTP/1.1.
    One,
    /// HTTP/2 where the server knows it.
    Any,
}

fn connector(
    config: &Config,
    tls: ClientConfig,
    version: Version,
) -> Result<HttpsConnector<HttpConnector>, Error> {
    let mut connector = HttpConnector::new();
    connector.enforce_http(false);
    connector.set_nodelay(true);
    connector.set_connect_timeout(config.connect_timeout);
    let mut builder = HttpsConnectorBuilder::new()
        .with_tls_config(tls)
        .https_or_http();
    if let Some(name) = &config.tls_server_name {
        let name = name
            .clone()
            .try_into()
            .map_err(|error| Error::Service(Box::new(error)))?;
        builder = builder.with_server_name_resolver(FixedServerNameResolver::new(name));
    }
    let builder = builder.enable_http1();
    Ok(match version {
        Version::One => builder.wrap_connector(connector),
        Version::Any => builder.enable_http2().wrap_connector(connector),
    })
}
