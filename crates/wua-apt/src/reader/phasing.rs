//! Phased updates: whether this machine's turn has come (apt_preferences(5), "Phased Updates").
//!
//! APT draws a number from 0 to 100 by source name, source version and machine id, with the C++ standard
//! library's generators; the machine gets the update once the percentage reaches that number. The draw is
//! repeated here bit for bit (checked against APT in the tests). Inside a chroot APT leaves nothing out, which
//! cannot be seen from here: the confirming run of APT has the last word.

use super::apt_config::AptConfig;

/// How a candidate stands towards this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Phasing {
    /// Offered to every machine.
    Complete,
    /// Offered to a part of all machines, this one among them.
    Reached,
    /// Offered to a part of all machines, this one not yet: APT keeps it back.
    Deferred,
}

/// What decides beside the version itself.
#[derive(Clone, Debug, Default)]
pub(super) struct PhasingPolicy {
    always: bool,
    never: bool,
    machine_id: String,
}

impl PhasingPolicy {
    /// `machine_id_file` is the content of the tree's machine id file.
    pub(super) fn new(config: &AptConfig, machine_id_file: &str) -> Self {
        // update-manager's older names hold where APT's own are not given.
        let flag = |name: &str| {
            config
                .flag(&format!("APT::Get::{name}"))
                .or_else(|| config.flag(&format!("Update-Manager::{name}")))
                .unwrap_or(false)
        };
        let machine_id = config
            .get("APT::Machine-ID")
            .unwrap_or(machine_id_file.lines().next().unwrap_or_default());
        Self {
            always: flag("Always-Include-Phased-Updates"),
            never: flag("Never-Include-Phased-Updates"),
            machine_id: machine_id.trim().to_owned(),
        }
    }

    /// Decides about one candidate. `skips_security`: a version between the installed one and this one came from a
    /// security archive, so that nothing is deferred.
    pub(super) fn decide(
        &self,
        percentage: u8,
        skips_security: bool,
        source: &str,
        version: &str,
    ) -> Phasing {
        if percentage >= 100 {
            return Phasing::Complete;
        }
        if skips_security || self.always {
            return Phasing::Reached;
        }
        if self.never {
            return Phasing::Deferred;
        }
        if self.machine_id.is_empty() {
            return Phasing::Reached;
        }
        let seed = format!("{source}-{version}-{}", self.machine_id);
        if draw(seed.as_bytes()) > u32::from(percentage) {
            Phasing::Deferred
        } else {
            Phasing::Reached
        }
    }
}

/// A number from 0 to 100: `std::seed_seq` over the text, `std::minstd_rand`, `std::uniform_int_distribution`.
fn draw(text: &[u8]) -> u32 {
    const MODULUS: u64 = 2_147_483_647;
    const MULTIPLIER: u64 = 48_271;
    const BUCKETS: u64 = 101;
    // The generator gives 1 to MODULUS-1; what does not fill whole buckets is drawn again.
    const BUCKET: u64 = (MODULUS - 2) / BUCKETS;

    let mut state = u64::from(seed_words(text)[3]) % MODULUS;
    if state == 0 {
        state = 1;
    }
    loop {
        state = state * MULTIPLIER % MODULUS;
        let number = state - 1;
        if number < BUCKET * BUCKETS {
            return (number / BUCKET) as u32;
        }
    }
}

/// The four words that `std::seed_seq` makes of the text (C++ standard, rand.util.seedseq, with n = 4).
fn seed_words(text: &[u8]) -> [u32; 4] {
    const N: usize = 4;
    let mix = |word: u32| word ^ (word >> 27);
    let mut words = [0x8b8b_8b8b_u32; N];
    let rounds = (text.len() + 1).max(N);
    for k in 0..rounds {
        let (here, next, after, before) = (k % N, (k + 1) % N, (k + 2) % N, (k + N - 1) % N);
        let first = mix(words[here] ^ words[next] ^ words[before]).wrapping_mul(1_664_525);
        let added = match k {
            0 => text.len() as u32,
            _ if k <= text.len() => here as u32 + u32::from(text[k - 1]),
            _ => here as u32,
        };
        let second = first.wrapping_add(added);
        words[next] = words[next].wrapping_add(first);
        words[after] = words[after].wrapping_add(second);
        words[here] = second;
    }
    for k in rounds..rounds + N {
        let (here, next, after, before) = (k % N, (k + 1) % N, (k + 2) % N, (k + N - 1) % N);
        let sum = words[here].wrapping_add(words[next]).wrapping_add(words[before]);
        let third = mix(sum).wrapping_mul(1_566_083_941);
        let fourth = third.wrapping_sub(here as u32);
        words[next] ^= third;
        words[after] ^= fourth;
        words[here] = fourth;
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_draw_equals_that_of_the_c_plus_plus_library() {
        // Computed with g++ 12 and std::seed_seq, std::minstd_rand, std::uniform_int_distribution(0, 100).
        for (text, expected) in VECTORS {
            assert_eq!(draw(text.as_bytes()), expected, "{text}");
        }
    }

    const VECTORS: [(&str, u32); 8] = [
        ("a-1-0123", 16),
        ("x", 67),
        ("", 63),
        ("glibc-2.39-0ubuntu8.3-3d1219c7c4c5404aaa1f6d2a48adfda4", 28),
        ("systemd-255.4-1ubuntu8.4-3d1219c7c4c5404aaa1f6d2a48adfda4", 76),
        ("openssl-3.0.13-0ubuntu3.5-00000000000000000000000000000000", 68),
        ("abc", 18),
        ("time-1", 95),
    ];

    #[test]
    fn settings_and_security_come_before_the_draw() {
        let policy = |dump: &str| PhasingPolicy::new(&AptConfig::parse(dump), "0123\n");
        let decide = |dump: &str, percentage| policy(dump).decide(percentage, false, "a", "1");
        assert_eq!(decide("", 100), Phasing::Complete);
        assert_eq!(
            decide("APT::Get::Always-Include-Phased-Updates \"1\";\n", 0),
            Phasing::Reached
        );
        assert_eq!(
            decide("Update-Manager::Never-Include-Phased-Updates \"true\";\n", 99),
            Phasing::Deferred
        );
        assert_eq!(policy("").decide(0, true, "a", "1"), Phasing::Reached);
        let no_id = PhasingPolicy::new(&AptConfig::default(), "");
        assert_eq!(no_id.decide(0, false, "a", "1"), Phasing::Reached);
    }
}
