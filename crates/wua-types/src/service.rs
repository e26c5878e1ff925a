//! An update service (`IUpdateService2`): who offers updates.

use uuid::Uuid;

/// A service that the agent can ask for updates.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct UpdateService {
    /// Its id.
    pub id: Uuid,
    /// Its name for people.
    pub name: String,
    /// Whether an administrator's own server is behind it.
    pub is_managed: bool,
    /// Whether automatic updates may use it.
    pub can_register_with_au: bool,
    /// Whether automatic updates use it.
    pub is_registered_with_au: bool,
    /// Whether it is the one that automatic updates use first.
    pub is_default_au_service: bool,
    /// Whether it offers updates of the operating system itself.
    pub offers_windows_updates: bool,
    /// Whether it is an offline package.
    pub is_scan_package_service: bool,
    /// Where it lives; empty where that is the machine's own configuration.
    pub service_url: String,
}
