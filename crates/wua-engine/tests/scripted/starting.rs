//! Beginning a job: the checks and their order, what they leave behind, and who may work at the same time (rules R11 to R15).

use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Barrier};
use std::thread;

use crate::common::*;
use wua_engine::policy::InstallPolicy;
use wua_engine::{Failure, Policy, StartError};
use wua_job::{Installation, JobKind, JobObserver};
use wua_testkit::{Observer, ScriptedHandler, ScriptedSource, TestMachine, UpdateBuilder, gate, succeed};
use wua_types::{HResult, Update};

/// An observer that tells of its calls, and by hanging up that it was dropped.
fn witness<K: JobKind>() -> (Option<Box<dyn JobObserver<K>>>, Receiver<()>) {
    let (calls, seen) = channel();
    let of_end = calls.clone();
    let observer = Observer::on_progress(move |_, _| {
        let _ = calls.send(());
    })
    .and_completed(move |_| {
        let _ = of_end.send(());
    });
    (observer.boxed(), seen)
}

#[derive(Clone, Copy, PartialEq)]
enum Verb {
    Install,
    Uninstall,
    Download,
}

fn start(machine: &TestMachine, verb: Verb, updates: &[Update]) -> Result<(), StartError> {
    let session = machine.session();
    let (started, seen) = match verb {
        Verb::Install | Verb::Uninstall => {
            let (observer, seen) = witness::<Installation>();
            let installer = session.create_update_installer();
            let started = match verb {
                Verb::Install => installer.start_install(collection(updates), observer),
                _ => installer.start_uninstall(collection(updates), observer),
            };
            (started.map(drop), seen)
        }
        Verb::Download => {
            let (observer, seen) = witness();
            let started = session
                .create_update_downloader()
                .start(collection(updates), observer);
            (started.map(drop), seen)
        }
    };
    if started.is_err() {
        assert!(seen.recv().is_err(), "the observer is dropped without a call");
    }
    started
}

/// A machine that would refuse for every reason there is, so that the first one shows.
fn refusing_machine() -> TestMachine {
    let policy = Policy {
        install: InstallPolicy {
            restart_first: true,
            ..InstallPolicy::default()
        },
        ..Policy::default()
    };
    let machine = TestMachine::with(
        ScriptedHandler::default(),
        ScriptedSource::offering(Vec::new()),
        policy,
    );
    machine.handler.ask_for_restart(&["linux-image"]);
    machine
}

fn check_refused(verb: Verb, permitted: bool, updates: &[Update], expected: HResult) {
    let machine = refusing_machine();
    if !permitted {
        machine.handler.forbid();
    }
    let error = start(&machine, verb, updates).expect_err("refused");
    assert_eq!(error.code(), expected, "{error}");
    machine.assert_untouched();
}

#[test]
fn r11_install_checks_come_in_their_order_and_leave_nothing() {
    let declined = UpdateBuilder::new("a").with_declined_terms().build();
    let exclusive = UpdateBuilder::new("b").exclusive().with_declined_terms().build();
    let accepted = UpdateBuilder::new("c").build();
    let install = |permitted, updates: &[Update], expected| {
        check_refused(Verb::Install, permitted, updates, expected);
    };
    install(false, &[], HResult::E_ACCESSDENIED);
    install(true, &[], HResult::WU_E_NO_UPDATE);
    let mixed = [declined.clone(), exclusive.clone()];
    install(false, &mixed, HResult::E_ACCESSDENIED);
    install(true, &mixed, HResult::WU_E_EXCLUSIVE_INSTALL_CONFLICT);
    install(true, &[exclusive], HResult::WU_E_EULAS_DECLINED);
    install(true, &[declined], HResult::WU_E_EULAS_DECLINED);
    install(true, &[accepted], HResult::WU_E_INSTALL_NOT_ALLOWED);
}

#[test]
fn r11_uninstall_checks_come_in_their_order_and_leave_nothing() {
    let declined = UpdateBuilder::new("a").with_declined_terms().installed().build();
    let exclusive = UpdateBuilder::new("b").exclusive().installed().build();
    let uninstall = |permitted, updates: &[Update], expected| {
        check_refused(Verb::Uninstall, permitted, updates, expected);
    };
    uninstall(false, &[], HResult::E_ACCESSDENIED);
    uninstall(true, &[], HResult::WU_E_NO_UPDATE);
    let mixed = [declined.clone(), exclusive.clone()];
    uninstall(true, &mixed, HResult::WU_E_EXCLUSIVE_INSTALL_CONFLICT);
    uninstall(true, &[exclusive], HResult::WU_E_UNINSTALL_NOT_ALLOWED);
    uninstall(true, &[declined], HResult::WU_E_UNINSTALL_NOT_ALLOWED);
}

#[test]
fn r11_download_checks_come_in_their_order_and_leave_nothing() {
    let declined = UpdateBuilder::new("a").with_declined_terms().build();
    let download = |permitted, updates: &[Update], expected| {
        check_refused(Verb::Download, permitted, updates, expected);
    };
    download(false, &[], HResult::E_ACCESSDENIED);
    download(true, &[], HResult::WU_E_NO_UPDATE);
    download(true, &[declined], HResult::WU_E_EULAS_DECLINED);
}

#[test]
fn r11_an_exclusive_update_may_come_alone_and_may_be_downloaded_with_others() {
    let exclusive = UpdateBuilder::new("b").exclusive().build();
    let machine = TestMachine::default();
    machine.install(std::slice::from_ref(&exclusive));
    let both = [exclusive, UpdateBuilder::new("c").build()];
    let result = machine
        .session()
        .create_update_downloader()
        .download(collection(&both))
        .expect("begins");
    assert_eq!(result.hresult, HResult::S_OK);
}

#[test]
fn r37_a_pending_restart_blocks_only_where_the_policy_says_so() {
    let machine = TestMachine::default();
    machine.handler.ask_for_restart(&["linux-image"]);
    assert!(!machine.installer().reboot_required_before_installation());
    machine.install(&updates(&["a"]));
    let machine = refusing_machine();
    assert!(machine.installer().reboot_required_before_installation());
    let error = start(&machine, Verb::Install, &updates(&["a"])).expect_err("refused");
    assert!(error.to_string().contains("restarted first"), "{error}");
}

#[test]
fn r12_what_comes_after_the_checks_is_told_by_the_result() {
    let machine = TestMachine::new(ScriptedHandler::default().resolving(|_| {
        Err(Failure::new(
            HResult::WU_E_UH_INSTALLERFAILURE,
            "apt cannot be asked",
        ))
    }));
    let observed = witness();
    let job = machine
        .installer()
        .start_install(collection(&updates(&["a", "b"])), observed.0)
        .expect("the checks pass");
    let result = job.end().expect("ended once");
    assert_eq!(
        ends(&result),
        ((Failed, HResult::WU_E_ALL_UPDATES_FAILED), vec![BROKEN, BROKEN])
    );
    assert!(result.updates[0].message.contains("apt cannot be asked"));
    assert!(observed.1.iter().count() >= 3, "two results and the end are told");
    machine.assert_idle();
    assert_eq!(machine.job_folders(), 0, "nothing was begun");
    assert_eq!(machine.state().history, []);
}

/// A machine whose handler stops in its batch until let go.
fn gated() -> (TestMachine, wua_testkit::Key) {
    let (gate, key) = gate();
    let machine = TestMachine::new(ScriptedHandler::applying(move |batch, cx| {
        gate.stop();
        batch.members.iter().for_each(|update| succeed(cx, *update));
        Ok(wua_engine::handler::BatchEnd::Done)
    }));
    (machine, key)
}

#[test]
fn r13_busy_is_told_apart_by_who_is_at_work() {
    let (machine, key) = gated();
    let wanted = updates(&["a"]);
    machine.stock(&wanted);
    let installer = machine.installer();
    let job = installer.start_install(collection(&wanted), None).expect("free");
    key.wait();
    let before = machine.state();
    assert!(installer.is_busy() && machine.installer().is_busy());
    for verb in [Verb::Install, Verb::Uninstall] {
        let absent = UpdateBuilder::new("z").build();
        let error = start(&machine, verb, &[absent]).expect_err("busy");
        assert_eq!(error.code(), HResult::WU_E_INSTALL_NOT_ALLOWED);
        assert!(error.to_string().contains(&job.id().to_string()), "{error}");
    }
    let error = installer
        .start_install(collection(&wanted), None)
        .expect_err("busy");
    assert_eq!(error.code(), HResult::WU_E_OPERATIONINPROGRESS);
    assert_eq!(machine.state(), before);
    assert_eq!(machine.job_folders(), 1);
    assert!(
        start(&machine, Verb::Download, &wanted).is_ok(),
        "downloads are never busy"
    );
    drop(key);
    assert_eq!(job.wait().hresult, HResult::S_OK);
    let again = UpdateBuilder::new("a").installed().build();
    assert!(installer.start_install(collection(&[again]), None).is_ok());
}

#[test]
fn r13_of_twenty_that_start_at_once_one_wins() {
    let (machine, key) = gated();
    let wanted = updates(&["a"]);
    machine.stock(&wanted);
    let (barrier, installers) = (Barrier::new(20), (0..20).map(|_| machine.installer()));
    let starts: Vec<_> = thread::scope(|scope| {
        let threads: Vec<_> = installers
            .map(|installer| {
                let (barrier, wanted) = (&barrier, &wanted);
                scope.spawn(move || {
                    barrier.wait();
                    installer.start_install(collection(wanted), None)
                })
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().expect("no panic"))
            .collect()
    });
    let (won, lost): (Vec<_>, Vec<_>) = starts.into_iter().partition(Result::is_ok);
    assert_eq!((won.len(), lost.len()), (1, 19));
    for error in lost {
        assert_eq!(error.expect_err("lost").code(), HResult::WU_E_INSTALL_NOT_ALLOWED);
    }
    key.wait_and_open();
    for job in won {
        assert_eq!(job.expect("won").wait().hresult, HResult::S_OK);
    }
    assert_eq!(machine.handler.applied(), [[0]]);
    machine.assert_idle();
}

#[test]
fn r13_one_installer_started_from_many_threads_works_once() {
    let (machine, key) = gated();
    let wanted = updates(&["a"]);
    machine.stock(&wanted);
    let installer = Arc::new(machine.installer());
    let barrier = Barrier::new(8);
    let codes: Vec<_> = thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|_| {
                scope.spawn(|| {
                    barrier.wait();
                    installer
                        .start_install(collection(&wanted), None)
                        .err()
                        .map(|error| error.code())
                })
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().expect("no panic"))
            .collect()
    });
    let refused = codes
        .iter()
        .filter(|code| **code == Some(HResult::WU_E_OPERATIONINPROGRESS));
    assert_eq!(
        (
            refused.count(),
            codes.iter().filter(|code| code.is_none()).count()
        ),
        (7, 1)
    );
    drop(key);
}
