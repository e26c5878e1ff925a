//! Jobs and streams outlive the agent, and a restarted one knows them.

use serde_json::json;
use uuid::Uuid;
use wua_sandbox::Fault;

use crate::api::{Agent, Door, patiently};
use crate::harness::Machine;

#[test]
fn a_job_goes_on_while_the_agent_is_stopped_and_its_snapshot_has_all_results() {
    let (mut agent, job, _) = Agent::at_the_gate();
    agent.stop();
    agent.machine.open_gate();
    agent.machine.wua(["attach", &job]).ends(0);
    agent.start();
    let mut events = agent.events(&job);
    let (name, snapshot) = events.next().expect("a snapshot");
    assert_eq!(name, "snapshot");
    let last = if snapshot["outcome"].is_null() {
        events.until("the end", |name, _| name == "completed");
        agent.get(&format!("/jobs/{job}"))
    } else {
        snapshot
    };
    assert_eq!(last["outcome"]["result_code"], 2, "{last:#}");
    assert_eq!(last["results"].as_array().map(Vec::len), Some(3));
}

#[test]
fn an_agent_that_was_killed_in_mid_job_finds_it_again() {
    let (mut agent, job, _) = Agent::at_the_gate();
    agent.kill();
    agent.start();
    let mut events = agent.events(&job);
    let (_, snapshot) = events.next().expect("a snapshot");
    assert_eq!(snapshot["outcome"], json!(null));
    assert_eq!(snapshot["updates"].as_array().map(Vec::len), Some(3));
    agent.machine.open_gate();
    events.until("the end", |name, _| name == "completed");
    assert_eq!(agent.get(&format!("/jobs/{job}"))["outcome"]["result_code"], 2);
}

#[test]
fn a_job_that_the_command_line_began_is_followed_through_the_agent() {
    let machine = Machine::new(1, &[Fault::Slow]);
    machine.small_batches();
    machine.wua(["download", "--all"]).ends(0);
    let agent = Agent::serve(machine);
    agent.machine.close_gate();
    let mut front = agent.machine.start(["install", "--all"]);
    let job = front.job();
    // Until it is planned, the job is its front's alone.
    front.until_event("the gate", |line| line["phase"] == "configuring");
    let mut events = agent.events(&job);
    events.until("the gate", |_, data| data["phase"] == "configuring");
    agent.machine.open_gate();
    events.until("the end", |name, _| name == "completed");
    front.wait().ends(0);
}

#[test]
fn a_scheduled_installation_is_ended_by_the_next_agent() {
    let machine = Machine::new(1, &[Fault::Slow]);
    let before = machine.installed("docfinder");
    machine.small_batches();
    let policy = "windows = [{ start = \"00:00\", length_minutes = 1440 }]\nrandom_delay_minutes = 0\nlevel = \"install\"\nhealth_command = [\"/bin/false\"]\n";
    machine.write(
        "etc/wua/wua.toml",
        &format!("[install]\nlongest_batch_seconds = 0\n[automatic]\n{policy}"),
    );
    machine.close_gate();
    let mut agent = Agent::serve_as_it_is(machine);
    let job = patiently("the scheduled installation", || {
        agent.get("/system")["busy"].as_str().map(str::to_owned)
    });
    agent
        .events(&job)
        .until("the gate", |_, data| data["phase"] == "configuring");
    agent.kill();
    agent.start();
    agent.machine.open_gate();
    // The health command says no, so everything is taken back.
    patiently("the old version", || {
        let is_back = agent.machine.installed("docfinder") == before;
        (is_back && agent.get("/system")["busy"].is_null()).then_some(())
    });
    let history = agent.get("/history");
    assert!(
        history["entries"]
            .as_array()
            .is_some_and(|entries| entries.iter().any(|entry| entry["operation"] == 2))
    );
}

#[test]
fn a_download_that_was_begun_through_the_agent_can_be_attached_to() {
    let agent = Agent::serve(Machine::new(2, &[]));
    let updates: Vec<String> = agent.ids().into_values().collect();
    let job = Uuid::new_v4().to_string();
    agent
        .put_job(&job, json!({ "operation": "download", "updates": updates }))
        .is(201);
    let sockets = agent.socket(Door::Read);
    let folder = sockets.parent().expect("a folder").to_str().expect("a name");
    let attached = agent.machine.json(["attach", &job, "--sockets", folder]);
    assert_eq!(attached["result_code"], 2);
    assert_eq!(attached["updates"].as_array().map(Vec::len), Some(2));
}
