//! Random machines: few names and versions, so that everything meets everything.

use crate::generator::Random;
use crate::machine::{Entry, Machine, TestArchive, foreign_architecture, native_architecture};

const NAMES: [&str; 8] = [
    "alpha",
    "beta",
    "gamma",
    "libdelta1",
    "libdelta-dev",
    "epsilon",
    "zeta++",
    "eta.x",
];
const VERSIONS: [&str; 9] = [
    "1", "1.0", "1.1-1", "1.1-1+b1", "2~rc1", "2", "1:0.5", "1:0.5-1", "1.2",
];
const SOURCES: [&str; 3] = ["src-one", "src-two (1)", "alpha"];
const SUITES: [&str; 5] = [
    "stable",
    "stable-updates",
    "testing",
    "stable-security",
    "experimental",
];
const CODENAMES: [&str; 3] = ["bookworm", "trixie", "sid"];
const HOSTS: [&str; 4] = [
    "http://deb.example.org/debian",
    "http://u:p@mirror.example.net:8080/d",
    "copy:/srv/repo",
    "http://other.test/x",
];
const PRIORITIES: [&str; 14] = [
    "-1", "1", "50", "99", "100", "101", "499", "500", "501", "900", "990", "1000", "1001", "never",
];
const RELATIONS: [&str; 4] = [
    "",
    "Depends: libc6 (>= 2.3)\n",
    "Installed-Size: 7\n",
    "Multi-Arch: foreign\n",
];

pub(crate) fn machine(random: &mut Random) -> Machine {
    let archives: Vec<_> = (0..1 + random.below(4)).map(|i| archive(random, i)).collect();
    let default_release = random
        .chance(20)
        .then(|| default_release(random, &archives))
        .flatten();
    let files = random.below(4);
    let preferences = (0..files).map(|_| preferences(random)).collect();
    Machine {
        installed: installed(random),
        archives,
        preferences,
        default_release,
        settings: String::new(),
    }
}

fn installed(random: &mut Random) -> Vec<Entry> {
    let mut entries = Vec::new();
    for name in NAMES {
        let architectures = match random.below(10) {
            0 => vec![],
            1 | 2 => vec!["all"],
            3 => vec![foreign_architecture()],
            4 => vec![native_architecture(), foreign_architecture()],
            _ => vec![native_architecture()],
        };
        let version = random.pick(&VERSIONS);
        for architecture in architectures {
            let version = if random.chance(20) {
                random.pick(&VERSIONS)
            } else {
                version
            };
            let state = match random.below(12) {
                0 => "config-files",
                1 => "half-configured",
                2 => "unpacked",
                _ => "installed",
            };
            let selection = if random.chance(15) { "hold" } else { "install" };
            let status = format!("{selection} ok {state}");
            entries.push(Entry {
                status,
                ..entry(random, name, architecture, version)
            });
        }
    }
    entries
}

fn entry(random: &mut Random, name: &str, architecture: &str, version: &str) -> Entry {
    Entry {
        package: name.to_owned(),
        architecture: architecture.to_owned(),
        version: version.to_owned(),
        source: random.chance(30).then(|| random.pick(&SOURCES).to_owned()),
        status: String::new(),
        fields: random.pick(&RELATIONS).to_owned(),
    }
}

fn archive(random: &mut Random, number: usize) -> TestArchive {
    let mut release = String::new();
    let mut field = |random: &mut Random, name: &str, values: &[&str]| {
        if random.chance(85) {
            release.push_str(&format!("{name}: {}\n", random.pick(values)));
        }
    };
    field(random, "Suite", &SUITES);
    field(random, "Codename", &CODENAMES);
    field(random, "Version", &["12", "12.1", "13"]);
    field(random, "Origin", &["Debian", "Example Corp"]);
    field(random, "Label", &["Debian", "Debian-Security", "Extra"]);
    if random.chance(30) {
        release.push_str("NotAutomatic: yes\n");
    }
    if random.chance(30) {
        release.push_str("ButAutomaticUpgrades: yes\n");
    }
    release.push_str("Date: Sat, 11 Jul 2026 10:16:37 UTC\n");
    let mut indexes = Vec::new();
    for component in ["main", "contrib"] {
        for architecture in [native_architecture(), foreign_architecture()] {
            if component == "main" || random.chance(40) {
                indexes.push((
                    component.to_owned(),
                    architecture.to_owned(),
                    index(random, architecture),
                ));
            }
        }
    }
    // Suites on one host must differ, or two archives would be one.
    TestArchive {
        uri: random.pick(&HOSTS).to_owned(),
        suite: format!("suite{number}"),
        release,
        indexes,
    }
}

fn index(random: &mut Random, architecture: &str) -> Vec<Entry> {
    let mut entries = Vec::new();
    for name in NAMES {
        for _ in 0..random.below(3) {
            let architecture = if random.chance(25) { "all" } else { architecture };
            let version = random.pick(&VERSIONS);
            let mut entry = entry(random, name, architecture, version);
            let size = if random.chance(80) { 10 } else { 11 };
            entry
                .fields
                .push_str(&format!("Filename: pool/{name}.deb\nSize: {size}\n"));
            entries.push(entry);
        }
    }
    entries
}

fn preferences(random: &mut Random) -> String {
    (0..1 + random.below(3)).map(|_| record(random)).collect()
}

fn record(random: &mut Random) -> String {
    let names = [
        "alpha",
        "beta",
        "gamma zeta++",
        "lib*",
        "*",
        "/a$/",
        "alpha:any",
        "*:any",
        "src:src-one",
        "src:src-*:any",
        "libdelta1:i386",
        "eta.x alpha",
        "[a-g]*",
        "src:alpha",
        "epsilon *",
        "/^lib/:any",
        "*",
        "*",
    ];
    let pins = [
        "version 1*",
        "version 2",
        "version 1.1-1",
        "version *",
        "version 1:0.5*",
        "version /^1/",
        "version ?",
        "release a=stable",
        "release a=stable*",
        "release n=trixie",
        "release o=Debian, l=Debian-Security",
        "release o=Example Corp",
        "release v=12",
        "release v=12*",
        "release 12",
        "release trixie",
        "release stable",
        "release c=contrib",
        "release b=i386",
        "release a=now",
        "release *",
        "release x=y",
        "origin deb.example.org",
        "origin \"*.example.net\"",
        "origin \"\"",
        "origin *",
        "RELEASE A=Stable , N=*",
    ];
    let name = random.pick(&names);
    let pin = random.pick(&pins);
    // APT refuses `never` for anything but all packages.
    let allowed = if name == "*" {
        PRIORITIES.len()
    } else {
        PRIORITIES.len() - 1
    };
    let priority = random.pick(&PRIORITIES[..allowed]);
    let comment = if random.chance(20) {
        "# comment\nExplanation: because\n"
    } else {
        ""
    };
    format!("{comment}Package: {name}\nPin: {pin}\nPin-Priority: {priority}\n\n")
}

/// One that exists; APT refuses others.
fn default_release(random: &mut Random, archives: &[TestArchive]) -> Option<String> {
    let archive = random.pick(archives);
    let name = random.pick(&["Suite", "Codename", "Version"]);
    archive
        .release
        .lines()
        .find_map(|line| Some(line.strip_prefix(name)?.strip_prefix(": ")?.to_owned()))
}
