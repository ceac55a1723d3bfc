//! A probe over gRPC: one question of the health checking protocol (`grpc.health.v1.Health/Check`), without TLS, as the kubelet asks it.
//!
//! The two messages have one field each, so that they are written and read here.

use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Bytes;
use hyper::header::{CONTENT_TYPE, TE, USER_AGENT};
use hyper::{HeaderMap, Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncWrite};

use super::hooks::carried;

/// How much of an answer is read at most.
const READ: usize = 64 * 1024;
/// A message's flag and length, before it (gRPC over HTTP2).
const PREFIX: usize = 5;
/// `UNIMPLEMENTED`.
const UNKNOWN_METHOD: &str = "12";
/// The names of `HealthCheckResponse.ServingStatus`.
const STATUSES: [&str; 4] = ["UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"];

/// Asks whether a service is well; the empty one is the whole server.
pub(crate) async fn check(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    service: &str,
    port: u16,
) -> Result<(), String> {
    let shaken = hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream));
    let (mut client, connection) = shaken.await.map_err(failed)?;
    let request = Request::post(format!(
        "http://localhost:{port}/grpc.health.v1.Health/Check"
    ))
    .header(CONTENT_TYPE, "application/grpc")
    .header(TE, "trailers")
    .header(USER_AGENT, "kube-probe/1.34")
    .body(Full::new(question(service)))
    .map_err(failed)?;
    let asked = async {
        let answer: Response<_> = client.send_request(request).await.map_err(failed)?;
        let (head, body) = answer.into_parts();
        let read = Limited::new(body, READ).collect().await.map_err(failed)?;
        let trailers = read.trailers().cloned().unwrap_or_default();
        // An error without a message has its status in the head.
        judge(
            if head.headers.contains_key("grpc-status") {
                &head.headers
            } else {
                &trailers
            },
            &read.to_bytes(),
        )
    };
    carried(asked, connection).await
}

/// `HealthCheckRequest`, whose field 1 is the service's name.
fn question(service: &str) -> Bytes {
    let mut message = Vec::new();
    if !service.is_empty() {
        message.push(0x0a);
        let mut length = service.len();
        while length >= 0x80 {
            message.push((length & 0x7f) as u8 | 0x80);
            length >>= 7;
        }
        message.push(length as u8);
        message.extend_from_slice(service.as_bytes());
    }
    let length = u32::try_from(message.len()).unwrap_or(u32::MAX);
    let mut frame = vec![0];
    frame.extend_from_slice(&length.to_be_bytes());
    frame.extend_from_slice(&message);
    frame.into()
}

/// What an answer says: a status, and a `HealthCheckResponse`, whose field 1 is how the service is.
fn judge(status: &HeaderMap, body: &[u8]) -> Result<(), String> {
    let told = |name: &str| {
        let value = status.get(name).and_then(|value| value.to_str().ok());
        value.unwrap_or_default().to_owned()
    };
    match told("grpc-status").as_str() {
        "0" => {}
        UNKNOWN_METHOD => {
            return Err(format!(
                "error: this server does not implement the grpc health protocol (grpc.health.v1.Health): {}",
                told("grpc-message")
            ));
        }
        code => {
            return Err(failed(format!(
                "code = {code} desc = {}",
                told("grpc-message")
            )));
        }
    }
    // What isn't told is the first of the names.
    let number = match body.get(PREFIX..).unwrap_or_default() {
        [0x08, number, ..] => usize::from(*number),
        _ => 0,
    };
    match STATUSES.get(number) {
        Some(&"SERVING") => Ok(()),
        Some(name) => Err(format!("service unhealthy (responded with {name:?})")),
        None => Err(format!("service unhealthy (responded with {number})")),
    }
}

fn failed(error: impl std::fmt::Display) -> String {
    format!("error: health rpc probe failed: {error}")
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;

    #[test]
    fn a_question_names_its_service() {
        assert_eq!(question("")[..], [0, 0, 0, 0, 0]);
        assert_eq!(question("ab")[..], [0, 0, 0, 0, 4, 0x0a, 2, b'a', b'b']);
        let long = question(&"x".repeat(300));
        assert_eq!(long[..8], [0, 0, 0, 1, 0x2f, 0x0a, 0xac, 0x02]);
    }

    #[test]
    fn only_who_serves_is_well() {
        let status = |code: &'static str| {
            HeaderMap::from_iter([(
                "grpc-status".parse().unwrap(),
                HeaderValue::from_static(code),
            )])
        };
        let answer = |number: u8| [0, 0, 0, 0, 2, 0x08, number];
        assert_eq!(judge(&status("0"), &answer(1)), Ok(()));
        for (code, body, words) in [
            ("0", &answer(2)[..], "NOT_SERVING"),
            ("0", &answer(9), "responded with 9"),
            ("0", &[0, 0, 0, 0, 0], "UNKNOWN"),
            ("0", &[], "UNKNOWN"),
            ("12", &answer(1), "does not implement"),
            ("5", &[], "code = 5"),
            ("", &[], "code = "),
        ] {
            let error = judge(&status(code), body).unwrap_err();
            assert!(error.contains(words), "{error}");
        }
    }
}
