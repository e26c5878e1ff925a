//! Debian's version order (deb-version(7)): `[epoch:]upstream[-revision]`, `~` before everything.
//!
//! Compares the texts in place, without allocating. Any text has a place in the order, so that damaged input
//! cannot break a sort; whether a text is a version at all is the question of [`is_version`].

use std::cmp::Ordering;

/// Compares two versions as dpkg does. Equal versions may be spelled differently (`1.0`, `0:1.00-0`).
pub fn compare(a: &str, b: &str) -> Ordering {
    let (a, b) = (Parts::of(a.as_bytes()), Parts::of(b.as_bytes()));
    // A missing epoch or revision counts as zero, and digits are compared as numbers of any length.
    compare_part(a.epoch, b.epoch)
        .then_with(|| compare_part(a.upstream, b.upstream))
        .then_with(|| compare_part(a.revision, b.revision))
}

/// Whether dpkg would accept `text` as a version of a package.
pub fn is_version(text: &str) -> bool {
    let parts = Parts::of(text.as_bytes());
    let has_epoch = text.contains(':');
    let epoch_is_number = !parts.epoch.is_empty() && parts.epoch.iter().all(u8::is_ascii_digit);
    let epoch_fits = std::str::from_utf8(parts.epoch).is_ok_and(|digits| digits.parse::<i32>().is_ok());
    let has_revision = memchr::memrchr(b'-', text.as_bytes()).is_some();
    (!has_epoch || (epoch_is_number && epoch_fits))
        && parts.upstream.first().is_some_and(u8::is_ascii_digit)
        && parts
            .upstream
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || b".+-~:".contains(byte))
        && (!has_revision || !parts.revision.is_empty())
        && parts
            .revision
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || b".+~".contains(byte))
}

/// The three parts of a version; a missing one is empty.
struct Parts<'a> {
    epoch: &'a [u8],
    upstream: &'a [u8],
    revision: &'a [u8],
}

impl<'a> Parts<'a> {
    fn of(text: &'a [u8]) -> Self {
        let (epoch, rest) = match memchr::memchr(b':', text) {
            Some(colon) => (&text[..colon], &text[colon + 1..]),
            None => (&text[..0], text),
        };
        let (upstream, revision) = match memchr::memrchr(b'-', rest) {
            Some(dash) => (&rest[..dash], &rest[dash + 1..]),
            None => (rest, &rest[..0]),
        };
        Self {
            epoch,
            upstream,
            revision,
        }
    }
}

/// Compares alternating runs of other characters (by [`weight`]) and of digits (as numbers).
fn compare_part(mut a: &[u8], mut b: &[u8]) -> Ordering {
    loop {
        loop {
            let (left, right) = (weight(a.first()), weight(b.first()));
            match left.cmp(&right) {
                Ordering::Equal if left == DIGIT_OR_END => break,
                Ordering::Equal => (a, b) = (&a[1..], &b[1..]),
                unequal => return unequal,
            }
        }
        let (left, right) = (take_number(&mut a), take_number(&mut b));
        let order = left.len().cmp(&right.len()).then_with(|| left.cmp(right));
        if order.is_ne() || (a.is_empty() && b.is_empty()) {
            return order;
        }
    }
}

const DIGIT_OR_END: i32 = 0;

/// The place of a character that is no digit: `~` before the end, the end before letters, letters before the rest.
fn weight(byte: Option<&u8>) -> i32 {
    match byte {
        None => DIGIT_OR_END,
        Some(byte) if byte.is_ascii_digit() => DIGIT_OR_END,
        Some(b'~') => -1,
        Some(byte) if byte.is_ascii_alphabetic() => i32::from(*byte),
        Some(byte) => i32::from(*byte) + 256,
    }
}

/// Takes the digits at the front, without leading zeros.
fn take_number<'a>(text: &mut &'a [u8]) -> &'a [u8] {
    let length = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (digits, rest) = text.split_at(length);
    *text = rest;
    let zeros = digits.iter().take_while(|byte| **byte == b'0').count();
    &digits[zeros..]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(smaller: &str, larger: &str) {
        assert_eq!(compare(smaller, larger), Ordering::Less, "{smaller} < {larger}");
        assert_eq!(
            compare(larger, smaller),
            Ordering::Greater,
            "{larger} > {smaller}"
        );
    }

    #[test]
    fn an_epoch_beats_everything() {
        check("99999", "1:0");
        check("9:1", "10:0");
    }

    #[test]
    fn a_tilde_comes_before_the_end() {
        check("1.0~~", "1.0~~a");
        check("1.0~~a", "1.0~");
        check("1.0~rc1-1", "1.0-1");
        check("1.0-1~bpo12+1", "1.0-1");
    }

    #[test]
    fn letters_come_before_other_characters_and_numbers_count_as_numbers() {
        check("1.0a", "1.0+");
        check("1.9", "1.10");
        check("1.2-9", "1.2-10");
        check("18446744073709551616", "18446744073709551617");
    }

    #[test]
    fn one_version_may_have_several_spellings() {
        for (a, b) in [("1.0", "0:1.0"), ("1.0", "1.0-0"), ("1.01", "1.1"), ("", "0")] {
            assert_eq!(compare(a, b), Ordering::Equal, "{a} = {b}");
        }
    }

    #[test]
    fn what_is_no_version_is_known() {
        for good in ["1", "1:2.3-4", "0", "1.0~rc1+b2", "2:3:4-5-6", "3-a"] {
            assert!(is_version(good), "{good}");
        }
        for bad in [
            "",
            "a1",
            ":1",
            "x:1",
            "1:",
            "1-",
            "1 2",
            "1_2",
            "99999999999:1",
            "1-a:b",
        ] {
            assert!(!is_version(bad), "{bad}");
        }
    }

    /// Versions that often agree in their beginning, so that every rule is reached.
    fn version() -> impl Strategy<Value = String> {
        let part = "[0-9]{1,2}([.+~a-zA-Z-]{0,2}[0-9~a]{0,2}){0,3}";
        let revision = proptest::option::of("[0-9a+.~]{1,4}");
        (proptest::option::of(0u8..3), part, revision).prop_map(|(epoch, upstream, revision)| {
            let epoch = epoch.map(|epoch| format!("{epoch}:")).unwrap_or_default();
            let revision = revision
                .map(|revision| format!("-{revision}"))
                .unwrap_or_default();
            format!("{epoch}{upstream}{revision}")
        })
    }

    proptest! {
        #[test]
        fn the_order_is_total(a in version(), b in version(), c in version()) {
            prop_assert_eq!(compare(&a, &a), Ordering::Equal);
            prop_assert_eq!(compare(&a, &b), compare(&b, &a).reverse());
            let mut sorted = [&a, &b, &c];
            sorted.sort_by(|x, y| compare(x, y));
            prop_assert!(compare(sorted[0], sorted[2]).is_le());
        }

        #[test]
        fn any_text_has_a_place_in_the_order(a in ".{0,12}", b in ".{0,12}") {
            prop_assert_eq!(compare(&a, &b), compare(&b, &a).reverse());
        }
    }
}
