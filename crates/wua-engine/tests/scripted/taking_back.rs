//! Taking updates back: what may be, what is told of the rest, and what is remembered afterwards (rule R38).

use crate::common::*;
use wua_engine::handler::BatchEnd;
use wua_engine::store::Origin;
use wua_testkit::{ScriptedHandler, TestMachine, UpdateBuilder, failed};
use wua_types::{HResult, Update, UpdateOperation};

fn find_installed(machine: &TestMachine) -> Vec<Update> {
    let result = machine.session().create_update_searcher().search("IsInstalled=1");
    assert_eq!(result.hresult, HResult::S_OK, "{result:?}");
    result.updates
}

#[test]
fn an_update_taken_back_is_forgotten_and_hidden() {
    let machine = TestMachine::default();
    let wanted = updates(&["a", "b"]);
    machine.keep_previous(&wanted, Origin::Saved);
    machine.install(&wanted);
    let installed = find_installed(&machine);
    assert!(
        installed
            .iter()
            .all(|update| update.is_uninstallable && update.is_installed)
    );
    let job = machine
        .installer()
        .start_uninstall(collection(&installed[..1]), None)
        .expect("begins");
    assert_eq!(ends(&job.wait()), (FINE, vec![FINE]));
    machine.story(job.id());
    let state = machine.state();
    assert!(state.is_hidden(wanted[0].id()) && !state.is_hidden(wanted[1].id()));
    assert_eq!(state.hidden[0].1, "a 2");
    assert_eq!(state.installed.len(), 1);
    let newest = &state.history[0];
    assert_eq!(
        (newest.operation, &*newest.title),
        (UpdateOperation::Uninstallation, "a 2")
    );
    assert_eq!(find_installed(&machine).len(), 1);
    machine.assert_idle();
    // Once more: nothing is left to be done, and that is no failure.
    let gone = updates(&["a"]);
    let result = machine.installer().uninstall(collection(&gone)).expect("begins");
    assert_eq!(
        ends(&result),
        (FINE, vec![(Succeeded, HResult::WU_S_ALREADY_UNINSTALLED)])
    );
    assert_eq!(
        machine.handler.applied().len(),
        3,
        "two installed, one taken back"
    );
}

#[test]
fn an_update_whose_undo_failed_stays_installed_and_visible() {
    let machine = TestMachine::new(ScriptedHandler::applying(|batch, cx| {
        cx.changing();
        match batch.operation {
            UpdateOperation::Installation => wua_testkit::succeed(cx, batch.members[0]),
            UpdateOperation::Uninstallation => cx.finished(batch.members[0], failed()),
        }
        Ok(BatchEnd::Done)
    }));
    let wanted = updates(&["a"]);
    machine.keep_previous(&wanted, Origin::Saved);
    machine.install(&wanted);
    let result = machine
        .installer()
        .uninstall(collection(&find_installed(&machine)))
        .expect("begins");
    assert_eq!(
        ends(&result),
        ((Failed, HResult::WU_E_ALL_UPDATES_FAILED), vec![BROKEN])
    );
    let state = machine.state();
    assert_eq!(
        (state.installed.len(), state.hidden.len(), state.history.len()),
        (1, 0, 2)
    );
}

#[test]
fn r38_none_that_can_be_taken_back_is_an_error_of_the_call() {
    let machine = TestMachine::default();
    let wanted = updates(&["a"]);
    machine.install(&wanted);
    let installed = find_installed(&machine);
    assert!(!installed[0].is_uninstallable && installed[0].uninstallation_behavior.is_none());
    let notes = installed[0].uninstallation_notes.clone().expect("a reason");
    assert!(notes.contains("no archive of a:all 1"), "{notes}");
    let foreign = UpdateBuilder::new("z").installed().build();
    for (update, reason) in [
        (&installed[0], "no archive of a:all 1"),
        (&foreign, "wua did not install"),
    ] {
        let error = machine
            .installer()
            .start_uninstall(collection(std::slice::from_ref(update)), None)
            .expect_err("refused");
        assert_eq!(error.code(), HResult::WU_E_UNINSTALL_NOT_ALLOWED);
        assert!(error.to_string().contains(reason), "{error}");
    }
    assert_eq!(machine.job_folders(), 1, "the installation's");
}

#[test]
fn r38_some_that_can_be_taken_back_leave_the_rest_as_results() {
    let machine = TestMachine::default();
    let wanted = updates(&["a", "b"]);
    machine.keep_previous(&wanted[1..], Origin::Saved);
    machine.install(&wanted);
    let mut all = find_installed(&machine);
    all.push(UpdateBuilder::new("y").installed().build());
    all.push(UpdateBuilder::new("z").build());
    let job = machine
        .installer()
        .start_uninstall(collection(&all), None)
        .expect("begins");
    let not_allowed = (Failed, HResult::WU_E_UNINSTALL_NOT_ALLOWED);
    let absent = (Succeeded, HResult::WU_S_ALREADY_UNINSTALLED);
    assert_eq!(
        ends(&job.wait()),
        (
            (SucceededWithErrors, HResult::WU_S_UPDATE_ERROR),
            vec![not_allowed, FINE, not_allowed, absent]
        )
    );
    assert_eq!(machine.handler.applied().last(), Some(&vec![1]));
    machine.story(job.id());
    assert!(!machine.state().is_hidden(wanted[0].id()));
}

#[test]
fn an_added_package_needs_no_archive_to_be_taken_back() {
    let machine = TestMachine::default();
    machine.install(&[UpdateBuilder::new("a").adding().build()]);
    assert!(find_installed(&machine)[0].is_uninstallable);
}

#[test]
fn an_undo_from_repacked_files_says_so() {
    let machine = TestMachine::default();
    let wanted = updates(&["a"]);
    machine.keep_previous(&wanted, Origin::Repacked);
    machine.install(&wanted);
    let found = &find_installed(&machine)[0];
    assert!(found.is_uninstallable && found.undo_is_repacked);
    assert!(
        found
            .uninstallation_notes
            .as_deref()
            .is_some_and(|notes| notes.contains("packed again"))
    );
}
