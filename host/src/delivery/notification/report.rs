//! The octets of a notification: multipart/report with words for people, fields for programs, and the message
//! (RFC 3462, 3464, 6533).
//! Knows no queue; whatever others said is made fit for a header field here.

use std::time::SystemTime;

use stagepost_queue::StoredMessage;
use stagepost_smtp::{
    Address, Enhanced, RecipientWish, SenderWish, from_xtext, is_obeyed, parameter,
};

use super::{Action, Told};
use crate::delivery::finding::Finding;
use crate::intake::date;

/// Octets of a line before it is folded (RFC 5322 section 2.1.1).
const LINE_OCTETS: usize = 76;
/// Octets of a line at most, where there is no place to fold it.
const LINE_OCTETS_MAX: usize = 900;
/// Recipients with words of their own for people; the fields for programs name all of them.
const NAMED_MAX: usize = 50;
/// So much is told of why.
const REASON_OCTETS_MAX: usize = 1024;
const EIGHT_BIT: &str = "Content-Transfer-Encoding: 8bit\r\n";

/// What people are told first of what happened, in this order.
const KINDS: [&str; 6] = [FAILED, EXPIRED, LATE, DELAYED, RELAYED, DELIVERED];
const FAILED: &str = "Your message could not be delivered to:";
const EXPIRED: &str =
    "Your message could not be delivered in time. It was tried again and again, to:";
const LATE: &str = "Your message has taken longer than you have asked for, on its way to:";
const DELAYED: &str = "Your message could not be delivered yet. It is still being tried, so there is\r\n\
                       no need to send it again. It waits for:";
const RELAYED: &str = "Your message was given to a server that does not tell of its delivery, for:";
const DELIVERED: &str = "Your message was delivered to:";

/// Everything that a notification says.
pub(super) struct Report<'r> {
    /// The queue id of the notification: in its Message-ID, and between its parts.
    pub(super) id: &'r str,
    pub(super) hostname: &'r str,
    pub(super) to: &'r Address,
    pub(super) now: SystemTime,
    pub(super) message: &'r StoredMessage,
    pub(super) told: &'r [Told],
    /// The message is there with its body.
    pub(super) whole: bool,
    /// There are octets above 127 in it.
    pub(super) eight_bit: bool,
}

impl Report<'_> {
    /// The header block.
    pub(super) fn header(&self) -> Vec<u8> {
        let Self { id, hostname, to, .. } = self;
        let subject = match self.worst() {
            Action::Failed => "Undelivered mail returned to sender",
            Action::Delayed if self.told.iter().any(Told::is_over) => "Delayed mail",
            Action::Delayed => "Delayed mail (still being tried)",
            Action::Relayed => "Mail given to another server",
            Action::Delivered => "Mail was delivered",
        };
        let date = date(self.now);
        let encoding = if self.is_eight_bit() { EIGHT_BIT } else { "" };
        // In ASCII where that can be, so that every server takes it.
        let to = to.to_ascii().unwrap_or_else(|| (*to).clone());
        let header = format!(
            "From: Mail Delivery System <MAILER-DAEMON@{hostname}>\r\nTo: {to}\r\nSubject: {subject}\r\nDate: {date}\r\n\
             Message-ID: <{id}@{hostname}>\r\nAuto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\n\
             Content-Type: multipart/report; report-type=delivery-status;\r\n boundary=\"{}\"\r\n{encoding}",
            self.boundary()
        );
        header.into_bytes()
    }

    /// The body up to the message that it is about.
    pub(super) fn head(&self) -> Vec<u8> {
        let (boundary, words) = (self.boundary(), self.words());
        let global = self.is_global();
        let status =
            if global { "message/global-delivery-status" } else { "message/delivery-status" };
        let charset = if words.is_ascii() { "us-ascii" } else { "utf-8" };
        let words_encoding = if words.is_ascii() { "" } else { EIGHT_BIT };
        let encoding = if global { EIGHT_BIT } else { "" };
        let original = match (self.whole, global || self.is_original_global()) {
            (true, false) => "message/rfc822",
            (true, true) => "message/global",
            (false, false) => "text/rfc822-headers",
            (false, true) => "message/global-headers",
        };
        let original_encoding = if self.is_original_eight_bit() { EIGHT_BIT } else { "" };
        let text = format!(
            "\r\nThis is a multi-part message in MIME format.\r\n\r\n\
             --{boundary}\r\nContent-Type: text/plain; charset={charset}\r\n{words_encoding}\r\n{words}\r\n\
             --{boundary}\r\nContent-Type: {status}\r\n{encoding}\r\n{}\r\n\
             --{boundary}\r\nContent-Type: {original}\r\n{original_encoding}\r\n",
            self.fields()
        );
        text.into_bytes()
    }

    /// What follows the message.
    pub(super) fn tail(&self) -> Vec<u8> {
        format!("\r\n--{}--\r\n", self.boundary()).into_bytes()
    }

    /// Whether there are octets above 127 in it, or may be.
    pub(super) fn is_eight_bit(&self) -> bool {
        self.is_global() || self.is_original_eight_bit() || !self.words().is_ascii()
    }

    /// RFC 6532 section 3.7: the header block of the message is UTF-8.
    fn is_original_global(&self) -> bool {
        !self.message.header.is_ascii()
            && parameter(&self.message.envelope.parameters, "SMTPUTF8").is_some()
    }

    fn is_original_eight_bit(&self) -> bool {
        self.eight_bit || !self.message.header.is_ascii()
    }

    /// RFC 6533: an address that is told of is in another script.
    fn is_global(&self) -> bool {
        self.told.iter().any(|told| {
            let original = self.wish(told).original().map(|(_, original)| original);
            let address = self.address(told).unwrap_or_default();
            !address.is_ascii() || original.is_some_and(|original| !original.is_ascii())
        })
    }

    /// No message has it: it was made after it, and 80 bits of it are chance.
    fn boundary(&self) -> String {
        format!("{}/{}", self.id, self.hostname)
    }

    fn worst(&self) -> Action {
        self.told.iter().map(|told| told.action).max().unwrap_or(Action::Delivered)
    }

    fn address(&self, told: &Told) -> Option<&str> {
        let recipient = self.message.envelope.recipients.get(told.recipient as usize);
        recipient.map(|recipient| recipient.address.as_str())
    }

    fn wish(&self, told: &Told) -> RecipientWish {
        let recipient = self.message.envelope.recipients.get(told.recipient as usize);
        recipient.map(RecipientWish::of).unwrap_or_default()
    }

    /// The words for people.
    fn words(&self) -> String {
        let mut text = format!("This is the mail system at {}.\r\n", self.hostname);
        for words in KINDS {
            let told: Vec<&Told> = self.told.iter().filter(|told| kind(told) == words).collect();
            if told.is_empty() {
                continue;
            }
            text.push_str(&format!("\r\n{words}\r\n\r\n"));
            for told in told.iter().take(NAMED_MAX) {
                let why = folded("    ", &reason(&told.finding), "\r\n    ");
                text.push_str(&format!("  {}\r\n{why}\r\n", self.recipient_words(told)));
                if let Some(until) = told.until {
                    text.push_str(&format!("    (tried until {})\r\n", date(until)));
                }
            }
            if let Some(more @ 1..) = told.len().checked_sub(NAMED_MAX) {
                text.push_str(&format!("  and {more} more, named below\r\n"));
            }
        }
        text
    }

    /// A recipient, and whom the sender knows in the place of it.
    fn recipient_words(&self, told: &Told) -> String {
        let address = self.address(told).unwrap_or_default();
        match self.wish(told).original() {
            Some((_, original)) if !original.eq_ignore_ascii_case(address) => {
                format!("<{}> (you wrote to <{}>)", clean(address), clean(&original))
            }
            _ => format!("<{}>", clean(address)),
        }
    }

    /// The fields for programs (RFC 3464 section 2).
    fn fields(&self) -> String {
        let mut text = format!("Reporting-MTA: dns; {}\r\n", self.hostname);
        let wish = SenderWish::of(&self.message.envelope.parameters);
        if let Some(envid) = wish.envid.as_deref().and_then(from_xtext) {
            text.push_str(&field("Original-Envelope-Id", &envid));
        }
        let arrived = date(self.message.received_at);
        text.push_str(&format!("Arrival-Date: {arrived}\r\n"));
        // RFC 2852 section 5.
        if let Some(by) = wish.deliver_by {
            let over = date(by.time(self.message.received_at));
            text.push_str(&format!("Deliver-By-Date: {over}\r\n"));
        }
        // RFC 4865 section 5.1.2: as it was asked for.
        let asked = |keyword| parameter(&self.message.envelope.parameters, keyword);
        for (keyword, form) in [("HOLDFOR", "for"), ("HOLDUNTIL", "until")] {
            if let Some(value) = asked(keyword).filter(|_| wish.release.is_some()) {
                text.push_str(&field("Future-Release-Request", &format!("{form};{value}")));
            }
        }
        text.push_str(&format!("X-Stagepost-Queue-Id: {}\r\n", self.message.id));
        for told in self.told {
            text.push_str("\r\n");
            text.push_str(&self.recipient_fields(told));
        }
        if self.is_global() {
            return text;
        }
        // RFC 3464 section 2.1: of ASCII, whatever language an operator or a file system speaks.
        text.chars().map(|c| if c.is_ascii() { c } else { '?' }).collect()
    }

    fn recipient_fields(&self, told: &Told) -> String {
        let mut text = String::new();
        if let Some((kind, address)) = self.wish(told).original() {
            text.push_str(&address_field("Original-Recipient", kind, &address));
        }
        let address = self.address(told).unwrap_or_default();
        let kind = if address.is_ascii() { "rfc822" } else { "utf-8" };
        text.push_str(&address_field("Final-Recipient", kind, address));
        let action = match told.action {
            Action::Failed => "failed",
            Action::Delayed => "delayed",
            Action::Relayed => "relayed",
            Action::Delivered => "delivered",
        };
        text.push_str(&format!("Action: {action}\r\nStatus: {}\r\n", told.finding.status));
        let name = told.finding.remote.as_deref().and_then(server_name);
        if let Some(name) = name {
            text.push_str(&field("Remote-MTA", &format!("dns; {name}")));
        }
        let diagnostic = match &told.finding.reply {
            Some(reply) => format!("smtp; {}", bounded(reply)),
            None => format!("x-stagepost; {}", bounded(&told.finding.text)),
        };
        text.push_str(&field("Diagnostic-Code", &diagnostic));
        text.push_str(&format!("Last-Attempt-Date: {}\r\n", date(self.now)));
        if let Some(until) = told.until {
            text.push_str(&format!("Will-Retry-Until: {}\r\n", date(until)));
        }
        text
    }
}

/// Which of [`KINDS`] it is.
fn kind(told: &Told) -> &'static str {
    match told.action {
        // RFC 3463 section 3.5: delivery time expired.
        Action::Failed if told.finding.status == Enhanced::new(5, 4, 7) => EXPIRED,
        Action::Failed => FAILED,
        Action::Delayed if told.is_over() => LATE,
        Action::Delayed => DELAYED,
        Action::Relayed => RELAYED,
        Action::Delivered => DELIVERED,
    }
}

/// Why, for people: who has said what, where somebody has.
fn reason(finding: &Finding) -> String {
    match (&finding.remote, &finding.reply) {
        (Some(remote), Some(reply)) => format!("{remote} said: {}", bounded(reply)),
        _ => bounded(&finding.to_string()).to_owned(),
    }
}

/// As much of a reason as is told: a server may say 4,096 octets of each of 10,000 recipients.
fn bounded(reason: &str) -> &str {
    &reason[..reason.floor_char_boundary(REASON_OCTETS_MAX)]
}

/// The name or address of a server in the form that a field of type `dns` has; nothing for a socket of this machine.
fn server_name(shown: &str) -> Option<String> {
    if shown.starts_with('/') {
        return None;
    }
    if let Some((name, _)) = shown.split_once('[').filter(|(name, _)| !name.is_empty()) {
        return Some(name.to_owned());
    }
    let host = shown.rsplit_once(':').map_or(shown, |(host, _)| host);
    let host = host.trim_matches(['[', ']']);
    Some(match host.parse::<std::net::IpAddr>() {
        Ok(address) => format!("[{address}]"),
        Err(_) => host.to_owned(),
    })
}

/// A field of an address, which is never folded: spaces in quotes count.
fn address_field(name: &str, kind: &str, address: &str) -> String {
    let start = format!("{name}: {kind};");
    let joint = if start.len() + address.len() < LINE_OCTETS { " " } else { "\r\n " };
    format!("{start}{joint}{}\r\n", clean(address))
}

/// A field of one value, folded.
fn field(name: &str, value: &str) -> String {
    format!("{}\r\n", folded(&format!("{name}: "), value, "\r\n "))
}

/// Text without what whoever shows it would obey.
fn clean(text: &str) -> String {
    text.chars().map(|c| if is_obeyed(c) { '?' } else { c }).collect()
}

/// Words behind a beginning, in lines of bounded length; what a header field must not have becomes `?`.
fn folded(start: &str, text: &str, fold: &str) -> String {
    let mut out = start.to_owned();
    let mut line = start.len();
    for (number, word) in clean(text).split(' ').filter(|word| !word.is_empty()).enumerate() {
        if number > 0 && line + word.len() >= LINE_OCTETS {
            out.push_str(fold);
            line = 1;
        } else if number > 0 {
            out.push(' ');
            line += 1;
        }
        for character in word.chars() {
            if line + character.len_utf8() > LINE_OCTETS_MAX {
                out.push_str(fold);
                line = 1;
            }
            out.push(character);
            line += character.len_utf8();
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_folded_and_clean() {
        assert_eq!(field("A", "b"), "A: b\r\n");
        assert_eq!(field("A", "b\r\nC: d\0\u{202e}"), "A: b??C: d??\r\n");
        let spaces = address_field("A", "rfc822", "\"a  b\r\nC: d\"@x.test");
        assert_eq!(spaces, "A: rfc822; \"a  b??C: d\"@x.test\r\n");
        let long = format!("{}@x.test", "a".repeat(64));
        assert_eq!(address_field("Ab", "rfc822", &long), format!("Ab: rfc822;\r\n {long}\r\n"));
        let words = "word ".repeat(40);
        let long = "x".repeat(3000);
        for text in [words.as_str(), long.as_str(), &format!("{words}{long}\u{e4}")] {
            let folded = field("Diagnostic-Code", text);
            for (number, line) in folded.split_terminator("\r\n").enumerate() {
                assert!(line.len() <= LINE_OCTETS_MAX + 1, "{} octets", line.len());
                assert_eq!(line.starts_with(' '), number > 0, "{line}");
            }
            let unfolded: String = folded.split_whitespace().skip(1).collect();
            assert_eq!(unfolded, text.replace(' ', ""), "nothing is lost");
        }
        // RFC 5322 section 2.2.3: what a fold leaves is the space that was there.
        for name in ["A", "Diagnostic-Code"] {
            let unfolded = field(name, &words).replace("\r\n", "");
            assert_eq!(unfolded, format!("{name}: {}", words.trim_end()));
        }
    }

    #[test]
    fn servers_are_named_without_their_ports() {
        let cases = [
            ("mx.test[192.0.2.1]:25", Some("mx.test")),
            ("mx.test[2001:db8::1]:25", Some("mx.test")),
            ("192.0.2.1:25", Some("[192.0.2.1]")),
            ("[2001:db8::1]:25", Some("[2001:db8::1]")),
            ("mail.test:587", Some("mail.test")),
            ("/run/lmtp", None),
        ];
        for (shown, wanted) in cases {
            assert_eq!(server_name(shown).as_deref(), wanted, "{shown}");
        }
    }
}
