//! Jobs through the agent, from their beginning to their end.

use serde_json::{Value, json};
use uuid::Uuid;
use wua_sandbox::Fault;

use crate::api::{Agent, Door, patiently};
use crate::harness::Machine;

fn id() -> String {
    Uuid::new_v4().to_string()
}

#[test]
fn a_selection_is_downloaded_and_installed_and_one_that_fails_stops_no_other() {
    let agent = Agent::serve(Machine::new(2, &[Fault::FailingPostinst]));
    let updates: Vec<String> = agent.ids().into_values().collect();
    let (download, install) = (id(), id());

    // What is not here cannot be installed; that is told of each update, as the engine tells it.
    let begun = agent
        .put_job(&download, json!({ "operation": "download", "updates": updates }))
        .is(201);
    assert_eq!(begun["operation"], "download");
    let done = agent.finish(&download);
    assert_eq!(done["outcome"]["result_code"], 2, "{done:#}");
    assert_eq!(done["progress"]["percent_complete"], 100);

    agent
        .put_job(
            &install,
            json!({ "operation": "install", "updates": updates, "client_application_id": "the test" }),
        )
        .is(201);
    let mut named = Vec::new();
    for (name, data) in agent.events(&install) {
        if name == "snapshot" {
            assert_eq!(data["updates"].as_array().map(Vec::len), Some(updates.len()));
        }
        named.push(name);
    }
    assert_eq!(named[0], "snapshot");
    assert_eq!(named.last().map(String::as_str), Some("completed"));
    let done = agent.get(&format!("/jobs/{install}"));
    assert_eq!(done["outcome"]["result_code"], 3);
    // In the caller's order.
    let order: Vec<&Value> = done["updates"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|update| &update["id"])
        .collect();
    assert_eq!(json!(order), json!(updates));
    let failed = done["results"]
        .as_array()
        .expect("results")
        .iter()
        .filter(|result| result["result_code"] == 4);
    assert_eq!(failed.count(), 1);

    let history = agent.get("/history");
    assert_eq!(history["total"], 3);
    assert_eq!(history["entries"][0]["client_application_id"], "the test");
    assert_eq!(history["entries"][0]["job"], json!(install));
    assert_eq!(
        history["entries"][0]["user_id"],
        rustix::process::geteuid().as_raw()
    );
    let listed = agent.get("/jobs");
    assert_eq!(listed["jobs"].as_array().map(Vec::len), Some(2), "{listed:#}");
}

#[test]
fn the_same_request_under_the_same_id_is_the_same_job() {
    let agent = Agent::serve(Machine::new(1, &[]));
    let updates: Vec<String> = agent.ids().into_values().collect();
    let (job, request) = (id(), json!({ "operation": "download", "updates": updates }));
    agent.put_job(&job, request.clone()).is(201);
    agent.put_job(&job, request.clone()).is(200);
    agent.finish(&job);
    agent.put_job(&job, request).is(200);
    let other = json!({ "operation": "install", "updates": updates });
    agent.put_job(&job, other).refuses(409, "WU_E_INVALID_OPERATION");
}

#[test]
fn what_cannot_be_begun_is_refused_at_once_and_may_be_tried_again() {
    let machine = Machine::new(1, &[Fault::Slow]);
    machine.small_batches();
    let agent = Agent::serve(machine);
    let ids = agent.ids();
    let updates: Vec<&String> = ids.values().collect();
    let (download, first, second) = (id(), id(), id());
    let gone = json!({ "operation": "install", "updates": ["00000000-0000-0000-0000-000000000001"] });
    agent.put_job(&first, gone).refuses(404, "WU_E_ITEMNOTFOUND");
    agent
        .put_job(&download, json!({ "operation": "download", "updates": updates }))
        .is(201);
    agent.finish(&download);

    agent.machine.close_gate();
    let request = json!({ "operation": "install", "updates": updates });
    agent.put_job(&first, request.clone()).is(201);
    let mut events = agent.events(&first);
    events.until("the gate", |_, data| data["phase"] == "configuring");
    let problem = agent
        .put_job(&second, request.clone())
        .refuses(409, "WU_E_INSTALL_NOT_ALLOWED");
    assert!(
        problem["detail"]
            .as_str()
            .is_some_and(|text| text.contains(&first)),
        "{problem:#}"
    );
    assert_eq!(agent.get("/system")["busy"], json!(first));
    agent.machine.open_gate();
    events.until("the end", |name, _| name == "completed");
    // Nothing is left of the refused one.
    agent
        .call(Door::Read, "GET", &format!("/jobs/{second}"), None)
        .refuses(404, "WU_E_UNKNOWN_ID");
    agent.put_job(&second, request).is(201);
    assert_eq!(agent.finish(&second)["outcome"]["result_code"], 2);
}

#[test]
fn a_job_stops_at_the_next_safe_point_when_it_is_asked_to() {
    let (agent, install, mut events) = Agent::at_the_gate();
    agent
        .call(Door::Read, "POST", &format!("/jobs/{install}/abort"), None)
        .refuses(403, "E_ACCESSDENIED");
    agent
        .call(Door::Control, "POST", &format!("/jobs/{install}/abort"), None)
        .is(202);
    // The wish is known to the keeper before the gate opens.
    let wish = agent.machine.path(&format!("var/lib/wua/jobs/{install}/abort"));
    patiently("the wish", || wish.exists().then_some(()));
    agent.machine.open_gate();
    events.until("the end", |name, _| name == "completed");
    let done = agent.get(&format!("/jobs/{install}"));
    assert_eq!(done["outcome"]["result_code"], 5, "{done:#}");
}

#[test]
fn updates_are_taken_back_through_the_agent() {
    let agent = Agent::serve(Machine::new(1, &[]));
    let before = agent.machine.installed("inkpot");
    let updates: Vec<String> = agent.ids().into_values().collect();
    for operation in ["download", "install", "uninstall"] {
        let job = id();
        agent
            .put_job(&job, json!({ "operation": operation, "updates": updates }))
            .is(201);
        assert_eq!(agent.finish(&job)["outcome"]["result_code"], 2, "{operation}");
    }
    assert_eq!(agent.machine.installed("inkpot"), before);
}

#[test]
fn a_refresh_and_a_repair_are_jobs_like_any_other() {
    let agent = Agent::serve(Machine::new(1, &[]));
    for request in [json!({ "operation": "search" }), json!({ "operation": "repair" })] {
        let job = id();
        agent.put_job(&job, request).is(201);
        assert_eq!(agent.finish(&job)["outcome"]["result_code"], 2);
    }
}

#[test]
fn what_is_hidden_is_not_found_until_it_is_brought_back() {
    let agent = Agent::serve(Machine::new(2, &[]));
    let ids = agent.ids();
    let (title, update) = ids.first_key_value().expect("updates");
    let hide = |hidden: bool| {
        agent.call(
            Door::Control,
            "PUT",
            &format!("/updates/{update}/hidden"),
            Some(json!({ "hidden": hidden })),
        )
    };
    hide(true).is(204);
    assert!(!agent.ids().contains_key(title));
    hide(false).is(204);
    assert!(agent.ids().contains_key(title));
    agent
        .call(
            Door::Control,
            "PUT",
            &format!("/updates/{update}/eula-accepted"),
            None,
        )
        .is(204);
    let service = agent.get("/services")["services"][0]["id"]
        .as_str()
        .expect("an id")
        .to_owned();
    agent
        .call(
            Door::Control,
            "PUT",
            &format!("/services/{service}/automatic"),
            Some(json!({ "registered": false })),
        )
        .is(204);
    assert_eq!(
        agent.get("/services")["services"][0]["is_registered_with_au"],
        false
    );
}

#[test]
fn what_a_front_asks_again_is_how_things_stand_now() {
    let agent = Agent::serve(Machine::new(1, &[]));
    let update = agent.ids().into_values().next().expect("an update");
    let whole = agent.get(&format!("/updates/{update}"));
    let bundled = whole["bundled_updates"][0]["id"]
        .as_str()
        .expect("an id")
        .to_owned();
    let state = |id: &str| agent.get(&format!("/updates/{id}/state"));
    let stands = |id: &str, key: &str| state(id)[key].as_bool().expect("a truth");
    for id in [&update, &bundled] {
        assert!(!stands(id, "is_downloaded") && !stands(id, "is_installed") && !stands(id, "is_hidden"));
    }
    let work = |operation: &str| {
        let job = id();
        agent
            .put_job(&job, json!({ "operation": operation, "updates": [update] }))
            .is(201);
        assert_eq!(agent.finish(&job)["outcome"]["result_code"], 2);
    };
    work("download");
    for id in [&update, &bundled] {
        assert!(stands(id, "is_downloaded") && !stands(id, "is_installed"));
    }
    for hidden in [true, false] {
        let path = format!("/updates/{update}/hidden");
        agent
            .call(Door::Control, "PUT", &path, Some(json!({ "hidden": hidden })))
            .is(204);
        assert_eq!(stands(&update, "is_hidden"), hidden);
    }
    work("install");
    assert!(stands(&update, "is_installed") && stands(&bundled, "is_installed"));
    // Whoever removes it from the content store, the agent does not have to be told.
    let contents = agent.machine.path("var/lib/wua/store/sha256");
    std::fs::remove_dir_all(contents).expect("removed");
    assert!(!stands(&update, "is_downloaded"));
    agent
        .call(Door::Read, "GET", &format!("/updates/{}/state", id()), None)
        .refuses(404, "WU_E_ITEMNOTFOUND");
}
