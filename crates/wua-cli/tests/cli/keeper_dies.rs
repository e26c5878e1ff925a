//! Keepers that are killed in the middle: apt goes on, the next keeper follows it, and the job ends once, under its own id.

use std::fs;
use std::path::PathBuf;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use serde_json::{Value, json};
use wua_sandbox::Fault;

use crate::harness::{Front, Machine};

/// A machine whose job stands at a closed gate: `docfinder` is being configured, two more updates wait for their turn.
fn at_the_gate() -> (Machine, Front, String) {
    let machine = Machine::new(2, &[Fault::Slow]);
    machine.small_batches();
    machine.wua(["download", "--all"]).ends(0);
    machine.close_gate();
    let mut front = machine.start(["install", "--all"]);
    let job = front.job();
    front.until_event("the gate", at_gate);
    (machine, front, job)
}

fn at_gate(line: &Value) -> bool {
    line["phase"] == "configuring" && line["result_code"] == 1
}

fn folder(machine: &Machine, job: &str) -> PathBuf {
    machine.path("var/lib/wua/jobs").join(job)
}

fn keeper(machine: &Machine, job: &str) -> Option<u32> {
    let text = fs::read(folder(machine, job).join("keeper.json")).ok()?;
    let keeper: Value = serde_json::from_slice(&text).ok()?;
    u32::try_from(keeper["pid"].as_u64()?).ok()
}

/// Kills the keeper of the machine's job, after a look whether it is really ours, and waits for its end.
fn kill_keeper(machine: &Machine, job: &str) -> u32 {
    let number = keeper(machine, job).expect("the job has a keeper");
    let pid = Pid::from_raw(number.cast_signed()).expect("not 0");
    let handle = pidfd_open(pid, PidfdFlags::empty()).expect("it lives");
    // The handle is of the process that this is the command line of.
    let command = fs::read(format!("/proc/{number}/cmdline")).expect("it lives");
    let words: Vec<_> = command
        .split(|byte| *byte == 0)
        .map(String::from_utf8_lossy)
        .collect();
    let root = machine.root().to_string_lossy();
    assert!(
        words.contains(&root) && words.iter().any(|word| word == job),
        "{words:?}"
    );
    pidfd_send_signal(&handle, Signal::KILL).expect("it is ours");
    poll(&mut [PollFd::new(&handle, PollFlags::IN)], None).expect("it ends");
    number
}

/// How often apt-get was started for the job.
fn runs(machine: &Machine, job: &str) -> usize {
    let entries = fs::read_dir(folder(machine, job))
        .expect("the job's folder")
        .flatten();
    let is_apt = |path: PathBuf| fs::read_to_string(path).is_ok_and(|text| text.contains("apt-get"));
    entries
        .filter(|entry| {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            name.starts_with("run-") && name.ends_with(".json") && is_apt(entry.path())
        })
        .count()
}

/// Everything that must hold once all three updates are installed.
fn whole(machine: &Machine, job: &str) {
    let entries = machine.json(["history"]);
    let mut titles: Vec<_> = entries["entries"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|entry| {
            assert_eq!(
                (&entry["job"], &entry["result_code"]),
                (&json!(job), &json!(2)),
                "{entry:#}"
            );
            entry["title"].as_str().expect("a title").to_owned()
        })
        .collect();
    titles.sort();
    assert_eq!(
        titles,
        ["docfinder 3.1-1", "inkpot 4.2.2-1", "pixelry 2.7.0-3+deb12u1"]
    );
    assert_eq!(entries["unfinished"], json!([]));
    let jobs = machine.json(["jobs"]);
    assert_eq!(jobs["jobs"].as_array().map(Vec::len), Some(1));
    assert_eq!(
        (&jobs["jobs"][0]["job"], &jobs["jobs"][0]["state"]),
        (&json!(job), &json!("completed"))
    );
    assert_eq!(machine.json(["status"])["unfinished"], json!([]));
    assert_eq!(machine.installed("docfinder"), "3.1-1");
    let events = fs::read_to_string(folder(machine, job).join("events.jsonl")).expect("events");
    for (event, count) in [("started", 1), ("update_finished", 3), ("completed", 1)] {
        let name = format!("\"event\":\"{event}\"");
        assert_eq!(
            events.lines().filter(|line| line.contains(&name)).count(),
            count,
            "{event}"
        );
    }
}

#[test]
fn the_front_gives_its_job_a_new_keeper_and_hears_it_to_its_end() {
    let (machine, front, job) = at_the_gate();
    let first = kill_keeper(&machine, &job);
    while keeper(&machine, &job) == Some(first) {
        std::thread::yield_now();
    }
    let second = kill_keeper(&machine, &job);
    assert_ne!(first, second);
    machine.open_gate();
    let run = front.wait().ends(0);
    assert_eq!(
        run.events("update_finished").len(),
        3 + 3,
        "of the download, and of the installation"
    );
    assert_eq!(run.result()["installed_update_count"], 3);
    whole(&machine, &job);
    assert_eq!(runs(&machine, &job), 3, "one for each batch");
}

#[test]
fn whoever_attaches_goes_on_with_a_job_that_lost_everybody() {
    let (machine, front, job) = at_the_gate();
    front.kill();
    kill_keeper(&machine, &job);
    // Looking changes nothing, and says how it stands.
    machine.wua(["status"]).ends(0).says(&[&job, "was interrupted"]);
    assert_eq!(machine.json(["jobs"])["jobs"][0]["state"], "lost");
    machine.wua(["jobs"]).ends(0).says(&["interrupted", "wua attach"]);
    machine.wua(["history"]).ends(0).says(&["unfinished"]);
    // Of two at once one starts the keeper, no matter which; both follow it.
    let first = machine.start(["attach", &job]);
    let second = machine.start(["attach", &job]);
    machine.open_gate();
    let (first, second) = (first.wait().ends(0), second.wait().ends(0));
    assert_eq!(first.events("update_finished").len(), 3);
    assert_eq!(second.events("update_finished").len(), 3);
    let starts = [&first.err, &second.err]
        .iter()
        .filter(|said| said.contains("it goes on with a new keeper"))
        .count();
    assert!(starts <= 1, "{first}\n{second}");
    whole(&machine, &job);
    assert_eq!(runs(&machine, &job), 3, "one for each batch");
}

#[test]
fn the_next_command_that_acts_finishes_the_interrupted_job_first() {
    let (machine, front, job) = at_the_gate();
    front.kill();
    kill_keeper(&machine, &job);
    let mut next = machine.start_text(["install", "--all"]);
    next.until_complaint(&format!("job {job} was interrupted; it is finished first"));
    let other = machine.wua(["install", "--all"]);
    assert_eq!(other.code, 5, "{other}");
    other.complains(&["another installation is running", &job, "wua attach"]);
    machine.open_gate();
    next.wait().ends(0).says(&["Nothing to do."]);
    whole(&machine, &job);
    assert_eq!(runs(&machine, &job), 3, "one for each batch");
}

#[test]
fn a_job_whose_apt_went_on_to_its_end_alone_is_finished_afterwards() {
    let (machine, front, job) = at_the_gate();
    front.kill();
    kill_keeper(&machine, &job);
    machine.open_gate();
    // apt and dpkg go on; whoever comes next meets them in the middle or at their end.
    machine
        .wua(["attach", &job])
        .ends(0)
        .says(&["3 of 3 updates done."]);
    whole(&machine, &job);
    assert_eq!(runs(&machine, &job), 3, "one for each batch");
}

#[test]
fn a_wish_to_stop_reaches_the_next_keeper() {
    let (machine, front, job) = at_the_gate();
    front.kill();
    kill_keeper(&machine, &job);
    assert_eq!(machine.json(["abort", &job])["asked"], true);
    machine.open_gate();
    machine
        .wua(["attach", &job])
        .ends(6)
        .says(&["1 of 3 updates done."]);
    assert_eq!(machine.installed("docfinder"), "3.1-1");
    assert_eq!(
        machine.json(["history"])["entries"].as_array().map(Vec::len),
        Some(1)
    );
    assert_eq!(machine.json(["history"])["unfinished"], json!([]));
    assert_eq!(runs(&machine, &job), 1, "apt ran once");
}
