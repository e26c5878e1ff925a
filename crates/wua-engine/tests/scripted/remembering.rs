//! History and state: what is written, what everybody may read, and what happens when it cannot be read (rules R45 and R46).

use std::fs;
use std::thread;

use crate::common::*;
use wua_engine::policy::Policy;
use wua_engine::session::UNKNOWN_CLIENT;
use wua_engine::state::{PublicState, State};
use wua_testkit::{ScriptedHandler, TestMachine, UpdateBuilder, failed, succeed};
use wua_types::{HResult, ServerSelection, UpdateId, UpdateOperation};

#[test]
fn r46_a_record_says_who_did_what_when_and_how_it_ended() {
    let machine = TestMachine::new(ScriptedHandler::applying(|batch, cx| {
        match batch.members {
            [0] => succeed(cx, 0),
            _ => {
                let mut result = failed();
                result.unmapped_result_code = 7;
                result.kept_configuration = vec!["/etc/b.conf".into()];
                cx.finished(1, result);
            }
        }
        Ok(wua_engine::handler::BatchEnd::Done)
    }));
    let wanted = updates(&["a", "b"]);
    machine.stock(&wanted);
    let mut session = machine.session();
    session.set_client_application_id("panel");
    let installer = session.create_update_installer();
    session.set_client_application_id("");
    let job = installer
        .start_install(collection(&wanted), None)
        .expect("begins");
    job.wait();
    machine
        .session()
        .create_update_installer()
        .install(collection(&wanted[..1]))
        .expect("begins");
    let history = session.query_history("", 0, 10).expect("reads");
    let [third, second, first] = &history[..] else {
        panic!("{history:?}");
    };
    assert_eq!(third.client_application_id, UNKNOWN_CLIENT);
    assert_eq!(
        (
            &*first.client_application_id,
            first.job,
            first.operation,
            &*first.title
        ),
        ("panel", job.id(), UpdateOperation::Installation, "a 2")
    );
    assert_ne!(first.server_selection, ServerSelection::Default);
    assert_eq!((first.result_code, first.hresult), FINE);
    assert_eq!((second.result_code, second.hresult), BROKEN);
    assert_eq!(
        (second.unmapped_result_code, &*second.message),
        (7, "the installer failed")
    );
    assert_eq!(second.kept_configuration, ["/etc/b.conf"]);
    let state = machine.state();
    assert_eq!(state.history, history);
    let installed: Vec<_> = state
        .installed
        .iter()
        .map(|record| record.installed.update.id())
        .collect();
    assert_eq!(installed, [wanted[0].id()]);
    assert_eq!(state.installed[0].installed.changes[0].from.as_deref(), Some("1"));
}

#[test]
fn r45_history_is_asked_for_by_place_number_and_update() {
    let machine = TestMachine::default();
    let session = machine.session();
    assert_eq!(session.total_history_count().expect("reads"), 0);
    let wanted = updates(&["a", "b", "c"]);
    machine.install(&wanted);
    assert_eq!(session.total_history_count().expect("reads"), 3);
    let titles = |criteria: &str, start, count| -> Vec<String> {
        let found = session.query_history(criteria, start, count).expect("reads");
        found.into_iter().map(|entry| entry.title).collect()
    };
    assert_eq!(titles(" ", 0, 3), ["c 2", "b 2", "a 2"]);
    assert_eq!(titles("", 1, 1), ["b 2"]);
    assert_eq!(titles("", 2, usize::MAX), ["a 2"]);
    assert!(titles("", 3, 1).is_empty() && titles("", usize::MAX, 1).is_empty());
    let one = format!("UpdateID='{}'", wanted[1].id());
    assert_eq!(titles(&one, 0, 9), ["b 2"]);
    let code = |criteria: &str, count| {
        let error = session.query_history(criteria, 0, count).expect_err("refused");
        error.code()
    };
    assert_eq!(code("", 0), HResult::WU_E_INVALIDINDEX);
    assert_eq!(code("IsInstalled=1", 1), HResult::WU_E_INVALID_CRITERIA);
}

#[test]
fn the_public_part_holds_the_newest_thousand_and_the_database_all() {
    let machine = TestMachine::default();
    let wanted = updates(&["a"]);
    machine.install(&wanted);
    let entry = machine.state().history[0].clone();
    let mut state = machine.open_state();
    // Written in one go, as a thousand jobs would take long.
    let text = serde_json::to_string(&entry).expect("serialises");
    let database = rusqlite::Connection::open(machine.folders().database()).expect("opens");
    database
        .execute_batch("BEGIN")
        .and_then(|()| {
            for _ in 0..1005 {
                database.execute(
                    "INSERT INTO history (update_id, job, entry) VALUES ('', '', ?1)",
                    [&text],
                )?;
            }
            database.execute_batch("COMMIT")
        })
        .expect("written");
    state
        .set_hidden(&[(wanted[0].id(), "a 2".into())], true)
        .expect("published");
    assert_eq!(machine.state().history.len(), 1006);
    let published = fs::read(machine.folders().public_state()).expect("published");
    let published: PublicState = serde_json::from_slice(&published).expect("parses");
    assert_eq!(published.history.len(), 1000);
}

#[test]
fn of_many_who_change_the_state_at_once_nobody_is_lost() {
    let machine = TestMachine::default();
    thread::scope(|scope| {
        for number in 0..8u128 {
            let machine = &machine;
            scope.spawn(move || {
                for part in 0..4 {
                    let id = UpdateId(uuid::Uuid::from_u128(number * 100 + part));
                    machine
                        .open_state()
                        .set_hidden(&[(id, "x".into())], true)
                        .expect("hidden");
                }
            });
        }
    });
    // `state` compares the published file with the database.
    assert_eq!(machine.state().hidden.len(), 32);
}

fn search_code(machine: &TestMachine) -> HResult {
    let result = machine.session().create_update_searcher().search("");
    assert_eq!(result.result_code, Failed);
    assert_eq!(result.warnings[0].hresult, result.hresult);
    result.hresult
}

/// What a machine with unusable state says everywhere.
fn check_unusable(machine: &TestMachine, expected: HResult) {
    assert_eq!(search_code(machine), expected);
    let session = machine.session();
    assert_eq!(
        session.query_history("", 0, 1).expect_err("unreadable").code(),
        expected
    );
    let update = UpdateBuilder::new("a").build();
    let installer = session.create_update_installer();
    let error = installer
        .start_uninstall(collection(std::slice::from_ref(&update)), None)
        .expect_err("refused");
    assert_eq!(error.code(), expected);
    machine.stock(std::slice::from_ref(&update));
    let result = installer.install(collection(&[update])).expect("begins");
    assert_eq!(ends(&result).1, [(Failed, expected)]);
    assert!(machine.handler.applied().is_empty(), "nothing was changed");
    assert_eq!(machine.job_folders(), 0);
    assert!(!installer.is_busy());
}

#[test]
fn a_damaged_public_state_is_an_error_with_a_code() {
    let machine = TestMachine::default();
    fs::create_dir_all(machine.folders().state()).expect("folder");
    fs::write(machine.folders().public_state(), "{\"version\": 1, \"hidden\"").expect("file");
    check_unusable(&machine, HResult::WU_E_DS_INVALID);
    fs::write(machine.folders().public_state(), [0xFF, 0xFE, 0]).expect("file");
    assert_eq!(search_code(&machine), HResult::WU_E_DS_INVALID);
}

#[test]
fn a_public_state_of_a_newer_wua_is_an_error_with_a_code() {
    let machine = TestMachine::default();
    let newer = PublicState {
        version: 99,
        ..PublicState::default()
    };
    fs::create_dir_all(machine.folders().state()).expect("folder");
    let text = serde_json::to_vec(&newer).expect("serialises");
    fs::write(machine.folders().public_state(), text).expect("file");
    check_unusable(&machine, HResult::WU_E_DS_SCHEMAMISMATCH);
}

#[test]
fn a_database_of_a_newer_wua_is_an_error_with_a_code() {
    let machine = TestMachine::default();
    drop(machine.open_state());
    let database = rusqlite::Connection::open(machine.folders().database()).expect("opens");
    database.pragma_update(None, "user_version", 99).expect("written");
    drop(database);
    check_unusable(&machine, HResult::WU_E_DS_SCHEMAMISMATCH);
}

#[test]
fn a_foreign_file_in_the_databases_place_is_an_error_with_a_code() {
    let machine = TestMachine::default();
    fs::create_dir_all(machine.folders().state()).expect("folder");
    fs::write(
        machine.folders().database(),
        "Dear reader, this is no database.".repeat(99),
    )
    .expect("file");
    check_unusable(&machine, HResult::WU_E_DS_UNEXPECTED);
    let text = fs::read_to_string(machine.folders().database()).expect("there");
    assert!(text.starts_with("Dear reader"));
}

#[test]
fn another_programs_database_is_left_as_it_is() {
    let machine = TestMachine::default();
    fs::create_dir_all(machine.folders().state()).expect("folder");
    let database = rusqlite::Connection::open(machine.folders().database()).expect("opens");
    database
        .execute_batch("CREATE TABLE bird (name TEXT)")
        .expect("written");
    check_unusable(&machine, HResult::WU_E_DS_INVALID);
    let tables: i64 = database
        .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
        .expect("reads");
    assert_eq!(tables, 1);
}

#[test]
fn a_damaged_record_in_the_database_is_an_error_with_a_code() {
    let machine = TestMachine::default();
    drop(machine.open_state());
    let database = rusqlite::Connection::open(machine.folders().database()).expect("opens");
    database
        .execute_batch("INSERT INTO history (update_id, job, entry) VALUES ('', '', 'no json')")
        .expect("written");
    assert_eq!(search_code(&machine), HResult::WU_E_DS_INVALID);
}

#[test]
fn an_unfinished_operation_of_a_lost_keeper_is_told() {
    let machine = TestMachine::default();
    let operation = wua_engine::state::OperationRecord {
        job: uuid::Uuid::from_u128(9),
        operation: "install".into(),
        begun: std::time::SystemTime::UNIX_EPOCH.try_into().expect("a time"),
        titles: vec!["a 2".into()],
        plan_hash: String::new(),
    };
    State::open(machine.folders())
        .and_then(|mut state| state.begin(&operation, "{}"))
        .expect("begun");
    let now = wua_engine::SystemInformation::read(machine.machine()).expect("reads");
    assert_eq!(now.unfinished, [operation]);
    assert_eq!((now.busy, now.restart_required), (None, None));
}

#[test]
fn services_are_registered_with_automatic_updates_by_the_machine() {
    let machine = TestMachine::default();
    let manager = machine.session().create_update_service_manager();
    let id = wua_testkit::source::SERVICE;
    assert!(manager.services().expect("reads")[0].is_registered_with_au);
    machine.assert_untouched();
    manager.register_service_with_au(id, false).expect("written");
    assert!(!manager.services().expect("reads")[0].is_registered_with_au);
    let unknown = uuid::Uuid::from_u128(5);
    let code =
        |result: Result<(), wua_engine::service_manager::ServiceError>| result.expect_err("refused").code();
    assert_eq!(
        code(manager.register_service_with_au(unknown, true)),
        HResult::WU_E_DS_UNKNOWNSERVICE
    );
    assert_eq!(
        code(manager.remove_service(unknown)),
        HResult::WU_E_DS_UNKNOWNSERVICE
    );
    assert_eq!(
        code(manager.remove_service(id)),
        HResult::WU_E_DS_NEEDWINDOWSSERVICE
    );
    assert_eq!(
        code(manager.add_service(unknown).map(drop)),
        HResult::WU_E_DS_INVALIDOPERATION
    );
    assert_eq!(manager.add_service(id).expect("it is there").id, id);
}

#[test]
fn a_policy_that_cannot_be_followed_is_an_error_with_a_code() {
    let machine = TestMachine::default();
    let path = machine.folders().policy();
    assert_eq!(Policy::read(&path).expect("absent is fine"), Policy::default());
    fs::create_dir_all(path.parent().expect("a folder")).expect("folder");
    for text in [
        "[install]\nlongest_batch_seconds = -1\n",
        "[install]\nrestart_first = \"yes\"\n",
        "[install\n",
        "[instal]\n",
        "restart_first = true\n",
        "[undo]\nrepack = 1\n",
    ] {
        fs::write(&path, text).expect("file");
        let error = Policy::read(&path).expect_err(text);
        assert_eq!(error.code(), HResult::E_INVALIDARG, "{text}");
        assert!(error.to_string().contains("wua.toml"), "{error}");
    }
    fs::write(&path, [b'#', 0xFF]).expect("file");
    assert!(Policy::read(&path).is_err());
    fs::write(&path, "[install]\nrestart_first = true\n[undo]\nrepack = false\n").expect("file");
    let policy = Policy::read(&path).expect("valid");
    assert!(policy.install.restart_first && !policy.undo.repack);
    assert_eq!(policy.install.longest_batch_seconds, 30);
}
