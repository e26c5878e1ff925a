//! `wua web`: an address that opens the page of the agent, until the command is ended.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::Stdio;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use wua_types::HResult;

use crate::api::{Agent, Door};
use crate::harness::{Machine, program};

#[test]
fn the_page_is_joined_to_the_agent_until_it_is_told_to_end() {
    let agent = Agent::serve(Machine::new(1, &[]));
    let control = agent.socket(Door::Control);
    let mut child = program()
        .args(["--output", "jsonl", "web", "--sockets"])
        .arg(control.parent().expect("a folder"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut line = String::new();
    let mut output = BufReader::new(child.stdout.take().expect("piped"));
    output.read_line(&mut line).expect("it prints");
    let said: Value = serde_json::from_str(&line).expect("an object");
    let (authority, code) = said["url"]
        .as_str()
        .and_then(|url| url.strip_prefix("http://")?.split_once("/#"))
        .expect("an address with a code");

    let call = |first: &str, secret: &str| {
        let mut stream = TcpStream::connect(authority).expect("it listens");
        let head = format!(
            "{first} HTTP/1.1\r\nhost: {authority}\r\nconnection: close\r\nauthorization: Bearer {secret}\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).expect("sent");
        let mut text = String::new();
        stream.read_to_string(&mut text).expect("it answers");
        text
    };
    let session = call("POST /session", code);
    let token = session.rsplit('"').nth(1).expect("a token");
    let system = call("GET /api/system", token);
    assert!(system.starts_with("HTTP/1.1 200"), "{system}");
    assert!(system.contains(r#""access":"owner""#), "{system}");
    let refused = call("GET /api/system", "guess");
    assert!(
        refused.contains(&HResult::E_ACCESSDENIED.to_string()),
        "{refused}"
    );

    kill_process(Pid::from_child(&child), Signal::TERM).expect("it runs and is ours");
    assert!(child.wait().expect("waited for").success());
}
