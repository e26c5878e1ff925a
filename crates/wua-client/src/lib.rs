//! A typed client of the agent's API. What it begins are the same [`wua_job`] jobs that the engine gives, so a program that follows
//! the one follows the other.
//!
//! It blocks, needs no runtime, and brings threads only for jobs that run. It never acts by itself: an agent that goes away and comes
//! back is followed again for a minute (rule R29); the job on the machine goes on either way.

#![forbid(unsafe_code)]

mod client;
mod error;
mod follow;
mod socket;

pub use client::{AgentClient, Begin, History};
pub use error::ClientError;
