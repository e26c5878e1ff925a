//! What marks a practice machine: a throw-away Debian tree on which the real apt and dpkg run without privileges.
//!
//! The maker (`wua-sandbox`) and the reader (`wua-apt`) do not know each other; these two paths are all they share.

/// The file, relative to the tree's root, whose presence makes a tree a practice machine.
///
/// The options that practice trees need (no chroot for maintainer scripts, no root) are dangerous elsewhere, so they
/// are honoured only where this mark is present and the tree belongs to the caller.
pub const MARK: &str = "etc/wua/practice-machine";

/// The APT configuration of a practice machine, relative to the tree's root; used as `APT_CONFIG`.
pub const APT_CONFIG: &str = "etc/apt/practice.conf";
