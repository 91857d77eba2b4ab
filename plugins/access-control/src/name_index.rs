//! Finds the first of many domain names that a name ends with, in the time of a few look-ups, whatever their number.
//! Knows entries by their number in a list alone.

use std::collections::HashMap;

/// What ends another name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Ending {
    /// The name itself, and names below it: whole labels.
    Labels,
    /// Any name that ends with these letters, in the middle of a label too.
    Letters,
    /// The name alone.
    Whole,
}

/// Names, ready to be searched.
#[derive(Clone, Debug, Default)]
pub(crate) struct NameIndex {
    labels: HashMap<Box<str>, u32>,
    whole: HashMap<Box<str>, u32>,
    letters: HashMap<Box<str>, u32>,
    /// The lengths there are among `letters`, ascending.
    lengths: Vec<usize>,
}

/// A name as it is compared: small letters, without the last dot, and in ASCII whatever its script (RFC 5890 section
/// 2.3.2.1): a client is free to write it either way.
pub(crate) fn folded(name: &str) -> String {
    let name = name.strip_suffix('.').unwrap_or(name);
    let ascii = (!name.is_ascii()).then(|| idna::domain_to_ascii(name).ok()).flatten();
    ascii.unwrap_or_else(|| name.to_lowercase())
}

impl NameIndex {
    /// Adds a name, folded. Numbers ascend; the first of two that are the same stays.
    pub(crate) fn add(&mut self, number: u32, name: &str, ending: Ending) {
        let names = match ending {
            Ending::Labels => &mut self.labels,
            Ending::Whole => &mut self.whole,
            Ending::Letters => {
                if let Err(at) = self.lengths.binary_search(&name.len()) {
                    self.lengths.insert(at, name.len());
                }
                &mut self.letters
            }
        };
        names.entry(name.into()).or_insert(number);
    }

    /// Whether it has no name at all.
    pub(crate) fn is_empty(&self) -> bool {
        self.labels.is_empty() && self.whole.is_empty() && self.letters.is_empty()
    }

    /// The lowest number among the names that end this one, which is folded.
    pub(crate) fn find(&self, name: &str) -> Option<u32> {
        let labels = (!self.labels.is_empty()).then(|| parents(name)).into_iter().flatten();
        let labels = labels.filter_map(|parent| self.labels.get(parent));
        let letters = self
            .lengths
            .iter()
            .filter_map(|length| self.letters.get(name.get(name.len().checked_sub(*length)?..)?));
        labels.chain(letters).chain(self.whole.get(name)).min().copied()
    }
}

/// A name, and the names above it.
fn parents(name: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(name), |name| name.split_once('.').map(|(_, parent)| parent))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn naive(entry: &str, ending: Ending, name: &str) -> bool {
        match ending {
            Ending::Whole => name == entry,
            Ending::Letters => name.ends_with(entry),
            Ending::Labels => {
                name == entry || name.strip_suffix(entry).is_some_and(|rest| rest.ends_with('.'))
            }
        }
    }

    #[test]
    fn endings_end_names() {
        use Ending::{Labels, Letters, Whole};
        for (ending, name, wanted) in [
            (Labels, "abc.com", true),
            (Labels, "smtp.abc.com", true),
            (Labels, "a.b.abc.com", true),
            (Labels, "xyzabc.com", false),
            (Labels, "abc.com.org", false),
            (Letters, "abc.com", true),
            (Letters, "xyzabc.com", true),
            (Letters, "smtp.abc.com", true),
            (Letters, "bc.com", false),
            (Whole, "abc.com", true),
            (Whole, "smtp.abc.com", false),
        ] {
            let mut index = NameIndex::default();
            index.add(0, "abc.com", ending);
            assert_eq!(index.find(name).is_some(), wanted, "{ending:?} {name}");
        }
        assert_eq!(folded("Mail.EXAMPLE.org."), "mail.example.org");
        assert_eq!(folded("B\u{fc}cher.test"), "xn--bcher-kva.test");
        assert_eq!(folded(".b\u{fc}cher.test"), ".xn--bcher-kva.test");
    }

    proptest! {
        #[test]
        fn it_finds_what_trying_one_by_one_finds(
            entries in prop::collection::vec(
                ("[ab]{1,2}(\\.[ab]{1,2}){0,2}",
                 prop_oneof![Just(Ending::Labels), Just(Ending::Letters), Just(Ending::Whole)]),
                0..20,
            ),
            names in prop::collection::vec("[abä]{1,2}(\\.[abä]{1,2}){0,3}", 20),
        ) {
            let mut index = NameIndex::default();
            for (number, (entry, ending)) in (0..).zip(&entries) {
                index.add(number, entry, *ending);
            }
            for name in &names {
                let wanted = entries.iter().position(|(entry, ending)| naive(entry, *ending, name));
                prop_assert_eq!(index.find(name), wanted.map(|at| at as u32), "{}", name);
            }
        }
    }
}
