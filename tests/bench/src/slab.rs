//! Connections by small number, so that the kernel can hand the number back with an event.

/// A list with holes; a number stays valid until its entry is removed.
#[derive(Debug)]
pub(crate) struct Slab<T> {
    entries: Vec<Option<T>>,
    vacant: Vec<usize>,
}

impl<T> Slab<T> {
    pub(crate) fn new() -> Self {
        Self { entries: Vec::new(), vacant: Vec::new() }
    }

    /// Returns the number the next `insert` will use.
    pub(crate) fn next_token(&self) -> usize {
        self.vacant.last().copied().unwrap_or(self.entries.len())
    }

    pub(crate) fn insert(&mut self, entry: T) {
        match self.vacant.pop() {
            Some(token) => self.entries[token] = Some(entry),
            None => self.entries.push(Some(entry)),
        }
    }

    pub(crate) fn get_mut(&mut self, token: usize) -> Option<&mut T> {
        self.entries.get_mut(token)?.as_mut()
    }

    pub(crate) fn remove(&mut self, token: usize) -> Option<T> {
        let entry = self.entries.get_mut(token)?.take()?;
        self.vacant.push(token);
        Some(entry)
    }

    /// Returns every number that may be in use.
    pub(crate) fn tokens(&self) -> std::ops::Range<usize> {
        0..self.entries.len()
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len() - self.vacant.len()
    }
}

#[cfg(test)]
mod tests {
    use super::Slab;

    #[test]
    fn a_removed_number_is_used_again() {
        let mut slab = Slab::new();
        for entry in ["a", "b", "c"] {
            slab.insert(entry);
        }
        assert_eq!(slab.remove(1), Some("b"));
        assert_eq!(slab.remove(1), None);
        assert_eq!((slab.len(), slab.next_token()), (2, 1));
        slab.insert("d");
        assert_eq!(slab.get_mut(1), Some(&mut "d"));
        assert_eq!((slab.len(), slab.next_token()), (3, 3));
        assert_eq!(slab.get_mut(3), None);
    }
}
