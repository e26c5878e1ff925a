//! What a job knows of its work, and which news is worth which notice (rules R9, R10, R18 and R19). No threads, no clock.
//!
//! Feeds may come from a file, and from several threads, so nothing in them is trusted: indexes are checked, totals and the share
//! of time never fall, totals reach 100 only when every update is final, and what was final stays as it was.

use std::sync::Arc;

use wua_types::{HResult, OperationResultCode, Percent, Progress, UpdateResult};

use crate::kind::JobKind;
use crate::mailbox::Weight;
use crate::snapshot::{Results, Snapshot, Warning};

pub(crate) struct Record<K: JobKind> {
    now: Snapshot<K>,
    results: Arc<Results<K::UpdateResult>>,
    /// A progress that calls its update final, until the result comes: the two make one notice.
    awaiting_result: Option<K::Progress>,
    unfinished: usize,
    any_aborted: bool,
}

/// The new state of a job, and what it is worth.
pub(crate) struct News<K: JobKind> {
    pub(crate) snapshot: Snapshot<K>,
    pub(crate) weight: Weight,
}

/// Why something fed to a job was left aside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Ignored {
    #[error("it is about an update that the job does not have")]
    NoSuchUpdate,
    #[error("the update has its final result already")]
    AlreadyFinal,
    #[error("the result given as final is none")]
    NotFinal,
}

impl<K: JobKind> Record<K> {
    pub(crate) fn new(updates: usize) -> Self {
        let results = Arc::new(Results::new(updates));
        let now = Snapshot::new(0, K::Progress::nothing_done(), Arc::clone(&results), Arc::new([]));
        Self {
            now,
            results,
            awaiting_result: None,
            unfinished: updates,
            any_aborted: false,
        }
    }

    pub(crate) fn now(&self) -> &Snapshot<K> {
        &self.now
    }

    pub(crate) fn can_abort(&self) -> bool {
        self.awaiting_result.as_ref().unwrap_or(&self.now).can_abort()
    }

    /// Takes in how far the work is. No news yet where the progress calls its update final and the result is still to come.
    pub(crate) fn progress(&mut self, progress: K::Progress) -> Result<Option<News<K>>, Ignored> {
        let index = progress.current_update_index();
        let before = self.result_code(index).ok_or(Ignored::NoSuchUpdate)?;
        self.awaiting_result = None;
        let told = progress.result_code();
        if told.is_final() && !before.is_final() {
            self.awaiting_result = Some(progress);
            return Ok(None);
        }
        // An update goes from not started over in progress to final, and never back.
        let code = before.max(if told.is_final() { before } else { told });
        let weight = match (before, code) {
            (OperationResultCode::NotStarted, OperationResultCode::InProgress) => Weight::Distinct,
            _ => Weight::Mergeable,
        };
        if weight == Weight::Distinct {
            self.results.start(index, self.next_revision());
        }
        Ok(Some(self.show(progress.with_current(index, code), weight)))
    }

    /// Takes in the final result of an update, with the numbers of the progress that announced it, if one did.
    pub(crate) fn finish(&mut self, index: usize, result: K::UpdateResult) -> Result<News<K>, Ignored> {
        let code = result.result_code();
        match self.results.at(index, self.now.revision()) {
            None => return Err(Ignored::NoSuchUpdate),
            Some(before) if before.result_code().is_final() => return Err(Ignored::AlreadyFinal),
            Some(_) if !code.is_final() => return Err(Ignored::NotFinal),
            Some(_) => {}
        }
        let announced = self
            .awaiting_result
            .take_if(|progress| progress.current_update_index() == index);
        let progress = announced.unwrap_or_else(|| K::Progress::clone(&self.now));
        self.unfinished -= 1;
        self.any_aborted |= code == OperationResultCode::Aborted;
        self.results.finish(index, self.next_revision(), result);
        Ok(self.show(progress.with_current(index, code), Weight::Distinct))
    }

    /// Takes in a warning.
    pub(crate) fn warn(&mut self, warning: Warning) -> News<K> {
        let warnings = self.now.warnings().iter().cloned().chain([warning]).collect();
        let progress = K::Progress::clone(&self.now);
        self.now = Snapshot::new(
            self.next_revision(),
            progress,
            Arc::clone(&self.results),
            warnings,
        );
        News {
            snapshot: self.now.clone(),
            weight: Weight::Mergeable,
        }
    }

    /// The results of a job whose work went away: those that are there, and reasons in place of those that are not.
    pub(crate) fn results_of_lost_work(&self) -> Vec<K::UpdateResult> {
        let failed = |hresult, message| K::UpdateResult::ended(OperationResultCode::Failed, hresult, message);
        self.now
            .update_results()
            .map(|result| match result.result_code() {
                OperationResultCode::NotStarted => failed(
                    HResult::WU_E_UPDATE_NOT_PROCESSED,
                    "The job ended before this update had its turn.",
                ),
                OperationResultCode::InProgress => failed(
                    HResult::WU_E_UNEXPECTED,
                    "The job ended unexpectedly while this update was worked on.",
                ),
                _ => result.clone(),
            })
            .collect()
    }

    /// How update `index` stands. A job without updates, a search, counts as having one that never starts.
    fn result_code(&self, index: usize) -> Option<OperationResultCode> {
        match self.results.at(index, self.now.revision()) {
            Some(result) => Some(result.result_code()),
            None if self.results.count() == 0 => Some(OperationResultCode::NotStarted),
            None => None,
        }
    }

    fn next_revision(&self) -> u64 {
        self.now.revision() + 1
    }

    fn show(&mut self, progress: K::Progress, weight: Weight) -> News<K> {
        let progress = progress.not_behind(&self.now);
        let told = progress.percent_complete();
        let percent = match self.unfinished {
            0 if self.any_aborted => told,
            // Of a job without updates only the outcome says that all is done.
            0 if self.results.count() == 0 => told,
            0 => Percent::FULL,
            _ => told.min(Percent::ALMOST),
        };
        let warnings = Arc::clone(self.now.shared_warnings());
        let progress = progress.with_percent_complete(percent);
        self.now = Snapshot::new(
            self.next_revision(),
            progress,
            Arc::clone(&self.results),
            warnings,
        );
        News {
            snapshot: self.now.clone(),
            weight,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kind::Installation;
    use wua_types::{InstallationProgress, UpdateInstallationResult};

    fn at(index: usize, code: OperationResultCode, own: u8, total: u8) -> InstallationProgress {
        InstallationProgress {
            current_update_index: index,
            result_code: code,
            current_update_percent_complete: own.try_into().expect("a percentage"),
            percent_complete: total.try_into().expect("a percentage"),
            ..InstallationProgress::nothing_done()
        }
    }

    fn result(code: OperationResultCode) -> UpdateInstallationResult {
        UpdateInstallationResult::new(code, HResult::S_OK, "")
    }

    fn numbers(record: &Record<Installation>) -> (usize, u8, u8, OperationResultCode) {
        let now = record.now();
        let own = now.current_update_percent_complete.get();
        (
            now.current_update_index,
            own,
            now.percent_complete.get(),
            now.result_code,
        )
    }

    use OperationResultCode::{Aborted, Failed, InProgress, NotStarted, Succeeded};

    #[test]
    fn r9_before_the_work_starts_all_is_zero() {
        let record = Record::<Installation>::new(2);
        assert_eq!(numbers(&record), (0, 0, 0, NotStarted));
        assert_eq!(record.now().revision(), 0);
    }

    #[test]
    fn r9_the_total_never_falls_and_a_hundred_waits_for_the_last_result() {
        let mut record = Record::<Installation>::new(2);
        for (own, total, shown) in [(10, 40, 40), (20, 30, 40), (90, 100, 99)] {
            record.progress(at(0, InProgress, own, total)).expect("taken");
            assert_eq!(numbers(&record), (0, own, shown, InProgress));
        }
        record.finish(0, result(Succeeded)).expect("taken");
        assert_eq!(numbers(&record), (0, 100, 99, Succeeded));
        record.finish(1, result(Failed)).expect("taken");
        assert_eq!(
            numbers(&record),
            (1, 100, 100, Failed),
            "the run goes to 100 either way"
        );
    }

    #[test]
    fn the_share_of_time_never_falls_whoever_tells_it() {
        let mut record = Record::<Installation>::new(1);
        for (told, shown) in [(0.3, 0.3), (0.2, 0.3), (f64::NAN, 0.3), (0.4, 0.4)] {
            let mut progress = at(0, InProgress, 0, 0);
            progress.truth.time_share = told;
            record.progress(progress).expect("taken");
            assert_eq!(record.now().truth.time_share, shown);
        }
    }

    #[test]
    fn r9_an_aborted_job_stops_where_it_is() {
        let mut record = Record::<Installation>::new(2);
        record.progress(at(0, InProgress, 30, 15)).expect("taken");
        record.finish(0, result(Aborted)).expect("taken");
        record.finish(1, result(Aborted)).expect("taken");
        assert_eq!(numbers(&record), (1, 0, 15, Aborted));
    }

    #[test]
    fn r10_a_final_progress_waits_for_its_result_and_both_are_one_news() {
        let mut record = Record::<Installation>::new(2);
        record.progress(at(0, InProgress, 99, 49)).expect("taken");
        assert!(record.progress(at(0, Failed, 100, 50)).expect("taken").is_none());
        assert_eq!(
            numbers(&record),
            (0, 99, 49, InProgress),
            "nothing is shown that has no result"
        );
        let news = record
            .finish(0, UpdateInstallationResult::new(Failed, HResult::E_FAIL, "no"))
            .expect("taken");
        assert_eq!(
            (numbers(&record), news.weight),
            ((0, 100, 50, Failed), Weight::Distinct)
        );
        assert_eq!(
            news.snapshot.update_result(0).expect("one of two").hresult,
            HResult::E_FAIL
        );
    }

    #[test]
    fn r10_old_snapshots_know_nothing_of_later_results() {
        let mut record = Record::<Installation>::new(2);
        let codes = |snapshot: &Snapshot<Installation>| {
            snapshot
                .update_results()
                .map(|result| result.result_code)
                .collect::<Vec<_>>()
        };
        let before = record.now().clone();
        let started = record
            .progress(at(1, InProgress, 0, 0))
            .expect("taken")
            .expect("news")
            .snapshot;
        let finished = record.finish(1, result(Succeeded)).expect("taken").snapshot;
        assert_eq!(codes(&before), [NotStarted, NotStarted]);
        assert_eq!(codes(&started), [NotStarted, InProgress]);
        assert_eq!(codes(&finished), [NotStarted, Succeeded]);
        let error = finished.update_result(2).expect_err("there are two");
        assert_eq!(error.code(), HResult::WU_E_INVALIDINDEX);
    }

    #[test]
    fn waiting_before_the_first_update_starts_nothing() {
        let mut record = Record::<Installation>::new(1);
        let news = record
            .progress(at(0, NotStarted, 0, 0))
            .expect("taken")
            .expect("news");
        assert_eq!(news.weight, Weight::Mergeable);
        let news = record
            .progress(at(0, InProgress, 0, 0))
            .expect("taken")
            .expect("news");
        assert_eq!(news.weight, Weight::Distinct);
        record.progress(at(0, NotStarted, 5, 5)).expect("taken");
        assert_eq!(numbers(&record), (0, 5, 5, InProgress), "nobody goes back");
    }

    #[test]
    fn what_is_final_stays_and_nonsense_is_left_aside() {
        let mut record = Record::<Installation>::new(2);
        assert_eq!(
            record.progress(at(2, InProgress, 0, 0)).err(),
            Some(Ignored::NoSuchUpdate)
        );
        assert_eq!(
            record.finish(2, result(Succeeded)).err(),
            Some(Ignored::NoSuchUpdate)
        );
        assert_eq!(
            record.finish(0, result(InProgress)).err(),
            Some(Ignored::NotFinal)
        );
        record.finish(0, result(Succeeded)).expect("taken");
        assert_eq!(
            record.finish(0, result(Failed)).err(),
            Some(Ignored::AlreadyFinal)
        );
        record.progress(at(0, Failed, 10, 60)).expect("taken");
        assert_eq!(numbers(&record), (0, 100, 60, Succeeded));
    }

    #[test]
    fn r17_lost_work_leaves_a_reason_for_every_update() {
        let mut record = Record::<Installation>::new(3);
        record.finish(0, result(Succeeded)).expect("taken");
        record.progress(at(1, InProgress, 10, 40)).expect("taken");
        let codes: Vec<HResult> = record
            .results_of_lost_work()
            .iter()
            .map(|result| result.hresult)
            .collect();
        assert_eq!(
            codes,
            [
                HResult::S_OK,
                HResult::WU_E_UNEXPECTED,
                HResult::WU_E_UPDATE_NOT_PROCESSED
            ]
        );
    }

    impl<K: JobKind> std::fmt::Debug for News<K> {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            self.snapshot.fmt(f)
        }
    }
    impl<K: JobKind> PartialEq for News<K> {
        fn eq(&self, other: &Self) -> bool {
            self.snapshot.revision() == other.snapshot.revision()
        }
    }
}
