//! The laws of a job's event file (rules R9, R10 and R17, design.md section 3), checked line by line.

use wua_types::event::AnyProgress;
use wua_types::{
    EventLine, HResult, InstallationProgress, JobEvent, OperationResultCode, Percent,
    UpdateInstallationResult,
};

/// What an event file told, lawfully.
#[derive(Clone, Debug)]
pub struct Story {
    /// The totals, in order, each once.
    pub percents: Vec<u8>,
    /// Each progress.
    pub progress: Vec<InstallationProgress>,
    /// The result of each update, in the order of the collection.
    pub results: Vec<UpdateInstallationResult>,
    /// The updates in the order in which they became final.
    pub order: Vec<usize>,
    /// The warnings' codes.
    pub warnings: Vec<HResult>,
    /// The outcome: code, reason, whether a restart is needed.
    pub completed: (OperationResultCode, HResult, bool),
}

/// What was seen of the updates so far.
struct Seen {
    own: Vec<Percent>,
    results: Vec<Option<UpdateInstallationResult>>,
    last: Option<InstallationProgress>,
}

impl Story {
    /// Reads a finished job's events.
    ///
    /// # Panics
    /// They break a law.
    pub fn read(lines: &[EventLine]) -> Self {
        let [first, middle @ .., end] = lines else {
            panic!("a job has a begin and an end: {lines:?}");
        };
        let JobEvent::Started { updates, .. } = &first.event else {
            panic!("`started` comes first: {first:?}");
        };
        let JobEvent::Completed {
            result_code,
            hresult,
            reboot_required,
        } = end.event
        else {
            panic!("`completed` comes last: {end:?}");
        };
        let count = updates.len();
        let mut seen = Seen {
            own: vec![Percent::ZERO; count],
            results: vec![None; count],
            last: None,
        };
        let mut story = Self {
            percents: Vec::new(),
            progress: Vec::new(),
            results: Vec::new(),
            order: Vec::new(),
            warnings: Vec::new(),
            completed: (result_code, hresult, reboot_required),
        };
        for (before, line) in lines.iter().zip(middle) {
            assert_eq!(line.job, first.job);
            match &line.event {
                JobEvent::Progress(AnyProgress::Installation(now)) => {
                    seen.progress(now);
                    story.progress.push(now.clone());
                    story.percents.push(now.percent_complete.get());
                }
                JobEvent::UpdateFinished { index, id, result } => {
                    assert_eq!(*id, updates[*index].id);
                    seen.finished(*index, result, &before.event);
                    story.order.push(*index);
                }
                JobEvent::Warning { hresult, .. } => story.warnings.push(*hresult),
                other => panic!("this comes at the ends of a job or never: {other:?}"),
            }
        }
        story.percents.dedup();
        let missing = |index: usize| move || panic!("update {index} has no result");
        story.results = seen
            .results
            .into_iter()
            .enumerate()
            .map(|(index, result)| result.unwrap_or_else(missing(index)))
            .collect();
        let aborted = story
            .results
            .iter()
            .any(|result| result.result_code == OperationResultCode::Aborted);
        let to_the_end = story.percents.last() == Some(&100);
        assert_eq!(
            to_the_end, !aborted,
            "100 is the end of a run to the end: {:?}",
            story.percents
        );
        let reboot = story.results.iter().any(|result| result.reboot_required);
        assert_eq!(reboot, reboot_required);
        story
    }
}

impl Seen {
    fn progress(&mut self, now: &InstallationProgress) {
        let index = now.current_update_index;
        let (own, total) = (now.current_update_percent_complete, now.percent_complete);
        assert!(
            own >= self.own[index],
            "no update's own percentage falls: {now:?}"
        );
        self.own[index] = own;
        let sum: u64 = self.own.iter().map(|own| u64::from(own.get())).sum();
        let law = Percent::of(sum, 100 * self.own.len() as u64);
        assert_eq!(total, law, "the law of the total: {now:?}");
        if let Some(last) = &self.last {
            assert!(total >= last.percent_complete, "the total falls: {now:?}");
            assert!(
                now.truth.time_share >= last.truth.time_share,
                "the share of time falls: {now:?}"
            );
            // A final progress waits for its result, which the next line must be.
            let promised = last.result_code.is_final() && self.results[last.current_update_index].is_none();
            assert!(!promised, "the result of a final progress comes at once: {now:?}");
        }
        match &self.results[index] {
            Some(result) => assert_eq!(
                now.result_code, result.result_code,
                "what is final stays: {now:?}"
            ),
            None if now.result_code.is_final() => {
                assert_eq!(
                    own == Percent::FULL,
                    now.result_code != OperationResultCode::Aborted
                );
            }
            None => assert!(own <= Percent::ALMOST, "99 until the result is known: {now:?}"),
        }
        self.last = Some(now.clone());
    }

    fn finished(&mut self, index: usize, result: &UpdateInstallationResult, before: &JobEvent) {
        assert!(result.result_code.is_final(), "{result:?}");
        let JobEvent::Progress(AnyProgress::Installation(announced)) = before else {
            panic!("a result follows its final progress: {result:?}");
        };
        assert_eq!(
            (announced.current_update_index, announced.result_code),
            (index, result.result_code)
        );
        let before = self.results[index].replace(result.clone());
        assert_eq!(before, None, "update {index} has one result");
    }
}
