//! Practice machines: throw-away Debian trees on which the real `apt-get` and `dpkg` run without privileges, with signed
//! archives of small real packages.
//!
//! [`PracticeMachine::create`] follows a [`Recipe`]: it installs the old versions of a set of invented products and
//! then publishes the new ones, so the machine has updates waiting, some of them with the [`Fault`]s asked for.
//! [`PracticeMachine::empty`], [`Package`] and [`Archive`] are the parts below, for tests and benches that make a
//! machine of their own. Nothing outside the machine's directory is written; the host lends its programs only.
//!
//! ```no_run
//! use wua_sandbox::{Fault, PracticeMachine, Recipe};
//!
//! let recipe = Recipe { updates: 3, faults: [Fault::Slow].into(), ..Recipe::default() };
//! let machine = PracticeMachine::create("/tmp/practice".as_ref(), &recipe)?;
//! assert!(machine.dpkg_state("inkpot").is_some());
//! # Ok::<(), wua_sandbox::SandboxError>(())
//! ```

#![forbid(unsafe_code)]

mod archive;
mod catalogue;
mod content;
mod create;
mod deb;
mod dpkg;
mod error;
mod fault;
mod fault_sources;
mod index;
mod machine;
mod mark;
mod package;
mod recipe;
mod signing;
mod source;
mod tree;

pub use crate::archive::{Archive, Suite};
pub use crate::error::SandboxError;
pub use crate::fault::{Fault, UnknownFault};
pub use crate::machine::PracticeMachine;
pub use crate::package::{Package, Script};
pub use crate::recipe::{PracticeUpdate, Recipe};
