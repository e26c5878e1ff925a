//! Progress where the output is no terminal: a line when something begins, waits, or ends.

use wua_types::event::AnyProgress;
use wua_types::{HResult, Operation, OperationResultCode, Update, UpdateInstallationResult};

use super::{Story, Teller, View, heading, waiting_phrase};
use crate::report::{finished_line, warning_line};
use crate::screen::Screen;
use crate::text::one_line;

pub(super) struct Lines {
    screen: Screen,
    /// Downloads tell only what went wrong: what went well is told once more when it is installed.
    successes: bool,
    titles: Vec<String>,
    current: Option<usize>,
    waiting: Option<String>,
}

impl Lines {
    pub(super) fn begin(screen: Screen, story: Story<'_>) -> Self {
        screen.line(heading(story));
        let titles = story
            .updates
            .iter()
            .map(|update| one_line(&update.title))
            .collect();
        let successes = story.operation != Operation::Download;
        Self {
            screen,
            successes,
            titles,
            current: None,
            waiting: None,
        }
    }
}

impl Teller for Lines {
    fn progress(&mut self, view: &View, _: &dyn Fn() -> AnyProgress) {
        let began = view.result_code == OperationResultCode::InProgress && self.current != Some(view.index);
        if self.successes && began {
            self.current = Some(view.index);
            let title = self.titles.get(view.index).map_or("", String::as_str);
            self.screen.line(format!(
                "  {:>3} %  {title}: {}",
                view.whole,
                view.truth.phase.word()
            ));
        }
        let waiting = view
            .truth
            .waiting_for
            .as_ref()
            .map(|waiting| waiting.what.clone());
        if waiting != self.waiting {
            if let Some(phrase) = waiting_phrase(&view.truth) {
                self.screen.line(format!("  {:>3} %  {phrase}", view.whole));
            }
            self.waiting = waiting;
        }
    }

    fn finished(&mut self, _: usize, update: &Update, result: &UpdateInstallationResult) {
        if result.result_code == OperationResultCode::Succeeded && !self.successes {
            return;
        }
        for line in finished_line(update, result, self.screen.width()) {
            self.screen.line(line);
        }
    }

    fn warning(&mut self, message: &str, hresult: HResult) {
        self.screen.line(warning_line(message, hresult));
    }

    fn completed(&mut self, _: OperationResultCode, _: HResult, _: bool) {}
}
