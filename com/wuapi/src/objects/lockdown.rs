//! Locking down (`IUpdateLockdown`): a web page's host forbids what a page may not do.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use wua_types::HResult;

use crate::fault::{Answer, Fault};

/// The only flag: `uloForWebsiteAccess`.
const FOR_WEBSITE_ACCESS: i32 = 1;

/// Whether an object is locked down. One way, and passed on to what the object gives (rule R2).
#[derive(Clone, Debug, Default)]
pub struct Lockdown(Arc<AtomicBool>);

impl Lockdown {
    /// `LockDown`.
    pub fn lock_down(&self, flags: i32) -> Answer<()> {
        if flags != FOR_WEBSITE_ACCESS {
            return Err(Fault::new(HResult::E_INVALIDARG, format!("{flags} is no lockdown option")));
        }
        self.0.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// The check of each member that is refused afterwards.
    pub fn permits(&self) -> Answer<()> {
        if self.0.load(Ordering::Relaxed) {
            return Err(Fault::new(HResult::WU_E_INVALID_OPERATION, "The object is locked down"));
        }
        Ok(())
    }
}
