//! wua-apt

mod compression;
pub mod dpkg;
mod mapped;
pub mod reader;
pub mod stanza;
pub mod tree;
pub mod version;
