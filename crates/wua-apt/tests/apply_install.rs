//! Installing a batch on a practice machine: what goes well and what goes wrong, each beside the innocent.

mod common;

use common::{Change, Record, Scene, Want, upgrade};
use std::time::Duration;
use wua_apt::apply::ApplyOptions;
use wua_apt::restart::restart_required;
use wua_engine::handler::BatchEnd;
use wua_sandbox::{Package, Script};
use wua_types::{HResult, Phase, UpdateOperation};

const DONE: BatchEnd = BatchEnd::Done;

#[test]
fn a_failing_postinst_and_a_failing_preinst_do_not_take_the_others_with_them() {
    let scene = Scene::new(vec![
        vec![upgrade("anchor", |new| new)],
        vec![upgrade("badpost", |new| {
            new.script(Script::Postinst, "echo words; echo the reason >&2; exit 3")
        })],
        vec![upgrade("badpre", |new| {
            new.script(Script::Preinst, "echo preinst says no >&2; exit 4")
        })],
        vec![
            upgrade("liba", |new| new),
            upgrade("liba-tools", |new| new.depends("liba (= 2)")),
        ],
    ]);
    let mut record = Record::default();
    assert_eq!(scene.install(&mut record).expect("applied"), DONE);
    assert!(record.succeeded(0) && record.succeeded(3), "{:?}", record.story);

    let (code, message) = record.failure(1);
    assert_eq!(
        (code, record.result(1).unmapped_result_code),
        (HResult::WU_E_UH_INSTALLERFAILURE, 3)
    );
    assert!(message.contains("post-installation script"), "{message}");
    assert!(
        message.contains("version 2 is unpacked but not configured; it said: words / the reason"),
        "{message}"
    );
    let (code, message) = record.failure(2);
    assert_eq!(
        (code, record.result(2).unmapped_result_code),
        (HResult::WU_E_UH_INSTALLERFAILURE, 4)
    );
    assert!(
        message.contains("version 1 stays installed; it said: preinst says no"),
        "{message}"
    );

    assert_eq!(scene.state("anchor"), "installed 2");
    assert_eq!(scene.state("badpost"), "half-configured 2");
    assert_eq!(scene.state("badpre"), "installed 1");
    assert_eq!(scene.state("liba-tools"), "installed 2");
    assert!(record.warnings.is_empty(), "{:?}", record.warnings);
    let changing = record.story.iter().filter(|line| *line == "changing").count();
    assert_eq!((changing, record.story[0].as_str()), (1, "changing"));
    assert!(
        !scene
            .job()
            .read_dir()
            .expect("folder")
            .flatten()
            .any(|entry| { entry.file_name().to_string_lossy().starts_with("archives-") })
    );
}

#[test]
fn steps_are_counted_to_the_last_and_results_come_early() {
    let scene = Scene::new(vec![
        vec![upgrade("first", |new| new)],
        vec![upgrade("second", |new| {
            new.script(
                Script::Postinst,
                "n=0\nwhile [ ! -e \"$DPKG_ROOT/go\" ]; do n=$((n + 1)); [ $n -lt 3000 ]; sleep 0.01; done",
            )
        })],
    ]);
    let root = scene.machine.root().to_owned();
    // The script waits until its own silence has been told; on a busy machine others are silent before it.
    let mut record = Record::on_waiting(|wait| {
        if wait.what == "the maintainer script of second" {
            std::fs::write(root.join("go"), "").expect("written");
        }
        Want::Nothing
    });
    let options = ApplyOptions {
        quiet_after: Duration::ZERO,
        ..ApplyOptions::default()
    };
    let end = scene.apply(
        UpdateOperation::Installation,
        &scene.updates,
        &[0, 1],
        &options,
        &mut record,
    );
    assert_eq!(end.expect("applied"), DONE);
    assert!(record.succeeded(0) && record.succeeded(1));
    for update in [0, 1] {
        let counted = record
            .steps
            .iter()
            .filter(|step| step.0 == update)
            .map(|step| step.1)
            .max();
        assert_eq!(counted, Some(5));
    }
    assert!(record.waited_for("the maintainer script of second"));
    assert_eq!(record.waits.last(), Some(&None), "the wait is withdrawn");
    let place = |wanted: &str| record.story.iter().position(|line| line.starts_with(wanted));
    assert!(place("finished 0") < place("waiting Some"), "{:?}", record.story);
}

#[test]
fn a_kept_configuration_file_is_named() {
    let conf = |package: Package, text: &str| package.conffile("etc/gate.conf", text);
    let scene = Scene::new(vec![vec![Change(
        Some(conf(Package::new("gate", "1"), "level=1\n")),
        Some(conf(Package::new("gate", "2"), "level=2\n")),
    )]]);
    scene
        .machine
        .edit_conffile("etc/gate.conf", "level=mine\n")
        .expect("edited");
    let mut record = Record::default();
    scene.install(&mut record).expect("applied");
    assert!(record.succeeded(0));
    assert_eq!(record.result(0).kept_configuration, ["/etc/gate.conf"]);
    let kept = std::fs::read_to_string(scene.machine.root().join("etc/gate.conf")).expect("readable");
    assert_eq!(kept, "level=mine\n");
}

#[test]
fn who_asks_for_a_restart_is_marked_and_nobody_else() {
    let ask = "mkdir -p $DPKG_ROOT/run; : > $DPKG_ROOT/run/reboot-required; echo bus >> $DPKG_ROOT/run/reboot-required.pkgs";
    let scene = Scene::new(vec![
        vec![upgrade("bus", |new| new.script(Script::Postinst, ask))],
        vec![upgrade("other", |new| new)],
    ]);
    assert_eq!(restart_required(&scene.tree).expect("readable"), None);
    let mut record = Record::default();
    scene.install(&mut record).expect("applied");
    assert_eq!(
        [0, 1].map(|update| record.result(update).reboot_required),
        [true, false]
    );
    assert_eq!(
        restart_required(&scene.tree).expect("readable"),
        Some(vec!["bus".to_owned()])
    );
}

#[test]
fn a_file_of_another_package_is_named_with_its_owner() {
    let claim = |package: Package| package.executable("usr/bin/quay", "#!/bin/sh\n");
    let scene = Scene::new(vec![
        vec![Change(
            Some(Package::new("ferry", "1")),
            Some(claim(Package::new("ferry", "2"))),
        )],
        vec![Change(
            Some(claim(Package::new("quay", "1"))),
            Some(claim(Package::new("quay", "2"))),
        )],
    ]);
    let mut record = Record::default();
    scene.install(&mut record).expect("applied");
    let (code, message) = record.failure(0);
    assert_eq!(code, HResult::WU_E_UH_INSTALLERFAILURE);
    assert!(
        message.contains("trying to overwrite '/usr/bin/quay', which is also in package quay"),
        "{message}"
    );
    assert!(message.ends_with("version 1 stays installed"), "{message}");
    assert!(record.succeeded(1));
}

#[test]
fn a_leftover_of_an_earlier_run_is_a_warning_and_fails_nothing() {
    let broken = upgrade("leftover", |new| new.script(Script::Postinst, "exit 3"));
    let scene = Scene::new(vec![vec![broken], vec![upgrade("ours", |new| new)]]);
    assert!(
        !scene
            .machine
            .apt_get(&["-y", "-q", "install", "leftover"])
            .expect("run")
            .status
            .success()
    );
    assert_eq!(scene.state("leftover"), "half-configured 2");
    let mut record = Record::default();
    scene
        .apply(
            UpdateOperation::Installation,
            &scene.updates,
            &[1],
            &ApplyOptions::default(),
            &mut record,
        )
        .expect("applied");
    assert!(record.succeeded(1));
    let [warning] = &record.warnings[..] else {
        panic!("{:?}", record.warnings)
    };
    assert!(
        warning.starts_with("`leftover`, which is not part of this job: "),
        "{warning}"
    );
}

#[test]
fn an_interrupted_dpkg_is_repaired_first_and_visibly() {
    let scene = Scene::new(vec![
        vec![upgrade("ours", |new| new)],
        vec![upgrade("half", |new| new)],
    ]);
    // The journal of a dpkg that was killed before it configured `half`.
    let status = std::fs::read_to_string(scene.machine.root().join("var/lib/dpkg/status")).expect("readable");
    let entry = status
        .split("\n\n")
        .find(|entry| entry.starts_with("Package: half\n"))
        .expect("installed");
    scene.write(
        "var/lib/dpkg/updates/0000",
        &format!("{}\n", entry.replace("ok installed", "ok unpacked")),
    );
    let mut record = Record::default();
    scene
        .apply(
            UpdateOperation::Installation,
            &scene.updates,
            &[0],
            &ApplyOptions::default(),
            &mut record,
        )
        .expect("applied");
    assert!(record.succeeded(0), "{:?}", record.story);
    assert_eq!(record.steps[0].3, Phase::Repairing);
    assert_eq!(scene.state("half"), "installed 1");
    assert!(!scene.exists("var/lib/dpkg/updates/0000"));
}

#[test]
fn triggers_run_before_a_result_is_final() {
    let interest = |version: &str| Package::new("index", version).trigger("interest /usr/share/pages");
    let index = interest("1").script(
        Script::Postinst,
        "[ \"$1\" != triggered ] || touch $DPKG_ROOT/triggered",
    );
    let scene = Scene::new(vec![
        vec![upgrade("page", |new| new.file("usr/share/pages/page", "text"))],
        vec![Change(Some(index), Some(interest("2")))],
    ]);
    let mut record = Record::default();
    scene
        .apply(
            UpdateOperation::Installation,
            &scene.updates,
            &[0],
            &ApplyOptions::default(),
            &mut record,
        )
        .expect("applied");
    assert!(record.succeeded(0), "{:?}", record.story);
    assert!(scene.exists("triggered"));
    assert!(
        record.steps.iter().any(|step| step.3 == Phase::Triggers),
        "{:?}",
        record.story
    );
}

#[test]
fn what_depends_on_a_failed_package_fails_with_the_cause_named() {
    let scene = Scene::new(vec![
        vec![upgrade("base", |new| new.script(Script::Postinst, "exit 7"))],
        vec![upgrade("needy", |new| new.depends("base (>= 2)"))],
        vec![upgrade("free", |new| new)],
    ]);
    let mut record = Record::default();
    scene.install(&mut record).expect("applied");
    assert_eq!(record.result(0).unmapped_result_code, 7);
    assert!(
        record.failure(1).1.contains("dependency problems"),
        "{:?}",
        record.failure(1)
    );
    assert!(record.succeeded(2));
}

#[test]
fn a_new_package_and_a_native_one_are_installed_too() {
    let native = String::from_utf8(
        std::process::Command::new("dpkg")
            .arg("--print-architecture")
            .output()
            .expect("dpkg")
            .stdout,
    );
    let native = native.expect("text").trim().to_owned();
    let library = |version: &str| {
        Package::new("libn", version)
            .architecture(&native)
            .multi_arch("same")
    };
    let scene = Scene::new(vec![vec![
        Change(Some(library("1:1-1")), Some(library("1:2~rc1-1"))),
        Change(None, Some(Package::new("libn-data", "2"))),
    ]]);
    let mut record = Record::default();
    scene.install(&mut record).expect("applied");
    assert!(record.succeeded(0), "{:?}", record.story);
    assert_eq!(
        (scene.state("libn"), scene.state("libn-data")),
        ("installed 1:2~rc1-1".into(), "installed 2".into())
    );
    assert_eq!(record.steps.last().map(|step| (step.1, step.2)), Some((10, 10)));
}
