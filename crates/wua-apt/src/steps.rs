//! How far one package is, counted in steps of our own (rule P1): five for an installation, three for a removal.
//!
//! Steps never go back, whatever the lines say: packages interleave, retries begin anew, and after a failure APT still
//! tells of stages that never happened (trap T2). The last step is dpkg's word that the package is done; whether that
//! is so is read from its database.

use crate::dpkg::PackageState;
use crate::status_lines::{AptStage, DpkgWork};

/// The steps of one package.
#[derive(Clone, Debug)]
pub struct PackageSteps {
    removal: bool,
    done: u32,
    work: Option<DpkgWork>,
}

impl PackageSteps {
    /// A package that is going to be installed, upgraded, downgraded or installed again.
    pub fn installation() -> Self {
        Self {
            removal: false,
            done: 0,
            work: None,
        }
    }

    /// A package that is going to be removed.
    pub fn removal() -> Self {
        Self {
            removal: true,
            ..Self::installation()
        }
    }

    /// How many steps there are.
    pub fn total(&self) -> u32 {
        if self.removal { 3 } else { 5 }
    }

    /// How many are done.
    pub fn done(&self) -> u32 {
        self.done
    }

    /// What dpkg is doing to the package, if it said so.
    pub fn work(&self) -> Option<DpkgWork> {
        self.work
    }

    /// dpkg begins something. Returns whether a step was made.
    pub fn begins(&mut self, work: DpkgWork) -> bool {
        self.work = Some(work);
        match work {
            DpkgWork::Install | DpkgWork::Upgrade => self.reach(1, false),
            DpkgWork::Configure => self.reach(3, false),
            DpkgWork::Remove | DpkgWork::Purge | DpkgWork::Disappear => self.reach(1, true),
            DpkgWork::Trigproc => false,
        }
    }

    /// dpkg records a state. Returns whether a step was made.
    pub fn recorded(&mut self, state: PackageState) -> bool {
        let unpacking = matches!(self.work, Some(DpkgWork::Install | DpkgWork::Upgrade));
        let configuring = self.work == Some(DpkgWork::Configure);
        match state {
            PackageState::HalfInstalled if unpacking => self.reach(2, false),
            PackageState::HalfInstalled => self.reach(2, true),
            // An upgrade begins with "unpacked", too: the old version's.
            PackageState::Unpacked if unpacking && self.done >= 2 => self.reach(3, false),
            PackageState::HalfConfigured if configuring => self.reach(4, false),
            // A failed upgrade ends with "installed": the old version's.
            PackageState::Installed | PackageState::TriggersAwaited | PackageState::TriggersPending
                if configuring =>
            {
                self.reach(5, false)
            }
            PackageState::ConfigFiles | PackageState::NotInstalled => self.reach(3, true),
            _ => false,
        }
    }

    /// APT tells of a stage. Returns whether a step was made.
    pub fn staged(&mut self, stage: AptStage) -> bool {
        match stage {
            AptStage::Preparing => self.reach(1, false),
            AptStage::Unpacking => self.reach(2, false),
            AptStage::Installing | AptStage::PreparingToConfigure => self.reach(3, false),
            AptStage::Configuring => self.reach(4, false),
            AptStage::Installed => self.reach(5, false),
            AptStage::PreparingForRemoval => self.reach(1, true),
            AptStage::Removing => self.reach(2, true),
            AptStage::CompletelyRemoving | AptStage::CompletelyRemoved => self.reach(3, true),
            AptStage::Other => false,
        }
    }

    fn reach(&mut self, step: u32, of_removal: bool) -> bool {
        let further = of_removal == self.removal && step > self.done;
        if further {
            self.done = step;
        }
        further
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use PackageState::{HalfConfigured, HalfInstalled, Installed, NotInstalled, Unpacked};

    #[test]
    fn an_upgrade_has_five_steps() {
        let mut steps = PackageSteps::installation();
        let mut seen = vec![steps.begins(DpkgWork::Upgrade)];
        seen.extend([HalfConfigured, Unpacked, HalfInstalled, Unpacked].map(|state| steps.recorded(state)));
        seen.push(steps.begins(DpkgWork::Configure));
        seen.extend([Unpacked, HalfConfigured, Installed].map(|state| steps.recorded(state)));
        assert_eq!(seen, [true, false, false, true, true, false, false, true, true]);
        assert_eq!((steps.done(), steps.total()), (5, 5));
    }

    #[test]
    fn a_failed_preinst_is_not_taken_for_the_end() {
        let mut steps = PackageSteps::installation();
        steps.begins(DpkgWork::Upgrade);
        for state in [HalfConfigured, Unpacked, HalfInstalled, Unpacked, Installed] {
            steps.recorded(state);
        }
        assert_eq!(steps.done(), 3);
    }

    #[test]
    fn a_removal_has_three_steps() {
        let mut steps = PackageSteps::removal();
        steps.recorded(Installed);
        steps.begins(DpkgWork::Remove);
        for state in [HalfConfigured, HalfInstalled, NotInstalled] {
            steps.recorded(state);
        }
        assert_eq!((steps.done(), steps.total()), (3, 3));
    }
}
