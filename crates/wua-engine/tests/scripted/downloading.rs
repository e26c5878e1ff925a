//! Downloads: bytes that never fall, phases that never turn back, partial results, stopping (wua.md 2.13 to 2.16).

use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};

use crate::common::*;
use wua_engine::Failure;
use wua_engine::handler::DownloadContext;
use wua_job::{Download, DownloadJob};
use wua_testkit::{Observer, ScriptedHandler, TestMachine, UpdateBuilder, gate};
use wua_types::{
    DownloadPhase, DownloadProgress, DownloadResult, HResult, Phase, Update, UpdateDownloadResult, WaitingFor,
};

fn good() -> UpdateDownloadResult {
    UpdateDownloadResult::new(Succeeded, HResult::S_OK, "")
}

fn bad() -> UpdateDownloadResult {
    UpdateDownloadResult::new(Failed, HResult::WU_E_DM_INCORRECTFILEHASH, "not these bytes")
}

const WRONG: End = (Failed, HResult::WU_E_DM_INCORRECTFILEHASH);

fn ends(result: &DownloadResult) -> (End, Vec<End>) {
    let each = result
        .updates
        .iter()
        .map(|update| (update.result_code, update.hresult));
    ((result.result_code, result.hresult), each.collect())
}

fn sized(sizes: &[u64]) -> Vec<Update> {
    let named = |(place, size): (usize, &u64)| {
        let mut update = UpdateBuilder::new(&format!("u{place}"))
            .download_size(*size)
            .build();
        // There is room for them all.
        update.min_download_size = 1;
        update
    };
    sizes.iter().enumerate().map(named).collect()
}

type Script = dyn Fn(&mut dyn DownloadContext, &mut dyn FnMut()) -> Result<(), Failure> + Send + Sync;

/// Runs a download; `script` calls its second argument to have the job's progress of that moment noted.
fn run(updates: &[Update], script: Box<Script>) -> (DownloadJob, Vec<DownloadProgress>) {
    let (hand_over, job) = channel::<DownloadJob>();
    let job: Mutex<Receiver<DownloadJob>> = Mutex::new(job);
    let notes = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&notes);
    let machine = TestMachine::new(ScriptedHandler::downloading(move |_, cx| {
        let job = job
            .lock()
            .expect("nobody panics here")
            .recv()
            .expect("the job begins");
        script(cx, &mut || {
            noted
                .lock()
                .expect("nobody panics here")
                .push(DownloadProgress::clone(&job.progress()));
        })
    }));
    let job = machine
        .session()
        .create_update_downloader()
        .start(collection(updates), None)
        .expect("begins");
    hand_over.send(job.clone()).expect("the handler waits");
    job.wait();
    let notes = notes.lock().expect("nobody panics here").clone();
    (job, notes)
}

#[test]
fn bytes_never_fall_and_add_up() {
    let (job, notes) = run(
        &sized(&[100, 300]),
        Box::new(|cx, note| {
            for (update, here, total) in [
                (0, 50, 100),
                (1, 30, 300),
                (0, 20, 100),
                (1, 120, 300),
                (1, 0, 250),
            ] {
                cx.bytes(update, here, total, Phase::Downloading);
                note();
            }
            cx.finished(1, good());
            note();
            cx.finished(0, good());
            note();
            Ok(())
        }),
    );
    let numbers: Vec<_> = notes
        .iter()
        .map(|now| {
            (
                now.current_update_index,
                now.current_update_bytes_downloaded,
                now.total_bytes_downloaded,
                now.total_bytes_to_download,
                now.percent_complete.get(),
            )
        })
        .collect();
    assert_eq!(
        numbers,
        [
            (0, 50, 50, 400, 12),
            (1, 30, 80, 400, 20),
            (0, 50, 80, 400, 20),
            (1, 120, 170, 400, 42),
            (1, 120, 170, 350, 48),
            (1, 250, 300, 350, 85),
            (0, 100, 350, 350, 100),
        ]
    );
    assert!(
        notes
            .iter()
            .all(|now| now.truth.can_abort && now.truth.safe_to_power_off)
    );
    assert_eq!(ends(&job.wait()), (FINE, vec![FINE; 2]));
}

#[test]
fn the_phase_of_an_update_goes_forward_only() {
    let (_, notes) = run(
        &sized(&[100, 100]),
        Box::new(|cx, note| {
            for (update, phase) in [
                (0, Phase::Preparing),
                (0, Phase::Downloading),
                (0, Phase::Verifying),
                (0, Phase::Downloading),
                (1, Phase::Downloading),
                (0, Phase::Saving),
            ] {
                cx.bytes(update, 10, 100, phase);
                note();
            }
            cx.finished(0, good());
            cx.finished(1, good());
            Ok(())
        }),
    );
    use DownloadPhase::{Downloading, Initializing, Verifying};
    let phases: Vec<_> = notes
        .iter()
        .map(|now| now.current_update_download_phase)
        .collect();
    assert_eq!(
        phases,
        [
            Initializing,
            Downloading,
            Verifying,
            Verifying,
            Downloading,
            Verifying
        ]
    );
    assert_eq!(
        notes[3].truth.phase,
        Phase::Downloading,
        "what is really being done"
    );
}

#[test]
fn a_wait_is_shown_and_ends_where_it_began() {
    let (_, notes) = run(
        &sized(&[100]),
        Box::new(|cx, note| {
            cx.bytes(0, 10, 100, Phase::Downloading);
            cx.waiting(Some(WaitingFor {
                what: "the archive cache".into(),
                since: std::time::SystemTime::UNIX_EPOCH.try_into().expect("a time"),
                holder: None,
                detail: None,
            }));
            note();
            cx.waiting(None);
            note();
            cx.finished(0, good());
            Ok(())
        }),
    );
    assert_eq!(notes[0].truth.phase, Phase::Waiting);
    assert_eq!(
        notes[0].truth.waiting_for.as_ref().expect("told").what,
        "the archive cache"
    );
    assert_eq!(
        (notes[1].truth.phase, &notes[1].truth.waiting_for),
        (Phase::Downloading, &None)
    );
    assert_eq!(notes[1].total_bytes_downloaded, 10);
}

#[test]
fn what_did_not_come_is_not_counted_as_here() {
    let (job, notes) = run(
        &sized(&[100, 100]),
        Box::new(|cx, note| {
            cx.bytes(0, 40, 100, Phase::Downloading);
            cx.finished(0, bad());
            note();
            cx.bytes(1, 100, 100, Phase::Verifying);
            cx.finished(1, good());
            note();
            Ok(())
        }),
    );
    assert_eq!(notes[0].current_update_percent_complete.get(), 100);
    assert_eq!(
        (notes[0].total_bytes_downloaded, notes[0].total_bytes_to_download),
        (40, 140)
    );
    assert_eq!(
        (notes[1].total_bytes_downloaded, notes[1].percent_complete.get()),
        (140, 100)
    );
    assert_eq!(
        ends(&job.wait()),
        (
            (SucceededWithErrors, HResult::WU_S_UPDATE_ERROR),
            vec![WRONG, FINE]
        )
    );
}

#[test]
fn r32_all_failed_or_nothing_could_be_downloaded_at_all() {
    let (job, _) = run(
        &sized(&[1, 1]),
        Box::new(|cx, _| {
            cx.finished(0, bad());
            cx.finished(1, bad());
            Ok(())
        }),
    );
    let all = (Failed, HResult::WU_E_ALL_UPDATES_FAILED);
    assert_eq!(ends(&job.wait()), (all, vec![WRONG; 2]));
    let (job, _) = run(
        &sized(&[1, 1]),
        Box::new(|cx, _| {
            cx.finished(0, bad());
            Err(Failure::new(HResult::ERROR_DISK_FULL, "the disk is full"))
        }),
    );
    let full = (Failed, HResult::ERROR_DISK_FULL);
    assert_eq!(ends(&job.wait()), (all, vec![WRONG, full]));
}

#[test]
fn handlers_that_say_nothing_or_nonsense_leave_a_result_for_every_update() {
    let (job, _) = run(
        &sized(&[1, u64::MAX, u64::MAX]),
        Box::new(|cx, _| {
            cx.finished(0, bad());
            cx.finished(0, good());
            cx.finished(7, good());
            cx.bytes(7, 1, 1, Phase::Downloading);
            cx.bytes(2, u64::MAX, 0, Phase::Downloading);
            cx.finished(
                1,
                UpdateDownloadResult::new(wua_types::OperationResultCode::InProgress, HResult::S_OK, ""),
            );
            Ok(())
        }),
    );
    assert_eq!(ends(&job.wait()).1, [WRONG, UNTRIED, UNTRIED]);
    assert_eq!(job.progress().percent_complete.get(), 100);
}

#[test]
fn r17_a_handler_that_panics_fails_the_download() {
    let (job, _) = run(
        &sized(&[1, 1]),
        Box::new(|cx, _| {
            cx.finished(0, good());
            crate::hostile_handlers::panic_quietly()
        }),
    );
    let (whole, each) = ends(&job.wait());
    assert_eq!((whole, each[0]), (LOST, FINE));
    assert_eq!(each[1].0, Failed);
}

#[test]
fn r36_terms_and_installed_updates_are_decided_without_the_handler() {
    let machine = TestMachine::new(ScriptedHandler::downloading(|updates, cx| {
        for (place, update) in updates.iter().enumerate() {
            assert!(update.title == "c 2" || update.title == "b 2", "{}", update.title);
            cx.finished(place, good());
        }
        Ok(())
    }));
    let wanted = [
        UpdateBuilder::new("a").with_declined_terms().build(),
        UpdateBuilder::new("b").installed().build(),
        UpdateBuilder::new("c").build(),
    ];
    let mut downloader = machine.session().create_update_downloader();
    let result = downloader.download(collection(&wanted)).expect("begins");
    let declined = (Failed, HResult::WU_E_EULAS_DECLINED);
    let there = (Succeeded, HResult::WU_S_ALREADY_INSTALLED);
    assert_eq!(ends(&result).1, [declined, there, FINE]);
    downloader.is_forced = true;
    let result = downloader.download(collection(&wanted)).expect("begins");
    assert_eq!(ends(&result).1, [declined, FINE, FINE]);
    assert_eq!(machine.state().history, [], "downloads are not recorded");
    assert_eq!(machine.job_folders(), 0);
}

#[test]
fn r26_an_abort_keeps_what_is_here_and_stops_where_it_is() {
    let (gate, key) = gate();
    let machine = TestMachine::new(ScriptedHandler::downloading(move |_, cx| {
        cx.finished(0, good());
        cx.bytes(1, 10, 100, Phase::Downloading);
        gate.stop();
        assert!(cx.abort_requested());
        Err(Failure::new(HResult::WU_E_CALL_CANCELLED, "stopped"))
    }));
    let (told, percents) = channel();
    let observer = Observer::<Download>::on_progress(move |_, now| {
        told.send(now.percent_complete.get()).expect("the test listens");
    });
    let job = machine
        .session()
        .create_update_downloader()
        .start(collection(&sized(&[100, 100, 100])), observer.boxed())
        .expect("begins");
    key.wait();
    job.request_abort().expect("downloads can be stopped");
    drop(key);
    assert_eq!(
        ends(&job.end().expect("ended once")),
        (CANCELLED, vec![FINE, CANCELLED, CANCELLED])
    );
    let percents: Vec<_> = percents.iter().collect();
    assert!(
        percents.is_sorted() && percents.last().is_some_and(|last| *last < 100),
        "{percents:?}"
    );
    assert_eq!(job.progress().total_bytes_downloaded, 110);
}

#[test]
fn a_warning_ends_nothing() {
    let (job, _) = run(
        &sized(&[1]),
        Box::new(|cx, _| {
            cx.warning(HResult::WU_E_DM_FALLINGBACKTOBITS, "slowly".into());
            cx.finished(0, good());
            Ok(())
        }),
    );
    assert_eq!(ends(&job.wait()), (FINE, vec![FINE]));
    assert_eq!(job.progress().warnings().len(), 1);
}
