//! The server as a hostile client meets it: raw requests to a page that is joined to a made-up agent.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use tempfile::TempDir;
use wua_web::WebServer;

/// A page with its agent: a socket that tells a test what it was sent, and answers what the test says.
struct Site {
    _folder: TempDir,
    authority: String,
    code: String,
    heard: Receiver<String>,
    answers: Sender<String>,
}

impl Site {
    fn new() -> Self {
        Self::with(&["control.sock"])
    }

    fn with(sockets: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let ((hear, heard), (answers, asked)) = (channel(), channel::<String>());
        let asked = std::sync::Arc::new(std::sync::Mutex::new(asked));
        for name in sockets {
            let (hear, asked) = (hear.clone(), asked.clone());
            let listener = UnixListener::bind(folder.path().join(name)).expect("binds");
            thread::spawn(move || agent(&listener, &hear, &asked));
        }
        let (authority, code) = serve(folder.path());
        Self {
            _folder: folder,
            authority,
            code,
            heard,
            answers,
        }
    }

    /// Sends these lines, with the right `Host`, and reads to the end.
    fn call(&self, first: &str, more: &[&str], body: &[u8]) -> Reply {
        let host = format!("host: {}", self.authority);
        self.call_raw(&[&[first, &host], more].concat(), body)
    }

    fn call_raw(&self, lines: &[&str], body: &[u8]) -> Reply {
        let mut stream = TcpStream::connect(&self.authority).expect("it listens");
        let head = format!("{}\r\nconnection: close\r\n\r\n", lines.join("\r\n"));
        // Who is refused early is not listened to.
        let _ = stream.write_all(&[head.as_bytes(), body].concat());
        let mut bytes = Vec::new();
        let _ = stream.read_to_end(&mut bytes);
        let text = String::from_utf8(bytes).expect("it speaks UTF-8");
        let (head, body) = text.split_once("\r\n\r\n").expect("an answer with a head");
        Reply {
            status: head[9..12].parse().expect("a status"),
            head: head.to_lowercase(),
            body: body.into(),
        }
    }

    /// The header that makes a session's requests its own.
    fn session(&self) -> String {
        let reply = self.call("POST /session HTTP/1.1", &[&bearer(&self.code)], b"");
        assert_eq!(reply.status, 200);
        let token = reply.body.split('"').nth(3).expect("a token");
        bearer(token)
    }
}

fn bearer(secret: &str) -> String {
    format!("authorization: Bearer {secret}")
}

/// Serves a page; the thread ends with the test's process.
fn serve(sockets: &Path) -> (String, String) {
    let server = WebServer::bind(0, sockets).expect("a free port");
    let url = server.url();
    thread::spawn(move || server.serve());
    let (authority, code) = url
        .strip_prefix("http://")
        .and_then(|rest| rest.split_once("/#"))
        .expect("an address with a code");
    (authority.into(), code.into())
}

fn agent(listener: &UnixListener, heard: &Sender<String>, answers: &std::sync::Mutex<Receiver<String>>) {
    for stream in listener.incoming() {
        let mut stream = stream.expect("a connection");
        let mut text = Vec::new();
        let mut piece = [0; 65536];
        loop {
            let count = stream.read(&mut piece).expect("a request");
            text.extend_from_slice(&piece[..count]);
            let so_far = String::from_utf8_lossy(&text);
            let whole = so_far.split_once("\r\n\r\n").is_some_and(|(head, body)| {
                let length = head
                    .lines()
                    .find_map(|line| line.strip_prefix("content-length: "))
                    .map_or(0, |length| length.parse().expect("a length"));
                body.len() >= length
            });
            if whole || count == 0 {
                break;
            }
        }
        heard
            .send(String::from_utf8_lossy(&text).into_owned())
            .expect("the test listens");
        // Piece by piece, each when the test says so; an empty one ends the answer.
        let answers = answers.lock().expect("no agent failed");
        while let Ok(piece) = answers.recv() {
            if piece.is_empty() {
                break;
            }
            stream.write_all(piece.as_bytes()).expect("the page listens");
        }
    }
}

struct Reply {
    status: u16,
    head: String,
    body: String,
}

impl Reply {
    #[track_caller]
    fn refuses(&self, status: u16) {
        assert_eq!(self.status, status, "{}", self.body);
        assert!(self.head.contains("application/problem+json"), "{}", self.head);
        assert!(self.body.contains("\"hresult\""), "{}", self.body);
        self.is_protected();
    }

    #[track_caller]
    fn is_protected(&self) {
        for part in [
            "content-security-policy: default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
             img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
            "x-content-type-options: nosniff",
            "cache-control: no-store",
            "referrer-policy: no-referrer",
        ] {
            assert!(self.head.contains(part), "{part} is not in {}", self.head);
        }
        assert!(!self.head.contains("set-cookie") && !self.head.contains("access-control-allow"));
    }
}

const OK: &str =
    "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\nset-cookie: a=b\r\n\r\n{}";

#[test]
fn the_page_and_its_files_are_for_whoever_asks_by_the_right_name() {
    let site = Site::new();
    for path in ["/", "/style.css", "/app.js", "/agent.js", "/?x=1"] {
        let reply = site.call(&format!("GET {path} HTTP/1.1"), &[], b"");
        assert_eq!(reply.status, 200, "{path}");
        reply.is_protected();
    }
    for path in [
        "/nothing",
        "/../etc/passwd",
        "/page/app.js",
        "/%2e%2e/app.js",
        "//app.jsx",
        "/api",
        "/session/",
    ] {
        site.call(&format!("GET {path} HTTP/1.1"), &[], b"").refuses(404);
    }
}

#[test]
fn another_host_or_origin_is_turned_away_before_anything_else() {
    let site = Site::new();
    let session = site.session();
    let port = site.authority.rsplit(':').next().expect("a port");
    let localhost = format!("host: localhost:{port}");
    for host in [&*localhost, "host: evil.example", "host: 127.0.0.1", "x: y"] {
        for path in ["/", "/api/system"] {
            site.call_raw(&[&format!("GET {path} HTTP/1.1"), host, &session], b"")
                .refuses(421);
        }
    }
    site.call("GET http://evil.example/api/system HTTP/1.1", &[&session], b"")
        .refuses(421);
    for origin in [
        "origin: http://evil.example",
        "origin: null",
        "origin: https://127.0.0.1",
    ] {
        site.call("GET /api/system HTTP/1.1", &[&session, origin], b"")
            .refuses(403);
        site.call("POST /session HTTP/1.1", &[&bearer(&site.code), origin], b"")
            .refuses(403);
    }
    assert!(site.heard.try_recv().is_err(), "the agent heard of it");
}

#[test]
fn the_api_is_for_the_session_only_and_the_code_buys_one() {
    let site = Site::new();
    for header in [
        bearer(&site.code),
        bearer(""),
        "authorization: Basic eDp5".into(),
        "cookie: token=x".into(),
    ] {
        site.call("GET /api/system HTTP/1.1", &[&header], b"")
            .refuses(401);
    }
    site.call("POST /session HTTP/1.1", &[&bearer("guess")], b"")
        .refuses(401);
    site.call("POST /session HTTP/1.1", &[], b"").refuses(401);
    site.call("GET /session HTTP/1.1", &[&bearer(&site.code)], b"")
        .refuses(405);
    let session = site.session();
    site.call("POST /session HTTP/1.1", &[&bearer(&site.code)], b"")
        .refuses(401);
    // One header each; which of two counts would be a matter of taste.
    site.call("GET /api/system HTTP/1.1", &[&session, &session], b"")
        .refuses(401);
    assert!(site.heard.try_recv().is_err(), "the agent heard of it");

    site.answers.send(OK.into()).expect("sent");
    site.answers.send(String::new()).expect("sent");
    let reply = site.call(
        "GET /api/system?x=1 HTTP/1.1",
        &[&session, "cookie: c=d", "x-forwarded-for: 1.2.3.4"],
        b"",
    );
    assert_eq!((reply.status, &*reply.body), (200, "{}"));
    reply.is_protected();
    let heard = site.heard.recv().expect("a request").to_lowercase();
    assert!(heard.starts_with("get /system?x=1 http/1.1\r\n"), "{heard}");
    for secret in ["bearer", "cookie", "forwarded", "127.0.0.1"] {
        assert!(!heard.contains(secret), "{heard}");
    }
}

#[test]
fn methods_and_bodies_have_limits() {
    let site = Site::new();
    let session = site.session();
    for method in ["DELETE", "OPTIONS", "HEAD", "CONNECT", "TRACE", "BREW"] {
        let first = format!("{method} /api/system HTTP/1.1");
        let reply = site.call(&first, &[&session], b"");
        assert!([405, 421].contains(&reply.status), "{method}: {}", reply.status);
    }
    site.call("POST / HTTP/1.1", &[], b"").refuses(405);
    let long = vec![b' '; (1 << 20) + 1];
    let length = format!("content-length: {}", long.len());
    site.call("POST /api/plans HTTP/1.1", &[&session, &length], &long)
        .refuses(413);
    assert!(site.heard.try_recv().is_err(), "the agent heard of it");

    site.answers.send(OK.into()).expect("sent");
    site.answers.send(String::new()).expect("sent");
    let length = format!("content-length: {}", 1 << 20);
    let reply = site.call("PUT /api/plans HTTP/1.1", &[&session, &length], &long[1..]);
    assert_eq!(reply.status, 200);
    assert!(site.heard.recv().expect("a request").len() > 1 << 20);
}

#[test]
fn events_arrive_when_they_are_sent() {
    let site = Site::new();
    let session = site.session();
    let mut stream = TcpStream::connect(&site.authority).expect("it listens");
    let request = format!(
        "GET /api/jobs/x/events HTTP/1.1\r\nhost: {}\r\n{session}\r\n\r\n",
        site.authority
    );
    stream.write_all(request.as_bytes()).expect("sent");
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
    site.answers.send(head.into()).expect("sent");
    let mut seen = String::new();
    for event in ["event: one\n\n", "event: two\n\n"] {
        let chunk = format!("{:x}\r\n{event}\r\n", event.len());
        site.answers.send(chunk).expect("sent");
        // The next one is not sent before this one is here.
        while !seen.ends_with(&format!("{event}\r\n")) {
            let mut piece = [0; 4096];
            let count = stream.read(&mut piece).expect("it speaks");
            assert!(count > 0, "{seen}");
            seen.push_str(std::str::from_utf8(&piece[..count]).expect("text"));
        }
    }
    assert!(seen.contains("content-type: text/event-stream"), "{seen}");
}

#[test]
fn the_door_for_reading_is_used_where_the_other_is_shut_and_a_missing_agent_is_told() {
    let site = Site::with(&["read.sock"]);
    let session = site.session();
    site.answers.send(OK.into()).expect("sent");
    site.answers.send(String::new()).expect("sent");
    assert_eq!(
        site.call("GET /api/system HTTP/1.1", &[&session], b"").status,
        200
    );
    let lonely = Site::with(&[]);
    let session = lonely.session();
    let reply = lonely.call("GET /api/system HTTP/1.1", &[&session], b"");
    reply.refuses(503);
    assert!(reply.body.contains("no agent answers"), "{}", reply.body);
}

#[test]
fn a_port_that_is_taken_is_an_error_with_a_code() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("an address").port();
    let error = WebServer::bind(port, Path::new("/nowhere")).expect_err("it is taken");
    assert_eq!(error.code(), wua_types::HResult::WU_E_OPERATIONINPROGRESS);
}
