//! What the lines of runs tell about the packages of a batch: steps, phases, errors, kept configuration files.
//!
//! Knows which package belongs to which update and nothing of the machine: that a package is really done is read from
//! dpkg's database, by others. Packages that are not ours (leftovers, triggers) are told apart (trap T3).

use std::collections::HashMap;
use std::path::Path;

use wua_engine::stage::{Stage, StageKind};
use wua_types::{Phase, PlannedChange, PlannedUpdate};

use crate::dpkg::PackageState;
use crate::status_lines::{
    AptRecord, AptStage, ConffileQuestion, DpkgRecord, DpkgWork, PackageName, parse_apt, parse_dpkg,
};
use crate::steps::PackageSteps;

/// One package of the batch.
#[derive(Debug)]
pub(crate) struct Tracked {
    /// Its update's place in the plan.
    pub(crate) update: usize,
    /// What is planned.
    pub(crate) change: PlannedChange,
    /// How far it is.
    pub(crate) steps: PackageSteps,
    /// dpkg's last word about it was that it is done.
    reported_done: bool,
}

/// An error record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ItemError {
    /// The package of ours it is about, as a place in [`Watch::packages`].
    pub(crate) package: Option<usize>,
    /// The item as dpkg names it: a package, or the path of an archive.
    pub(crate) item: String,
    /// Why.
    pub(crate) text: String,
    /// The run that said so, for its terminal log.
    pub(crate) tag: String,
}

/// A step that was made, or a phase that began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Moved {
    /// The update concerned.
    pub(crate) update: usize,
    /// What is being done to it.
    pub(crate) phase: Phase,
}

/// What is known so far.
#[derive(Debug)]
pub(crate) struct Watch {
    /// Every package of the batch.
    pub(crate) packages: Vec<Tracked>,
    /// Every error, each once a run.
    pub(crate) errors: Vec<ItemError>,
    kept: Vec<(usize, String)>,
    by_name: HashMap<String, Vec<usize>>,
    by_archive: HashMap<String, usize>,
    /// What dpkg is busy with, in words.
    busy: Option<String>,
    stage: Option<Stage>,
    current: Option<usize>,
    /// Lines of dpkg in the current run.
    heard: usize,
    tag: String,
}

impl Watch {
    /// Watches the packages of the plan's `members`.
    pub(crate) fn new(plan: &[PlannedUpdate], members: &[usize]) -> Self {
        let changes = members.iter().flat_map(|&update| {
            plan.get(update)
                .into_iter()
                .flat_map(move |planned| planned.changes.iter().map(move |change| (update, change)))
        });
        let packages: Vec<_> = changes
            .map(|(update, change)| Tracked {
                update,
                change: change.clone(),
                steps: if change.to.is_some() {
                    PackageSteps::installation()
                } else {
                    PackageSteps::removal()
                },
                reported_done: false,
            })
            .collect();
        let mut by_name = HashMap::<_, Vec<_>>::new();
        for (place, package) in packages.iter().enumerate() {
            by_name
                .entry(package.change.name.clone())
                .or_default()
                .push(place);
        }
        let archives = packages
            .iter()
            .enumerate()
            .filter_map(|(place, package)| Some((archive_name(&package.change)?, place)));
        Self {
            by_archive: archives.collect(),
            by_name,
            packages,
            errors: Vec::new(),
            kept: Vec::new(),
            busy: None,
            stage: None,
            current: None,
            heard: 0,
            tag: String::new(),
        }
    }

    /// A run begins.
    pub(crate) fn begin(&mut self, tag: &str) {
        self.tag = tag.into();
        (self.heard, self.busy, self.stage, self.current) = (0, None, None, None);
    }

    /// The run is over.
    pub(crate) fn end(&mut self) {
        self.stage = None;
    }

    /// The stage that dpkg is at, of whatever package.
    pub(crate) fn stage(&self) -> Option<&Stage> {
        self.stage.as_ref()
    }

    /// Whether dpkg has said anything in this run: only then something can have been touched.
    pub(crate) fn has_heard_dpkg(&self) -> bool {
        self.heard > 0
    }

    /// What dpkg is busy with, such as "the maintainer script of slow-service".
    pub(crate) fn busy_with(&self) -> Option<&str> {
        self.busy.as_deref()
    }

    /// How many steps of an update are done, and of how many.
    pub(crate) fn progress(&self, update: usize) -> (u32, u32) {
        let packages = self.of(update);
        packages.fold((0, 0), |(done, total), package| {
            (done + package.steps.done(), total + package.steps.total())
        })
    }

    /// The packages of an update.
    pub(crate) fn of(&self, update: usize) -> impl Iterator<Item = &Tracked> {
        self.packages
            .iter()
            .filter(move |package| package.update == update)
    }

    /// The errors about packages of an update, the root cause first: not that a dependency was left unconfigured.
    pub(crate) fn errors_of(&self, update: usize) -> Vec<&ItemError> {
        let of_update = |error: &&ItemError| {
            error
                .package
                .is_some_and(|place| self.packages[place].update == update)
        };
        let mut errors: Vec<_> = self.errors.iter().filter(of_update).collect();
        errors.sort_by_key(|error| error.text.starts_with("dependency problems"));
        errors
    }

    /// What was said against packages of an update does not hold any more.
    pub(crate) fn forget_errors_of(&mut self, update: usize) {
        let packages = &self.packages;
        self.errors
            .retain(|error| error.package.is_none_or(|place| packages[place].update != update));
    }

    /// Whether dpkg said of all packages of an update that they are done.
    pub(crate) fn is_reported_done(&self, update: usize) -> bool {
        self.of(update).all(|package| package.reported_done)
    }

    /// The configuration files of an update whose local version was kept.
    pub(crate) fn kept_of(&self, update: usize) -> Vec<String> {
        let mut kept: Vec<_> = self
            .kept
            .iter()
            .filter(|(place, _)| self.packages[*place].update == update)
            .map(|(_, path)| path.clone())
            .collect();
        kept.sort();
        kept.dedup();
        kept
    }

    /// Takes a line of dpkg's.
    pub(crate) fn dpkg(&mut self, line: &str) -> Option<Moved> {
        let record = parse_dpkg(line)?;
        self.heard += 1;
        match record {
            DpkgRecord::Processing { work, package } => self.begins(work, &package),
            DpkgRecord::State { package, state } => {
                self.stage
                    .take_if(|stage| stage.subject == package.name && ends(stage.kind, state));
                self.recorded(&package, state)
            }
            DpkgRecord::Error { item, text } => {
                self.failed(&item, &text);
                None
            }
            DpkgRecord::Conffile(question) => {
                self.asked(question);
                None
            }
        }
    }

    /// Takes a line of APT's: its stages of ours where the name is not ambiguous, and errors that dpkg could not tell.
    pub(crate) fn apt(&mut self, line: &str) -> Option<Moved> {
        match parse_apt(line)? {
            AptRecord::Stage { package, stage, .. } => {
                let place = match self.by_name.get(&package).map(Vec::as_slice) {
                    Some([place]) => *place,
                    _ => return None,
                };
                let tracked = &mut self.packages[place];
                let stepped = tracked.steps.staged(stage);
                // Not what dpkg said last: APT may have said more since dpkg's lines were read.
                let phase = phase_of(stage).filter(|_| stepped)?;
                Some(Moved {
                    update: tracked.update,
                    phase,
                })
            }
            AptRecord::Error { item, text } => {
                self.failed(&item, &text);
                None
            }
            // dpkg says the same itself, and among its own lines it is clear whose file it is.
            AptRecord::Conffile(_) => None,
            AptRecord::Download { .. } | AptRecord::DpkgStarts | AptRecord::MediaChange { .. } => None,
        }
    }

    fn begins(&mut self, work: DpkgWork, package: &PackageName) -> Option<Moved> {
        let name = &package.name;
        self.busy = Some(match work {
            DpkgWork::Install | DpkgWork::Upgrade => format!("the unpacking of {name}"),
            DpkgWork::Configure | DpkgWork::Remove | DpkgWork::Purge => {
                format!("the maintainer script of {name}")
            }
            DpkgWork::Trigproc => format!("the triggers of {name}"),
            DpkgWork::Disappear => format!("dpkg, which works on {name}"),
        });
        let kind = match work {
            DpkgWork::Install | DpkgWork::Upgrade => StageKind::Unpack,
            DpkgWork::Configure => StageKind::Configure,
            DpkgWork::Remove | DpkgWork::Purge | DpkgWork::Disappear => StageKind::Remove,
            DpkgWork::Trigproc => StageKind::Triggers,
        };
        self.stage = Some(Stage::of(kind, name));
        let Some(place) = self.find(package) else {
            // Triggers of other packages run on behalf of what was changed before.
            let current = self.current.filter(|_| work == DpkgWork::Trigproc)?;
            return Some(Moved {
                update: self.packages[current].update,
                phase: Phase::Triggers,
            });
        };
        self.current = Some(place);
        self.packages[place].reported_done = false;
        self.packages[place].steps.begins(work);
        Some(self.moved(place))
    }

    fn recorded(&mut self, package: &PackageName, state: PackageState) -> Option<Moved> {
        let place = self.find(package)?;
        let tracked = &mut self.packages[place];
        let stepped = tracked.steps.recorded(state);
        let is_end = match tracked.change.to {
            Some(_) => state == PackageState::Installed,
            None => matches!(state, PackageState::ConfigFiles | PackageState::NotInstalled),
        };
        tracked.reported_done = is_end && tracked.steps.done() == tracked.steps.total();
        stepped.then(|| self.moved(place))
    }

    fn moved(&self, place: usize) -> Moved {
        let package = &self.packages[place];
        let phase = match package.steps.work() {
            Some(DpkgWork::Configure) => Phase::Configuring,
            Some(DpkgWork::Trigproc) => Phase::Triggers,
            Some(DpkgWork::Remove | DpkgWork::Purge | DpkgWork::Disappear) => Phase::Removing,
            Some(DpkgWork::Install | DpkgWork::Upgrade) => Phase::Unpacking,
            None if package.change.to.is_none() => Phase::Removing,
            None => Phase::Unpacking,
        };
        Moved {
            update: package.update,
            phase,
        }
    }

    fn failed(&mut self, item: &str, text: &str) {
        let by_archive = Path::new(item)
            .file_name()
            .and_then(|name| self.by_archive.get(name.to_str()?).copied());
        let package = if item.starts_with('/') {
            by_archive
        } else {
            PackageName::parse(item).and_then(|package| self.find(&package))
        };
        if let Some(place) = package {
            self.packages[place].reported_done = false;
        }
        // Both programs tell of most errors, APT without the architecture.
        let is_known = self
            .errors
            .iter()
            .any(|error| error.tag == self.tag && error.package == package && error.text == text);
        if !is_known {
            let error = ItemError {
                package,
                item: item.into(),
                text: text.into(),
                tag: self.tag.clone(),
            };
            self.errors.push(error);
        }
    }

    fn asked(&mut self, question: ConffileQuestion) {
        // dpkg asks while it configures the package that owns the file.
        if let Some(place) = self.current
            && question.edited_here
        {
            self.kept.push((place, question.path));
        }
    }

    fn find(&self, package: &PackageName) -> Option<usize> {
        let places = self.by_name.get(&package.name)?;
        match &package.architecture {
            None => places.first().copied(),
            Some(wanted) => places
                .iter()
                .copied()
                .find(|place| self.packages[*place].change.architecture == *wanted),
        }
    }
}

/// Whether a package that comes to this state is at the end of such a stage. Where an unpacking ends is not clear from its states.
fn ends(kind: StageKind, state: PackageState) -> bool {
    match kind {
        StageKind::Configure | StageKind::Triggers => matches!(
            state,
            PackageState::Installed | PackageState::TriggersAwaited | PackageState::TriggersPending
        ),
        StageKind::Remove => matches!(state, PackageState::ConfigFiles | PackageState::NotInstalled),
        _ => false,
    }
}

/// The file name under which APT looks for an archive; none for a removal.
pub(crate) fn archive_name(change: &PlannedChange) -> Option<String> {
    let version = change.to.as_ref()?.replace(':', "%3a");
    Some(format!("{}_{version}_{}.deb", change.name, change.architecture))
}

/// The phase that a stage of APT's belongs to, if it is known.
fn phase_of(stage: AptStage) -> Option<Phase> {
    match stage {
        AptStage::Preparing | AptStage::Unpacking | AptStage::Installing => Some(Phase::Unpacking),
        AptStage::PreparingToConfigure | AptStage::Configuring | AptStage::Installed => {
            Some(Phase::Configuring)
        }
        AptStage::PreparingForRemoval
        | AptStage::Removing
        | AptStage::CompletelyRemoving
        | AptStage::CompletelyRemoved => Some(Phase::Removing),
        AptStage::Other => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wua_types::{UpdateId, UpdateIdentity};

    fn plan(updates: &[&[(&str, Option<&str>)]]) -> Vec<PlannedUpdate> {
        let planned = updates.iter().enumerate().map(|(number, changes)| PlannedUpdate {
            identity: UpdateIdentity {
                update_id: UpdateId(uuid::Uuid::from_u128(number as u128)),
                revision_number: 1,
            },
            title: format!("update {number}"),
            changes: changes
                .iter()
                .map(|(name, to)| PlannedChange {
                    name: (*name).into(),
                    architecture: "amd64".into(),
                    from: Some("1".into()),
                    to: to.map(Into::into),
                    archive: None,
                })
                .collect(),
            unpacked_bytes: 0,
        });
        planned.collect()
    }

    fn watch(updates: &[&[(&str, Option<&str>)]]) -> Watch {
        let members: Vec<_> = (0..updates.len()).collect();
        Watch::new(&plan(updates), &members)
    }

    #[test]
    fn a_package_of_two_moves_its_update_by_half() {
        let mut watch = watch(&[&[("a", Some("2")), ("liba", Some("2"))]]);
        let lines = [
            "processing: upgrade: a",
            "status: a: half-installed",
            "status: a: unpacked",
            "processing: configure: a",
            "status: a: half-configured",
            "status: a: installed",
        ];
        let moves: Vec<_> = lines
            .iter()
            .filter_map(|line| watch.dpkg(line))
            .map(|moved| moved.phase)
            .collect();
        assert_eq!(
            moves,
            [
                Phase::Unpacking,
                Phase::Unpacking,
                Phase::Unpacking,
                Phase::Configuring,
                Phase::Configuring,
                Phase::Configuring
            ]
        );
        assert_eq!(watch.progress(0), (5, 10));
        assert!(!watch.is_reported_done(0));
    }

    #[test]
    fn apt_that_says_more_than_dpkg_was_heard_of_does_not_make_configuring_look_like_unpacking() {
        let mut watch = watch(&[&[("a", Some("2"))]]);
        watch.dpkg("processing: upgrade: a");
        let lines = [
            "pmstatus:a:20.0000:Unpacking a (amd64)",
            "pmstatus:a:60.0000:Preparing to configure a (amd64)",
            "pmstatus:a:80.0000:Configuring a (amd64)",
        ];
        let moves = lines.map(|line| watch.apt(line).map(|moved| moved.phase));
        assert_eq!(
            moves,
            [
                Some(Phase::Unpacking),
                Some(Phase::Configuring),
                Some(Phase::Configuring)
            ]
        );
        assert_eq!(
            watch.dpkg("processing: configure: a").map(|moved| moved.phase),
            Some(Phase::Configuring)
        );
    }

    #[test]
    fn a_stage_is_over_once_its_package_is_installed() {
        let mut watch = watch(&[&[("a", Some("2"))]]);
        watch.dpkg("processing: upgrade: a");
        watch.dpkg("status: a: unpacked");
        assert_eq!(watch.stage(), Some(&Stage::of(StageKind::Unpack, "a")));
        watch.dpkg("processing: configure: a");
        assert_eq!(watch.stage(), Some(&Stage::of(StageKind::Configure, "a")));
        watch.dpkg("status: b: installed");
        assert!(watch.stage().is_some());
        watch.dpkg("status: a: installed");
        assert_eq!(watch.stage(), None);
        watch.dpkg("processing: trigproc: man-db");
        assert_eq!(watch.stage(), Some(&Stage::of(StageKind::Triggers, "man-db")));
    }

    #[test]
    fn an_archive_in_an_error_leads_to_its_package() {
        let mut watch = watch(&[&[("a", Some("1:2"))], &[("b", Some("2"))]]);
        watch.dpkg("status: /jobs/x y/archives-1/a_1%3a2_amd64.deb : error : no space");
        watch.apt("pmerror:/jobs/x y/archives-1/a_1%3a2_amd64.deb:20.0000:no space");
        watch.dpkg("status: stranger : error : odd");
        let [error] = watch.errors_of(0)[..] else {
            panic!("{:?}", watch.errors)
        };
        assert_eq!(error.text, "no space");
        assert!(watch.errors_of(1).is_empty());
        assert_eq!(watch.errors[1].package, None);
    }

    #[test]
    fn the_root_cause_comes_before_what_it_caused() {
        let mut watch = watch(&[&[("a", Some("2")), ("liba", Some("2"))]]);
        watch.dpkg("status: a : error : dependency problems - leaving unconfigured");
        watch.dpkg("status: liba:amd64 : error : exit status 3");
        assert_eq!(watch.errors_of(0)[0].text, "exit status 3");
    }

    #[test]
    fn a_kept_file_belongs_to_the_package_that_is_being_configured() {
        let mut watch = watch(&[&[("a", Some("2"))], &[("b", Some("2"))]]);
        watch.dpkg("processing: configure: a");
        watch.dpkg("processing: configure: b");
        watch.dpkg("status: /etc/b.conf : conffile-prompt : '/etc/b.conf' '/etc/b.conf.dpkg-new' 1 1 ");
        assert_eq!(
            (watch.kept_of(0), watch.kept_of(1)),
            (vec![], vec!["/etc/b.conf".to_owned()])
        );
    }

    #[test]
    fn triggers_of_others_belong_to_what_was_changed_before() {
        let mut watch = watch(&[&[("a", Some("2"))]]);
        assert_eq!(watch.dpkg("processing: trigproc: man-db"), None);
        watch.dpkg("processing: configure: a");
        let moved = watch.dpkg("processing: trigproc: man-db");
        assert_eq!(
            moved,
            Some(Moved {
                update: 0,
                phase: Phase::Triggers
            })
        );
        assert_eq!(watch.busy_with(), Some("the triggers of man-db"));
    }
}
