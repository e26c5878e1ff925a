//! The texts that describe a suite: `Packages` (one paragraph an archive) and `Release` (the sums of the indexes).
//! Pure: nothing is read or written here.

use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

use crate::package::Package;

/// The paragraph of one archive in `Packages`, with the empty line that ends it.
pub(crate) fn paragraph(package: &Package, path: &str, deb: &[u8]) -> String {
    let phased = package
        .phased
        .map(|percent| format!("Phased-Update-Percentage: {percent}\n"));
    format!(
        "{}Filename: {path}\nSize: {}\nSHA256: {}\n{}\n",
        package.control(),
        deb.len(),
        hex::encode(Sha256::digest(deb)),
        phased.unwrap_or_default(),
    )
}

/// The `Release` of a suite whose label is given, over the indexes named with their paths. Without a last line end:
/// the cleartext signature framework adds it.
pub(crate) fn release(
    suite: &str,
    label: &str,
    architecture: &str,
    date: Timestamp,
    indexes: &[(String, &[u8])],
) -> String {
    let date = date.strftime("%a, %d %b %Y %H:%M:%S UTC");
    let mut text = format!(
        "Origin: Practice\nLabel: {label}\nSuite: {suite}\nCodename: {suite}\nDate: {date}\n\
         Acquire-By-Hash: no\nArchitectures: {architecture}\nComponents: main\n\
         Description: Practice packages of wua\nSHA256:"
    );
    for (path, bytes) in indexes {
        text.push_str(&format!(
            "\n {} {} {path}",
            hex::encode(Sha256::digest(bytes)),
            bytes.len()
        ));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_names_its_suite_and_the_sums_of_its_indexes() {
        let indexes = [("main/binary-amd64/Packages".to_string(), &b"abc"[..])];
        let text = release("practice", "Practice", "amd64", Timestamp::UNIX_EPOCH, &indexes);
        assert_eq!(
            text,
            "Origin: Practice\nLabel: Practice\nSuite: practice\nCodename: practice\n\
             Date: Thu, 01 Jan 1970 00:00:00 UTC\nAcquire-By-Hash: no\nArchitectures: amd64\nComponents: main\n\
             Description: Practice packages of wua\nSHA256:\n \
             ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad 3 main/binary-amd64/Packages"
        );
    }

    #[test]
    fn a_phased_version_says_so_in_the_index_only() {
        let package = Package::new("inkpot", "4.2-1").phased(10);
        let text = paragraph(&package, "pool/inkpot.deb", b"abc");
        assert!(
            text.contains("\nSize: 3\n") && text.ends_with("\nPhased-Update-Percentage: 10\n\n"),
            "{text}"
        );
        assert!(!package.control().contains("Phased"));
    }
}
