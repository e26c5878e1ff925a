//! Which updates go together, and what happens when the package manager wants more (apt.md rules B1 and P2).

use crate::common::*;
use wua_engine::Policy;
use wua_engine::handler::BatchEnd;
use wua_testkit::{ScriptedHandler, ScriptedSource, TestMachine, UpdateBuilder, succeed};
use wua_types::{HResult, UpdateOperation};

/// A handler whose update `asks` needs `more`, unless they are in its batch.
fn needing(asks: usize, more: &'static [usize]) -> ScriptedHandler {
    ScriptedHandler::applying(move |batch, cx| {
        let lacks = more.iter().any(|update| !batch.members.contains(update));
        if batch.members.contains(&asks) && lacks {
            return Ok(BatchEnd::NeedsAlso(more.to_vec()));
        }
        cx.changing();
        batch.members.iter().for_each(|update| succeed(cx, *update));
        Ok(BatchEnd::Done)
    })
}

#[test]
fn b1_a_batch_grows_by_what_it_needs_and_others_shrink() {
    let machine = TestMachine::new(needing(0, &[2, 0, 3]));
    let wanted = updates(&["a", "b", "c", "d"]);
    let job = begin(&machine, &wanted);
    assert_eq!(ends(&job.wait()), (FINE, vec![FINE; 4]));
    assert_eq!(machine.handler.applied(), [vec![0], vec![0, 2, 3], vec![1]]);
    assert_eq!(machine.story(job.id()).order, [0, 2, 3, 1]);
    assert_eq!(machine.state().history.len(), 4, "nobody is recorded twice");
}

#[test]
fn b1_what_cannot_be_added_fails_its_batch_alone() {
    let missing = (Failed, HResult::WU_E_INVALID_RELATIONSHIP);
    // Itself again, one that is done, one that was refused, none of the plan's: each together with one that waits.
    for more in [&[1][..], &[0, 2], &[3, 2], &[9, 2], &[]] {
        let more: &'static [usize] = more;
        let machine = TestMachine::new(ScriptedHandler::applying(move |batch, cx| {
            if batch.members.contains(&1) {
                return Ok(BatchEnd::NeedsAlso(more.to_vec()));
            }
            batch.members.iter().for_each(|update| succeed(cx, *update));
            Ok(BatchEnd::Done)
        }));
        let mut wanted = updates(&["a", "b", "c"]);
        wanted.push(UpdateBuilder::new("d").with_declined_terms().build());
        let job = begin(&machine, &wanted);
        let declined = (Failed, HResult::WU_E_EULAS_DECLINED);
        assert_eq!(ends(&job.wait()).1, [FINE, missing, FINE, declined], "{more:?}");
        assert_eq!(machine.handler.applied(), [[0], [1], [2]], "{more:?}");
        machine.story(job.id());
        machine.assert_idle();
    }
}

#[test]
fn updates_that_the_package_manager_ties_go_together() {
    let handler = ScriptedHandler::default().resolving(|resolution| {
        resolution.together = vec![(2, 0), (1, 9)];
        Ok(())
    });
    let machine = TestMachine::new(handler);
    let mut wanted = vec![UpdateBuilder::new("z").with_declined_terms().build()];
    wanted.extend(updates(&["a", "b", "c"]));
    machine.stock(&wanted);
    let planned = machine.installer().plan_install(&wanted).expect("plans");
    assert_eq!(planned.plan.batches, [vec![1, 3], vec![2]]);
    assert_eq!(planned.known.len(), 1);
    machine.installer().install(collection(&wanted)).expect("begins");
    assert_eq!(machine.handler.applied(), [vec![1, 3], vec![2]]);
}

#[test]
fn small_updates_share_one_batch_by_default() {
    let source = ScriptedSource::offering(Vec::new());
    let machine = TestMachine::with(ScriptedHandler::default(), source, Policy::default());
    machine.install(&updates(&["a", "b", "c"]));
    assert_eq!(machine.handler.applied(), [[0, 1, 2]]);
}

#[test]
fn each_run_of_a_job_has_its_own_number_and_sees_the_whole_plan() {
    let machine = TestMachine::new(ScriptedHandler::applying(|batch, cx| {
        assert_eq!(
            (batch.operation, batch.plan.len()),
            (UpdateOperation::Installation, 3)
        );
        assert!(batch.folder.is_dir());
        let file = batch.folder.join(format!("run-{}", batch.number));
        std::fs::File::create_new(file).expect("no two runs have one number");
        if batch.members == [1] {
            return Ok(BatchEnd::NeedsAlso(vec![2]));
        }
        batch.members.iter().for_each(|update| succeed(cx, *update));
        Ok(BatchEnd::Done)
    }));
    machine.install(&updates(&["a", "b", "c"]));
}
