//! Finds the first of many patterns that an address fits, in the time of one search, whatever their number.
//! Knows patterns by their number in a list alone.

use std::collections::BTreeSet;
use std::net::IpAddr;

use crate::pattern::Pattern;

/// The most patterns of one index that are not one range of addresses, such as `127.*.0.1`: those are tried one by one.
pub(crate) const SCATTERED_MAX: usize = 1024;

/// Where a run of addresses begins to which the same pattern comes first; the run ends where the next one begins.
#[derive(Clone, Copy, Debug)]
struct Run<A> {
    begin: A,
    /// The pattern's number; `NONE` where no pattern fits.
    first: u32,
}

const NONE: u32 = u32::MAX;

/// A pattern's number, and the range of each octet.
type Scattered = (u32, [(u8, u8); 4]);

/// Patterns, ready to be searched.
#[derive(Clone, Debug, Default)]
pub(crate) struct AddressIndex {
    v4: Box<[Run<u32>]>,
    v6: Box<[Run<u128>]>,
    /// Those that are not one range, by ascending number.
    scattered: Box<[Scattered]>,
}

impl AddressIndex {
    /// Makes one of patterns with their numbers.
    pub(crate) fn new(patterns: impl IntoIterator<Item = (u32, Pattern)>) -> Self {
        let (mut v4, mut v6, mut scattered) = (Vec::new(), Vec::new(), Vec::new());
        for (number, pattern) in patterns {
            match pattern {
                Pattern::V4(first, last) => v4.push((first, last, number)),
                Pattern::V6(first, last) => v6.push((first, last, number)),
                Pattern::Octets(octets) => scattered.push((number, octets)),
            }
        }
        scattered.sort_unstable_by_key(|(number, _)| *number);
        Self {
            v4: runs(&v4, |last| last.checked_add(1)),
            v6: runs(&v6, |last| last.checked_add(1)),
            scattered: scattered.into(),
        }
    }

    /// The lowest number among the patterns that an address, canonical, fits.
    pub(crate) fn find(&self, address: IpAddr) -> Option<u32> {
        let IpAddr::V4(v4) = address else {
            return search(&self.v6, bits_v6(address));
        };
        let ranged = search(&self.v4, v4.to_bits());
        let scattered =
            self.scattered.iter().find(|(_, octets)| Pattern::Octets(*octets).contains(address));
        match (ranged, scattered) {
            (Some(ranged), Some((scattered, _))) => Some(ranged.min(*scattered)),
            (ranged, scattered) => ranged.or_else(|| scattered.map(|(number, _)| *number)),
        }
    }
}

fn bits_v6(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
        IpAddr::V6(address) => address.to_bits(),
    }
}

fn search<A: Ord + Copy>(runs: &[Run<A>], address: A) -> Option<u32> {
    let behind = runs.partition_point(|run| run.begin <= address);
    let run = runs.get(behind.checked_sub(1)?)?;
    (run.first != NONE).then_some(run.first)
}

/// Sweeps over the ends of all ranges and notes where the lowest number among those that are open changes.
fn runs<A: Ord + Copy>(ranges: &[(A, A, u32)], next: impl Fn(A) -> Option<A>) -> Box<[Run<A>]> {
    let mut ends: Vec<(A, bool, u32)> = Vec::with_capacity(ranges.len() * 2);
    for &(first, last, number) in ranges {
        ends.push((first, true, number));
        // Behind the highest address nothing can be looked up.
        ends.extend(next(last).map(|behind| (behind, false, number)));
    }
    ends.sort_unstable();
    let (mut open, mut runs) = (BTreeSet::new(), Vec::<Run<A>>::with_capacity(ends.len()));
    let mut ends = ends.into_iter().peekable();
    while let Some((begin, opens, number)) = ends.next() {
        if opens {
            open.insert(number);
        } else {
            open.remove(&number);
        }
        if ends.peek().is_some_and(|(other, _, _)| *other == begin) {
            continue;
        }
        let first = open.first().copied().unwrap_or(NONE);
        if runs.last().map_or(NONE, |run| run.first) != first {
            runs.push(Run { begin, first });
        }
    }
    runs.into()
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use proptest::prelude::*;

    use super::*;
    use crate::pattern::canonical;

    fn index(patterns: &[Pattern]) -> AddressIndex {
        AddressIndex::new((0..).zip(patterns.iter().copied()))
    }

    #[test]
    fn the_first_pattern_that_fits_is_found() {
        let texts =
            ["10.0.0.0/8", "10.1.0.0/16", "10.0.0.0/7", "1.*.0.1", "1.2.0.0/16", "2001:db8::/32"];
        let patterns = texts.map(|text| text.parse().unwrap());
        let index = index(&patterns);
        for (address, wanted) in [
            ("10.1.2.3", Some(0)),
            ("11.0.0.0", Some(2)),
            ("12.0.0.0", None),
            ("9.255.255.255", None),
            ("1.2.0.1", Some(3)),
            ("1.2.0.2", Some(4)),
            ("1.3.0.1", Some(3)),
            ("2001:db8::1", Some(5)),
            ("2001:db9::", None),
            ("::ffff:10.1.1.1", Some(0)),
        ] {
            assert_eq!(index.find(canonical(address.parse().unwrap())), wanted, "{address}");
        }
    }

    #[test]
    fn the_highest_address_ends_no_sooner() {
        let index = index(&[
            "255.255.255.255".parse().unwrap(),
            "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff".parse().unwrap(),
        ]);
        assert_eq!(index.find(Ipv4Addr::BROADCAST.into()), Some(0));
        assert_eq!(index.find(Ipv6Addr::from_bits(u128::MAX).into()), Some(1));
        assert_eq!(index.find(Ipv4Addr::from_bits(u32::MAX - 1).into()), None);
    }

    /// Few distinct addresses, so that ranges meet, touch and cover one another.
    fn pattern() -> impl Strategy<Value = Pattern> {
        let octet = || (0..4u8, 0..4u8).prop_map(|(a, b)| (a.min(b), a.max(b)));
        prop_oneof![
            (0..40u32, 0..40u32).prop_map(|(a, b)| Pattern::V4(a.min(b), a.max(b))),
            (0..40u32).prop_map(|a| Pattern::V4(u32::MAX - a, u32::MAX)),
            (0..40u128, 0..40u128).prop_map(|(a, b)| Pattern::V6(a.min(b), a.max(b))),
            (octet(), octet(), octet(), octet())
                .prop_map(|(a, b, c, d)| Pattern::Octets([a, b, c, d])),
        ]
    }

    proptest! {
        #[test]
        fn it_finds_what_trying_one_by_one_finds(
            patterns in prop::collection::vec(pattern(), 0..30),
            addresses in prop::collection::vec((any::<bool>(), 0..45u32), 40),
            high in 0..45u32,
        ) {
            let index = index(&patterns);
            let spread = |n: u32| (n & 3) << 24 | (n >> 2 & 3) << 16 | (n >> 4 & 3) << 8 | n & 3;
            let addresses = addresses.into_iter().flat_map(|(wide, n)| {
                let v4 = Ipv4Addr::from_bits(if wide { spread(n) } else { n });
                [IpAddr::V4(v4), IpAddr::V6(Ipv6Addr::from_bits(n.into()))]
            });
            for address in addresses.chain([Ipv4Addr::from_bits(u32::MAX - high).into()]) {
                let naive = patterns.iter().position(|pattern| pattern.contains(address));
                prop_assert_eq!(index.find(address), naive.map(|at| at as u32));
            }
        }
    }
}
