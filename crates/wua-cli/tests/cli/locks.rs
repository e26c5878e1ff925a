//! A package database that another program holds: waited for visibly, until it is free or the time is over.

use std::fs::{File, OpenOptions};

use rustix::fs::{FlockOperation, fcntl_lock};
use serde_json::{Value, json};

use crate::harness::Machine;

/// Holds a lock as apt and dpkg hold theirs; this test program is the holder.
fn hold(machine: &Machine, lock: &str) -> File {
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .open(machine.path(lock))
        .expect("the lock file");
    fcntl_lock(&file, FlockOperation::NonBlockingLockExclusive).expect("nobody else holds it");
    file
}

fn waits(line: &Value) -> bool {
    line["waiting_for"]["holder"]
        .as_str()
        .is_some_and(|holder| holder.contains(&std::process::id().to_string()))
}

#[test]
fn a_lock_is_waited_for_by_name_and_then_the_job_goes_on() {
    let machine = Machine::new(1, &[]);
    machine.wua(["download", "--all"]).ends(0);
    let lock = hold(&machine, "var/lib/dpkg/lock-frontend");
    let mut front = machine.start(["install", "--all"]);
    let job = front.job();
    let line = front.until_event("the wait", waits);
    let name = std::fs::read_to_string("/proc/self/comm").expect("a name");
    let holder = format!("{} ({})", name.trim(), std::process::id());
    assert_eq!(line["waiting_for"]["holder"], json!(holder), "{line}");
    assert!(
        line["waiting_for"]["what"]
            .as_str()
            .is_some_and(|what| what.contains("lock")),
        "{line}"
    );
    assert_eq!(
        (&line["can_abort"], &line["safe_to_power_off"]),
        (&json!(true), &json!(false)),
        "who holds it may be changing the machine: {line}"
    );
    let mut text = machine.start_text(["attach", &job]);
    text.until("the wait", |line| line.contains(&format!("held by {holder}")));
    drop(lock);
    front.wait().ends(0);
    text.wait().ends(0).says(&["done    inkpot 4.2.2-1"]);
    assert_eq!(machine.installed("inkpot"), "4.2.2-1");
}

#[test]
fn a_lock_is_waited_for_until_the_time_is_over() {
    let machine = Machine::new(1, &[]);
    machine.wua(["download", "--all"]).ends(0);
    let _lock = hold(&machine, "var/lib/dpkg/lock-frontend");
    let run = machine
        .wua(["install", "--all", "--output", "jsonl", "--timeout", "3s"])
        .ends(6);
    run.result();
    assert_eq!(machine.installed("inkpot"), "4.2.1-1");
    assert_eq!(
        machine.json(["history"])["entries"],
        json!([]),
        "nothing was begun"
    );
}

#[test]
fn a_lock_that_another_holds_shows_in_the_status() {
    let machine = Machine::new(0, &[]);
    let _lock = hold(&machine, "var/lib/dpkg/lock-frontend");
    let status = machine.json(["status"]);
    assert!(
        status["lock_holder"]
            .as_str()
            .is_some_and(|holder| holder.contains(&std::process::id().to_string())),
        "{status}"
    );
    machine
        .wua(["status"])
        .ends(0)
        .says(&["holds the package database"]);
}
