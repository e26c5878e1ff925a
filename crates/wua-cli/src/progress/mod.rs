//! Telling a running job: one observer for every kind of job, and a teller for each form of output.
//!
//! Everything shown comes from the job's own snapshots; nothing here computes progress.

mod bars;
mod json_lines;
mod lines;

use std::collections::BTreeSet;
use std::sync::mpsc::Sender;

use wua_job::{CallbackError, Download, Installation, Job, JobObserver, Snapshot, Told};
use wua_types::event::AnyProgress;
use wua_types::{HResult, OperationResultCode, Truth, Update, UpdateInstallationResult, UpdateResult as _};

use crate::arguments::Format;
use crate::interrupt::Wake;
use crate::screen::Screen;

/// What a snapshot shows of either kind of job.
#[derive(Clone, Debug)]
pub(crate) struct View {
    pub(crate) index: usize,
    pub(crate) own: u8,
    pub(crate) whole: u8,
    pub(crate) result_code: OperationResultCode,
    pub(crate) truth: Truth,
    /// Bytes that are here and bytes in all, of a download.
    pub(crate) bytes: Option<(u64, u64)>,
}

/// A kind of job whose progress can be shown.
pub(crate) trait Shown: Told {
    fn view(snapshot: &Snapshot<Self>) -> View;
}

impl Shown for Installation {
    fn view(snapshot: &Snapshot<Self>) -> View {
        View {
            index: snapshot.current_update_index,
            own: snapshot.current_update_percent_complete.get(),
            whole: snapshot.percent_complete.get(),
            result_code: snapshot.result_code,
            truth: snapshot.truth.clone(),
            bytes: None,
        }
    }
}

impl Shown for Download {
    fn view(snapshot: &Snapshot<Self>) -> View {
        View {
            index: snapshot.current_update_index,
            own: snapshot.current_update_percent_complete.get(),
            whole: snapshot.percent_complete.get(),
            result_code: snapshot.result_code,
            truth: snapshot.truth.clone(),
            bytes: Some((snapshot.total_bytes_downloaded, snapshot.total_bytes_to_download)),
        }
    }
}

/// Tells a job in one form of output.
pub(crate) trait Teller: Send {
    /// Something moved.
    fn progress(&mut self, view: &View, any: &dyn Fn() -> AnyProgress);
    /// An update got its result.
    fn finished(&mut self, index: usize, update: &Update, result: &UpdateInstallationResult);
    /// Something to know.
    fn warning(&mut self, message: &str, hresult: HResult);
    /// It is over.
    fn completed(&mut self, code: OperationResultCode, hresult: HResult, reboot_required: bool);
}

/// The teller that fits the screen, for a job of these updates.
pub(crate) fn teller(screen: Screen, story: Story<'_>) -> Box<dyn Teller> {
    match screen.format {
        Format::Jsonl => Box::new(json_lines::JsonLines::begin(screen, story)),
        Format::Json => Box::new(Silent),
        Format::Text if screen.quiet => Box::new(Silent),
        Format::Text if screen.is_live() => Box::new(bars::Bars::begin(screen, story)),
        Format::Text => Box::new(lines::Lines::begin(screen, story)),
    }
}

/// What a teller has to know of a job before it begins.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Story<'a> {
    pub(crate) job: uuid::Uuid,
    pub(crate) operation: wua_types::Operation,
    pub(crate) updates: &'a [Update],
}

/// Says nothing.
struct Silent;

impl Teller for Silent {
    fn progress(&mut self, _: &View, _: &dyn Fn() -> AnyProgress) {}
    fn finished(&mut self, _: usize, _: &Update, _: &UpdateInstallationResult) {}
    fn warning(&mut self, _: &str, _: HResult) {}
    fn completed(&mut self, _: OperationResultCode, _: HResult, _: bool) {}
}

/// The observer of a command's job: tells it, and wakes the command at its end.
pub(crate) struct Observer {
    screen: Screen,
    teller: Option<Box<dyn Teller>>,
    finished: BTreeSet<usize>,
    warnings: usize,
    /// The revision of the job that was told last.
    told: u64,
    done: Sender<Wake>,
}

impl Observer {
    pub(crate) fn new(screen: Screen, done: Sender<Wake>) -> Box<Self> {
        Box::new(Self {
            screen,
            teller: None,
            finished: BTreeSet::new(),
            warnings: 0,
            told: 0,
            done,
        })
    }

    fn tell<K: Shown>(&mut self, job: &Job<K>, now: &Snapshot<K>, moved: bool) {
        let story = Story {
            job: job.id(),
            operation: job.operation(),
            updates: job.updates(),
        };
        let teller = self.teller.get_or_insert_with(|| teller(self.screen, story));
        for warning in now.warnings().iter().skip(self.warnings) {
            teller.warning(&warning.message, warning.hresult);
        }
        self.warnings = now.warnings().len();
        self.told = now.revision();
        if moved {
            teller.progress(&K::view(now), &|| K::tell_progress(now));
        }
        for (index, result) in now.update_results().enumerate() {
            if result.result_code().is_final() && self.finished.insert(index) {
                teller.finished(index, &job.updates()[index], &K::tell_result(result));
            }
        }
    }
}

impl<K: Shown> JobObserver<K> for Observer {
    fn progress(&mut self, job: &Job<K>, now: &Snapshot<K>) -> Result<(), CallbackError> {
        self.tell(job, now, true);
        Ok(())
    }

    fn completed(&mut self, job: &Job<K>) -> Result<(), CallbackError> {
        // How it stands at the end was left out where it came with the end.
        let now = job.progress();
        self.tell(job, &now, now.revision() > self.told);
        if let (Some(teller), Some(outcome)) = (&mut self.teller, job.outcome()) {
            let ending = K::tell_outcome(&outcome);
            teller.completed(ending.result_code, ending.hresult, ending.reboot_required);
        }
        // The command may be gone after a second Ctrl-C.
        let _ = self.done.send(Wake::Completed);
        Ok(())
    }
}

/// The heading of a job.
pub(crate) fn heading(story: Story<'_>) -> String {
    match story.operation {
        wua_types::Operation::Repair => "Repairing the packages".into(),
        operation => format!(
            "{} {}",
            gerund(operation),
            crate::text::count(story.updates.len(), "update")
        ),
    }
}

/// The verb of a job as a heading begins with it.
fn gerund(operation: wua_types::Operation) -> &'static str {
    match operation {
        wua_types::Operation::Repair => "Repairing",
        wua_types::Operation::Search => "Searching",
        wua_types::Operation::Download => "Downloading",
        wua_types::Operation::Install => "Installing",
        wua_types::Operation::Uninstall => "Taking back",
    }
}

/// What is being waited for, as a phrase.
pub(crate) fn waiting_phrase(truth: &Truth) -> Option<String> {
    let waiting = truth.waiting_for.as_ref()?;
    let since = jiff::Timestamp::now()
        .duration_since(waiting.since)
        .unsigned_abs();
    // A lock has a holder; what says something is the thing itself.
    let holder = match (&waiting.holder, &waiting.detail) {
        (Some(holder), None) => format!(", held by {holder}"),
        (Some(script), Some(_)) => format!(", the {script}"),
        (None, _) => String::new(),
    };
    let said = waiting
        .detail
        .as_ref()
        .map(|line| format!("; it last said: {line}"))
        .unwrap_or_default();
    Some(format!(
        "waiting for {}{holder}, since {}{said}",
        waiting.what,
        crate::text::duration(since)
    ))
}
