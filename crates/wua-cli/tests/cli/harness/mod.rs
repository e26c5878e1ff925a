//! What the tests work with: practice machines, the program run on them, and the laws that all output keeps.

mod front;
mod laws;
mod machine;
mod run;
mod schema;

pub(crate) use front::Front;
pub(crate) use machine::{Machine, titles};
pub(crate) use run::{Run, program, run_anywhere};
