//! What a client that is refused is told, and what the log says about it.
//! Knows no rule: who refuses says by what.

use std::borrow::Cow;

use stagepost_sdk::Answer;

use crate::cause::Cause;

/// A refusal, ready to be given at the stage that is configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) code: u16,
    pub(crate) enhanced: &'static str,
    pub(crate) text: Cow<'static, str>,
    /// For the log and the statistics.
    pub(crate) by: Cause,
}

impl Refusal {
    fn new(
        code: u16,
        enhanced: &'static str,
        text: impl Into<Cow<'static, str>>,
        by: Cause,
    ) -> Self {
        Self { code, enhanced, text: text.into(), by }
    }

    /// The host is denied, or not among those that are allowed.
    pub(crate) fn connection(by: Cause) -> Self {
        Self::new(554, "5.7.1", "Connection denied for policy reasons", by)
    }

    /// A list has the host.
    pub(crate) fn listed(text: String, by: Cause) -> Self {
        Self::new(554, "5.7.1", text, by)
    }

    /// The host's name decides, and nobody knows it now.
    pub(crate) fn name_unknown(by: Cause) -> Self {
        Self::new(450, "4.4.3", "Your host name can't be looked up now, try again later", by)
    }

    /// The host has no name (RFC 7372 section 3.3).
    pub(crate) fn no_name() -> Self {
        let by = Cause::rule("connection.verify_host_name");
        Self::new(550, "5.7.25", "Your address has no name in the DNS", by)
    }

    /// Whether the host has a name can't be told now.
    pub(crate) fn name_trouble() -> Self {
        let by = Cause::rule("connection.verify_host_name");
        Self::new(450, "4.7.25", "Your host name can't be looked up now, try again later", by)
    }

    /// What the client calls itself is denied.
    pub(crate) fn helo(by: Cause) -> Self {
        Self::new(550, "5.7.1", "Your EHLO name is rejected for policy reasons", by)
    }

    /// What the client calls itself is no name.
    pub(crate) fn helo_not_full(by: &'static str) -> Self {
        let text = "EHLO needs a full domain name, or an address in brackets";
        Self::new(550, "5.5.2", text, Cause::rule(by))
    }

    /// What the client calls itself does not exist.
    pub(crate) fn helo_missing() -> Self {
        let by = Cause::rule("helo.verify");
        Self::new(550, "5.7.1", "Your EHLO name does not exist in the DNS", by)
    }

    /// Whether what the client calls itself exists can't be told now.
    pub(crate) fn helo_trouble() -> Self {
        let by = Cause::rule("helo.verify");
        Self::new(450, "4.4.3", "Your EHLO name can't be looked up now, try again later", by)
    }

    /// Nobody knows the client yet (RFC 6647 section 5).
    pub(crate) fn greylisted() -> Self {
        Self::new(
            450,
            "4.7.1",
            "You are not known here yet, try again later",
            Cause::rule("greylist"),
        )
    }

    /// The sender is denied, or not among those that are allowed.
    pub(crate) fn sender(sender: &str, by: Cause) -> Self {
        let text = format!("Mail from <{}> rejected for policy reasons", printable(sender));
        Self::new(554, "5.7.1", text, by)
    }

    /// The sender's domain does not exist (RFC 3463: 1.8).
    pub(crate) fn sender_domain() -> Self {
        let by = Cause::rule("sender.verify_domain");
        Self::new(550, "5.1.8", "The sender's domain does not exist", by)
    }

    /// The sender's domain takes no mail (RFC 7505 section 4.2).
    pub(crate) fn sender_takes_none() -> Self {
        let by = Cause::rule("sender.verify_domain");
        Self::new(550, "5.7.27", "The sender's domain takes no mail", by)
    }

    /// Whether the sender's domain exists can't be told now.
    pub(crate) fn sender_trouble() -> Self {
        let by = Cause::rule("sender.verify_domain");
        Self::new(451, "4.4.3", "The sender's domain can't be looked up now, try again later", by)
    }

    /// The user may not send as this address (RFC 6409 section 6.1).
    pub(crate) fn not_own(address: &str) -> Self {
        let text = format!("You may not send as <{}>", printable(address));
        Self::new(550, "5.7.1", text, Cause::rule("sender.authenticated"))
    }

    /// Who the user sends as can't be told, and has to be.
    pub(crate) fn author_unclear(field: &str) -> Self {
        let text = format!("The field {field} must have one address, and it must be yours");
        Self::new(550, "5.7.1", text, Cause::rule("sender.authenticated"))
    }

    /// Relaying is not for this client, or not to this domain.
    pub(crate) fn relay(by: Cause) -> Self {
        Self::new(554, "5.7.1", "Relay rejected for policy reasons", by)
    }

    /// The recipient is denied, or not among those that are allowed.
    pub(crate) fn recipient(by: Cause) -> Self {
        Self::new(550, "5.7.1", "Recipient rejected for policy reasons", by)
    }

    /// What the directory says decides, and nobody knows it now.
    pub(crate) fn directory_trouble(by: &'static str) -> Self {
        let text = "The directory can't be asked now, try again later";
        Self::new(451, "4.3.0", text, Cause::rule(by))
    }

    /// The client, or the sender, does too much in too little time.
    pub(crate) fn limit(by: &'static str) -> Self {
        Self::new(
            450,
            "4.7.1",
            "Too much mail in too little time, try again later",
            Cause::rule(by),
        )
    }

    /// The answer that says so.
    pub(crate) fn answer(&self) -> Answer {
        if self.code < 500 {
            Answer::defer(self.code, self.enhanced, self.text.clone())
        } else {
            Answer::reject(self.code, self.enhanced, self.text.clone())
        }
    }
}

/// Replies are ASCII: what else a client writes is not said back to it.
fn printable(text: &str) -> String {
    text.chars().take(256).map(|c| if matches!(c, ' '..='~') { c } else { '?' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_decide_what_answer_it_is() {
        let text = "Your address has no name in the DNS";
        assert_eq!(Refusal::no_name().answer(), Answer::reject(550, "5.7.25", text));
        let answer = Refusal::name_trouble().answer();
        let text = "Your host name can't be looked up now, try again later";
        assert_eq!(answer, Answer::defer(450, "4.7.25", text));
        let sender = Refusal::sender("ü\r\n@a", Cause::rule("sender.deny"));
        assert_eq!(sender.text, "Mail from <???@a> rejected for policy reasons");
    }
}
