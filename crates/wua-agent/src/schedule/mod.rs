//! Automatic updates: what the agent does by itself, when, and why.
//!
//! Everything here decides and nothing acts. A loop around it looks at the machine ([`Situation`]), calls [`Memory::observe`] and
//! [`decide()`], carries out the [`Act`], says how that went with [`Memory::record`], and asks again: after every act, when
//! [`Decision::next`] has come, and whenever the clock was set, the machine woke up, or the situation changed. [`simulate()`] is
//! the same loop with a clock of its own.

mod api;
mod attempts;
mod decide;
mod install;
mod look;
mod made_up_machine;
mod memory;
mod merged;
mod pattern;
mod restart;
mod rules;
mod settings;
mod simulate;
mod situation;
mod time_of_day;
mod window;

pub use attempts::Attempts;
pub use decide::{Act, Decision, Occasion, decide};
pub use memory::{Acting, Memory, Offer, Outcome, RestartOrder, Run};
pub use merged::{Merged, POLICY_ONLY, PartialSettings};
pub use pattern::{Glob, Pattern};
pub use rules::{Hold, Rule, Verdict, judge};
pub use settings::{AutomaticSettings, Level, RestartPolicy, RestartSettings, ServicePolicy, SettingsError};
pub use simulate::{Happening, Script, SimulatedEvent, simulate};
pub use situation::Situation;
pub use time_of_day::{NotATimeOfDay, TimeOfDay};
pub use window::{Day, Opening, Window, WindowId, openings};

#[cfg(test)]
mod properties;
#[cfg(test)]
mod stories;
