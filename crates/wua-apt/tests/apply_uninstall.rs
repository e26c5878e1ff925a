//! Taking updates back: old versions from the store though the archive has forgotten them.

mod common;

use common::{Change, Record, Scene, upgrade};
use wua_apt::apply::ApplyOptions;
use wua_sandbox::{Package, Script};
use wua_types::{HResult, Phase, UpdateOperation};

fn take_back(scene: &Scene) -> Record<'static> {
    let members: Vec<_> = (0..scene.updates.len()).collect();
    let mut record = Record::default();
    scene
        .apply(
            UpdateOperation::Uninstallation,
            &scene.backwards(),
            &members,
            &ApplyOptions::default(),
            &mut record,
        )
        .expect("applied");
    record
}

#[test]
fn old_versions_come_back_and_what_the_update_added_goes() {
    let scene = Scene::new(vec![
        vec![
            upgrade("anchor", |new| new.depends("anchor-extra")),
            Change(None, Some(Package::new("anchor-extra", "2"))),
        ],
        vec![Change(
            Some(Package::new("epoch", "1:1~rc1-1")),
            Some(Package::new("epoch", "1:2-1")),
        )],
    ]);
    let automatic = || {
        let output = scene
            .machine
            .command("apt-mark")
            .args(["showauto", "anchor", "epoch", "anchor-extra"])
            .output();
        String::from_utf8(output.expect("run").stdout).expect("text")
    };
    scene
        .machine
        .command("apt-mark")
        .args(["auto", "epoch"])
        .status()
        .expect("marked");
    let mut record = Record::default();
    scene.install(&mut record).expect("applied");
    assert!(record.succeeded(0) && record.succeeded(1), "{:?}", record.story);
    assert_eq!(scene.state("anchor-extra"), "installed 2");
    let before = automatic();
    assert!(
        before.contains("epoch") && !before.contains("anchor\n"),
        "marks stay: {before}"
    );

    let record = take_back(&scene);
    assert!(record.succeeded(0) && record.succeeded(1), "{:?}", record.story);
    assert_eq!(
        ["anchor", "epoch"].map(|name| scene.state(name)),
        ["installed 1", "installed 1:1~rc1-1"]
    );
    let extra = scene.state("anchor-extra");
    assert!(!extra.starts_with("installed"), "{extra}");
    assert!(automatic().contains("epoch"), "marks stay on the way back, too");
    assert!(record.steps.iter().any(|step| step.3 == Phase::Removing));
    assert_eq!(
        record
            .steps
            .iter()
            .filter(|step| step.0 == 0)
            .map(|step| (step.1, step.2))
            .max(),
        Some((8, 8))
    );
}

#[test]
fn a_script_that_refuses_leaves_the_update_in_place_and_says_so() {
    let refuses = |package: Package| package.script(Script::Prerm, "echo still in use >&2; exit 5");
    // dpkg asks the old version's prerm and, when that fails, the new one's: both refuse.
    let scene = Scene::new(vec![
        vec![Change(
            Some(refuses(Package::new("stubborn", "1"))),
            Some(refuses(Package::new("stubborn", "2"))),
        )],
        vec![upgrade("willing", |new| new)],
    ]);
    let deb = scene
        .store
        .find("deb stubborn all 2")
        .expect("readable")
        .expect("stored");
    // Brought in by force: its prerm would refuse an upgrade, too.
    let path = scene.store.path(&deb.sha256).expect("a hash");
    std::fs::write(
        scene.machine.root().join("var/lib/dpkg/info/stubborn.prerm"),
        "#!/bin/sh\n",
    )
    .expect("written");
    let installed = scene
        .machine
        .dpkg(&["-i".as_ref(), path.as_os_str()])
        .expect("run");
    assert!(installed.status.success(), "{installed:?}");
    scene.machine.install(&["willing"]).expect("installed");

    let record = take_back(&scene);
    let (code, message) = record.failure(0);
    assert_eq!(
        (code, record.result(0).unmapped_result_code),
        (HResult::WU_E_UH_INSTALLERFAILURE, 5)
    );
    assert!(
        message.contains("version 2 stays installed") && message.ends_with("it said: still in use"),
        "{message}"
    );
    assert!(record.succeeded(1), "{:?}", record.story);
    assert_eq!(
        ["stubborn", "willing"].map(|name| scene.state(name)),
        ["installed 2", "installed 1"]
    );
}
