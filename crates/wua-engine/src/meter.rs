//! How far a job is: steps in, WUA's three numbers and the time-true part out (rule R9, apt.md 2.3).
//!
//! The law of the total: every update weighs the same, `floor(sum of own percentages / N)`. An update stays at 99 until its
//! result is known. Nothing falls: not the total, not an update's own percentage. The time-true part is the timeline's
//! ([`crate::timeline`]); no front computes a percentage.

use wua_types::{InstallationProgress, OperationResultCode, Percent, Phase, Truth, WaitingFor};

use crate::timeline::Estimate;

#[derive(Clone, Debug)]
struct Gauge {
    percent: Percent,
    result_code: OperationResultCode,
}

/// The meter of one job.
#[derive(Clone, Debug)]
pub struct Meter {
    gauges: Vec<Gauge>,
    current: usize,
    total: Percent,
    phase: Phase,
    waiting_for: Option<WaitingFor>,
    can_abort: bool,
    changing: bool,
}

impl Meter {
    /// A meter for so many updates.
    pub fn new(updates: usize) -> Self {
        let gauge = Gauge {
            percent: Percent::ZERO,
            result_code: OperationResultCode::NotStarted,
        };
        Self {
            gauges: vec![gauge; updates],
            current: 0,
            total: Percent::ZERO,
            phase: Phase::Starting,
            waiting_for: None,
            can_abort: true,
            changing: false,
        }
    }

    /// Goes on from what an earlier keeper said, so that nothing falls.
    pub fn restore(&mut self, said: &InstallationProgress) {
        let Some(gauge) = self.gauges.get_mut(said.current_update_index) else {
            return;
        };
        gauge.percent = gauge.percent.max(said.current_update_percent_complete);
        gauge.result_code = said.result_code;
        self.current = said.current_update_index;
        self.total = self.total.max(said.percent_complete);
    }

    /// `done` of `total` steps of an update are made. Fewer than before changes nothing; a final update neither.
    pub fn step(&mut self, update: usize, done: u32, total: u32, phase: Phase) {
        let Some(gauge) = self.gauges.get_mut(update) else {
            return;
        };
        if gauge.result_code.is_final() {
            return;
        }
        gauge.result_code = OperationResultCode::InProgress;
        gauge.percent = gauge
            .percent
            .max(Percent::of(done.into(), total.into()).min(Percent::ALMOST));
        self.current = update;
        self.phase = phase;
        self.waiting_for = None;
        self.settle();
    }

    /// An update's result is known. What was aborted stays where it is; everything else is at 100.
    pub fn finish(&mut self, update: usize, code: OperationResultCode) {
        let Some(gauge) = self.gauges.get_mut(update) else {
            return;
        };
        gauge.result_code = code;
        if code != OperationResultCode::Aborted {
            gauge.percent = Percent::FULL;
        }
        self.current = update;
        self.settle();
    }

    /// What is being done, apart from any update's steps.
    pub fn phase(&mut self, phase: Phase) {
        self.phase = phase;
    }

    /// What is being waited for.
    pub fn waiting(&mut self, what: Option<WaitingFor>) {
        self.waiting_for = what;
    }

    /// Whether a request to abort would still stop something.
    pub fn can_abort(&mut self, can: bool) {
        self.can_abort = can;
    }

    /// Whether the machine is being changed, so that power must not fail.
    pub fn changing(&mut self, changing: bool) {
        self.changing = changing;
    }

    /// Whether any update has no result yet.
    pub fn is_unfinished(&self) -> bool {
        self.gauges.iter().any(|gauge| !gauge.result_code.is_final())
    }

    /// Where everything stands, at the time that `estimate` tells.
    pub fn read(&self, estimate: Estimate) -> InstallationProgress {
        let current = self.gauges.get(self.current);
        InstallationProgress {
            current_update_index: self.current,
            current_update_percent_complete: current.map_or(Percent::ZERO, |gauge| gauge.percent),
            percent_complete: self.total,
            result_code: current.map_or(OperationResultCode::NotStarted, |gauge| gauge.result_code),
            truth: estimate.in_place_of(Truth {
                phase: if self.waiting_for.is_some() && !self.changing {
                    Phase::Waiting
                } else {
                    self.phase
                },
                waiting_for: self.waiting_for.clone(),
                can_abort: self.can_abort,
                // Whoever is waited for may be changing the machine.
                safe_to_power_off: !self.changing
                    && self
                        .waiting_for
                        .as_ref()
                        .is_none_or(|waiting| waiting.holder.is_none()),
                ..Truth::default()
            }),
        }
    }

    fn settle(&mut self) {
        let sum: u64 = self
            .gauges
            .iter()
            .map(|gauge| u64::from(gauge.percent.get()))
            .sum();
        self.total = self.total.max(Percent::of(sum, 100 * self.gauges.len() as u64));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use OperationResultCode::{Aborted, Failed, Succeeded};
    use proptest::prelude::*;

    const NOW: Estimate = Estimate {
        share: 0.5,
        remaining: 1.0,
        low: 0.5,
        high: 2.0,
    };

    #[test]
    fn r9_the_law_of_the_total_while_one_update_runs_at_a_time() {
        let mut meter = Meter::new(3);
        meter.step(0, 5, 5, Phase::Configuring);
        assert_eq!(meter.read(NOW).current_update_percent_complete, Percent::ALMOST);
        meter.finish(0, Succeeded);
        meter.step(1, 2, 5, Phase::Unpacking);
        assert_eq!(meter.read(NOW).percent_complete.get(), (100 + 40) / 3);
    }

    #[test]
    fn an_aborted_update_stays_where_it_is() {
        let mut meter = Meter::new(2);
        meter.finish(0, Failed);
        meter.finish(1, Aborted);
        assert_eq!(meter.read(NOW).percent_complete.get(), 50);
        assert!(!meter.is_unfinished());
    }

    proptest! {
        #[test]
        fn whatever_is_reported_nothing_falls_and_100_means_all_is_final(
            count in 1usize..6,
            moves in prop::collection::vec((0usize..7, 0u32..9, 0u32..7, prop::option::of(2i32..6)), 0..60),
        ) {
            let mut meter = Meter::new(count);
            let mut last = meter.read(NOW);
            for (update, done, total, end) in moves {
                match end {
                    Some(code) => meter.finish(update, OperationResultCode::try_from(code).expect("2 to 5")),
                    None => meter.step(update, done, total, Phase::Unpacking),
                }
                let now = meter.read(NOW);
                prop_assert!(now.percent_complete >= last.percent_complete);
                prop_assert!(now.percent_complete < Percent::FULL || !meter.is_unfinished());
                last = now;
            }
        }
    }
}
