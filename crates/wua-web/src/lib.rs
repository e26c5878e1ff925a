//! The web page: a small server on the loopback address, for the user who started it and with that user's rights.
//!
//! It computes nothing about updates. What lies under `/api` is passed on to the agent's sockets ([`relay`](self)); the rest is the
//! page, which is part of the program. Who may come in is decided in one place ([`guard`](self)) before anything is answered: the
//! exact `Host`, no foreign `Origin`, and the token for everything but the page itself. The URL's code buys the token once.

#![forbid(unsafe_code)]

mod guard;
mod page;
mod problem;
mod relay;
mod server;

pub use server::{WebError, WebServer};
