//! `AutomaticUpdates` and its results.

use std::sync::Mutex;

use serde_json::Map;
use uuid::Uuid;
use windows::Win32::System::Com::ISupportErrorInfo;
use windows::Win32::System::Variant::VARIANT;
use windows_core::implement;
use wua_client::{AgentClient, Begin, ClientError};
use wua_job::{Download, DownloadJob};
use wua_types::api::{Access, AutomaticUpdatesDocument, JobRequest};
use wua_types::{AutomaticUpdatesNotificationLevel, HResult, Operation};

use crate::agent;
use crate::api::{
    IAutomaticUpdates_Impl, IAutomaticUpdates2, IAutomaticUpdates2_Impl, IAutomaticUpdatesResults,
    IAutomaticUpdatesResults_Impl, IAutomaticUpdatesSettings, IAutomaticUpdatesSettings3, IUpdateLockdown,
    IUpdateLockdown_Impl,
};
use crate::dispatch::scripted;
use crate::fault::{Answer, Fault};
use crate::module::{self, Lease};
use crate::objects::lock;
use crate::objects::lockdown::Lockdown;
use crate::objects::settings::AutomaticUpdatesSettings;
use crate::value::date_or_empty;

/// The object.
#[implement(IAutomaticUpdates2, IUpdateLockdown, ISupportErrorInfo)]
#[derive(Debug, Default)]
pub struct AutomaticUpdates {
    lockdown: Lockdown,
    _lease: Lease,
}

scripted!(AutomaticUpdates_Impl => IAutomaticUpdates2);

/// Looks for updates, indexes fetched, as a job that nobody waits for. While one runs, another is the same (rule R48).
fn detect() -> Answer<()> {
    static DETECTING: Mutex<Option<DownloadJob>> = Mutex::new(None);
    let mut detecting = lock(&DETECTING);
    if detecting.as_ref().is_some_and(|job| !job.is_completed()) {
        return Ok(());
    }
    // The client follows the job with a thread of its own.
    module::stay()?;
    let begin = Begin::<Download> {
        id: Uuid::new_v4(),
        request: JobRequest::new(Operation::Search),
        updates: [].into(),
        observer: None,
        async_state: None,
    };
    *detecting = Some(agent::client()?.begin(begin)?);
    Ok(())
}

/// Asks the agent, which is what automatic updates need: without it there are none.
fn ask<T>(question: impl FnOnce(AgentClient) -> Result<T, ClientError>) -> Answer<T> {
    let away = |why: String| Fault::new(HResult::WU_E_AU_NOSERVICE, why);
    let client = agent::client().map_err(|fault| away(fault.text.unwrap_or_default()))?;
    match question(client) {
        Err(error @ ClientError::NotThere(_)) => Err(away(error.to_string())),
        answer => Ok(answer?),
    }
}

/// The check of what only administrators may do.
fn permits() -> Answer<()> {
    match ask(|client| client.system())?.access {
        Access::Owner => Ok(()),
        Access::Read | Access::Member => Err(HResult::E_ACCESSDENIED.into()),
    }
}

/// How automatic updates are set, where they are not off.
fn service() -> Answer<AutomaticUpdatesDocument> {
    let settings = ask(|client| client.settings())?.automatic_updates;
    if settings.notification_level == AutomaticUpdatesNotificationLevel::Disabled {
        return Err(HResult::WU_E_AU_NOSERVICE.into());
    }
    Ok(settings)
}

/// The check of what is not done while they are paused.
fn awake() -> Answer<()> {
    if service()?.paused {
        return Err(HResult::WU_E_AU_PAUSED.into());
    }
    Ok(())
}

/// Pauses the agent's schedule, or lets it go on (rule R48).
fn pause(paused: bool) -> Answer<()> {
    let terms = Map::from_iter([("paused".into(), paused.into())]);
    let wishes = Map::from_iter([("automatic_updates".into(), terms.into())]);
    ask(|client| client.change_settings(&wishes)).map(drop)
}

impl IAutomaticUpdates_Impl for AutomaticUpdates_Impl {
    fn detect_now(&self) -> Answer<()> {
        awake()?;
        detect()
    }

    /// For eight hours; a second one does not make it longer.
    fn pause(&self) -> Answer<()> {
        self.lockdown.permits()?;
        permits()?;
        awake()?;
        pause(true)
    }

    fn resume(&self) -> Answer<()> {
        self.lockdown.permits()?;
        permits()?;
        if service()?.paused {
            pause(false)?;
        }
        Ok(())
    }

    fn show_settings_dialog(&self) -> Answer<()> {
        Err(HResult::WU_E_NO_UI_SUPPORT.into())
    }

    fn settings(&self) -> Answer<IAutomaticUpdatesSettings> {
        let settings: IAutomaticUpdatesSettings3 =
            AutomaticUpdatesSettings::read(self.lockdown.passed_on())?.into();
        Ok(settings.into())
    }

    fn service_enabled(&self) -> Answer<bool> {
        match ask(|client| client.system()) {
            Err(fault) if fault.code == HResult::WU_E_AU_NOSERVICE => Ok(false),
            answer => answer.map(|_| true),
        }
    }

    /// The agent is a service of the machine's: where it answers, all that is needed is there.
    fn enable_service(&self) -> Answer<()> {
        permits()
    }
}

impl IAutomaticUpdates2_Impl for AutomaticUpdates_Impl {
    fn results(&self) -> Answer<IAutomaticUpdatesResults> {
        Ok(AutomaticUpdatesResults::default().into())
    }
}

impl IUpdateLockdown_Impl for AutomaticUpdates_Impl {
    fn lock_down(&self, flags: i32) -> Answer<()> {
        self.lockdown.lock_down(flags)
    }
}

/// When what runs by itself last succeeded, as of each question.
#[implement(IAutomaticUpdatesResults, ISupportErrorInfo)]
#[derive(Debug, Default)]
pub struct AutomaticUpdatesResults {
    _lease: Lease,
}

scripted!(AutomaticUpdatesResults_Impl => IAutomaticUpdatesResults);

impl IAutomaticUpdatesResults_Impl for AutomaticUpdatesResults_Impl {
    fn last_search_success_date(&self) -> Answer<VARIANT> {
        Ok(date_or_empty(agent::client()?.settings()?.last_check))
    }

    fn last_installation_success_date(&self) -> Answer<VARIANT> {
        Ok(date_or_empty(agent::client()?.settings()?.last_installation))
    }
}
