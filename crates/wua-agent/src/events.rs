//! A job as a stream of Server-Sent Events: a snapshot of all that is known, results included, then what happens, to the end.
//!
//! Whoever connects again gets a new snapshot, so nothing is missed and nothing has to be remembered for anybody. A client that
//! reads slowly gets fewer notices: what waits for it is the job's own mailbox, which merges them.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;

use axum::response::sse::Event;
use futures_util::stream::{self, Stream, StreamExt as _};
use jiff::Timestamp;
use uuid::Uuid;
use wua_engine::event_file::published;
use wua_job::{Job, Narrator, Told};
use wua_types::api::Access;
use wua_types::{EventLine, JobEvent};

use crate::jobs::{Entry, Followed, Stage, document};

type Events = Pin<Box<dyn Stream<Item = Result<Event, Infallible>> + Send>>;

/// The events of a job from now on, for a caller who may see so much; ends with the job.
pub(crate) fn of(entry: Arc<Entry>, access: Access) -> Events {
    let begun = stream::once(async move {
        match entry.begun().await {
            Stage::Begun(Followed::Installation(job)) => of_job(job, access),
            Stage::Begun(Followed::Download(job)) => of_job(job, access),
            Stage::Refused(problem) => {
                let told = problem.for_access(access).document();
                Box::pin(stream::iter([Ok(event("problem", &told))])) as Events
            }
            Stage::Waiting => Box::pin(stream::empty()),
        }
    });
    Box::pin(begun.flatten())
}

fn of_job<K: Told>(job: Job<K>, access: Access) -> Events {
    let first = job.progress();
    let snapshot = document(&job, &first, access);
    let opening = Ok(event("snapshot", &snapshot));
    if snapshot.outcome.is_some() {
        return Box::pin(stream::iter([opening]));
    }
    let changes = job.stream();
    let rest = stream::unfold(
        Some((job, changes, Narrator::after(&first))),
        move |state| async move {
            let (job, mut changes, mut narrator) = state?;
            match changes.next().await {
                Some(now) => {
                    let lines = lines(job.id(), narrator.tell(&job, &now), access);
                    Some((lines, Some((job, changes, narrator))))
                }
                None => Some((lines(job.id(), narrator.end(&job), access), None)),
            }
        },
    );
    Box::pin(stream::iter([opening]).chain(rest.flat_map(stream::iter)))
}

fn lines(job: Uuid, events: Vec<JobEvent>, access: Access) -> Vec<Result<Event, Infallible>> {
    let time = Timestamp::now();
    let line = |told: JobEvent| {
        let told = if access == Access::Owner {
            told
        } else {
            published(told)
        };
        let name = match &told {
            JobEvent::Started { .. } => "started",
            JobEvent::Progress(_) => "progress",
            JobEvent::UpdateFinished { .. } => "update_finished",
            JobEvent::Warning { .. } => "warning",
            JobEvent::Completed { .. } => "completed",
        };
        let line = EventLine {
            job,
            time,
            event: told,
        };
        Ok(event(name, &line))
    };
    events.into_iter().map(line).collect()
}

fn event(name: &str, data: &impl serde::Serialize) -> Event {
    let text = serde_json::to_string(data).expect("plain values serialise");
    Event::default().event(name).data(text)
}
