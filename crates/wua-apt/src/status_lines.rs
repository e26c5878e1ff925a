//! The lines in which apt and dpkg say what they are doing: APT's `Status-Fd` (apt.md 2) and dpkg's own (apt.md 2.4).
//!
//! Parsing never fails: a line of another form is `None`, for the files also hold what a program wrote by mistake. Nothing
//! is concluded here; percentages are passed on as APT counts them, which is no progress of ours (trap T1, rule P1).

use crate::dpkg::PackageState;

/// One record of `APT::Status-Fd`.
#[derive(Clone, Debug, PartialEq)]
pub enum AptRecord {
    /// A file is being fetched (`dlstatus`).
    Download {
        /// Which one, from 1.
        item: u32,
        /// Share of all bytes, 0 to 100; a run of its own (trap T5).
        percent: f64,
        /// For people.
        text: String,
    },
    /// A dpkg process starts; APT starts one a phase.
    DpkgStarts,
    /// dpkg begins a stage of a package (`pmstatus`).
    Stage {
        /// The package, without its architecture.
        package: String,
        /// Which stage.
        stage: AptStage,
        /// Share of all stages, 0 to less than 100.
        percent: f64,
    },
    /// An item failed (`pmerror`). Final for the item, whatever stages follow (trap T2).
    Error {
        /// A package, or the path of an archive.
        item: String,
        /// Why.
        text: String,
    },
    /// A question about a configuration file, also where an option answered it (`pmconffile`).
    Conffile(ConffileQuestion),
    /// Another medium is wanted (`media-change`).
    MediaChange {
        /// Which one.
        medium: String,
        /// Where it is wanted.
        drive: String,
    },
}

/// The stages of a package as APT names them, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "APT's own words")]
pub enum AptStage {
    Preparing,
    Unpacking,
    Installing,
    PreparingToConfigure,
    Configuring,
    Installed,
    PreparingForRemoval,
    Removing,
    CompletelyRemoving,
    CompletelyRemoved,
    Other,
}

/// A question about a configuration file that was changed on the machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConffileQuestion {
    /// The file, as a path on the machine.
    pub path: String,
    /// Whether the administrator changed it.
    pub edited_here: bool,
    /// Whether the new version of the package changes it.
    pub edited_by_package: bool,
}

/// One line of `dpkg --status-fd`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DpkgRecord {
    /// Work on a package begins (`processing`).
    Processing {
        /// What is done to it.
        work: DpkgWork,
        /// The package.
        package: PackageName,
    },
    /// dpkg is recording this state of a package. Its database follows within moments.
    State {
        /// The package.
        package: PackageName,
        /// The state.
        state: PackageState,
    },
    /// An item failed.
    Error {
        /// A package, or the path of an archive.
        item: String,
        /// Why.
        text: String,
    },
    /// A question about a configuration file, also where an option answered it.
    Conffile(ConffileQuestion),
}

/// What dpkg does to a package.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "dpkg's own words")]
pub enum DpkgWork {
    Install,
    Upgrade,
    Configure,
    Trigproc,
    Disappear,
    Remove,
    Purge,
}

/// A package as dpkg names it: with its architecture only where the name alone could mean several.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PackageName {
    /// The name.
    pub name: String,
    /// The architecture, where said.
    pub architecture: Option<String>,
}

impl PackageName {
    /// Reads `NAME` or `NAME:ARCHITECTURE`.
    pub fn parse(text: &str) -> Option<Self> {
        let (name, architecture) = match text.split_once(':') {
            Some((name, architecture)) => (name, Some(architecture)),
            None => (text, None),
        };
        let plain = |part: &str| {
            !part.is_empty()
                && part
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
        };
        (plain(name) && architecture.is_none_or(plain)).then(|| Self {
            name: name.into(),
            architecture: architecture.map(Into::into),
        })
    }
}

/// Reads one line of `APT::Status-Fd`.
pub fn parse_apt(line: &str) -> Option<AptRecord> {
    // At most the first three colons split: messages hold colons.
    let mut fields = line.splitn(4, ':');
    let (kind, item) = (fields.next()?, fields.next()?);
    if kind == "media-change" {
        return Some(AptRecord::MediaChange {
            medium: item.into(),
            drive: fields.next()?.into(),
        });
    }
    // A path may hold colons, too, where the percent is still the last number before the text.
    let percent = fields
        .next()?
        .trim()
        .parse()
        .ok()
        .filter(|percent: &f64| percent.is_finite());
    let (item, percent, text) = match (percent, kind) {
        (Some(percent), _) => (item, percent, fields.next()?),
        (None, "pmerror" | "pmconffile") => item_with_colons(&line[kind.len() + 1..])?,
        (None, _) => return None,
    };
    match kind {
        "dlstatus" => Some(AptRecord::Download {
            item: item.parse().ok()?,
            percent,
            text: text.into(),
        }),
        "pmstatus" if item == "dpkg-exec" => Some(AptRecord::DpkgStarts),
        "pmstatus" => Some(AptRecord::Stage {
            package: item.into(),
            stage: stage(text),
            percent,
        }),
        "pmerror" => Some(AptRecord::Error {
            item: item.into(),
            text: text.into(),
        }),
        "pmconffile" => question(item, text).map(AptRecord::Conffile),
        _ => None,
    }
}

/// Reads one line of `dpkg --status-fd`.
pub fn parse_dpkg(line: &str) -> Option<DpkgRecord> {
    if let Some(rest) = line.strip_prefix("processing: ") {
        let (word, package) = rest.split_once(": ")?;
        let work = match word {
            "install" => DpkgWork::Install,
            "upgrade" => DpkgWork::Upgrade,
            "configure" => DpkgWork::Configure,
            "trigproc" => DpkgWork::Trigproc,
            "disappear" => DpkgWork::Disappear,
            "remove" => DpkgWork::Remove,
            "purge" => DpkgWork::Purge,
            _ => return None,
        };
        return Some(DpkgRecord::Processing {
            work,
            package: PackageName::parse(package.trim())?,
        });
    }
    let rest = line.strip_prefix("status: ")?;
    if let Some((item, text)) = rest.split_once(" : error : ") {
        return Some(DpkgRecord::Error {
            item: item.into(),
            text: text.trim().into(),
        });
    }
    if let Some((path, text)) = rest.split_once(" : conffile-prompt : ") {
        return question(path, text).map(DpkgRecord::Conffile);
    }
    let (package, state) = rest.rsplit_once(": ")?;
    Some(DpkgRecord::State {
        package: PackageName::parse(package.trim())?,
        state: state.trim().parse().ok()?,
    })
}

/// Cuts bytes into lines as they arrive; the last, unfinished one is kept for later.
#[derive(Debug, Default)]
pub struct Lines {
    unfinished: Vec<u8>,
    overlong: bool,
}

/// No status line is longer; what is, is junk and passed over.
const LONGEST_LINE: usize = 64 << 10;

impl Lines {
    /// Takes the next bytes and gives every line they finish, without its end.
    pub fn take(&mut self, bytes: &[u8], mut line: impl FnMut(&str)) {
        let mut rest = bytes;
        while let Some(end) = memchr::memchr(b'\n', rest) {
            let whole: &[u8] = if self.unfinished.is_empty() {
                &rest[..end]
            } else {
                self.unfinished.extend_from_slice(&rest[..end]);
                &self.unfinished
            };
            if !self.overlong && whole.len() <= LONGEST_LINE {
                line(&String::from_utf8_lossy(whole));
            }
            self.unfinished.clear();
            self.overlong = false;
            rest = &rest[end + 1..];
        }
        self.overlong |= self.unfinished.len() + rest.len() > LONGEST_LINE;
        if self.overlong {
            self.unfinished.clear();
        } else {
            self.unfinished.extend_from_slice(rest);
        }
    }
}

fn stage(text: &str) -> AptStage {
    const STAGES: [(&str, AptStage); 10] = [
        ("Preparing to configure ", AptStage::PreparingToConfigure),
        ("Preparing for removal of ", AptStage::PreparingForRemoval),
        ("Preparing ", AptStage::Preparing),
        ("Unpacking ", AptStage::Unpacking),
        ("Installing ", AptStage::Installing),
        ("Configuring ", AptStage::Configuring),
        ("Installed ", AptStage::Installed),
        ("Removing ", AptStage::Removing),
        ("Completely removing ", AptStage::CompletelyRemoving),
        ("Completely removed ", AptStage::CompletelyRemoved),
    ];
    STAGES
        .iter()
        .find(|(words, _)| text.starts_with(words))
        .map_or(AptStage::Other, |(_, stage)| *stage)
}

/// Takes `ITEM:PERCENT:TEXT` apart where the item holds colons: at the first percent as APT writes it, with four digits.
fn item_with_colons(rest: &str) -> Option<(&str, f64, &str)> {
    let mut from = 0;
    while let Some(colon) = rest[from..].find(':').map(|place| place + from) {
        let (item, after) = (&rest[..colon], &rest[colon + 1..]);
        if let Some((number, text)) = after.split_once(':')
            && number
                .rsplit_once('.')
                .is_some_and(|(_, digits)| digits.len() == 4)
            && let Ok(percent) = number.parse::<f64>()
            && percent.is_finite()
        {
            return Some((item, percent, text));
        }
        from = colon + 1;
    }
    None
}

/// Reads `'OLD' 'NEW' USEREDITED DISTEDITED`; paths may hold blanks, so the numbers are taken from the end.
fn question(path: &str, text: &str) -> Option<ConffileQuestion> {
    let mut words = text.split_ascii_whitespace().rev();
    let edited_by_package = words.next()? != "0";
    let edited_here = words.next()? != "0";
    path.starts_with('/').then(|| ConffileQuestion {
        path: path.into(),
        edited_here,
        edited_by_package,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(name: &str, architecture: Option<&str>) -> PackageName {
        PackageName {
            name: name.into(),
            architecture: architecture.map(Into::into),
        }
    }

    #[test]
    fn messages_keep_their_colons() {
        let record = parse_apt("pmerror:ua-fail:60.0000:reason: a: b");
        assert_eq!(
            record,
            Some(AptRecord::Error {
                item: "ua-fail".into(),
                text: "reason: a: b".into()
            })
        );
    }

    #[test]
    fn the_path_of_an_archive_may_hold_colons() {
        let record = parse_apt("pmerror:/a:b/x_1%3a2_all.deb:20.0000:no: space");
        assert_eq!(
            record,
            Some(AptRecord::Error {
                item: "/a:b/x_1%3a2_all.deb".into(),
                text: "no: space".into()
            })
        );
    }

    #[test]
    fn dpkg_names_an_architecture_only_where_it_must() {
        let package = name("libpixelry3", Some("amd64"));
        let record = parse_dpkg("processing: upgrade: libpixelry3:amd64");
        assert_eq!(
            record,
            Some(DpkgRecord::Processing {
                work: DpkgWork::Upgrade,
                package: package.clone()
            })
        );
        let record = parse_dpkg("status: libpixelry3:amd64: half-configured");
        assert_eq!(
            record,
            Some(DpkgRecord::State {
                package,
                state: PackageState::HalfConfigured
            })
        );
        let record = parse_dpkg("status: inkpot: installed");
        assert_eq!(
            record,
            Some(DpkgRecord::State {
                package: name("inkpot", None),
                state: PackageState::Installed
            })
        );
    }

    #[test]
    fn dpkg_errors_name_a_package_or_an_archive() {
        for item in ["tidewatch", "/tmp/a b/cellarkeep_1.5.0-1_amd64.deb"] {
            let record = parse_dpkg(&format!("status: {item} : error : exit status 4 : really"));
            let expected = DpkgRecord::Error {
                item: item.into(),
                text: "exit status 4 : really".into(),
            };
            assert_eq!(record, Some(expected));
        }
    }

    #[test]
    fn a_conffile_is_named_by_its_path_on_the_machine() {
        let question = ConffileQuestion {
            path: "/etc/a b.conf".into(),
            edited_here: true,
            edited_by_package: true,
        };
        let text = "'/tree/etc/a b.conf' '/tree/etc/a b.conf.dpkg-new' 1 1 ";
        let record = parse_dpkg(&format!("status: /etc/a b.conf : conffile-prompt : {text}"));
        assert_eq!(record, Some(DpkgRecord::Conffile(question.clone())));
        let record = parse_apt(&format!("pmconffile:/etc/a b.conf:40.0000:{text}"));
        assert_eq!(record, Some(AptRecord::Conffile(question)));
    }

    #[test]
    fn junk_is_no_record() {
        let junk = [
            "",
            ":",
            "::::",
            "pmstatus:",
            "pmstatus:x:y:z",
            "dlstatus:x:1.0:t",
            "pmerror:é",
            "status: ",
            "status: x",
            "status: : installed",
            "status: x y: installed",
            "processing: dance: x",
            "processing: upgrade: ",
            "pmerror:a:nan:b",
            "media-change:only",
            "pmconffile:/etc/x:1.0000:",
        ];
        for line in junk {
            assert_eq!((parse_apt(line), parse_dpkg(line)), (None, None), "{line}");
        }
    }

    #[test]
    fn lines_arrive_in_pieces() {
        let mut lines = Lines::default();
        let mut found = Vec::new();
        for piece in ["ab", "c\nde", "", "f\n\ng"] {
            lines.take(piece.as_bytes(), |line| found.push(line.to_owned()));
        }
        assert_eq!(found, ["abc", "def", ""]);
    }

    #[test]
    fn an_endless_line_is_passed_over_and_the_next_one_found() {
        let mut lines = Lines::default();
        let mut found = Vec::new();
        for _ in 0..20 {
            lines.take(&[b'x'; 10_000], |line| found.push(line.len()));
        }
        lines.take(b"x\nnext\n", |line| found.push(line.len()));
        assert_eq!(found, [4]);
    }
}
