//! Delivers user+tag@ to user@, for the domains that are configured as `domains`, and keeps the tag in a header field.
//! Knows no domain by itself: the host looks at them, so the handler is called for nothing else.

use stagepost_sdk::{
    Answer, Edits, Filter, Host, Outcome, Plugin, Rcpt, StartError, export_plugin,
};

struct SubAddress {
    domains: &'static str,
}

impl Plugin for SubAddress {
    fn start(host: Host) -> Result<Self, StartError> {
        let config = host.config();
        match config.text("domains")?.unwrap_or_default() {
            "" => Err(config.error("domains", "must be a string of domains").into()),
            domains => Ok(Self { domains }),
        }
    }

    fn filter(&self) -> Filter {
        Filter::new().recipient_domains(self.domains.split_ascii_whitespace())
    }

    fn before_rcpt(&self, event: &Rcpt<'_>, edits: &mut Edits<'_>) -> Outcome {
        if let Some((plain, tag)) = split(event.recipient) {
            edits.recipient_replace(None, &plain, "")?;
            // All recipients of the message see it, as they see any other field.
            edits.header_add("X-Sub-Address", tag)?;
        }
        Ok(Answer::Continue)
    }
}

/// The address without its tag, and the tag; in a quoted local part a plus is a letter like any other.
fn split(recipient: &str) -> Option<(String, &str)> {
    let (local, domain) = recipient.rsplit_once('@')?;
    let (user, tag) = local.split_once('+')?;
    let sound = !user.is_empty() && !tag.is_empty() && !user.starts_with('"');
    sound.then(|| (format!("{user}@{domain}"), tag))
}

export_plugin! {
    type = SubAddress,
    name = "sub-address-rust",
    version = env!("CARGO_PKG_VERSION"),
    class = inline,
    stages = [before_rcpt],
    edits = [recipient, header],
}
