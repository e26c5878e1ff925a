//! The sources whose new version shows a fault: one for each fault that lies in a package. Faults of the archive
//! itself (altered bytes, a bad signature) are made by `create` after publishing.
//!
//! The maintainer scripts run outside a chroot: every path begins with `$DPKG_ROOT`.

use crate::archive::Suite;
use crate::catalogue::product;
use crate::content::blob;
use crate::fault::Fault;
use crate::package::{Package, Script};
use crate::source::{Binary, Kind, Release, Source};

/// The configuration file that the administrator edits, and what it then says.
pub(crate) const EDITED_CONFFILE: (&str, &str) = (
    "etc/gatewarden/gatewarden.conf",
    "# gatewarden\nlisten = localhost\nlevel = 5\nallow = 192.0.2.0/24\n",
);

/// A file of another installed package, which the new version of one source claims too.
const CLAIMED_FILE: &str = "usr/bin/quayutils";

const LARGE_MEBIBYTES: u32 = 60;

/// The source that shows a fault; none for a fault of the archive.
pub(crate) fn source(fault: Fault) -> Option<Source> {
    use Suite::{Practice, Security};
    let (name, kind, suite, versions, section, summary, change) = match fault {
        Fault::FailingPostinst => (
            "tidewatch",
            Kind::Program,
            Practice,
            ["5.1-2", "5.2-1"],
            "admin",
            "warns before a disk is full",
            "Convert the table of disks.",
        ),
        Fault::FailingPreinst => (
            "cellarkeep",
            Kind::Program,
            Practice,
            ["1.4.0-1", "1.5.0-1"],
            "database",
            "keeps records for many years",
            "New format of records.",
        ),
        Fault::Slow => (
            "docfinder",
            Kind::Program,
            Practice,
            ["3.0-1", "3.1-1"],
            "doc",
            "searches in all manuals",
            "Rebuild the index of the manuals.",
        ),
        Fault::Conffile => (
            "gatewarden",
            Kind::Service,
            Practice,
            ["0.8.3-1", "0.9.0-1"],
            "net",
            "packet filter with readable rules",
            "Raise the default level to 4.",
        ),
        Fault::Reboot => (
            "corebus",
            Kind::Program,
            Security,
            ["1.14.10-1", "1.14.10-1+deb12u1"],
            "admin",
            "carries messages between services",
            "Check the length of addresses.",
        ),
        Fault::BadHash => (
            "paperlane",
            Kind::Program,
            Practice,
            ["7.0-1", "7.0.1-1"],
            "text",
            "sorts scanned paper",
            "Recognise rotated pages.",
        ),
        Fault::MissingDependency => (
            "brightshell",
            Kind::Program,
            Practice,
            ["2.6-1", "3.0-1"],
            "shells",
            "command line with colours",
            "Use the new colour library.",
        ),
        Fault::FileConflict => (
            "ferrytools",
            Kind::Program,
            Practice,
            ["1.0-4", "1.1-1"],
            "utils",
            "time tables of ferries",
            "Take over the quay utilities.",
        ),
        Fault::Large => (
            "voicepack-nordic",
            Kind::Data,
            Practice,
            ["2025.10-1", "2026.04-1"],
            "sound",
            "voices for reading aloud",
            "Record all voices anew.",
        ),
        Fault::BadSignature => return None,
    };
    Some(Source {
        cve: (suite == Security).then_some(23_114),
        binaries: vec![Binary::new(name, kind, summary)],
        fault: Some(fault),
        ..product(name, suite, versions, section, change)
    })
}

/// Puts the fault of a source into one of its packages. The old version is well.
pub(crate) fn afflict(fault: Fault, release: Release, package: Package, seed: u64) -> Package {
    if release == Release::Old {
        return package;
    }
    match fault {
        Fault::FailingPostinst => package.script(Script::Postinst, FAILING_POSTINST),
        Fault::FailingPreinst => package.script(Script::Preinst, FAILING_PREINST),
        Fault::Slow => package.script(Script::Postinst, SLOW_POSTINST),
        Fault::Conffile => package.conffile(
            EDITED_CONFFILE.0,
            "# gatewarden\nlisten = localhost\nlevel = 4\nlog = yes\n",
        ),
        Fault::Reboot => package.script(Script::Postinst, REBOOT_POSTINST),
        Fault::MissingDependency => package.depends("libglowworm4 (>= 4.0)"),
        Fault::FileConflict => package.executable(CLAIMED_FILE, "#!/bin/sh\necho \"ferrytools quay\"\n"),
        Fault::Large => package.file(
            "usr/share/voicepack-nordic/voices.bin",
            blob(seed, LARGE_MEBIBYTES),
        ),
        Fault::BadHash | Fault::BadSignature => package,
    }
}

const FAILING_POSTINST: &str = r#"
[ "$1" = configure ] || exit 0
echo "tidewatch: the table of disks has an entry that cannot be converted" >&2
exit 3
"#;

const FAILING_PREINST: &str = r#"
[ "$1" = upgrade ] || exit 0
echo "cellarkeep: the records are still in use; close them and try again" >&2
exit 4
"#;

const REBOOT_POSTINST: &str = r#"
[ "$1" = configure ] || exit 0
mkdir -p "$DPKG_ROOT/run"
echo "*** System restart required ***" > "$DPKG_ROOT/run/reboot-required"
echo corebus >> "$DPKG_ROOT/run/reboot-required.pkgs"
"#;

const SLOW_POSTINST: &str = r#"
[ "$1" = configure ] || exit 0
steps=6
if [ -r "$DPKG_ROOT/etc/wua/slow-steps" ]; then
    read -r steps < "$DPKG_ROOT/etc/wua/slow-steps" || true
    case "$steps" in ''|*[!0-9]*) steps=6 ;; esac
fi
gate="$DPKG_ROOT/etc/wua/slow-gate"
if [ -e "$gate" ]; then
    echo "docfinder: waiting for the gate"
    while [ -e "$gate" ]; do
        sleep 0.02
    done
fi
step=1
while [ "$step" -le "$steps" ]; do
    echo "docfinder: indexing manuals, step $step of $steps"
    sleep 0.5
    step=$((step + 1))
done
"#;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_of_a_package_has_a_source_of_its_own() {
        let names: std::collections::BTreeSet<String> = Fault::ALL
            .into_iter()
            .filter_map(source)
            .map(|source| source.name)
            .collect();
        assert_eq!(names.len(), Fault::ALL.len() - 1);
    }
}
