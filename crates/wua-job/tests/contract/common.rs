//! Scripted jobs: an observer that takes notes, a feed played from a few lines of text, and a clock-free way to wait.

use std::sync::{Arc, Condvar, Mutex};

use uuid::Uuid;
use wua_job::{
    CallbackError, Installation, InstallationJob, JobBuilder, JobFeed, JobObserver, Snapshot, Started,
};
use wua_types::event::Operation;
use wua_types::{
    HResult, InstallationProgress, InstallationResult, OperationResultCode, Percent, Progress as _, Truth,
    Update, UpdateId, UpdateIdentity, UpdateInstallationResult, UpdateResult as _,
};

pub(crate) type Now = Snapshot<Installation>;
pub(crate) type Answer = Result<(), CallbackError>;

/// Lines written from any thread, in order; one can wait for one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Notes(Arc<(Mutex<Vec<String>>, Condvar)>);

impl Notes {
    pub(crate) fn write(&self, line: impl Into<String>) {
        self.0.0.lock().expect("nobody panics here").push(line.into());
        self.0.1.notify_all();
    }
    pub(crate) fn lines(&self) -> Vec<String> {
        self.0.0.lock().expect("nobody panics here").clone()
    }
    pub(crate) fn text(&self) -> String {
        self.lines().join("\n")
    }
    /// Blocks until a line is there.
    pub(crate) fn wait_for(&self, line: &str) {
        let lines = self.0.0.lock().expect("nobody panics here");
        let missing = |lines: &mut Vec<String>| !lines.iter().any(|have| have == line);
        drop(self.0.1.wait_while(lines, missing).expect("nobody panics here"));
    }
}

type OnProgress = Box<dyn FnMut(&InstallationJob, &Now) -> Answer + Send>;
type OnCompleted = Box<dyn FnMut(&InstallationJob) -> Answer + Send>;

/// Notes every call, in words, and then does what it was told to do.
pub(crate) struct Observer {
    notes: Notes,
    on_progress: OnProgress,
    on_completed: OnCompleted,
}

impl Observer {
    pub(crate) fn new(notes: &Notes) -> Self {
        Self {
            notes: notes.clone(),
            on_progress: Box::new(|_, _| Ok(())),
            on_completed: Box::new(|_| Ok(())),
        }
    }
    pub(crate) fn on_progress(
        self,
        act: impl FnMut(&InstallationJob, &Now) -> Answer + Send + 'static,
    ) -> Self {
        Self {
            on_progress: Box::new(act),
            ..self
        }
    }
    pub(crate) fn on_completed(self, act: impl FnMut(&InstallationJob) -> Answer + Send + 'static) -> Self {
        Self {
            on_completed: Box::new(act),
            ..self
        }
    }
    pub(crate) fn boxed(self) -> Box<dyn JobObserver<Installation>> {
        Box::new(Told(self))
    }
}

/// The observer, with a note when it goes.
struct Told(Observer);

impl JobObserver<Installation> for Told {
    fn progress(&mut self, job: &InstallationJob, now: &Now) -> Answer {
        let _note = NotePanic(&self.0.notes);
        self.0.notes.write(words(now));
        (self.0.on_progress)(job, now)
    }
    fn completed(&mut self, job: &InstallationJob) -> Answer {
        let _note = NotePanic(&self.0.notes);
        self.0.notes.write("completed");
        (self.0.on_completed)(job)
    }
}

impl Drop for Told {
    fn drop(&mut self) {
        self.0.notes.write("dropped");
    }
}

/// Jobs survive the panics of observers; tests should not, where an assertion in a callback fails.
struct NotePanic<'a>(&'a Notes);

impl Drop for NotePanic<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.write("panicked");
        }
    }
}

/// A notice in words: update, its code, its percentage, the total.
pub(crate) fn words(now: &Now) -> String {
    let InstallationProgress {
        current_update_index: index,
        result_code,
        ..
    } = **now;
    let (own, total) = (
        now.current_update_percent_complete.get(),
        now.percent_complete.get(),
    );
    format!("{index} {result_code} {own}/{total}")
}

pub(crate) fn failure(hresult: HResult) -> Answer {
    Err(CallbackError { hresult })
}

pub(crate) fn updates(count: usize) -> Arc<[Update]> {
    let identity = |number| UpdateIdentity {
        update_id: UpdateId(Uuid::from_u128(number as u128)),
        revision_number: 1,
    };
    (0..count)
        .map(|number| Update::new(identity(number), format!("update {number}")))
        .collect()
}

pub(crate) fn builder(count: usize) -> JobBuilder<Installation> {
    JobBuilder::new(Uuid::from_u128(1), Operation::Install, updates(count))
}

pub(crate) fn start(count: usize, observer: Observer) -> Started<Installation> {
    builder(count)
        .observer(observer.boxed())
        .start()
        .expect("a thread starts")
}

/// Starts with callbacks flowing.
pub(crate) fn run(count: usize, observer: Observer) -> (InstallationJob, JobFeed<Installation>) {
    let (job, feed, release) = start(count, observer);
    release.release();
    (job, feed)
}

pub(crate) fn percent(value: u8) -> Percent {
    value.try_into().expect("a percentage")
}

pub(crate) fn at(index: usize, code: OperationResultCode, own: u8, total: u8) -> InstallationProgress {
    InstallationProgress {
        current_update_index: index,
        current_update_percent_complete: percent(own),
        percent_complete: percent(total),
        result_code: code,
        ..InstallationProgress::nothing_done()
    }
}

/// A phase that has to be finished.
pub(crate) fn past_the_point_of_no_return(index: usize) -> InstallationProgress {
    InstallationProgress {
        truth: Truth::default(),
        ..at(index, OperationResultCode::InProgress, 50, 50)
    }
}

pub(crate) fn result(code: OperationResultCode) -> UpdateInstallationResult {
    let hresult = match code {
        OperationResultCode::Failed => HResult::WU_E_UH_INSTALLERFAILURE,
        OperationResultCode::Aborted => HResult::WU_E_CALL_CANCELLED,
        _ => HResult::S_OK,
    };
    UpdateInstallationResult::new(code, hresult, "")
}

/// Plays lines: `at INDEX OWN TOTAL`, `waits INDEX`, `CODE INDEX TOTAL` (a final progress and its result), `only CODE INDEX`
/// (a result alone), `warns`; codes are `succeeded`, `failed` and `aborted`.
pub(crate) fn play(feed: &JobFeed<Installation>, script: &str) {
    for line in script.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let number = |place: usize| words[place].parse::<u8>().expect("a number");
        match words[0] {
            "at" => feed.progress(at(
                number(1).into(),
                OperationResultCode::InProgress,
                number(2),
                number(3),
            )),
            "waits" => feed.progress(at(number(1).into(), OperationResultCode::NotStarted, 0, 0)),
            "only" => feed.update_finished(number(2).into(), result(code(words[1]))),
            "warns" => feed.warning("a warning", HResult::E_FAIL),
            word => {
                let index = number(1).into();
                let own = if word == "aborted" { 50 } else { 100 };
                feed.progress(at(index, code(word), own, number(2)));
                feed.update_finished(index, result(code(word)));
            }
        }
    }
}

fn code(word: &str) -> OperationResultCode {
    let mut all = OperationResultCode::ALL.iter().copied();
    all.find(|code| code.word() == word).expect("a code")
}

/// The outcome that fits what was fed.
pub(crate) fn outcome(job: &InstallationJob) -> InstallationResult {
    let updates: Vec<_> = job.progress().update_results().cloned().collect();
    let all_well = updates.iter().all(|update| update.result_code().is_success());
    let (result_code, hresult) = if all_well {
        (OperationResultCode::Succeeded, HResult::S_OK)
    } else {
        (
            OperationResultCode::SucceededWithErrors,
            HResult::WU_S_UPDATE_ERROR,
        )
    };
    InstallationResult {
        result_code,
        hresult,
        reboot_required: false,
        updates,
    }
}

pub(crate) fn complete(feed: JobFeed<Installation>) {
    let outcome = outcome(feed.job());
    feed.complete(outcome);
}

pub(crate) fn lines(text: &str) -> String {
    text.lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect::<Vec<_>>()
        .join("\n")
}
