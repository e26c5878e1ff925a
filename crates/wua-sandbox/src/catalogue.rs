//! The invented products of the practice archive: eight with names one gets to know, and as many more as wanted, drawn
//! from the seed. Which of them go wrong is told in `fault_sources`.

use crate::archive::Suite;
use crate::content::Generator;
use crate::source::{Binary, Kind, Presence, Source};

/// `count` healthy sources.
pub(crate) fn sources(count: usize, seed: u64) -> Vec<Source> {
    let mut sources = named();
    sources.truncate(count);
    sources.extend(drawn(count - sources.len(), seed));
    sources
}

/// What is installed on every machine of a recipe and has no update.
pub(crate) fn stock() -> Source {
    let mut source = product(
        "quayutils",
        Suite::Practice,
        ["2.3-1", "2.3-1"],
        "utils",
        "Nothing.",
    );
    source.binaries = vec![Binary::new(
        "quayutils",
        Kind::Program,
        "utilities for a small harbour",
    )];
    source
}

/// The common part of a product; its binaries, its flaw and its fault are set by the caller.
pub(crate) fn product(
    name: &str,
    suite: Suite,
    [old, new]: [&str; 2],
    section: &'static str,
    change: &str,
) -> Source {
    Source {
        name: name.into(),
        suite,
        old: old.into(),
        new: new.into(),
        section,
        change: change.into(),
        cve: None,
        binaries: Vec::new(),
        fault: None,
    }
}

fn named() -> Vec<Source> {
    use Suite::{Practice, Security};
    let inkpot = Source {
        binaries: vec![Binary::new(
            "inkpot",
            Kind::Program,
            "small text editor with many windows",
        )],
        ..product(
            "inkpot",
            Practice,
            ["4.2.1-1", "4.2.2-1"],
            "editors",
            "Keep the cursor on its line when wrapping.",
        )
    };
    let pixelry = Source {
        cve: Some(20_417),
        binaries: vec![
            Binary::new("libpixelry3", Kind::Library, "image library, shared library"),
            Binary::new(
                "pixelry-tools",
                Kind::Program,
                "image library, command line tools",
            )
            .needs("libpixelry3 (= {version})"),
            Binary::new("pixelry-view", Kind::Program, "image library, viewer")
                .needs("libpixelry3 (= {version})"),
        ],
        ..product(
            "pixelry",
            Security,
            ["2.7.0-3", "2.7.0-3+deb12u1"],
            "graphics",
            "Check the size of palettes.",
        )
    };
    let postbird = Source {
        cve: Some(18_802),
        binaries: vec![Binary::new(
            "postbird",
            Kind::Service,
            "mail relay for small networks",
        )],
        ..product(
            "postbird",
            Security,
            ["3.8.1-2", "3.8.1-2+deb12u1"],
            "mail",
            "Refuse overlong header lines.",
        )
    };
    let meadow = Source {
        binaries: vec![Binary::new(
            "fonts-meadow",
            Kind::Fonts,
            "humanist font family for long texts",
        )],
        ..product(
            "fonts-meadow",
            Practice,
            ["1.104-1", "1.106-1"],
            "fonts",
            "Add the capital sharp s.",
        )
    };
    let zonebook = Source {
        binaries: vec![Binary::new(
            "zonebook",
            Kind::Data,
            "tables of the world's time zones",
        )],
        ..product(
            "zonebook",
            Practice,
            ["2026a-1", "2026b-1"],
            "localization",
            "Follow two changed summer times.",
        )
    };
    let ledgerline = Source {
        binaries: vec![
            Binary::new(
                "ledgerline",
                Kind::Program,
                "double-entry bookkeeping in plain text",
            )
            .needs("ledgerline-data (= {version})"),
            Binary::new(
                "ledgerline-data",
                Kind::Data,
                "double-entry bookkeeping, account charts",
            ),
        ],
        ..product(
            "ledgerline",
            Practice,
            ["0.9.12-1", "0.10.0-1"],
            "misc",
            "Close the books of a whole year.",
        )
    };
    let saltbox = Source {
        cve: Some(21_990),
        binaries: vec![
            Binary::new(
                "libsaltbox1",
                Kind::Library,
                "cryptographic library, shared library",
            ),
            Binary::new(
                "saltbox",
                Kind::Program,
                "cryptographic library, file sealing tool",
            )
            .needs("libsaltbox1 (= {version})"),
        ],
        ..product(
            "saltbox",
            Security,
            ["1:1.9.4-2", "1:1.9.4-2+deb12u1"],
            "utils",
            "Compare tags in constant time.",
        )
    };
    vec![
        inkpot,
        pixelry,
        postbird,
        meadow,
        linux(),
        zonebook,
        ledgerline,
        saltbox,
    ]
}

/// Like a distribution's kernel: the new version of the meta package needs a package that is not installed yet.
fn linux() -> Source {
    let image = |release: &str, presence| Binary {
        presence,
        ..Binary::new(
            format!("linux-image-{release}-practice"),
            Kind::Kernel,
            format!("kernel {release}"),
        )
    };
    let needs = |release: &str| format!("linux-image-{release}-practice (= {{version}})");
    let meta = Binary {
        depends: [needs("6.12.30"), needs("6.12.41")],
        ..Binary::new("linux-image-practice", Kind::Meta, "newest kernel (meta package)")
    };
    Source {
        cve: Some(22_305),
        binaries: vec![
            meta,
            image("6.12.30", Presence::Old),
            image("6.12.41", Presence::New),
        ],
        ..product(
            "linux-practice",
            Suite::Security,
            ["6.12.30-1", "6.12.41-1"],
            "kernel",
            "New upstream release.",
        )
    }
}

fn drawn(count: usize, seed: u64) -> impl Iterator<Item = Source> {
    let mut generator = Generator::new(seed, "catalogue");
    let first = generator.below(FIRST.len() * SECOND.len());
    (0..count).map(move |number| {
        // 7 shares no factor with the number of pairs, so all pairs come before one comes again, numbered.
        let pair = (first + number * 7) % (FIRST.len() * SECOND.len());
        let round = number / (FIRST.len() * SECOND.len());
        let suffix = if round == 0 {
            String::new()
        } else {
            (round + 1).to_string()
        };
        let name = format!(
            "{}{}{suffix}",
            FIRST[pair % FIRST.len()],
            SECOND[pair / FIRST.len()]
        );
        draw(&name, &mut generator)
    })
}

fn draw(name: &str, generator: &mut Generator) -> Source {
    let [major, minor, patch] = [1 + generator.below(5), generator.below(20), generator.below(10)];
    let suite = if generator.below(4) == 0 {
        Suite::Security
    } else {
        Suite::Practice
    };
    let old = format!("{major}.{minor}.{patch}-1");
    let new = match suite {
        Suite::Security => format!("{old}+deb12u1"),
        Suite::Practice => format!("{major}.{minor}.{}-1", patch + 1 + generator.below(3)),
    };
    let (section, summary) = *generator.pick(&TRADES);
    let change = *generator.pick(&CHANGES);
    let exactly = |other: String| format!("{other} (= {{version}})");
    let binaries = match generator.below(5) {
        0 => vec![
            Binary::new(
                format!("lib{name}1"),
                Kind::Library,
                format!("{summary}, shared library"),
            ),
            Binary::new(name, Kind::Program, summary).needs(&exactly(format!("lib{name}1"))),
        ],
        1 => vec![
            Binary::new(name, Kind::Program, summary).needs(&exactly(format!("{name}-data"))),
            Binary::new(format!("{name}-data"), Kind::Data, format!("{summary}, data")),
        ],
        2 => vec![Binary::new(name, Kind::Service, summary)],
        _ => vec![Binary::new(name, Kind::Program, summary)],
    };
    let cve =
        (suite == Suite::Security).then(|| u32::try_from(10_000 + generator.below(50_000)).unwrap_or(10_000));
    Source {
        cve,
        binaries,
        ..product(name, suite, [&old, &new], section, change)
    }
}

const FIRST: [&str; 24] = [
    "amber", "birch", "cedar", "cobalt", "copper", "dawn", "ember", "fern", "frost", "granite", "hazel",
    "indigo", "juniper", "lark", "maple", "marsh", "north", "onyx", "opal", "pebble", "quill", "russet",
    "slate", "willow",
];
const SECOND: [&str; 20] = [
    "barge", "bell", "cart", "clerk", "desk", "ferry", "forge", "gauge", "grid", "kettle", "lamp", "loom",
    "mill", "notes", "press", "rack", "scale", "table", "watch", "wheel",
];
const TRADES: [(&str, &str); 8] = [
    ("utils", "renames many files at once"),
    ("net", "watches the load of a network"),
    ("text", "checks the spelling of long texts"),
    ("devel", "finds slow places in programs"),
    ("sound", "records and cuts sound"),
    ("science", "fits curves to measurements"),
    ("admin", "collects the logs of many machines"),
    ("database", "keeps small tables in one file"),
];
const CHANGES: [&str; 4] = [
    "Do not stop at an empty input.",
    "Start faster when there are many files.",
    "Translate the messages anew.",
    "Release memory after each run.",
];
