//! Progress on a terminal: a bar for the whole, a bar for the current update, and a line for what is being waited for. What is
//! finished scrolls away above them.

use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use wua_types::event::AnyProgress;
use wua_types::{HResult, Operation, OperationResultCode, Update, UpdateInstallationResult};

use super::{Story, Teller, View, gerund, waiting_phrase};
use crate::report::{finished_line, warning_line};
use crate::screen::Screen;
use crate::text::{bytes, count, duration, shorten};

pub(super) struct Bars {
    screen: Screen,
    /// Downloads tell only what went wrong: what went well is told once more when it is installed.
    successes: bool,
    all: MultiProgress,
    whole: ProgressBar,
    own: ProgressBar,
    note: ProgressBar,
    titles: Vec<String>,
}

impl Bars {
    pub(super) fn begin(screen: Screen, story: Story<'_>) -> Self {
        screen.heading(&format!("{} {}", gerund(story.operation), count(story.updates.len(), "update")));
        let all = MultiProgress::with_draw_target(ProgressDrawTarget::stdout());
        let bar = |template: &str| {
            let style = ProgressStyle::with_template(template)
                .unwrap_or_else(|_| ProgressStyle::default_bar())
                .progress_chars("=> ");
            all.add(ProgressBar::new(100).with_style(style))
        };
        let columns = (screen.width().saturating_sub(52)).clamp(10, 40);
        Self {
            whole: bar(&format!("  all     [{{bar:{columns}}}] {{pos:>3}} %  {{msg}}")),
            own: bar(&format!("  current [{{bar:{columns}}}] {{pos:>3}} %  {{msg}}")),
            note: bar("  {msg}"),
            titles: story.updates.iter().map(|update| update.title.clone()).collect(),
            successes: story.operation != Operation::Download,
            screen,
            all,
        }
    }

    fn above(&self, line: &str) {
        // A terminal that is gone has nobody before it.
        let _ = self.all.println(line);
    }

    fn room(&self) -> usize {
        let columns = (self.screen.width().saturating_sub(52)).clamp(10, 40);
        self.screen.width().saturating_sub(columns + 20)
    }
}

impl Teller for Bars {
    fn progress(&mut self, view: &View, _: &dyn Fn() -> AnyProgress) {
        let room = self.room();
        self.whole.set_position(view.whole.into());
        let mut parts = Vec::new();
        if let Some((here, total)) = view.bytes.filter(|(_, total)| *total > 0) {
            parts.push(format!("{} of {}", bytes(here), bytes(total)));
        }
        if let Some(seconds) = view.truth.remaining_seconds.filter(|seconds| *seconds >= 1.0) {
            parts.push(format!("about {} left", duration(Duration::from_secs_f64(seconds.min(1e7)))));
        }
        self.whole.set_message(shorten(&parts.join(", "), room));
        if view.result_code == OperationResultCode::InProgress {
            self.own.set_position(view.own.into());
            let title = self.titles.get(view.index).map_or("", String::as_str);
            self.own.set_message(shorten(&format!("{title}, {}", view.truth.phase.word()), room));
        } else {
            self.own.set_message(shorten(view.truth.phase.word(), room));
        }
        let note = waiting_phrase(&view.truth).unwrap_or_else(|| {
            let power = if view.truth.safe_to_power_off { "" } else { "; do not switch the machine off" };
            let stop = if view.truth.can_abort { "Ctrl-C stops at the next safe point" } else { "cannot be stopped now" };
            format!("{stop}{power}")
        });
        self.note.set_message(shorten(&note, self.screen.width().saturating_sub(3)));
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
