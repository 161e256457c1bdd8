//! A server on this machine that answers a few paths, and remembers what it was asked.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// What is answered at a path.
pub struct Page {
    pub path: &'static str,
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub body: String,
}

impl Page {
    /// JSON with status 200.
    pub fn json(path: &'static str, body: &serde_json::Value) -> Self {
        Self { path, status: 200, headers: Vec::new(), body: body.to_string() }
    }
}

/// The server; it ends with the process.
pub struct Server {
    /// Its address, without a slash at the end.
    pub address: String,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// Answers these pages, and 404 for everything else.
    pub fn start(pages: Vec<Page>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = format!("http://{}", listener.local_addr().expect("an address"));
        let requests = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&requests);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                // A client that has gone needs no answer.
                let _ = stream.and_then(|stream| answer(stream, &pages, &seen));
            }
        });
        Self { address, requests }
    }

    /// The requests so far: first lines, headers and bodies.
    pub fn requests(&self) -> Vec<String> {
        self.requests.lock().expect("the requests").clone()
    }
}

fn answer(mut stream: TcpStream, pages: &[Page], seen: &Mutex<Vec<String>>) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut request = String::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 || line == "\r\n" {
            break;
        }
        request.push_str(&line);
    }
    let path = request.split(' ').nth(1).unwrap_or_default().to_owned();
    let is_head = request.starts_with("HEAD ");
    seen.lock().expect("the requests").push(request);
    let none = Page { path: "", status: 404, headers: Vec::new(), body: String::new() };
    let page = pages.iter().find(|page| page.path == path).unwrap_or(&none);
    let named = page.headers.iter().any(|(name, _)| *name == "content-length");
    let mut head = format!("HTTP/1.1 {} -\r\nconnection: close\r\n", page.status);
    for (name, value) in &page.headers {
        head += &format!("{name}: {value}\r\n");
    }
    if !named {
        head += &format!("content-length: {}\r\n", page.body.len());
    }
    stream.write_all(head.as_bytes())?;
    stream.write_all(b"\r\n")?;
    if !is_head {
        stream.write_all(page.body.as_bytes())?;
    }
    stream.flush()
}
