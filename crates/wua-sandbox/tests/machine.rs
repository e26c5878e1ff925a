//! Practice machines under the real apt-get and dpkg: made, confined, verified, opened again.

#[expect(dead_code, reason = "each test file uses its part of the helpers")]
mod common;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::process::Command;

use common::{create, empty, text};
use wua_sandbox::{Package, PracticeMachine, Recipe, SandboxError, Script, Suite};
use wua_types::practice::MARK;

/// Every file below a directory with its content.
fn files(directory: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut todo = vec![directory.to_path_buf()];
    while let Some(next) = todo.pop() {
        for entry in fs::read_dir(next).unwrap().map(Result::unwrap) {
            match entry.file_type().unwrap().is_dir() {
                true => todo.push(entry.path()),
                false => {
                    let name = entry
                        .path()
                        .strip_prefix(directory)
                        .unwrap()
                        .display()
                        .to_string();
                    found.insert(name, fs::read(entry.path()).unwrap());
                }
            }
        }
    }
    found
}

#[test]
fn a_machine_has_exactly_the_planned_updates_and_can_install_them() {
    let recipe = Recipe {
        updates: 8,
        ..Recipe::default()
    };
    let practice = create(&recipe);
    let planned = recipe.planned_updates();
    let mut expected = Vec::new();
    for update in &planned {
        for name in &update.packages {
            assert_eq!(practice.state(name), format!("installed {}", update.previous));
        }
        let names = update.packages.iter().chain(&update.new_packages);
        expected.extend(names.map(|name| format!("{name} {}", update.version)));
    }
    expected.sort();
    assert_eq!(practice.offered(), expected);

    let output = practice.upgrade();
    assert!(output.status.success(), "{}", text(&output));
    for line in expected {
        let (name, version) = line.split_once(' ').unwrap();
        assert_eq!(practice.state(name), format!("installed {version}"));
    }
    assert!(practice.read("usr/bin/inkpot").contains("inkpot 4.2.2-1"));
    assert!(practice.offered().is_empty());
}

#[test]
fn a_normal_user_can_do_the_same() {
    if fs::metadata("/proc/self").unwrap().uid() != 0 {
        return; // All these tests run as a normal user already.
    }
    let directory = tempfile::tempdir().unwrap();
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let program = directory.path().join("tests");
    fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    let output = Command::new("setpriv")
        .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
        .arg(&program)
        .args([
            "--exact",
            "a_machine_has_exactly_the_planned_updates_and_can_install_them",
        ])
        .env("TMPDIR", directory.path())
        .current_dir(directory.path())
        .output()
        .expect("setpriv, to test as a normal user");
    assert!(
        output.status.success() && text(&output).contains("1 passed"),
        "{}",
        text(&output)
    );
}

#[test]
fn the_old_versions_exist_nowhere_but_installed() {
    let practice = create(&Recipe {
        updates: 3,
        ..Recipe::default()
    });
    let root = practice.machine.root();
    assert!(
        !files(&root.join("var/cache/apt/archives"))
            .keys()
            .any(|name| name.ends_with(".deb"))
    );
    let pool = files(&root.join("srv/archive/pool"));
    let expected = [
        "practice-security/libpixelry3_2.7.0-3+deb12u1_ARCH.deb",
        "practice-security/pixelry-tools_2.7.0-3+deb12u1_ARCH.deb",
        "practice-security/pixelry-view_2.7.0-3+deb12u1_ARCH.deb",
        "practice-security/postbird_3.8.1-2+deb12u1_ARCH.deb",
        "practice/inkpot_4.2.2-1_ARCH.deb",
        "practice/quayutils_2.3-1_ARCH.deb",
    ];
    let expected = expected.map(|name| name.replace("ARCH", practice.machine.architecture()));
    assert_eq!(pool.into_keys().collect::<Vec<_>>(), expected);
    let output = practice.apt(&["-s", "install", "inkpot=4.2.1-1"]);
    assert!(!text(&output).contains("Inst inkpot"), "{}", text(&output));
}

#[test]
fn forty_updates_are_no_different() {
    let recipe = Recipe {
        updates: 40,
        seed: 7,
        ..Recipe::default()
    };
    let practice = create(&recipe);
    let planned: usize = recipe
        .planned_updates()
        .iter()
        .map(|update| update.packages.len() + update.new_packages.len())
        .sum();
    assert_eq!(practice.offered().len(), planned);
}

#[test]
fn equal_recipes_give_equal_archives_byte_for_byte() {
    let recipe = Recipe {
        updates: 12,
        seed: 3,
        ..Recipe::default()
    };
    let [one, other] = [create(&recipe), create(&recipe)]
        .map(|practice| files(&practice.machine.archive().root().join("pool")));
    assert!(one.len() > 12 && one == other);
}

#[test]
fn nothing_of_the_hosts_configuration_leaks_in() {
    let practice = empty();
    let output = practice
        .machine
        .command("apt-config")
        .arg("dump")
        .output()
        .unwrap();
    let root = practice.machine.root().display().to_string();
    // Only APT's own programs, and where it would mount a compact disc, lie outside the tree.
    let own = ["Dir \"", "Dir::Bin", "Dir::Media", "Acquire::cdrom::mount "];
    let outside: Vec<String> = String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter(|line| line.contains("\"/") && !line.contains(&root))
        .filter(|line| !own.iter().any(|known| line.starts_with(known)))
        .map(String::from)
        .collect();
    assert!(outside.is_empty(), "{outside:#?}");
    let dump = text(&output);
    for hook in ["Post-Invoke", "Pre-Invoke", "Pre-Install-Pkgs", "AptCli::Hooks"] {
        assert!(!dump.contains(hook), "{hook}");
    }
}

#[test]
fn apt_refuses_an_altered_release() {
    let practice = empty();
    practice.machine.refresh().unwrap();
    practice
        .machine
        .archive()
        .corrupt_release(Suite::Security)
        .unwrap();
    let error = practice.machine.refresh().unwrap_err();
    assert!(matches!(error, SandboxError::Program { .. }), "{error}");
    assert!(error.to_string().contains("practice-security"), "{error}");
}

#[test]
fn apt_refuses_a_release_signed_by_another_key() {
    let [practice, stranger] = [empty(), empty()];
    practice.machine.refresh().unwrap();
    let release = |machine: &PracticeMachine| machine.archive().root().join("dists/practice/InRelease");
    fs::copy(release(&stranger.machine), release(&practice.machine)).unwrap();
    assert!(practice.machine.refresh().is_err());
}

#[test]
fn quick_publications_follow_each_other() {
    let practice = empty();
    let lantern = |version: &str| Package::new("lantern", version).file("usr/share/lantern", version);
    for version in ["1", "2", "3"] {
        practice
            .machine
            .publish(Suite::Practice, &[lantern(version)])
            .unwrap();
        practice.machine.refresh().unwrap();
        practice
            .machine
            .install(&[&format!("lantern={version}")])
            .unwrap();
        assert_eq!(practice.state("lantern"), format!("installed {version}"));
    }
    assert!(
        practice.machine.install(&["lantern=1"]).is_err(),
        "the archive has forgotten it"
    );
}

#[test]
fn a_held_package_and_a_phased_version_are_kept_back() {
    let practice = empty();
    let machine = &practice.machine;
    let version = |name: &str, version: &str| Package::new(name, version);
    let old = [version("lantern", "1"), version("wick", "1"), version("oil", "1")];
    machine.publish(Suite::Practice, &old).unwrap();
    machine.refresh().unwrap();
    machine.install(&["lantern", "wick", "oil"]).unwrap();
    machine.hold("lantern").unwrap();
    let new = [
        version("lantern", "2"),
        version("wick", "2").phased(0),
        version("oil", "2").phased(100),
    ];
    machine.publish(Suite::Practice, &new).unwrap();
    machine.refresh().unwrap();
    assert_eq!(practice.offered(), ["oil 2"]);
    assert_eq!(
        machine.dpkg_state("lantern").unwrap(),
        ("hold ok installed".into(), "1".into())
    );
}

#[test]
fn a_packages_triggers_scripts_and_conffiles_reach_dpkg() {
    let practice = empty();
    let machine = &practice.machine;
    let index = Package::new("index", "1")
        .trigger("interest-noawait /usr/share/lantern")
        .script(
            Script::Postinst,
            r#"[ "$1" != triggered ] || echo "$2" > "$DPKG_ROOT/triggered""#,
        );
    let lantern = Package::new("lantern", "1")
        .depends("index")
        .file("usr/share/lantern/readme", "Light it.\n")
        .conffile("etc/lantern.conf", "brightness=3\n")
        .script(Script::Prerm, r#"echo "$1" > "$DPKG_ROOT/prerm""#);
    machine.publish(Suite::Practice, &[index, lantern]).unwrap();
    machine.refresh().unwrap();
    machine.install(&["index"]).unwrap();
    machine.install(&["lantern"]).unwrap();
    assert_eq!(practice.read("triggered"), "/usr/share/lantern\n");
    machine
        .edit_conffile("/etc/lantern.conf", "brightness=9\n")
        .unwrap();
    assert!(machine.edit_conffile("../outside", "").is_err());
    assert!(practice.apt(&["-y", "remove", "lantern"]).status.success());
    assert_eq!(practice.read("prerm"), "remove\n");
    assert_eq!(practice.read("etc/lantern.conf"), "brightness=9\n");
    assert_eq!(
        machine.dpkg_state("lantern").unwrap().0,
        "deinstall ok config-files"
    );
    let audit = machine.dpkg(&["--audit"]).unwrap();
    assert!(
        audit.status.success() && text(&audit).is_empty(),
        "{}",
        text(&audit)
    );
}

#[test]
fn only_an_empty_directory_or_an_old_machine_becomes_a_machine() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("machine");
    fs::create_dir(&path).unwrap();
    fs::write(path.join("letter"), "dear").unwrap();
    let refused = PracticeMachine::empty(&path).unwrap_err();
    assert!(matches!(refused, SandboxError::Occupied { .. }), "{refused}");
    assert!(matches!(
        PracticeMachine::open(&path),
        Err(SandboxError::NotAMachine { .. })
    ));
    fs::remove_file(path.join("letter")).unwrap();

    PracticeMachine::empty(&path).unwrap();
    fs::write(path.join("letter"), "dear").unwrap();
    PracticeMachine::empty(&path).unwrap();
    assert!(!path.join("letter").exists());

    if fs::metadata("/proc/self").unwrap().uid() == 0 {
        std::os::unix::fs::chown(&path, Some(65_534), None).unwrap();
        let refused = PracticeMachine::empty(&path).unwrap_err();
        assert!(
            matches!(refused, SandboxError::Foreign { owner: 65_534, .. }),
            "{refused}"
        );
        assert!(path.join("etc/apt").exists(), "nothing was removed");
    }
}

#[test]
fn an_opened_machine_goes_on_where_it_was_left_but_not_elsewhere() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("machine");
    PracticeMachine::empty(&path).unwrap();
    let machine = PracticeMachine::open(&path).unwrap();
    machine
        .publish(Suite::Practice, &[Package::new("lantern", "1")])
        .unwrap();
    machine.refresh().unwrap();
    machine.install(&["lantern"]).unwrap();

    let moved = directory.path().join("moved");
    fs::rename(&path, &moved).unwrap();
    let error = PracticeMachine::open(&moved).unwrap_err();
    assert!(error.to_string().contains("machines cannot be moved"), "{error}");
}

#[test]
fn the_mark_is_a_line_of_json() {
    let practice = create(&Recipe {
        updates: 0,
        seed: 5,
        faults: [wua_sandbox::Fault::Reboot].into(),
    });
    let expected = "{\"wua\":\"practice machine\",\"version\":1,\"seed\":5,\"faults\":[\"reboot\"]}\n";
    assert_eq!(practice.read(MARK), expected);
}
