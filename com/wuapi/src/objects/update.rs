//! `Update`: one offered change, as a search found it.

use std::path::Path;
use std::sync::{Arc, OnceLock};

use uuid::Uuid;
use windows::Win32::Foundation::DECIMAL;
use windows::Win32::System::Com::ISupportErrorInfo;
use windows::Win32::System::Variant::VARIANT;
use windows_core::{BSTR, ComObject, implement};
use wua_types::api::UpdateStateDocument;
use wua_types::criteria::CriteriaFacts;
use wua_types::{
    AutoDownloadMode, AutoSelectionMode, DeploymentAction, DownloadPriority, HResult, MsrcSeverity, UpdateId,
    UpdateType,
};

use crate::agent;
use crate::api::{
    ICategoryCollection, IImageInformation, IInstallationBehavior, IStringCollection, IUpdate, IUpdate_Impl,
    IUpdate2_Impl, IUpdate3_Impl, IUpdate4_Impl, IUpdate5, IUpdate5_Impl, IUpdateCollection,
    IUpdateDownloadContentCollection, IUpdateIdentity,
};
use crate::border;
use crate::dispatch::scripted;
use crate::fault::{Answer, Fault};
use crate::module::Lease;
use crate::objects::lockdown;
use crate::objects::small::DownloadContent;
use crate::objects::{
    CategoryCollection, DownloadContentCollection, InstallationBehavior, StringCollection, UpdateCollection,
    UpdateIdentity, bstr,
};
use crate::value::{date, date_or_empty, decimal};

/// What one search found, as facts: objects that need each other share it, so that none holds another in a circle.
#[derive(Clone, Debug, Default)]
pub struct Found {
    updates: Arc<[Arc<wua_types::Update>]>,
    /// Whether all objects for it are locked down (rule R2).
    is_locked: bool,
}

impl Found {
    /// What a search, or a job, knows.
    pub fn new(updates: impl IntoIterator<Item = wua_types::Update>) -> Self {
        Self {
            updates: updates.into_iter().map(Arc::new).collect(),
            is_locked: false,
        }
    }

    /// New objects for all of it, in order.
    pub fn updates(&self) -> Vec<Update> {
        self.updates
            .iter()
            .map(|facts| Update::new(facts.clone(), facts.id(), self.clone()))
            .collect()
    }
}

/// The object. A software update only: it has no driver's interfaces.
#[implement(IUpdate5, ISupportErrorInfo)]
#[derive(Debug)]
pub struct Update {
    facts: Arc<wua_types::Update>,
    /// The update that was found: itself, or the bundle it is in.
    root: UpdateId,
    found: Found,
    bundled: OnceLock<ComObject<UpdateCollection>>,
    _lease: Lease,
}

scripted!(Update_Impl => IUpdate5);

impl Update {
    fn new(facts: Arc<wua_types::Update>, root: UpdateId, found: Found) -> Self {
        Self {
            facts,
            root,
            found,
            bundled: OnceLock::new(),
            _lease: Lease::default(),
        }
    }

    /// What is known of it.
    pub fn facts(&self) -> &Arc<wua_types::Update> {
        &self.facts
    }

    /// Whether it belongs to a category.
    pub fn is_in(&self, category: Uuid) -> bool {
        self.facts.in_category(category)
    }

    /// An update of ours that a client gives; other implementations are refused.
    pub fn of_client(given: Option<&IUpdate>) -> Answer<ComObject<Self>> {
        border::ours(given, "update")
    }

    /// The same update, as an object that is locked down gives it (rule R2).
    pub fn locked(&self) -> ComObject<Self> {
        let found = Found {
            is_locked: true,
            ..self.found.clone()
        };
        ComObject::new(Self::new(self.facts.clone(), self.root, found))
    }

    fn permits(&self) -> Answer<()> {
        lockdown::permits(self.found.is_locked)
    }

    fn live(&self) -> Answer<UpdateStateDocument> {
        agent::live(self.facts.id(), &self.facts)
    }

    fn strings(texts: impl IntoIterator<Item = impl AsRef<str>>) -> Answer<IStringCollection> {
        Ok(StringCollection::read_only(texts))
    }

    fn text(text: Option<&str>) -> Answer<BSTR> {
        Ok(bstr(text.unwrap_or_default()))
    }
}

impl IUpdate_Impl for Update_Impl {
    fn title(&self) -> Answer<BSTR> {
        Ok(bstr(&self.facts.title))
    }

    fn auto_select_on_web_sites(&self) -> Answer<bool> {
        Ok(self.facts.auto_select_on_web_sites)
    }

    fn bundled_updates(&self) -> Answer<IUpdateCollection> {
        let children = || {
            let children = self.facts.bundled_updates.iter().map(|child| {
                ComObject::new(Update::new(
                    Arc::new(child.clone()),
                    self.root,
                    self.found.clone(),
                ))
            });
            UpdateCollection::read_only(children)
        };
        Ok(self.bundled.get_or_init(children).to_interface())
    }

    fn can_require_source(&self) -> Answer<bool> {
        Ok(false)
    }

    fn categories(&self) -> Answer<ICategoryCollection> {
        Ok(CategoryCollection::found(&self.facts.categories, &self.found).into_interface())
    }

    fn deadline(&self) -> Answer<VARIANT> {
        Ok(date_or_empty(self.facts.deadline))
    }

    fn delta_compressed_content_available(&self) -> Answer<bool> {
        Ok(false)
    }

    fn delta_compressed_content_preferred(&self) -> Answer<bool> {
        Ok(false)
    }

    fn description(&self) -> Answer<BSTR> {
        Ok(bstr(&self.facts.description))
    }

    fn eula_accepted(&self) -> Answer<bool> {
        Ok(self.live()?.eula_accepted)
    }

    fn eula_text(&self) -> Answer<BSTR> {
        Update::text(self.facts.eula_text.as_deref())
    }

    fn handler_id(&self) -> Answer<BSTR> {
        Ok(bstr(&self.facts.handler_id))
    }

    fn identity(&self) -> Answer<IUpdateIdentity> {
        UpdateIdentity::answer(self.facts.identity)
    }

    fn image(&self) -> Answer<Option<IImageInformation>> {
        Ok(None)
    }

    fn installation_behavior(&self) -> Answer<Option<IInstallationBehavior>> {
        InstallationBehavior::answer(self.facts.installation_behavior)
    }

    fn is_beta(&self) -> Answer<bool> {
        Ok(false)
    }

    fn is_downloaded(&self) -> Answer<bool> {
        Ok(self.live()?.is_downloaded)
    }

    /// What is in a bundle is offered, and hidden, with it.
    fn is_hidden(&self) -> Answer<bool> {
        Ok(agent::live(self.root, &self.facts)?.is_hidden)
    }

    fn put_is_hidden(&self, value: bool) -> Answer<()> {
        agent::client()?.set_hidden(self.root, value)?;
        Ok(())
    }

    /// As of the search, documented so.
    fn is_installed(&self) -> Answer<bool> {
        Ok(self.facts.is_installed)
    }

    fn is_mandatory(&self) -> Answer<bool> {
        Ok(self.facts.is_mandatory)
    }

    fn is_uninstallable(&self) -> Answer<bool> {
        Ok(self.facts.is_uninstallable)
    }

    fn languages(&self) -> Answer<IStringCollection> {
        Ok(StringCollection::nothing())
    }

    fn last_deployment_change_time(&self) -> Answer<f64> {
        Ok(self.facts.last_deployment_change_time.map_or(0.0, date))
    }

    fn max_download_size(&self) -> Answer<DECIMAL> {
        Ok(decimal(self.facts.max_download_size))
    }

    fn min_download_size(&self) -> Answer<DECIMAL> {
        Ok(decimal(self.facts.min_download_size))
    }

    fn more_info_urls(&self) -> Answer<IStringCollection> {
        Update::strings(&self.facts.more_info_urls)
    }

    fn msrc_severity(&self) -> Answer<BSTR> {
        Update::text(self.facts.msrc_severity.map(|severity| match severity {
            MsrcSeverity::Low => "Low",
            MsrcSeverity::Moderate => "Moderate",
            MsrcSeverity::Important => "Important",
            MsrcSeverity::Critical => "Critical",
        }))
    }

    fn recommended_cpu_speed(&self) -> Answer<i32> {
        Ok(0)
    }

    fn recommended_hard_disk_space(&self) -> Answer<i32> {
        Ok(0)
    }

    fn recommended_memory(&self) -> Answer<i32> {
        Ok(0)
    }

    fn release_notes(&self) -> Answer<BSTR> {
        Update::text(self.facts.release_notes.as_deref())
    }

    fn security_bulletin_ids(&self) -> Answer<IStringCollection> {
        Update::strings(&self.facts.security_bulletin_ids)
    }

    fn superseded_update_ids(&self) -> Answer<IStringCollection> {
        Update::strings(self.facts.superseded_update_ids.iter().map(UpdateId::to_string))
    }

    fn support_url(&self) -> Answer<BSTR> {
        Update::text(self.facts.support_url.as_deref())
    }

    fn type_(&self) -> Answer<UpdateType> {
        Ok(self.facts.update_type)
    }

    fn uninstallation_notes(&self) -> Answer<BSTR> {
        Update::text(self.facts.uninstallation_notes.as_deref())
    }

    fn uninstallation_behavior(&self) -> Answer<Option<IInstallationBehavior>> {
        InstallationBehavior::answer(self.facts.uninstallation_behavior)
    }

    fn uninstallation_steps(&self) -> Answer<IStringCollection> {
        Ok(StringCollection::nothing())
    }

    fn kb_article_ids(&self) -> Answer<IStringCollection> {
        Update::strings(&self.facts.kb_article_ids)
    }

    fn accept_eula(&self) -> Answer<()> {
        self.permits()?;
        if self.facts.eula_accepted {
            return Ok(());
        }
        agent::client()?.accept_eula(self.root)?;
        Ok(())
    }

    fn deployment_action(&self) -> Answer<DeploymentAction> {
        Ok(self.facts.deployment_action)
    }

    /// The agent's content store has no way out to programs; what can be said before that is said.
    fn copy_from_cache(&self, path: &BSTR, _: bool) -> Answer<()> {
        self.permits()?;
        if path.is_empty() {
            return Err(HResult::E_INVALIDARG.into());
        }
        let folder = path.to_string();
        if !Path::new(&folder).is_dir() {
            return Err(Fault::new(
                HResult::STG_E_PATHNOTFOUND,
                format!("There is no folder `{folder}`"),
            ));
        }
        let now = self.live()?;
        if !now.eula_accepted {
            return Err(HResult::WU_E_EULAS_DECLINED.into());
        }
        if !now.is_downloaded {
            return Err(HResult::WU_E_DM_NOTDOWNLOADED.into());
        }
        Err(Fault::new(
            HResult::E_ACCESSDENIED,
            "The agent does not give its content store's files to programs",
        ))
    }

    fn download_priority(&self) -> Answer<DownloadPriority> {
        Ok(self.facts.download_priority)
    }

    fn download_contents(&self) -> Answer<IUpdateDownloadContentCollection> {
        let own = self
            .facts
            .package
            .iter()
            .filter_map(|package| package.content.clone());
        Ok(DownloadContentCollection::of(own.map(DownloadContent::new)).into_interface())
    }
}

impl IUpdate2_Impl for Update_Impl {
    fn reboot_required(&self) -> Answer<bool> {
        Ok(self.live()?.reboot_required)
    }

    fn is_present(&self) -> Answer<bool> {
        Ok(CriteriaFacts::is_present(&*self.facts))
    }

    fn cve_ids(&self) -> Answer<IStringCollection> {
        Update::strings(&self.facts.cve_ids)
    }

    fn copy_to_cache(&self, files: Option<&IStringCollection>) -> Answer<()> {
        self.permits()?;
        StringCollection::of_client(files)?;
        Err(Fault::new(
            HResult::E_ACCESSDENIED,
            "The agent fetches its content store's files itself",
        ))
    }
}

impl IUpdate3_Impl for Update_Impl {
    fn browse_only(&self) -> Answer<bool> {
        Ok(self.facts.browse_only)
    }
}

impl IUpdate4_Impl for Update_Impl {
    fn per_user(&self) -> Answer<bool> {
        Ok(false)
    }
}

impl IUpdate5_Impl for Update_Impl {
    fn auto_selection(&self) -> Answer<AutoSelectionMode> {
        Ok(self.facts.auto_selection)
    }

    fn auto_download(&self) -> Answer<AutoDownloadMode> {
        Ok(self.facts.auto_download)
    }
}
