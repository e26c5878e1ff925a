//! The agent as programs meet it: the real service, on practice machines, over its sockets. Every answer that a test sees is held
//! against the API's description.

mod api;
mod authorizing;
mod bridge;
mod fronting;
#[path = "../cli/harness/mod.rs"]
#[expect(
    dead_code,
    unused_imports,
    reason = "the tests of the command line use the rest"
)]
mod harness;
mod looking;
mod orders;
mod outliving;
mod scheduled;
mod web;
mod working;
