//! What a client told about its progress, and when: the raw material of every figure and every line of the plot.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use crate::Outcome;

/// One thing that a client said. A notice without a value still breaks the silence.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Notice {
    /// Seconds since the begin.
    pub(crate) at: f64,
    /// How far it says that it is, 0 to 1.
    pub(crate) value: Option<f64>,
    /// How many seconds it says are left.
    pub(crate) remaining: Option<f64>,
}

/// All that was said of one piece of work, from its begin to its end.
#[derive(Clone, Debug)]
pub(crate) struct Trace {
    pub(crate) notices: Vec<Notice>,
    /// Seconds that it took.
    pub(crate) length: f64,
}

impl Trace {
    /// The value that was on show at each of `points` instants spread evenly over the time; 0 before the first was told.
    pub(crate) fn sampled(&self, points: usize) -> impl Iterator<Item = Sample> {
        let mut told = self.notices.iter().peekable();
        let mut shown = Sample {
            at: 0.0,
            value: 0.0,
            remaining: None,
        };
        (0..points).map(move |point| {
            shown.at = self.length * (point as f64 + 0.5) / points as f64;
            while let Some(notice) = told.next_if(|notice| notice.at <= shown.at) {
                shown.value = notice.value.unwrap_or(shown.value);
                shown.remaining = notice.remaining.or(shown.remaining);
            }
            shown
        })
    }

    /// The values in the order in which they were told, each with its time.
    pub(crate) fn values(&self) -> impl Iterator<Item = (f64, f64)> {
        self.notices
            .iter()
            .filter_map(|notice| Some((notice.at, notice.value?)))
    }
}

/// What is on show at one instant.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    pub(crate) at: f64,
    pub(crate) value: f64,
    pub(crate) remaining: Option<f64>,
}

/// The lines that a program wrote, each with the time since the program's start at which it could be read.
#[derive(Debug)]
pub(crate) struct Recording {
    pub(crate) lines: Vec<(Duration, String)>,
    pub(crate) length: Duration,
    pub(crate) status: ExitStatus,
}

/// Runs a program to its end and notes when each line of its output came.
pub(crate) fn record(command: &mut Command) -> Outcome<Recording> {
    let begun = Instant::now();
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
    let output = child.stdout.take().ok_or("the program has no output")?;
    let mut lines = Vec::new();
    for line in BufReader::new(output).lines() {
        lines.push((begun.elapsed(), line?));
    }
    let status = child.wait()?;
    Ok(Recording {
        lines,
        length: begun.elapsed(),
        status,
    })
}
