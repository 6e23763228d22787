//! A gateway before Kafka Connect, as many have one: it asks who is there, serves under a path of its own, and sometimes
//! has nobody to pass requests on to.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use base64::Engine as _;

/// The gateway, on threads of its own, which end with the process.
pub(crate) struct Gateway {
    address: String,
    refusals: Arc<AtomicU32>,
    seen: Arc<AtomicU32>,
}

struct Rules {
    /// `host:port` of Kafka Connect.
    behind: String,
    authorization: String,
    refusals: Arc<AtomicU32>,
    seen: Arc<AtomicU32>,
}

/// The path under which it serves.
const PATH: &str = "/kafka/connect";

impl Gateway {
    /// A gateway for one user.
    pub(crate) fn start(connect_url: &str, user: &str, password: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}{PATH}", listener.local_addr().unwrap());
        let login = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"));
        let (refusals, seen) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
        let rules = Arc::new(Rules {
            behind: connect_url.trim_start_matches("http://").to_owned(),
            authorization: format!("Basic {login}"),
            refusals: refusals.clone(),
            seen: seen.clone(),
        });
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let rules = rules.clone();
                std::thread::spawn(move || rules.serve(stream));
            }
        });
        Self { address, refusals, seen }
    }

    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// Answers the next requests with 503, so many of them.
    pub(crate) fn refuse(&self, requests: u32) {
        self.refusals.store(requests, Ordering::SeqCst);
    }

    /// How many requests it had so far, from whomever.
    pub(crate) fn seen(&self) -> u32 {
        self.seen.load(Ordering::SeqCst)
    }
}

impl Rules {
    /// One request; then the connection is closed.
    fn serve(&self, stream: TcpStream) -> Option<()> {
        let mut stream = BufReader::new(stream);
        let mut head: Vec<String> = Vec::new();
        loop {
            let mut line = String::new();
            stream.read_line(&mut line).ok().filter(|read| *read > 0)?;
            match line.trim_end() {
                "" => break,
                line => head.push(line.to_owned()),
            }
        }
        self.seen.fetch_add(1, Ordering::SeqCst);
        let header = |name: &str| {
            let found = head.iter().filter_map(|line| line.split_once(": "));
            found.clone().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
        };
        let mut body = vec![0; header("content-length").map_or(0, |length| length.parse().unwrap())];
        stream.read_exact(&mut body).ok()?;
        let mut answer = |text: &str| stream.get_mut().write_all(text.as_bytes()).ok();
        if header("authorization") != Some(&self.authorization) {
            return answer("HTTP/1.1 401 Unauthorized\r\nContent-Length: 9\r\nConnection: close\r\n\r\nwho's it?");
        }
        let one_less = |left: u32| left.checked_sub(1);
        if self.refusals.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_less).is_ok() {
            return answer("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        }
        let Some(line) = head[0].split_once(PATH).map(|(method, path)| format!("{method}{path}")) else {
            return answer("HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\nConnection: close\r\n\r\nhuh?");
        };
        let line = line.replace("  ", " / ");
        let answer = self.pass_on(&line, &body)?;
        stream.get_mut().write_all(&answer).ok()
    }

    fn pass_on(&self, line: &str, body: &[u8]) -> Option<Vec<u8>> {
        let mut connect = TcpStream::connect(&self.behind).ok()?;
        let (behind, length) = (&self.behind, body.len());
        write!(
            connect,
            "{line}\r\nHost: {behind}\r\nContent-Type: application/json\r\nAccept: application/json\r\n\
             Content-Length: {length}\r\nConnection: close\r\n\r\n"
        )
        .ok()?;
        connect.write_all(body).ok()?;
        let mut answer = Vec::new();
        connect.read_to_end(&mut answer).ok()?;
        Some(answer)
    }
}
