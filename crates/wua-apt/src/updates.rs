//! From APT's confirmed plan to updates: one update a source package, its binary packages bundled inside (rule U1).
//!
//! Pure but for looks into the content store (what is here already, and kept changelogs). Ids follow from names and
//! versions alone, so searching needs no memory.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use uuid::{Uuid, uuid};
use wua_engine::store::ContentStore;
use wua_types::update::InstallationBehavior;
use wua_types::{
    Category, DownloadContent, InstallationRebootBehavior, PackageChange, Update, UpdateId, UpdateIdentity,
};

use crate::changelog::{self, Changes};
use crate::confirm::{ConfirmedPackage, Mode};
use crate::dpkg::DpkgDatabase;
use crate::keep_old::installed_as;
use crate::needs::{Mover, needs};
use crate::reader::ArchiveRecord;
use crate::relations;
use crate::repositories::Repositories;
use crate::stanza::Stanza;

/// The namespace of our update ids; fixed for ever.
const NAMESPACE: Uuid = uuid!("6d0f6d6c-9f5b-4f6e-8c57-2f2c1b0e9a41");
/// The service that all updates of APT come from (rule R47); fixed for ever.
pub(crate) const SERVICE_ID: Uuid = uuid!("c1b1a5de-44f0-4a0b-9f3d-7e5f9a6f2d10");
/// What applies them, in the form of a schema's name.
pub(crate) const HANDLER_ID: &str = "urn:wua:handler:apt";

/// A package of the plan and what its archive says of it.
#[derive(Clone, Debug)]
pub(crate) struct Planned {
    pub(crate) package: ConfirmedPackage,
    /// Missing where only APT could read the index.
    pub(crate) record: Option<ArchiveRecord>,
}

impl Planned {
    /// The source package and its version.
    fn source(&self) -> (String, String) {
        match &self.record {
            Some(record) => (record.source.clone(), record.source_version.clone()),
            None => (
                self.package.name.clone(),
                self.package.to.clone().unwrap_or_default(),
            ),
        }
    }

    fn is_new(&self) -> bool {
        self.package.mode == Mode::Install
    }

    /// Whether it asks for `other`, by name or by something that `other` provides.
    fn asks_for(&self, other: &Self) -> bool {
        let Some(record) = &self.record else { return false };
        let provides = other
            .record
            .as_ref()
            .and_then(|record| record.provides.as_deref())
            .unwrap_or_default();
        let provided = relations::groups(provides)
            .into_iter()
            .flatten()
            .map(|relation| relation.name);
        let names: Vec<_> = provided.chain([other.package.name.clone()]).collect();
        let fields = [&record.depends, &record.pre_depends, &record.recommends];
        let mut wanted = fields
            .into_iter()
            .flatten()
            .flat_map(|text| relations::groups(text))
            .flatten();
        wanted.any(|relation| names.contains(&relation.name))
    }
}

/// The updates that a plan stands for, by title and then id (rule R44).
pub(crate) fn updates(
    planned: Vec<Planned>,
    installed: &DpkgDatabase,
    native: &str,
    repositories: &Repositories,
    store: &ContentStore,
) -> Vec<Update> {
    let groups = group(planned);
    let maker = Maker {
        native,
        repositories,
        store,
    };
    let mut updates: Vec<_> = groups
        .iter()
        .map(|((source, version), members)| maker.update(source, version, members))
        .collect();
    add_needs(&mut updates, &groups, installed);
    updates.sort_by(|one, other| (&one.title, one.id()).cmp(&(&other.title, other.id())));
    updates
}

/// Gives each update the packages of the others that it cannot do without, and of those that they cannot do without.
fn add_needs(updates: &mut [Update], groups: &Groups, installed: &DpkgDatabase) {
    let members: Vec<(usize, &Planned)> = groups
        .values()
        .enumerate()
        .flat_map(|(place, members)| members.iter().map(move |member| (place, member)))
        .collect();
    let relations: Vec<Option<Vec<u8>>> = members
        .iter()
        .map(|(_, member)| member.record.as_ref().map(ArchiveRecord::relations))
        .collect();
    let movers: Vec<Mover<'_>> = members
        .iter()
        .zip(&relations)
        .map(|((place, member), relations)| {
            let package = &member.package;
            let now = installed_as(installed, &package.name, &package.architecture);
            Mover {
                update: *place,
                name: &package.name,
                now: now.map(|package| (package.version.as_str(), package.stanza())),
                then: package.to.as_deref().zip(relations.as_deref().map(Stanza::new)),
            }
        })
        .collect();
    let mut needed: Vec<BTreeSet<usize>> = vec![BTreeSet::new(); updates.len()];
    for (one, other) in needs(&movers) {
        needed[one].insert(other);
    }
    let packages: Vec<Vec<PackageChange>> = updates
        .iter()
        .map(|update| update.packages().into_iter().cloned().collect())
        .collect();
    let is_here: Vec<bool> = updates.iter().map(|update| update.is_downloaded).collect();
    for (place, update) in updates.iter_mut().enumerate() {
        let mut all = BTreeSet::new();
        let mut open: Vec<usize> = needed[place].iter().copied().collect();
        while let Some(other) = open.pop() {
            if other != place && all.insert(other) {
                open.extend(&needed[other]);
            }
        }
        update.needs = all
            .iter()
            .flat_map(|other| packages[*other].iter().cloned())
            .collect();
        update.is_downloaded &= all.iter().all(|other| is_here[*other]);
    }
}

type Groups = BTreeMap<(String, String), Vec<Planned>>;

/// By source and version; new packages go to whoever asks for them, else to their own source, else to the first.
fn group(planned: Vec<Planned>) -> Groups {
    let (mut new, upgraded): (Vec<_>, Vec<_>) = planned.into_iter().partition(Planned::is_new);
    let mut groups = Groups::new();
    for planned in upgraded {
        groups.entry(planned.source()).or_default().push(planned);
    }
    // New packages may ask for further ones, so each round can settle more.
    loop {
        let before = new.len();
        for one in std::mem::take(&mut new) {
            // Its own source first, if that is among those who ask.
            let source = one.source();
            let asks = |members: &Vec<Planned>| members.iter().any(|member| member.asks_for(&one));
            let own = groups.get(&source).is_some_and(asks).then(|| source.clone());
            let key = own.or_else(|| {
                groups
                    .iter()
                    .find(|(_, members)| asks(members))
                    .map(|(key, _)| key.clone())
            });
            match key.and_then(|key| groups.get_mut(&key)) {
                Some(members) => members.push(one),
                None => new.push(one),
            }
        }
        if new.is_empty() || new.len() == before {
            break;
        }
    }
    for one in new {
        let source = one.source();
        let key = if groups.contains_key(&source) {
            Some(source.clone())
        } else {
            groups.keys().next().cloned()
        };
        groups.entry(key.unwrap_or(source)).or_default().push(one);
    }
    groups
}

/// The id of an update, or of the child `package` of it.
pub(crate) fn id(source: &str, version: &str, native: &str, package: Option<&str>) -> UpdateIdentity {
    let child = package.map(|label| format!("/{label}")).unwrap_or_default();
    let name = format!("deb:{source}/{version}/{native}{child}");
    UpdateIdentity {
        update_id: UpdateId(Uuid::new_v5(&NAMESPACE, name.as_bytes())),
        revision_number: 1,
    }
}

struct Maker<'a> {
    native: &'a str,
    repositories: &'a Repositories,
    store: &'a ContentStore,
}

impl Maker<'_> {
    fn update(&self, source: &str, version: &str, members: &[Planned]) -> Update {
        let main = main_of(source, members);
        let record = main.record.as_ref();
        let is_security = members.iter().any(is_security);
        let category = if is_security {
            Category::security_updates()
        } else if members.iter().any(is_backport) {
            Category::backports()
        } else {
            Category::updates()
        };
        let children = members
            .iter()
            .map(|member| self.child(source, version, member, &category))
            .collect();
        let changes = self.changes(members).unwrap_or_default();
        Update {
            description: record
                .and_then(|record| record.description.clone())
                .unwrap_or_default(),
            service_id: SERVICE_ID,
            handler_id: HANDLER_ID.into(),
            categories: vec![category],
            support_url: record.and_then(|record| record.homepage.clone()),
            last_deployment_change_time: members.iter().filter_map(released).max(),
            msrc_severity: changes.severity.filter(|_| is_security),
            cve_ids: changes.cve_ids,
            release_notes: Some(changes.text).filter(|text| !text.is_empty()),
            auto_select_on_web_sites: true,
            ..Update::new(
                id(source, version, self.native, None),
                format!("{source} {version}"),
            )
        }
        .bundle(children)
    }

    fn child(&self, source: &str, version: &str, member: &Planned, category: &Category) -> Update {
        let package = &member.package;
        let record = member.record.as_ref();
        let content = record.and_then(|record| content(record, self.repositories));
        let size = content.as_ref().map_or(0, |content| content.size);
        let is_here = content
            .as_ref()
            .is_some_and(|content| self.store.has(&content.sha256));
        let to = package.to.clone().unwrap_or_default();
        let label = format!("{}:{}", package.name, package.architecture);
        Update {
            description: record
                .and_then(|record| record.description.clone())
                .unwrap_or_default(),
            service_id: SERVICE_ID,
            handler_id: HANDLER_ID.into(),
            categories: vec![category.clone()],
            package: Some(PackageChange {
                name: package.name.clone(),
                architecture: package.architecture.clone(),
                installed: package.from.clone(),
                candidate: package.to.clone(),
                installed_size: record.and_then(|record| record.installed_size).unwrap_or(0),
                content,
            }),
            is_downloaded: is_here,
            min_download_size: if is_here { 0 } else { size },
            max_download_size: size,
            installation_behavior: Some(InstallationBehavior::quiet(restart_forecast(&package.name))),
            support_url: record.and_then(|record| record.homepage.clone()),
            last_deployment_change_time: released(member),
            ..Update::new(
                id(source, version, self.native, Some(&label)),
                format!("{} {to}", package.name),
            )
        }
    }

    /// What the changelog of any member says, the smallest archive first: all members have the same one or none.
    fn changes(&self, members: &[Planned]) -> Option<Changes> {
        let mut known: Vec<_> = members
            .iter()
            .filter_map(|member| Some((member.record.as_ref()?, &member.package)))
            .collect();
        known.sort_by_key(|(record, _)| record.size);
        let installed = members.iter().find_map(|member| member.package.from.clone())?;
        known.into_iter().find_map(|(record, package)| {
            changelog::read(
                self.store,
                &record.sha256,
                package.from.as_ref().unwrap_or(&installed),
            )
        })
    }
}

/// The package that speaks for the update: the one named as the source, else the first that is not new.
fn main_of<'a>(source: &str, members: &'a [Planned]) -> &'a Planned {
    let named = members.iter().find(|member| member.package.name == source);
    let upgraded = || members.iter().find(|member| !member.is_new());
    named.or_else(upgraded).unwrap_or(&members[0])
}

fn is_security(member: &Planned) -> bool {
    let by_record = member.record.as_ref().is_some_and(ArchiveRecord::is_security);
    by_record || suites(member).any(|text| text.contains("security"))
}

fn is_backport(member: &Planned) -> bool {
    suites(member).any(|text| text.contains("backports"))
}

/// Every word that says which archive a version comes from, in lower case.
fn suites(member: &Planned) -> impl Iterator<Item = String> {
    let origins = member.package.origins.iter();
    origins
        .flat_map(|origin| [&origin.archive, &origin.codename, &origin.label])
        .map(|text| text.to_ascii_lowercase())
}

fn released(member: &Planned) -> Option<jiff::Timestamp> {
    member.record.as_ref()?.archives.first()?.released
}

/// What runs as long as the machine does is only replaced by a restart.
fn restart_forecast(package: &str) -> InstallationRebootBehavior {
    const BEGINNINGS: [&str; 4] = ["linux-image", "linux-firmware", "firmware-", "systemd"];
    const NAMES: [&str; 10] = [
        "amd64-microcode",
        "dbus",
        "dbus-broker",
        "dbus-daemon",
        "init",
        "intel-microcode",
        "libc6",
        "libsystemd-shared",
        "sysvinit-core",
        "udev",
    ];
    let can = NAMES.contains(&package) || BEGINNINGS.iter().any(|beginning| package.starts_with(beginning));
    if can {
        InstallationRebootBehavior::CanRequestReboot
    } else {
        InstallationRebootBehavior::NeverReboots
    }
}

/// By name, architecture and version.
pub(crate) type Records = HashMap<(String, String, String), ArchiveRecord>;

/// Joins packages with what the archives say of them.
pub(crate) fn join(plan: &[ConfirmedPackage], records: &Records) -> Vec<Planned> {
    let changes = plan.iter().filter(|package| package.mode != Mode::Remove);
    changes
        .map(|package| {
            let to = package.to.clone().unwrap_or_default();
            let key = (package.name.clone(), package.architecture.clone(), to);
            Planned {
                package: package.clone(),
                record: records.get(&key).cloned(),
            }
        })
        .collect()
}

/// Where the archive of a record is to be had. Size and hash are those of the index, which APT verified.
pub(crate) fn content(record: &ArchiveRecord, repositories: &Repositories) -> Option<DownloadContent> {
    let url = repositories.address(&record.archives.first()?.address, &record.filename)?;
    let sha256 = Some(record.sha256.clone()).filter(|hash| !hash.is_empty())?;
    Some(DownloadContent {
        url,
        size: record.size,
        sha256,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn planned(name: &str, source: &str, mode: Mode, depends: &str) -> Planned {
        let from = (mode == Mode::Upgrade).then(|| "1".to_owned());
        Planned {
            package: ConfirmedPackage {
                name: name.into(),
                architecture: "all".into(),
                mode,
                from,
                to: Some("2".into()),
                origins: Vec::new(),
            },
            record: Some(ArchiveRecord {
                package: name.into(),
                source: source.into(),
                source_version: "2".into(),
                depends: Some(depends.into()),
                ..ArchiveRecord::default()
            }),
        }
    }

    #[track_caller]
    fn check(planned: Vec<Planned>, expected: &[(&str, &[&str])]) {
        let groups = group(planned);
        let found: Vec<_> = groups
            .iter()
            .map(|((source, _), members)| {
                (
                    source.as_str(),
                    members
                        .iter()
                        .map(|member| member.package.name.as_str())
                        .collect::<Vec<_>>(),
                )
            })
            .collect();
        let expected: Vec<_> = expected
            .iter()
            .map(|(source, names)| (*source, names.to_vec()))
            .collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn new_packages_go_to_whoever_asks_for_them() {
        let planned = vec![
            planned("libdeep", "deep", Mode::Install, ""),
            planned("linux-image-2", "linux", Mode::Install, "libdeep (>= 1) | x"),
            planned("editor", "editor", Mode::Upgrade, ""),
            planned("linux-image", "meta", Mode::Upgrade, "linux-image-2 (= 2)"),
        ];
        check(
            planned,
            &[
                ("editor", &["editor"]),
                ("meta", &["linux-image", "linux-image-2", "libdeep"]),
            ],
        );
    }

    #[test]
    fn a_new_package_that_nobody_asks_for_goes_to_its_own_source() {
        let planned = vec![
            planned("tools-extra", "tools", Mode::Install, ""),
            planned("editor", "editor", Mode::Upgrade, ""),
            planned("tools", "tools", Mode::Upgrade, ""),
        ];
        check(
            planned,
            &[("editor", &["editor"]), ("tools", &["tools", "tools-extra"])],
        );
    }

    #[test]
    fn ids_follow_from_names_alone() {
        let one = id("pixelry", "2.7-3", "amd64", None);
        assert_eq!(one, id("pixelry", "2.7-3", "amd64", None));
        let others = [
            id("pixelry", "2.7-4", "amd64", None),
            id("pixelry", "2.7-3", "amd64", Some("pixelry:all")),
        ];
        assert!(!others.contains(&one));
        // Written down: an id must never change between releases of wua.
        assert_eq!(one.update_id.to_string(), "257663cd-3322-5421-a235-1767dccd4ea9");
    }

    #[test]
    fn kernels_and_what_runs_for_ever_may_want_a_restart() {
        for name in [
            "linux-image-6.1-amd64",
            "libc6",
            "dbus",
            "systemd",
            "systemd-resolved",
            "udev",
        ] {
            assert_eq!(
                restart_forecast(name),
                InstallationRebootBehavior::CanRequestReboot,
                "{name}"
            );
        }
        for name in ["openssl", "libc6-dev", "linux-headers-6.1"] {
            assert_eq!(
                restart_forecast(name),
                InstallationRebootBehavior::NeverReboots,
                "{name}"
            );
        }
    }
}
