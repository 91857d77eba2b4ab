//! How the queue looks to a person at a terminal.
//! Knows neither who asks nor where the figures come from.

use std::collections::HashSet;
use std::fmt;

use super::document::{
    DestinationPage, DestinationReport, Envelope, LedgerLine, MessagePage, MessageReport, Octets,
    RecipientLine,
};
use stagepost_smtp::is_obeyed;

use crate::admin::table::write_table;

/// The longest text in a cell, in characters.
const CELL_MAX: usize = 60;

impl fmt::Display for MessagePage {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.messages.is_empty() {
            return writeln!(out, "no messages");
        }
        let head = [
            "ID",
            "RECEIVED",
            "OCTETS",
            "QUEUED",
            "HELD",
            "EDITS",
            "SENDER",
            "TAGS",
            "LAST REASON",
        ];
        let mut rows = vec![head.map(String::from).to_vec()];
        for message in &self.messages {
            if let Some(damaged) = &message.damaged {
                rows.push(vec![message.id.clone(), format!("damaged: {damaged}")]);
                continue;
            }
            rows.push(vec![
                message.id.clone(),
                to_seconds(&message.received_at),
                message.octets.to_string(),
                message.queued.to_string(),
                message.held.to_string(),
                message.edits.to_string(),
                path(&message.sender),
                cell(&message.tags.join(" ")),
                cell(&message.reply),
            ]);
        }
        // A reason of damage is as long as it is, and must not push the columns apart.
        let (damaged, sound): (Vec<_>, Vec<_>) = rows.into_iter().partition(|row| row.len() == 2);
        write_table(out, &sound)?;
        write_table(out, &damaged)?;
        if let Some(next) = &self.next {
            writeln!(out, "\nThere are more: go on with --after {next}")?;
        }
        Ok(())
    }
}

impl fmt::Display for DestinationReport {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { destination, queued, held, octets, .. } = self;
        writeln!(
            out,
            "{destination}: deliveries queued: {queued}, on hold: {held}, octets: {octets}"
        )
    }
}

impl fmt::Display for DestinationPage {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.destinations.is_empty() {
            return writeln!(out, "nothing waits");
        }
        let mut rows = vec![["DESTINATION", "QUEUED", "HELD", "OCTETS"].map(String::from).to_vec()];
        for DestinationReport { destination, queued, held, octets, .. } in &self.destinations {
            let counts = [queued, held, octets].map(u64::to_string);
            rows.push([vec![destination.clone()], counts.to_vec()].concat());
        }
        write_table(out, &rows)?;
        self.write_rest(out)
    }
}

impl DestinationPage {
    /// Writes what is not on the page, if anything is not.
    pub(super) fn write_rest(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.next, self.others) {
            (Some(next), _) => writeln!(out, "\nThere are more: go on with --after '{next}'"),
            (None, 0) => Ok(()),
            (None, 1) => writeln!(out, "\nThere is 1 other with less mail or as much"),
            (None, others) => {
                writeln!(out, "\nThere are {others} others with less mail or as much")
            }
        }
    }
}

impl fmt::Display for MessageReport {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, client, helo, session, .. } = self;
        let row = |name: &str, value: String| vec![name.to_owned(), value];
        let received = to_seconds(&self.received_at);
        let mut rows = vec![
            row("message", id.clone()),
            row("received", format!("{received} from {client} ({helo}), session {session}")),
            row("size", format!("{} octets", self.octets)),
            row("sender", sender(&self.is)),
        ];
        if (&self.is.sender, &self.is.parameters) != (&self.came.sender, &self.came.parameters) {
            rows.push(row("  came as", sender(&self.came)));
        }
        if self.is.recipients != self.came.recipients {
            for (at, recipient) in self.came.recipients.iter().enumerate() {
                let name = if at == 0 { "came for" } else { "" };
                rows.push(row(name, with(path(&recipient.address), &recipient.parameters)));
            }
        }
        if !self.tags.is_empty() {
            rows.push(row("tags", self.tags.join(" ")));
        }
        write_table(out, &rows)?;
        writeln!(out)?;
        let head = ["RECIPIENT", "STATE", "DESTINATION", "DUE", "TRIED", "LAST REASON"];
        let mut rows = vec![head.map(String::from).to_vec()];
        for recipient in &self.recipients {
            let or_dash = |value: Option<String>| value.unwrap_or_else(|| "-".to_owned());
            rows.push(vec![
                path(&recipient.address),
                recipient.state.clone(),
                or_dash(place(recipient)),
                or_dash(recipient.due.as_deref().map(to_seconds)),
                or_dash(recipient.attempts.map(|attempts| attempts.to_string())),
                cell(&recipient.reply),
            ]);
        }
        write_table(out, &rows)?;
        write_reasons(out, &self.recipients)?;
        writeln!(out)?;
        match self.ledger.as_deref() {
            None => writeln!(out, "what plug-ins changed can't be read"),
            Some([]) => writeln!(out, "no plug-in changed it"),
            Some(ledger) => write_ledger(out, ledger),
        }
    }
}

/// The reasons that a cell has no room for, each once, with the first recipient that it is of.
fn write_reasons(out: &mut fmt::Formatter<'_>, recipients: &[RecipientLine]) -> fmt::Result {
    let mut written = HashSet::new();
    for RecipientLine { address, reply, .. } in recipients {
        if reply.chars().nth(CELL_MAX).is_some() && written.insert(reply) {
            let line = format!("{}: {reply}", path(address));
            let plain: String = line.chars().map(|c| if is_obeyed(c) { ' ' } else { c }).collect();
            writeln!(out, "\n{plain}")?;
        }
    }
    Ok(())
}

/// Where a recipient's mail waits.
fn place(recipient: &RecipientLine) -> Option<String> {
    let mut place = recipient.destination.clone()?;
    if let Some(queue) = &recipient.queue {
        place.push_str(&format!(" #{queue}"));
    }
    if let Some(route) = &recipient.route {
        place.push_str(&format!(" by {route}"));
    }
    Some(place)
}

fn write_ledger(out: &mut fmt::Formatter<'_>, ledger: &[LedgerLine]) -> fmt::Result {
    let head = ["PLUG-IN", "STAGE", "WHAT", "FROM", "TO", "TOOK"];
    let mut rows = vec![head.map(String::from).to_vec()];
    for line in ledger {
        let took = line.spent_us.map_or_else(|| "-".to_owned(), |spent| format!("{spent} us"));
        rows.push(vec![
            line.plugin.clone(),
            format!("{} {}", line.stage, line.event),
            line.what.clone(),
            side(line, line.from.as_ref(), line.from_parameters.as_deref(), line.from_octets),
            side(line, line.to.as_ref(), line.to_parameters.as_deref(), line.to_octets),
            took,
        ]);
    }
    write_table(out, &rows)
}

/// What there was, or is.
fn side(
    line: &LedgerLine,
    value: Option<&Octets>,
    parameters: Option<&str>,
    octets: Option<u64>,
) -> String {
    let Some(value) = value else {
        return "-".to_owned();
    };
    let text = match value {
        Octets::Text(text) => text.clone(),
        Octets::Hex { hex } => lossy(hex),
    };
    match octets {
        Some(octets) => format!("{octets} octets at {}", line.position.unwrap_or(0)),
        None if line.what == "sender" || line.what.starts_with("recipient") => {
            with(path(&text), parameters.unwrap_or(""))
        }
        None => cell(&text),
    }
}

/// Octets given by two digits each, as text as far as they are any.
fn lossy(hex: &str) -> String {
    let digit = |octet: &u8| char::from(*octet).to_digit(16).unwrap_or(0) as u8;
    let pairs = hex.as_bytes().chunks_exact(2);
    let octets: Vec<u8> = pairs.map(|pair| digit(&pair[0]) << 4 | digit(&pair[1])).collect();
    String::from_utf8_lossy(&octets).into_owned()
}

fn sender(envelope: &Envelope) -> String {
    with(path(&envelope.sender), &envelope.parameters)
}

fn path(address: &str) -> String {
    format!("<{address}>")
}

fn with(path: String, parameters: &str) -> String {
    if parameters.is_empty() { path } else { format!("{path} {}", cell(parameters)) }
}

/// A text as one line that is not too long.
pub(super) fn cell(text: &str) -> String {
    let lines = text.split(['\r', '\n', '\t']).map(str::trim).filter(|line| !line.is_empty());
    let line = lines.collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(CELL_MAX) {
        Some((at, _)) => format!("{}...", &line[..at]),
        None => line,
    }
}

/// A time without parts of a second.
pub(super) fn to_seconds(time: &str) -> String {
    match time.split_once('.') {
        Some((seconds, _)) => format!("{seconds}Z"),
        None => time.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::document::{EnvelopeRecipient, MessageLine};
    use super::*;

    fn envelope(sender: &str, recipients: &[&str]) -> Envelope {
        let recipient = |address: &&str| EnvelopeRecipient {
            address: (*address).to_owned(),
            parameters: "NOTIFY=NEVER".to_owned(),
        };
        Envelope {
            sender: sender.to_owned(),
            parameters: String::new(),
            recipients: recipients.iter().map(recipient).collect(),
        }
    }

    fn report() -> MessageReport {
        let line = |what: &str, from: Option<Octets>, to: &str| LedgerLine {
            plugin: "stamp".into(),
            event: "mail".into(),
            stage: "before".into(),
            at: "2026-11-22T20:40:07.123Z".into(),
            what: what.into(),
            from,
            to: Some(Octets::Text(to.into())),
            ..LedgerLine::default()
        };
        let body = LedgerLine {
            position: Some(2),
            from_octets: Some(3),
            to_octets: Some(0),
            ..line("body", Some(Octets::Text("sha256:00".into())), "sha256:00")
        };
        let sender = line("sender", Some(Octets::Text("a@b".into())), "");
        let header = line(
            "header_change",
            Some(Octets::Hex { hex: "583a20ff0d0a".into() }),
            "X: a\r\n\tb\r\n",
        );
        MessageReport {
            id: "01J".into(),
            received_at: "2026-11-22T20:40:07.123Z".into(),
            octets: 1234,
            client: "192.0.2.1".into(),
            helo: "client.test".into(),
            session: 7,
            came: envelope("a@b", &["c@d", "e@f"]),
            is: envelope("", &["c@d"]),
            tags: vec!["odd".into(), "seen".into()],
            recipients: vec![RecipientLine {
                address: "c@d".into(),
                state: "held".into(),
                destination: Some("d".into()),
                queue: Some("q".into()),
                route: Some("*".into()),
                due: None,
                attempts: Some(0),
                reply: "x".repeat(61),
            }],
            ledger: Some(vec![LedgerLine { spent_us: Some(17), ..sender }, header, body]),
        }
    }

    #[test]
    fn a_person_reads_what_happened() {
        let reason = "x".repeat(61);
        let wanted = format!(
            "\
message    01J
received   2026-11-22T20:40:07Z from 192.0.2.1 (client.test), session 7
size       1234 octets
sender     <>
  came as  <a@b>
came for   <c@d> NOTIFY=NEVER
           <e@f> NOTIFY=NEVER
tags       odd seen

RECIPIENT  STATE  DESTINATION  DUE  TRIED  LAST REASON
<c@d>      held   d #q by *    -    0      xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx...

<c@d>: {reason}

PLUG-IN  STAGE        WHAT           FROM           TO             TOOK
stamp    before mail  sender         <a@b>          <>             17 us
stamp    before mail  header_change  X: \u{fffd}           X: a b         -
stamp    before mail  body           3 octets at 2  0 octets at 2  -
"
        );
        assert_eq!(report().to_string(), wanted);
        let plain = MessageReport { ledger: Some(Vec::new()), ..report() }.to_string();
        assert!(plain.ends_with("\n\nno plug-in changed it\n"), "{plain}");
        let broken = MessageReport { ledger: None, ..report() }.to_string();
        assert!(broken.ends_with("can't be read\n"), "{broken}");
    }

    #[test]
    fn a_page_has_a_line_for_each_message() {
        let page = MessagePage {
            messages: vec![
                MessageLine {
                    id: "01J".into(),
                    received_at: "2026-11-22T20:40:07Z".into(),
                    octets: 9,
                    held: 1,
                    tags: vec!["odd".into()],
                    reply: "550 no\u{1b}".into(),
                    ..MessageLine::default()
                },
                MessageLine {
                    id: "01K".into(),
                    damaged: Some("its checksum is wrong".into()),
                    ..MessageLine::default()
                },
            ],
            next: Some("01K".into()),
        };
        let wanted = "\
ID   RECEIVED              OCTETS  QUEUED  HELD  EDITS  SENDER  TAGS  LAST REASON
01J  2026-11-22T20:40:07Z  9       0       1     0      <>      odd   550 no?
01K  damaged: its checksum is wrong

There are more: go on with --after 01K
";
        assert_eq!(page.to_string(), wanted);
        let folded = "\
ID   RECEIVED              OCTETS  QUEUED
    HELD  EDITS  SENDER  TAGS  LAST REASON
01J  2026-11-22T20:40:07Z  9       0
    1  0  <>  odd  550 no?
01K  damaged: its checksum is wrong

There are more: go on with --after 01K
";
        assert_eq!(format!("{page:42}"), folded);
        let empty = MessagePage { messages: Vec::new(), next: None };
        assert_eq!(empty.to_string(), "no messages\n");
    }
}
