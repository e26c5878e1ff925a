//! The way through a bridge, with a listener in the bridge's place that says whatever a test wants.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use wua_client::{AgentClient, ClientError};
use wua_types::{HResult, UpdateId};

/// A listener that gives each connection the next of the answers, and tells what it was asked.
struct Impostor {
    folder: TempDir,
    port: u16,
    heard: Receiver<String>,
}

impl Impostor {
    fn saying(answers: Vec<Vec<u8>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("binds");
        let port = listener.local_addr().expect("bound").port();
        let (tell, heard) = channel();
        thread::spawn(move || {
            for answer in answers {
                let (stream, _) = listener.accept().expect("somebody comes");
                let _ = tell.send(asked(&stream));
                let _ = (&stream).write_all(&answer);
            }
        });
        let impostor = Self {
            folder: tempfile::tempdir().expect("a folder"),
            port,
            heard,
        };
        impostor.write(&format!(r#"{{"port": {port}, "token": "secret"}}"#));
        impostor
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("bridge.json")
    }

    fn write(&self, text: &str) {
        fs::write(self.file(), text).expect("written");
    }

    fn client(&self) -> AgentClient {
        AgentClient::through_bridge(&self.file())
    }
}

/// Head and document of a request.
fn asked(stream: &TcpStream) -> String {
    let (mut lines, mut text, mut length) = (BufReader::new(stream), String::new(), 0);
    loop {
        let start = text.len();
        lines.read_line(&mut text).expect("a request");
        let line = text[start..].trim().to_lowercase();
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().expect("a length");
        }
        if line.is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    lines.read_exact(&mut body).expect("the document");
    text + &String::from_utf8(body).expect("text")
}

fn reply(status: &str, headers: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n{headers}\r\n{body}")
        .into_bytes()
}

const HISTORY: &str = r#"{"total": 0, "entries": []}"#;

#[test]
fn a_request_carries_the_token_and_names_the_port() {
    let bridge = Impostor::saying(vec![reply("200 OK", "", HISTORY)]);
    assert_eq!(bridge.client().history("", 0, 5).expect("an answer").total, 0);
    let heard = bridge.heard.recv().expect("asked").to_lowercase();
    assert!(
        heard.starts_with("get /history?criteria=&start=0&count=5 http/1.1"),
        "{heard}"
    );
    assert!(heard.contains("authorization: bearer secret\r\n"), "{heard}");
    assert!(
        heard.contains(&format!("host: 127.0.0.1:{}\r\n", bridge.port)),
        "{heard}"
    );
}

#[test]
fn flags_and_services_are_documents() {
    let services = r#"{"services": []}"#;
    let answers = ["204 No Content", "204 No Content"].map(|status| reply(status, "", ""));
    let bridge = Impostor::saying([answers.to_vec(), vec![reply("200 OK", "", services)]].concat());
    let client = bridge.client();
    let id = uuid::Uuid::from_u128(7);
    client.set_hidden(UpdateId(id), true).expect("done");
    client.register_service_with_au(id, false).expect("done");
    assert_eq!(client.services().expect("an answer"), []);
    let heard = || bridge.heard.recv().expect("asked");
    let hidden = heard();
    assert!(
        hidden.starts_with(&format!("PUT /updates/{id}/hidden ")),
        "{hidden}"
    );
    assert!(hidden.ends_with(r#"{"hidden":true}"#), "{hidden}");
    let registered = heard();
    assert!(
        registered.starts_with(&format!("PUT /services/{id}/automatic ")),
        "{registered}"
    );
    assert!(registered.ends_with(r#"{"registered":false}"#), "{registered}");
}

#[test]
fn a_bridge_that_cannot_be_found_is_an_agent_that_is_not_there() {
    let bridge = Impostor::saying(vec![]);
    let not_there = |what: &str| match bridge.client().system() {
        Err(error @ ClientError::NotThere(_)) => assert_eq!(error.code(), HResult::WU_E_SERVICE_STOP),
        other => panic!("{what}: {other:?}"),
    };
    for damaged in [
        "",
        "{",
        "[]",
        r#"{"port": 0, "token": "secret"}"#,
        r#"{"port": 70000, "token": "secret"}"#,
        r#"{"port": 80}"#,
        r#"{"port": 80, "token": ""}"#,
        "{\"port\": 80, \"token\": \"a\\r\\nhost: b\"}",
        &format!(r#"{{"port": 80, "token": "{}"}}"#, "a".repeat(5000)),
    ] {
        bridge.write(damaged);
        not_there(damaged);
    }
    // Nobody listens at a port that was free a moment ago.
    let free = TcpListener::bind("127.0.0.1:0")
        .expect("binds")
        .local_addr()
        .expect("bound")
        .port();
    bridge.write(&format!(r#"{{"port": {free}, "token": "secret"}}"#));
    not_there("refused");
    fs::remove_file(bridge.file()).expect("removed");
    not_there("no file");
}

#[test]
fn a_bridge_that_was_started_again_is_found_by_the_same_client() {
    let (old, new) = (
        Impostor::saying(vec![reply("200 OK", "", HISTORY)]),
        Impostor::saying(vec![reply("200 OK", "", HISTORY)]),
    );
    let client = old.client();
    client.history("", 0, 1).expect("an answer");
    old.write(&format!(r#"{{"port": {}, "token": "other"}}"#, new.port));
    client.history("", 0, 1).expect("an answer");
    assert!(new.heard.recv().expect("asked").contains("Bearer other"));
}

#[test]
fn who_listens_there_without_the_proof_is_not_believed() {
    let headers = ["", "wua-bridge: guess\r\n", "wua-bridge: proof\r\n"];
    let bridge = Impostor::saying(headers.map(|headers| reply("200 OK", headers, HISTORY)).to_vec());
    bridge.write(&format!(
        r#"{{"port": {}, "token": "secret", "proof": "proof"}}"#,
        bridge.port
    ));
    let client = bridge.client();
    for _ in 0..2 {
        let error = client.history("", 0, 1).expect_err("no proof");
        assert!(matches!(error, ClientError::NotThere(_)), "{error:?}");
    }
    client.history("", 0, 1).expect("it is the bridge");
}

#[test]
fn a_bridge_that_says_the_agent_is_away_is_like_an_agent_that_is_away() {
    let problem = |hresult: HResult, status: u16| {
        let body = serde_json::json!({
            "type": "about:blank", "title": "t", "status": status, "detail": "why", "hresult": hresult
        });
        reply(
            &format!("{status} No"),
            "content-type: application/problem+json\r\n",
            &body.to_string(),
        )
    };
    let bridge = Impostor::saying(vec![
        problem(HResult::WU_E_SERVICE_STOP, 503),
        problem(HResult::WU_E_SERVICE_STOP, 502),
        problem(HResult::E_ACCESSDENIED, 401),
    ]);
    let client = bridge.client();
    for _ in 0..2 {
        assert!(matches!(client.system(), Err(ClientError::NotThere(why)) if why == "why"));
    }
    let refused = client.system().expect_err("refused");
    assert!(matches!(&refused, ClientError::Problem(_)), "{refused:?}");
    assert_eq!(refused.code(), HResult::E_ACCESSDENIED);
}

#[test]
fn whatever_is_said_there_is_an_error_and_soon() {
    let endless_head = [b"HTTP/1.1 200 OK\r\n".to_vec(), b"a: b\r\n".repeat(100_000)].concat();
    let long_header = [b"HTTP/1.1 200 OK\r\na: ".to_vec(), vec![b'b'; 1 << 20]].concat();
    let long_problem = reply("500 No", "", &"x".repeat(2 << 20));
    let answers: Vec<Vec<u8>> = vec![
        b"".to_vec(),
        b"SSH-2.0-OpenSSH_9.2\r\n".to_vec(),
        b"\0\xff\0\xff".repeat(1000),
        b"HTTP/1.1 200 OK\r\n".to_vec(),
        b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{".to_vec(),
        b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n{".to_vec(),
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nffffffffffffffffff\r\n{".to_vec(),
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\n{".to_vec(),
        endless_head,
        long_header,
        long_problem,
        reply("200 OK", "", ""),
        reply("200 OK", "", "no json"),
        reply("200 OK", "", r#"{"total": -1, "entries": []}"#),
        reply("200 OK", "", &"[".repeat(100_000)),
        reply("204 No Content", "", ""),
        reply("404 Not Found", "", "<html>"),
        // Nobody is sent elsewhere, least of all with the token.
        reply("302 Found", "location: http://127.0.0.1:1/\r\n", ""),
        reply(
            "307 Temporary Redirect",
            "location: http://example.com/\r\n",
            "{}",
        ),
    ];
    let count = answers.len();
    let bridge = Impostor::saying(answers);
    let client = bridge.client();
    for index in 0..count {
        let begun = Instant::now();
        let error = client.history("", 0, 1).expect_err("no answer");
        assert!(
            matches!(error, ClientError::NotThere(_) | ClientError::NotUnderstood(_)),
            "answer {index}: {error:?}"
        );
        assert!(
            begun.elapsed() < Duration::from_secs(5),
            "answer {index}: {error:?}"
        );
    }
    assert_eq!(bridge.heard.iter().count(), count, "each was asked once");
}
