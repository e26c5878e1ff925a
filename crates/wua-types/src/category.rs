//! Categories (`ICategory`): classifications with fixed ids, so that scripts need not compare names.

use uuid::{Uuid, uuid};

/// What kind of category it is (`ICategory::Type`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub enum CategoryType {
    /// A publisher.
    Company,
    /// A family of products.
    ProductFamily,
    /// One product.
    Product,
    /// What the update is for.
    UpdateClassification,
}

/// A category that updates belong to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub struct Category {
    /// The stable id (`CategoryID`).
    pub id: Uuid,
    /// The name for people.
    pub name: String,
    /// The kind.
    #[serde(rename = "type")]
    pub kind: CategoryType,
    /// A sentence about it.
    pub description: String,
    /// Display order among its siblings.
    pub order: i32,
}

/// Id of "Security Updates"; the number Windows Update uses for the same classification.
pub const SECURITY_UPDATES: Uuid = uuid!("0fa1201d-4330-4fa8-8ae9-b877473b6441");
/// Id of "Updates"; the number Windows Update uses for the same classification.
pub const UPDATES: Uuid = uuid!("cd5ffd1e-e932-4e3a-bf74-18bf0b1bbd83");
/// Id of "Backports", a classification of Debian's and so an id of our own.
pub const BACKPORTS: Uuid = uuid!("5a1a4ac0-6f5c-4f5e-9d0f-5a64bd1be6c3");

impl Category {
    /// Updates from a security archive.
    pub fn security_updates() -> Self {
        Self::classification(
            SECURITY_UPDATES,
            "Security Updates",
            "Fixes of vulnerabilities, from a security archive.",
            0,
        )
    }

    /// Ordinary updates.
    pub fn updates() -> Self {
        Self::classification(
            UPDATES,
            "Updates",
            "Fixes and changes, from an ordinary archive.",
            1,
        )
    }

    /// Newer versions made for an older release.
    pub fn backports() -> Self {
        Self::classification(
            BACKPORTS,
            "Backports",
            "Newer versions made to run on this release.",
            2,
        )
    }

    fn classification(id: Uuid, name: &str, description: &str, order: i32) -> Self {
        Self {
            id,
            name: name.into(),
            kind: CategoryType::UpdateClassification,
            description: description.into(),
            order,
        }
    }
}
