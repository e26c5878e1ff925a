//! Which stages a plan's updates are going to need, and what they take on a machine of which nothing is known.
//!
//! The figures are of a small virtual machine with two cores; what matters is how they compare, since a machine soon knows its own.
//! Triggers are those that dpkg's records of watched paths and the installed versions' file lists promise; what scripts trigger by
//! themselves is not to be seen beforehand.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use wua_engine::stage::{ExpectedStage, Stage, StageKind};
use wua_types::{PlannedChange, PlannedUpdate};

use crate::tree::AptTree;

/// Unpacking a package of no size: dpkg's own work and its waits for the disk.
const UNPACK: f64 = 0.06;
const BYTES_PER_SECOND: f64 = 40e6;
const FILES_PER_SECOND: f64 = 4000.0;
const CONFIGURE: f64 = 0.05;
const REMOVE: f64 = 0.1;
const TRIGGERS: f64 = 0.3;

/// Packages whose configuration is known to take long. `#` stands for a digit and what follows it, `*` for anything.
const HEAVY: &[(&str, f64)] = &[
    ("linux-image-#", 12.0),
    ("linux-headers-#", 2.0),
    ("initramfs-tools", 8.0),
    ("grub-*", 4.0),
    ("dkms", 5.0),
    ("*-dkms", 20.0),
    ("ca-certificates-java", 5.0),
    ("ca-certificates", 2.0),
    ("openssh-server", 1.0),
    ("postgresql-#", 2.0),
    ("mariadb-server*", 4.0),
    ("mysql-server*", 4.0),
    ("libc6", 0.6),
    ("systemd", 0.8),
    ("udev", 1.0),
    ("locales", 5.0),
    ("tex-common", 10.0),
    ("python3.#", 0.5),
    ("openjdk-#", 1.0),
];

/// Packages whose triggers are known to take long.
const HEAVY_TRIGGERS: &[(&str, f64)] = &[
    ("initramfs-tools", 10.0),
    ("dracut*", 15.0),
    ("tex-common", 15.0),
    ("man-db", 1.5),
    ("ca-certificates-java", 4.0),
    ("ca-certificates", 1.0),
    ("fontconfig*", 1.5),
    ("shared-mime-info", 1.5),
    ("hicolor-icon-theme", 0.5),
    ("gnome-menus", 0.5),
    ("dictionaries-common", 1.0),
    ("libc-bin", 0.2),
    ("systemd", 0.4),
    ("dbus", 0.2),
    ("udev", 0.3),
];

/// The stages of each update.
pub(crate) fn forecast(tree: &AptTree, updates: &[PlannedUpdate]) -> Vec<Vec<ExpectedStage>> {
    let info = tree.path("var/lib/dpkg/info");
    let watched = Watched::read(&tree.path("var/lib/dpkg/triggers/File"));
    let of_update =
        |update: &PlannedUpdate| {
            let bytes = update.unpacked_bytes as f64 / update.changes.len().max(1) as f64;
            let mut stages = Vec::new();
            for change in &update.changes {
                let name = &change.name;
                let files = list(&info, change);
                if change.to.is_some() {
                    let seconds =
                        UNPACK + bytes / BYTES_PER_SECOND + files.lines().count() as f64 / FILES_PER_SECOND;
                    stages.push(expected(StageKind::Unpack, name, seconds));
                    stages.push(expected(
                        StageKind::Configure,
                        name,
                        known(HEAVY, name, CONFIGURE),
                    ));
                } else {
                    stages.push(expected(StageKind::Remove, name, REMOVE));
                }
                let triggered = watched.by(&files).into_iter();
                stages.extend(triggered.map(|owner| {
                    expected(StageKind::Triggers, owner, known(HEAVY_TRIGGERS, owner, TRIGGERS))
                }));
            }
            stages
        };
    updates.iter().map(of_update).collect()
}

fn expected(kind: StageKind, subject: &str, seconds: f64) -> ExpectedStage {
    ExpectedStage {
        stage: Stage::of(kind, subject),
        seconds,
    }
}

fn known(table: &[(&str, f64)], name: &str, otherwise: f64) -> f64 {
    let entry = table.iter().find(|(pattern, _)| fits(name, pattern));
    entry.map_or(otherwise, |(_, seconds)| *seconds)
}

fn fits(name: &str, pattern: &str) -> bool {
    if let Some(beginning) = pattern.strip_suffix('#') {
        name.strip_prefix(beginning)
            .is_some_and(|rest| rest.starts_with(|first: char| first.is_ascii_digit()))
    } else if let Some(beginning) = pattern.strip_suffix('*') {
        name.starts_with(beginning)
    } else if let Some(end) = pattern.strip_prefix('*') {
        name.ends_with(end)
    } else {
        name == pattern
    }
}

/// The files of the installed version, one a line; empty for a package that is new.
fn list(info: &Path, change: &PlannedChange) -> String {
    let (name, architecture) = (&change.name, &change.architecture);
    let files = [format!("{name}.list"), format!("{name}:{architecture}.list")];
    let mut texts = files.iter().filter_map(|file| fs::read(info.join(file)).ok());
    texts
        .next()
        .map(|text| String::from_utf8_lossy(&text).into_owned())
        .unwrap_or_default()
}

/// The paths whose change starts triggers, and the packages whose triggers those are.
struct Watched {
    owners: BTreeMap<String, Vec<String>>,
}

impl Watched {
    /// Reads dpkg's file of them: a path and a package a line.
    fn read(file: &Path) -> Self {
        let text = fs::read(file).unwrap_or_default();
        let mut owners = BTreeMap::<String, Vec<String>>::new();
        for line in String::from_utf8_lossy(&text).lines() {
            if let Some((path, package)) = line.rsplit_once(' ') {
                let package = package.split('/').next().unwrap_or(package);
                let package = package.split(':').next().unwrap_or(package);
                owners.entry(path.into()).or_default().push(package.into());
            }
        }
        Self { owners }
    }

    /// The packages that watch one of `files` or a folder above it.
    fn by(&self, files: &str) -> Vec<&str> {
        let mut found = Vec::new();
        for file in files.lines().filter(|file| file.len() > 1) {
            let above = file.match_indices('/').skip(1).map(|(end, _)| &file[..end]);
            for path in above.chain([file]) {
                for owner in self.owners.get(path).into_iter().flatten() {
                    if !found.contains(&owner.as_str()) {
                        found.push(owner.as_str());
                    }
                }
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_of_the_manual_promises_the_triggers_of_man_db() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let file = folder.path().join("File");
        fs::write(
            &file,
            "/usr/share/man man-db/noawait\n/lib/udev libudev1:amd64\nodd\n",
        )
        .expect("written");
        let watched = Watched::read(&file);
        let files = "/.\n/usr\n/usr/share\n/usr/share/man/man1/a.1.gz\n/usr/share/man/man1/b.1.gz\n/lib/udev";
        assert_eq!(watched.by(files), ["man-db", "libudev1"]);
        assert!(watched.by("/usr/share/manual/a").is_empty());
    }

    #[test]
    fn a_kernel_is_known_to_take_long_and_what_only_needs_it_is_not() {
        let seconds = |name| known(HEAVY, name, CONFIGURE);
        assert!(seconds("linux-image-6.1.0-40-amd64") > 100.0 * seconds("hello"));
        assert_eq!(seconds("linux-image-amd64"), CONFIGURE);
        assert_eq!(seconds("python3-requests"), CONFIGURE);
        assert_eq!((seconds("zfs-dkms"), seconds("grub-efi-amd64")), (20.0, 4.0));
    }
}
