//! What a job is not begun for: no room, an empty battery, a machine that goes down; and what the store keeps.

use std::fs;
use std::path::PathBuf;

use crate::common::*;
use uuid::Uuid;
use wua_engine::cleaning::{self, Reason};
use wua_engine::lock::MachineLock;
use wua_engine::policy::StorePolicy;
use wua_engine::space::SpaceNeed;
use wua_engine::store::{Content, Origin};
use wua_engine::{Policy, StartError};
use wua_testkit::{ScriptedHandler, ScriptedSource, TestMachine};
use wua_types::{HResult, Update};

const FULL: End = (Failed, HResult::ERROR_DISK_FULL);

fn write(machine: &TestMachine, path: &str, text: &str) {
    let path = machine.folders().root().join(path);
    fs::create_dir_all(path.parent().expect("below the root")).expect("a folder");
    fs::write(path, text).expect("written");
}

fn refusal(machine: &TestMachine) -> StartError {
    let wanted = updates(&["a"]);
    machine.stock(&wanted);
    let refused = machine.installer().start_install(collection(&wanted), None);
    let error = refused.expect_err("refused");
    assert!(machine.handler.applied().is_empty());
    machine.assert_idle();
    error
}

#[test]
fn a_machine_with_an_empty_battery_begins_nothing() {
    let machine = TestMachine::default();
    let battery =
        |file: &str, value: &str| write(&machine, &format!("sys/class/power_supply/BAT0/{file}"), value);
    battery("type", "Battery\n");
    battery("status", "Discharging\n");
    battery("capacity", "19\n");
    fs::create_dir_all(machine.folders().state()).expect("a folder");
    fs::write(machine.folders().lock(), "").expect("a lock file");
    let error = refusal(&machine);
    assert_eq!(error.code(), HResult::WU_E_LOW_BATTERY);
    assert!(error.to_string().contains("19 %"), "{error}");
    battery("capacity", "20\n");
    machine.install(&updates(&["a"]));
}

#[test]
fn a_machine_that_goes_down_begins_nothing() {
    let machine = TestMachine::default();
    let soon = jiff::Timestamp::now().as_microsecond();
    write(
        &machine,
        "run/systemd/shutdown/scheduled",
        &format!("USEC={soon}\nMODE=poweroff\n"),
    );
    fs::create_dir_all(machine.folders().state()).expect("a folder");
    fs::write(machine.folders().lock(), "").expect("a lock file");
    assert_eq!(refusal(&machine).code(), HResult::ERROR_SHUTDOWN_IN_PROGRESS);
}

#[test]
fn what_there_is_no_room_for_is_refused_before_anything_is_touched() {
    let machine = TestMachine::default();
    let need = |bytes| SpaceNeed {
        folder: machine.folders().root().join("boot"),
        bytes,
        purpose: "kernels",
    };
    machine.handler.need_space(vec![need(1 << 62)]);
    let wanted = updates(&["a", "b"]);
    machine.stock(&wanted);
    let result = machine.installer().install(collection(&wanted)).expect("a job");
    assert_eq!(ends(&result).1, [FULL, FULL]);
    let message = &result.updates[0].message;
    assert!(
        message.contains("boot` has ") && message.contains("46116860184"),
        "{message}"
    );
    assert!(machine.handler.applied().is_empty());
    assert!(machine.state().unfinished.is_empty());
    let planned = machine.installer().plan_install(&wanted).expect("planned");
    let forecasts = machine
        .installer()
        .forecast_space(&planned.plan, &wanted)
        .expect("looked at");
    assert!(
        forecasts
            .iter()
            .any(|forecast| forecast.is_short() && forecast.purposes.contains(&"kernels"))
    );

    machine.handler.need_space(vec![need(1)]);
    machine.install(&wanted);
}

#[test]
fn a_download_that_does_not_fit_fetches_nothing() {
    let machine = TestMachine::new(ScriptedHandler::downloading(|_, _| panic!("nothing is fetched")));
    let mut wanted = updates(&["a"]);
    wanted[0].min_download_size = 1 << 60;
    let result = machine
        .session()
        .create_update_downloader()
        .download(collection(&wanted))
        .expect("a job");
    assert_eq!(result.updates[0].hresult, HResult::ERROR_DISK_FULL);
}

fn machine_keeping(max_bytes: u64, offered: Vec<Update>) -> TestMachine {
    let store = StorePolicy {
        max_bytes,
        ..StorePolicy::default()
    };
    let policy = Policy {
        store,
        ..Policy::default()
    };
    TestMachine::with(
        ScriptedHandler::default(),
        ScriptedSource::offering(offered),
        policy,
    )
}

fn names(contents: &[Content]) -> Vec<String> {
    let mut names: Vec<_> = contents.iter().map(|content| content.label.clone()).collect();
    names.sort();
    names
}

/// Makes everything in the store look as if it had come long ago.
fn age(machine: &TestMachine) {
    let labels: PathBuf = machine.folders().store().join("labels");
    for entry in fs::read_dir(labels).expect("labels").flatten() {
        let mut content: Content =
            serde_json::from_slice(&fs::read(entry.path()).expect("read")).expect("a label");
        content.stored = jiff::Timestamp::UNIX_EPOCH;
        fs::write(entry.path(), serde_json::to_vec(&content).expect("text")).expect("written");
    }
}

#[test]
fn what_nobody_needs_goes_and_what_undo_or_an_offer_needs_stays() {
    let offered = updates(&["offered"]);
    let machine = machine_keeping(1 << 40, offered.clone());
    let wanted = updates(&["a"]);
    machine.keep_previous(&wanted, Origin::Saved);
    machine.install(&wanted);
    machine.stock(&offered);
    machine.keep_previous(&offered, Origin::Repacked);
    machine.stock(&updates(&["gone"]));
    let store = machine.machine().store();
    assert_eq!(
        cleaning::clean(machine.machine()).expect("cleaned"),
        [],
        "all is new"
    );
    age(&machine);
    let before = store.list().expect("readable").len();
    let told = cleaning::look(machine.machine()).expect("looked");
    assert_eq!(
        store.list().expect("readable").len(),
        before,
        "looking removes nothing"
    );
    let removed = cleaning::clean(machine.machine()).expect("cleaned");
    assert_eq!(removed, told);
    assert_eq!(
        (removed.len(), removed[0].reason, removed[0].ends_undo),
        (1, Reason::Old, false)
    );
    let left = [
        "deb a all 1",
        "deb a all 2",
        "deb offered all 1",
        "deb offered all 2",
    ];
    assert_eq!(names(&store.list().expect("readable")), left);
    machine.assert_idle();
}

#[test]
fn undo_that_the_limit_took_away_is_not_promised() {
    let machine = machine_keeping(0, Vec::new());
    let wanted = updates(&["a"]);
    machine.keep_previous(&wanted, Origin::Saved);
    machine.install(&wanted);
    assert!(
        machine.machine().store().list().expect("readable").is_empty(),
        "the job cleared the store"
    );
    let found = machine
        .session()
        .create_update_searcher()
        .search("IsInstalled=1")
        .updates;
    assert!(!found[0].is_uninstallable);
}

#[test]
fn nothing_is_cleared_while_a_job_is_at_work() {
    let machine = machine_keeping(0, Vec::new());
    fs::create_dir_all(machine.folders().state()).expect("a folder");
    let lock = MachineLock::take(&machine.folders().lock(), Uuid::from_u128(7)).expect("a lock file");
    let refused = cleaning::clean(machine.machine()).expect_err("busy");
    assert_eq!(refused.code(), HResult::WU_E_INSTALL_NOT_ALLOWED);
    drop(lock);
    cleaning::clean(machine.machine()).expect("free");
}
