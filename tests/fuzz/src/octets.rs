//! The octets of one input, used up from the front: every choice of a run is drawn from them.
//! Knows no target. At its end every choice is zero, which stands for what is usual.

/// What is left of an input.
#[derive(Clone, Copy, Debug)]
pub struct Octets<'d>(&'d [u8]);

impl<'d> Octets<'d> {
    /// All of an input.
    pub fn new(input: &'d [u8]) -> Self {
        Self(input)
    }

    /// The next octet; 0 behind the last.
    pub fn draw(&mut self) -> u8 {
        match self.0.split_first() {
            Some((&first, rest)) => {
                self.0 = rest;
                first
            }
            None => 0,
        }
    }

    /// The next number below `bound`, which is 1 at least.
    pub fn below(&mut self, bound: usize) -> usize {
        usize::from(self.draw()) % bound
    }

    /// One of several things; the first one at the end.
    pub fn one_of<T: Copy>(&mut self, things: &[T]) -> T {
        things[self.below(things.len())]
    }

    /// Up to so many octets.
    pub fn take(&mut self, octets: usize) -> &'d [u8] {
        let (taken, rest) = self.0.split_at(octets.min(self.0.len()));
        self.0 = rest;
        taken
    }

    /// A part of its own, of up to 4 times 255 octets.
    pub fn part(&mut self) -> Self {
        let octets = usize::from(self.draw()) * 4;
        Self(self.take(octets))
    }

    /// All that is left.
    pub fn rest(&mut self) -> &'d [u8] {
        std::mem::take(&mut self.0)
    }

    /// Whether nothing is left.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
