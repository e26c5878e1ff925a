//! An agent of a test's own, and calls of its API.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read as _, Write as _};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::sync::{LazyLock, Mutex};

use jsonschema::Validator;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tempfile::TempDir;
use uuid::Uuid;
use wua_sandbox::Fault;

use crate::harness::{Machine, program};

static DESCRIPTION: LazyLock<Value> =
    LazyLock::new(|| serde_json::from_str(wua_agent::OPENAPI).expect("the description is JSON"));

/// Which socket.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Door {
    Read,
    Control,
}

/// Looks until there is an answer: for what nobody tells of. Fails where none comes in a minute.
#[track_caller]
pub(crate) fn patiently<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    for _ in 0..6000 {
        if let Some(answer) = look() {
            return answer;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    panic!("{what} did not come")
}

/// A running agent. Ends with the test; its jobs do not.
pub(crate) struct Agent {
    child: Option<Child>,
    folder: TempDir,
    pub(crate) machine: Machine,
}

/// What was answered.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) body: Value,
}

impl Reply {
    #[track_caller]
    pub(crate) fn is(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{:#}", self.body);
        self.body
    }

    /// A problem with this code.
    #[track_caller]
    pub(crate) fn refuses(self, status: u16, code: &str) -> Value {
        let body = self.is(status);
        let named = code.parse::<wua_types::HResult>().expect("a code");
        assert_eq!(body["hresult"], json!(named), "{body:#}");
        body
    }
}

impl Agent {
    /// Serves a machine on which nothing is done by itself.
    pub(crate) fn serve(machine: Machine) -> Self {
        let policy = machine.path("etc/wua/wua.toml");
        let before = std::fs::read_to_string(policy).unwrap_or_default();
        machine.write(
            "etc/wua/wua.toml",
            &format!("{before}\n[automatic]\nlevel = \"off\"\n"),
        );
        Self::serve_as_it_is(machine)
    }

    /// Serves a machine with the policy that it has.
    pub(crate) fn serve_as_it_is(machine: Machine) -> Self {
        let folder = tempfile::Builder::new()
            .prefix("wua-agent-")
            .tempdir()
            .expect("a folder");
        let mut agent = Self {
            child: None,
            folder,
            machine,
        };
        agent.start();
        agent
    }

    /// An agent whose first installation stands at a closed gate, with two more updates waiting for their turn: the job, and its
    /// events from then on.
    pub(crate) fn at_the_gate() -> (Self, String, Events) {
        let machine = Machine::new(2, &[Fault::Slow]);
        machine.small_batches();
        let agent = Self::serve(machine);
        let updates: Vec<String> = agent.ids().into_values().collect();
        let (download, install) = (Uuid::new_v4().to_string(), Uuid::new_v4().to_string());
        agent
            .put_job(&download, json!({ "operation": "download", "updates": updates }))
            .is(201);
        agent.finish(&download);
        agent.machine.close_gate();
        agent
            .put_job(&install, json!({ "operation": "install", "updates": updates }))
            .is(201);
        let mut events = agent.events(&install);
        events.until("the gate", |_, data| data["phase"] == "configuring");
        (agent, install, events)
    }

    /// Starts it, and waits until it says that it is ready.
    pub(crate) fn start(&mut self) {
        let place = self.folder.path().join("notify");
        let _ = std::fs::remove_file(&place);
        let notify = UnixDatagram::bind(&place).expect("binds");
        let child = program()
            .arg("--root")
            .arg(self.machine.root())
            .args(["agent", "run", "--sockets"])
            .arg(self.folder.path())
            .env("NOTIFY_SOCKET", &place)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the program starts");
        self.child = Some(child);
        let mut said = [0; 32];
        let length = notify.recv(&mut said).expect("it speaks");
        assert_eq!(&said[..length], b"READY=1");
    }

    /// Ends it as systemd does, and waits for its end.
    pub(crate) fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let pid = Pid::from_child(&child);
            kill_process(pid, Signal::TERM).expect("it runs and is ours");
            assert!(child.wait().expect("waited for").success());
        }
    }

    /// Ends it at once, as a crash would.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().expect("it is ours");
            child.wait().expect("waited for");
        }
    }

    pub(crate) fn socket(&self, door: Door) -> PathBuf {
        self.folder.path().join(match door {
            Door::Read => "read.sock",
            Door::Control => "control.sock",
        })
    }

    fn send(&self, door: Door, method: &str, path: &str, body: Option<&[u8]>) -> Answer {
        let mut stream = UnixStream::connect(self.socket(door)).expect("the agent listens");
        let mut head = format!("{method} {path} HTTP/1.1\r\nhost: wua\r\nconnection: close\r\n");
        if let Some(body) = body {
            head += &format!(
                "content-type: application/json\r\ncontent-length: {}\r\n",
                body.len()
            );
        }
        let text = [head.as_bytes(), b"\r\n", body.unwrap_or_default()].concat();
        // A document that is too long is refused before all of it was read.
        let _ = stream.write_all(&text);
        Answer::read(stream)
    }

    /// Calls, and holds the answer against the description.
    #[track_caller]
    pub(crate) fn call(&self, door: Door, method: &str, path: &str, body: Option<Value>) -> Reply {
        let text = body.map(|body| body.to_string().into_bytes());
        self.call_raw(door, method, path, text.as_deref())
    }

    #[track_caller]
    pub(crate) fn call_raw(&self, door: Door, method: &str, path: &str, body: Option<&[u8]>) -> Reply {
        let mut answer = self.send(door, method, path, body);
        let mut text = Vec::new();
        answer.rest.read_to_end(&mut text).expect("it answers");
        let body = if text.is_empty() {
            Value::Null
        } else {
            serde_json::from_slice(&text).unwrap_or_else(|error| panic!("{error} in {text:?}"))
        };
        check(method, path, answer.status, answer.kind.as_deref(), &body);
        Reply {
            status: answer.status,
            body,
        }
    }

    #[track_caller]
    pub(crate) fn get(&self, path: &str) -> Value {
        self.call(Door::Read, "GET", path, None).is(200)
    }

    /// Begins a job at the control socket.
    #[track_caller]
    pub(crate) fn put_job(&self, id: &str, request: Value) -> Reply {
        self.call(Door::Control, "PUT", &format!("/jobs/{id}"), Some(request))
    }

    /// Follows a job.
    #[track_caller]
    pub(crate) fn events(&self, id: &str) -> Events {
        let answer = self.send(Door::Read, "GET", &format!("/jobs/{id}/events"), None);
        assert_eq!(answer.status, 200);
        assert_eq!(answer.kind.as_deref(), Some("text/event-stream"));
        assert!(answer.chunked, "a stream has no length");
        Events {
            lines: answer.rest,
            chunk: Vec::new(),
        }
    }

    /// Waits for a job's end; how it stands then.
    #[track_caller]
    pub(crate) fn finish(&self, id: &str) -> Value {
        self.events(id).for_each(drop);
        self.get(&format!("/jobs/{id}"))
    }

    /// The ids of what a search finds, by title.
    pub(crate) fn ids(&self) -> BTreeMap<String, String> {
        let found = self.get("/updates");
        let updates = found["updates"].as_array().expect("a list");
        let text = |value: &Value| value.as_str().expect("a text").to_owned();
        updates
            .iter()
            .map(|update| (text(&update["title"]), text(&update["id"])))
            .collect()
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The head of an answer, and what follows it.
struct Answer {
    status: u16,
    kind: Option<String>,
    chunked: bool,
    rest: BufReader<UnixStream>,
}

impl Answer {
    fn read(stream: UnixStream) -> Self {
        let mut rest = BufReader::new(stream);
        let mut line = String::new();
        rest.read_line(&mut line).expect("it answers");
        let status = line
            .split(' ')
            .nth(1)
            .and_then(|code| code.parse().ok())
            .unwrap_or_else(|| panic!("no status in `{line}`"));
        let (mut kind, mut chunked) = (None, false);
        loop {
            line.clear();
            rest.read_line(&mut line).expect("it answers");
            let Some((name, value)) = line.trim().split_once(':') else {
                break;
            };
            match name.to_lowercase().as_str() {
                "content-type" => kind = Some(value.trim().to_owned()),
                "transfer-encoding" => chunked = value.trim() == "chunked",
                _ => {}
            }
        }
        Self {
            status,
            kind,
            chunked,
            rest,
        }
    }
}

/// The events of a job's stream, held against the description: the name, and what it carries.
pub(crate) struct Events {
    lines: BufReader<UnixStream>,
    chunk: Vec<u8>,
}

impl Events {
    fn more(&mut self) -> bool {
        let mut size = String::new();
        if self.lines.read_line(&mut size).unwrap_or(0) == 0 {
            return false;
        }
        let size = usize::from_str_radix(size.trim(), 16).expect("the size of a chunk");
        let mut chunk = vec![0; size + 2];
        self.lines.read_exact(&mut chunk).expect("a whole chunk");
        self.chunk.extend_from_slice(&chunk[..size]);
        size > 0
    }

    /// Reads up to the first event that fits.
    #[track_caller]
    pub(crate) fn until(&mut self, what: &str, fits: impl Fn(&str, &Value) -> bool) -> Value {
        self.find(|(name, data)| fits(name, data))
            .unwrap_or_else(|| panic!("the stream ended without {what}"))
            .1
    }
}

impl Iterator for Events {
    type Item = (String, Value);

    fn next(&mut self) -> Option<(String, Value)> {
        loop {
            if let Some(end) = self.chunk.windows(2).position(|two| two == b"\n\n") {
                let event: Vec<u8> = self.chunk.drain(..end + 2).collect();
                let text = String::from_utf8(event).expect("it speaks UTF-8");
                let field = |name: &str| {
                    text.lines()
                        .find_map(|line| line.strip_prefix(name))
                        .map(|value| value.trim().to_owned())
                };
                let Some(name) = field("event:") else { continue };
                let data: Value = serde_json::from_str(&field("data:").expect("data")).expect("JSON");
                let schema = match &*name {
                    "snapshot" => "Job",
                    "problem" => "Problem",
                    _ => "Event",
                };
                assert_schema(
                    &json!({ "$ref": format!("#/components/schemas/{schema}") }),
                    &data,
                );
                return Some((name, data));
            }
            if !self.more() {
                return None;
            }
        }
    }
}

/// Fails unless the description says that this may be answered.
#[track_caller]
fn check(method: &str, path: &str, status: u16, kind: Option<&str>, body: &Value) {
    let path = path.split('?').next().unwrap_or(path);
    let parts: Vec<&str> = path.split('/').collect();
    let fits = |template: &str| {
        let template: Vec<&str> = template.split('/').collect();
        template.len() == parts.len()
            && std::iter::zip(&template, &parts).all(|(one, other)| one.starts_with('{') || one == other)
    };
    let paths = DESCRIPTION["paths"].as_object().expect("paths");
    let described = paths
        .iter()
        .find(|(template, _)| fits(template))
        .map(|(_, item)| &item[method.to_lowercase()]["responses"]);
    let problem = json!({ "$ref": "#/components/schemas/Problem" });
    match described {
        // What is not described at all is a problem all the same.
        None => assert_schema(&problem, body),
        Some(Value::Null) => {
            assert_eq!(status, 405);
            assert_schema(&problem, body);
        }
        Some(responses) => {
            let response = &responses[status.to_string()];
            assert!(
                !response.is_null(),
                "{method} {path} may not answer {status}: {body:#}"
            );
            match (response.get("content"), kind) {
                (None, None) => assert!(body.is_null()),
                (Some(content), Some(kind)) => assert_schema(&content[kind]["schema"], body),
                (described, kind) => panic!("{method} {path} {status}: {kind:?} is not {described:?}"),
            }
        }
    }
}

#[track_caller]
fn assert_schema(schema: &Value, value: &Value) {
    static VALIDATORS: LazyLock<Mutex<BTreeMap<String, &'static Validator>>> = LazyLock::new(Mutex::default);
    assert!(!schema.is_null(), "nothing is described for {value}");
    let validator = *VALIDATORS
        .lock()
        .expect("no test failed here")
        .entry(schema.to_string())
        .or_insert_with(|| {
            let mut whole = schema.clone();
            whole["components"] = DESCRIPTION["components"].clone();
            let validator = jsonschema::draft202012::new(&whole).expect("the description is valid");
            Box::leak(Box::new(validator))
        });
    let faults: Vec<String> = validator
        .iter_errors(value)
        .map(|error| format!("  {}: {error}", error.instance_path()))
        .collect();
    assert!(faults.is_empty(), "{schema}:\n{}\n{value:#}", faults.join("\n"));
}
