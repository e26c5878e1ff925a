//! APT's configuration, as `apt-config dump` prints it: the few values that decide about candidates.

use std::collections::HashMap;
use std::path::PathBuf;

/// The configuration of one tree, names without regard to case.
#[derive(Clone, Debug, Default)]
pub(crate) struct AptConfig {
    values: HashMap<String, String>,
}

impl AptConfig {
    /// Reads lines of the form `Name "value";`; anything else, elements of lists included, is passed over.
    pub(crate) fn parse(dump: &str) -> Self {
        let mut config = Self::default();
        for line in dump.lines() {
            let Some((name, value)) = line
                .split_once(" \"")
                .and_then(|(name, rest)| Some((name, rest.strip_suffix("\";")?)))
            else {
                continue;
            };
            config.values.insert(name.to_ascii_lowercase(), value.to_owned());
        }
        config
    }

    /// A value; empty ones count as missing.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.values
            .get(&name.to_ascii_lowercase())
            .map(String::as_str)
            .filter(|value| !value.is_empty())
    }

    /// A truth value in any of APT's spellings.
    pub(crate) fn flag(&self, name: &str) -> Option<bool> {
        self.get(name).and_then(parse_flag)
    }

    /// The path that `name` stands for: a relative one continues that of its parent, up to an absolute one.
    pub(crate) fn path(&self, name: &str) -> Option<PathBuf> {
        let mut path = PathBuf::from(self.get(name)?);
        let mut item = name;
        while !path.is_absolute() {
            item = item.rsplit_once("::")?.0;
            path = PathBuf::from(self.get(item).unwrap_or_default()).join(path);
        }
        match self.get("RootDir") {
            Some(root) => Some(PathBuf::from(root).join(path.strip_prefix("/").unwrap_or(&path))),
            None => Some(path),
        }
    }
}

/// A truth value as APT reads it, in its configuration and in Release files.
pub(super) fn parse_flag(text: &str) -> Option<bool> {
    match text.trim().to_ascii_lowercase().as_str() {
        "yes" | "true" | "with" | "on" | "enable" => Some(true),
        "no" | "false" | "without" | "off" | "disable" => Some(false),
        number => number.parse::<i64>().ok().map(|number| number != 0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_relative_path_continues_its_parents() {
        let dump = "Dir \"/tree/\";\nDir::Etc \"etc/apt\";\nDir::Etc::preferences \"preferences\";\n\
                    Dir::State::status \"/elsewhere\";\nDir::State \"\";\n";
        let config = AptConfig::parse(dump);
        assert_eq!(
            config.path("dir::etc::Preferences"),
            Some("/tree/etc/apt/preferences".into())
        );
        assert_eq!(config.path("Dir::State::status"), Some("/elsewhere".into()));
        assert_eq!(config.path("Dir::State"), None);
    }

    #[test]
    fn flags_and_quotes_are_read() {
        let config = AptConfig::parse("A \"a \"quoted\" b\";\nL \"\";\nF \"Yes\";\nN \"0\";\njunk\n");
        assert_eq!((config.get("a"), config.get("L")), (Some("a \"quoted\" b"), None));
        assert_eq!(
            (config.flag("F"), config.flag("N"), config.flag("A")),
            (Some(true), Some(false), None)
        );
    }
}
