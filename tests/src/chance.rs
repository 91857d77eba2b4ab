//! Numbers that look like chance, and messages made of them; from the same seed the same.
//! Knows no test.

/// Numbers without end (xorshift64).
#[derive(Clone, Debug)]
pub struct Chance(u64);

impl Chance {
    /// Begins at a seed; of 0 it makes 1, since nothing else would come of it.
    pub fn new(seed: u64) -> Self {
        Self(seed.max(1))
    }

    /// The next number: any but 0.
    pub fn next_u64(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// A number below `end`.
    ///
    /// # Panics
    ///
    /// When `end` is 0.
    pub fn below(&mut self, end: u64) -> u64 {
        self.next_u64() % end
    }

    /// One of several.
    ///
    /// # Panics
    ///
    /// When there is none.
    pub fn pick<'a, T: ?Sized>(&mut self, from: &[&'a T]) -> &'a T {
        from[self.below(from.len() as u64) as usize]
    }

    /// So many octets or some more in lines, with every octet that a message of text may have; some lines are very long.
    pub fn lines(mut self, octets: usize) -> Vec<u8> {
        let mut lines = Vec::new();
        while lines.len() < octets {
            let longest = if self.below(50) == 0 { 50_000 } else { 120 };
            let length = self.below(longest);
            let line = (0..length).map(|_| self.next_u64() as u8);
            lines.extend(line.filter(|octet| !matches!(octet, 0 | b'\r' | b'\n')));
            lines.extend_from_slice(b"\r\n");
        }
        lines
    }
}
