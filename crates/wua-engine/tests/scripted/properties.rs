//! Random jobs with random handlers: the laws of progress and results hold whatever happens (rules R9, R10, R17, R32, R46).

use proptest::prelude::*;

use crate::common::*;
use wua_engine::handler::{BatchContext, BatchEnd, Refusal};
use wua_engine::policy::{InstallPolicy, UndoPolicy};
use wua_engine::{Failure, Policy, follow};
use wua_testkit::{ScriptedHandler, ScriptedSource, TestMachine, UpdateBuilder};
use wua_types::{HResult, OperationResultCode, Phase, UpdateInstallationResult, WaitingFor};

/// What a handler does in a batch.
#[derive(Clone, Debug)]
enum Act {
    Step(usize, u32, u32),
    Finish(usize, i32),
    Changing,
    Wait(bool),
    Warn,
    WishToStop,
}

/// How a batch ends.
#[derive(Clone, Debug)]
enum Close {
    Done,
    Needs(Vec<usize>),
    Fails(bool),
    Panics,
}

/// How an update comes into the job.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Plain,
    Declined,
    Installed,
    Refused,
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        6 => (0usize..7, 0u32..6, 0u32..6).prop_map(|(update, done, total)| Act::Step(update, done, total)),
        6 => (0usize..7, 0i32..6).prop_map(|(update, code)| Act::Finish(update, code)),
        1 => Just(Act::Changing),
        1 => any::<bool>().prop_map(Act::Wait),
        1 => Just(Act::Warn),
        1 => prop::bool::weighted(0.2).prop_map(|wish| if wish { Act::WishToStop } else { Act::Warn }),
    ]
}

fn close() -> impl Strategy<Value = Close> {
    prop_oneof![
        12 => Just(Close::Done),
        3 => prop::collection::vec(0usize..7, 0..3).prop_map(Close::Needs),
        1 => any::<bool>().prop_map(Close::Fails),
        1 => Just(Close::Panics),
    ]
}

fn kind() -> impl Strategy<Value = Kind> {
    prop_oneof![
        6 => Just(Kind::Plain),
        1 => Just(Kind::Declined),
        1 => Just(Kind::Installed),
        1 => Just(Kind::Refused),
    ]
}

fn play(act: &Act, abort: &std::path::Path, cx: &mut dyn BatchContext) {
    match act {
        Act::Step(update, done, total) => cx.step(*update, *done, *total, Phase::Unpacking),
        Act::Finish(update, code) => {
            let code = OperationResultCode::try_from(*code).expect("0 to 5");
            let mut result = UpdateInstallationResult::new(code, HResult::E_FAIL, "as the script says");
            result.reboot_required = *update % 2 == 1;
            cx.finished(*update, result);
        }
        Act::Changing => cx.changing(),
        Act::Wait(begins) => cx.waiting(begins.then(|| WaitingFor {
            what: "a lock".into(),
            since: std::time::SystemTime::UNIX_EPOCH.try_into().expect("a time"),
            holder: None,
            detail: None,
        })),
        Act::Warn => cx.warning(HResult::WU_E_UNEXPECTED, "well".into()),
        Act::WishToStop => drop(std::fs::File::create(abort).expect("the job's folder is there")),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn r9_r10_r17_whatever_a_handler_does_the_story_is_lawful(
        kinds in prop::collection::vec(kind(), 1..6),
        together in prop::collection::vec((0usize..6, 0usize..6), 0..3),
        longest_batch_seconds in prop_oneof![Just(0u32), Just(30)],
        script in prop::collection::vec((prop::collection::vec(act(), 0..14), close()), 1..8),
    ) {
        let refused: Vec<bool> = kinds
            .iter()
            .filter(|kind| !matches!(kind, Kind::Declined))
            .map(|kind| matches!(kind, Kind::Refused))
            .collect();
        let acts = script.clone();
        let handler = ScriptedHandler::applying(move |batch, cx| {
            let (acts, close) = &acts[batch.number % acts.len()];
            let abort = batch.folder.join("abort");
            acts.iter().for_each(|act| play(act, &abort, cx));
            match close {
                Close::Done => Ok(BatchEnd::Done),
                Close::Needs(more) => Ok(BatchEnd::NeedsAlso(more.clone())),
                Close::Fails(true) => Err(Failure::new(HResult::WU_E_CALL_CANCELLED, "stopped")),
                Close::Fails(false) => Err(Failure::new(HResult::ERROR_DISK_FULL, "full")),
                Close::Panics => crate::hostile_handlers::panic_quietly(),
            }
        })
        .resolving(move |resolution| {
            for (answer, refused) in resolution.updates.iter_mut().zip(&refused) {
                if *refused {
                    *answer = Err(Refusal::new(HResult::WU_E_NOT_APPLICABLE, "not here"));
                }
            }
            resolution.together = together.clone();
            Ok(())
        });
        let policy = Policy {
            install: InstallPolicy { longest_batch_seconds, ..InstallPolicy::default() },
            undo: UndoPolicy::default(),
            ..Policy::default()
        };
        let machine = TestMachine::with(handler, ScriptedSource::offering(Vec::new()), policy);
        let wanted: Vec<_> = kinds
            .iter()
            .enumerate()
            .map(|(place, kind)| {
                let update = UpdateBuilder::new(&format!("u{place}"));
                match kind {
                    Kind::Declined => update.with_declined_terms().build(),
                    Kind::Installed => update.installed().build(),
                    Kind::Plain | Kind::Refused => update.build(),
                }
            })
            .collect();
        machine.stock(&wanted);
        let started = machine.installer().start_install(collection(&wanted), None);
        if kinds.iter().all(|kind| matches!(kind, Kind::Declined)) {
            prop_assert_eq!(started.expect_err("refused").code(), HResult::WU_E_EULAS_DECLINED);
            return Ok(());
        }
        let job = started.expect("begins");
        let outcome = job.wait();

        // The file's laws, line by line; then all who tell the same tell the same.
        let story = machine.story(job.id());
        prop_assert_eq!(&story.results, &outcome.updates);
        prop_assert_eq!(story.completed, (outcome.result_code, outcome.hresult, outcome.reboot_required));
        let last = job.progress();
        prop_assert_eq!(last.percent_complete.get(), *story.percents.last().expect("told"));
        prop_assert!(last.truth.safe_to_power_off);
        prop_assert_eq!(&last.truth.waiting_for, &None);
        let again = follow::attach(machine.folders(), job.id(), None).expect("attached").wait();
        prop_assert_eq!(&again, &outcome);

        // History has every final result once, except what an abort kept from being begun.
        let begun: std::collections::BTreeSet<usize> = machine.handler.applied().concat().into_iter().collect();
        let state = machine.state();
        for (place, result) in outcome.updates.iter().enumerate() {
            let of_update: Vec<_> = state
                .history
                .iter()
                .filter(|entry| entry.update_identity == wanted[place].identity)
                .collect();
            let must = result.result_code != OperationResultCode::Aborted;
            prop_assert!(of_update.len() <= 1 && (!must || of_update.len() == 1), "{:?}", of_update);
            prop_assert!(of_update.is_empty() || must || begun.contains(&place));
            let is_installed = state
                .installed
                .iter()
                .any(|record| record.installed.update.identity == wanted[place].identity);
            let changed = result.result_code.is_success() && matches!(kinds[place], Kind::Plain);
            prop_assert_eq!(is_installed, changed);
        }
        machine.assert_idle();
    }
}
