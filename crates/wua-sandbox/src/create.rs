//! How a recipe becomes a machine: the old versions are published and really installed, the administrator makes his
//! edits, then the new versions take the old ones' place in the archive and the machine learns of them.
//!
//! When it is done an old archive exists nowhere: not in the archive, not in APT's cache.

use std::path::Path;

use crate::archive::Suite;
use crate::catalogue;
use crate::error::SandboxError;
use crate::fault::Fault;
use crate::fault_sources::{EDITED_CONFFILE, afflict};
use crate::machine::PracticeMachine;
use crate::mark::Mark;
use crate::package::Package;
use crate::recipe::Recipe;
use crate::source::{Release, Source};

impl PracticeMachine {
    /// Makes a machine with updates waiting, as the recipe says, and blocks until it is ready (about a second).
    ///
    /// A directory that already is a practice machine is emptied first, **with everything in it**.
    ///
    /// # Errors
    ///
    /// As [`PracticeMachine::empty`]; [`SandboxError::Program`] with the words of apt-get if it fails.
    pub fn create(directory: &Path, recipe: &Recipe) -> Result<Self, SandboxError> {
        let machine = Self::bare(directory, &Mark::new(recipe.seed, &recipe.faults), recipe.seed)?;
        let sources = recipe.sources();
        machine.offer(&sources, Release::Old, recipe.seed)?;
        machine.refresh()?;
        machine.install_old(&sources)?;
        if recipe.faults.contains(&Fault::Conffile) {
            machine.edit_conffile(EDITED_CONFFILE.0, EDITED_CONFFILE.1)?;
        }
        machine.offer(&sources, Release::New, recipe.seed)?;
        machine.spoil_archive(&sources, recipe)?;
        machine.clean_cache()?;
        if recipe.faults.contains(&Fault::BadSignature) {
            // Without `--error-on` a bad signature is a warning, and the suite's old index stays: that is the fault.
            machine.succeed("apt-get", &["-q", "update"])?;
        } else {
            machine.refresh()?;
        }
        Ok(machine)
    }

    /// Publishes all sources in one of their versions, and beside them what never changes.
    fn offer(&self, sources: &[Source], release: Release, seed: u64) -> Result<(), SandboxError> {
        for suite in Suite::ALL {
            // The first release of a product is ordinary: only its update comes by the security suite.
            let here = |source: &&Source| match release {
                Release::Old => suite == Suite::Practice,
                Release::New => source.suite == suite,
            };
            let mut packages: Vec<Package> = sources
                .iter()
                .filter(here)
                .flat_map(|source| {
                    let built = source.packages(release, self.architecture(), seed);
                    built.into_iter().map(|package| match source.fault {
                        Some(fault) => afflict(fault, release, package, seed),
                        None => package,
                    })
                })
                .collect();
            if suite == Suite::Practice {
                packages.extend(catalogue::stock().packages(Release::Old, self.architecture(), seed));
            }
            self.publish(suite, &packages)?;
        }
        Ok(())
    }

    fn install_old(&self, sources: &[Source]) -> Result<(), SandboxError> {
        let stock = catalogue::stock();
        // Flushing each file to the disk is worth nothing on a machine that is made anew in a second.
        let mut arguments = vec!["-y", "-q", "-o", "DPkg::Options::=--force-unsafe-io", "install"];
        arguments.extend(sources.iter().chain([&stock]).flat_map(Source::asked_for));
        self.succeed("apt-get", &arguments)
    }

    fn spoil_archive(&self, sources: &[Source], recipe: &Recipe) -> Result<(), SandboxError> {
        for source in sources
            .iter()
            .filter(|source| source.fault == Some(Fault::BadHash))
        {
            self.archive().corrupt_package(source.suite, &source.name)?;
        }
        if recipe.faults.contains(&Fault::BadSignature) {
            self.archive().corrupt_release(Suite::Practice)?;
        }
        Ok(())
    }
}
