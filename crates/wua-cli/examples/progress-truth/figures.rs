//! What makes progress true, in numbers. Pure; each figure is defined here and nowhere else, and told in docs/progress.md.

use crate::trace::Trace;

/// Instants at which a trace is looked at.
const POINTS: usize = 1000;
/// Estimates are judged once this share of the time has passed.
const SETTLED: f64 = 0.1;
/// What comes so late, in seconds or as a share of the time, comes at the end: a client has to say goodbye.
const END: (f64, f64) = (0.2, 0.02);

/// When 100 % was shown first.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub(crate) enum Full {
    AtTheEnd,
    Never,
    /// At this share of the time.
    Early(f64),
}

/// Where an estimate of the remaining time came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EtaSource {
    /// The client told it.
    Told,
    /// The client tells none; it is what its value implies, if work went on evenly.
    Linear,
}

/// The figures of one trace, or the medians of several.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Figures {
    pub(crate) seconds: f64,
    /// How often the value fell.
    pub(crate) regressions: usize,
    /// The value last told, 0 to 1.
    pub(crate) end: f64,
    pub(crate) full: Full,
    /// Root of the mean square of value minus share of elapsed time, 0 to 1.
    pub(crate) rms: f64,
    /// The longest time without a notice, begin and end included.
    pub(crate) silence: f64,
    /// The median of |told - true| / true over the time after the first 10 %; infinite where mostly nothing can be told.
    pub(crate) eta_error: f64,
    pub(crate) eta_source: EtaSource,
}

impl Figures {
    pub(crate) fn of(trace: &Trace) -> Self {
        let values: Vec<(f64, f64)> = trace.values().collect();
        let squares = trace
            .sampled(POINTS)
            .map(|now| (now.value - now.at / trace.length).powi(2));
        let (eta_error, eta_source) = eta_error(trace);
        Self {
            seconds: trace.length,
            regressions: values
                .windows(2)
                .filter(|pair| pair[1].1 < pair[0].1 - 1e-9)
                .count(),
            end: values.last().map_or(0.0, |(_, value)| *value),
            full: full(trace, &values),
            rms: (squares.sum::<f64>() / POINTS as f64).sqrt(),
            silence: silence(trace),
            eta_error,
            eta_source,
        }
    }

    /// The median of each figure; of regressions, silence and the way to 100 % the worst, as a law is broken by one round.
    pub(crate) fn of_rounds(traces: &[Trace]) -> Option<Self> {
        let rounds: Vec<Self> = traces.iter().map(Self::of).collect();
        let first = rounds.first()?;
        let middle = |figure: fn(&Self) -> f64| median(rounds.iter().map(figure).collect());
        Some(Self {
            seconds: middle(|round| round.seconds),
            regressions: rounds.iter().map(|round| round.regressions).max()?,
            end: middle(|round| round.end),
            full: rounds
                .iter()
                .map(|round| round.full)
                .max_by(|one, other| one.partial_cmp(other).unwrap_or(std::cmp::Ordering::Equal))?,
            rms: middle(|round| round.rms),
            silence: rounds.iter().map(|round| round.silence).fold(0.0, f64::max),
            eta_error: middle(|round| round.eta_error),
            eta_source: first.eta_source,
        })
    }
}

/// The trace whose RMS gap is the median one: the one to draw.
pub(crate) fn typical(traces: &[Trace]) -> Option<&Trace> {
    let mut sorted: Vec<&Trace> = traces.iter().collect();
    sorted.sort_by(|one, other| Figures::of(one).rms.total_cmp(&Figures::of(other).rms));
    sorted.get(sorted.len().saturating_sub(1) / 2).copied()
}

fn full(trace: &Trace, values: &[(f64, f64)]) -> Full {
    match values.iter().find(|(_, value)| *value >= 1.0) {
        None => Full::Never,
        Some((at, _)) if trace.length - at <= END.0.max(END.1 * trace.length) => Full::AtTheEnd,
        Some((at, _)) => Full::Early(at / trace.length),
    }
}

fn silence(trace: &Trace) -> f64 {
    let times = trace.notices.iter().map(|notice| notice.at);
    let (longest, last) = times.fold((0.0_f64, 0.0), |(longest, last), at| (longest.max(at - last), at));
    longest.max(trace.length - last)
}

fn eta_error(trace: &Trace) -> (f64, EtaSource) {
    let is_told = trace.notices.iter().any(|notice| notice.remaining.is_some());
    let errors = trace
        .sampled(POINTS)
        .filter(|now| now.at >= SETTLED * trace.length)
        .map(|now| {
            let remaining = if is_told {
                now.remaining
            } else {
                (now.value > 0.0).then(|| now.at * (1.0 - now.value) / now.value)
            };
            let truly = trace.length - now.at;
            remaining.map_or(f64::INFINITY, |told| (told - truly).abs() / truly)
        });
    let source = if is_told {
        EtaSource::Told
    } else {
        EtaSource::Linear
    };
    (median(errors.collect()), source)
}

fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    let upper = numbers.get(numbers.len() / 2);
    let lower = numbers.get(numbers.len().saturating_sub(1) / 2);
    match (lower, upper) {
        (Some(lower), Some(upper)) => f64::midpoint(*lower, *upper),
        _ => f64::INFINITY,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::Notice;

    fn trace(length: f64, told: &[(f64, f64)]) -> Trace {
        let notice = |&(at, value): &(f64, f64)| Notice {
            at,
            value: Some(value),
            remaining: None,
        };
        Trace {
            notices: told.iter().map(notice).collect(),
            length,
        }
    }

    #[test]
    fn progress_that_follows_the_clock_has_no_gap_and_no_error() {
        let even: Vec<(f64, f64)> = (0..=1000)
            .map(|step| (f64::from(step) / 100.0, f64::from(step) / 1000.0))
            .collect();
        let figures = Figures::of(&trace(10.0, &even));
        assert!(figures.rms < 0.001 && figures.eta_error < 0.01, "{figures:?}");
        assert_eq!((figures.regressions, figures.full), (0, Full::AtTheEnd));
        assert!((figures.silence - 0.01).abs() < 1e-9);
    }

    #[test]
    fn a_bar_that_stands_at_nought_is_off_by_the_root_of_a_third() {
        let figures = Figures::of(&trace(9.0, &[]));
        assert!((figures.rms - (1.0_f64 / 3.0).sqrt()).abs() < 1e-3);
        assert_eq!(figures.full, Full::Never);
        assert!(figures.eta_error.is_infinite());
        assert!((figures.silence - 9.0).abs() < 1e-9);
    }

    #[test]
    fn a_fall_is_counted_and_an_early_100_is_seen() {
        let figures = Figures::of(&trace(10.0, &[(1.0, 1.0), (2.0, 0.0), (8.0, 0.9)]));
        assert_eq!((figures.regressions, figures.full), (1, Full::Early(0.1)));
        assert!((figures.silence - 6.0).abs() < 1e-9);
    }
}
