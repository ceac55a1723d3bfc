//! Answers every connection with one line.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;

fn main() -> std::io::Result<()> {
    let port = std::env::var("PORT").expect("PORT says where to listen");
    for stream in TcpListener::bind(format!("0.0.0.0:{port}"))?.incoming() {
        let mut stream = stream?;
        let mut request = String::new();
        // A probe connects and says nothing.
        if BufReader::new(&stream).read_line(&mut request)? > 0 {
            stream.write_all(b"HTTP/1.0 200 OK\r\n\r\nrust\n")?;
        }
    }
    Ok(())
}
