//! The search against real APT on practice machines.

mod offering;

use std::collections::BTreeSet;

use offering::World;
use wua_sandbox::{Fault, Package, Recipe};
use wua_types::category::{SECURITY_UPDATES, UPDATES};
use wua_types::criteria::CriteriaFacts as _;
use wua_types::{HResult, InstallationRebootBehavior};

#[test]
fn the_search_is_what_apt_would_upgrade() {
    let world = World::with(8, &[Fault::MissingDependency]);
    let output = world
        .machine
        .apt_get(&["-s", "-q", "upgrade", "--with-new-pkgs"])
        .expect("apt-get runs");
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    let expected: BTreeSet<(String, String)> = text
        .lines()
        .filter_map(|line| line.strip_prefix("Inst "))
        .map(|line| {
            let name = line.split(' ').next().expect("a name").to_owned();
            let version = line
                .split('(')
                .nth(1)
                .expect("a version")
                .split(' ')
                .next()
                .expect("a version")
                .to_owned();
            (name, version)
        })
        .collect();
    let found = world.search();
    let packages = found.updates.iter().flat_map(|update| update.packages());
    let ours: Vec<_> = packages
        .map(|package| {
            (
                package.name.clone(),
                package.candidate.clone().expect("a candidate"),
            )
        })
        .collect();
    assert_eq!(ours.len(), expected.len());
    assert_eq!(ours.into_iter().collect::<BTreeSet<_>>(), expected);
    assert_eq!(found.warnings, []);
}

#[test]
fn updates_are_the_sources_with_all_they_need() {
    let world = World::with(8, &[]);
    let found = world.search();
    let planned = Recipe {
        updates: 8,
        ..Recipe::default()
    }
    .planned_updates();
    let mut expected: Vec<_> = planned
        .iter()
        .map(|update| format!("{} {}", update.source, update.version))
        .collect();
    expected.sort();
    let titles: Vec<_> = found.updates.iter().map(|update| update.title.clone()).collect();
    assert_eq!(titles, expected);

    for (update, planned) in found.updates.iter().zip({
        let mut planned = planned;
        planned.sort_by_key(|update| format!("{} {}", update.source, update.version));
        planned
    }) {
        let mut names: Vec<_> = update
            .packages()
            .iter()
            .map(|package| package.name.clone())
            .collect();
        names.sort();
        let mut expected = [planned.packages.clone(), planned.new_packages.clone()].concat();
        expected.sort();
        assert_eq!(names, expected, "{}", update.title);
        assert_eq!(
            update.in_category(SECURITY_UPDATES),
            planned.suite == wua_sandbox::Suite::Security
        );
        assert_eq!(
            update.in_category(UPDATES),
            planned.suite == wua_sandbox::Suite::Practice
        );
        assert!(!update.is_downloaded && !update.is_installed && update.eula_accepted);
        assert_eq!(update.min_download_size, update.max_download_size);
        assert!(update.max_download_size > 0 && update.last_deployment_change_time.is_some());
        assert_eq!(
            update.support_url.as_deref(),
            Some(&*format!("https://{}.example.org/", planned.source))
        );
        for package in update.packages() {
            let content = package.content.as_ref().expect("an archive");
            assert!(
                content.url.starts_with("copy:/") && content.url.ends_with(".deb"),
                "{}",
                content.url
            );
        }
    }
    let kernel = found
        .updates
        .iter()
        .find(|update| update.title.starts_with("linux"))
        .expect("a kernel");
    let behavior = kernel.installation_behavior.expect("merged from its children");
    assert_eq!(
        behavior.reboot_behavior,
        InstallationRebootBehavior::CanRequestReboot
    );
    assert!(
        kernel
            .packages()
            .iter()
            .any(|package| package.installed.is_none()),
        "the new kernel comes along"
    );
    assert_eq!(
        found.updates,
        world.search().updates,
        "a search depends on nothing but the machine"
    );
}

#[test]
fn what_is_kept_back_says_why() {
    let old = [
        Package::new("held", "1"),
        Package::new("stuck", "1"),
        Package::new("early", "1"),
        Package::new("winner", "1"),
        Package::new("loser", "1"),
        Package::new("plain", "1"),
    ];
    let new = [
        Package::new("held", "2"),
        Package::new("stuck", "2").depends("nowhere (>= 3)"),
        Package::new("early", "2").phased(0),
        Package::new("winner", "2").field("Conflicts", "loser"),
        Package::new("loser", "1"),
        Package::new("plain", "2"),
    ];
    let world = World::of(&old, &new);
    world.machine.hold("held").expect("held");
    let found = world.search();
    let titles: Vec<_> = found.updates.iter().map(|update| update.title.as_str()).collect();
    assert_eq!(titles, ["plain 2"]);
    let kept = |title: &str| {
        let found = found.kept_back.iter().find(|kept| kept.title == title);
        found.unwrap_or_else(|| panic!("`{title}` is not kept back: {:?}", found))
    };
    assert_eq!(kept("held 2").reason, "`held` is on hold at 1");
    assert!(
        kept("stuck 2").reason.contains("nowhere (>= 3)"),
        "{:?}",
        kept("stuck 2")
    );
    assert!(
        kept("early 2")
            .reason
            .starts_with("it is offered to 0 % of all machines"),
        "{:?}",
        kept("early 2")
    );
    assert_eq!(kept("winner 2").removals, ["loser"]);
    assert_eq!(kept("winner 2").reason, "it would remove `loser`");
    assert_eq!(found.kept_back.len(), 4);
}

#[test]
fn a_machine_without_indexes_says_so_and_still_succeeds() {
    let world = World::of(&[Package::new("plain", "1")], &[Package::new("plain", "2")]);
    let lists = world.root().join("var/lib/apt/lists");
    for entry in std::fs::read_dir(lists).expect("lists") {
        let path = entry.expect("an entry").path();
        if path.is_file() {
            std::fs::remove_file(path).expect("removed");
        }
    }
    let found = world.search();
    assert!(found.updates.is_empty());
    let warnings: Vec<_> = found
        .warnings
        .iter()
        .map(|warning| (warning.hresult, warning.message.as_str()))
        .collect();
    let expected = "the indexes were never fetched on this machine, so nothing can be found; refresh them";
    assert_eq!(warnings, [(HResult::S_FALSE, expected)]);
}

#[test]
fn a_failed_refresh_leaves_the_old_answer_and_a_failing_warning() {
    let world = World::of(&[Package::new("plain", "1")], &[Package::new("plain", "2")]);
    world
        .machine
        .archive()
        .corrupt_release(wua_sandbox::Suite::Practice)
        .expect("corrupted");
    let abort = std::sync::atomic::AtomicBool::new(false);
    let request = wua_engine::source::SearchRequest {
        refresh: true,
        store: &world.store,
        abort: &abort,
    };
    let found = wua_engine::source::UpdateSource::search(&world.apt, &request).expect("a search");
    assert_eq!(found.updates.len(), 1);
    assert_eq!(found.warnings.len(), 1, "{:?}", found.warnings);
    assert_eq!(
        found.warnings[0].hresult,
        HResult::TRUST_E_NOSIGNATURE,
        "{:?}",
        found.warnings
    );
}

#[test]
fn an_abort_ends_the_search() {
    let world = World::of(&[Package::new("plain", "1")], &[Package::new("plain", "2")]);
    let abort = std::sync::atomic::AtomicBool::new(true);
    let request = wua_engine::source::SearchRequest {
        refresh: false,
        store: &world.store,
        abort: &abort,
    };
    let failure = wua_engine::source::UpdateSource::search(&world.apt, &request).expect_err("aborted");
    assert_eq!(failure.code(), HResult::WU_E_CALL_CANCELLED);
}
