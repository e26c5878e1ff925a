//! Results of installations: what the whole is made of, and which updates are decided without work (rules R19, R32 to R38).

use std::sync::mpsc::channel;

use crate::common::*;
use wua_engine::handler::BatchEnd;
use wua_engine::{Failure, Policy};
use wua_testkit::{
    Observer, ScriptedHandler, ScriptedSource, TestMachine, UpdateBuilder, failed, succeed, succeeded,
};
use wua_types::{HResult, Phase, Update};

/// A handler whose updates end as `end` says.
fn ending(
    end: impl Fn(usize) -> wua_types::UpdateInstallationResult + Send + Sync + 'static,
) -> ScriptedHandler {
    ScriptedHandler::applying(move |batch, cx| {
        cx.changing();
        for update in batch.members {
            cx.step(*update, 1, 3, Phase::Unpacking);
            cx.finished(*update, end(*update));
        }
        Ok(BatchEnd::Done)
    })
}

fn install(machine: &TestMachine, updates: &[Update]) -> (End, Vec<End>) {
    let result = machine.installer().install(collection(updates)).expect("begins");
    machine.assert_idle();
    ends(&result)
}

#[test]
fn r32_all_of_it_went_well() {
    let machine = TestMachine::default();
    let wanted = updates(&["a", "b", "c"]);
    machine.stock(&wanted);
    assert_eq!(install(&machine, &wanted), (FINE, vec![FINE; 3]));
    assert_eq!(machine.handler.applied(), [[0], [1], [2]]);
}

#[test]
fn r32_some_failed_and_the_following_were_tried() {
    let machine = TestMachine::new(ending(|update| if update == 1 { failed() } else { succeeded() }));
    let wanted = updates(&["a", "b", "c"]);
    machine.stock(&wanted);
    assert_eq!(
        install(&machine, &wanted),
        (
            (SucceededWithErrors, HResult::WU_S_UPDATE_ERROR),
            vec![FINE, BROKEN, FINE]
        )
    );
}

#[test]
fn r32_all_failed_and_one_failed_alone() {
    for names in [&["a", "b"][..], &["a"]] {
        let machine = TestMachine::new(ending(|_| failed()));
        let wanted = updates(names);
        machine.stock(&wanted);
        let whole = (Failed, HResult::WU_E_ALL_UPDATES_FAILED);
        assert_eq!(install(&machine, &wanted), (whole, vec![BROKEN; names.len()]));
    }
}

#[test]
fn r32_a_restart_is_a_flag_and_no_code() {
    let machine = TestMachine::new(ending(|update| wua_types::UpdateInstallationResult {
        reboot_required: update == 0,
        hresult: if update == 0 {
            HResult::WU_S_REBOOT_REQUIRED
        } else {
            HResult::S_OK
        },
        ..succeeded()
    }));
    let wanted = updates(&["a", "b"]);
    let job = begin(&machine, &wanted);
    let result = job.wait();
    assert_eq!((result.hresult, result.reboot_required), (HResult::S_OK, true));
    assert_eq!(
        machine.story(job.id()).completed,
        (Succeeded, HResult::S_OK, true)
    );
}

#[test]
fn r33_what_dooms_one_batch_dooms_the_rest() {
    let machine = TestMachine::new(ScriptedHandler::applying(|batch, cx| {
        cx.changing();
        match batch.members {
            [1] => Err(Failure::new(HResult::ERROR_DISK_FULL, "the disk is full")),
            _ => {
                batch.members.iter().for_each(|update| succeed(cx, *update));
                Ok(BatchEnd::Done)
            }
        }
    }));
    let wanted = updates(&["a", "b", "c", "d"]);
    let job = begin(&machine, &wanted);
    let result = job.wait();
    let full = (Failed, HResult::ERROR_DISK_FULL);
    assert_eq!(
        ends(&result),
        (
            (SucceededWithErrors, HResult::WU_S_UPDATE_ERROR),
            vec![FINE, full, UNTRIED, UNTRIED]
        )
    );
    assert!(
        result.updates[3].message.contains("the disk is full"),
        "{result:?}"
    );
    assert_eq!(machine.handler.applied(), [[0], [1]]);
    let story = machine.story(job.id());
    assert_eq!(story.percents.last(), Some(&100));
    assert_eq!(machine.state().history.len(), 4);
    machine.assert_idle();
}

#[test]
fn r33_members_told_before_the_doom_keep_their_results() {
    let policy = Policy::default();
    let handler = ScriptedHandler::applying(|_, cx| {
        cx.changing();
        cx.finished(1, failed());
        cx.finished(0, succeeded());
        Err(Failure::new(HResult::ERROR_DISK_FULL, "the disk is full"))
    });
    let machine = TestMachine::with(handler, ScriptedSource::offering(Vec::new()), policy);
    let wanted = updates(&["a", "b", "c"]);
    machine.stock(&wanted);
    let (_, each) = install(&machine, &wanted);
    assert_eq!(each, [FINE, BROKEN, (Failed, HResult::ERROR_DISK_FULL)]);
}

#[test]
fn r36_only_those_with_accepted_terms_are_installed() {
    let machine = TestMachine::default();
    let wanted = [
        UpdateBuilder::new("a").with_declined_terms().build(),
        UpdateBuilder::new("b").build(),
    ];
    machine.stock(&wanted);
    assert_eq!(
        install(&machine, &wanted),
        (
            (SucceededWithErrors, HResult::WU_S_UPDATE_ERROR),
            vec![(Failed, HResult::WU_E_EULAS_DECLINED), FINE]
        )
    );
    assert_eq!(machine.handler.applied(), [[1]]);
}

#[test]
fn what_is_installed_is_done_unless_forced_and_what_is_not_here_fails() {
    let machine = TestMachine::default();
    let wanted = [
        UpdateBuilder::new("a").installed().build(),
        UpdateBuilder::new("b").build(),
    ];
    machine.stock(&wanted[..1]);
    let there = (Succeeded, HResult::WU_S_ALREADY_INSTALLED);
    let missing = (Failed, HResult::WU_E_DM_NOTDOWNLOADED);
    let mixed = (SucceededWithErrors, HResult::WU_S_UPDATE_ERROR);
    assert_eq!(install(&machine, &wanted), (mixed, vec![there, missing]));
    assert!(machine.handler.applied().is_empty());
    assert!(machine.state().installed.is_empty(), "nothing was changed");
    let mut installer = machine.installer();
    installer.is_forced = true;
    let result = installer.install(collection(&wanted)).expect("begins");
    assert_eq!(ends(&result), (mixed, vec![FINE, missing]));
    assert_eq!(machine.handler.applied(), [[0]]);
    assert_eq!(install(&machine, &wanted[..1]), (FINE, vec![there]));
}

#[test]
fn force_quiet_leaves_out_what_asks_and_nothing_else() {
    let machine = TestMachine::default();
    let wanted = [
        UpdateBuilder::new("a").asking().build(),
        UpdateBuilder::new("b").build(),
    ];
    machine.stock(&wanted);
    let mut installer = machine.installer();
    installer.force_quiet = true;
    let result = installer.install(collection(&wanted)).expect("begins");
    let loud = (Failed, HResult::WU_E_UH_DOESNOTSUPPORTACTION);
    assert_eq!(ends(&result).1, [loud, FINE]);
    installer.force_quiet = false;
    let result = installer.install(collection(&wanted)).expect("begins");
    assert_eq!(ends(&result).1, [FINE, FINE]);
}

#[test]
fn hidden_updates_are_installed_when_named() {
    let machine = TestMachine::default();
    let mut wanted = updates(&["a"]);
    wanted[0].is_hidden = true;
    machine.stock(&wanted);
    assert_eq!(install(&machine, &wanted), (FINE, vec![FINE]));
}

#[test]
fn r19_each_update_has_its_notice_and_the_last_shows_a_hundred() {
    let machine = TestMachine::new(ending(|update| if update == 0 { failed() } else { succeeded() }));
    let wanted = updates(&["a", "b", "c"]);
    machine.stock(&wanted);
    let (told, notices) = channel();
    let end = told.clone();
    let observer = Observer::<wua_job::Installation>::on_progress(move |_, now| {
        let code = now.result_code;
        let final_result = now
            .update_result(now.current_update_index)
            .expect("one of three")
            .clone();
        told.send(Some((
            now.current_update_index,
            code,
            final_result,
            now.percent_complete.get(),
        )))
        .expect("the test listens");
    })
    .and_completed(move |job| {
        assert!(job.is_completed() && job.outcome().is_some());
        end.send(None).expect("the test listens");
    });
    let job = machine
        .installer()
        .start_install(collection(&wanted), observer.boxed())
        .expect("begins");
    let outcome = job.end().expect("ended once");
    let notices: Vec<_> = notices.iter().collect();
    assert_eq!(notices.iter().filter(|notice| notice.is_none()).count(), 1);
    assert_eq!(notices.last(), Some(&None), "nothing after the end");
    let mut finals: Vec<_> = notices
        .iter()
        .flatten()
        .filter(|(_, code, ..)| code.is_final())
        .collect();
    // A notice of what may merge can repeat the last result before the next one is there.
    finals.dedup_by_key(|(index, ..)| *index);
    assert_eq!(finals.len(), 3);
    for (place, (index, code, result, _)) in finals.iter().enumerate() {
        assert_eq!((place, *code), (*index, outcome.updates[place].result_code));
        assert_eq!(*result, outcome.updates[place]);
    }
    assert_eq!(
        notices.iter().flatten().next_back().map(|notice| notice.3),
        Some(100)
    );
    assert_eq!(machine.story(job.id()).results, outcome.updates);
}

#[test]
fn warnings_reach_the_job_and_its_file() {
    let machine = TestMachine::new(ScriptedHandler::applying(|_, cx| {
        cx.warning(HResult::WU_S_UH_INSTALLSTILLPENDING, "still at it".into());
        succeed(cx, 0);
        Ok(BatchEnd::Done)
    }));
    let wanted = updates(&["a"]);
    let job = begin(&machine, &wanted);
    assert_eq!(job.wait().hresult, HResult::S_OK);
    assert_eq!(job.progress().warnings()[0].message, "still at it");
    assert_eq!(
        machine.story(job.id()).warnings,
        [HResult::WU_S_UH_INSTALLSTILLPENDING]
    );
}
