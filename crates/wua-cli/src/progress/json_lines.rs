//! `--output jsonl`: a job as it happens, one object a line.

use jiff::Timestamp;
use wua_types::event::AnyProgress;
use wua_types::{
    EventLine, HResult, JobEvent, OperationResultCode, StartedUpdate, Update, UpdateInstallationResult,
};

use super::{Story, Teller, View};
use crate::screen::Screen;

pub(super) struct JsonLines {
    screen: Screen,
    job: uuid::Uuid,
}

impl JsonLines {
    pub(super) fn begin(screen: Screen, story: Story<'_>) -> Self {
        let lines = Self {
            screen,
            job: story.job,
        };
        lines.say(JobEvent::Started {
            operation: story.operation,
            plan_hash: None,
            updates: StartedUpdate::all(story.updates),
        });
        lines
    }

    fn say(&self, event: JobEvent) {
        let line = EventLine {
            job: self.job,
            time: Timestamp::now(),
            event,
        };
        if let Ok(text) = serde_json::to_string(&line) {
            self.screen.text(&(text + "\n"));
        }
    }
}

impl Teller for JsonLines {
    fn progress(&mut self, _: &View, any: &dyn Fn() -> AnyProgress) {
        self.say(JobEvent::Progress(any()));
    }

    fn finished(&mut self, index: usize, update: &Update, result: &UpdateInstallationResult) {
        self.say(JobEvent::UpdateFinished {
            index,
            id: update.id(),
            result: result.clone(),
        });
    }

    fn warning(&mut self, message: &str, hresult: HResult) {
        self.say(JobEvent::Warning {
            message: message.into(),
            hresult,
        });
    }

    fn completed(&mut self, result_code: OperationResultCode, hresult: HResult, reboot_required: bool) {
        self.say(JobEvent::Completed {
            result_code,
            hresult,
            reboot_required,
        });
    }
}
