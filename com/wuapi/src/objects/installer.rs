//! `UpdateInstaller`: what to install or remove, and how. The work itself is in `jobs`.

use std::sync::{Arc, Mutex};

use windows::Win32::System::Com::ISupportErrorInfo;
use windows::Win32::System::Variant::VARIANT;
use windows_core::{BSTR, ComObject, IUnknown, implement};
use wua_types::{HResult, UpdateOperation};

use crate::agent;
use crate::api::{
    IInstallationJob, IInstallationResult, IUpdateCollection, IUpdateInstaller_Impl, IUpdateInstaller2_Impl,
    IUpdateInstaller3_Impl, IUpdateInstaller4, IUpdateInstaller4_Impl, IUpdateLockdown, IUpdateLockdown_Impl,
};
use crate::dispatch::scripted;
use crate::fault::Answer;
use crate::git::Kept;
use crate::jobs;
use crate::module::Lease;
use crate::objects::client_id::ClientId;
use crate::objects::lockdown::Lockdown;
use crate::objects::wanted::Wanted;
use crate::objects::{Update, lock};

/// An installation or removal about to begin: the installer's properties as they are then.
#[derive(Clone, Debug)]
pub struct InstallSnapshot {
    /// Which of the two.
    pub operation: UpdateOperation,
    /// Who asks.
    pub client_application_id: Option<String>,
    /// Its switches.
    pub options: InstallOptions,
    /// `Updates`; empty where none were set.
    pub updates: Vec<ComObject<Update>>,
}

/// The switches of an installer.
#[derive(Clone, Copy, Debug)]
pub struct InstallOptions {
    /// `IsForced`.
    pub is_forced: bool,
    /// `ForceQuiet`.
    pub force_quiet: bool,
    /// `AllowSourcePrompts`.
    pub allow_source_prompts: bool,
    /// `AttemptCloseAppsIfNecessary`; has no effect where there are no store apps.
    pub attempt_close_apps_if_necessary: bool,
    /// `ParentHwnd`.
    pub parent_hwnd: isize,
}

/// The object.
#[implement(IUpdateInstaller4, IUpdateLockdown, ISupportErrorInfo)]
#[derive(Debug)]
pub struct UpdateInstaller {
    client_id: ClientId,
    options: Mutex<InstallOptions>,
    parent_window: Mutex<Option<Arc<Kept<IUnknown>>>>,
    updates: Wanted,
    lockdown: Lockdown,
    own_job: jobs::OwnJob,
    _lease: Lease,
}

scripted!(UpdateInstaller_Impl => IUpdateInstaller4);

impl UpdateInstaller {
    /// One that a session makes.
    pub fn of_session(client_id: ClientId) -> Self {
        let options = InstallOptions {
            is_forced: false,
            force_quiet: false,
            allow_source_prompts: true,
            attempt_close_apps_if_necessary: false,
            parent_hwnd: 0,
        };
        Self {
            client_id,
            options: Mutex::new(options),
            parent_window: Mutex::default(),
            updates: Wanted::default(),
            lockdown: Lockdown::default(),
            own_job: jobs::OwnJob::default(),
            _lease: Lease::default(),
        }
    }

    fn snapshot(&self, operation: UpdateOperation) -> Answer<InstallSnapshot> {
        self.lockdown.permits()?;
        Ok(InstallSnapshot {
            operation,
            client_application_id: self.client_id.name(),
            options: *lock(&self.options),
            updates: self.updates.updates(),
        })
    }

    fn begin(
        &self,
        operation: UpdateOperation,
        on_progress_changed: Option<&IUnknown>,
        on_completed: Option<&IUnknown>,
        state: &VARIANT,
    ) -> Answer<IInstallationJob> {
        jobs::begin_installation(
            self.snapshot(operation)?,
            &self.own_job,
            on_progress_changed,
            on_completed,
            state,
        )
    }

    fn end(&self, operation: UpdateOperation, job: Option<&IInstallationJob>) -> Answer<IInstallationResult> {
        self.lockdown.permits()?;
        jobs::end_installation(operation, job)
    }

    fn run(&self, operation: UpdateOperation) -> Answer<IInstallationResult> {
        jobs::install(self.snapshot(operation)?, &self.own_job)
    }

    fn set(&self, set: impl FnOnce(&mut InstallOptions)) -> Answer<()> {
        set(&mut lock(&self.options));
        Ok(())
    }
}

impl Default for UpdateInstaller {
    fn default() -> Self {
        Self::of_session(ClientId::default())
    }
}

impl IUpdateInstaller_Impl for UpdateInstaller_Impl {
    fn client_application_id(&self) -> Answer<BSTR> {
        Ok(self.client_id.get())
    }

    fn put_client_application_id(&self, value: &BSTR) -> Answer<()> {
        self.client_id.put(value);
        Ok(())
    }

    fn is_forced(&self) -> Answer<bool> {
        Ok(lock(&self.options).is_forced)
    }

    fn put_is_forced(&self, value: bool) -> Answer<()> {
        self.lockdown.permits()?;
        self.set(|options| options.is_forced = value)
    }

    fn parent_hwnd(&self) -> Answer<isize> {
        Ok(lock(&self.options).parent_hwnd)
    }

    fn put_parent_hwnd(&self, value: isize) -> Answer<()> {
        self.set(|options| options.parent_hwnd = value)
    }

    fn put_parent_window(&self, value: Option<&IUnknown>) -> Answer<()> {
        let kept = value.map(Kept::new).transpose()?.map(Arc::new);
        let before = std::mem::replace(&mut *lock(&self.parent_window), kept);
        drop(before);
        Ok(())
    }

    fn parent_window(&self) -> Answer<Option<IUnknown>> {
        // To get it may take messages, and so run anybody's code: outside the lock.
        let kept = lock(&self.parent_window).clone();
        kept.map(|kept| kept.get()).transpose()
    }

    fn updates(&self) -> Answer<Option<IUpdateCollection>> {
        Ok(self.updates.get(&self.lockdown))
    }

    fn put_updates(&self, value: Option<&IUpdateCollection>) -> Answer<()> {
        self.updates.put(value)
    }

    fn begin_install(
        &self,
        on_progress_changed: Option<&IUnknown>,
        on_completed: Option<&IUnknown>,
        state: &VARIANT,
    ) -> Answer<IInstallationJob> {
        self.begin(
            UpdateOperation::Installation,
            on_progress_changed,
            on_completed,
            state,
        )
    }

    fn begin_uninstall(
        &self,
        on_progress_changed: Option<&IUnknown>,
        on_completed: Option<&IUnknown>,
        state: &VARIANT,
    ) -> Answer<IInstallationJob> {
        self.begin(
            UpdateOperation::Uninstallation,
            on_progress_changed,
            on_completed,
            state,
        )
    }

    fn end_install(&self, value: Option<&IInstallationJob>) -> Answer<IInstallationResult> {
        self.end(UpdateOperation::Installation, value)
    }

    fn end_uninstall(&self, value: Option<&IInstallationJob>) -> Answer<IInstallationResult> {
        self.end(UpdateOperation::Uninstallation, value)
    }

    fn install(&self) -> Answer<IInstallationResult> {
        self.run(UpdateOperation::Installation)
    }

    /// There is nobody here whom a wizard could lead.
    fn run_wizard(&self, _: &BSTR) -> Answer<IInstallationResult> {
        if self.updates.updates().is_empty() {
            return Err(HResult::WU_E_NO_UPDATE.into());
        }
        Err(HResult::WU_E_NO_UI_SUPPORT.into())
    }

    fn is_busy(&self) -> Answer<bool> {
        Ok(agent::client()?.system()?.is_busy())
    }

    fn uninstall(&self) -> Answer<IInstallationResult> {
        self.run(UpdateOperation::Uninstallation)
    }

    fn allow_source_prompts(&self) -> Answer<bool> {
        Ok(lock(&self.options).allow_source_prompts)
    }

    fn put_allow_source_prompts(&self, value: bool) -> Answer<()> {
        self.set(|options| options.allow_source_prompts = value)
    }

    /// A pending restart forbids work only where the machine's policy says so (rules R8 and R37).
    fn reboot_required_before_installation(&self) -> Answer<bool> {
        Ok(agent::client()?.system()?.restart_required_before_installation)
    }
}

impl IUpdateInstaller2_Impl for UpdateInstaller_Impl {
    fn force_quiet(&self) -> Answer<bool> {
        Ok(lock(&self.options).force_quiet)
    }

    fn put_force_quiet(&self, value: bool) -> Answer<()> {
        self.set(|options| options.force_quiet = value)
    }
}

impl IUpdateInstaller3_Impl for UpdateInstaller_Impl {
    fn attempt_close_apps_if_necessary(&self) -> Answer<bool> {
        Ok(lock(&self.options).attempt_close_apps_if_necessary)
    }

    fn put_attempt_close_apps_if_necessary(&self, value: bool) -> Answer<()> {
        self.set(|options| options.attempt_close_apps_if_necessary = value)
    }
}

impl IUpdateInstaller4_Impl for UpdateInstaller_Impl {
    /// Nothing is staged here, so there is nothing to do before a restart (rule R39).
    fn commit(&self, dw_flags: u32) -> Answer<()> {
        if dw_flags != 0 {
            return Err(HResult::E_INVALIDARG.into());
        }
        if self.is_busy()? {
            return Err(HResult::WU_E_OPERATIONINPROGRESS.into());
        }
        Ok(())
    }
}

impl IUpdateLockdown_Impl for UpdateInstaller_Impl {
    fn lock_down(&self, flags: i32) -> Answer<()> {
        self.lockdown.lock_down(flags)
    }
}
