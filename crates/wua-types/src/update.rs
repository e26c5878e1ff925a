//! One offered change (`IUpdate` to `IUpdate5`), and the package changes it stands for.
//!
//! An update found in APT is a bundle: one source package whose bundled updates are its binary packages (design.md
//! section 4). Members of the API that cannot mean anything here keep their documented empty value.

use jiff::Timestamp;
use uuid::Uuid;

use crate::category::Category;
use crate::criteria::CriteriaFacts;
use crate::enums::{
    AutoDownloadMode, AutoSelectionMode, DeploymentAction, DownloadPriority, InstallationImpact,
    InstallationRebootBehavior, UpdateType,
};
use crate::identity::{UpdateId, UpdateIdentity};

/// What installing or uninstalling may do (`IInstallationBehavior`); a forecast.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct InstallationBehavior {
    /// Whether the installer may ask something.
    pub can_request_user_input: bool,
    /// What it does to other work.
    pub impact: InstallationImpact,
    /// Whether it may want a restart.
    pub reboot_behavior: InstallationRebootBehavior,
    /// Whether the installer itself needs the network.
    pub requires_network_connectivity: bool,
}

impl InstallationBehavior {
    /// Asks nothing, disturbs nothing, and has the given forecast for restarts.
    pub const fn quiet(reboot_behavior: InstallationRebootBehavior) -> Self {
        Self {
            can_request_user_input: false,
            impact: InstallationImpact::Normal,
            reboot_behavior,
            requires_network_connectivity: false,
        }
    }
}

/// How severe the vulnerability is that an update fixes (`MsrcSeverity`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[expect(
    missing_docs,
    reason = "the four words are the API's own and say all there is"
)]
pub enum MsrcSeverity {
    Low,
    Moderate,
    Important,
    Critical,
}

/// One file that a download fetches (`IUpdateDownloadContent`), with the hash it must have.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct DownloadContent {
    /// Where it is offered, without credentials.
    pub url: String,
    /// Bytes.
    pub size: u64,
    /// SHA-256 in lower-case hex.
    pub sha256: String,
}

/// One package that an update changes: from one version to another, or from or to nothing.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct PackageChange {
    /// The package's name.
    pub name: String,
    /// Its architecture; `all` where the archive says so.
    pub architecture: String,
    /// The version there now; none for a package that the update adds.
    pub installed: Option<String>,
    /// The version there afterwards; none for a package that the change removes.
    pub candidate: Option<String>,
    /// Disk space the candidate takes unpacked, in bytes; 0 where unknown.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub installed_size: u64,
    /// The archive of the candidate, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<DownloadContent>,
}

fn is_zero(value: &u64) -> bool {
    *value == 0
}

impl PackageChange {
    /// `NAME:ARCHITECTURE`, as apt writes it.
    pub fn label(&self) -> String {
        format!("{}:{}", self.name, self.architecture)
    }
}

/// One offered change. A snapshot: nothing in it follows the machine after the search (wua.md 2.19).
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Update {
    /// Id and revision.
    #[serde(flatten)]
    pub identity: UpdateIdentity,
    /// The name for people.
    pub title: String,
    /// What it is about.
    pub description: String,
    /// Software or driver.
    #[serde(rename = "type")]
    pub update_type: UpdateType,
    /// The service that offers it.
    pub service_id: Uuid,
    /// The schema of the handler that applies it (`HandlerID`).
    pub handler_id: String,
    /// The categories it belongs to.
    pub categories: Vec<Category>,
    /// The updates inside a bundle, in order; empty where this is none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub bundled_updates: Vec<Self>,
    /// The package that an update which is no bundle changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub package: Option<PackageChange>,
    /// Packages of other updates without which this one cannot be installed. A download brings their archives too, and an
    /// installation takes them along where the updates they belong to are not installed with it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub needs: Vec<PackageChange>,
    /// Whether it was installed at the time of the search.
    pub is_installed: bool,
    /// Whether all its content was in the content store at the time of the search.
    pub is_downloaded: bool,
    /// Whether the administrator hid it.
    pub is_hidden: bool,
    /// Whether it belongs to the agent itself and cannot be hidden.
    pub is_mandatory: bool,
    /// Whether it can be taken back: the archives of the versions before are stored.
    pub is_uninstallable: bool,
    /// Whether taking it back would use an archive packed again from installed files, without the publisher's signature.
    #[serde(default)]
    pub undo_is_repacked: bool,
    /// Whether it is optional.
    pub browse_only: bool,
    /// Whether automatic updates would take it.
    pub auto_select_on_web_sites: bool,
    /// Whether it waits for a restart.
    pub reboot_required: bool,
    /// Whether its licence was accepted on this machine; true where there is none (wua.md 4.5).
    pub eula_accepted: bool,
    /// The licence, where there is one.
    pub eula_text: Option<String>,
    /// When it must be installed, if the administrator said so.
    pub deadline: Option<Timestamp>,
    /// When the archive that offers it last changed.
    pub last_deployment_change_time: Option<Timestamp>,
    /// The fewest bytes a download fetches.
    pub min_download_size: u64,
    /// The most bytes a download fetches.
    pub max_download_size: u64,
    /// What installing may do; a bundle's is merged from its children (rule R34).
    pub installation_behavior: Option<InstallationBehavior>,
    /// What uninstalling may do; none where it cannot be taken back.
    pub uninstallation_behavior: Option<InstallationBehavior>,
    /// The worst severity of what it fixes; none where unknown.
    pub msrc_severity: Option<MsrcSeverity>,
    /// The CVE numbers that its changelog names; empty where unknown.
    pub cve_ids: Vec<String>,
    /// Knowledge-base numbers; Debian has none.
    #[serde(rename = "kb")]
    pub kb_article_ids: Vec<String>,
    /// Bulletin ids.
    pub security_bulletin_ids: Vec<String>,
    /// Ids of the updates that this one replaces.
    pub superseded_update_ids: Vec<UpdateId>,
    /// Pages with more about it.
    pub more_info_urls: Vec<String>,
    /// The home page.
    pub support_url: Option<String>,
    /// The changelog, where known.
    pub release_notes: Option<String>,
    /// What to know before taking it back.
    pub uninstallation_notes: Option<String>,
    /// What the publisher wants done.
    pub deployment_action: DeploymentAction,
    /// How urgently to fetch it.
    pub download_priority: DownloadPriority,
    /// Whether automatic updates select it.
    pub auto_selection: AutoSelectionMode,
    /// Whether automatic updates download it.
    pub auto_download: AutoDownloadMode,
}

impl Update {
    /// An update with the documented empty value in every member.
    pub fn new(identity: UpdateIdentity, title: impl Into<String>) -> Self {
        Self {
            identity,
            title: title.into(),
            description: String::new(),
            update_type: UpdateType::Software,
            service_id: Uuid::nil(),
            handler_id: String::new(),
            categories: Vec::new(),
            bundled_updates: Vec::new(),
            package: None,
            needs: Vec::new(),
            is_installed: false,
            is_downloaded: false,
            is_hidden: false,
            is_mandatory: false,
            is_uninstallable: false,
            undo_is_repacked: false,
            browse_only: false,
            auto_select_on_web_sites: false,
            reboot_required: false,
            eula_accepted: true,
            eula_text: None,
            deadline: None,
            last_deployment_change_time: None,
            min_download_size: 0,
            max_download_size: 0,
            installation_behavior: None,
            uninstallation_behavior: None,
            msrc_severity: None,
            cve_ids: Vec::new(),
            kb_article_ids: Vec::new(),
            security_bulletin_ids: Vec::new(),
            superseded_update_ids: Vec::new(),
            more_info_urls: Vec::new(),
            support_url: None,
            release_notes: None,
            uninstallation_notes: None,
            deployment_action: DeploymentAction::Installation,
            download_priority: DownloadPriority::Normal,
            auto_selection: AutoSelectionMode::LetWindowsUpdateDecide,
            auto_download: AutoDownloadMode::LetWindowsUpdateDecide,
        }
    }

    /// The id without the revision.
    pub fn id(&self) -> UpdateId {
        self.identity.update_id
    }

    /// Every package the update changes: its own, or its children's in order.
    pub fn packages(&self) -> Vec<&PackageChange> {
        let own = self.package.iter();
        own.chain(self.bundled_updates.iter().flat_map(|child| child.packages()))
            .collect()
    }

    /// Every package whose archive has to be here before the update can be installed: its own, and those of other updates that
    /// it needs.
    pub fn packages_to_have(&self) -> Vec<&PackageChange> {
        self.packages().into_iter().chain(&self.needs).collect()
    }

    /// Makes this the bundle of `children`, and derives from them what rules R34 and R35 say.
    pub fn bundle(mut self, children: Vec<Self>) -> Self {
        self.is_downloaded = children.iter().all(|child| child.is_downloaded);
        self.is_installed = children.iter().all(|child| child.is_installed);
        self.eula_accepted = self.eula_accepted && children.iter().all(|child| child.eula_accepted);
        self.min_download_size = children.iter().map(|child| child.min_download_size).sum();
        self.max_download_size = children.iter().map(|child| child.max_download_size).sum();
        self.installation_behavior = merge(children.iter().filter_map(|child| child.installation_behavior));
        self.uninstallation_behavior =
            merge(children.iter().filter_map(|child| child.uninstallation_behavior));
        if self.deployment_action == DeploymentAction::None
            && let Some(child) = children.first()
        {
            self.deployment_action = child.deployment_action;
        }
        self.bundled_updates = children;
        self
    }
}

/// Rule R34: questions and network by OR, the gravest impact, the surest restart.
fn merge(behaviors: impl Iterator<Item = InstallationBehavior>) -> Option<InstallationBehavior> {
    fn gravity(impact: InstallationImpact) -> u8 {
        match impact {
            InstallationImpact::Minor => 0,
            InstallationImpact::Normal => 1,
            InstallationImpact::RequiresExclusiveHandling => 2,
        }
    }
    fn certainty(reboot: InstallationRebootBehavior) -> u8 {
        match reboot {
            InstallationRebootBehavior::NeverReboots => 0,
            InstallationRebootBehavior::CanRequestReboot => 1,
            InstallationRebootBehavior::AlwaysRequiresReboot => 2,
        }
    }
    behaviors.reduce(|one, other| InstallationBehavior {
        can_request_user_input: one.can_request_user_input || other.can_request_user_input,
        impact: std::cmp::max_by_key(one.impact, other.impact, |impact| gravity(*impact)),
        reboot_behavior: std::cmp::max_by_key(one.reboot_behavior, other.reboot_behavior, |reboot| {
            certainty(*reboot)
        }),
        requires_network_connectivity: one.requires_network_connectivity
            || other.requires_network_connectivity,
    })
}

impl CriteriaFacts for Update {
    fn update_type(&self) -> UpdateType {
        self.update_type
    }
    fn deployment_action(&self) -> DeploymentAction {
        self.deployment_action
    }
    fn is_assigned(&self) -> bool {
        !self.browse_only
    }
    fn browse_only(&self) -> bool {
        self.browse_only
    }
    fn auto_select_on_web_sites(&self) -> bool {
        self.auto_select_on_web_sites
    }
    fn update_id(&self) -> Uuid {
        self.identity.update_id.0
    }
    fn revision_number(&self) -> u32 {
        self.identity.revision_number
    }
    fn in_category(&self, id: Uuid) -> bool {
        self.categories.iter().any(|category| category.id == id)
    }
    fn is_installed(&self) -> bool {
        self.is_installed
    }
    fn is_hidden(&self) -> bool {
        self.is_hidden
    }
    fn is_present(&self) -> bool {
        self.is_installed || self.bundled_updates.iter().any(|child| child.is_installed)
    }
    fn reboot_required(&self) -> bool {
        self.reboot_required
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn child(number: u128, behavior: InstallationBehavior) -> Update {
        let identity = UpdateIdentity {
            update_id: UpdateId(Uuid::from_u128(number)),
            revision_number: 1,
        };
        Update {
            installation_behavior: Some(behavior),
            max_download_size: 10,
            ..Update::new(identity, "child")
        }
    }

    #[test]
    fn r34_a_bundle_is_as_disturbing_as_its_worst_child() {
        let minor = InstallationBehavior {
            impact: InstallationImpact::Minor,
            ..InstallationBehavior::quiet(InstallationRebootBehavior::CanRequestReboot)
        };
        let normal = InstallationBehavior::quiet(InstallationRebootBehavior::NeverReboots);
        let bundle = child(1, normal).bundle(vec![child(2, minor), child(3, normal)]);
        let merged = bundle.installation_behavior.expect("merged from two children");
        assert_eq!(merged.impact, InstallationImpact::Normal);
        assert_eq!(
            merged.reboot_behavior,
            InstallationRebootBehavior::CanRequestReboot
        );
        assert_eq!(bundle.max_download_size, 20);
    }

    #[test]
    fn r35_a_bundle_is_installed_when_all_its_children_are() {
        let normal = InstallationBehavior::quiet(InstallationRebootBehavior::NeverReboots);
        let installed = Update {
            is_installed: true,
            ..child(2, normal)
        };
        let half = child(1, normal).bundle(vec![installed.clone(), child(3, normal)]);
        assert!(!half.is_installed && CriteriaFacts::is_present(&half));
        assert!(child(1, normal).bundle(vec![installed]).is_installed);
    }
}
