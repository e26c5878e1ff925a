//! A machine that is in disorder before a job begins (apt.md 10.2).

use crate::common::*;
use wua_engine::handler::{Finding, FindingKind};
use wua_engine::{Folders, jobs};
use wua_testkit::{TestMachine, gate};
use wua_types::{HResult, Operation, Phase};

fn broken(heals_itself: bool) -> Finding {
    Finding {
        kind: FindingKind::HalfInstalled,
        subject: "torn:all".into(),
        sentence: "`torn` was interrupted while it was unpacked".into(),
        cure: "unpack it again".into(),
        heals_itself,
    }
}

fn operations(folders: &Folders) -> Vec<Operation> {
    let mut operations: Vec<_> = jobs::list(folders)
        .expect("lists")
        .iter()
        .map(|job| job.operation)
        .collect();
    operations.sort_by_key(|operation| operation.word());
    operations
}

#[test]
fn what_keeps_a_plan_from_being_made_is_repaired_as_the_jobs_first_phase() {
    let machine = TestMachine::default();
    let wanted = updates(&["a"]);
    machine.stock(&wanted);
    machine.handler.ail(broken(true));
    let (gate, key) = gate();
    machine.handler.stop_repair_at(gate);
    let job = machine
        .installer()
        .start_install(collection(&wanted), None)
        .expect("begins");
    key.wait();
    wait_until(&job, |now| now.truth.phase == Phase::Repairing);
    key.let_pass();
    assert_eq!(ends(&job.wait()), (FINE, vec![FINE]));
    machine.assert_idle();
    assert_eq!(
        operations(machine.folders()),
        [Operation::Install, Operation::Repair]
    );
}

#[test]
fn what_cannot_be_repaired_without_a_human_fails_the_job_with_the_reason() {
    let machine = TestMachine::default();
    let wanted = updates(&["a"]);
    machine.stock(&wanted);
    machine.handler.ail(broken(false));
    let result = machine.installer().install(collection(&wanted)).expect("begins");
    let doomed = (Failed, HResult::WU_E_INVALID_RELATIONSHIP);
    assert_eq!(ends(&result).1, [doomed]);
    assert!(
        result.updates[0]
            .message
            .contains("interrupted while it was unpacked")
    );
    machine.assert_idle();
    assert_eq!(operations(machine.folders()), []);
}
