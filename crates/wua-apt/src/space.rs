//! How much room a plan's packages need (apt.md section 6, step 1).
//!
//! dpkg unpacks a package beside the one it replaces, one after the other: so what is needed is what the packages grow by, and
//! the largest that is replaced. Kernels also fill `/boot`, with what no archive says: the files that are made for them.

use std::fs;
use std::path::Path;

use wua_engine::Failure;
use wua_engine::space::SpaceNeed;
use wua_types::InstallPlan;

use crate::restart::{is_kernel, read_database};
use crate::tree::AptTree;

/// The files of one kernel in `/boot`, by the beginnings of their names.
const KERNEL_FILES: [&str; 4] = ["vmlinuz-", "initrd.img-", "System.map-", "config-"];

pub(crate) fn needed(tree: &AptTree, plan: &InstallPlan) -> Result<Vec<SpaceNeed>, Failure> {
    let database = read_database(tree)?;
    let installed_bytes = |name: &str, architecture: &str| {
        let package = database
            .get(name, architecture)
            .filter(|package| package.status.is_present())?;
        let kibibytes: u64 = package.stanza().text("Installed-Size")?.parse().ok()?;
        kibibytes.checked_mul(1024)
    };
    let (mut growth, mut largest, mut kernels) = (0_u64, 0_u64, 0_u64);
    for update in &plan.updates {
        let changes = update.changes.iter();
        let replaced = changes
            .filter_map(|change| installed_bytes(&change.name, &change.architecture))
            .sum::<u64>();
        growth = growth.saturating_add(update.unpacked_bytes.saturating_sub(replaced));
        largest = largest.max(replaced);
        let new = update
            .changes
            .iter()
            .filter(|change| change.to.is_some() && is_kernel(&change.name));
        kernels += new.count() as u64;
    }
    // dpkg writes its database anew, beside the old one.
    let status = fs::metadata(tree.path("var/lib/dpkg/status")).map_or(0, |metadata| metadata.len());
    let need = |folder: &str, bytes, purpose| SpaceNeed {
        folder: tree.path(folder),
        bytes,
        purpose,
    };
    Ok(vec![
        need("usr", growth.saturating_add(largest), "unpacking"),
        need(
            "boot",
            kernels.saturating_mul(largest_kernel(&tree.path("boot"))),
            "kernels",
        ),
        need("var/lib/dpkg", status.saturating_mul(2), "the package database"),
    ])
}

/// The most bytes that the files of one kernel take now: each kind at its largest.
fn largest_kernel(boot: &Path) -> u64 {
    let files: Vec<_> = fs::read_dir(boot).into_iter().flatten().flatten().collect();
    let largest = |kind: &&str| {
        let of_kind = files
            .iter()
            .filter(|file| file.file_name().to_string_lossy().starts_with(*kind));
        of_kind
            .filter_map(|file| Some(file.metadata().ok()?.len()))
            .max()
            .unwrap_or(0)
    };
    KERNEL_FILES.iter().map(largest).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kernel_needs_what_the_largest_one_takes() {
        let boot = tempfile::tempdir().expect("temporary folder");
        for (name, bytes) in [
            ("vmlinuz-1", 3),
            ("vmlinuz-2", 5),
            ("initrd.img-1", 70),
            ("initrd.img-2", 60),
            ("grub.cfg", 999),
        ] {
            fs::write(boot.path().join(name), vec![0; bytes]).expect("written");
        }
        assert_eq!(largest_kernel(boot.path()), 75);
        assert_eq!(largest_kernel(Path::new("/nonexistent/boot")), 0);
    }
}
