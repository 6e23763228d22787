//! An HTTP server that answers what it is told to, in order, and remembers what it was asked.

use std::collections::VecDeque;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// What it answers to one request.
#[derive(Debug, Clone)]
pub(super) enum Reply {
    /// This status with this body, and a header more.
    Answer(u16, String, Option<(&'static str, &'static str)>),
    /// The connection is closed.
    HangUp,
    /// Nothing, for as long as the client waits.
    Silence,
}

pub(super) fn json(status: u16, body: &str) -> Reply {
    Reply::Answer(status, body.to_owned(), None)
}

/// Kafka Connect's own form of an error.
pub(super) fn refused(status: u16, message: &str) -> Reply {
    json(status, &serde_json::json!({ "error_code": status, "message": message }).to_string())
}

/// A request as it arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Request {
    /// `PUT /connectors/x/config`.
    pub(super) line: String,
    pub(super) authorization: Option<String>,
    pub(super) body: String,
}

/// The server, on threads of its own, which end with the process.
pub(super) struct Server {
    pub(super) address: String,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Server {
    /// Whoever asks on after the last reply is hung up on.
    pub(super) fn start(replies: impl IntoIterator<Item = Reply>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = format!("http://{}", listener.local_addr().expect("it is bound"));
        let replies: Arc<Mutex<VecDeque<Reply>>> = Arc::new(Mutex::new(replies.into_iter().collect()));
        let requests = Arc::new(Mutex::new(Vec::new()));
        let seen = requests.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (replies, seen) = (replies.clone(), seen.clone());
                std::thread::spawn(move || serve(stream, &replies, &seen));
            }
        });
        Self { address, requests }
    }

    pub(super) fn requests(&self) -> Vec<Request> {
        self.requests.lock().expect("no test panics with it").clone()
    }

    /// The requests' first lines.
    pub(super) fn lines(&self) -> Vec<String> {
        self.requests().into_iter().map(|request| request.line).collect()
    }
}

/// One connection, which may carry several requests.
fn serve(stream: TcpStream, replies: &Mutex<VecDeque<Reply>>, requests: &Mutex<Vec<Request>>) {
    let mut stream = BufReader::new(stream);
    while let Some(request) = read(&mut stream) {
        let reply = {
            requests.lock().expect("no test panics with it").push(request);
            replies.lock().expect("no test panics with it").pop_front().unwrap_or(Reply::HangUp)
        };
        match reply {
            Reply::HangUp => return,
            // Until the client closes.
            Reply::Silence => return drop(stream.read(&mut [0])),
            Reply::Answer(status, body, header) => {
                let header = header.map(|(name, value)| format!("{name}: {value}\r\n")).unwrap_or_default();
                let length = body.len();
                let text = format!("HTTP/1.1 {status} X\r\nContent-Length: {length}\r\n{header}\r\n{body}");
                if stream.get_mut().write_all(text.as_bytes()).is_err() {
                    return;
                }
            }
        }
    }
}

fn read(stream: &mut BufReader<TcpStream>) -> Option<Request> {
    let (mut line, mut length, mut authorization) = (String::new(), 0, None);
    loop {
        let mut text = String::new();
        if stream.read_line(&mut text).ok()? == 0 {
            return None;
        }
        let text = text.trim_end();
        match text.split_once(": ") {
            _ if text.is_empty() => break,
            _ if line.is_empty() => text.trim_end_matches(" HTTP/1.1").clone_into(&mut line),
            Some((name, value)) if name.eq_ignore_ascii_case("content-length") => length = value.parse().ok()?,
            Some((name, value)) if name.eq_ignore_ascii_case("authorization") => authorization = Some(value.to_owned()),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).ok()?;
    Some(Request { line, authorization, body: String::from_utf8_lossy(&body).into_owned() })
}
