//! What `GET /v1/status` answers, and how it looks to a person. A later version only adds fields.
//! Knows neither who fills it nor how it is sent.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::queue::LaneStatus;
use super::table::write_table;
use crate::auth::LoginCounts;

/// A running server in figures.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Status {
    /// The server's version.
    pub(crate) version: String,
    /// Its process.
    pub(crate) pid: u32,
    /// Seconds since it began to serve.
    pub(crate) uptime_s: u64,
    /// Where it accepts connections.
    pub(crate) listeners: Vec<ListenerStatus>,
    /// Its plug-ins in the order in which they are asked.
    pub(crate) plugins: Vec<PluginStatus>,
    /// Its sessions.
    pub(crate) sessions: SessionsStatus,
    /// How logins have ended since the start.
    #[serde(default)]
    pub(crate) logins: LoginCounts,
    /// Its queue; nothing while the queue can't be read.
    pub(crate) queue: Option<QueueStatus>,
    /// How deliveries to other servers fare.
    #[serde(default)]
    pub(crate) delivery: DeliveryStatus,
}

/// One place where connections are accepted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ListenerStatus {
    /// Its name.
    pub(crate) name: String,
    /// Address and port, as bound.
    pub(crate) address: String,
}

/// One loaded plug-in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PluginStatus {
    /// Its name.
    pub(crate) name: String,
    /// The version it states.
    pub(crate) version: String,
    /// `blocking` or `inline`.
    pub(crate) class: String,
    /// Where it is called: `inline` or `pool`.
    pub(crate) run: String,
    /// How many registrations it has.
    pub(crate) registrations: u64,
    /// How many calls were made of it since the start.
    pub(crate) calls: u64,
    /// How many faults it has had since the start.
    pub(crate) faults: u64,
}

/// Sessions in figures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SessionsStatus {
    /// Open now.
    pub(crate) open: u64,
    /// Begun since the start.
    pub(crate) total: u64,
    /// Clients refused since there were too many sessions in all.
    pub(crate) refused_in_all: u64,
    /// Clients refused since there were too many from their address.
    pub(crate) refused_by_address: u64,
    /// Clients refused since there were too many from their network.
    pub(crate) refused_by_network: u64,
    /// Sessions ended since the client was silent for too long.
    pub(crate) silent: u64,
    /// Sessions ended since the client sent too slowly.
    pub(crate) slow: u64,
}

/// The queue in figures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct QueueStatus {
    /// Messages.
    pub(crate) messages: u64,
    /// Deliveries that are due or will be.
    pub(crate) queued: u64,
    /// Deliveries that are held.
    pub(crate) held: u64,
    /// Octets of the messages.
    pub(crate) octets: u64,
    /// Whether new messages are accepted.
    pub(crate) accepting: bool,
}

/// Deliveries to other servers in figures.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DeliveryStatus {
    /// Attempts whose servers took the message or refused it for good, since the start.
    pub(crate) well: u64,
    /// Attempts whose servers wanted less.
    pub(crate) busy: u64,
    /// Attempts that reached no server.
    pub(crate) down: u64,
    /// Deliveries that were not tried, since no server could be reached shortly before.
    pub(crate) put_off: u64,
    /// Attempts of which nobody knows whether the server has the message, so that it may come twice.
    pub(crate) in_doubt: u64,
    /// Lanes whose servers can't be reached now.
    pub(crate) failing: u64,
    /// The lanes that the configuration names.
    pub(crate) lanes: Vec<LaneStatus>,
}

impl fmt::Display for Status {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rows = vec![
            vec!["server".to_owned(), format!("stagepost {}", self.version)],
            vec!["process".to_owned(), format!("{}, up {}", self.pid, uptime(self.uptime_s))],
            vec!["sessions".to_owned(), sessions(self.sessions)],
            vec![
                "logins".to_owned(),
                format!(
                    "{} accepted, {} refused",
                    self.logins.accepted,
                    self.logins.refused + self.logins.barred
                ),
            ],
            vec!["queue".to_owned(), self.queue.map_or_else(|| "can't be read".to_owned(), queue)],
        ];
        if self.delivery.failing > 0 {
            let failing = format!(
                "servers of {} lanes can't be reached, see `stagepost queue destinations`",
                self.delivery.failing
            );
            rows.push(vec!["delivery".to_owned(), failing]);
        }
        for listener in &self.listeners {
            rows.push(vec![
                "listener".to_owned(),
                format!("{} on {}", listener.name, listener.address),
            ]);
        }
        write_table(out, &rows)?;
        let mut rows = vec![
            ["PLUG-IN", "VERSION", "CLASS", "RUN", "REGISTRATIONS", "CALLS", "FAULTS"]
                .map(String::from)
                .to_vec(),
        ];
        for plugin in &self.plugins {
            rows.push(vec![
                plugin.name.clone(),
                plugin.version.clone(),
                plugin.class.clone(),
                plugin.run.clone(),
                plugin.registrations.to_string(),
                plugin.calls.to_string(),
                plugin.faults.to_string(),
            ]);
        }
        if self.plugins.is_empty() {
            return writeln!(out, "plug-ins  none");
        }
        writeln!(out)?;
        write_table(out, &rows)
    }
}

fn sessions(sessions: SessionsStatus) -> String {
    let SessionsStatus { open, total, .. } = sessions;
    let refused =
        sessions.refused_in_all + sessions.refused_by_address + sessions.refused_by_network;
    let refused = if refused > 0 { format!(", {refused} refused") } else { String::new() };
    format!("{open} open, {total} in all{refused}")
}

fn queue(queue: QueueStatus) -> String {
    let refusing = if queue.accepting { "" } else { "; accepts nothing now, see the log" };
    format!(
        "{} messages ({} octets), {} deliveries to do, {} held{refusing}",
        queue.messages, queue.octets, queue.queued, queue.held
    )
}

pub(super) fn uptime(seconds: u64) -> String {
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, _) => format!("{minutes}m {}s", seconds % 60),
        (0, _, _) => format!("{hours}h {minutes}m"),
        _ => format!("{days}d {hours}h"),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::admin) fn sample() -> Status {
        Status {
            version: "0.1.0".into(),
            pid: 42,
            uptime_s: 3_725,
            listeners: vec![ListenerStatus { name: "mx".into(), address: "127.0.0.1:2525".into() }],
            plugins: vec![PluginStatus {
                name: "example-c".into(),
                version: "1.0\u{1b}".into(),
                class: "blocking".into(),
                run: "pool".into(),
                registrations: 3,
                calls: 70,
                faults: 0,
            }],
            sessions: SessionsStatus { open: 1, total: 20, ..SessionsStatus::default() },
            logins: LoginCounts { accepted: 3, refused: 2, barred: 1, unavailable: 0 },
            queue: Some(QueueStatus {
                messages: 2,
                queued: 3,
                held: 1,
                octets: 4096,
                accepting: true,
            }),
            delivery: DeliveryStatus::default(),
        }
    }

    #[test]
    fn a_person_reads_a_table() {
        let wanted = "\
server    stagepost 0.1.0
process   42, up 1h 2m
sessions  1 open, 20 in all
logins    3 accepted, 3 refused
queue     2 messages (4096 octets), 3 deliveries to do, 1 held
listener  mx on 127.0.0.1:2525

PLUG-IN    VERSION  CLASS     RUN   REGISTRATIONS  CALLS  FAULTS
example-c  1.0?     blocking  pool  3              70     0
";
        assert_eq!(sample().to_string(), wanted);
        let busy = SessionsStatus { refused_in_all: 1, refused_by_network: 2, ..sample().sessions };
        let busy = Status { sessions: busy, ..sample() }.to_string();
        assert!(busy.contains("sessions  1 open, 20 in all, 3 refused\n"), "{busy}");
        let failing = DeliveryStatus { failing: 2, ..DeliveryStatus::default() };
        let failing = Status { delivery: failing, ..sample() }.to_string();
        assert!(
            failing.contains("delivery  servers of 2 lanes can't be reached, see"),
            "{failing}"
        );
        let bare = Status { plugins: Vec::new(), queue: None, ..sample() };
        assert!(bare.to_string().contains("queue     can't be read\n"), "{bare}");
        assert!(bare.to_string().ends_with("plug-ins  none\n"), "{bare}");
    }

    #[test]
    fn times_are_rounded_to_two_units() {
        let cases = [(0, "0s"), (59, "59s"), (61, "1m 1s"), (3600, "1h 0m"), (90_000, "1d 1h")];
        for (seconds, wanted) in cases {
            assert_eq!(uptime(seconds), wanted);
        }
    }
}
