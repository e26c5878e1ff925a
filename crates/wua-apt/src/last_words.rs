//! What a maintainer script said before it failed, found in the terminal log of a run. For people only: nothing is
//! decided from it (rule A2).

/// At most so many lines of a script are quoted.
const MOST_LINES: usize = 3;
/// At most so many letters of each.
const MOST_LETTERS: usize = 200;

/// Lines that dpkg prints itself, by their beginnings.
const DPKGS_OWN: [&str; 14] = [
    "(Reading database ",
    "Preparing to unpack ",
    "Unpacking ",
    "Setting up ",
    "Removing ",
    "Purging configuration files for ",
    "Processing triggers for ",
    "Selecting previously unselected package ",
    "De-configuring ",
    "Replacing files in old package ",
    "dpkg: ",
    "Configuration file '",
    " ==> ",
    "Errors were encountered",
];

/// The last lines that came before dpkg gave up on `item` (a package or the path of an archive), without dpkg's own.
pub(crate) fn of_script(printed: &str, item: &str) -> Vec<String> {
    let lines: Vec<_> = printed.lines().collect();
    let gave_up = |line: &str| {
        let rest = line.strip_prefix("dpkg: error processing ");
        let rest = rest.and_then(|rest| {
            rest.strip_prefix("package ")
                .or_else(|| rest.strip_prefix("archive "))
        });
        rest.and_then(|rest| rest.strip_prefix(item))
            .is_some_and(|rest| rest.starts_with([' ', ':']))
    };
    let Some(end) = lines.iter().rposition(|line| gave_up(line)) else {
        return Vec::new();
    };
    let before = &lines[..end];
    let start = before
        .iter()
        .rposition(|line| DPKGS_OWN.iter().any(|own| line.starts_with(own)));
    let said = &before[start.map_or(0, |start| start + 1)..];
    let said: Vec<_> = said
        .iter()
        .map(|line| printable(line))
        .filter(|line| !line.is_empty())
        .collect();
    said[said.len().saturating_sub(MOST_LINES)..].to_vec()
}

/// What apt itself complained about (`E: …`), in order.
pub(crate) fn of_apt(printed: &str) -> Vec<String> {
    let errors = printed
        .lines()
        .filter_map(|line| line.strip_prefix("E: "))
        .map(printable);
    errors.take(MOST_LINES).collect()
}

/// A line without control characters (colours, carriage returns) and of a length fit for a sentence.
pub(crate) fn printable(line: &str) -> String {
    let mut letters = line.trim().chars();
    let mut text = String::new();
    while let Some(letter) = letters.next() {
        match letter {
            // An escape sequence goes to its last letter.
            '\u{1b}' => _ = letters.by_ref().find(char::is_ascii_alphabetic),
            '\t' => text.push(' '),
            letter if letter.is_control() => {}
            letter => text.push(letter),
        }
    }
    match text.char_indices().nth(MOST_LETTERS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRINTED: &str = "Preparing to unpack .../cellarkeep_1.5.0-1_amd64.deb ...\n\
        cellarkeep: the records are still in use\n\
        dpkg: error processing archive /jobs/a/cellarkeep_1.5.0-1_amd64.deb (--unpack):\n \
        new cellarkeep package pre-installation script subprocess returned error exit status 4\n\
        Setting up tidewatch (5.2-1) ...\n1\n2\n\u{1b}[31m3\u{1b}[0m\r\n4\n\
        dpkg: error processing package tidewatch (--configure):\n installed tidewatch package …\n\
        Setting up tide (1) ...\ndpkg: error processing package tide (--configure):\n\
        Errors were encountered while processing:\n tidewatch\nE: Sub-process /usr/bin/dpkg returned an error code (1)\n";

    #[test]
    fn a_script_is_quoted_with_its_last_lines() {
        assert_eq!(of_script(PRINTED, "tidewatch"), ["2", "3", "4"]);
        let archive = "/jobs/a/cellarkeep_1.5.0-1_amd64.deb";
        assert_eq!(
            of_script(PRINTED, archive),
            ["cellarkeep: the records are still in use"]
        );
    }

    #[test]
    fn a_silent_script_is_not_given_the_words_of_another() {
        assert!(of_script(PRINTED, "tide").is_empty());
        assert!(of_script(PRINTED, "unknown").is_empty());
    }

    #[test]
    fn apts_own_errors_are_found() {
        assert_eq!(
            of_apt(PRINTED),
            ["Sub-process /usr/bin/dpkg returned an error code (1)"]
        );
    }

    #[test]
    fn a_long_line_is_cut() {
        assert_eq!(printable(&"é".repeat(300)).chars().count(), MOST_LETTERS + 1);
    }
}
