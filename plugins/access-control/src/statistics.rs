//! How often each list, zone and rule had somebody, by name: for `stagepost stats`. Those that Domino counts have its names.
//! Counts; knows no rule.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use crate::lists::Filter;

/// The most names: lists, zones and rules are as many as the configuration has, which may change.
const NAMES_MAX: usize = 1000;

/// Counts by name.
#[derive(Debug, Default)]
pub(crate) struct Statistics(Mutex<BTreeMap<String, u64>>);

/// The name by which Domino counts the hits of a filter.
fn name(filter: Filter) -> &'static str {
    match filter {
        Filter::PrivateWhite => "SMTP.PrivateWL",
        Filter::PrivateBlack => "SMTP.PrivateBL",
        Filter::DnsWhite => "SMTP.DNSWL",
        Filter::DnsBlack => "SMTP.DNSBL",
    }
}

fn total(filter: Filter) -> String {
    format!("{}.TotalHits", name(filter))
}

impl Statistics {
    /// A filter had a client.
    pub(crate) fn hit(&self, filter: Filter) {
        self.count(total(filter));
    }

    /// It was this zone's that had it.
    pub(crate) fn zone_hit(&self, filter: Filter, zone: &str) {
        self.hit(filter);
        self.count(format!("{}.{zone}.TotalHits", name(filter)));
    }

    /// A rule has refused somebody.
    pub(crate) fn refused(&self, rule: &str) {
        self.count(format!("SMTP.Refused.{rule}"));
    }

    fn count(&self, name: String) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.len() < NAMES_MAX || counts.contains_key(&name) {
            *counts.entry(name).or_default() += 1;
        }
    }

    /// All of them; the totals also when they are zero.
    pub(crate) fn all(&self) -> BTreeMap<String, u64> {
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let totals = Filter::ALL.map(|filter| (total(filter), 0));
        totals
            .into_iter()
            .chain(counts.iter().map(|(name, count)| (name.clone(), *count)))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_dominos() {
        let statistics = Statistics::default();
        statistics.hit(Filter::PrivateBlack);
        statistics.zone_hit(Filter::DnsBlack, "list.example");
        statistics.zone_hit(Filter::DnsBlack, "other.example");
        statistics.refused("connection.deny");
        let all: Vec<_> =
            statistics.all().into_iter().map(|(name, count)| format!("{name}={count}")).collect();
        let wanted = [
            "SMTP.DNSBL.TotalHits=2",
            "SMTP.DNSBL.list.example.TotalHits=1",
            "SMTP.DNSBL.other.example.TotalHits=1",
            "SMTP.DNSWL.TotalHits=0",
            "SMTP.PrivateBL.TotalHits=1",
            "SMTP.PrivateWL.TotalHits=0",
            "SMTP.Refused.connection.deny=1",
        ];
        assert_eq!(all, wanted);
        for number in 0..2 * NAMES_MAX {
            statistics.refused(&number.to_string());
        }
        assert!(statistics.all().len() <= NAMES_MAX + Filter::ALL.len());
    }
}
