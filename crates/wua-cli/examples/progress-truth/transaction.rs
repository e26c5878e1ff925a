//! The transactions: what is upgraded, in any number of versions that are alike.

use std::fs::File;
use std::io::Read as _;

use wua_sandbox::{Package, Script};

use crate::Outcome;

/// What a user waits for when a machine is upgraded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Transaction {
    /// Ten small packages: a second of unpacking and configuring.
    Small,
    /// Four packages, one of which has a script that takes six seconds.
    SlowScript,
    /// One large archive that comes slowly, and five small ones.
    Download,
    /// Eight packages that activate a trigger of a ninth, which is not upgraded; the trigger takes three seconds.
    Triggers,
    /// Forty packages of all sizes, some with scripts, and a trigger.
    Mix,
}

/// A part of a transaction that is measured by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Fetch,
    Install,
}

/// Shared folders in which a file activates a trigger.
const TRIGGERING: &str = "usr/share/truth-pages";

impl Transaction {
    pub(crate) const ALL: [Self; 5] = [
        Self::Small,
        Self::SlowScript,
        Self::Download,
        Self::Triggers,
        Self::Mix,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Small => "small",
            Self::SlowScript => "slow-script",
            Self::Download => "download",
            Self::Triggers => "triggers",
            Self::Mix => "mix",
        }
    }

    pub(crate) fn parts(self) -> &'static [Part] {
        match self {
            Self::Download => &[Part::Fetch, Part::Install],
            _ => &[Part::Install],
        }
    }

    /// The packages that are installed, then upgraded, in one version of theirs.
    pub(crate) fn packages(self, version: u32) -> Outcome<Vec<Package>> {
        let small = |count| (0..count).map(|number| plain(number, version, 6, 3_000));
        Ok(match self {
            Self::Small => small(10).collect(),
            Self::SlowScript => {
                let mut packages: Vec<Package> = small(4).collect();
                packages[1] = packages[1].clone().script(Script::Postinst, working(12, 0.5));
                packages
            }
            Self::Download => {
                let mut packages: Vec<Package> = small(5).collect();
                packages.push(plain(5, version, 1, 3_000).file("usr/share/truth-5/large", noise(8 << 20)?));
                packages
            }
            Self::Triggers => {
                let mut packages: Vec<Package> =
                    small(8).map(|package| with_page(package, version)).collect();
                packages.push(indexer(6, 0.5));
                packages
            }
            Self::Mix => mix(version)?,
        })
    }
}

fn mix(version: u32) -> Outcome<Vec<Package>> {
    let mut packages = Vec::new();
    for number in 0..40 {
        let files = [2, 5, 12, 40, 120][number % 5];
        let mut package = plain(number, version, files, 1_500 + 700 * (number % 7));
        if number % 8 == 3 {
            let path = format!("usr/lib/{}/library", package.name());
            package = package.file(path, noise((1 + number / 8) << 19)?);
        }
        package = match number {
            17 => package.script(Script::Postinst, working(4, 0.5)),
            _ if number % 6 == 1 => {
                let seconds = 0.1 + 0.1 * (number / 6 % 5) as f64;
                package.script(Script::Postinst, working(1, seconds))
            }
            _ if number % 9 == 2 => with_page(package, version),
            _ => package,
        };
        packages.push(package);
    }
    packages.push(indexer(2, 0.5));
    Ok(packages)
}

fn plain(number: usize, version: u32, files: usize, bytes: usize) -> Package {
    let name = format!("truth-{number}");
    (0..files).fold(Package::new(&name, version.to_string()), |package, file| {
        let line = format!("{name} {version} {file}: what this option does when it is given\n");
        let content = line.repeat(bytes.div_ceil(line.len()));
        package.file(format!("usr/share/{name}/file{file}"), content)
    })
}

fn with_page(package: Package, version: u32) -> Package {
    let path = format!("{TRIGGERING}/{}", package.name());
    package.file(path, format!("page of version {version}\n"))
}

/// The owner of the trigger: always the same version, as with man-db and its like.
fn indexer(steps: u32, seconds: f64) -> Package {
    let work = working(steps, seconds);
    Package::new("truth-indexer", "1")
        .trigger(format!("interest-noawait /{TRIGGERING}"))
        .script(
            Script::Postinst,
            format!("if [ \"$1\" = triggered ]; then\n{work}fi\n"),
        )
}

/// A script that works for `steps` times `seconds`, and says so.
fn working(steps: u32, seconds: f64) -> String {
    format!(
        "step=0\nwhile [ $step -lt {steps} ]; do\n\
         step=$((step + 1)); sleep {seconds:.2}; echo \"step $step of {steps} is made\"\ndone\n"
    )
}

/// Bytes that no compressor makes smaller.
fn noise(bytes: usize) -> Outcome<Vec<u8>> {
    let mut noise = Vec::with_capacity(bytes);
    File::open("/dev/urandom")?
        .take(bytes as u64)
        .read_to_end(&mut noise)?;
    Ok(noise)
}
