//! Searching: criteria, the administrator's flags, services, warnings, stopping (rules R12, R26, R42, R44 and R50).

use crate::common::*;
use wua_engine::Failure;
use wua_engine::handler::BatchEnd;
use wua_engine::source::Found;
use wua_job::Search;
use wua_testkit::source::SERVICE;
use wua_testkit::{Observer, ScriptedHandler, ScriptedSource, TestMachine, UpdateBuilder, gate, succeeded};
use wua_types::{
    Category, HResult, KeptBack, SearchResult, ServerSelection, UpdateException, UpdateExceptionContext,
    UpdateInstallationResult,
};

fn search(machine: &TestMachine, criteria: &str) -> SearchResult {
    machine.session().create_update_searcher().search(criteria)
}

fn titles(machine: &TestMachine, criteria: &str) -> Vec<String> {
    let result = search(machine, criteria);
    assert_eq!((result.result_code, result.hresult), FINE, "{result:?}");
    result.updates.into_iter().map(|update| update.title).collect()
}

#[test]
fn r50_the_default_leaves_out_what_is_hidden_or_installed() {
    let offered = updates(&["a", "b", "c"]);
    let machine = TestMachine::offered(offered.clone());
    machine
        .open_state()
        .set_hidden(&[(offered[1].id(), "b 2".into())], true)
        .expect("hidden");
    assert_eq!(titles(&machine, ""), ["a 2", "c 2"]);
    assert_eq!(titles(&machine, " \n"), ["a 2", "c 2"]);
    assert_eq!(titles(&machine, "IsInstalled=0"), ["a 2", "b 2", "c 2"]);
    assert_eq!(titles(&machine, "IsHidden=1"), ["b 2"]);
    let found = search(&machine, "IsHidden=1");
    assert!(found.updates[0].is_hidden);
    machine
        .open_state()
        .set_hidden(&[(offered[1].id(), "b 2".into())], false)
        .expect("shown");
    assert_eq!(titles(&machine, "").len(), 3);
}

#[test]
fn a_search_leaves_nothing_on_the_machine() {
    let machine = TestMachine::offered(updates(&["a"]));
    assert_eq!(titles(&machine, ""), ["a 2"]);
    assert!(titles(&machine, "IsInstalled=1").is_empty());
    machine.assert_untouched();
}

#[test]
fn r44_updates_come_by_title_and_then_by_id() {
    let mut same: Vec<_> = ["x", "y", "z"]
        .map(|name| UpdateBuilder::new(name).title("same").build())
        .into();
    same.push(UpdateBuilder::new("w").title("an earlier one").build());
    let mut ids: Vec<_> = same[..3].iter().map(|update| update.id()).collect();
    ids.sort();
    let machine = TestMachine::offered(same);
    let found = search(&machine, "").updates;
    assert_eq!(found[0].title, "an earlier one");
    assert_eq!(
        found[1..].iter().map(|update| update.id()).collect::<Vec<_>>(),
        ids
    );
}

#[test]
fn root_categories_are_those_of_what_was_found() {
    let offered = vec![
        UpdateBuilder::new("a").category(Category::updates()).build(),
        UpdateBuilder::new("b")
            .category(Category::security_updates())
            .build(),
        UpdateBuilder::new("c")
            .category(Category::updates())
            .category(Category::backports())
            .build(),
    ];
    let machine = TestMachine::offered(offered);
    assert_eq!(
        search(&machine, "").root_categories,
        [
            Category::security_updates(),
            Category::updates(),
            Category::backports()
        ]
    );
    let security = format!("CategoryIDs contains '{}'", wua_types::category::SECURITY_UPDATES);
    let found = search(&machine, &security);
    assert_eq!(found.root_categories, [Category::security_updates()]);
    assert_eq!(found.updates.len(), 1);
}

#[test]
fn what_wua_installed_is_found_while_it_is_there() {
    let offered = updates(&["c"]);
    let machine = TestMachine::offered(offered);
    let installed = updates(&["a", "b"]);
    machine.install(&installed);
    let asked = machine.source.searches();
    assert_eq!(titles(&machine, "IsInstalled=1"), ["a 2", "b 2"]);
    assert_eq!(
        machine.source.searches(),
        asked,
        "the source is not asked for what is installed"
    );
    assert_eq!(titles(&machine, "Type='Software'"), ["a 2", "b 2", "c 2"]);
    assert_eq!(titles(&machine, ""), ["c 2"]);
    let found = &search(&machine, "IsInstalled=1").updates[0];
    assert!(found.is_installed && found.is_downloaded && !found.reboot_required);
    machine.handler.lose(installed[0].id());
    assert_eq!(titles(&machine, "IsInstalled=1"), ["b 2"]);
}

#[test]
fn an_update_that_asked_for_a_restart_waits_for_it_in_this_boot_alone() {
    let machine = TestMachine::new(ScriptedHandler::applying(|batch, cx| {
        for update in batch.members {
            let result = UpdateInstallationResult {
                reboot_required: *update == 0,
                ..succeeded()
            };
            cx.finished(*update, result);
        }
        Ok(BatchEnd::Done)
    }));
    machine.install(&updates(&["a", "b"]));
    assert_eq!(titles(&machine, "RebootRequired=1"), ["a 2"]);
    assert_eq!(titles(&machine, "IsInstalled=1 and RebootRequired=0"), ["b 2"]);
    let mut state = machine.state();
    let record = &mut state.installed[0];
    let asked = record
        .restart_asked_in_boot
        .take()
        .or(state.installed[1].restart_asked_in_boot.take());
    assert_eq!(asked, wua_engine::system::boot_id());
}

#[test]
fn accepted_terms_are_remembered_by_the_machine() {
    let offered = vec![
        UpdateBuilder::new("a").with_declined_terms().build(),
        UpdateBuilder::new("b").with_declined_terms().build(),
    ];
    let machine = TestMachine::offered(offered.clone());
    machine.open_state().accept_eula(&offered[..1]).expect("accepted");
    let accepted: Vec<_> = search(&machine, "")
        .updates
        .iter()
        .map(|update| update.eula_accepted)
        .collect();
    assert_eq!(accepted, [true, false]);
}

#[test]
fn r12_wrong_criteria_are_told_by_the_result_and_not_by_the_start() {
    let machine = TestMachine::default();
    let searcher = machine.session().create_update_searcher();
    for criteria in [
        "IsInstalled=2",
        "IsHidn=0",
        "(IsInstalled=0 or IsHidden=0)",
        "RevisionNumber=1",
    ] {
        let job = searcher.start(criteria, None).expect("begins");
        let result = job.end().expect("ended once");
        assert_eq!(
            (result.result_code, result.hresult),
            (Failed, HResult::WU_E_INVALID_CRITERIA)
        );
        let [warning] = &result.warnings[..] else {
            panic!("{result:?}");
        };
        assert_eq!(warning.context, UpdateExceptionContext::General);
        assert!(warning.message.contains("column"), "{warning:?}");
        assert_eq!(*result, searcher.search(criteria), "both ways of searching agree");
    }
    assert_eq!(machine.source.searches(), 0);
}

#[test]
fn r42_an_unknown_product_is_an_empty_success_with_a_warning() {
    let machine = TestMachine::offered(updates(&["a"]));
    let result = search(&machine, "Product='Harbour'");
    assert_eq!((result.result_code, result.hresult), FINE);
    assert!(result.updates.is_empty());
    assert_eq!(
        result.warnings[0].hresult,
        HResult::WU_S_SEARCH_CRITERIA_NOT_SUPPORTED
    );
    assert!(result.warnings[0].message.contains("Harbour"));
    let result = search(&machine, "Product='Harbour' or IsInstalled=0");
    assert_eq!((result.updates.len(), result.warnings.len()), (1, 1));
}

#[test]
fn a_search_with_failing_warnings_is_incomplete() {
    let warning = |hresult| UpdateException {
        message: "one archive did not answer".into(),
        hresult,
        context: UpdateExceptionContext::SearchIncomplete,
    };
    for (code, expected) in [
        (
            HResult::WU_E_PT_HTTP_STATUS_NOT_FOUND,
            (SucceededWithErrors, HResult::WU_S_UPDATE_ERROR),
        ),
        (HResult::WU_S_SEARCH_CRITERIA_NOT_SUPPORTED, FINE),
    ] {
        let machine = TestMachine::searching(ScriptedSource::new(move |_| {
            Ok(Found {
                updates: updates(&["a"]),
                warnings: vec![warning(code)],
                kept_back: vec![KeptBack {
                    title: "b 2".into(),
                    packages: vec!["b".into()],
                    reason: "it would remove c".into(),
                    removals: vec!["c".into()],
                }],
            })
        }));
        let result = search(&machine, "");
        assert_eq!((result.result_code, result.hresult), expected);
        assert_eq!((result.updates.len(), result.kept_back.len()), (1, 1));
    }
}

#[test]
fn a_source_that_cannot_be_asked_fails_the_search_with_its_code() {
    let machine = TestMachine::searching(ScriptedSource::new(|request| {
        assert!(request.refresh);
        Err(Failure::because(
            HResult::WU_E_PT_HTTP_STATUS_NOT_FOUND,
            "cannot refresh",
            std::io::Error::other("404"),
        ))
    }));
    let mut searcher = machine.session().create_update_searcher();
    searcher.refresh = true;
    let result = searcher.search("IsInstalled=1");
    assert_eq!(
        (result.result_code, result.hresult),
        (Failed, HResult::WU_E_PT_HTTP_STATUS_NOT_FOUND)
    );
    assert_eq!(result.warnings[0].message, "cannot refresh: 404");
}

#[test]
fn the_service_is_chosen_by_its_number_and_id() {
    let machine = TestMachine::offered(updates(&["a"]));
    let mut searcher = machine.session().create_update_searcher();
    let mut code = |selection, id| {
        searcher.server_selection = selection;
        searcher.service_id = id;
        searcher.search("").hresult
    };
    let nil = uuid::Uuid::nil();
    assert_eq!(code(ServerSelection::Default, nil), HResult::S_OK);
    assert_eq!(code(ServerSelection::Others, SERVICE), HResult::S_OK);
    assert_eq!(
        code(ServerSelection::Others, nil),
        HResult::WU_E_DS_UNKNOWNSERVICE
    );
    assert_eq!(
        code(ServerSelection::WindowsUpdate, nil),
        HResult::WU_E_DS_UNKNOWNSERVICE
    );
    assert_eq!(
        code(ServerSelection::ManagedServer, nil),
        HResult::WU_E_PT_SUS_SERVER_NOT_SET
    );
    assert_eq!(machine.source.searches(), 2);
}

#[test]
fn r26_a_search_that_was_aborted_is_empty() {
    let (gate, key) = gate();
    let machine = TestMachine::searching(ScriptedSource::new(move |request| {
        gate.stop();
        assert!(request.abort.load(std::sync::atomic::Ordering::Relaxed));
        Ok(Found {
            updates: updates(&["a"]),
            ..Found::default()
        })
    }));
    let (told, ended) = std::sync::mpsc::channel();
    let observer = Observer::<Search>::on_progress(|_, _| {}).and_completed(move |job| {
        told.send(job.outcome().expect("readable").result_code)
            .expect("the test listens");
    });
    let job = machine
        .session()
        .create_update_searcher()
        .start("", observer.boxed())
        .expect("begins");
    key.wait();
    job.request_abort().expect("a search can always be stopped");
    drop(key);
    assert_eq!(ended.recv().expect("completed is called"), Aborted);
    let result = job.end().expect("ended once");
    assert_eq!(result.hresult, HResult::WU_E_CALL_CANCELLED);
    assert!(result.updates.is_empty());
}

#[test]
fn r17_a_source_that_panics_fails_the_search() {
    let machine = TestMachine::searching(ScriptedSource::new(|_| crate::hostile_handlers::panic_quietly()));
    let job = machine
        .session()
        .create_update_searcher()
        .start("", None)
        .expect("begins");
    let result = job.wait();
    assert_eq!((result.result_code, result.hresult), LOST);
}
