//! What is done is what was authorised: a plan, by the caller it was made for, once.

use serde_json::{Value, json};
use uuid::Uuid;
use wua_sandbox::Fault;

use crate::api::{Agent, Door};
use crate::harness::Machine;

fn plan(agent: &Agent, door: Door) -> Value {
    let updates: Vec<String> = agent.ids().into_values().collect();
    agent
        .call(
            door,
            "POST",
            "/plans",
            Some(json!({ "operation": 1, "updates": updates })),
        )
        .is(200)
}

fn download(agent: &Agent) {
    let updates: Vec<String> = agent.ids().into_values().collect();
    let job = Uuid::new_v4().to_string();
    agent
        .put_job(&job, json!({ "operation": "download", "updates": updates }))
        .is(201);
    agent.finish(&job);
}

#[test]
fn a_plan_is_carried_out_once() {
    let agent = Agent::serve(Machine::new(2, &[]));
    download(&agent);
    let plan = plan(&agent, Door::Control);
    assert_eq!(plan["can_be_authorized"], true);
    let request = json!({ "operation": "install", "plan": plan["hash"] });
    let (first, second) = (Uuid::new_v4().to_string(), Uuid::new_v4().to_string());
    agent.put_job(&first, request.clone()).is(201);
    agent
        .put_job(&second, request.clone())
        .refuses(409, "WU_E_INVALID_OPERATION");
    // A retry of the first is the first.
    agent.put_job(&first, request).is(200);
    let done = agent.finish(&first);
    assert_eq!(done["outcome"]["result_code"], 2, "{done:#}");
}

#[test]
fn a_plan_that_was_made_for_looking_authorises_nothing() {
    let agent = Agent::serve(Machine::new(1, &[]));
    download(&agent);
    let plan = plan(&agent, Door::Read);
    assert_eq!(plan["can_be_authorized"], false);
    let request = json!({ "operation": "install", "plan": plan["hash"] });
    agent
        .put_job(&Uuid::new_v4().to_string(), request)
        .refuses(409, "WU_E_INVALID_OPERATION");
}

#[test]
fn a_machine_that_changed_since_refuses_the_plan_and_names_the_difference() {
    let agent = Agent::serve(Machine::new(2, &[]));
    download(&agent);
    let planned = plan(&agent, Door::Control);
    // Somebody else installs one of them meanwhile.
    agent.machine.wua(["install", "inkpot"]).ends(0);
    let job = Uuid::new_v4().to_string();
    agent.put_job(&job, json!({ "operation": "install", "plan": planned["hash"] }));
    let done = agent.call(Door::Read, "GET", &format!("/jobs/{job}"), None);
    // Either the update is not there any more, or the plan comes out differently; nothing is installed.
    if done.status == 200 {
        let done = agent.finish(&job);
        assert_eq!(done["outcome"]["result_code"], 4, "{done:#}");
    }
    assert_eq!(agent.machine.titles("IsInstalled=1").len(), 1);
}

#[test]
fn nobody_acts_at_the_socket_for_reading() {
    let agent = Agent::serve(Machine::new(1, &[]));
    let updates: Vec<String> = agent.ids().into_values().collect();
    let job = format!("/jobs/{}", Uuid::new_v4());
    let update = format!("/updates/{}/hidden", updates[0]);
    let put = |path: &str, body: Value| {
        agent
            .call(Door::Read, "PUT", path, Some(body))
            .refuses(403, "E_ACCESSDENIED")
    };
    put(&job, json!({ "operation": "install", "updates": updates }));
    put(&job, json!({ "operation": "search" }));
    put(&update, json!({ "hidden": true }));
    let service = agent.get("/services")["services"][0]["id"]
        .as_str()
        .expect("an id")
        .to_owned();
    put(
        &format!("/services/{service}/automatic"),
        json!({ "registered": false }),
    );
    assert_eq!(agent.get("/jobs")["jobs"], json!([]));
}

#[test]
fn the_id_of_somebody_elses_job_cannot_be_taken() {
    let machine = Machine::new(1, &[Fault::Slow]);
    machine.small_batches();
    machine.wua(["download", "--all"]).ends(0);
    let agent = Agent::serve(machine);
    let updates: Vec<String> = agent.ids().into_values().collect();
    agent.machine.close_gate();
    let mut front = agent.machine.start(["install", "--all"]);
    let job = front.job();
    front.until_event("the gate", |line| line["phase"] == "configuring");
    agent
        .put_job(&job, json!({ "operation": "install", "updates": updates }))
        .refuses(409, "WU_E_INVALID_OPERATION");
    agent.machine.open_gate();
    front.wait().ends(0);
}

#[test]
fn a_callers_name_for_itself_is_short_and_nobody_elses() {
    let agent = Agent::serve(Machine::new(1, &[]));
    for name in [
        "x".repeat(129),
        "\u{1b}]0;title".into(),
        "wua automatic updates".into(),
    ] {
        let request = json!({ "operation": "search", "client_application_id": name });
        agent
            .put_job(&Uuid::new_v4().to_string(), request)
            .refuses(400, "E_INVALIDARG");
    }
}

#[test]
fn an_old_order_is_not_carried_out_because_somebody_looks() {
    let mut agent = Agent::serve(Machine::new(1, &[]));
    let updates: Vec<String> = agent.ids().into_values().collect();
    agent.stop();
    // What an agent wrote down just before the machine went off, months ago.
    let job = Uuid::new_v4().to_string();
    let order = json!({ "uid": 0, "since": "2025-01-01T00:00:00Z", "request": { "operation": "download", "updates": updates }, "updates": updates });
    let folder = format!("var/lib/wua/agent/{job}");
    agent
        .machine
        .write(&format!("{folder}/request.json"), &order.to_string());
    agent.start();
    agent
        .call(Door::Read, "GET", &format!("/jobs/{job}"), None)
        .refuses(404, "WU_E_UNKNOWN_ID");
    assert!(!agent.machine.path("var/lib/wua/store").exists());
    // One that comes to lie there later is none either.
    let later = Uuid::new_v4().to_string();
    agent.machine.write(
        &format!("var/lib/wua/agent/{later}/request.json"),
        &order.to_string(),
    );
    agent
        .call(Door::Read, "GET", &format!("/jobs/{later}"), None)
        .refuses(404, "WU_E_UNKNOWN_ID");
    assert!(!agent.machine.path("var/lib/wua/store").exists());
}
