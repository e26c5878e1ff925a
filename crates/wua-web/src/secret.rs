//! Texts that cannot be guessed.

use uuid::Uuid;

/// A random text that cannot be guessed: 244 bits of the kernel's randomness, as 64 digits.
pub(crate) struct Secret(String);

impl Secret {
    pub(crate) fn new() -> Self {
        Self(format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple()))
    }

    /// For whoever may know it.
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }

    /// Compares in a time that does not depend on where the texts differ.
    pub(crate) fn is(&self, other: &[u8]) -> bool {
        let own = self.0.as_bytes();
        let difference = std::iter::zip(own, other).fold(0, |all, (one, other)| all | (one ^ other));
        own.len() == other.len() && std::hint::black_box(difference) == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_long_and_no_two_are_the_same() {
        let (one, other) = (Secret::new(), Secret::new());
        assert_eq!(one.0.len(), 64);
        assert!(one.is(one.0.as_bytes()));
        assert!(!one.is(other.0.as_bytes()));
        assert!(!one.is(b"") && !one.is(&one.0.as_bytes()[..63]));
        assert!(!one.is(format!("{}0", one.0).as_bytes()));
    }
}
