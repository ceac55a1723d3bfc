//! The server as a proxy to pods and services (`…/proxy/…`): a request is passed on to a port of a pod by the pod's node, and its answer comes
//! back, also where that is another protocol. Which pod that is, is decided here; HTTP is `hyper`'s.
//!
//! Bodies of requests are read whole, as all are. Links in pages aren't rewritten; where an answer leads is.

mod destination;

use self::destination::Destination;
use super::body;
use super::respond::Body;
use super::verbs::Call;
use super::{BodyError, header_text};
use crate::backend::Connection;
use crate::registry::Target;
use crate::status::Status;
use crate::streaming::{self, Continuation};
use bytes::Bytes;
use futures::future::BoxFuture;
use futures::{FutureExt as _, future, stream};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body::Frame;
use http_body_util::{BodyExt as _, Empty, Full, StreamBody};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use std::convert::Infallible;

/// The segments of a path before what is the pod's or the service's own.
const SEGMENTS: usize = 7;

/// Headers that are about one connection (RFC 9110 section 7.6.1), and who asks, which is nobody else's business.
const OWN: [HeaderName; 9] = [
    header::CONNECTION,
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    header::AUTHORIZATION,
    header::HOST,
];

impl Call<'_> {
    /// Passes a request on.
    pub(super) async fn proxy<B>(&self, target: &Target, body: B) -> Result<Response<Body>, Status>
    where
        B: http_body::Body<Data = Bytes> + Send,
        B::Error: Into<BodyError>,
    {
        if target.resource.plural == "nodes" {
            let message = "this server is no proxy to nodes: they answer nothing by themselves";
            return Err(Status::new(501, "NotImplemented", message));
        }
        let path = self.parts.uri.path();
        let (own, rest) = split(path);
        if rest.is_empty() && matches!(self.parts.method, Method::GET | Method::HEAD) {
            // Relative links of its pages lead to it only from there.
            return redirect(own, self.parts.uri.query());
        }
        let destination = Destination::find(self.api.registry(), target)?;
        let backend = self.backend(&destination.pod)?;
        let pod = super::pods::reference(&destination.pod);
        let connected = backend.connect(&pod, destination.port).await;
        let connection = connected.map_err(|status| unreachable(target, &status.message))?;
        let upgrades = streaming::upgrade(&self.parts.headers).is_some();
        let body = body::read(body).await?;
        let request = passed_on(self.parts, rest, body, upgrades)?;
        let failed = |error: hyper::Error| unreachable(target, &error.to_string());
        if upgrades {
            return self.switch(connection, request).await?.map_err(failed);
        }
        let (mut sender, driver) = http1::handshake(TokioIo::new(connection))
            .await
            .map_err(failed)?;
        let mut driver = Some(driver.map(drop).boxed());
        let answer = answer(sender.send_request(request), &mut driver).await;
        let (mut head, body) = answer.map_err(failed)?.into_parts();
        clear(&mut head.headers);
        lead_back(&mut head.headers, own);
        Ok(Response::from_parts(head, carried(driver, body)))
    }

    /// Passes on a request for another protocol, and then whatever both sides say. The inner result is the other side's.
    async fn switch(
        &self,
        connection: Connection,
        request: Request<Full<Bytes>>,
    ) -> Result<Result<Response<Body>, hyper::Error>, Status> {
        let ours = self.parts.extensions.get::<OnUpgrade>();
        let after = self.parts.extensions.get::<Continuation>();
        let (Some(ours), Some(after)) = (ours.cloned(), after) else {
            return Err(Status::bad_request("this connection can't be upgraded"));
        };
        let (mut sender, driver) = match http1::handshake(TokioIo::new(connection)).await {
            Ok(shaken) => shaken,
            Err(error) => return Ok(Err(error)),
        };
        let mut driver = Some(driver.with_upgrades().map(drop).boxed());
        let answer = answer(sender.send_request(request), &mut driver).await;
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => return Ok(Err(error)),
        };
        if answer.status() != StatusCode::SWITCHING_PROTOCOLS {
            let (head, body) = answer.into_parts();
            return Ok(Ok(Response::from_parts(head, carried(driver, body))));
        }
        let mut response = Response::new(Empty::new().boxed_unsync());
        *response.status_mut() = answer.status();
        *response.headers_mut() = answer.headers().clone();
        let work = async move {
            let both = async {
                let (Ok(theirs), Ok(ours)) = (hyper::upgrade::on(answer).await, ours.await) else {
                    return;
                };
                let (mut theirs, mut ours) = (TokioIo::new(theirs), TokioIo::new(ours));
                // Whoever ends first ends it for both.
                drop(tokio::io::copy_bidirectional(&mut ours, &mut theirs).await);
            };
            let driver = driver.unwrap_or_else(|| future::ready(()).boxed());
            futures::join!(driver, both);
        };
        if after.0.send(work.boxed()).is_err() {
            return Err(Status::internal("the connection is not served any more"));
        }
        Ok(Ok(response))
    }
}

/// The answer to a request, whose connection is carried meanwhile. One that ends with its answer is nothing then.
async fn answer<T>(
    asked: impl Future<Output = T>,
    driver: &mut Option<BoxFuture<'static, ()>>,
) -> T {
    let mut asked = std::pin::pin!(asked);
    loop {
        let Some(carrier) = driver else {
            return asked.await;
        };
        tokio::select! {
            biased;
            answer = &mut asked => return answer,
            () = carrier => *driver = None,
        }
    }
}

/// What of a path is ours, up to `proxy`, and what is the pod's own.
fn split(path: &str) -> (&str, &str) {
    match path.match_indices('/').nth(SEGMENTS) {
        Some((end, _)) => path.split_at(end),
        None => (path, ""),
    }
}

fn redirect(own: &str, query: Option<&str>) -> Result<Response<Body>, Status> {
    let query = query.map_or_else(String::new, |query| format!("?{query}"));
    let place = HeaderValue::from_str(&format!("{own}/{query}"));
    let place = place.map_err(|error| Status::bad_request(error.to_string()))?;
    let mut response = Response::new(Empty::new().boxed_unsync());
    *response.status_mut() = StatusCode::MOVED_PERMANENTLY;
    response.headers_mut().insert(header::LOCATION, place);
    Ok(response)
}

fn unreachable(target: &Target, why: &str) -> Status {
    let (plural, name) = (&target.resource.plural, &target.name);
    let message = format!("error trying to reach {plural} {name:?}: {why}");
    Status::new(503, "ServiceUnavailable", message)
}

/// The request as the pod gets it.
fn passed_on(
    parts: &Parts,
    rest: &str,
    body: Bytes,
    upgrades: bool,
) -> Result<Request<Full<Bytes>>, Status> {
    let query = parts.uri.query();
    let query = query.map_or_else(String::new, |query| format!("?{query}"));
    let place = if rest.is_empty() { "/" } else { rest };
    let mut request = Request::new(Full::new(body));
    *request.method_mut() = parts.method.clone();
    let uri = format!("{place}{query}").parse();
    *request.uri_mut() = uri.map_err(|error: http::uri::InvalidUri| {
        Status::bad_request(format!("the path can't be passed on: {error}"))
    })?;
    let mut headers = parts.headers.clone();
    let host = parts.uri.host().map(str::to_owned);
    let host = host.unwrap_or_else(|| header_text(parts, header::HOST).to_owned());
    clear(&mut headers);
    headers.insert(header::HOST, HeaderValue::from_static("localhost"));
    for (name, value) in [
        ("x-forwarded-host", host.as_str()),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-uri", parts.uri.path()),
    ] {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(name, value);
        }
    }
    if upgrades {
        for name in [header::UPGRADE, header::CONNECTION] {
            if let Some(value) = parts.headers.get(&name) {
                headers.insert(name, value.clone());
            }
        }
    }
    *request.headers_mut() = headers;
    Ok(request)
}

/// Takes away what is about one connection alone.
fn clear(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in named.iter().chain(&OWN) {
        headers.remove(name);
    }
    headers.remove("keep-alive");
    headers.remove("proxy-connection");
}

/// Makes an answer that leads elsewhere on the pod lead there through us.
fn lead_back(headers: &mut HeaderMap, own: &str) {
    let place = headers.get(header::LOCATION);
    let place = place.and_then(|place| place.to_str().ok());
    let Some(place) = place.filter(|place| place.starts_with('/') && !place.starts_with("//"))
    else {
        return;
    };
    if let Ok(place) = HeaderValue::from_str(&format!("{own}{place}")) {
        headers.insert(header::LOCATION, place);
    }
}

/// A body that is carried while it is read: whoever stops reading ends the connection.
fn carried(driver: Option<BoxFuture<'static, ()>>, body: Incoming) -> Body {
    let frames = stream::unfold((driver, body), |(mut driver, mut body)| async move {
        loop {
            let Some(carrier) = &mut driver else {
                return next(body.frame().await).map(|frame| (frame, (driver, body)));
            };
            tokio::select! {
                biased;
                frame = body.frame() => {
                    return next(frame).map(|frame| (frame, (driver, body)));
                }
                () = carrier => driver = None,
            }
        }
    });
    StreamBody::new(frames).boxed_unsync()
}

/// The next piece, if there is one. An error can't be told any more: the answer has begun.
fn next(
    frame: Option<Result<Frame<Bytes>, hyper::Error>>,
) -> Option<Result<Frame<Bytes>, Infallible>> {
    let frame =
        frame?.inspect_err(|error| tracing::debug!(%error, "an answer ended before its end"));
    frame.ok().map(Ok)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_answer_counts_also_when_its_connection_ends_with_it() {
        let (told, asked) = tokio::sync::oneshot::channel();
        let driver = async move { told.send("answer").unwrap() };
        let mut driver = Some(driver.boxed());
        assert_eq!(answer(asked, &mut driver).await, Ok("answer"));
        assert!(driver.is_none());
    }

    #[test]
    fn a_path_is_split_where_the_pods_own_begins() {
        let own = "/api/v1/namespaces/n/pods/p:80/proxy";
        assert_eq!(split(own), (own, ""));
        let longer = format!("{own}/a%2Fb//c");
        assert_eq!(split(&longer), (own, "/a%2Fb//c"));
        assert_eq!(split(&format!("{own}/")).1, "/");
    }

    #[test]
    fn what_is_about_one_connection_is_not_passed_on() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("connection", "close, x-own"),
            ("x-own", "1"),
            ("authorization", "Bearer secret"),
            ("te", "trailers"),
            ("accept", "*/*"),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        clear(&mut headers);
        assert_eq!(headers.len(), 1);
        assert_eq!(headers[header::ACCEPT], "*/*");
    }

    #[test]
    fn an_answer_leads_back_through_us() {
        for (told, expected) in [
            ("/login", "/p/proxy/login"),
            ("there", "there"),
            ("//other/x", "//other/x"),
            ("https://other/x", "https://other/x"),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::LOCATION, HeaderValue::from_static(told));
            lead_back(&mut headers, "/p/proxy");
            assert_eq!(headers[header::LOCATION], expected);
        }
    }
}
