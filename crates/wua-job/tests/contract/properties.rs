//! Whatever is fed, in whatever order, and whatever an observer does: the invariants of wua.md 3.5 hold.

use std::panic::resume_unwind;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::thread;

use proptest::collection::vec;
use proptest::prelude::*;
use wua_job::{CleanUp, Installation, InstallationJob, JobObserver};
use wua_types::{HResult, OperationResultCode};

use crate::common::*;

/// One thing fed, sensible or not.
#[derive(Clone, Debug)]
enum Fed {
    Progress {
        index: usize,
        code: OperationResultCode,
        own: u8,
        total: u8,
    },
    Finished {
        index: usize,
        code: OperationResultCode,
    },
    Warning,
}

/// What the observer does in one call.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Act {
    Well,
    Fail,
    SayGone,
    Panic,
    /// Does not return before everything was fed.
    Dawdle,
    CleanUp,
    End,
    Abort,
}

fn code() -> impl Strategy<Value = OperationResultCode> {
    (0..6).prop_map(|number: i32| number.try_into().expect("one of six"))
}

fn fed(updates: usize) -> impl Strategy<Value = Fed> {
    let index = 0..=updates;
    prop_oneof![
        8 => (index.clone(), code(), 0..=100_u8, 0..=100_u8)
            .prop_map(|(index, code, own, total)| Fed::Progress { index, code, own, total }),
        6 => (index, code()).prop_map(|(index, code)| Fed::Finished { index, code }),
        1 => Just(Fed::Warning),
    ]
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        12 => Just(Act::Well),
        2 => Just(Act::Fail),
        1 => Just(Act::SayGone),
        2 => Just(Act::Panic),
        4 => Just(Act::Dawdle),
        1 => Just(Act::CleanUp),
        1 => Just(Act::End),
        1 => Just(Act::Abort),
    ]
}

fn story() -> impl Strategy<Value = (usize, Vec<Fed>, Vec<Act>, bool, usize)> {
    (1..5_usize).prop_flat_map(|updates| {
        (
            Just(updates),
            vec(fed(updates), 0..30),
            vec(act(), 1..30),
            any::<bool>(),
            0..30_usize,
        )
    })
}

/// What was told. An assertion that fails with it locked poisons it, and so fails the test from inside a callback.
#[derive(Default)]
struct Told {
    notices: Vec<Now>,
    completed: usize,
    ends: usize,
    cleaned_up: bool,
    gone: bool,
    dropped: bool,
}

struct Erratic {
    told: Arc<Mutex<Told>>,
    acts: std::vec::IntoIter<Act>,
    all_fed: Receiver<()>,
}

impl Erratic {
    fn act(&mut self, job: &InstallationJob) -> Answer {
        match self.acts.next().unwrap_or(Act::Well) {
            Act::Well => Ok(()),
            Act::Fail => failure(HResult::E_FAIL),
            Act::SayGone => {
                self.told.lock().expect("not poisoned").gone = true;
                failure(HResult::RPC_E_DISCONNECTED)
            }
            Act::Panic => resume_unwind(Box::new("the observer panics")),
            Act::Dawdle => {
                let _ = self.all_fed.recv();
                Ok(())
            }
            Act::CleanUp => {
                let answer = job.clean_up();
                let mut told = self.told.lock().expect("not poisoned");
                assert_eq!(answer, CleanUp::MarkedForDisconnect);
                told.cleaned_up = true;
                Ok(())
            }
            Act::End => {
                let ended = usize::from(job.end().is_ok());
                self.told.lock().expect("not poisoned").ends += ended;
                Ok(())
            }
            Act::Abort => {
                job.request_abort().expect("the feed never forbids it");
                Ok(())
            }
        }
    }
}

impl JobObserver<Installation> for Erratic {
    fn progress(&mut self, job: &InstallationJob, now: &Now) -> Answer {
        let mut told = self.told.lock().expect("not poisoned");
        assert!(
            !told.cleaned_up && !told.gone && told.completed == 0,
            "nobody is told after that"
        );
        told.notices.push(now.clone());
        drop(told);
        self.act(job)
    }

    fn completed(&mut self, job: &InstallationJob) -> Answer {
        let mut told = self.told.lock().expect("not poisoned");
        assert!(!told.cleaned_up, "nobody is told after that");
        assert!(job.is_completed() && job.outcome().is_some());
        told.completed += 1;
        drop(told);
        self.act(job)
    }
}

impl Drop for Erratic {
    fn drop(&mut self) {
        self.told
            .lock()
            .expect("an assertion of this observer failed")
            .dropped = true;
    }
}

/// The law of snapshots: the newest is the furthest, and a final update has its result.
fn snapshots_are_lawful(snapshots: &[Now], updates: usize) {
    for pair in snapshots.windows(2) {
        assert!(pair[0].revision() < pair[1].revision());
        assert!(pair[0].percent_complete <= pair[1].percent_complete);
        for (before, after) in pair[0].update_results().zip(pair[1].update_results()) {
            assert!(
                before == after || !before.result_code.is_final(),
                "what is final stays"
            );
            assert!(before.result_code <= after.result_code, "nobody goes back");
        }
    }
    for now in snapshots {
        assert_eq!(now.update_results().len(), updates);
        let current = now
            .update_result(now.current_update_index)
            .expect("one of the job's");
        assert_eq!(current.result_code, now.result_code);
        let all_final = now.update_results().all(|result| result.result_code.is_final());
        assert!(
            all_final || now.percent_complete.get() < 100,
            "a hundred means all"
        );
    }
}

/// The updates that were seen to start or to end, each once and as the current one.
fn each_result_has_its_own_notice(notices: &[Now], last: &Now) {
    let mut told = Vec::new();
    let mut before = Vec::new();
    for now in notices {
        let after: Vec<_> = now.update_results().map(|result| result.result_code).collect();
        let changed: Vec<usize> = (0..after.len())
            .filter(|index| {
                before
                    .get(*index)
                    .copied()
                    .unwrap_or(OperationResultCode::NotStarted)
                    != after[*index]
            })
            .collect();
        assert!(changed.len() <= 1, "two steps in one notice: {changed:?}");
        assert!(changed.iter().all(|index| *index == now.current_update_index));
        told.extend(changed.into_iter().filter(|index| after[*index].is_final()));
        before = after;
    }
    told.sort_unstable();
    let results = last.update_results().enumerate();
    let finals: Vec<usize> = results
        .filter(|(_, result)| result.result_code.is_final())
        .map(|(index, _)| index)
        .collect();
    assert_eq!(told, finals);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_invariants_hold_for_every_feed_and_every_observer((updates, script, acts, completes, released_at) in story()) {
        let told = Arc::new(Mutex::new(Told::default()));
        let (all_fed, gate) = channel::<()>();
        let observer = Erratic { told: Arc::clone(&told), acts: acts.into_iter(), all_fed: gate };
        let observer: Box<dyn JobObserver<Installation>> = Box::new(observer);
        let (job, feed, release) = builder(updates).observer(observer).start().expect("a thread starts");
        let mut release = Some(release);
        let mut seen = vec![job.progress()];
        for (step, fed) in script.into_iter().enumerate() {
            if step == released_at {
                release.take().expect("once").release();
            }
            match fed {
                Fed::Progress { index, code, own, total } => feed.progress(at(index, code, own, total)),
                Fed::Finished { index, code } => feed.update_finished(index, result(code)),
                Fed::Warning => feed.warning("a warning", HResult::E_FAIL),
            }
            let now = job.progress();
            if now.revision() > seen.last().expect("never empty").revision() {
                seen.push(now);
            }
            prop_assert!(!job.is_completed());
        }
        if completes { complete(feed) } else { drop(feed) }
        if let Some(release) = release {
            release.release();
        }
        drop(all_fed);
        prop_assert!(job.is_completed());
        let outcome = job.wait();

        let racer = thread::spawn({
            let job = job.clone();
            move || usize::from(job.end().is_ok())
        });
        let ends = usize::from(job.end().is_ok()) + racer.join().expect("an end returns");
        prop_assert_eq!(job.clean_up(), CleanUp::Done);
        prop_assert!(job.end().is_err());
        prop_assert!(Arc::ptr_eq(&outcome, &job.wait()), "the outcome never changes");

        let told = told.lock().expect("no assertion of the observer failed");
        let last = job.progress();
        prop_assert_eq!(ends + told.ends, 1);
        prop_assert!(told.dropped);
        prop_assert_eq!(told.completed, usize::from(!told.cleaned_up || told.completed == 1));
        snapshots_are_lawful(&seen, updates);
        snapshots_are_lawful(&told.notices, updates);
        if !told.cleaned_up && !told.gone {
            each_result_has_its_own_notice(&told.notices, &last);
        }
    }
}
