//! The asynchronous contract of wua's jobs: searches, downloads, installations and uninstallations (rules R10 to R29).
//!
//! A [`Job`] is one piece of running work as its callers see it. It is fed through a [`JobFeed`] by whoever knows how the
//! work goes: a worker in the same process, or the follower of a keeper's event file. Callers follow it in three ways, all
//! over one state and therefore always in agreement: an observer's callbacks, blocking waits, and a [`Stream`](JobStream)
//! that needs no runtime. This crate does no work of its own and no input or output.
//!
//! ```text
//!          start            Release::release
//! (nothing) ───▶ Running ───────────────────▶ Running, callbacks flow
//!                  │  ▲                          │
//!                  │  └─ JobFeed::progress, update_finished, warning
//!                  │     request_abort: a wish, kept until the end
//!                  │
//!                  ├─ JobFeed::complete, or the feed dropped (WU_E_UNEXPECTED)
//!                  ▼
//!              Completed ─── Job::end, once ───▶ Ended
//!
//! callbacks:  Held ─ release ─▶ Flowing ─ completed returned ───────────────▶ Released
//!               │                  └ clean_up inside a callback ▶ Disconnecting ──▲
//!               └ Release dropped, or no observer ────────────────────────────────┘
//! ```
//!
//! What holds in every state, each point held by tests:
//!
//! - The total never falls; a snapshot whose current update is final has that update's final result.
//! - Notices come one at a time and in order from the job's own thread, `completed` last and at most once.
//! - The first start and the final result of every update have notices of their own; the rest may merge into the newest.
//! - The feed never waits for a callback, and a slow callback costs at most two snapshots an update.
//! - No lock is held while foreign code runs: observers, wakers, abort hooks, destructors of what callers gave.

#![forbid(unsafe_code)]

mod error;
mod feed;
mod job;
mod kind;
mod mailbox;
mod notifier;
mod observer;
mod record;
mod shared;
mod snapshot;
mod start;
mod stream;
mod told;

pub use error::JobError;
pub use feed::JobFeed;
pub use job::{Change, CleanUp, Job, LentCallback, WeakJob};
pub use kind::{
    Download, DownloadJob, Installation, InstallationJob, JobKind, NoProgress, NoUpdateResult, Search,
    SearchJob,
};
pub use observer::{CallbackError, JobObserver};
pub use snapshot::{Snapshot, Warning};
pub use start::{JobBuilder, Release, Started};
pub use stream::JobStream;
pub use told::{Ending, Narrator, Told, hear};
