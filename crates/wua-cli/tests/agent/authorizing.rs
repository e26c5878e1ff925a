//! What is done is what was authorised: a plan, by the caller it was made for, once.

use serde_json::{Value, json};
use uuid::Uuid;

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
