//! The command line through the agent: the same output. That members of the group need not be root is tested on a real system, by
//! `scripts/systemd-proof`: a practice machine is nobody's but its owner's.

use serde_json::json;
use wua_sandbox::Fault;

use crate::api::{Agent, Door};
use crate::harness::Machine;

#[test]
fn what_is_done_through_the_agent_is_told_as_if_it_were_done_here() {
    let faults = [Fault::FailingPostinst];
    let agent = Agent::serve(Machine::new(2, &faults));
    let here = Machine::new(2, &faults);
    let sockets = agent.socket(Door::Control);
    let folder = sockets.parent().expect("a folder").to_str().expect("a name");
    let through = |command: &str, code: i32| {
        agent
            .machine
            .document(code, [command, "--all", "--sockets", folder])
    };
    for (command, code) in [("install", 1), ("uninstall", 0)] {
        let (mut there, mut here) = (through(command, code), here.document(code, [command, "--all"]));
        for document in [&mut there, &mut here] {
            document["jobs"] = json!(null);
            for update in document["updates"]
                .as_object_mut()
                .expect("updates by id")
                .values_mut()
            {
                // The agent's worker searches once more, and by then the changelogs are here.
                (update["cves"], update["severity"]) = (json!(null), json!(null));
            }
        }
        assert_eq!(there, here, "{command}");
    }
}

#[test]
fn a_plan_is_held_to_through_the_agent() {
    let agent = Agent::serve(Machine::new(2, &[]));
    let sockets = agent.socket(Door::Control);
    let folder = sockets.parent().expect("a folder").to_str().expect("a name");
    let plan = agent.machine.json(["install", "--all", "--what-if"]);
    let hash = plan["plan_hash"].as_str().expect("a hash");
    agent
        .machine
        .wua(["install", "inkpot", "--plan", hash, "--sockets", folder])
        .ends(5);
    agent
        .machine
        .wua(["install", "--all", "--plan", hash, "--sockets", folder])
        .ends(0);
}

#[test]
fn a_socket_that_lets_nobody_in_is_told() {
    let machine = Machine::new(1, &[]);
    machine
        .wua(["install", "--all", "--sockets", "/nonexistent"])
        .ends(5)
        .complains(&["the agent at `/nonexistent/control.sock` does not let you act"]);
}

#[test]
fn an_agent_of_another_machine_is_refused() {
    let agent = Agent::serve(Machine::new(1, &[]));
    let other = Machine::new(1, &[]);
    let sockets = agent.socket(Door::Control);
    let folder = sockets.parent().expect("a folder").to_str().expect("a name");
    other
        .wua(["download", "--all", "--sockets", folder])
        .ends(2)
        .complains(&["serves another machine"]);
    assert!(!agent.machine.path("var/lib/wua/store").exists());
}
