//! Domains and whose they are, found by a name, by what is above it and by what is below.
//! Knows owners by their numbers alone.

use std::collections::BTreeMap;

use crate::scope::Scope;

/// The domains, by their keys.
#[derive(Clone, Debug, Default)]
pub(crate) struct Domains(BTreeMap<String, Vec<(Scope, usize)>>);

impl Domains {
    /// Adds an owner's.
    pub(crate) fn add(&mut self, scope: &Scope, number: usize) {
        self.0.entry(scope.key()).or_default().push((scope.clone(), number));
    }

    /// What there is of the domains that are asked for, with whose it is: one look for each label, and one for each that is found.
    pub(crate) fn overlapping(&self, asked: &Scope) -> impl Iterator<Item = (Scope, usize)> {
        let above = asked.keys_above().filter_map(|key| self.0.get(&key));
        let key = asked.key();
        let below = asked.is_below().then(|| {
            let from_key = self.0.range(key.clone()..);
            // The name itself is among those above.
            from_key
                .take_while(move |(found, _)| found.starts_with(&key))
                .skip_while(|(found, _)| **found == asked.key())
        });
        let all = above.chain(below.into_iter().flatten().map(|(_, here)| here)).flatten();
        all.filter_map(|(scope, number)| Some((scope.and(asked)?, *number)))
    }
}
