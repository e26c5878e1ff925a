//! Who is measured, and how one measurement goes.

use crate::ground::{Ground, Learned, finish};
use crate::trace::{Recording, Trace, record};
use crate::transaction::Part;
use crate::{Outcome, apt, packagekit, wua};

/// A client of the bench. wua counts as two: as it is on a new machine, and as it is later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Client {
    WuaTrained,
    WuaUntrained,
    AptGet,
    PackageKit,
}

impl Client {
    pub(crate) const ALL: [Self; 4] = [
        Self::WuaTrained,
        Self::WuaUntrained,
        Self::AptGet,
        Self::PackageKit,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::WuaTrained => "wua, after one run",
            Self::WuaUntrained => "wua, nothing learned",
            Self::AptGet => "apt-get",
            Self::PackageKit => "PackageKit",
        }
    }

    pub(crate) fn is_wua(self) -> bool {
        matches!(self, Self::WuaTrained | Self::WuaUntrained)
    }

    fn learned(self) -> Learned {
        match self {
            Self::WuaTrained => Learned::OneRun,
            _ => Learned::Nothing,
        }
    }

    /// Restores the machine, does the transaction and returns one trace for each part. Where the installation alone is
    /// measured, everything is fetched before.
    pub(crate) fn measure(self, ground: &Ground, parts: &[Part]) -> Outcome<Vec<Trace>> {
        ground.restore(self.learned())?;
        let is_fetched_before = !parts.contains(&Part::Fetch);
        if self.is_wua() {
            if is_fetched_before {
                finish(&mut ground.wua(&["download", "--all"]))?;
            }
            let recording = succeeded(record(&mut ground.wua(&["install", "--all"]))?)?;
            return Ok(parts.iter().map(|part| wua::trace(&recording, *part)).collect());
        }
        if is_fetched_before {
            finish(&mut ground.apt_get(&["--download-only", "upgrade"])?)?;
        }
        parts
            .iter()
            .map(|part| match self {
                Self::PackageKit => packagekit::measure(ground, *part),
                _ => {
                    let words: &[&str] = match part {
                        Part::Fetch => &["--download-only", "upgrade"],
                        Part::Install => &["upgrade"],
                    };
                    let recording = succeeded(record(&mut ground.apt_get(words)?)?)?;
                    Ok(apt::trace(&recording, *part))
                }
            })
            .collect()
    }
}

fn succeeded(recording: Recording) -> Outcome<Recording> {
    match recording.status.code() {
        // wua says by 10 that all is done and a restart needed.
        Some(0 | 10) => Ok(recording),
        _ => Err(format!("a measured client ended with {}", recording.status).into()),
    }
}
