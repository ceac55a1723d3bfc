//! Which protocol a connection goes on with, from what the client offers. Pure.

use crate::status::Status;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

/// What a connection is wanted for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// `exec` and `attach`.
    Remote,
    /// `log`, which is also had without any of this.
    Log,
    /// `portforward`.
    Forward,
}

/// What client and server have agreed on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Agreement {
    /// SPDY/3.1, and the protocol inside of it.
    Spdy(&'static str),
    /// Messages of WebSocket, each of which begins with the number of its channel.
    WebSocket {
        /// The protocol.
        protocol: &'static str,
        /// The answer to the client's challenge.
        accept: String,
    },
    /// SPDY/3.1 in the messages of a WebSocket, with the answer to the client's challenge.
    Tunnel(String),
}

const TUNNEL: &str = "SPDY/3.1+portforward.k8s.io";
const CHANNELS: [&str; 2] = ["v5.channel.k8s.io", "v4.channel.k8s.io"];
/// The first version of channels over WebSocket, in which a failure is told in words.
const FIRST: &str = "channel.k8s.io";
const LOG: &str = "binary.k8s.io";
const FORWARD: &str = "portforward.k8s.io";

const STREAM_PROTOCOL: &str = "x-stream-protocol-version";

/// The protocol that a client wants to go on with instead of HTTP, if any.
pub(crate) fn upgrade(headers: &HeaderMap) -> Option<&str> {
    let upgrades =
        list(headers, header::CONNECTION.as_str()).any(|word| word.eq_ignore_ascii_case("upgrade"));
    let protocol = list(headers, header::UPGRADE.as_str()).next();
    protocol.filter(|_| upgrades)
}

/// The first protocol that the client offers and this server speaks.
pub(crate) fn agree(parts: &Parts, purpose: Purpose) -> Result<Agreement, Status> {
    let headers = &parts.headers;
    match upgrade(headers) {
        Some(name) if name.eq_ignore_ascii_case("websocket") => web_socket(parts, purpose),
        Some(name) if name.eq_ignore_ascii_case("SPDY/3.1") => spdy(headers, purpose),
        _ => Err(Status::bad_request("Upgrade request required")),
    }
}

fn web_socket(parts: &Parts, purpose: Purpose) -> Result<Agreement, Status> {
    let headers = &parts.headers;
    let key = headers.get(header::SEC_WEBSOCKET_KEY);
    let version = headers.get(header::SEC_WEBSOCKET_VERSION);
    let key = key.filter(|_| {
        parts.method == Method::GET && version == Some(&HeaderValue::from_static("13"))
    });
    let key = key.ok_or_else(|| Status::bad_request("this is no handshake of WebSocket 13"))?;
    let accept = derive_accept_key(key.as_bytes());
    let offered = || list(headers, header::SEC_WEBSOCKET_PROTOCOL.as_str());
    if purpose == Purpose::Forward && offered().any(|name| name == TUNNEL) {
        return Ok(Agreement::Tunnel(accept));
    }
    let spoken: &[&'static str] = match purpose {
        Purpose::Remote => &[CHANNELS[0], CHANNELS[1], FIRST],
        Purpose::Forward => &CHANNELS,
        Purpose::Log => &[LOG],
    };
    let known = offered().find_map(|name| spoken.iter().find(|known| **known == name));
    match known {
        Some(protocol) => Ok(Agreement::WebSocket { protocol, accept }),
        None => Err(unknown(offered(), spoken)),
    }
}

fn spdy(headers: &HeaderMap, purpose: Purpose) -> Result<Agreement, Status> {
    let spoken: &[&'static str] = match purpose {
        Purpose::Remote => &CHANNELS,
        Purpose::Forward => &[FORWARD],
        Purpose::Log => &[],
    };
    let offered = || list(headers, STREAM_PROTOCOL);
    let known = offered().find_map(|name| spoken.iter().find(|known| **known == name));
    match known {
        Some(protocol) => Ok(Agreement::Spdy(protocol)),
        None => Err(unknown(offered(), spoken)),
    }
}

fn unknown<'a>(offered: impl Iterator<Item = &'a str>, spoken: &[&str]) -> Status {
    let message = format!(
        "unable to upgrade: none of the protocols [{}] is supported, which are [{}]",
        offered.collect::<Vec<_>>().join(" "),
        spoken.join(" ")
    );
    Status::new(403, "Forbidden", message)
}

/// The items of a header that may stand there several times and have several of them.
fn list<'a>(headers: &'a HeaderMap, name: &str) -> impl Iterator<Item = &'a str> {
    let values = headers.get_all(name).into_iter();
    let texts = values.filter_map(|value| value.to_str().ok());
    texts.flat_map(|text| text.split(',').map(str::trim))
}

impl Agreement {
    /// Whether the end of a command is told in words, and only if it failed.
    pub(crate) fn tells_in_words(&self) -> bool {
        matches!(self, Self::WebSocket { protocol, .. } if *protocol == FIRST)
    }

    /// The answer that ends HTTP on this connection.
    pub(crate) fn answer<B>(&self, body: B) -> Response<B> {
        let mut response = Response::new(body);
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        let headers = response.headers_mut();
        headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
        let (upgrade, name, protocol) = match self {
            Self::Spdy(protocol) => ("SPDY/3.1", STREAM_PROTOCOL, *protocol),
            Self::WebSocket { protocol, .. } => (
                "websocket",
                header::SEC_WEBSOCKET_PROTOCOL.as_str(),
                *protocol,
            ),
            Self::Tunnel(_) => ("websocket", header::SEC_WEBSOCKET_PROTOCOL.as_str(), TUNNEL),
        };
        headers.insert(header::UPGRADE, HeaderValue::from_static(upgrade));
        if let Ok(name) = header::HeaderName::from_bytes(name.as_bytes()) {
            headers.insert(name, HeaderValue::from_static(protocol));
        }
        if let Self::WebSocket { accept, .. } | Self::Tunnel(accept) = self
            && let Ok(accept) = HeaderValue::from_str(accept)
        {
            headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offer(
        headers: &[(&'static str, &'static str)],
        purpose: Purpose,
    ) -> Result<Agreement, Status> {
        let mut request = http::Request::new(());
        for (name, value) in headers {
            request
                .headers_mut()
                .append(*name, HeaderValue::from_static(value));
        }
        agree(&request.into_parts().0, purpose)
    }

    const SOCKET: [(&str, &str); 4] = [
        ("connection", "keep-alive, Upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];

    #[test]
    fn the_clients_first_choice_that_is_spoken_is_taken() {
        let with =
            |protocols| [SOCKET.as_slice(), &[("sec-websocket-protocol", protocols)]].concat();
        // The challenge and its answer are those of RFC 6455, section 1.3.
        let accept = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=".to_owned();
        assert_eq!(
            offer(
                &with("v9.channel.k8s.io, v4.channel.k8s.io, v5.channel.k8s.io"),
                Purpose::Remote
            ),
            Ok(Agreement::WebSocket {
                protocol: "v4.channel.k8s.io",
                accept: accept.clone()
            })
        );
        let both = with("SPDY/3.1+portforward.k8s.io, v4.channel.k8s.io");
        assert_eq!(
            offer(&both, Purpose::Forward),
            Ok(Agreement::Tunnel(accept))
        );
        for (purpose, protocol, other) in [
            (Purpose::Remote, "channel.k8s.io", "binary.k8s.io"),
            (Purpose::Log, "binary.k8s.io", "channel.k8s.io"),
        ] {
            let agreed = offer(&with(protocol), purpose);
            assert!(
                matches!(agreed, Ok(Agreement::WebSocket { protocol: known, .. }) if known == protocol)
            );
            assert_eq!(offer(&with(other), purpose).unwrap_err().code, 403);
        }
        let upgrade = [("connection", "Upgrade"), ("upgrade", "SPDY/3.1")];
        let versions = [
            ("x-stream-protocol-version", "v4.channel.k8s.io"),
            ("x-stream-protocol-version", "channel.k8s.io"),
        ];
        assert_eq!(
            offer(&[upgrade, versions].concat(), Purpose::Remote),
            Ok(Agreement::Spdy("v4.channel.k8s.io"))
        );
        assert_eq!(
            offer(&[upgrade, versions].concat(), Purpose::Forward)
                .unwrap_err()
                .code,
            403
        );
    }

    #[test]
    fn who_offers_nothing_is_told_what_is_needed() {
        assert_eq!(
            offer(&[], Purpose::Remote).unwrap_err().message,
            "Upgrade request required"
        );
        assert_eq!(offer(&SOCKET[1..], Purpose::Remote).unwrap_err().code, 400);
        assert_eq!(offer(&SOCKET[..3], Purpose::Remote).unwrap_err().code, 400);
    }
}
