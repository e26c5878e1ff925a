//! `wua bridge`: a program without Unix sockets does through it what it may do at the agent, and sees the same jobs.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;
use uuid::Uuid;
use wua_client::{AgentClient, Begin, ClientError};
use wua_job::{CallbackError, Download, Installation, Job, JobKind, JobObserver, Snapshot};
use wua_types::api::{Access, JobRequest};
use wua_types::{HResult, Operation, OperationResultCode, Percent, Update};

use crate::api::{Agent, Door, patiently};
use crate::harness::{Machine, program, run_anywhere};

/// A bridge with a file of its own. Ends with the test.
struct Bridge {
    child: Child,
    folder: TempDir,
    said: Value,
}

impl Bridge {
    fn to(agent: &Agent) -> Self {
        Self::at(agent, tempfile::tempdir().expect("a folder"))
    }

    fn at(agent: &Agent, folder: TempDir) -> Self {
        let mut child = program()
            .args(["--output", "jsonl", "bridge", "--sockets"])
            .arg(sockets(agent))
            .arg("--file")
            .arg(file_in(&folder))
            .stderr(Stdio::null())
            .spawn()
            .expect("the program starts");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("piped"))
            .read_line(&mut line)
            .expect("it prints");
        Self {
            child,
            folder,
            said: serde_json::from_str(&line).expect("an object"),
        }
    }

    fn file(&self) -> PathBuf {
        file_in(&self.folder)
    }

    fn client(&self) -> AgentClient {
        AgentClient::through_bridge(&self.file())
    }

    /// Sends a request head, and reads the answer to its end.
    fn raw(&self, lines: &[&str]) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port())).expect("it listens");
        let head = format!("{}\r\nconnection: close\r\n\r\n", lines.join("\r\n"));
        stream.write_all(head.as_bytes()).expect("sent");
        let mut text = String::new();
        stream.read_to_string(&mut text).expect("it answers");
        text
    }

    fn port(&self) -> u16 {
        self.said["port"]
            .as_u64()
            .and_then(|port| port.try_into().ok())
            .expect("a port")
    }

    /// Ends it at once, as a crash would; its file stays.
    fn kill(mut self) -> TempDir {
        self.child.kill().expect("it is ours");
        self.child.wait().expect("waited for");
        let nowhere = tempfile::tempdir().expect("a folder");
        std::mem::replace(&mut self.folder, nowhere)
    }
}

impl Drop for Bridge {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn sockets(agent: &Agent) -> PathBuf {
    let socket = agent.socket(Door::Control);
    socket.parent().expect("a folder").to_owned()
}

/// In a folder that the bridge makes.
fn file_in(folder: &TempDir) -> PathBuf {
    folder.path().join("run/bridge.json")
}

fn mode(path: &Path) -> u32 {
    path.metadata().expect("it is there").permissions().mode() & 0o7777
}

/// Tells each percentage, and the end.
struct Watcher(Sender<Option<Percent>>);

impl JobObserver<Installation> for Watcher {
    fn progress(&mut self, _: &Job<Installation>, now: &Snapshot<Installation>) -> Result<(), CallbackError> {
        let _ = self.0.send(Some(now.percent_complete));
        Ok(())
    }

    fn completed(&mut self, _: &Job<Installation>) -> Result<(), CallbackError> {
        let _ = self.0.send(None);
        Ok(())
    }
}

fn watcher() -> (Box<Watcher>, Receiver<Option<Percent>>) {
    let (tell, told) = channel();
    (Box::new(Watcher(tell)), told)
}

fn begin<K: wua_job::Told>(
    client: &AgentClient,
    operation: Operation,
    updates: &Arc<[Update]>,
    observer: Option<Box<dyn JobObserver<K>>>,
) -> Job<K> {
    let begin = Begin {
        id: Uuid::new_v4(),
        request: JobRequest::new(operation),
        updates: Arc::clone(updates),
        observer,
        async_state: None,
    };
    client.begin(begin).expect("begun")
}

#[test]
fn a_program_searches_and_installs_through_it_with_progress_and_gets_the_same_job() {
    let agent = Agent::serve(Machine::new(2, &[]));
    let bridge = Bridge::to(&agent);
    let client = bridge.client();
    let system = client.system().expect("an answer");
    assert_eq!(system.access, Access::Owner);
    assert!(!system.is_busy());
    let updates: Arc<[Update]> = client.search("IsInstalled=0").expect("found").updates.into();
    assert_eq!(updates.len(), agent.ids().len());
    let one = updates[0].id();

    let download: Job<Download> = begin(&client, Operation::Download, &updates, None);
    assert_eq!(download.wait().result_code, OperationResultCode::Succeeded);
    assert!(client.update_state(one).expect("an answer").is_downloaded);

    let (observer, told) = watcher();
    let install = begin(&client, Operation::Install, &updates, Some(observer));
    let outcome = install.wait();
    assert_eq!(outcome.result_code, OperationResultCode::Succeeded);
    assert_eq!(Installation::update_results(&outcome).len(), updates.len());
    let told: Vec<Option<Percent>> = told.iter().collect();
    assert_eq!(told.last(), Some(&None), "the end is told last");
    let percentages: Vec<Percent> = told.into_iter().flatten().collect();
    assert!(
        percentages.is_sorted() && percentages.len() > 1,
        "{percentages:?}"
    );

    let seen = agent.get(&format!("/jobs/{}", install.id()));
    assert_eq!(seen["outcome"]["result_code"], 2);
    assert!(client.update_state(one).expect("an answer").is_installed);
    let history = client.history("", 0, 10).expect("an answer");
    assert!(
        history
            .entries
            .iter()
            .any(|entry| entry.update_identity.update_id == one)
    );

    client.set_hidden(one, true).expect("done");
    assert!(client.update_state(one).expect("an answer").is_hidden);
    let services = client.services().expect("an answer");
    let refused = client
        .register_service_with_au(Uuid::nil(), true)
        .expect_err("unknown");
    assert_eq!(
        (services.len(), refused.code()),
        (1, HResult::WU_E_DS_UNKNOWNSERVICE)
    );
}

#[test]
fn it_is_for_those_only_who_have_read_its_file() {
    let agent = Agent::serve(Machine::new(1, &[]));
    let mut bridge = Bridge::to(&agent);
    let file = bridge.file();
    assert_eq!(bridge.said["file"], file.to_str().expect("a name"));
    assert_eq!(
        (mode(&file), mode(file.parent().expect("a folder"))),
        (0o600, 0o700)
    );
    let text = std::fs::read_to_string(&file).expect("ours");
    let written: Value = serde_json::from_str(&text).expect("JSON");
    let token = written["token"].as_str().expect("a token");
    let proof = written["proof"].as_str().expect("a proof");
    assert!(token.len() >= 32 && token != proof);

    let host = format!("host: 127.0.0.1:{}", bridge.port());
    let bearer = |token: &str| format!("authorization: Bearer {token}");
    let ask = "GET /system HTTP/1.1";
    let denied = HResult::E_ACCESSDENIED.to_string();
    for lines in [
        vec![ask, &host],
        vec![ask, &host, &bearer("guess")],
        vec![ask, &host, &bearer(&token[1..])],
        vec![ask, &host, &bearer(proof)],
        vec!["GET /nothing HTTP/1.1", &host],
    ] {
        let reply = bridge.raw(&lines);
        assert!(reply.starts_with("HTTP/1.1 401"), "{reply}");
        assert!(
            reply.contains("application/problem+json") && reply.contains(&denied),
            "{reply}"
        );
        assert!(
            !reply.contains(proof),
            "who has no token learns no proof: {reply}"
        );
    }
    let bearer = bearer(token);
    assert!(
        bridge
            .raw(&[ask, "host: evil.example", &bearer])
            .starts_with("HTTP/1.1 421")
    );
    let page = format!("origin: http://127.0.0.1:{}", bridge.port());
    assert!(
        bridge
            .raw(&[ask, &host, &bearer, &page])
            .starts_with("HTTP/1.1 403")
    );
    let served = bridge.raw(&[ask, &host, &bearer]);
    assert!(
        served.starts_with("HTTP/1.1 200") && served.contains(proof),
        "{served}"
    );
    assert!(served.contains(r#""access":"owner""#), "{served}");

    // A file with another token in it does not help.
    let wrong = bridge.folder.path().join("wrong.json");
    let guess = serde_json::json!({ "port": bridge.port(), "token": "guess" });
    std::fs::write(&wrong, guess.to_string()).expect("written");
    let refused = AgentClient::through_bridge(&wrong).system().expect_err("refused");
    assert_eq!(refused.code(), HResult::E_ACCESSDENIED);

    kill_process(Pid::from_child(&bridge.child), Signal::TERM).expect("it runs and is ours");
    assert!(bridge.child.wait().expect("waited for").success());
    assert!(!file.exists(), "its file goes with it");
    assert!(matches!(bridge.client().system(), Err(ClientError::NotThere(_))));
}

#[test]
fn of_two_bridges_with_one_file_the_second_is_refused_unless_the_first_is_dead() {
    let agent = Agent::serve(Machine::new(1, &[]));
    let bridge = Bridge::to(&agent);
    let file = bridge.file();
    let sockets = sockets(&agent);
    let words = [
        "bridge".as_ref(),
        "--sockets".as_ref(),
        sockets.as_os_str(),
        "--file".as_ref(),
        file.as_os_str(),
    ];
    run_anywhere(words).ends(5).complains(&[
        "a bridge of yours runs already",
        file.to_str().expect("a name"),
        "WU_E_OPERATIONINPROGRESS",
        "--file",
    ]);
    let client = bridge.client();
    client.system().expect("the first is as it was");
    let old = std::fs::read(&file).expect("ours");
    let folder = bridge.kill();
    assert!(file_in(&folder).exists(), "a crash leaves the file");
    assert!(matches!(client.system(), Err(ClientError::NotThere(_))));
    let bridge = Bridge::at(&agent, folder);
    assert_ne!(std::fs::read(bridge.file()).expect("ours"), old);
    client.system().expect("the same client finds the new one");
}

#[test]
fn a_folder_that_others_can_write_to_is_not_taken() {
    let folder = tempfile::tempdir().expect("a folder");
    let open = std::fs::Permissions::from_mode(0o1777);
    std::fs::set_permissions(folder.path(), open).expect("ours");
    let file = folder.path().join("bridge.json");
    run_anywhere(["bridge".as_ref(), "--file".as_ref(), file.as_os_str()])
        .ends(3)
        .complains(&["other users can change", "E_ACCESSDENIED"]);
    assert!(!file.exists());
}

#[test]
fn a_wish_to_stop_that_met_no_agent_reaches_the_next_one() {
    let (mut agent, job, _) = Agent::at_the_gate();
    let bridge = Bridge::to(&agent);
    let id = job.parse().expect("an id");
    let followed: Job<Installation> = bridge.client().attach(id, None).expect("it runs");
    agent.kill();
    followed.request_abort().expect("wished");
    agent.start();
    let wish = agent
        .machine
        .root()
        .join("var/lib/wua/jobs")
        .join(&job)
        .join("abort");
    patiently("the wish", || wish.exists().then_some(()));
    agent.machine.open_gate();
    let outcome = followed.wait();
    let aborted = Installation::update_results(&outcome)
        .iter()
        .any(|result| result.result_code == OperationResultCode::Aborted);
    assert!(aborted, "{outcome:?}");
}

#[test]
fn a_job_outlives_agent_and_bridge_and_is_followed_to_its_end() {
    let (mut agent, job, _) = Agent::at_the_gate();
    let bridge = Bridge::to(&agent);
    let client = bridge.client();
    let (observer, told) = watcher();
    let id = job.parse().expect("an id");
    let followed: Job<Installation> = client.attach(id, Some(observer)).expect("it runs");
    let waits = |job: &Job<Installation>| {
        let waiting = job.progress().truth.waiting_for.clone();
        waiting.is_some_and(|waiting| waiting.what == "agent")
    };
    told.recv().expect("how it stands").expect("it runs");
    agent.kill();
    patiently("the wait for the agent", || waits(&followed).then_some(()));
    agent.start();
    patiently("the agent", || (!waits(&followed)).then_some(()));
    let folder = bridge.kill();
    patiently("the wait for the bridge", || waits(&followed).then_some(()));
    let _bridge = Bridge::at(&agent, folder);
    patiently("the bridge", || (!waits(&followed)).then_some(()));
    assert!(!followed.is_completed());
    agent.machine.open_gate();
    assert_eq!(followed.wait().result_code, OperationResultCode::Succeeded);
    assert_eq!(told.iter().last(), Some(None));
}
