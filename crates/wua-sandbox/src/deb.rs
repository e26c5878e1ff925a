//! Builds the bytes of a `.deb`: an `ar` of three members, two of them `tar`s. All times, owners and modes are fixed, so
//! a description always gives the same bytes. Checking the description is left to `package`.

use std::collections::BTreeSet;
use std::io::{self, Write};

use flate2::Compression;
use flate2::write::GzEncoder;
use md5::Digest as _;
use tar::{EntryType, Header};

use crate::error::SandboxError;
use crate::package::Package;

/// The time of every file in every package: 2 March 2026, 00:00 UTC.
const MODIFIED: u64 = 1_772_409_600;

/// Above this size files are stored as they are: squeezing tens of megabytes would take seconds for no use.
const STORE_ABOVE: usize = 4 << 20;

/// Builds the archive of a package that was checked.
pub(crate) fn build(package: &Package) -> Result<Vec<u8>, SandboxError> {
    assemble(package).map_err(|error| SandboxError::Package {
        name: package.name.clone(),
        reason: error.to_string(),
    })
}

fn assemble(package: &Package) -> io::Result<Vec<u8>> {
    let control = gzip(&control_member(package)?);
    let data = data_member(package)?;
    let (data_name, data) = match data.len() > STORE_ABOVE {
        true => ("data.tar", data),
        false => ("data.tar.gz", gzip(&data)),
    };
    let mut archive = ar::Builder::new(Vec::with_capacity(data.len() + control.len() + 256));
    let members = [
        ("debian-binary", &b"2.0\n"[..]),
        ("control.tar.gz", &control[..]),
        (data_name, &data[..]),
    ];
    for (name, bytes) in members {
        let mut header = ar::Header::new(name.into(), bytes.len() as u64);
        header.set_mode(0o100_644);
        header.set_mtime(MODIFIED);
        archive.append(&header, bytes)?;
    }
    archive.into_inner()
}

fn control_member(package: &Package) -> io::Result<Vec<u8>> {
    let mut archive = tar::Builder::new(Vec::new());
    append_root(&mut archive)?;
    append(&mut archive, "control", package.control().as_bytes(), 0o644)?;
    let (conffiles, others): (Vec<_>, Vec<_>) = package.files.iter().partition(|(_, file)| file.conffile);
    let conffiles: String = conffiles.iter().map(|(path, _)| format!("/{path}\n")).collect();
    let sums: String = others
        .iter()
        .map(|(path, file)| format!("{}  {path}\n", hex::encode(md5::Md5::digest(&file.content))))
        .collect();
    let triggers: String = package.triggers.iter().map(|line| format!("{line}\n")).collect();
    for (name, text) in [
        ("conffiles", conffiles),
        ("md5sums", sums),
        ("triggers", triggers),
    ] {
        if !text.is_empty() {
            append(&mut archive, name, text.as_bytes(), 0o644)?;
        }
    }
    for (script, text) in &package.scripts {
        append(&mut archive, script.name(), text.as_bytes(), 0o755)?;
    }
    archive.into_inner()
}

fn data_member(package: &Package) -> io::Result<Vec<u8>> {
    let size: usize = package.files.values().map(|file| file.content.len() + 1024).sum();
    let mut archive = tar::Builder::new(Vec::with_capacity(size + 4096));
    // A directory comes before what is in it: its path is a prefix, so it sorts first.
    append_root(&mut archive)?;
    for directory in directories(package) {
        let mut header = header(EntryType::Directory, 0, 0o755);
        archive.append_data(&mut header, format!("{directory}/"), io::empty())?;
    }
    for (path, file) in &package.files {
        let mode = if file.executable { 0o755 } else { 0o644 };
        append(&mut archive, path, &file.content, mode)?;
    }
    archive.into_inner()
}

/// Every directory above one of the package's files, without the root.
pub(crate) fn directories(package: &Package) -> BTreeSet<&str> {
    let parents = |path: &'_ str| path.match_indices('/').map(|(end, _)| end).collect::<Vec<_>>();
    package
        .files
        .keys()
        .flat_map(|path| parents(path).into_iter().map(move |end| &path[..end]))
        .collect()
}

fn append_root(archive: &mut tar::Builder<Vec<u8>>) -> io::Result<()> {
    let mut header = header(EntryType::Directory, 0, 0o755);
    header.as_old_mut().name[..2].copy_from_slice(b"./");
    header.set_cksum();
    archive.append(&header, io::empty())
}

fn append(archive: &mut tar::Builder<Vec<u8>>, path: &str, content: &[u8], mode: u32) -> io::Result<()> {
    archive.append_data(
        &mut header(EntryType::Regular, content.len() as u64, mode),
        path,
        content,
    )
}

fn header(kind: EntryType, size: u64, mode: u32) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_size(size);
    header.set_mode(mode);
    header.set_mtime(MODIFIED);
    header.set_uid(0);
    header.set_gid(0);
    header
}

/// Compresses without a name and a time, so equal bytes stay equal.
pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(bytes.len() / 2 + 64), Compression::new(4));
    encoder.write_all(bytes).expect("writing to memory does not fail");
    encoder.finish().expect("writing to memory does not fail")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::package::Script;

    #[test]
    fn an_archive_has_dpkgs_members_in_dpkgs_order() {
        let deb = Package::new("inkpot", "4.2-1")
            .file("usr/bin/inkpot", "x")
            .to_deb()
            .unwrap();
        let mut archive = ar::Archive::new(&deb[..]);
        let mut names = Vec::new();
        while let Some(entry) = archive.next_entry() {
            names.push(String::from_utf8(entry.unwrap().header().identifier().to_vec()).unwrap());
        }
        assert_eq!(names, ["debian-binary", "control.tar.gz", "data.tar.gz"]);
    }

    #[test]
    fn control_data_names_sums_conffiles_and_scripts() {
        let package = Package::new("inkpot", "4.2-1")
            .file("usr/share/inkpot/a", "abc")
            .conffile("etc/inkpot.conf", "tab=4\n")
            .trigger("interest /usr/share/inkpot")
            .script(Script::Postinst, "true");
        let bytes = control_member(&package).unwrap();
        let mut found = std::collections::BTreeMap::new();
        for entry in tar::Archive::new(&bytes[..]).entries().unwrap() {
            let mut entry = entry.unwrap();
            let path = entry.path().unwrap().display().to_string();
            let mut text = String::new();
            io::Read::read_to_string(&mut entry, &mut text).unwrap();
            found.insert(path, text);
        }
        assert_eq!(found["conffiles"], "/etc/inkpot.conf\n");
        assert_eq!(
            found["md5sums"],
            "900150983cd24fb0d6963f7d28e17f72  usr/share/inkpot/a\n"
        );
        assert_eq!(found["triggers"], "interest /usr/share/inkpot\n");
        assert_eq!(found["postinst"], "#!/bin/sh\nset -e\ntrue\n");
        assert_eq!(
            directories(&package).into_iter().collect::<Vec<_>>(),
            ["etc", "usr", "usr/share", "usr/share/inkpot"]
        );
    }

    #[test]
    fn equal_descriptions_give_equal_bytes() {
        let package = || {
            Package::new("inkpot", "4.2-1")
                .file("usr/bin/inkpot", "x")
                .changelog("inkpot (4.2-1)")
        };
        assert_eq!(package().to_deb().unwrap(), package().to_deb().unwrap());
    }
}
