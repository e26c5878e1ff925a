//! Result codes: [`HResult`] and what is known about each of them.
//!
//! The codes, their constants and their explanations come from `codes.tsv`, which `build.rs` turns into
//! Rust. Numbers are those of the Windows Update Agent API (wua.md section 7), so that programs written
//! for it understand our results. Which code fits which failure is decided where the failure happens.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

include!(concat!(env!("OUT_DIR"), "/codes.rs"));

/// A result code as programs of the Windows Update Agent API know it; every number is one.
///
/// Bit 31 set means failure. Shown, read and serialised as `0x8024200B`; see [`FromStr`](Self::from_str)
/// for the other forms it is read from.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HResult(pub u32);

/// What is known about one result code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CodeInfo {
    /// The code itself.
    pub value: HResult,
    /// Its name in the API, such as `WU_E_UH_INSTALLERFAILURE`.
    pub name: &'static str,
    /// What it says, in a few words without a full stop.
    pub meaning: &'static str,
    /// The likely cause on a Debian or Ubuntu machine, one sentence; only for codes that people meet.
    pub cause: Option<&'static str>,
    /// What to do next, one sentence; there exactly when `cause` is.
    pub next_step: Option<&'static str>,
}

impl HResult {
    /// Every code of the table, by rising value.
    pub const ALL: &'static [CodeInfo] = CODES;

    /// The code in the form COM and Windows scripts use: `-2145124302` is `0x80240032`.
    pub const fn from_i32(value: i32) -> Self {
        Self(value.cast_unsigned())
    }

    /// The inverse of [`from_i32`](Self::from_i32).
    pub const fn as_i32(self) -> i32 {
        self.0.cast_signed()
    }

    /// Whether the top bit is clear. Success codes other than `S_OK` carry a remark, no fault.
    pub const fn is_success(self) -> bool {
        !self.is_failure()
    }

    /// Whether the top bit is set.
    pub const fn is_failure(self) -> bool {
        self.0 & 0x8000_0000 != 0
    }

    /// Who defined the code: bits 16 to 26; 36 (0x24) is the update agent, 7 a system error.
    pub const fn facility(self) -> u16 {
        (self.0 >> 16) as u16 & 0x7FF
    }

    /// The low 16 bits.
    pub const fn code(self) -> u16 {
        self.0 as u16
    }

    /// What the table says about this code.
    pub fn info(self) -> Option<&'static CodeInfo> {
        let place = CODES.binary_search_by_key(&self, |info| info.value).ok()?;
        CODES.get(place)
    }

    /// The API's name of the code, such as `WU_E_NO_UPDATE`.
    pub fn name(self) -> Option<&'static str> {
        self.info().map(|info| info.name)
    }

    /// What the code says, in a few words.
    pub fn meaning(self) -> Option<&'static str> {
        self.info().map(|info| info.meaning)
    }

    /// The likely cause, a sentence for the machine's administrator; only for codes that people meet.
    pub fn cause(self) -> Option<&'static str> {
        self.info().and_then(|info| info.cause)
    }

    /// What to do next, a sentence for the machine's administrator; there exactly when a cause is.
    pub fn next_step(self) -> Option<&'static str> {
        self.info().and_then(|info| info.next_step)
    }
}

impl fmt::Display for HResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("0x{:08X}", self.0))
    }
}

impl fmt::Debug for HResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => write!(f, "HResult(0x{:08X} {name})", self.0),
            None => write!(f, "HResult(0x{:08X})", self.0),
        }
    }
}

/// The text is no result code in any of the forms that [`HResult`] reads.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is neither a result code such as 0x80240024 or -2145124316 nor the name of one")]
pub struct ParseHResultError {
    text: String,
}

impl FromStr for HResult {
    type Err = ParseHResultError;

    /// Reads a name of the table in any case, a decimal number with its sign, or up to eight
    /// hexadecimal digits with or without `0x`. Digits alone are hexadecimal, as people copy `80240024`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let trimmed = text.trim();
        let number = if trimmed.starts_with(['-', '+']) {
            trimmed.parse().ok().map(Self::from_i32)
        } else {
            hexadecimal(trimmed).map(Self)
        };
        number
            .or_else(|| named(trimmed))
            .ok_or_else(|| ParseHResultError {
                text: text.to_owned(),
            })
    }
}

fn hexadecimal(text: &str) -> Option<u32> {
    let digits = text
        .strip_prefix("0x")
        .or_else(|| text.strip_prefix("0X"))
        .unwrap_or(text);
    // `from_str_radix` would also take a sign.
    let plain = digits.len() <= 8 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    u32::from_str_radix(digits, 16).ok().filter(|_| plain)
}

fn named(text: &str) -> Option<HResult> {
    CODES
        .iter()
        .find(|info| info.name.eq_ignore_ascii_case(text))
        .map(|info| info.value)
}

impl Serialize for HResult {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for HResult {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reads(text: &str) -> Option<HResult> {
        text.parse().ok()
    }

    #[test]
    fn a_code_is_shown_in_eight_digits() {
        assert_eq!(HResult::WU_E_UH_INSTALLERFAILURE.to_string(), "0x8024200B");
        assert_eq!(HResult::S_OK.to_string(), "0x00000000");
        assert_eq!(format!("[{:>12}]", HResult::WU_S_UPDATE_ERROR), "[  0x00240003]");
        assert_eq!(
            format!("{:?}", HResult::WU_E_NO_UPDATE),
            "HResult(0x80240024 WU_E_NO_UPDATE)"
        );
    }

    #[test]
    fn all_the_forms_people_have_are_read() {
        let expected = Some(HResult::WU_E_INVALID_CRITERIA);
        for text in [
            "0x80240032",
            "0X80240032",
            " 80240032 ",
            "-2145124302",
            "WU_E_INVALID_CRITERIA",
            "wu_e_invalid_criteria",
        ] {
            assert_eq!(reads(text), expected, "{text}");
        }
        assert_eq!(reads("0x8024200b"), Some(HResult::WU_E_UH_INSTALLERFAILURE));
        assert_eq!(reads("0"), Some(HResult::S_OK));
        assert_eq!(reads("+2359302"), Some(HResult::WU_S_ALREADY_INSTALLED));
        assert_eq!(reads("e_fail"), Some(HResult::E_FAIL));
    }

    #[test]
    fn other_texts_are_refused() {
        for text in [
            "",
            "0x",
            "-",
            "+-1",
            "0x-1",
            "0x+1",
            "0x180240032",
            "-2145124302222",
            "WU_E_",
            "nothing",
            "é",
        ] {
            assert_eq!(reads(text), None, "{text}");
        }
    }

    #[test]
    fn the_sign_bit_survives_both_ways() {
        assert_eq!(
            HResult::from_i32(-2145116147),
            HResult::WU_E_UH_NEEDANOTHERDOWNLOAD
        );
        assert_eq!(HResult::WU_E_INVALID_CRITERIA.as_i32(), -2145124302);
    }

    #[test]
    fn a_code_falls_into_its_parts() {
        assert!(HResult::WU_E_ALL_UPDATES_FAILED.is_failure());
        assert!(HResult::WU_S_UPDATE_ERROR.is_success());
        assert_eq!(HResult::WU_E_UH_INSTALLERFAILURE.facility(), 0x24);
        assert_eq!(HResult::WU_E_UH_INSTALLERFAILURE.code(), 0x200B);
        assert_eq!(HResult::ERROR_DISK_FULL.facility(), 7);
        assert_eq!(HResult::ERROR_DISK_FULL.code(), 112);
    }

    #[test]
    fn serde_uses_the_shown_form() {
        let json = serde_json::to_string(&HResult::WU_E_NO_UPDATE).unwrap();
        assert_eq!(json, "\"0x80240024\"");
        assert_eq!(
            serde_json::from_str::<HResult>("\"0X8024200b\"").unwrap(),
            HResult::WU_E_UH_INSTALLERFAILURE
        );
        assert!(serde_json::from_str::<HResult>("\"no code\"").is_err());
        assert!(serde_json::from_str::<HResult>("5").is_err());
    }

    #[test]
    fn the_table_holds_all_codes_of_the_update_agent() {
        let own = HResult::ALL
            .iter()
            .filter(|info| info.name.starts_with("WU_"))
            .count();
        assert_eq!(own, 468);
        assert_eq!(HResult::ALL.len() - own, 24);
    }

    #[test]
    fn each_name_and_value_lead_to_each_other() {
        for info in HResult::ALL {
            assert_eq!(info.value.info(), Some(info));
            assert_eq!(reads(info.name), Some(info.value));
            let succeeds = info.name.starts_with("S_") || info.name.starts_with("WU_S_");
            assert_eq!(info.value.is_success(), succeeds, "{info:?}");
        }
        assert_eq!(HResult(0x8024_0FFE).info(), None);
    }

    #[test]
    fn advice_is_made_of_sentences() {
        let advised: Vec<_> = HResult::ALL
            .iter()
            .filter_map(|info| info.cause.zip(info.next_step))
            .collect();
        assert!(advised.len() >= 40, "{}", advised.len());
        for text in advised
            .into_iter()
            .flat_map(|(cause, next_step)| [cause, next_step])
        {
            assert!(
                text.ends_with('.') && text.starts_with(char::is_uppercase),
                "{text}"
            );
        }
    }
}
