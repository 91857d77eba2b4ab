//! How lanes stand, as the admin API tells it and as it looks to a person.
//! Knows no lane itself, only its report.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::document::{DestinationPage, DestinationReport, time};
use super::shown::{cell, to_seconds};
use crate::admin::table::write_table;
use crate::delivery::LaneReport;

/// How the servers of a destination stand.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LaneStatus {
    /// Its name: where it leads. Destinations with the same servers have one lane.
    pub(crate) lane: String,
    /// Deliveries that are being made.
    pub(crate) running: u32,
    /// So many may be at once now; 0 while its servers are left alone.
    pub(crate) allowed: u32,
    /// Messages that may begin in a minute now, where there is a limit.
    pub(crate) per_minute: Option<u32>,
    /// Its servers could not be talked to.
    pub(crate) failing: bool,
    /// Nothing begins before (RFC 3339).
    pub(crate) next_attempt: Option<String>,
    /// The last that was found out about its servers.
    pub(crate) last_reply: Option<String>,
    /// When that was (RFC 3339).
    pub(crate) last_at: Option<String>,
}

impl From<LaneReport> for LaneStatus {
    fn from(report: LaneReport) -> Self {
        let (last_at, last_reply) = report.last.unzip();
        Self {
            lane: report.name.to_string(),
            running: report.running,
            allowed: report.allowed,
            per_minute: report.per_minute,
            failing: report.failing,
            next_attempt: report.next_attempt.map(time),
            last_reply: last_reply.map(Into::into),
            last_at: last_at.map(time),
        }
    }
}

/// A page of destinations with how their servers stand, for a person.
pub(crate) struct ByLane(pub(crate) DestinationPage);

impl fmt::Display for ByLane {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(page) = self;
        let destinations = &page.destinations;
        if destinations.is_empty() {
            return writeln!(out, "nothing waits");
        }
        let head =
            ["DESTINATION", "QUEUED", "HELD", "LANE", "AT ONCE", "NEXT ATTEMPT", "LAST REPLY"];
        let mut rows = vec![head.map(String::from).to_vec()];
        rows.extend(destinations.iter().map(row));
        write_table(out, &rows)?;
        page.write_rest(out)
    }
}

fn row(report: &DestinationReport) -> Vec<String> {
    let mut row =
        vec![report.destination.clone(), report.queued.to_string(), report.held.to_string()];
    // A queue has mail for any destination.
    let Some(lane) = &report.lane else { return row };
    let rate = lane.per_minute.map_or_else(String::new, |rate| format!(", {rate} a minute"));
    let next = lane.next_attempt.as_deref().map_or_else(|| "-".to_owned(), to_seconds);
    row.extend([
        cell(&lane.lane),
        format!("{} of {}{rate}", lane.running, lane.allowed),
        next,
        lane.last_reply.as_deref().map_or_else(|| "-".to_owned(), cell),
    ]);
    row
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_sees_which_servers_are_left_alone() {
        let destination = |name: &str, lane| DestinationReport {
            destination: name.to_owned(),
            queued: 12,
            held: 1,
            octets: 9,
            lane,
        };
        let failing = LaneStatus {
            lane: "far.test".into(),
            failing: true,
            next_attempt: Some("2026-11-22T20:40:07.123Z".into()),
            last_reply: Some("4.4.1 far.test[192.0.2.1]:25: no connection in time".into()),
            ..LaneStatus::default()
        };
        let slow = LaneStatus {
            lane: "smart.test:25".into(),
            running: 2,
            allowed: 5,
            per_minute: Some(30),
            ..LaneStatus::default()
        };
        let page = DestinationPage {
            destinations: vec![
                destination("#branch", None),
                destination("far.test", Some(failing)),
                destination("b.test", Some(slow)),
            ],
            next: Some("b.test".into()),
            others: 0,
        };
        let wanted = "\
DESTINATION  QUEUED  HELD  LANE           AT ONCE              NEXT ATTEMPT          LAST REPLY
#branch      12      1
far.test     12      1     far.test       0 of 0               2026-11-22T20:40:07Z  4.4.1 far.test[192.0.2.1]:25: no connection in time
b.test       12      1     smart.test:25  2 of 5, 30 a minute  -                     -

There are more: go on with --after 'b.test'
";
        let largest = DestinationPage { next: None, others: 12, ..page.clone() };
        assert_eq!(ByLane(page).to_string(), wanted);
        let largest = ByLane(largest).to_string();
        assert!(
            largest.ends_with("\nThere are 12 others with less mail or as much\n"),
            "{largest}"
        );
    }
}
