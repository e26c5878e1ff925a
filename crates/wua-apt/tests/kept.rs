//! What was kept of APT's answers: it saves the questions, and holds only as long as APT would say the same.

#[path = "reader/machine.rs"]
mod machine;

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::PathBuf;

use machine::{Entry, Machine, TestArchive, TestTree, native_architecture};
use wua_apt::kept;
use wua_apt::reader::Reading;

const KEPT: &str = "var/lib/wua/apt.json";

/// A machine with one upgrade, and what APT says about it kept.
fn tree() -> TestTree {
    let entry = |version: &str, status: &str, fields: &str| Entry {
        package: "oak".to_owned(),
        architecture: native_architecture().to_owned(),
        version: version.to_owned(),
        status: status.to_owned(),
        fields: fields.to_owned(),
        ..Entry::default()
    };
    let archive = TestArchive {
        uri: "http://deb.example.org/debian".to_owned(),
        suite: "stable".to_owned(),
        release: "Suite: stable\nCodename: stable\n".to_owned(),
        indexes: vec![(
            "main".to_owned(),
            native_architecture().to_owned(),
            vec![entry("2", "", "Filename: pool/oak_2.deb\nSize: 10\n")],
        )],
    };
    let tree = Machine {
        installed: vec![entry("1", "install ok installed", "")],
        archives: vec![archive],
        ..Machine::default()
    }
    .write();
    kept::keep(&tree.open()).unwrap();
    tree
}

fn path(tree: &TestTree, relative: &str) -> PathBuf {
    tree.root().join(relative)
}

/// Puts an answer of our own in the place of APT's, by which it can be told whether APT was asked.
fn falsify(tree: &TestTree) {
    let text = fs::read_to_string(path(tree, KEPT)).unwrap();
    let false_text = text.replace("deb.example.org", "false.example.org");
    assert_ne!(false_text, text);
    fs::write(path(tree, KEPT), false_text).unwrap();
}

/// Whether a reading goes by what was kept.
fn holds(tree: &TestTree) -> bool {
    let reading = Reading::of(&tree.open()).unwrap();
    let hosts: Vec<_> = reading.archives.iter().map(|archive| &*archive.host).collect();
    if hosts.contains(&"false.example.org") {
        return true;
    }
    // Then the answer is APT's.
    assert_eq!(reading.candidates.len(), tree.apt_list_upgradable().len());
    false
}

/// Checks that a change makes what was kept void.
#[track_caller]
fn check_void(change: impl FnOnce(&TestTree)) {
    let tree = tree();
    falsify(&tree);
    assert!(holds(&tree));
    change(&tree);
    assert!(!holds(&tree));
}

#[test]
fn a_search_with_kept_answers_finds_what_one_without_finds() {
    let tree = tree();
    let with = Reading::of(&tree.open()).unwrap();
    fs::remove_file(path(&tree, KEPT)).unwrap();
    let without = Reading::of(&tree.open()).unwrap();
    assert_eq!(with.candidates.len(), 1);
    assert_eq!(
        format!("{:?}", with.candidates),
        format!("{:?}", without.candidates)
    );
    assert_eq!(with.archives, without.archives);
    assert!(!path(&tree, KEPT).exists(), "a reading writes nothing");
}

#[test]
fn a_changed_apt_conf_makes_the_kept_answers_void() {
    check_void(|tree| tree.file("etc/apt/apt.conf", "APT::Install-Recommends \"false\";\n"));
    check_void(|tree| tree.file("etc/apt/apt.conf.d/50own", "APT::Default-Release \"stable\";\n"));
    check_void(|tree| {
        let config = fs::read_to_string(path(tree, "etc/apt/practice.conf")).unwrap();
        tree.file(
            "etc/apt/practice.conf",
            &(config + "APT::Install-Suggests \"true\";\n"),
        );
    });
}

#[test]
fn changed_sources_make_the_kept_answers_void() {
    check_void(|tree| {
        tree.file("etc/apt/sources.list", "");
    });
    check_void(|tree| {
        let source = "deb [trusted=yes] http://other.example.org/debian stable main\n";
        tree.file("etc/apt/sources.list.d/other.list", source);
    });
    check_void(|tree| fs::remove_file(path(tree, "etc/apt/sources.list")).unwrap());
}

#[test]
fn a_file_of_the_same_size_and_time_with_another_text_makes_them_void() {
    check_void(|tree| {
        let file = path(tree, "etc/apt/sources.list");
        let time = fs::metadata(&file).unwrap().modified().unwrap();
        let text = fs::read_to_string(&file).unwrap();
        fs::write(&file, text.replace("stable main", "staple main")).unwrap();
        fs::File::open(&file).unwrap().set_modified(time).unwrap();
    });
}

#[test]
fn a_new_foreign_architecture_makes_them_void() {
    check_void(|tree| tree.file("var/lib/dpkg/arch", "amd64\nriscv64\n"));
}

#[test]
fn a_tree_that_was_moved_does_not_go_by_what_was_kept_elsewhere() {
    let (one, other) = (tree(), tree());
    falsify(&one);
    fs::copy(path(&one, KEPT), path(&other, KEPT)).unwrap();
    assert!(!holds(&other));
}

#[test]
fn what_others_could_have_written_is_not_believed() {
    let set_mode = |tree: &TestTree, relative: &str, mode| {
        fs::set_permissions(path(tree, relative), Permissions::from_mode(mode)).unwrap();
    };
    check_void(|tree| set_mode(tree, KEPT, 0o664));
    check_void(|tree| set_mode(tree, KEPT, 0o646));
    check_void(|tree| set_mode(tree, "var/lib/wua", 0o777));
    check_void(|tree| set_mode(tree, "var/lib/wua", 0o775));
}

#[test]
fn a_setting_behind_a_link_is_not_kept_for_everybody() {
    let tree = tree();
    let secret = path(&tree, "secret.conf");
    fs::write(
        &secret,
        "Acquire::http::Proxy \"http://user:word@proxy.example.org\";\n",
    )
    .unwrap();
    fs::create_dir_all(path(&tree, "etc/apt/apt.conf.d")).unwrap();
    symlink(&secret, path(&tree, "etc/apt/apt.conf.d/proxy")).unwrap();
    kept::keep(&tree.open()).unwrap_err();
    let text = fs::read_to_string(path(&tree, KEPT)).unwrap();
    assert!(!text.contains("word@"));
}

#[test]
fn a_link_in_its_place_is_not_followed() {
    let tree = tree();
    falsify(&tree);
    fs::rename(path(&tree, KEPT), path(&tree, "elsewhere")).unwrap();
    symlink(path(&tree, "elsewhere"), path(&tree, KEPT)).unwrap();
    // Trees with such links are refused as a whole.
    assert!(wua_apt::tree::AptTree::open(tree.root()).is_err());
}

#[test]
fn what_cannot_be_read_is_void() {
    for text in ["", "{", "{\"key\":\"\"}", "null"] {
        check_void(|tree| tree.file(KEPT, text));
    }
}

#[test]
fn settings_that_lead_elsewhere_are_asked_for_each_time() {
    for (file, text) in [
        ("etc/apt/apt.conf", "#include \"/nonexistent\";\n"),
        (
            "etc/apt/apt.conf.d/own",
            "Dir::Etc::sourcelist \"/nonexistent\";\n",
        ),
        (
            "etc/apt/apt.conf.d/own",
            "Dir { Etc { sourceparts \"/nonexistent\"; }; };\n",
        ),
        (
            "etc/apt/apt.conf.d/own",
            "APT::Sources::With { \"/nonexistent\"; };\n",
        ),
        (
            "etc/apt/apt.conf.d/own",
            "DPkg::Options { \"--admindir=/nonexistent\"; };\n",
        ),
    ] {
        let tree = tree();
        fs::remove_file(path(&tree, KEPT)).unwrap();
        tree.file(file, text);
        assert!(kept::keep(&tree.open()).is_err(), "{text}");
        assert!(!path(&tree, KEPT).exists(), "{text}");
    }
}

#[test]
fn what_not_everybody_may_read_is_kept_for_nobody() {
    for (place, mode) in [
        ("etc/apt/sources.list", 0o600),
        ("etc/apt/practice.conf", 0o600),
        ("etc/apt/apt.conf.d", 0o700),
        ("etc/apt", 0o700),
    ] {
        let tree = tree();
        fs::remove_file(path(&tree, KEPT)).unwrap();
        fs::set_permissions(path(&tree, place), Permissions::from_mode(mode)).unwrap();
        assert!(kept::keep(&tree.open()).is_err());
        assert!(!path(&tree, KEPT).exists());
    }
}
