//! Octets that have arrived and are not used up yet.
//! Knows neither lines nor messages.

use zeroize::Zeroize;

/// A buffer that grows at its end and is used up from its front. Empty, it can give its memory back.
#[derive(Debug, Default)]
pub(crate) struct Input {
    octets: Vec<u8>,
    start: usize,
}

impl Input {
    /// Adds what has arrived.
    pub(crate) fn append(&mut self, octets: &[u8]) {
        // Moving the rest to the front is cheap: it is less than a line, or a few pipelined commands.
        if self.start > 0 {
            self.octets.drain(..self.start);
            self.start = 0;
        }
        self.octets.extend_from_slice(octets);
    }

    /// Puts octets before what is not used up.
    pub(crate) fn put_back(&mut self, octets: &[u8]) {
        self.octets.splice(..self.start, octets.iter().copied());
        self.start = 0;
    }

    /// What is not used up.
    pub(crate) fn unread(&self) -> &[u8] {
        &self.octets[self.start..]
    }

    /// What is not used up, to be decoded in place.
    pub(crate) fn unread_mut(&mut self) -> &mut [u8] {
        &mut self.octets[self.start..]
    }

    /// Uses up the first `octets` of what is left.
    pub(crate) fn consume(&mut self, octets: usize) {
        self.start = (self.start + octets).min(self.octets.len());
        if self.start == self.octets.len() {
            self.clear();
        }
    }

    /// Uses up the first `octets` of what is left and leaves nothing of them in memory: there may be a secret in them.
    pub(crate) fn wipe(&mut self, octets: usize) {
        let end = (self.start + octets).min(self.octets.len());
        self.octets[self.start..end].zeroize();
        self.consume(octets);
    }

    /// Forgets all but the first `octets` of what is left.
    pub(crate) fn truncate(&mut self, octets: usize) {
        self.octets.truncate(self.start + octets);
        self.consume(0);
    }

    /// Forgets everything.
    pub(crate) fn clear(&mut self) {
        self.octets.clear();
        self.start = 0;
    }

    /// Gives the memory back when nothing is left: an idle session holds no buffer.
    pub(crate) fn release(&mut self) {
        if self.octets.is_empty() {
            self.octets = Vec::new();
        }
    }
}

#[cfg(test)]
impl Input {
    pub(crate) fn capacity(&self) -> usize {
        self.octets.capacity()
    }
}

#[cfg(test)]
mod tests {
    use super::Input;

    #[test]
    fn octets_come_out_as_they_went_in() {
        let mut input = Input::default();
        input.append(b"abc");
        input.consume(2);
        input.append(b"def");
        assert_eq!(input.unread(), b"cdef");
        input.truncate(2);
        assert_eq!(input.unread(), b"cd");
        input.consume(1);
        input.put_back(b"");
        input.put_back(b"ab");
        assert_eq!(input.unread(), b"abd");
        input.consume(9);
        input.put_back(b"e");
        assert_eq!(input.unread(), b"e");
        input.consume(1);
        input.release();
        assert_eq!((input.unread(), input.capacity()), (&b""[..], 0));
    }
}
