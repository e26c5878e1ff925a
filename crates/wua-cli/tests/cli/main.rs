//! The command line from end to end: the built program on practice machines, with the real apt and dpkg.
//!
//! What holds for every command is checked by the harness on whatever a test runs: documents against
//! `docs/output.schema.json`, event lines against the laws of progress. Nothing here sleeps or kills what it did not start.

mod harness;

mod bad_input;
mod faults;
mod flags;
mod following;
mod keeper_dies;
mod limits;
mod locks;
mod papers;
mod plans;
mod refreshing;
mod repairing;
mod review;
mod searching;
mod selecting;
mod snapshots;
mod undo;
mod wine;
