//! Jobs that outlive their caller: attached again, stopped, left, and known afterwards.

use serde_json::{Value, json};
use wua_sandbox::Fault;

use crate::harness::{Front, Machine};

/// A machine whose job stands at a closed gate: `docfinder` is being configured, and two more updates wait for their turn.
fn at_the_gate(arguments: &[&str]) -> (Machine, Front, String) {
    let machine = Machine::new(2, &[Fault::Slow]);
    machine.small_batches();
    machine.wua(["download", "--all"]).ends(0);
    machine.close_gate();
    let mut words = vec!["install", "--all"];
    words.extend(arguments);
    let mut front = machine.start(words);
    let job = front.job();
    front.until_event("the gate", at_gate);
    (machine, front, job)
}

fn at_gate(line: &Value) -> bool {
    line["phase"] == "configuring" && line["result_code"] == 1
}

fn only_job(machine: &Machine) -> Value {
    let jobs = machine.json(["jobs"]);
    assert_eq!(jobs["jobs"].as_array().map(Vec::len), Some(1));
    jobs["jobs"][0].clone()
}

#[test]
fn a_job_completes_though_its_caller_was_killed() {
    let (machine, front, job) = at_the_gate(&[]);
    front.kill();
    let running = only_job(&machine);
    assert_eq!(
        (&running["job"], &running["state"]),
        (&json!(job), &json!("running"))
    );
    machine.wua(["jobs"]).ends(0).says(&[&job, "install", "%"]);
    let status = machine.json(["status"]);
    assert_eq!(status["busy"]["job"], json!(job));
    assert_eq!(status["unfinished"][0]["job"], json!(job));
    machine.wua(["status"]).ends(0).says(&["busy", &job, "runs"]);
    machine.wua(["history"]).ends(0).says(&["unfinished"]);

    let mut first = machine.start(["attach", &job]);
    let mut second = machine.start_text(["attach", &job]);
    first.until_event("the gate", at_gate);
    second.until("the first update", |line| line.contains("docfinder 3.1-1: "));
    machine.open_gate();
    let run = first.wait().ends(0);
    assert_eq!(run.events("update_finished").len(), 3);
    assert_eq!(run.events("completed")[0]["result_code"], 2);
    second
        .wait()
        .ends(0)
        .says(&["done    docfinder 3.1-1", "3 of 3 updates done."]);

    assert_eq!(only_job(&machine)["state"], "completed");
    assert_eq!(
        machine.json(["history", "--job", &job])["entries"]
            .as_array()
            .map(Vec::len),
        Some(3)
    );
    assert_eq!(machine.json(["status"])["unfinished"], json!([]));
    assert_eq!(machine.installed("docfinder"), "3.1-1");
    // Also afterwards it can be looked at, in every form.
    let document = machine.json(["attach", &job]);
    assert_eq!(document["updates"].as_array().map(Vec::len), Some(3));
    machine
        .wua(["attach", &job])
        .ends(0)
        .says(&["3 of 3 updates done."]);
}

#[test]
fn ctrl_c_asks_for_a_stop_and_what_has_begun_is_finished() {
    let (machine, mut front, job) = at_the_gate(&[]);
    front.interrupt();
    front.until_complaint("what has begun is finished first");
    machine.open_gate();
    let run = front.wait().ends(6);
    let result = run.result();
    assert_eq!(
        (&result["result_code"], &result["hresult"]),
        (&json!(5), &json!("0x8024000B"))
    );
    assert_eq!(
        (&result["installed_update_count"], &result["failed_update_count"]),
        (&json!(1), &json!(0))
    );
    assert_eq!(machine.installed("docfinder"), "3.1-1");
    assert_eq!(machine.installed("inkpot"), "4.2.1-1");
    assert_eq!(
        machine.json(["history"])["entries"].as_array().map(Vec::len),
        Some(1),
        "what was not begun is no history"
    );
    let ended = only_job(&machine);
    assert_eq!((&ended["job"], &ended["result_code"]), (&json!(job), &json!(5)));
    machine
        .wua(["attach", &job])
        .ends(6)
        .says(&["stopped inkpot 4.2.2-1"]);
}

#[test]
fn ctrl_c_twice_leaves_the_job() {
    let (machine, mut front, job) = at_the_gate(&[]);
    front.interrupt();
    front.until_complaint("Ctrl-C again leaves it");
    front.interrupt();
    let run = front
        .wait()
        .ends(6)
        .complains(&["which goes on", &format!("wua attach {job}")]);
    assert!(
        run.events("completed")
            .iter()
            .all(|line| line["job"] != json!(job)),
        "it is not over"
    );
    assert_eq!(only_job(&machine)["state"], "running");
    let attached = machine.start(["attach", &job]);
    machine.open_gate();
    // The wish to stop came before it was left.
    attached.wait().ends(6);
    assert_eq!(machine.installed("docfinder"), "3.1-1");
}

#[test]
fn a_front_that_is_asked_to_end_leaves_its_job_alone() {
    let (machine, front, job) = at_the_gate(&[]);
    front.ask_to_end();
    front
        .wait()
        .ends(6)
        .complains(&["which goes on", &format!("wua attach {job}")]);
    let attached = machine.start(["attach", &job]);
    machine.open_gate();
    // Nobody wished it to stop.
    attached.wait().ends(0);
    assert_eq!(machine.installed("inkpot"), "4.2.2-1");
}

#[test]
fn a_running_job_is_stopped_from_elsewhere() {
    let (machine, front, job) = at_the_gate(&[]);
    let answer = machine.json(["abort", &job]);
    assert_eq!(answer["asked"], true);
    machine
        .wua(["abort", &job])
        .ends(0)
        .says(&["stop at the next safe point"]);
    machine.open_gate();
    front.wait().ends(6);
    assert_eq!(machine.json(["abort", &job])["asked"], false);
    machine.wua(["abort", &job]).ends(0).says(&["has ended already"]);
    assert_eq!(machine.installed("pixelry-tools"), "2.7.0-3");
    // What was left can be done later.
    machine
        .wua(["install", "--all"])
        .ends(0)
        .says(&["2 of 2 updates installed."]);
}

#[test]
fn the_end_of_the_time_asks_for_a_stop() {
    let (machine, mut front, _) = at_the_gate(&["--timeout", "4s"]);
    front.until_complaint("The time is up");
    machine.open_gate();
    front.wait().ends(6);
    assert_eq!(machine.installed("docfinder"), "3.1-1");
    assert_eq!(machine.installed("inkpot"), "4.2.1-1");
}

#[test]
fn only_one_job_changes_the_machine_at_a_time() {
    let (machine, front, job) = at_the_gate(&[]);
    machine.wua(["install", "inkpot"]).ends(5).complains(&[
        "WU_E_INSTALL_NOT_ALLOWED",
        "another installation is running",
        &job,
    ]);
    // Also where nothing would be found to do: what the running job brings is not known yet.
    for words in [&["uninstall", "--all"][..], &["repair"]] {
        machine
            .wua(words)
            .ends(5)
            .complains(&["another installation is running", &job]);
    }
    // Looking is always possible.
    machine.wua(["search"]).ends(0);
    machine.open_gate();
    front.wait().ends(0);
    assert_eq!(machine.json(["jobs"])["jobs"].as_array().map(Vec::len), Some(1));
}

#[test]
fn a_slow_script_is_told_as_what_is_being_waited_for() {
    let (machine, mut front, _) = at_the_gate(&[]);
    let line = front.until_event("a word on the script", |line| !line["waiting_for"].is_null());
    assert!(
        line["waiting_for"]["what"]
            .as_str()
            .is_some_and(|what| what.contains("docfinder")),
        "{line}"
    );
    assert_eq!(
        (&line["can_abort"], &line["safe_to_power_off"]),
        (&json!(true), &json!(false)),
        "{line}"
    );
    machine.open_gate();
    front.wait().ends(0);
}

#[test]
fn jobs_that_do_not_exist_are_named() {
    let machine = Machine::new(0, &[]);
    let job = "00000000-0000-4000-8000-000000000000";
    for command in ["attach", "abort"] {
        machine
            .wua([command, job])
            .ends(2)
            .complains(&["there is no job", job, "WU_E_UNKNOWN_ID"]);
        machine.wua([command, "one"]).ends(2);
    }
    assert_eq!(machine.json(["jobs"])["jobs"], json!([]));
}

#[test]
fn history_tells_as_much_as_is_wanted() {
    let machine = Machine::new(3, &[]);
    machine.wua(["install", "postbird"]).ends(0);
    machine.wua(["install", "--all"]).ends(0);
    let length = |limit: &str| {
        machine.json(["history", "--limit", limit])["entries"]
            .as_array()
            .map(Vec::len)
    };
    assert_eq!(
        (length("1"), length("2"), length("50")),
        (Some(1), Some(2), Some(3))
    );
    machine.wua(["history", "--limit", "0"]).ends(2);
    let newest = machine.json(["history", "--limit", "1"]);
    assert_ne!(newest["entries"][0]["title"], "postbird 3.8.1-2+deb12u1");
    machine.wua(["history", "--output", "jsonl"]).ends(0).result();
}
