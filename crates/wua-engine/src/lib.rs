//! The engine of wua: sessions, searchers, downloaders and installers on one machine, and the keeper that carries jobs out.
//!
//! It knows no package manager and no network protocol; those come in through [`source::UpdateSource`] and
//! [`handler::UpdateHandler`]. It is synchronous: what takes long runs in threads or in the keeper's process, and jobs
//! ([`wua_job`]) tell how far it is. It prints nothing and reads no environment.
//!
//! The way of an installation: [`installer`] checks and starts, [`planner`] decides, [`order`] is written down, [`keeper`]
//! carries it out batch by batch, [`reporter`](crate::keeper) tells history and the event file, [`follow`] feeds the caller's
//! job.

pub mod aggregate;
pub mod batches;
mod beat;
mod beginning;
pub mod cleaning;
mod clock;
pub mod detached;
pub mod downloader;
pub mod durations;
pub mod ear;
pub mod event_file;
pub mod failure;
pub mod files;
pub mod folders;
pub mod follow;
mod found_again;
pub mod hand_over;
pub mod handler;
mod heal;
mod inhibitor;
pub mod installer;
pub mod jobs;
pub mod journal;
pub mod keeper;
pub mod lock;
pub mod machine;
pub mod meter;
pub mod order;
pub mod planner;
pub mod policy;
pub mod power;
pub mod process;
mod reporter;
pub mod resume;
pub mod seam;
pub mod searcher;
pub mod service_manager;
mod service_unit;
pub mod session;
pub mod source;
pub mod space;
pub mod stage;
pub mod start_error;
pub mod state;
pub mod store;
pub mod system;
pub mod timeline;
mod transfer;
pub mod undo;
mod voice;

pub use downloader::UpdateDownloader;
pub use failure::Failure;
pub use folders::Folders;
pub use handler::UpdateHandler;
pub use installer::UpdateInstaller;
pub use machine::{Keeper, Machine};
pub use policy::Policy;
pub use searcher::UpdateSearcher;
pub use service_manager::UpdateServiceManager;
pub use session::UpdateSession;
pub use source::UpdateSource;
pub use start_error::StartError;
pub use system::SystemInformation;
