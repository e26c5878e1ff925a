//! Every fault does under the real apt-get and dpkg what its description says.

#[expect(dead_code, reason = "each test file uses its part of the helpers")]
mod common;

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

use common::{create, text, with_fault};
use wua_sandbox::{Fault, Recipe, Suite};

#[test]
fn a_failing_postinst_leaves_the_new_version_half_configured() {
    let practice = with_fault(Fault::FailingPostinst);
    let output = practice.upgrade();
    assert_eq!(output.status.code(), Some(100));
    assert!(
        text(&output).contains("tidewatch: the table of disks"),
        "{}",
        text(&output)
    );
    assert!(
        text(&output).contains("returned error exit status 3"),
        "{}",
        text(&output)
    );
    assert_eq!(practice.state("tidewatch"), "half-configured 5.2-1");
    assert_eq!(practice.state("inkpot"), "installed 4.2.2-1");
}

#[test]
fn a_failing_preinst_leaves_the_old_version() {
    let practice = with_fault(Fault::FailingPreinst);
    let output = practice.upgrade();
    assert_eq!(output.status.code(), Some(100));
    assert!(
        text(&output).contains("returned error exit status 4"),
        "{}",
        text(&output)
    );
    assert_eq!(practice.state("cellarkeep"), "installed 1.4.0-1");
}

#[test]
fn a_slow_postinst_waits_for_its_gate_and_tells_its_steps() {
    let practice = with_fault(Fault::Slow);
    let gate = practice.machine.root().join("etc/wua/slow-gate");
    fs::write(&gate, "").unwrap();
    fs::write(practice.machine.root().join("etc/wua/slow-steps"), "1\n").unwrap();
    let mut child = practice
        .machine
        .command("apt-get")
        .args(["-y", "-q", "install", "docfinder"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap())
        .lines()
        .map(Result::unwrap);
    assert!(lines.any(|line| line == "docfinder: waiting for the gate"));
    assert_eq!(practice.state("docfinder"), "half-configured 3.1-1");
    fs::remove_file(gate).unwrap();
    assert!(lines.any(|line| line == "docfinder: indexing manuals, step 1 of 1"));
    lines.for_each(drop);
    assert!(child.wait().unwrap().success());
    assert_eq!(practice.state("docfinder"), "installed 3.1-1");
}

#[test]
fn an_edited_conffile_is_kept_beside_the_new_one() {
    let practice = with_fault(Fault::Conffile);
    let output = practice.upgrade();
    assert!(output.status.success(), "{}", text(&output));
    assert_eq!(practice.state("gatewarden"), "installed 0.9.0-1");
    assert!(
        practice
            .read("etc/gatewarden/gatewarden.conf")
            .contains("allow = 192.0.2.0/24")
    );
    assert!(
        practice
            .read("etc/gatewarden/gatewarden.conf.dpkg-dist")
            .contains("log = yes")
    );
}

#[test]
fn a_reboot_is_asked_for_as_debians_packages_do() {
    let practice = with_fault(Fault::Reboot);
    assert!(!practice.exists("run/reboot-required"));
    assert!(practice.upgrade().status.success());
    assert_eq!(
        practice.read("run/reboot-required"),
        "*** System restart required ***\n"
    );
    assert_eq!(practice.read("run/reboot-required.pkgs"), "corebus\n");
}

#[test]
fn an_altered_archive_is_not_accepted() {
    let practice = with_fault(Fault::BadHash);
    let output = practice.apt(&["-y", "-q", "-d", "upgrade"]);
    assert_eq!(output.status.code(), Some(100));
    assert!(text(&output).contains("Hash Sum mismatch"), "{}", text(&output));
    let cached = fs::read_dir(practice.machine.root().join("var/cache/apt/archives")).unwrap();
    let archives: Vec<String> = cached
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".deb"))
        .collect();
    assert_eq!(
        archives,
        [format!("inkpot_4.2.2-1_{}.deb", practice.machine.architecture())]
    );
}

#[test]
fn a_bad_signature_hides_one_suites_updates_and_only_strict_updates_fail() {
    let recipe = Recipe {
        updates: 3,
        faults: [Fault::BadSignature].into(),
        ..Recipe::default()
    };
    let practice = create(&recipe);
    let offered: Vec<_> = recipe
        .planned_updates()
        .into_iter()
        .filter(|update| update.offered)
        .collect();
    assert!(offered.iter().all(|update| update.suite == Suite::Security));
    let mut names: Vec<String> = offered
        .iter()
        .flat_map(|update| {
            update
                .packages
                .iter()
                .map(|name| format!("{name} {}", update.version))
        })
        .collect();
    names.sort();
    assert_eq!(practice.offered(), names);
    assert!(practice.apt(&["-q", "update"]).status.success());
    assert_eq!(
        practice.apt(&["-q", "--error-on=any", "update"]).status.code(),
        Some(100)
    );
}

#[test]
fn a_missing_dependency_keeps_the_update_back() {
    let practice = with_fault(Fault::MissingDependency);
    assert_eq!(practice.offered(), ["inkpot 4.2.2-1"]);
    let output = practice.apt(&["-s", "install", "brightshell=3.0-1"]);
    assert_eq!(output.status.code(), Some(100));
    assert!(text(&output).contains("libglowworm4"), "{}", text(&output));
    assert!(practice.upgrade().status.success());
    assert_eq!(practice.state("brightshell"), "installed 2.6-1");
}

#[test]
fn a_file_conflict_leaves_the_old_version_and_names_the_owner() {
    let practice = with_fault(Fault::FileConflict);
    let output = practice.upgrade();
    assert_eq!(output.status.code(), Some(100));
    assert!(
        text(&output).contains("which is also in package quayutils"),
        "{}",
        text(&output)
    );
    assert_eq!(practice.state("ferrytools"), "installed 1.0-4");
    assert!(practice.read("usr/bin/quayutils").contains("quayutils 2.3-1"));
}

#[test]
fn a_large_update_is_large_and_well() {
    let practice = with_fault(Fault::Large);
    let archive = practice
        .machine
        .archive()
        .package_file(Suite::Practice, "voicepack-nordic")
        .unwrap();
    assert!(fs::metadata(archive).unwrap().len() > 60_000_000);
    assert!(practice.upgrade().status.success());
    assert_eq!(practice.state("voicepack-nordic"), "installed 2026.04-1");
}
