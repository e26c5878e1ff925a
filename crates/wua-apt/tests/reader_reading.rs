//! Whole readings of machines made for the purpose: packed indexes, look-ups, phasing, and everything that is wrong.

#[path = "reader/machine.rs"]
mod machine;

use std::fs;
use std::io::Write as _;
use std::path::Path;

use machine::{Entry, Machine, TestArchive, TestTree, native_architecture};
use wua_apt::dpkg::DpkgError;
use wua_apt::reader::{Phasing, ReadError, ReadWarning, Reading, Wanted};
use wua_apt::tree::{Program, TreeKind};

fn installed(package: &str, version: &str) -> Entry {
    let status = "install ok installed".to_owned();
    Entry {
        status,
        ..offered(package, version, "")
    }
}

fn offered(package: &str, version: &str, fields: &str) -> Entry {
    Entry {
        package: package.to_owned(),
        architecture: native_architecture().to_owned(),
        version: version.to_owned(),
        source: None,
        status: String::new(),
        fields: fields.to_owned(),
    }
}

const FILE: &str = "Filename: pool/x.deb\nSize: 10\n";
const INDEX: &str = "var/lib/apt/lists/h.example_d_dists_s_main_binary-";

fn index_name() -> String {
    format!("{INDEX}{}_Packages", native_architecture())
}

/// One archive, and `dpkg` so that the tree has an architecture.
fn machine(mut packages: Vec<Entry>, offers: Vec<Entry>) -> Machine {
    packages.push(installed("dpkg", "1"));
    let indexes = vec![("main".to_owned(), native_architecture().to_owned(), offers)];
    let archive = TestArchive {
        uri: "http://h.example/d".to_owned(),
        suite: "s".to_owned(),
        release: "Suite: stable-security\nLabel: L\nDate: Sat, 11 Jul 2026 10:16:37 UTC\n".to_owned(),
        indexes,
    };
    Machine {
        installed: packages,
        archives: vec![archive],
        ..Machine::default()
    }
}

fn simple() -> TestTree {
    let fields = format!(
        "{FILE}SHA256: {}\nInstalled-Size: 2\nDepends: b\n",
        "AB".repeat(32)
    );
    machine(
        vec![installed("a", "1")],
        vec![offered("a", "2", &fields), offered("b", "1", FILE)],
    )
    .write()
}

#[test]
fn a_candidate_tells_what_the_index_tells() {
    let reading = Reading::of(&simple().open()).unwrap();
    let [candidate] = reading.candidates.as_slice() else {
        panic!("{reading:?}")
    };
    let record = &candidate.record;
    assert_eq!(
        (&*record.package, &*record.version, &*candidate.installed_version),
        ("a", "2", "1")
    );
    assert_eq!((record.size, record.installed_size), (10, Some(2048)));
    assert_eq!(
        (&*record.sha256, record.depends.as_deref()),
        (&*"ab".repeat(32), Some("b"))
    );
    assert_eq!(
        (candidate.pin_priority, candidate.phasing, candidate.held),
        (500, Phasing::Complete, false)
    );
    assert!(record.is_security());
    assert_eq!(
        record.archives[0].released,
        Some("2026-07-11T10:16:37Z".parse().unwrap())
    );
    assert!(
        reading.warnings.is_empty() && !reading.never_refreshed(),
        "{reading:?}"
    );
    assert!(reading.lists_changed.is_some());
}

#[test]
fn several_packages_are_looked_up_in_one_pass() {
    let tree = simple();
    let reading = Reading::of(&tree.open()).unwrap();
    let wanted = |package: &str, version: Option<&str>| Wanted {
        package: package.to_owned(),
        architecture: Some(native_architecture().to_owned()),
        version: version.map(str::to_owned),
    };
    let found = reading.find(&[
        wanted("b", None),
        wanted("a", Some("1")),
        wanted("a", Some("2")),
        wanted("c", None),
    ]);
    let names: Vec<_> = found
        .records
        .iter()
        .map(|record| (&*record.package, &*record.version))
        .collect();
    assert_eq!(names, [("a", "2"), ("b", "1")]);
    assert!(found.warnings.is_empty());
}

#[test]
fn packed_indexes_give_the_same_candidates() {
    for extension in ["lz4", "gz", "xz", "zst"] {
        let tree = simple();
        let path = tree.root().join(index_name());
        let text = fs::read(&path).unwrap();
        fs::remove_file(&path).unwrap();
        fs::write(
            format!("{}.{extension}", path.display()),
            packed(extension, &text),
        )
        .unwrap();
        let reading = Reading::of(&tree.open()).unwrap();
        assert_eq!(reading.candidates.len(), 1, "{extension}: {:?}", reading.warnings);
        assert_eq!(
            tree.apt_list_upgradable().len(),
            1,
            "APT can read our {extension}"
        );
    }
}

fn packed(extension: &str, text: &[u8]) -> Vec<u8> {
    match extension {
        "lz4" => {
            let mut encoder = lz4_flex::frame::FrameEncoder::new(Vec::new());
            encoder.write_all(text).unwrap();
            encoder.finish().unwrap()
        }
        "gz" => {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(text).unwrap();
            encoder.finish().unwrap()
        }
        "xz" => {
            let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 1);
            encoder.write_all(text).unwrap();
            encoder.finish().unwrap()
        }
        _ => zstd::encode_all(text, 1).unwrap(),
    }
}

/// Percentages around each package's draw must be decided as APT decides them.
#[test]
fn phased_updates_are_deferred_as_apt_defers_them() {
    let names: Vec<String> = (0..60).map(|i| format!("phased{i}")).collect();
    let packages = names.iter().map(|name| installed(name, "1")).collect();
    let offer = |(i, name): (usize, &String)| {
        offered(
            name,
            "2",
            &format!("{FILE}Phased-Update-Percentage: {}\n", i * 100 / 60),
        )
    };
    let mut machine = machine(packages, names.iter().enumerate().map(offer).collect());
    machine.archives[0].release = "Suite: stable\n".to_owned();
    machine.settings = "APT::Machine-ID \"3d1219c7c4c5404aaa1f6d2a48adfda4\";\n".to_owned();
    let tree = machine.write();
    let plan = tree.apt("apt-get", &["-s", "upgrade"]);
    let by_apt: Vec<_> = plan
        .lines()
        .filter_map(|line| line.strip_prefix("Inst ")?.split(' ').next())
        .collect();
    if by_apt.len() == names.len() {
        return; // APT believes to be in a chroot, where it defers nothing.
    }
    let reading = Reading::of(&tree.open()).unwrap();
    assert_eq!(reading.candidates.len(), names.len());
    for candidate in &reading.candidates {
        let name = candidate.record.package.as_str();
        let expected = if by_apt.contains(&name) {
            Phasing::Reached
        } else {
            Phasing::Deferred
        };
        assert_eq!(
            candidate.phasing, expected,
            "{name}, {} %",
            candidate.record.phased_percentage
        );
    }
}

#[test]
fn a_damaged_index_is_named_and_the_rest_still_counts() {
    let tree = simple();
    let text = fs::read_to_string(tree.root().join(index_name())).unwrap();
    let damaged = format!("Package: a\nVersion: one\nArchitecture: all\n\n{text}");
    tree.file(&index_name(), &damaged);
    let reading = Reading::of(&tree.open()).unwrap();
    assert_eq!(reading.candidates.len(), 1);
    let [
        warning @ ReadWarning::DamagedIndex {
            number: 1, offset: 0, ..
        },
    ] = reading.warnings.as_slice()
    else {
        panic!("{:?}", reading.warnings)
    };
    let text = warning.to_string();
    assert!(
        text.ends_with("is damaged in stanza 1 (package `a`, byte 0): `one` is no Debian version"),
        "{text}"
    );
}

#[test]
fn indexes_that_are_not_here_are_told() {
    let warnings = |tree: &TestTree| Reading::of(&tree.open()).unwrap().warnings;
    let archive = "http://h.example/d/dists/s/".to_owned();

    let tree = simple();
    tree.file("etc/apt/sources.list", "# nothing\n");
    assert_eq!(warnings(&tree), [ReadWarning::NoSources]);

    let tree = simple();
    fs::remove_dir_all(tree.root().join("var/lib/apt/lists")).unwrap();
    assert_eq!(
        warnings(&tree),
        [ReadWarning::NeverRefreshed {
            archive: archive.clone()
        }]
    );
    assert!(Reading::of(&tree.open()).unwrap().never_refreshed());

    let tree = simple();
    let index = format!("main/binary-{}/Packages", native_architecture());
    tree.file(
        "var/lib/apt/lists/h.example_d_dists_s_Release",
        &format!("Suite: s\nSHA256:\n 00 1 {index}\n"),
    );
    fs::remove_file(tree.root().join(index_name())).unwrap();
    assert_eq!(warnings(&tree), [ReadWarning::MissingIndex { archive, index }]);
}

#[test]
fn a_damaged_status_file_is_an_error_that_names_the_entry() {
    let tree = simple();
    let tree_opened = tree.open();
    tree.file(
        "var/lib/dpkg/status",
        "Package: a\nStatus: install ok installed\nVersion 1\n",
    );
    let error = Reading::of(&tree_opened).unwrap_err();
    assert!(
        matches!(&error, ReadError::Dpkg(DpkgError::Damaged { number: 1, package, .. }) if package == "a"),
        "{error:?}"
    );
}

#[test]
fn what_apt_refuses_is_an_error_in_its_words() {
    let tree = simple();
    tree.file("etc/apt/sources.list", "deb nonsense\n");
    let error = Reading::of(&tree.open()).unwrap_err();
    assert!(
        matches!(
            error,
            ReadError::Program {
                program: "apt-get",
                ..
            }
        ),
        "{error:?}"
    );
    assert!(error.to_string().contains("sources"), "{error}");
}

#[test]
fn a_tree_without_a_mark_is_read_with_its_own_settings_and_not_the_hosts() {
    let tree = simple();
    fs::remove_file(tree.root().join("etc/wua/practice-machine")).unwrap();
    tree.file("etc/apt/apt.conf.d/10own", "Wua::Test \"from the tree\";\n");
    tree.file(
        "etc/apt/preferences.d/own",
        "Package: *\nPin: release a=stable-security\nPin-Priority: 600\n",
    );
    let opened = tree.open();
    assert_eq!(opened.kind(), TreeKind::Other);
    let dump = opened.reading(Program::AptConfig).arg("dump").output().unwrap();
    let dump = String::from_utf8(dump.stdout).unwrap();
    assert!(dump.contains("Wua::Test \"from the tree\";"), "{dump}");
    for file in fs::read_dir("/etc/apt/apt.conf.d")
        .into_iter()
        .flatten()
        .flatten()
    {
        assert!(!dump.contains(&*file.path().to_string_lossy()));
    }
    let host_only = "Dir::Etc::parts \"/etc/apt/apt.conf.d\"";
    assert!(!dump.to_lowercase().contains(&host_only.to_lowercase()), "{dump}");
    let reading = Reading::of(&opened).unwrap();
    assert_eq!(
        reading
            .candidates
            .iter()
            .map(|one| one.pin_priority)
            .collect::<Vec<_>>(),
        [600]
    );
}

#[test]
fn hooks_of_another_tree_are_not_started_on_this_machine() {
    let tree = simple();
    fs::remove_file(tree.root().join("etc/wua/practice-machine")).unwrap();
    let trace = tree.root().join("the-hook-ran");
    let hook = format!("{{ \"touch {}\"; }};", trace.display());
    tree.file(
        "etc/apt/apt.conf.d/10hook",
        &format!(
            "AptCli::Hooks::Upgrade {hook}\nBinary::apt-get::AptCli::Hooks::Upgrade {hook}\n\
             APT::Update::Pre-Invoke {hook}\nDPkg::Pre-Invoke {hook}\n"
        ),
    );
    let opened = tree.open();
    let mut guarded = opened.reading(Program::AptGet);
    // The same without what keeps hooks out, so that it is known that this is a hook.
    let mut plain = std::process::Command::new(guarded.get_program());
    plain.env_clear().envs(
        guarded
            .get_envs()
            .filter_map(|(name, value)| Some((name, value?))),
    );
    plain.args(["-s", "upgrade"]).output().unwrap();
    assert!(trace.exists(), "not even plain APT starts the hook");
    fs::remove_file(&trace).unwrap();
    let output = guarded.args(["-s", "upgrade"]).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(!trace.exists());
}

/// The largest real test there is: this machine itself, whatever it is. Nothing but reading takes place.
#[test]
fn this_machine_has_the_candidates_that_apt_lists() {
    let tree = wua_apt::tree::AptTree::open(Path::new("/")).unwrap();
    let reading = Reading::of(&tree).unwrap();
    let output = std::process::Command::new("apt")
        .args(["list", "--upgradable"])
        .env_clear()
        .envs([("LC_ALL", "C.UTF-8"), ("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")])
        .output()
        .unwrap();
    let listed = String::from_utf8(output.stdout).unwrap();
    let mut expected: Vec<_> = listed
        .lines()
        .filter_map(|line| {
            let (name, rest) = line.split_once('/')?;
            Some(format!("{name} {}", rest.split(' ').nth(1)?))
        })
        .collect();
    let ours = reading
        .candidates
        .iter()
        .map(|one| format!("{} {}", one.record.package, one.record.version));
    let mut ours: Vec<_> = ours.collect();
    expected.sort_unstable();
    ours.sort_unstable();
    assert_eq!(ours, expected);
}
