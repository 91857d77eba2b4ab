//! Inputs made from a seed: the same ones on every machine. Words of the target, octets of chance, and corpus files
//! that were changed a little.
//! Knows no target.

use crate::Target;

/// A stream of numbers from a seed (SplitMix64).
#[derive(Clone, Debug)]
pub struct Seed(u64);

impl Seed {
    /// The stream of this number.
    pub fn new(number: u64) -> Self {
        Self(number)
    }

    /// The next number.
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// The next number below `bound`, which is 1 at least.
    pub fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.draw() % bound as u64).unwrap_or(0)
    }

    /// The next octet.
    pub(crate) fn octet(&mut self) -> u8 {
        self.draw().to_le_bytes()[0]
    }

    /// The next input for a target: `words` and `corpus` go into it.
    pub fn input(&mut self, target: &Target, words: &[Vec<u8>], corpus: &[Vec<u8>]) -> Vec<u8> {
        let mut input = match (self.below(4), target.shape) {
            (0, _) if !corpus.is_empty() => corpus[self.below(corpus.len())].clone(),
            (1 | 2, Some(shape)) => return shape(self, words),
            _ => Vec::new(),
        };
        // Mostly a few: what is wrong with the first is then not hidden by the others.
        let pieces =
            if input.is_empty() { 1 + (self.below(24) >> self.below(4)) } else { self.below(4) };
        for _ in 0..pieces {
            let at = if input.is_empty() || self.below(3) > 0 {
                input.len()
            } else {
                self.below(input.len())
            };
            let piece = self.piece(words);
            input.splice(at..at, piece);
        }
        for _ in 0..self.below(8) >> self.below(3) {
            self.spoil(&mut input);
        }
        input
    }

    /// A word, or octets that are none.
    pub(crate) fn piece(&mut self, words: &[Vec<u8>]) -> Vec<u8> {
        match self.below(8) {
            0 => (0..self.below(12)).map(|_| self.octet()).collect(),
            1 => vec![self.octet(); self.below(700)],
            2 => vec![b"\r\n. <>@:\0\""[self.below(10)]],
            _ if words.is_empty() => vec![self.octet()],
            _ => words[self.below(words.len())].clone(),
        }
    }

    /// Changes, drops or doubles a little.
    fn spoil(&mut self, input: &mut Vec<u8>) {
        if input.is_empty() {
            return;
        }
        let at = self.below(input.len());
        match self.below(4) {
            0 | 3 => input[at] = self.octet() >> self.below(8),
            1 => drop(input.drain(at..(at + 1 + self.below(4)).min(input.len()))),
            _ => {
                let end = (at + 1 + self.below(16)).min(input.len());
                let again = input[at..end].to_vec();
                input.splice(at..at, again);
            }
        }
    }
}
