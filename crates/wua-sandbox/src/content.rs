//! Bytes to fill packages with: the same for the same seed, on every machine. Not random in any stronger sense.

/// SplitMix64: tiny, fast, and good enough to vary texts and version numbers.
#[derive(Debug)]
pub(crate) struct Generator(u64);

impl Generator {
    /// A generator for one purpose; different `purpose`s of one seed give unrelated values.
    pub(crate) fn new(seed: u64, purpose: &str) -> Self {
        let mixed = purpose.bytes().fold(seed ^ 0xcbf2_9ce4_8422_2325, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        });
        Self(mixed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number from 0 to `bound` - 1. `bound` is small and not 0.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound as u64).expect("it is below a usize")
    }

    pub(crate) fn pick<'a, T>(&mut self, choices: &'a [T]) -> &'a T {
        &choices[self.below(choices.len())]
    }

    /// `length` bytes that no compressor makes smaller.
    pub(crate) fn noise(&mut self, length: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(length + 8);
        while bytes.len() < length {
            bytes.extend_from_slice(&self.next().to_le_bytes());
        }
        bytes.truncate(length);
        bytes
    }

    /// Text of at least `length` bytes in lines of about 70 characters: it looks like a manual and compresses like one.
    pub(crate) fn prose(&mut self, length: usize) -> String {
        let mut text = String::with_capacity(length + 80);
        let mut column = 0;
        while text.len() < length {
            let word = self.pick(&WORDS);
            text.push_str(word);
            column += word.len() + 1;
            if column > 70 {
                text.push('\n');
                column = 0;
            } else {
                text.push(' ');
            }
        }
        text.truncate(text.trim_end().len());
        text.push('\n');
        text
    }
}

/// About `blocks` MiB that a compressor of packages cannot make smaller, made in a few milliseconds: one block of noise,
/// repeated at a distance no window of theirs covers, each time numbered.
pub(crate) fn blob(seed: u64, blocks: u32) -> Vec<u8> {
    let mut block = Generator::new(seed, "blob").noise(1 << 20);
    let mut bytes = Vec::with_capacity(block.len() * blocks as usize);
    for number in 0..blocks {
        block[..4].copy_from_slice(&number.to_le_bytes());
        bytes.extend_from_slice(&block);
    }
    bytes
}

const WORDS: [&str; 32] = [
    "the",
    "a",
    "file",
    "option",
    "reads",
    "writes",
    "each",
    "line",
    "when",
    "given",
    "with",
    "without",
    "default",
    "value",
    "directory",
    "may",
    "be",
    "set",
    "to",
    "record",
    "entry",
    "list",
    "prints",
    "summary",
    "of",
    "and",
    "or",
    "else",
    "format",
    "input",
    "output",
    "page",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_bytes_and_another_purpose_gives_others() {
        assert_eq!(
            Generator::new(7, "inkpot").noise(100),
            Generator::new(7, "inkpot").noise(100)
        );
        assert_ne!(
            Generator::new(7, "inkpot").noise(100),
            Generator::new(7, "zonebook").noise(100)
        );
        assert_eq!(blob(7, 2).len(), 2 << 20);
    }
}
