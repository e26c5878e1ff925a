//! The agent: a service that keeps one machine up to date for others. People reach it by a page in their browser, programs by an
//! API, the clock by a schedule.
//!
//! It listens on two Unix sockets only: `read.sock`, for everybody, and `control.sock`, for those whom the file's permissions let
//! in (`caller` says what each may do). It does little itself, so that it stays small and may be stopped at any time:
//! searches run in short-lived children ([`ask`]), jobs in workers of their own ([`worker`]) that speak in files. A restarted
//! agent finds them there.
//!
//! The way of a job: `jobs` takes a request, with what its caller is authorised to (`order`), writes it down and starts a
//! worker; the worker plans, and calls the engine; the agent follows the worker's file and feeds a
//! [`wua_job::Job`], whose streams are the API's Server-Sent Events.

#![forbid(unsafe_code)]

mod acts;
mod alarm;
pub mod ask;
mod caller;
mod changes;
mod events;
mod jobs;
mod machine;
mod metrics;
mod motd;
mod notify;
mod order;
mod problem;
mod request;
mod routes;
pub mod schedule;
mod scheduler;
mod seats;
mod server;
pub mod settings;
mod states;
mod surroundings;
pub mod worker;
mod workers;

pub use server::{Service, run};

/// The description of the API (OpenAPI 3.1), as it is served.
pub const OPENAPI: &str = include_str!("openapi.json");

/// Where the agent of the machine itself listens.
pub const SOCKETS: &str = "/run/wua";
