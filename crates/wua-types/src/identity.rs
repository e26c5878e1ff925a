//! Who an update is: an id that does not change between revisions, and a revision number.

use std::fmt;
use std::str::FromStr;

use uuid::Uuid;

/// The revision-independent id of an update (`IUpdateIdentity::UpdateID`). Shown in lower case without braces.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct UpdateId(pub Uuid);

impl fmt::Display for UpdateId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for UpdateId {
    type Err = uuid::Error;
    fn from_str(text: &str) -> Result<Self, uuid::Error> {
        Uuid::from_str(text).map(Self)
    }
}

/// An update's id and revision (`IUpdateIdentity`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub struct UpdateIdentity {
    /// The id, the same for all revisions.
    #[serde(rename = "id")]
    pub update_id: UpdateId,
    /// The revision, from 1.
    #[serde(rename = "revision")]
    pub revision_number: u32,
}

impl fmt::Display for UpdateIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.update_id, self.revision_number)
    }
}
