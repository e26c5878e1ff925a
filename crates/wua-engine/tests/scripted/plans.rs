//! Plans that are authorised by their hash (design.md section 1): the same plan runs, another one does not.

use crate::common::*;
use wua_testkit::{ScriptedHandler, TestMachine, UpdateBuilder};
use wua_types::HResult;

#[test]
fn the_authorised_plan_runs() {
    let machine = TestMachine::default();
    let wanted = updates(&["a", "b"]);
    machine.stock(&wanted);
    let mut installer = machine.installer();
    let planned = installer.plan_install(&wanted).expect("plans");
    let untouched = (machine.job_folders(), machine.state());
    installer.authorized_plan = Some(planned.plan.hash());
    let turned: Vec<_> = wanted.iter().rev().cloned().collect();
    let job = installer
        .start_install(collection(&turned), None)
        .expect("begins");
    assert_eq!(ends(&job.wait()), (FINE, vec![FINE; 2]));
    assert_eq!(untouched, (0, Default::default()), "planning changes nothing");
    let begun = &machine.events(job.id())[0].event;
    let wua_types::JobEvent::Started { plan_hash, .. } = begun else {
        panic!("{begun:?}");
    };
    assert_eq!(*plan_hash, Some(planned.plan.hash().to_string()));
    let record = machine
        .open_state()
        .operation(job.id())
        .expect("reads")
        .expect("recorded");
    assert_eq!(
        (record.0.plan_hash, record.1),
        (planned.plan.hash().to_string(), true)
    );
}

#[test]
fn another_plan_than_the_authorised_one_changes_nothing() {
    let machine = TestMachine::new(ScriptedHandler::default().resolving(|resolution| {
        // Since the plan was shown, the archive has brought a newer version.
        for resolved in resolution.updates.iter_mut().flatten() {
            resolved.changes[0].to = Some("3".into());
        }
        Ok(())
    }));
    let wanted = updates(&["a", "b"]);
    machine.stock(&wanted);
    let shown = TestMachine::default();
    shown.stock(&wanted);
    let mut installer = machine.installer();
    let authorised = shown
        .installer()
        .plan_install(&wanted)
        .expect("plans")
        .plan
        .hash();
    installer.authorized_plan = Some(authorised);
    let job = installer
        .start_install(collection(&wanted), None)
        .expect("begins");
    let result = job.wait();
    let refused = (Failed, HResult::WU_E_INVALID_OPERATION);
    assert_eq!(
        ends(&result),
        ((Failed, HResult::WU_E_ALL_UPDATES_FAILED), vec![refused; 2])
    );
    let message = &result.updates[0].message;
    let now = machine
        .installer()
        .plan_install(&wanted)
        .expect("plans")
        .plan
        .hash();
    assert!(
        message.contains(&authorised.to_string()) && message.contains(&now.to_string()),
        "{message}"
    );
    assert!(machine.handler.applied().is_empty());
    assert_eq!((machine.job_folders(), machine.state().history.len()), (0, 0));
    machine.assert_idle();
}

#[test]
fn the_callers_switches_and_refusals_are_part_of_what_is_authorised() {
    let machine = TestMachine::default();
    let wanted = updates(&["a", "b"]);
    machine.stock(&wanted);
    let plain = machine.installer().plan_install(&wanted).expect("plans");
    let mut installer = machine.installer();
    installer.is_forced = true;
    let forced = installer.plan_install(&wanted).expect("plans");
    assert_ne!(plain.plan.hash(), forced.plan.hash());
    let mut fewer = wanted.clone();
    fewer[1] = UpdateBuilder::new("b").with_declined_terms().build();
    let fewer = machine.installer().plan_install(&fewer).expect("plans");
    assert_ne!(plain.plan.hash(), fewer.plan.hash());
    let [(1, declined)] = &fewer.known[..] else {
        panic!("{:?}", fewer.known);
    };
    assert_eq!(declined.hresult, HResult::WU_E_EULAS_DECLINED);
}
