//! Following a job through its stream of Server-Sent Events, to its end, across any number of connections.

use std::io::{BufRead, BufReader, Read as _};
use std::thread;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use ureq::http::Method;
use uuid::Uuid;
use wua_job::{Ending, JobFeed, Told, hear};
use wua_types::api::{JobDocument, ProblemDocument};
use wua_types::event::AnyProgress;
use wua_types::{EventLine, HResult, JobEvent, OperationResultCode, Phase, UpdateResult as _, WaitingFor};

use crate::client::{AgentClient, Kind};
use crate::error::ClientError;

/// How long an agent that went away is waited for (rule R29).
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// How long between two tries to reach it.
pub(crate) const AGAIN: Duration = Duration::from_millis(250);

/// The most bytes of one event.
const LONGEST: u64 = 64 << 20;

/// Feeds a job until its end. Blocks.
pub(crate) fn follow<K: Told>(client: &AgentClient, id: Uuid, feed: JobFeed<K>) {
    let mut heard = Heard {
        feed: &feed,
        warnings: 0,
        last: None,
        has_spoken: false,
    };
    let mut away = Away::default();
    let ending = loop {
        heard.has_spoken = false;
        match heard.listen(client, id) {
            Ok(Some(ending)) => break ending,
            // What is too busy now is not so for ever.
            Err(ClientError::Problem(problem)) if !matches!(problem.status, 503 | 504) => {
                break heard.refused(&problem);
            }
            Ok(None) | Err(_) => {
                let Some(since) = away.lost(Instant::now(), heard.has_spoken) else {
                    break heard.gone();
                };
                heard.wait_for_agent(since);
                thread::sleep(AGAIN);
            }
        }
    };
    let results = feed.job().progress().update_results().cloned().collect();
    feed.complete(K::hear_outcome(ending, results));
}

/// Since when the agent is away.
#[derive(Default)]
struct Away {
    since: Option<Instant>,
}

impl Away {
    /// A stream ended, or could not be had, at `now`; one that has spoken shows that the agent was there until then. Since when it is
    /// away; none if that is too long.
    fn lost(&mut self, now: Instant, has_spoken: bool) -> Option<Instant> {
        if has_spoken {
            self.since = None;
        }
        let since = *self.since.get_or_insert(now);
        (now.duration_since(since) <= PATIENCE).then_some(since)
    }
}

struct Heard<'a, K: Told> {
    feed: &'a JobFeed<K>,
    /// How many warnings were passed on.
    warnings: usize,
    last: Option<AnyProgress>,
    /// Whether the stream that is listened to has said how the job stands.
    has_spoken: bool,
}

impl<K: Told> Heard<'_, K> {
    /// Listens to one stream; how the job ended, or nothing where the stream ended before it.
    fn listen(&mut self, client: &AgentClient, id: Uuid) -> Result<Option<Ending>, ClientError> {
        let response = client.request(Kind::Stream, Method::GET, &format!("/jobs/{id}/events"), None)?;
        let mut lines = BufReader::new(response.into_body().into_reader());
        let (mut name, mut data) = (String::new(), String::new());
        loop {
            let mut line = String::new();
            let read = lines.by_ref().take(LONGEST).read_line(&mut line);
            let read = read.map_err(|error| ClientError::NotThere(error.to_string()))?;
            if read == 0 {
                return Ok(None);
            }
            if (read + data.len()) as u64 >= LONGEST {
                return Err(ClientError::NotUnderstood("an event is too long".into()));
            }
            match line.trim_end_matches(['\r', '\n']) {
                "" => {
                    if let Some(ending) = self.event(&name, &data)? {
                        return Ok(Some(ending));
                    }
                    name.clear();
                    data.clear();
                }
                line => {
                    if let Some(value) = line.strip_prefix("event:") {
                        name = value.trim_start().into();
                    } else if let Some(value) = line.strip_prefix("data:") {
                        data.push_str(value.trim_start());
                    }
                }
            }
        }
    }

    fn event(&mut self, name: &str, data: &str) -> Result<Option<Ending>, ClientError> {
        let not_understood = |error: serde_json::Error| ClientError::NotUnderstood(error.to_string());
        match name {
            "snapshot" => {
                let now: JobDocument = serde_json::from_str(data).map_err(not_understood)?;
                Ok(self.snapshot(now))
            }
            "problem" => {
                let problem: ProblemDocument = serde_json::from_str(data).map_err(not_understood)?;
                Err(ClientError::Problem(Box::new(problem)))
            }
            "" => Ok(None),
            _ => {
                let line: EventLine = serde_json::from_str(data).map_err(not_understood)?;
                Ok(self.change(line.event))
            }
        }
    }

    fn snapshot(&mut self, now: JobDocument) -> Option<Ending> {
        self.has_spoken = true;
        for warning in now.warnings.into_iter().skip(self.warnings) {
            self.change(JobEvent::Warning {
                message: warning.message,
                hresult: warning.hresult,
            });
        }
        for (index, result) in now.results.into_iter().enumerate() {
            if result.result_code.is_final() {
                self.feed.update_finished(index, K::hear_result(result));
            }
        }
        self.change(JobEvent::Progress(now.progress));
        now.outcome.map(|outcome| Ending {
            result_code: outcome.result_code,
            hresult: outcome.hresult,
            reboot_required: outcome.reboot_required,
        })
    }

    fn change(&mut self, event: JobEvent) -> Option<Ending> {
        match &event {
            // Shown again, as waiting, while the agent is away.
            JobEvent::Progress(progress) => self.last = Some(progress.clone()),
            // A later snapshot begins with those that are known.
            JobEvent::Warning { .. } => self.warnings += 1,
            JobEvent::Started { .. } | JobEvent::UpdateFinished { .. } | JobEvent::Completed { .. } => {}
        }
        hear(event, self.feed)
    }

    /// Progress stands still, and says why.
    fn wait_for_agent(&self, since: Instant) {
        let Some(mut waiting) = self.last.clone() else {
            return;
        };
        let truth = waiting.truth_mut();
        truth.phase = Phase::Waiting;
        truth.waiting_for = Some(WaitingFor {
            what: "agent".into(),
            since: Timestamp::now() - since.elapsed(),
            holder: None,
            detail: None,
        });
        if let Some(progress) = K::hear_progress(waiting) {
            self.feed.progress(progress);
        }
    }

    /// The agent is gone for good, or so it seems from here.
    fn gone(&self) -> Ending {
        let hresult = HResult::WU_E_SERVICE_STOP;
        let sentence = "the agent went away; the job goes on, and its history will hold the result";
        self.end_rest(OperationResultCode::Aborted, hresult, sentence);
        Ending {
            result_code: OperationResultCode::Aborted,
            hresult,
            reboot_required: false,
        }
    }

    fn refused(&self, problem: &ProblemDocument) -> Ending {
        self.end_rest(OperationResultCode::Failed, problem.hresult, &problem.detail);
        Ending {
            result_code: OperationResultCode::Failed,
            hresult: problem.hresult,
            reboot_required: false,
        }
    }

    fn end_rest(&self, code: OperationResultCode, hresult: HResult, message: &str) {
        let now = self.feed.job().progress();
        for (index, result) in now.update_results().enumerate() {
            if !result.result_code().is_final() {
                self.feed
                    .update_finished(index, K::UpdateResult::ended(code, hresult, message));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agent_that_comes_back_may_go_away_again_as_long() {
        let begin = Instant::now();
        let at = |seconds| begin + Duration::from_secs(seconds);
        let mut away = Away::default();
        assert_eq!(away.lost(at(0), true), Some(at(0)));
        assert_eq!(away.lost(at(50), false), Some(at(0)));
        // It was back in between.
        assert_eq!(away.lost(at(100), true), Some(at(100)));
        assert_eq!(away.lost(at(160), false), Some(at(100)));
        assert_eq!(away.lost(at(161), false), None);
    }
}
