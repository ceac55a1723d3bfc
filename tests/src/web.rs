//! A web server of a test's own, on this machine's loopback: what it answers is a function.
//!
//! One request for each connection, and only as much of HTTP as the clients under test speak.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

/// What was asked.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// As in `GET`.
    pub method: String,
    /// The path, without what follows a question mark.
    pub path: String,
    /// What follows the question mark, as it was sent.
    pub query: String,
    /// Where it was sent to, as the client names it.
    pub host: String,
    /// The account or token that came along.
    pub authorization: Option<String>,
    /// Which part of the whole it is, as in `0-99`.
    pub range: Option<String>,
    /// What kind of content it is.
    pub content_type: Option<String>,
    /// What was sent.
    pub body: Vec<u8>,
}

/// What is answered.
#[derive(Clone, Debug)]
pub struct Response {
    /// As in 200.
    pub status: u16,
    /// Names and values.
    pub headers: Vec<(String, String)>,
    /// The content; its length is told also where a HEAD doesn't get it.
    pub body: Vec<u8>,
}

impl Response {
    /// An answer with a content.
    pub fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: body.into(),
        }
    }

    /// None at all: the connection ends.
    pub fn silence() -> Self {
        Self::new(0, Vec::new())
    }

    /// The same with one more header.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }
}

type Answer = dyn Fn(&Request) -> Response + Send + Sync;

/// The server; it ends when it is dropped.
#[derive(Debug)]
pub struct Web {
    address: SocketAddr,
    ends: Arc<AtomicBool>,
    listener: Option<JoinHandle<()>>,
}

impl Web {
    /// Listens on a port of its own.
    pub fn start(
        answer: impl Fn(&Request) -> Response + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let ends = Arc::new(AtomicBool::new(false));
        let (over, answer): (_, Arc<Answer>) = (ends.clone(), Arc::new(answer));
        let listen = move || {
            for stream in listener.incoming() {
                if over.load(Ordering::SeqCst) {
                    return;
                }
                let (Ok(stream), answer) = (stream, answer.clone()) else {
                    continue;
                };
                // A client that goes away in the middle is none of the server's business.
                std::thread::spawn(move || drop(serve(stream, &*answer)));
            }
        };
        Ok(Self {
            address,
            ends,
            listener: Some(std::thread::spawn(listen)),
        })
    }

    /// Where it listens, as in `127.0.0.1:5000`.
    pub fn host(&self) -> String {
        self.address.to_string()
    }
}

impl Drop for Web {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::SeqCst);
        // One more connection, or it would wait for the next client.
        drop(TcpStream::connect(self.address));
        if let Some(listener) = self.listener.take() {
            drop(listener.join());
        }
    }
}

fn serve(stream: TcpStream, answer: &Answer) -> io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let mut words = line.split_whitespace();
    let mut request = Request {
        method: words.next().unwrap_or_default().to_owned(),
        ..Request::default()
    };
    let target = words.next().unwrap_or_default();
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    path.clone_into(&mut request.path);
    query.clone_into(&mut request.query);
    let mut length = 0;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 || line.trim().is_empty() {
            break;
        }
        let (name, value) = line.split_once(':').unwrap_or_default();
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.trim().parse().unwrap_or_default(),
            "host" => value.trim().clone_into(&mut request.host),
            "authorization" => request.authorization = Some(value.trim().to_owned()),
            "content-range" => request.range = Some(value.trim().to_owned()),
            "content-type" => request.content_type = Some(value.trim().to_owned()),
            _ => {}
        }
    }
    reader.take(length).read_to_end(&mut request.body)?;
    let response = answer(&request);
    if response.status == 0 {
        return Ok(());
    }
    let (status, length) = (response.status, response.body.len());
    let headers = response.headers.iter();
    let headers: String = headers
        .map(|(name, value)| name.to_owned() + ": " + value + "\r\n")
        .collect();
    let head = format!(
        "HTTP/1.1 {status} Answer\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n"
    );
    let mut stream = stream;
    stream.write_all(head.as_bytes())?;
    if request.method != "HEAD" {
        stream.write_all(&response.body)?;
    }
    stream.flush()
}
