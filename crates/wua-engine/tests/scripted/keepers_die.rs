//! Keepers that die: whatever moment it is, the next one goes on under the same id, says nothing twice, and leaves one history
//! entry for each update.
//!
//! A sudden end is simulated by what it leaves: the state folder as it is on the disk at that moment, on another machine.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use uuid::Uuid;

use crate::common::*;
use wua_engine::handler::BatchEnd;
use wua_engine::jobs::{self, JobState};
use wua_engine::lock::MachineLock;
use wua_engine::resume::{self, Revival};
use wua_engine::{Folders, StartError, SystemInformation, follow};
use wua_testkit::{ScriptedHandler, Story, TestMachine, gate, succeed, succeeded};
use wua_types::{HResult, Phase, UpdateHistoryEntry};

/// What a keeper left on the disk.
struct Remains {
    folder: tempfile::TempDir,
    job: Uuid,
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("folder");
    for entry in fs::read_dir(from).expect("folder").flatten() {
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if from.is_dir() {
            copy(&from, &to);
        } else {
            fs::copy(from, to).expect("copied");
        }
    }
}

impl Remains {
    fn of(state: &Path, job: Uuid) -> Self {
        let folder = tempfile::tempdir().expect("temporary folder");
        copy(state, folder.path());
        Self { folder, job }
    }

    /// A machine on which they lie, and a handler that goes on.
    fn on(&self, handler: ScriptedHandler) -> TestMachine {
        let machine = TestMachine::new(handler);
        copy(self.folder.path(), &machine.folders().state());
        let keeper = machine.folders().job(self.job).keeper();
        fs::write(keeper, r#"{"pid":1,"start_time":1}"#).expect("a dead keeper");
        // What the living test process signed.
        for entry in fs::read_dir(machine.folders().state()).expect("folder").flatten() {
            if entry.file_name().to_string_lossy().starts_with("lock") {
                fs::remove_file(entry.path()).expect("removed");
            }
        }
        machine
    }
}

/// Installs three updates, one a batch, the second slowly and in steps, and gives what was on the disk at each moment.
fn moments() -> (Vec<Remains>, Uuid) {
    let seen: Arc<Mutex<Vec<tempfile::TempDir>>> = Arc::default();
    let state: Arc<Mutex<PathBuf>> = Arc::default();
    let (remains, place) = (Arc::clone(&seen), Arc::clone(&state));
    let machine = TestMachine::new(ScriptedHandler::applying(move |batch, cx| {
        let snap = || {
            let folder = tempfile::tempdir().expect("temporary folder");
            copy(&place.lock().expect("set"), folder.path());
            remains.lock().expect("kept").push(folder);
        };
        snap();
        cx.changing();
        for &update in batch.members {
            cx.step(update, 1, 3, Phase::Unpacking);
            snap();
            cx.step(update, 2, 3, Phase::Configuring);
            snap();
            cx.finished(update, succeeded());
            snap();
        }
        Ok(BatchEnd::Done)
    }));
    *state.lock().expect("free") = machine.folders().state();
    let wanted = updates(&["a", "b", "c"]);
    let job = begin(&machine, &wanted);
    job.wait();
    let id = job.id();
    let all = std::mem::take(&mut *seen.lock().expect("kept"));
    (
        all.into_iter()
            .map(|folder| Remains { folder, job: id })
            .collect(),
        id,
    )
}

/// What was on the disk when the second of three updates was at its second step.
fn in_the_middle() -> Remains {
    let (mut moments, _) = moments();
    moments.remove(6)
}

/// Resumes the only lost job of a machine, and waits for its end.
fn resume(machine: &TestMachine, job: Uuid) -> (Story, Vec<UpdateHistoryEntry>) {
    assert_eq!(resume::resume_lost(machine.machine()).expect("resumes"), [job]);
    ended(machine, job)
}

fn ended(machine: &TestMachine, job: Uuid) -> (Story, Vec<UpdateHistoryEntry>) {
    let seen = follow::attach_and_revive(machine.machine(), job, None).expect("attached");
    let outcome = seen.wait();
    let story = machine.story(job);
    assert_eq!(story.results, outcome.updates);
    machine.assert_idle();
    (story, machine.state().history)
}

fn all_fine(story: &Story, history: &[UpdateHistoryEntry], at: &str) {
    assert_eq!((story.completed.0, story.completed.1), FINE, "{at}");
    let mut titles: Vec<_> = history.iter().map(|entry| &*entry.title).collect();
    titles.sort_unstable();
    assert_eq!(titles, ["a 2", "b 2", "c 2"], "{at}");
}

#[test]
fn whenever_a_keeper_dies_the_next_one_ends_its_job() {
    let (moments, job) = moments();
    assert_eq!(moments.len(), 12);
    for (number, remains) in moments.iter().enumerate() {
        let machine = remains.on(ScriptedHandler::default());
        let (story, history) = resume(&machine, job);
        all_fine(&story, &history, &format!("moment {number}"));
        let done = number / 4 + usize::from(number % 4 == 3);
        let again: Vec<_> = machine.handler.applied();
        assert_eq!(again.len(), 3 - done, "moment {number}: {again:?}");
        assert_eq!(jobs::list(machine.folders()).expect("lists").len(), 1);
        assert_eq!(machine.state().installed.len(), 3);
    }
}

#[test]
fn what_was_written_down_and_not_said_is_said_once() {
    let (moments, job) = moments();
    // The second update has just become final: its result is in the journal, in history, and said.
    let remains = &moments[7];
    let events =
        fs::read_to_string(remains.folder.path().join(format!("jobs/{job}/events.jsonl"))).expect("reads");
    let lines: Vec<_> = events.split_inclusive('\n').collect();
    assert!(lines.last().expect("a line").contains("update_finished"));
    for (cut, is_recorded) in [(1, true), (2, true), (2, false)] {
        for torn in ["", "{\"event\":\"upd"] {
            let machine = remains.on(ScriptedHandler::default());
            let text = lines[..lines.len() - cut].concat();
            if !torn.is_empty() {
                // The laws are held against whole lines only; the torn one must spoil no other.
                fs::write(machine.folders().job(job).events(), text.clone() + torn).expect("cut");
                assert_eq!(resume::resume_lost(machine.machine()).expect("resumes"), [job]);
                let seen = follow::attach_and_revive(machine.machine(), job, None).expect("attached");
                assert_eq!(ends(&seen.wait()), (FINE, vec![FINE; 3]));
                continue;
            }
            fs::write(machine.folders().job(job).events(), text).expect("cut");
            if !is_recorded {
                let database = rusqlite::Connection::open(machine.folders().database()).expect("opens");
                database
                    .execute("DELETE FROM history WHERE entry LIKE '%\"b 2\"%'", [])
                    .expect("deleted");
            }
            let (story, history) = resume(&machine, job);
            all_fine(&story, &history, &format!("{cut} lines less"));
            assert_eq!(machine.handler.applied(), [[2]], "the second is not done again");
        }
    }
}

#[test]
fn keepers_may_die_again_and_again_as_long_as_they_get_on() {
    let (mut moments, job) = moments();
    let mut remains = moments.remove(1);
    // Each dies with the first update that it finishes.
    for round in 0..3 {
        let (gate, key) = gate();
        let machine = remains.on(ScriptedHandler::applying(move |batch, cx| {
            cx.changing();
            batch.members.iter().for_each(|update| succeed(cx, *update));
            gate.stop();
            Ok(BatchEnd::Done)
        }));
        assert_eq!(
            resume::resume_lost(machine.machine()).expect("resumes"),
            [job],
            "{round}"
        );
        key.wait();
        remains = Remains::of(&machine.folders().state(), job);
        drop(key);
        let seen = follow::attach_and_revive(machine.machine(), job, None).expect("attached");
        seen.wait();
    }
    let machine = remains.on(ScriptedHandler::default());
    let (story, history) = resume(&machine, job);
    all_fine(&story, &history, "the fourth keeper");
}

#[test]
fn a_job_that_kills_every_keeper_is_closed_by_what_the_machine_shows() {
    let remains = in_the_middle();
    let journal = format!("jobs/{}/journal.jsonl", remains.job);
    let path = remains.folder.path().join(journal);
    let kept = "{\"record\":\"kept\",\"keeper\":{\"pid\":1,\"start_time\":1},\"boot\":null}\n";
    let text = fs::read_to_string(&path).expect("reads") + &kept.repeat(3);
    fs::write(&path, text).expect("written");
    let handler = ScriptedHandler::default();
    handler.lose(updates(&["b"])[0].id());
    let machine = remains.on(handler);
    let (story, history) = resume(&machine, remains.job);
    let codes: Vec<_> = story
        .results
        .iter()
        .map(|result| (result.result_code, result.hresult))
        .collect();
    assert_eq!(codes, [FINE, LOST, UNTRIED]);
    assert!(
        story.results[1].message.contains("found after restart"),
        "{story:?}"
    );
    assert_eq!(history.len(), 3);
    assert_eq!(machine.handler.applied().len(), 0);
}

#[test]
fn after_a_restart_of_the_machine_its_states_decide() {
    for is_there in [true, false] {
        let remains = in_the_middle();
        let path = remains
            .folder
            .path()
            .join(format!("jobs/{}/journal.jsonl", remains.job));
        let kept =
            "{\"record\":\"kept\",\"keeper\":{\"pid\":1,\"start_time\":1},\"boot\":\"an earlier one\"}\n";
        let text = fs::read_to_string(&path).expect("reads") + kept;
        fs::write(&path, text).expect("written");
        let handler = ScriptedHandler::default();
        if !is_there {
            handler.lose(updates(&["b"])[0].id());
        }
        let machine = remains.on(handler);
        assert_eq!(
            resume::resume_lost(machine.machine()).expect("resumes"),
            [remains.job]
        );
        let seen = follow::attach_and_revive(machine.machine(), remains.job, None).expect("attached");
        let (whole, each) = ends(&seen.wait());
        let stopped = (Aborted, HResult::WU_E_SERVICE_STOP);
        // A handler that has lost an update shows neither version of it.
        let second = if is_there { FINE } else { LOST };
        assert_eq!((whole, each), (stopped, vec![FINE, second, stopped]));
        assert!(seen.wait().updates[1].message.contains("found after restart"));
        machine.assert_idle();
        assert_eq!(machine.state().history.len(), 2, "the third was never begun");
        assert_eq!(machine.handler.applied().len(), 0);
    }
}

#[test]
fn r26_what_a_dead_keeper_began_is_finished_before_an_abort_counts() {
    let remains = in_the_middle();
    let machine = remains.on(ScriptedHandler::default());
    let asked = jobs::request_abort(machine.folders(), remains.job).expect("asked");
    assert_eq!(asked.state, JobState::Lost);
    let (story, history) = resume(&machine, remains.job);
    let codes: Vec<_> = story
        .results
        .iter()
        .map(|result| (result.result_code, result.hresult))
        .collect();
    assert_eq!(codes, [FINE, FINE, CANCELLED]);
    assert_eq!((story.completed.0, story.completed.1), CANCELLED);
    assert_eq!(history.len(), 2);
    assert_eq!(machine.handler.applied(), [[1]]);
}

#[test]
fn of_many_that_would_resume_a_job_one_does() {
    let remains = in_the_middle();
    let (gate, key) = gate();
    let machine = remains.on(ScriptedHandler::applying(move |batch, cx| {
        gate.stop();
        cx.changing();
        batch.members.iter().for_each(|update| succeed(cx, *update));
        Ok(BatchEnd::Done)
    }));
    let started: usize = std::thread::scope(|scope| {
        let resumers: Vec<_> = (0..8)
            .map(|_| scope.spawn(|| resume::resume_lost(machine.machine()).expect("no error").len()))
            .collect();
        resumers
            .into_iter()
            .map(|resumer| resumer.join().expect("no panic"))
            .sum()
    });
    assert_eq!(started, 1);
    key.wait();
    let busy = machine
        .installer()
        .start_install(collection(&updates(&["a"])), None);
    let Err(StartError::Busy { job, .. }) = busy else {
        panic!("busy")
    };
    assert_eq!(job, Some(remains.job));
    assert!(matches!(
        resume::revive(machine.machine(), remains.job),
        Ok(Revival::Elsewhere)
    ));
    drop(key);
    let (story, history) = ended(&machine, remains.job);
    all_fine(&story, &history, "one keeper");
    assert!(matches!(
        resume::revive(machine.machine(), remains.job),
        Ok(Revival::Over)
    ));
}

#[test]
fn a_new_job_waits_for_the_interrupted_one() {
    let remains = in_the_middle();
    let machine = remains.on(ScriptedHandler::default());
    let system = SystemInformation::read(machine.machine()).expect("reads");
    assert_eq!(system.lost.len(), 1);
    assert_eq!(
        jobs::list(machine.folders()).expect("lists")[0].state,
        JobState::Lost
    );
    let busy = machine
        .installer()
        .start_install(collection(&updates(&["a"])), None);
    assert!(matches!(busy, Err(StartError::Busy { job: Some(job), .. }) if job == remains.job));
    let (story, history) = ended(&machine, remains.job);
    all_fine(&story, &history, "resumed by the next job");
    machine
        .installer()
        .install(collection(&updates(&["a"])))
        .expect("free again");
}

#[test]
fn who_may_not_change_the_machine_leaves_a_lost_job_alone() {
    let remains = in_the_middle();
    let machine = remains.on(ScriptedHandler::default());
    machine.handler.forbid();
    assert!(
        resume::resume_lost(machine.machine())
            .expect("no error")
            .is_empty()
    );
    assert!(matches!(
        resume::revive(machine.machine(), remains.job),
        Ok(Revival::NotPermitted(_))
    ));
    assert_eq!(resume::lost(machine.folders()).expect("reads").len(), 1);
}

#[test]
fn a_journal_of_a_newer_wua_is_left_to_it() {
    let remains = in_the_middle();
    let machine = remains.on(ScriptedHandler::default());
    let path = machine.folders().job(remains.job).journal();
    let newer = fs::read_to_string(&path)
        .expect("reads")
        .replace("\"version\":1", "\"version\":2");
    fs::write(&path, &newer).expect("written");
    let error = resume::resume_lost(machine.machine()).expect_err("refused");
    assert_eq!(error.code(), HResult::WU_E_DS_SCHEMAMISMATCH);
    assert!(error.sentence().contains("newer wua"), "{error}");
    let busy = machine
        .installer()
        .start_install(collection(&updates(&["a"])), None);
    assert!(matches!(busy, Err(StartError::Unfinished(_))));
    assert_eq!(fs::read_to_string(&path).expect("reads"), newer);
    assert_eq!(machine.state().unfinished.len(), 1, "it stays unfinished");
    assert_eq!(machine.handler.applied().len(), 0);
}

#[test]
fn a_job_whose_folder_was_removed_goes_on_from_what_the_state_remembers() {
    let remains = in_the_middle();
    for whole_folder in [true, false] {
        let machine = remains.on(ScriptedHandler::default());
        let folder = machine.folders().job(remains.job);
        if whole_folder {
            fs::remove_dir_all(folder.path()).expect("removed");
        } else {
            fs::write(folder.order(), "{}").expect("damaged");
        }
        let (story, history) = resume(&machine, remains.job);
        assert_eq!(
            ends_of(&history),
            [("c 2", Succeeded), ("b 2", Succeeded), ("a 2", Succeeded)]
        );
        if !whole_folder {
            all_fine(&story, &history, "the order was damaged");
        }
        machine.assert_idle();
    }
}

#[test]
fn a_job_of_which_nothing_is_left_is_closed_and_history_says_so() {
    let remains = in_the_middle();
    let machine = remains.on(ScriptedHandler::default());
    fs::remove_dir_all(machine.folders().job(remains.job).path()).expect("removed");
    // As the database of an older wua, or one that was filled again.
    let database = rusqlite::Connection::open(machine.folders().database()).expect("opens");
    database
        .execute("UPDATE operation SET plan = NULL", [])
        .expect("changed");
    drop(database);
    let error = resume::resume_lost(machine.machine()).expect_err("cannot go on");
    assert!(error.sentence().contains("wua doctor"), "{error}");
    let history = machine.state().history;
    assert_eq!(
        ends_of(&history),
        [("c 2", Failed), ("b 2", Failed), ("a 2", Succeeded)]
    );
    machine.assert_idle();
    assert!(
        resume::resume_lost(machine.machine())
            .expect("nothing is lost any more")
            .is_empty()
    );
}

#[test]
fn a_journal_that_is_damaged_or_empty_loses_nothing_and_doubles_nothing() {
    for text in [vec![], vec![b'x'; 9000], b"{}\n".repeat(3000)] {
        let remains = in_the_middle();
        let machine = remains.on(ScriptedHandler::default());
        fs::write(machine.folders().job(remains.job).journal(), &text).expect("written");
        let (story, history) = resume(&machine, remains.job);
        all_fine(&story, &history, "the journal was damaged");
        machine.assert_idle();
    }
}

fn ends_of(history: &[UpdateHistoryEntry]) -> Vec<(&str, wua_types::OperationResultCode)> {
    history
        .iter()
        .map(|entry| (&*entry.title, entry.result_code))
        .collect()
}

#[test]
fn a_keeper_whose_last_word_is_missing_leaves_a_finished_job() {
    let machine = TestMachine::default();
    machine.install(&updates(&["a", "b"]));
    let [summary] = &jobs::list(machine.folders()).expect("lists")[..] else {
        panic!("one job");
    };
    let folder = Folders::job(machine.folders(), summary.job);
    let events = fs::read_to_string(folder.events()).expect("reads");
    let (rest, _) = events.trim_end().rsplit_once('\n').expect("lines");
    fs::write(folder.events(), format!("{rest}\n")).expect("cut");
    fs::write(folder.keeper(), r#"{"pid":1,"start_time":1}"#).expect("dead");
    let again = follow::attach_and_revive(machine.machine(), summary.job, None).expect("attached");
    assert_eq!(ends(&again.wait()), (FINE, vec![FINE; 2]));
    let again = &jobs::list(machine.folders()).expect("lists")[0];
    assert!(matches!(
        again.state,
        JobState::Completed {
            result_code: Succeeded,
            ..
        }
    ));
    drop(
        MachineLock::take(&machine.folders().lock(), summary.job)
            .expect("no error")
            .expect("free"),
    );
}
