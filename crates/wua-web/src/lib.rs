//! Servers on the loopback address, for the user who started them and with that user's rights: the web page ([`WebServer`]), and the
//! bridge for programs that have no Unix sockets ([`Bridge`]).
//!
//! They compute nothing about updates. Requests are passed on to the agent's sockets ([`relay`](self)): of the page what lies under
//! `/api`, of the bridge everything. Who may come in is decided in one place ([`guard`](self)) before anything is answered: the exact
//! `Host`, no foreign `Origin`, and the token for everything but the page itself. The page's URL has a code that buys the token once; the
//! bridge's token stands in a file of its user's.

#![forbid(unsafe_code)]

mod bridge;
mod guard;
mod loopback;
mod page;
mod problem;
mod relay;
mod secret;
mod server;

pub use bridge::{Bridge, BridgeError};
pub use loopback::WebError;
pub use server::WebServer;
