//! What everybody may see, and what comes of requests that are none.

use serde_json::json;
use wua_sandbox::Fault;

use crate::api::{Agent, Door};
use crate::harness::Machine;

#[test]
fn the_description_that_is_served_is_the_one_that_is_shipped() {
    let agent = Agent::serve(Machine::new(1, &[]));
    let served = agent.get("/openapi.json");
    assert_eq!(
        served.to_string(),
        serde_json::from_str::<serde_json::Value>(wua_agent::OPENAPI)
            .expect("JSON")
            .to_string()
    );
    jsonschema::meta::validate(&served["components"]["schemas"]["Update"]).expect("a schema");
}

#[test]
fn everybody_sees_what_the_command_line_shows() {
    let agent = Agent::serve(Machine::new(3, &[Fault::FailingPostinst]));
    let shown = agent.machine.json(["search"]);
    let found = agent.get("/updates");
    let updates = found["updates"].as_array().expect("a list");
    assert_eq!(json!(updates.len()), shown["found_update_count"]);
    for update in updates {
        let id = update["id"].as_str().expect("an id");
        assert_eq!(shown["updates"][id]["title"], update["title"]);
        assert_eq!(agent.get(&format!("/updates/{id}"))["title"], update["title"]);
    }
    assert_eq!(
        agent.get("/updates?criteria=IsInstalled%3D1")["updates"],
        json!([])
    );
    let system = agent.get("/system");
    assert_eq!(system["access"], "read");
    assert_eq!(system["busy"], json!(null));
    assert_eq!(system["restart_required_before_installation"], false);
    assert_eq!(
        agent.call(Door::Control, "GET", "/system", None).is(200)["access"],
        "owner"
    );
    assert_eq!(agent.get("/jobs")["jobs"], json!([]));
    assert_eq!(agent.get("/history")["entries"], json!([]));
    assert_eq!(
        agent.get("/services")["services"].as_array().map(Vec::len),
        Some(1)
    );
    assert_eq!(agent.get("/store")["total_size"], 0);
    assert_eq!(agent.get("/health")["findings"], json!([]));
    assert_eq!(agent.get("/codes/0x8024200B")["name"], "WU_E_UH_INSTALLERFAILURE");
    assert_eq!(
        agent.get("/codes")["codes"].as_array().map(Vec::len),
        Some(wua_types::HResult::ALL.len())
    );
}

#[test]
fn a_restart_that_has_to_come_first_is_told() {
    let machine = Machine::new(1, &[Fault::Reboot]);
    machine.wua(["install", "corebus"]).ends(10);
    machine.write("etc/wua/wua.toml", "[install]\nrestart_first = true\n");
    let agent = Agent::serve(machine);
    let system = agent.get("/system");
    assert_eq!(system["restart_required"], true);
    assert_eq!(system["restart_required_before_installation"], true);
}

#[test]
fn a_request_that_is_none_is_answered_by_a_problem_that_says_why() {
    let agent = Agent::serve(Machine::new(1, &[]));
    let read = |path: &str| agent.call(Door::Read, "GET", path, None);
    read("/nothing").refuses(404, "WU_E_ITEMNOTFOUND");
    read("/updates?criteria=IsInstalled").refuses(400, "WU_E_INVALID_CRITERIA");
    read("/updates?colour=red").refuses(400, "E_INVALIDARG");
    read("/updates/no-id").refuses(400, "E_INVALIDARG");
    read("/updates/00000000-0000-0000-0000-000000000001").refuses(404, "WU_E_ITEMNOTFOUND");
    read("/jobs/00000000-0000-0000-0000-000000000001").refuses(404, "WU_E_UNKNOWN_ID");
    read("/jobs/00000000-0000-0000-0000-000000000001/events").refuses(404, "WU_E_UNKNOWN_ID");
    read("/history?count=0").refuses(400, "WU_E_INVALIDINDEX");
    read("/codes/0x12345678").refuses(404, "WU_E_ITEMNOTFOUND");
    read("/codes/nonsense").refuses(400, "E_INVALIDARG");
    agent
        .call(Door::Read, "DELETE", "/updates", None)
        .refuses(405, "E_INVALIDARG");
    let plan = |body: &[u8]| agent.call_raw(Door::Read, "POST", "/plans", Some(body));
    plan(b"{").refuses(400, "E_INVALIDARG");
    plan(b"{\"operation\": 1}").refuses(400, "E_INVALIDARG");
    plan(b"{\"operation\": 1, \"updates\": []}").refuses(400, "WU_E_NO_UPDATE");
    plan(b"{\"operation\": 9, \"updates\": []}").refuses(400, "E_INVALIDARG");
    plan(b"[1, []]").refuses(400, "E_INVALIDARG");
    // One byte too many: what the agent does not read any more would take its answer along.
    plan(&vec![b' '; (1 << 20) + 1]).refuses(413, "E_INVALIDARG");
    agent
        .call(Door::Read, "POST", "/plans", None)
        .refuses(415, "E_INVALIDARG");
}

#[test]
fn two_agents_do_not_share_a_folder() {
    let agent = Agent::serve(Machine::new(1, &[]));
    let sockets = agent.socket(Door::Read);
    let folder = sockets.parent().expect("a folder").to_str().expect("a name");
    agent
        .machine
        .wua(["agent", "run", "--sockets", folder])
        .ends(5)
        .complains(&["another agent listens there"]);
    agent.get("/system");
}
