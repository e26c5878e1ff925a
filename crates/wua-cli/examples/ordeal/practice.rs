//! The ordeal's practice machine: ten packages with scripts, a trigger, a configuration file and a new dependency, in two
//! versions.

use std::path::Path;
use std::process::Command;

use wua_sandbox::{Package, PracticeMachine, Script, Suite};

use crate::Outcome;

/// How many packages are upgraded; one more comes new with the upgrade.
const PACKAGES: usize = 10;
const EXTRA: &str = "ordeal-extra";

/// Where scripts note that another one of the same package runs.
pub(crate) const DOUBLED: &str = "var/lib/ordeal-doubled";

/// Makes the machine at `root`: the old versions installed, the new ones offered.
pub(crate) fn make(root: &Path) -> Outcome<()> {
    let machine = PracticeMachine::empty(root)?;
    machine.publish(Suite::Practice, &packages("1"))?;
    machine.refresh()?;
    let names: Vec<String> = (0..PACKAGES).map(|number| format!("ordeal-{number}")).collect();
    machine.install(&names.iter().map(String::as_str).collect::<Vec<_>>())?;
    machine.publish(Suite::Practice, &packages("2"))?;
    machine.refresh()?;
    Ok(())
}

/// A plain apt-get that works on it.
pub(crate) fn apt_get(root: &Path) -> Outcome<Command> {
    Ok(PracticeMachine::open(root)?.command("apt-get"))
}

/// A plain dpkg that works on it.
pub(crate) fn dpkg(root: &Path) -> Outcome<Command> {
    let mut command = PracticeMachine::open(root)?.command("dpkg");
    command.arg(format!("--root={}", root.display())).args([
        "--force-not-root",
        "--force-script-chrootless",
        "--force-bad-path",
    ]);
    Ok(command)
}

/// All packages of one version. Scripts take their time, and note when two of one package run at once.
fn packages(version: &str) -> Vec<Package> {
    let script = |name: &str| {
        format!(
            "mark=\"$DPKG_ROOT/var/lib/ordeal/{name}\"\nmkdir -p \"$DPKG_ROOT/var/lib/ordeal\"\n\
             if other=$(cat \"$mark\" 2>/dev/null) && [ -n \"$other\" ] && kill -0 \"$other\" 2>/dev/null &&\n\
             grep -q {name} \"/proc/$other/cmdline\" 2>/dev/null; then echo {name} >>\"$DPKG_ROOT/{DOUBLED}\"; fi\n\
             echo $$ >\"$mark\"\nsleep 0.04\nrm -f \"$mark\"\n"
        )
    };
    let mut packages: Vec<Package> = (0..PACKAGES)
        .map(|number| {
            let name = format!("ordeal-{number}");
            let mut package = Package::new(&name, version).script(Script::Postinst, script(&name));
            for file in 0..8 {
                package = package.file(
                    format!("usr/share/{name}/file{file}"),
                    content(&name, version, file),
                );
            }
            match number {
                1 => package.script(Script::Preinst, script(&name)),
                2 => package.conffile("etc/ordeal-2.conf", format!("version = {version}\n")),
                3 => package.trigger("interest-noawait /usr/share/ordeal-4"),
                5 => package.depends(format!("ordeal-6 (= {version})")),
                7 if version == "2" => package.depends(EXTRA),
                8 => package.script(Script::Prerm, script(&name)),
                _ => package,
            }
        })
        .collect();
    if version == "2" {
        packages.push(
            Package::new(EXTRA, version).file(format!("usr/share/{EXTRA}/file0"), content(EXTRA, version, 0)),
        );
    }
    packages
}

/// What file number `file` of a package holds.
fn content(name: &str, version: &str, file: usize) -> String {
    format!("{name} {version} {file}\n").repeat(300)
}
