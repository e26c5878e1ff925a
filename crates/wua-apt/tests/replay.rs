//! Replays every recording of a real run (apt.md, `apt-samples/`): what each shows is understood, steps never fall, and
//! nothing panics whatever a line is cut to.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use wua_apt::status_lines::{AptRecord, AptStage, DpkgRecord, Lines, parse_apt, parse_dpkg};
use wua_apt::steps::PackageSteps;

fn samples() -> BTreeMap<String, Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/samples");
    let entries = fs::read_dir(folder)
        .expect("samples")
        .map(|entry| entry.expect("entry"));
    entries
        .map(|entry| {
            (
                entry.file_name().into_string().expect("name"),
                fs::read(entry.path()).expect("file"),
            )
        })
        .collect()
}

/// The lines of the status descriptor, as the bytes the program wrote.
fn status_lines(sample: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(sample);
    let lines = text.lines().filter_map(|line| {
        let (time, rest) = line.trim_start().split_once(' ')?;
        time.parse::<f64>().ok()?;
        rest.strip_prefix("fd3 ")
    });
    lines.flat_map(|line| [line.as_bytes(), b"\n"].concat()).collect()
}

fn records(sample: &[u8]) -> Vec<AptRecord> {
    let mut found = Vec::new();
    let mut lines = Lines::default();
    // In odd pieces, as they arrive from a growing file.
    for piece in status_lines(sample).chunks(7) {
        lines.take(piece, |line| found.extend(parse_apt(line)));
    }
    found
}

/// The stages of an installation that goes well.
const INSTALLED: [AptStage; 6] = [
    AptStage::Preparing,
    AptStage::Unpacking,
    AptStage::Installing,
    AptStage::PreparingToConfigure,
    AptStage::Configuring,
    AptStage::Installed,
];

/// A line for each kind of thing a recording shows: `PACKAGE STAGE…`, `error ITEM`, `kept PATH`.
fn told(sample: &[u8]) -> Vec<String> {
    let mut stages = BTreeMap::<String, Vec<AptStage>>::new();
    let mut rest = Vec::new();
    for record in records(sample) {
        match record {
            AptRecord::Stage { package, stage, .. } => stages.entry(package).or_default().push(stage),
            AptRecord::Error { item, text } => rest.push(format!("error {item}: {text}")),
            AptRecord::Conffile(question) => rest.push(format!("kept {}", question.path)),
            AptRecord::Download { .. } | AptRecord::DpkgStarts | AptRecord::MediaChange { .. } => {}
        }
    }
    let stages = stages.into_iter().map(|(package, stages)| {
        if stages == INSTALLED {
            return format!("{package} installed");
        }
        let words: Vec<_> = stages.iter().map(|stage| format!("{stage:?}")).collect();
        format!("{package} {}", words.join(" "))
    });
    stages.chain(rest).collect()
}

/// What each recording shows on the status descriptor. Those that ended before dpkg, or only fetched, show nothing.
const SHOWN: [(&str, &[&str]); 40] = [
    ("badsig-erroron.txt", &[]),
    ("badsig.txt", &[]),
    ("brokendep.txt", &[]),
    (
        "conffile-confdef-confold.txt",
        &["ua-conf installed", "kept /etc/ua-conf.cfg"],
    ),
    (
        "conffile-noanswer.txt",
        &[
            "ua-conf Preparing Unpacking Installing PreparingToConfigure",
            "kept /etc/ua-conf.cfg",
            "error ua-conf: end of file on stdin at conffile prompt",
        ],
    ),
    // The other form of the status lines, which we do not ask for.
    ("deb822-install.txt", &[]),
    ("debconf-notty.txt", &["ua-ask installed"]),
    ("disk-full-cache.txt", &[]),
    (
        "disk-full-unpack.txt",
        &[
            "ua-big Preparing Unpacking",
            "error /var/cache/apt/archives/ua-big_1.0_all.deb: cannot copy extracted data for './usr/share/ua-big/blob' to \
             '/usr/share/ua-big/blob.dpkg-new': failed to write (No space left on device)",
        ],
    ),
    ("downgrade-refused.txt", &[]),
    ("downgrade.txt", &["ua-demo installed"]),
    ("download-60MB.txt", &[]),
    // dpkg's own lines alone; see below.
    ("dpkg-status-fd.txt", &[]),
    (
        "fail-next-op.txt",
        &[
            "ua-fail PreparingToConfigure Configuring",
            "ua-prefail installed",
            "error ua-fail: installed ua-fail package post-installation script subprocess returned error exit status 3",
        ],
    ),
    (
        "fail-postinst.txt",
        &[
            "ua-fail Preparing Unpacking Installing PreparingToConfigure Configuring",
            "error ua-fail: installed ua-fail package post-installation script subprocess returned error exit status 3",
        ],
    ),
    (
        "fail-preinst.txt",
        &[
            // The last stage came after the error (trap T2).
            "ua-prefail Preparing Unpacking Installing",
            "error /var/cache/apt/archives/ua-prefail_2.0_all.deb: new ua-prefail package pre-installation script \
             subprocess returned error exit status 4",
        ],
    ),
    (
        "fail-prerm.txt",
        &[
            "ua-rmfail PreparingForRemoval Removing",
            "error ua-rmfail: installed ua-rmfail package pre-removal script subprocess returned error exit status 5",
        ],
    ),
    ("fail-recover.txt", &["ua-fail installed"]),
    (
        "file-conflict.txt",
        &[
            "ua-conflict Preparing Unpacking",
            "error /var/cache/apt/archives/ua-conflict_1.0_all.deb: trying to overwrite '/usr/share/ua-demo/data', which \
             is also in package ua-demo 2.0",
        ],
    ),
    ("hash-mismatch.txt", &[]),
    ("hash-size.txt", &[]),
    ("http-404.txt", &[]),
    ("http-refused.txt", &[]),
    (
        "install.txt",
        &["ua-demo installed", "ua-dep installed", "ua-trig installed"],
    ),
    ("kill-matrix.txt", &[]),
    ("kill-unpack.txt", &[]),
    ("lock-archives-held.txt", &[]),
    ("lock-dpkg-held.txt", &[]),
    ("lock-frontend-held.txt", &[]),
    ("lock-lists-held.txt", &[]),
    ("lock-timeout-2s.txt", &[]),
    ("lock-timeout-30s.txt", &["ua-demo installed"]),
    ("missing.txt", &[]),
    ("missingver.txt", &[]),
    ("pkmon-update.txt", &[]),
    (
        "purge.txt",
        &["ua-trig PreparingForRemoval Removing Removing CompletelyRemoving CompletelyRemoved"],
    ),
    ("reboot.txt", &["ua-reboot installed"]),
    ("remove.txt", &["ua-dep PreparingForRemoval Removing Removing"]),
    ("slow.txt", &["ua-slow installed"]),
    ("upgrade.txt", &["ua-demo installed"]),
];

#[test]
fn every_recording_shows_what_happened() {
    let samples = samples();
    assert_eq!(
        samples.keys().collect::<Vec<_>>(),
        SHOWN.map(|(name, _)| name).iter().collect::<Vec<_>>()
    );
    for (name, expected) in SHOWN {
        assert_eq!(told(&samples[name]), expected, "{name}");
    }
}

#[test]
fn every_status_line_of_a_recording_is_understood() {
    for (name, sample) in samples() {
        let lines = status_lines(&sample);
        let odd = String::from_utf8(lines).expect("text");
        let odd: Vec<_> = odd.lines().filter(|line| parse_apt(line).is_none()).collect();
        assert!(odd.is_empty() || name == "deb822-install.txt", "{name}: {odd:?}");
    }
}

#[test]
fn steps_of_a_package_never_fall_and_no_recording_goes_over_the_end() {
    for (name, sample) in samples() {
        let mut packages = BTreeMap::<String, PackageSteps>::new();
        for record in records(&sample) {
            let AptRecord::Stage { package, stage, .. } = record else {
                continue;
            };
            let is_removal = stage == AptStage::PreparingForRemoval;
            let new = if is_removal {
                PackageSteps::removal
            } else {
                PackageSteps::installation
            };
            let steps = packages.entry(package).or_insert_with(new);
            let before = steps.done();
            let moved = steps.staged(stage);
            assert!(steps.done() >= before && steps.done() <= steps.total(), "{name}");
            assert_eq!(moved, steps.done() > before, "{name}");
        }
        let expected = SHOWN
            .iter()
            .find(|(known, _)| *known == name)
            .expect("in the table")
            .1;
        for (package, steps) in packages {
            let is_done = steps.done() == steps.total();
            let installed = expected.contains(&&*format!("{package} installed"));
            // A removal's last step is told by dpkg alone, where it does not purge.
            let purged = name == "purge.txt";
            assert_eq!(is_done, installed || purged, "{name}: {package}");
        }
    }
}

#[test]
fn dpkgs_own_lines_lead_two_upgrades_and_a_removal_to_their_ends() {
    let sample = samples().remove("dpkg-status-fd.txt").expect("sample");
    let mut packages = BTreeMap::new();
    let mut lines = 0;
    for line in String::from_utf8(sample).expect("text").lines() {
        lines += 1;
        match parse_dpkg(line).unwrap_or_else(|| panic!("{line}")) {
            DpkgRecord::Processing { work, package } => {
                let is_removal = work == wua_apt::status_lines::DpkgWork::Remove;
                let new = if is_removal {
                    PackageSteps::removal
                } else {
                    PackageSteps::installation
                };
                let key = (package.name, is_removal);
                packages.entry(key).or_insert_with(new).begins(work);
            }
            DpkgRecord::State { package, state } => {
                for (_, steps) in packages.iter_mut().filter(|((name, _), _)| *name == package.name) {
                    let before = steps.done();
                    steps.recorded(state);
                    assert!(steps.done() >= before && steps.done() <= steps.total());
                }
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((lines, packages.len()), (22, 3));
    for ((name, is_removal), steps) in packages {
        assert_eq!(steps.done(), steps.total(), "{name}, removal {is_removal}");
    }
}

#[test]
fn a_line_cut_anywhere_or_out_of_place_breaks_nothing() {
    for sample in samples().values() {
        let text = String::from_utf8_lossy(sample);
        for line in text.lines() {
            for (end, _) in line.char_indices() {
                let _ = (parse_apt(&line[..end]), parse_dpkg(&line[..end]));
                let _ = (parse_apt(&line[end..]), parse_dpkg(&line[end..]));
            }
        }
    }
}
