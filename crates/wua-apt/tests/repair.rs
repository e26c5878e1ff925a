//! The repair ladder on practice machines that were broken by killing, by force, or by other tools.

mod common;

use std::fs;
use std::path::Path;
use std::process::{Child, Stdio};

use common::{Record, Scene, Want, upgrade};
use rustix::process::{Pid, Signal, kill_process};
use wua_apt::{Apt, AptOptions};
use wua_engine::Failure;
use wua_engine::handler::{Consent, Finding, FindingKind, UpdateHandler as _};
use wua_sandbox::{Package, Script};

/// Blocks until the test says go, and leaves word that it is there.
const BLOCKS: &str = "echo ran >> \"$DPKG_ROOT/ran\"; : > \"$DPKG_ROOT/there\"\n\
                      while [ ! -e \"$DPKG_ROOT/go\" ]; do sleep 0.01; done";

fn apt(scene: &Scene) -> Apt {
    Apt::open(scene.machine.root(), AptOptions::default()).expect("tree")
}

fn diagnose(scene: &Scene) -> Vec<Finding> {
    apt(scene).diagnose(&scene.store).expect("diagnosed")
}

fn kinds(findings: &[Finding]) -> Vec<FindingKind> {
    findings.iter().map(|finding| finding.kind).collect()
}

fn try_repair(scene: &Scene, consent: Consent, cx: &mut Record) -> Result<Vec<Finding>, Failure> {
    apt(scene).repair(&scene.job(), 9, &scene.store, consent, cx)
}

fn repair(scene: &Scene) -> Vec<Finding> {
    try_repair(scene, Consent::default(), &mut Record::default()).expect("repaired")
}

/// Nothing is left to complain about, by dpkg's own audit too.
#[track_caller]
fn assert_healthy(scene: &Scene) {
    let audit = scene.machine.dpkg(&["--audit"]).expect("audited");
    assert_eq!(String::from_utf8_lossy(&audit.stdout), "");
    assert_eq!(diagnose(scene), []);
}

/// Starts apt-get on the scene's machine.
fn start_apt(scene: &Scene, arguments: &[&str]) -> Child {
    let mut command = scene.machine.command("apt-get");
    command
        .args(["-y", "-q", "-o", "Dpkg::Use-Pty=false"])
        .args(arguments);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command.spawn().expect("started")
}

/// Waits until a file is there.
fn wait_for(path: &Path, child: &mut Child) {
    while !path.exists() {
        assert!(child.try_wait().expect("waited for").is_none(), "it ended early");
        std::thread::yield_now();
    }
}

/// The processes that `pid` started, and those they did.
fn descendants(pid: u32) -> Vec<u32> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task"))
        .into_iter()
        .flatten()
        .flatten();
    let children = tasks.flat_map(|task| {
        let text = fs::read_to_string(task.path().join("children")).unwrap_or_default();
        text.split_whitespace()
            .filter_map(|pid| pid.parse().ok())
            .collect::<Vec<u32>>()
    });
    children
        .flat_map(|child| [vec![child], descendants(child)].concat())
        .collect()
}

/// Kills the dpkg that works for `child` on this tree, and nobody else.
fn kill_dpkg(scene: &Scene, child: &Child) {
    let root = format!("--root={}", scene.machine.root().display());
    let is_it = |pid: &u32| {
        let line = fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let mut words = line.split('\0');
        words.next().is_some_and(|program| program.ends_with("dpkg")) && words.any(|word| word == root)
    };
    let found = descendants(child.id())
        .into_iter()
        .find(is_it)
        .expect("dpkg is at work");
    let pid = Pid::from_raw(found.cast_signed()).expect("a pid");
    kill_process(pid, Signal::KILL).expect("a descendant of our own child");
}

fn go(scene: &Scene) {
    scene.write("go", "");
}

/// An upgrade whose dpkg was killed while `script` of the new version ran.
fn killed_in(script: Script) -> Scene {
    let scene = Scene::new(vec![vec![upgrade("victim", |new| {
        // An interpreter with an option, as many scripts have it.
        new.script(script, format!("#!/bin/sh -e\n{BLOCKS}\n"))
            .file("usr/share/victim/new", "only in the new version")
    })]]);
    let mut child = start_apt(&scene, &["install", "victim"]);
    wait_for(&scene.machine.root().join("there"), &mut child);
    kill_dpkg(&scene, &child);
    child.wait().expect("waited for");
    scene
}

#[test]
fn a_healthy_machine_needs_nothing() {
    let scene = Scene::new(vec![vec![upgrade("fine", |new| new)]]);
    assert_eq!(diagnose(&scene), []);
    let mut record = Record::default();
    assert_eq!(
        try_repair(&scene, Consent::default(), &mut record).expect("repaired"),
        []
    );
    assert!(
        !record.story.iter().any(|line| line == "changing"),
        "{:?}",
        record.story
    );
    assert!(!scene.job().join("run-9.0.json").exists());
}

#[test]
fn a_killed_configuration_is_finished_once_its_script_has_ended() {
    let scene = killed_in(Script::Postinst);
    let found = diagnose(&scene);
    assert_eq!(
        kinds(&found)[..2],
        [FindingKind::Survivor, FindingKind::Unconfigured],
        "{found:?}"
    );
    let mut record = Record::on_waiting(|wait| {
        if wait.what == "the end of an interrupted run" {
            assert!(
                wait.holder.as_ref().expect("named").contains("victim.postinst"),
                "{wait:?}"
            );
            go(&scene);
        }
        Want::Nothing
    });
    assert_eq!(
        try_repair(&scene, Consent::default(), &mut record).expect("repaired"),
        []
    );
    assert!(record.waited_for("the end of an interrupted run"));
    drop(record);
    assert_eq!(scene.state("victim"), "installed 2");
    assert_healthy(&scene);
}

#[test]
fn a_killed_unpacking_is_repeated_from_the_store() {
    let scene = killed_in(Script::Preinst);
    go(&scene);
    let found = repair(&scene);
    assert_eq!(found, []);
    assert_healthy(&scene);
    let version = scene.state("victim");
    let data = fs::read_to_string(scene.machine.root().join("usr/share/victim/data")).expect("there");
    assert_eq!(version, format!("installed {data}"));
}

/// Marks a package as interrupted in mid-unpack, as dpkg would, with the traces it leaves.
fn interrupt(scene: &Scene, name: &str) {
    let path = scene.machine.root().join("var/lib/dpkg/status");
    let status = fs::read_to_string(&path).expect("status");
    let (before, rest) = status.split_once(&format!("Package: {name}\n")).expect("there");
    let rest = rest.replacen(
        "Status: install ok installed",
        "Status: install reinstreq half-installed",
        1,
    );
    fs::write(&path, format!("{before}Package: {name}\n{rest}")).expect("written");
    scene.write(&format!("usr/share/{name}/data.dpkg-new"), "");
    scene.write(&format!("usr/share/{name}/more.dpkg-new"), "");
    scene.write(&format!("usr/share/{name}/data"), "torn");
}

fn data(scene: &Scene, name: &str) -> String {
    fs::read_to_string(scene.machine.root().join(format!("usr/share/{name}/data"))).expect("there")
}

#[test]
fn half_installed_packages_are_unpacked_again_though_the_archive_has_only_newer_ones() {
    let scene = Scene::new(vec![
        vec![upgrade("first", |new| new)],
        vec![upgrade("second", |new| new)],
    ]);
    keep_old(&scene, &["first", "second"]);
    interrupt(&scene, "first");
    interrupt(&scene, "second");
    let found = diagnose(&scene);
    assert_eq!(
        kinds(&found),
        [FindingKind::HalfInstalled, FindingKind::HalfInstalled]
    );
    assert!(found[0].cure.contains("the archive that wua kept"), "{found:?}");
    assert_eq!(repair(&scene), []);
    for name in ["first", "second"] {
        assert_eq!(
            (scene.state(name).as_str(), data(&scene, name).as_str()),
            ("installed 1", "1")
        );
        assert!(!scene.exists(&format!("usr/share/{name}/data.dpkg-new")));
        assert!(!scene.exists(&format!("usr/share/{name}/more.dpkg-new")));
    }
    assert_healthy(&scene);
}

/// Old versions are in the scene's store; a check that they are.
fn keep_old(scene: &Scene, names: &[&str]) {
    for name in names {
        let label = format!("deb {name} {} 1", scene.updates[0].changes[0].architecture);
        assert!(scene.store.find(&label).expect("readable").is_some(), "{label}");
    }
}

fn forget_store(scene: &Scene) {
    for content in scene.store.list().expect("readable") {
        scene.store.remove(&content.sha256).expect("removed");
    }
}

#[test]
fn what_the_store_lacks_comes_from_the_index() {
    let scene = Scene::new(vec![vec![upgrade("lone", |new| new)]]);
    forget_store(&scene);
    interrupt(&scene, "lone");
    assert_eq!(repair(&scene), []);
    assert_eq!(
        (scene.state("lone").as_str(), data(&scene, "lone").as_str()),
        ("installed 2", "2")
    );
    assert_healthy(&scene);
}

#[test]
fn what_is_nowhere_is_named_and_given_up_only_with_consent() {
    let scene = Scene::new(vec![vec![upgrade("lone", |new| new)]]);
    forget_store(&scene);
    interrupt(&scene, "lone");
    for folder in [
        scene.machine.archive().root(),
        &scene.machine.root().join("var/cache/apt/archives"),
    ] {
        remove_archives(folder);
    }
    let left = repair(&scene);
    assert_eq!(kinds(&left), [FindingKind::HalfInstalled]);
    assert!(
        !left[0].heals_itself && left[0].cure.contains("--allow-removals"),
        "{left:?}"
    );
    let consent = Consent { removals: true };
    assert_eq!(
        try_repair(&scene, consent, &mut Record::default()).expect("repaired"),
        []
    );
    assert_eq!(scene.machine.dpkg_state("lone").map(|(_, version)| version), None);
    assert_healthy(&scene);
}

#[test]
fn an_archive_that_is_not_what_the_index_promises_repairs_nothing() {
    let scene = Scene::new(vec![vec![upgrade("lone", |new| new)]]);
    forget_store(&scene);
    interrupt(&scene, "lone");
    for_archives(scene.machine.archive().root(), |archive| {
        let mut bytes = fs::read(archive).expect("readable");
        *bytes.last_mut().expect("not empty") ^= 1;
        fs::write(archive, bytes).expect("written");
    });
    let left = repair(&scene);
    assert_eq!(kinds(&left), [FindingKind::HalfInstalled]);
    assert!(
        left[0]
            .sentence
            .contains("is not the archive that the signed index promises"),
        "{left:?}"
    );
    assert_eq!(data(&scene, "lone"), "torn");
}

fn remove_archives(folder: &Path) {
    for_archives(folder, |archive| fs::remove_file(archive).expect("removed"));
}

fn for_archives(folder: &Path, work: impl Fn(&Path) + Copy) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            for_archives(&path, work);
        } else if path.extension().is_some_and(|extension| extension == "deb") {
            work(&path);
        }
    }
}

#[test]
fn a_script_that_keeps_failing_is_named_and_not_tried_for_ever() {
    let script = "echo ran >> \"$DPKG_ROOT/ran\"; echo 'victim: the records are locked'; exit 3";
    let scene = Scene::new(vec![vec![upgrade("victim", |new| {
        new.script(Script::Postinst, script)
    })]]);
    start_apt(&scene, &["install", "victim"])
        .wait()
        .expect("waited for");
    let runs = || {
        fs::read_to_string(scene.machine.root().join("ran"))
            .expect("ran")
            .lines()
            .count()
    };
    let before = runs();
    let left = repair(&scene);
    assert_eq!(kinds(&left), [FindingKind::Unconfigured]);
    assert!(left[0].sentence.contains("the records are locked"), "{left:?}");
    assert!(left[0].cure.contains("wua uninstall victim"), "{left:?}");
    assert_eq!(runs() - before, 1);
}

#[test]
fn a_missing_dependency_is_installed_again() {
    let scene = Scene::new(vec![
        vec![upgrade("base", |new| new)],
        vec![upgrade("user", |new| new.depends("base"))],
    ]);
    let mut record = Record::default();
    scene.install(&mut record).expect("installed");
    scene
        .machine
        .dpkg(&["--force-depends", "-r", "base"])
        .expect("removed");
    let found = diagnose(&scene);
    assert_eq!(kinds(&found), [FindingKind::BrokenDependency]);
    assert!(found[0].subject.starts_with("user:"), "{found:?}");
    assert!(
        found[0].heals_itself && found[0].cure.starts_with("install `base`"),
        "{found:?}"
    );
    assert_eq!(repair(&scene), []);
    assert_eq!(scene.state("base"), "installed 2");
    assert_healthy(&scene);
}

#[test]
fn what_only_a_removal_would_mend_needs_consent() {
    let scene = Scene::new(vec![vec![upgrade("fine", |new| new)]]);
    let file = scene.machine.root().join("stuck.deb");
    let stuck = Package::new("stuck", "1").depends("nowhere-to-be-had");
    fs::write(&file, stuck.to_deb().expect("built")).expect("written");
    let path = file.to_str().expect("a path");
    scene
        .machine
        .dpkg(&["--force-depends", "-i", path])
        .expect("installed");
    let found = diagnose(&scene);
    assert!(
        !found[0].heals_itself && found[0].cure.starts_with("remove `stuck`"),
        "{found:?}"
    );
    let left = repair(&scene);
    assert_eq!(kinds(&left), [FindingKind::BrokenDependency]);
    assert!(left[0].sentence.contains("would remove `stuck`"), "{left:?}");
    assert_eq!(scene.state("stuck"), "installed 1");
    let consent = Consent { removals: true };
    assert_eq!(
        try_repair(&scene, consent, &mut Record::default()).expect("repaired"),
        []
    );
    assert_eq!(
        scene.machine.dpkg_state("stuck").map(|(_, version)| version),
        None
    );
}

#[test]
fn an_unfinished_journal_is_worked_off() {
    let scene = Scene::new(vec![vec![upgrade("fine", |new| new)]]);
    let status = fs::read_to_string(scene.machine.root().join("var/lib/dpkg/status")).expect("status");
    let entry = status
        .split("\n\n")
        .find(|entry| entry.contains("Package: fine\n"))
        .expect("there");
    let entry = entry.replace("ok installed", "ok half-configured");
    scene.write("var/lib/dpkg/updates/0000", &format!("{}\n", entry.trim_end()));
    let found = diagnose(&scene);
    assert_eq!(
        kinds(&found),
        [FindingKind::Unconfigured, FindingKind::Unconfigured]
    );
    assert_eq!(repair(&scene), []);
    assert_eq!(scene.state("fine"), "installed 1");
    assert_healthy(&scene);
}

#[test]
fn a_removal_that_was_begun_is_finished() {
    let scene = Scene::new(vec![vec![upgrade("leaver", |new| new)]]);
    let path = scene.machine.root().join("var/lib/dpkg/status");
    let status = fs::read_to_string(&path).expect("status");
    let (before, rest) = status.split_once("Package: leaver\n").expect("there");
    let rest = rest.replacen(
        "Status: install ok installed",
        "Status: deinstall ok half-configured",
        1,
    );
    fs::write(&path, format!("{before}Package: leaver\n{rest}")).expect("written");
    assert_eq!(kinds(&diagnose(&scene)), [FindingKind::Unconfigured]);
    assert_eq!(repair(&scene), []);
    assert!(!scene.exists("usr/share/leaver/data"));
    assert_healthy(&scene);
}

#[test]
fn a_configuration_file_left_beside_a_complete_package_is_cleared_away() {
    let scene = Scene::new(vec![vec![upgrade("fine", |new| {
        new.conffile("etc/fine.conf", "new")
    })]]);
    let mut record = Record::default();
    scene.install(&mut record).expect("installed");
    scene.write("etc/fine.conf.dpkg-new", "torn");
    scene.write("etc/other.dpkg-new", "the administrator's");
    assert_eq!(kinds(&diagnose(&scene)), [FindingKind::Leftover]);
    assert_eq!(repair(&scene), []);
    assert!(!scene.exists("etc/fine.conf.dpkg-new") && scene.exists("etc/other.dpkg-new"));
    assert!(scene.exists("etc/fine.conf"));
}

/// Not a test of ours alone: the machine's own packages are read, never changed.
#[test]
fn the_machine_itself_is_diagnosed_without_touching_it() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let store = wua_engine::store::ContentStore::new(folder.path().join("store"));
    let apt = Apt::open(Path::new("/"), AptOptions::default()).expect("Debian");
    apt.diagnose(&store).expect("diagnosed");
}
