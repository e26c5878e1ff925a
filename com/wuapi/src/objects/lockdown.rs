//! Locking down (`IUpdateLockdown`): a web page's host forbids what a page may not do.

use std::sync::atomic::{AtomicBool, Ordering};

use wua_types::HResult;

use crate::fault::{Answer, Fault};

/// The only flag: `uloForWebsiteAccess`.
const FOR_WEBSITE_ACCESS: i32 = 1;

/// Whether an object is locked down: one way, and passed on to what the object gives afterwards (rule R2).
#[derive(Debug, Default)]
pub struct Lockdown(AtomicBool);

impl Lockdown {
    /// `LockDown`.
    pub fn lock_down(&self, flags: i32) -> Answer<()> {
        if flags != FOR_WEBSITE_ACCESS {
            return Err(Fault::new(
                HResult::E_INVALIDARG,
                format!("{flags} is no lockdown option"),
            ));
        }
        self.0.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// Whether it is.
    pub fn is_locked(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// For an object that this one gives.
    pub fn passed_on(&self) -> Self {
        Self(self.is_locked().into())
    }

    /// The check of each member that is refused afterwards.
    pub fn permits(&self) -> Answer<()> {
        permits(self.is_locked())
    }
}

/// The same, for objects that were made locked down or not.
pub fn permits(is_locked: bool) -> Answer<()> {
    if is_locked {
        return Err(Fault::new(
            HResult::WU_E_INVALID_OPERATION,
            "The object is locked down",
        ));
    }
    Ok(())
}
