//! The plan is held to: other packages, other versions and other bytes than the authorised ones are refused with their
//! names, and nothing is touched.

mod common;

use std::fs;
use std::os::unix::fs::PermissionsExt;

use common::{Record, Scene, upgrade};
use wua_apt::apply::ApplyOptions;
use wua_engine::handler::BatchEnd;
use wua_sandbox::{Package, Script, Suite};
use wua_types::{HResult, PlannedUpdate, UpdateOperation};

fn install(scene: &Scene, plan: &[PlannedUpdate], members: &[usize]) -> (BatchEnd, Record<'static>) {
    let mut record = Record::default();
    let end = scene.apply(
        UpdateOperation::Installation,
        plan,
        members,
        &ApplyOptions::default(),
        &mut record,
    );
    (end.expect("applied"), record)
}

#[test]
fn what_apt_needs_of_another_update_is_asked_for() {
    let scene = Scene::new(vec![
        vec![upgrade("needy", |new| new.depends("base (>= 2)"))],
        vec![upgrade("base", |new| new)],
        vec![upgrade("other", |new| new)],
    ]);
    let (end, record) = install(&scene, &scene.updates, &[0]);
    assert_eq!((end, record.results.len()), (BatchEnd::NeedsAlso(vec![1]), 0));
    assert_eq!(scene.state("base"), "installed 1");
    let (end, record) = install(&scene, &scene.updates, &[0, 1]);
    assert_eq!(end, BatchEnd::Done);
    assert!(record.succeeded(0) && record.succeeded(1));
}

#[test]
fn a_package_that_nobody_authorised_fails_its_update_and_no_other() {
    let scene = Scene::new(vec![
        vec![upgrade("anchor", |new| new.depends("surprise"))],
        vec![upgrade("innocent", |new| new)],
    ]);
    let archive = [
        Package::new("surprise", "7"),
        Package::new("anchor", "2")
            .file("usr/share/anchor/data", "2")
            .depends("surprise"),
        Package::new("innocent", "2").file("usr/share/innocent/data", "2"),
    ];
    scene
        .machine
        .publish(Suite::Practice, &archive)
        .expect("published");
    scene.machine.refresh().expect("refreshed");
    let (end, record) = install(&scene, &scene.updates, &[0, 1]);
    assert_eq!(end, BatchEnd::Done);
    let (code, message) = record.failure(0);
    assert_eq!(code, HResult::WU_E_INVALID_RELATIONSHIP);
    assert!(
        message.contains("apt also wants to install `surprise` 7"),
        "{message}"
    );
    assert!(record.succeeded(1), "{:?}", record.story);
    assert_eq!(
        ["anchor", "innocent"].map(|name| scene.state(name)),
        ["installed 1", "installed 2"]
    );
}

#[test]
fn a_version_that_changed_since_the_plan_is_named() {
    let scene = Scene::new(vec![
        vec![upgrade("anchor", |new| new)],
        vec![upgrade("innocent", |new| new)],
    ]);
    let mut plan = scene.updates.clone();
    plan[0].changes[0].from = Some("0.5".into());
    let (_, record) = install(&scene, &plan, &[0, 1]);
    let (code, message) = record.failure(0);
    assert_eq!(code, HResult::WU_E_NOT_APPLICABLE);
    assert_eq!(
        message,
        "not as planned: `anchor` is at 1 instead of at 0.5; nothing was touched"
    );
    assert!(record.succeeded(1));
    assert_eq!(scene.state("anchor"), "installed 1");
}

#[test]
fn a_version_that_the_archive_has_dropped_fails_alone() {
    let scene = Scene::new(vec![
        vec![upgrade("anchor", |new| new)],
        vec![upgrade("innocent", |new| new)],
    ]);
    let mut plan = scene.updates.clone();
    plan[0].changes[0].to = Some("1.9".into());
    let (_, record) = install(&scene, &plan, &[0, 1]);
    let (code, message) = record.failure(0);
    assert_eq!(code, HResult::WU_E_NOT_APPLICABLE);
    assert!(
        message.contains("Version '1.9' for 'anchor' was not found"),
        "{message}"
    );
    assert!(record.succeeded(1), "{:?}", record.story);
}

#[test]
fn an_archive_altered_in_the_store_is_refused() {
    let scene = Scene::new(vec![
        vec![upgrade("anchor", |new| new)],
        vec![upgrade("innocent", |new| new)],
    ]);
    let hash = scene.updates[0].changes[0].archive.clone().expect("an archive");
    let path = scene.store.path(&hash).expect("a hash");
    let mut bytes = fs::read(&path).expect("readable");
    *bytes.last_mut().expect("not empty") ^= 1;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("writable");
    fs::write(&path, bytes).expect("written");
    let (_, record) = install(&scene, &scene.updates, &[0, 1]);
    let (code, message) = record.failure(0);
    assert_eq!(code, HResult::WU_E_DM_INCORRECTFILEHASH);
    assert!(message.contains("`anchor`"), "{message}");
    assert!(record.succeeded(1));
    assert_eq!(scene.state("anchor"), "installed 1");
}

#[test]
fn an_archive_that_is_not_there_is_not_downloaded() {
    let scene = Scene::new(vec![vec![upgrade("anchor", |new| new)]]);
    let hash = scene.updates[0].changes[0].archive.clone().expect("an archive");
    assert!(scene.store.remove(&hash).expect("removed"));
    let (_, record) = install(&scene, &scene.updates, &[0]);
    assert_eq!(record.failure(0).0, HResult::WU_E_DM_NOTDOWNLOADED);
}

#[test]
fn an_archive_altered_between_its_check_and_the_run_is_stopped_by_the_gate() {
    let scene = Scene::new(vec![
        vec![upgrade("anchor", |new| new)],
        vec![upgrade("innocent", |new| new)],
    ]);
    // A hook of the machine's own, run before ours, stands for whoever alters files at the last moment.
    let hook = "DPkg::Pre-Install-Pkgs { \"for f in $WUA_JOB/archives-*/anchor_*.deb; do [ ! -e $f ] || printf x >> $f; done\"; };\n";
    scene.write("etc/apt/apt.conf.d/evil", hook);
    let (_, record) = install(&scene, &scene.updates, &[0, 1]);
    let (code, message) = record.failure(0);
    assert_eq!(code, HResult::WU_E_DM_INCORRECTFILEHASH);
    assert!(
        message.contains("the archive of `anchor` was altered"),
        "{message}"
    );
    assert!(record.succeeded(1), "{:?}", record.story);
    assert_eq!(scene.state("anchor"), "installed 1");
}

#[test]
fn a_member_that_failed_is_not_brought_in_by_the_back_door() {
    let scene = Scene::new(vec![
        vec![upgrade("base", |new| {
            new.script(Script::Preinst, "[ \"$1\" != upgrade ] || exit 4")
        })],
        vec![upgrade("needy", |new| new.depends("base (>= 2)"))],
    ]);
    let (end, record) = install(&scene, &scene.updates, &[0, 1]);
    assert_eq!(end, BatchEnd::Done);
    assert_eq!(record.result(0).unmapped_result_code, 4);
    assert!(record.failure(1).1.contains("base"), "{:?}", record.failure(1));
    assert_eq!(scene.state("base"), "installed 1");
}

#[test]
fn hooks_of_the_administrator_are_told_what_they_always_are() {
    let scene = Scene::new(vec![vec![upgrade("anchor", |new| new)]]);
    let root = scene.machine.root().display().to_string();
    let hooks = ["exec cat", "sh -c 'cat'", "/bin/sh -c 'cat'", "cat"];
    let settings: String = hooks
        .iter()
        .enumerate()
        .map(|(place, hook)| format!("DPkg::Pre-Install-Pkgs:: \"{hook} >{root}/told-{place}\";\n"))
        .collect();
    scene.write("etc/apt/apt.conf.d/50administrator", &settings);
    let (_, record) = install(&scene, &scene.updates, &[0]);
    assert!(record.succeeded(0), "{:?}", record.story);
    for (place, hook) in hooks.iter().enumerate() {
        let told = fs::read_to_string(scene.machine.root().join(format!("told-{place}"))).expect("told");
        // Without options of its own a hook gets the paths of the archives and nothing else.
        assert!(
            told.ends_with(".deb\n") && told.lines().count() == 1,
            "{hook}: {told}"
        );
    }
}
