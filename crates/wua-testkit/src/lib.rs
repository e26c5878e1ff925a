//! Scripted parts for the tests of wua: a source that offers what it is told to, a handler that does what it is told to, a
//! machine in a temporary folder, and handshakes in place of sleeping.
//!
//! For development only: everything here panics where an expectation does not hold.

pub mod gate;
pub mod handler;
pub mod machine;
pub mod observer;
pub mod source;
pub mod story;
pub mod update;

pub use gate::{Gate, Key, gate};
pub use handler::{ScriptedHandler, failed, succeed, succeeded};
pub use machine::TestMachine;
pub use observer::Observer;
pub use source::ScriptedSource;
pub use story::Story;
pub use update::UpdateBuilder;
