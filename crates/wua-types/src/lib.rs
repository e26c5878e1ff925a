//! The vocabulary of wua: what an update is, what is planned, how far work is and how it ended.
//!
//! Names and numbers are those of the Windows Update Agent API; documents cite its rules as R1 to R50. Everything here is
//! a value: no input or output, no threads, no clocks.

pub mod api;
pub mod category;
pub mod criteria;
pub mod enums;
pub mod event;
pub mod history;
pub mod hresult;
pub mod identity;
pub mod percent;
pub mod plan;
pub mod practice;
pub mod progress;
pub mod quote;
pub mod result;
pub mod service;
pub mod update;

pub use category::{Category, CategoryType};
pub use criteria::{Criteria, CriteriaError};
pub use enums::*;
pub use event::{EventLine, JobEvent, Operation, StartedUpdate};
pub use history::UpdateHistoryEntry;
pub use hresult::HResult;
pub use identity::{UpdateId, UpdateIdentity};
pub use percent::Percent;
pub use plan::{InstallPlan, PlanHash, PlannedChange, PlannedUpdate};
pub use progress::{DownloadProgress, InstallationProgress, Phase, Progress, Truth, WaitingFor};
pub use result::{
    DownloadResult, InstallationResult, KeptBack, SearchResult, UpdateDownloadResult, UpdateException,
    UpdateInstallationResult, UpdateResult,
};
pub use service::UpdateService;
pub use update::{DownloadContent, InstallationBehavior, MsrcSeverity, PackageChange, Update};
