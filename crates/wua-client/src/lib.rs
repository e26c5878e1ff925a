//! A typed client of the agent's API. What it begins are the same [`wua_job`] jobs that the engine gives, so a program that follows
//! the one follows the other.
//!
//! It reaches the agent by its Unix socket, or through `wua bridge` where there are none, such as under Wine. What it hears there may
//! come from anybody: every answer has a greatest length and a longest time, and one that is not understood is an error.
//!
//! It blocks, needs no runtime, and brings threads only for jobs that run. It never acts by itself: an agent that goes away and comes
//! back is followed again for a minute (rule R29); the job on the machine goes on either way.

#![forbid(unsafe_code)]

mod bridge;
mod client;
mod error;
mod follow;
#[cfg(unix)]
mod socket;

pub use client::{AgentClient, Begin, History};
pub use error::ClientError;
