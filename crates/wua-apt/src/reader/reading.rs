//! [`Reading`]: one look at a machine, and further look-ups in the same indexes.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;

use jiff::Timestamp;

use super::apt_config::AptConfig;
use super::candidates::{self, Candidate, Rules};
use super::indexes::{self, ActiveIndex, Archive};
use super::phasing::PhasingPolicy;
use super::policy::{FileTraits, Policy};
use super::preferences::Pins;
use super::record::ArchiveRecord;
use super::scan::{Scanned, scan};
use super::warning::{ReadError, ReadWarning};
use crate::answers::Answers;
use crate::dpkg::DpkgDatabase;
use crate::repositories::Repositories;
use crate::tree::AptTree;

/// What one look at a machine found.
#[derive(Debug)]
#[non_exhaustive]
pub struct Reading {
    /// What is installed.
    pub installed: DpkgDatabase,
    /// The machine's own architecture.
    pub native_architecture: String,
    /// The newer versions that APT's policy chooses, held and phased ones included.
    pub candidates: Vec<Candidate>,
    /// The archives of all configured sources, refreshed or not, in APT's order.
    pub archives: Vec<Arc<Archive>>,
    /// When the lists folder was last changed, which a refresh does.
    pub lists_changed: Option<Timestamp>,
    /// What makes the answer less than whole.
    pub warnings: Vec<ReadWarning>,
    /// Whether no pin touches a package of the machine, and no setting changes how APT resolves.
    pub(crate) is_plain: bool,
    /// Where the archives' files lie.
    pub(crate) repositories: Repositories,
    indexes: Vec<ActiveIndex>,
}

/// A question to [`Reading::find`]; what is `None` may be anything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// The package's name.
    pub package: String,
    /// Its architecture; where it is not `all` itself, versions for all architectures match, too.
    pub architecture: Option<String>,
    /// Its version.
    pub version: Option<String>,
}

/// The answer of [`Reading::find`].
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// What the indexes offer, archives in APT's order. The same version from several archives comes several times.
    pub records: Vec<ArchiveRecord>,
    /// What could not be read.
    pub warnings: Vec<ReadWarning>,
}

impl Reading {
    /// Reads the machine: a few hundredths of a second, without privilege, changing nothing.
    ///
    /// # Errors
    /// When dpkg's database is unreadable or damaged, or APT cannot be asked for its settings. Damaged indexes
    /// are warnings.
    pub fn of(tree: &AptTree) -> Result<Self, ReadError> {
        // Nobody needs APT's answers before the indexes are read.
        thread::scope(|scope| {
            let asking = thread::Builder::new().name("wua-answers".into());
            match asking.spawn_scoped(scope, || Answers::of(tree)) {
                Ok(answers) => Self::read(tree, || {
                    answers.join().unwrap_or_else(|panic| resume_unwind(panic))
                }),
                // Where there is no thread to be had, they are found out here.
                Err(_) => Self::read(tree, || Answers::of(tree)),
            }
        })
    }

    /// Reads everything that will very likely be wanted, then waits for APT's answers.
    fn read(tree: &AptTree, answers: impl FnOnce() -> Result<Answers, ReadError>) -> Result<Self, ReadError> {
        let installed = DpkgDatabase::read(tree.root())?;
        let names: HashSet<&[u8]> = installed
            .present()
            .map(|package| package.name.as_bytes())
            .collect();
        let wanted = |name: &[u8]| names.contains(name);
        let likely = indexes::likely(&tree.path("var/lib/apt/lists"));
        let mut scanned: HashMap<&Path, Scanned> = likely
            .iter()
            .map(PathBuf::as_path)
            .zip(scan(&likely, wanted))
            .collect();
        let answers = answers()?;
        let config = AptConfig::parse(&answers.settings);

        let mut warnings = Vec::new();
        let missing = |name| ReadError::Configuration { name };
        let lists = config
            .path("Dir::State::lists")
            .ok_or(missing("Dir::State::lists"))?;
        let native = config
            .get("APT::Architecture")
            .ok_or(missing("APT::Architecture"))?
            .to_owned();
        let (indexes, archives) = indexes::resolve(answers.targets.as_bytes(), &lists, &mut warnings);

        let paths = indexes.iter().map(|index| index.path.as_path());
        let rest: Vec<_> = paths.clone().filter(|path| !scanned.contains_key(path)).collect();
        scanned.extend(rest.iter().copied().zip(scan(&rest, wanted)));
        let scanned: Vec<_> = paths.map(|path| &scanned[path]).collect();
        warnings.extend(scanned.iter().filter_map(|scanned| scanned.warning.clone()));

        let files = indexes
            .iter()
            .map(ActiveIndex::traits)
            .chain([FileTraits::status()])
            .collect();
        let rules = Rules {
            policy: Policy::new(Pins::read(&config, &mut warnings), files, native.clone()),
            phasing: PhasingPolicy::new(&config, &machine_id(&config)),
            indexes: &indexes,
            native: &native,
        };
        let (candidates, has_pins) = candidates::candidates(&installed, &scanned, &rules, &mut warnings);
        Ok(Self {
            is_plain: !has_pins && resolves_as_usual(&config),
            candidates,
            archives,
            lists_changed: lists_changed(&lists),
            repositories: Repositories::of(&answers),
            warnings,
            native_architecture: native,
            indexes,
            installed,
        })
    }

    /// Whether there is no index at all, so that an empty answer says nothing (rule U5).
    pub fn never_refreshed(&self) -> bool {
        self.indexes.is_empty()
    }

    /// Looks up any packages in the indexes of this reading, all in one pass: new dependencies, or whether an
    /// archive still offers an installed version.
    pub fn find(&self, wanted: &[Wanted]) -> Found {
        let mut by_name: HashMap<&[u8], Vec<&Wanted>> = HashMap::new();
        for one in wanted {
            by_name.entry(one.package.as_bytes()).or_default().push(one);
        }
        let mut answer = Found::default();
        let is_wanted = |record: &ArchiveRecord| {
            let asked = by_name.get(record.package.as_bytes());
            asked.is_some_and(|asked| asked.iter().any(|one| one.matches(record)))
        };
        let scanned = scan(&self.indexes, |name| by_name.contains_key(name));
        for (index, scanned) in self.indexes.iter().zip(scanned) {
            answer.warnings.extend(scanned.warning);
            for found in &scanned.found {
                match ArchiveRecord::parse(found.stanza(), vec![Arc::clone(&index.archive)]) {
                    Ok(record) if is_wanted(&record) => answer.records.push(record),
                    Ok(_) => {}
                    Err(why) => answer.warnings.push(found.damage(&index.path, &why.to_string())),
                }
            }
        }
        answer
    }
}

impl Wanted {
    fn matches(&self, record: &ArchiveRecord) -> bool {
        let architecture_fits = self
            .architecture
            .as_ref()
            .is_none_or(|architecture| record.architecture == "all" || record.architecture == *architecture);
        architecture_fits
            && self
                .version
                .as_ref()
                .is_none_or(|version| record.version == *version)
    }
}

/// Whether APT resolves by its own rules and follows recommendations at most.
fn resolves_as_usual(config: &AptConfig) -> bool {
    let is_off = |name: &str| !config.flag(name).unwrap_or(false);
    let solver = config.get("APT::Solver").unwrap_or_default();
    (solver.is_empty() || solver == "internal")
        && ["APT::Install-Suggests", "APT::Ignore-Hold"]
            .into_iter()
            .all(is_off)
        && config.flag("APT::Get::Upgrade").unwrap_or(true)
}

/// The content of the machine id file, which APT looks for beside its own folder.
fn machine_id(config: &AptConfig) -> String {
    let folder = config
        .path("Dir::Etc")
        .and_then(|folder| folder.parent().map(Path::to_owned));
    folder
        .and_then(|folder| fs::read_to_string(folder.join("machine-id")).ok())
        .unwrap_or_default()
}

/// The latest change of the lists folder or of the place for half-fetched files in it.
fn lists_changed(lists: &Path) -> Option<Timestamp> {
    let changed = |path: PathBuf| {
        fs::metadata(path)
            .ok()?
            .modified()
            .ok()
            .and_then(indexes::timestamp)
    };
    changed(lists.to_owned()).max(changed(lists.join("partial")))
}
