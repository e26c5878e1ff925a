//! Progress on a terminal: a bar for the whole, a bar for the current update, and a line for what is being waited for. What is
//! finished scrolls away above them.
//!
//! The bars are drawn ten times a second, whether or not the job says something: the time that a step takes is seen to pass,
//! and the time that is left is seen to shrink. Only the job moves the bars themselves.

use std::fmt::Write;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use unicode_width::UnicodeWidthStr as _;
use wua_types::event::AnyProgress;
use wua_types::{HResult, Operation, OperationResultCode, Truth, Update, UpdateInstallationResult};

use super::{Story, Teller, View, heading, waiting_phrase};
use crate::report::{finished_line, warning_line};
use crate::screen::{Screen, harmless};
use crate::text::{bytes, duration, one_line, shorten, wrap};

/// How often the bars are drawn.
const TICK: Duration = Duration::from_millis(100);
/// The most lines below the bars.
const NOTE_LINES: usize = 3;
/// The time from which a step is long enough to show it.
const LONG: Duration = Duration::from_secs(2);

pub(super) struct Bars {
    screen: Screen,
    /// Downloads tell only what went wrong: what went well is told once more when it is installed.
    successes: bool,
    all: MultiProgress,
    whole: ProgressBar,
    own: ProgressBar,
    note: ProgressBar,
    titles: Vec<String>,
    now: Arc<Mutex<Now>>,
}

/// What stands beside the bars, and since when.
struct Now {
    /// The current update; none between updates.
    title: Option<String>,
    truth: Option<Truth>,
    bytes: Option<(u64, u64)>,
    /// When the job first said how long it still takes, as it says now.
    estimated: Instant,
    /// When the current step of the current update began.
    step_began: Instant,
}

impl Bars {
    pub(super) fn begin(screen: Screen, story: Story<'_>) -> Self {
        screen.heading(&heading(story));
        let all = MultiProgress::with_draw_target(ProgressDrawTarget::stdout());
        let begun = Instant::now();
        let now = Now {
            title: None,
            truth: None,
            bytes: None,
            estimated: begun,
            step_began: begun,
        };
        let now = Arc::new(Mutex::new(now));
        let bar = |template: &str, words: fn(&Now, usize) -> String, reserved: usize| {
            let now = now.clone();
            let write = move |_: &ProgressState, out: &mut dyn Write| {
                let room = screen.width().saturating_sub(reserved);
                // The bar's own buffer takes everything.
                let _ = out.write_str(&words(&lock(&now), room));
            };
            let style = ProgressStyle::with_template(template)
                .unwrap_or_else(|_| ProgressStyle::default_bar())
                .with_key("words", write)
                .progress_chars("=> ");
            let bar = all.add(ProgressBar::new(100).with_style(style));
            bar.enable_steady_tick(TICK);
            bar
        };
        let columns = (screen.width().saturating_sub(52)).clamp(10, 40);
        Self {
            whole: bar(
                &format!("  all     [{{bar:{columns}}}] {{pos:>3}} %  {{words}}"),
                Now::of_whole,
                columns + 20,
            ),
            own: bar(
                &format!("  current [{{bar:{columns}}}] {{pos:>3}} %  {{words}}"),
                Now::of_own,
                columns + 20,
            ),
            note: bar("{words}", Now::note, 1),
            titles: story
                .updates
                .iter()
                .map(|update| one_line(&update.title))
                .collect(),
            successes: story.operation != Operation::Download,
            screen,
            all,
            now,
        }
    }

    fn above(&self, line: &str) {
        // A terminal that is gone has nobody before it.
        let _ = self.all.println(harmless(line));
    }
}

fn lock(now: &Mutex<Now>) -> MutexGuard<'_, Now> {
    now.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Now {
    /// Takes over what the job says; clocks go on where nothing is new.
    fn follow(&mut self, view: &View, title: Option<String>) {
        let estimate = |truth: Option<&Truth>| truth.and_then(|truth| truth.remaining_seconds);
        if estimate(self.truth.as_ref()) != view.truth.remaining_seconds {
            self.estimated = Instant::now();
        }
        if self.title != title || self.truth.as_ref().map(|truth| truth.phase) != Some(view.truth.phase) {
            self.step_began = Instant::now();
        }
        self.title = title;
        self.bytes = view.bytes;
        self.truth = Some(view.truth.clone());
    }

    fn of_whole(&self, room: usize) -> String {
        let mut parts = Vec::new();
        if let Some((here, total)) = self.bytes.filter(|(_, total)| *total > 0) {
            parts.push(format!("{} of {}", bytes(here), bytes(total)));
        }
        let estimate = self.truth.as_ref().and_then(|truth| truth.remaining_seconds);
        let left = estimate.map(|seconds| seconds.min(1e7) - self.estimated.elapsed().as_secs_f64());
        if let Some(left) = left.filter(|left| *left >= 1.0) {
            parts.push(format!("about {} left", duration(Duration::from_secs_f64(left))));
        }
        shorten(&parts.join(", "), room)
    }

    /// The title makes room for what changes.
    fn of_own(&self, room: usize) -> String {
        let Some(truth) = &self.truth else {
            return String::new();
        };
        let mut step = truth.phase.word().to_owned();
        let took = self.step_began.elapsed();
        if took >= LONG {
            step.push_str(&format!(", {}", duration(took)));
        }
        let words = match &self.title {
            Some(title) => format!(
                "{}, {step}",
                shorten(title, room.saturating_sub(step.width() + 2))
            ),
            None => step,
        };
        shorten(&words, room)
    }

    /// What is waited for may take a few lines: its end, how long and what was said, is the news.
    fn note(&self, room: usize) -> String {
        let Some(truth) = &self.truth else {
            return String::new();
        };
        let words = waiting_phrase(truth).unwrap_or_else(|| {
            let power = if truth.safe_to_power_off {
                ""
            } else {
                "; do not switch the machine off"
            };
            let stop = if truth.can_abort {
                "Ctrl-C stops at the next safe point"
            } else {
                "cannot be stopped now"
            };
            format!("{stop}{power}")
        });
        let lines = wrap(&one_line(&words), room, "  ").into_iter().take(NOTE_LINES);
        lines
            .map(|line| shorten(&line, room))
            .collect::<Vec<_>>()
            .join("\n")
    }
}

impl Teller for Bars {
    fn progress(&mut self, view: &View, _: &dyn Fn() -> AnyProgress) {
        let at_work = view.result_code == OperationResultCode::InProgress;
        let title = self.titles.get(view.index).filter(|_| at_work).cloned();
        lock(&self.now).follow(view, title);
        self.whole.set_position(view.whole.into());
        if at_work {
            self.own.set_position(view.own.into());
        }
    }

    fn finished(&mut self, _: usize, update: &Update, result: &UpdateInstallationResult) {
        if result.result_code == OperationResultCode::Succeeded && !self.successes {
            return;
        }
        for line in finished_line(update, result, self.screen.width()) {
            self.above(&line);
        }
    }

    fn warning(&mut self, message: &str, hresult: HResult) {
        self.above(&warning_line(message, hresult));
    }

    fn completed(&mut self, _: OperationResultCode, _: HResult, _: bool) {
        self.whole.finish_and_clear();
        self.own.finish_and_clear();
        self.note.finish_and_clear();
        let _ = self.all.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wua_types::Phase;

    /// A moment of a job that said something `seconds` ago, and nothing since.
    fn silent_for(seconds: u64) -> Now {
        let then = Instant::now()
            .checked_sub(Duration::from_secs(seconds))
            .expect("the clock is older");
        let truth = Truth {
            phase: Phase::Configuring,
            remaining_seconds: Some(30.0),
            ..Truth::default()
        };
        Now {
            title: Some("docfinder 3.1-2".into()),
            truth: Some(truth),
            bytes: None,
            estimated: then,
            step_began: then,
        }
    }

    #[test]
    fn a_long_step_is_seen_to_go_on() {
        assert_eq!(silent_for(0).of_own(60), "docfinder 3.1-2, configuring");
        assert_eq!(silent_for(12).of_own(60), "docfinder 3.1-2, configuring, 12 s");
        assert_eq!(silent_for(12).of_own(24), "docf…, configuring, 12 s");
    }

    #[test]
    fn the_time_that_is_left_shrinks_while_the_job_says_nothing() {
        assert_eq!(silent_for(12).of_whole(60), "about 17 s left");
        assert_eq!(silent_for(31).of_whole(60), "");
    }
}
