//! The places with the most mail, out of all that have some.
//! Knows the queue's trait; looks at a row for each place, a bounded number of them at a time, and at none for messages.

use stagepost_queue::{Count, Counts, Destinations, Store, StoreError};

/// So many places are asked for at a time.
const PAGE: usize = 1000;

/// The largest places.
#[derive(Debug, Default)]
pub(super) struct Largest {
    /// The largest first; of those with the same in their own order.
    pub(super) places: Vec<(Destinations, Count)>,
    /// So many others have mail too.
    pub(super) others: u64,
}

/// Finds the places with the most deliveries, held ones counted, `most` at most.
pub(super) async fn largest(store: &dyn Store, most: usize) -> Result<Largest, StoreError> {
    let (mut largest, mut after) = (Largest::default(), None);
    loop {
        let Counts { places, more } = store.counts(after, PAGE).await?;
        after = places.last().filter(|_| more).map(|(last, _)| last.clone());
        largest.add(places, most.clamp(1, PAGE));
        if after.is_none() {
            return Ok(largest);
        }
    }
}

impl Largest {
    fn add(&mut self, places: Vec<(Destinations, Count)>, most: usize) {
        self.places.extend(places);
        self.places.sort_by_key(|(_, count)| std::cmp::Reverse(count.queued + count.held));
        self.others += self.places.len().saturating_sub(most) as u64;
        self.places.truncate(most);
    }
}

#[cfg(test)]
mod tests {
    use stagepost_queue::Destination;

    use super::*;

    #[test]
    fn the_largest_of_all_pages_are_kept() {
        let place = |(name, queued, held): &(&str, u64, u64)| {
            let place = Destinations::One(Destination::new(name).unwrap());
            (place, Count { queued: *queued, held: *held, octets: 1 })
        };
        let pages: [&[(&str, u64, u64)]; 3] = [
            &[("a.test", 1, 0), ("b.test", 5, 0), ("c.test", 2, 2)],
            &[("d.test", 0, 9), ("e.test", 4, 0)],
            &[("f.test", 4, 0)],
        ];
        let mut largest = Largest::default();
        for page in pages {
            largest.add(page.iter().map(place).collect(), 4);
        }
        let names: Vec<String> = largest
            .places
            .iter()
            .map(|(place, _)| match place {
                Destinations::One(name) => name.to_string(),
                other => format!("{other:?}"),
            })
            .collect();
        assert_eq!(names, ["d.test", "b.test", "c.test", "e.test"]);
        assert_eq!(largest.others, 2);
    }
}
