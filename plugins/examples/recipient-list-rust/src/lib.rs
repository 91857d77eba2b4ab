//! Refuses the recipients that are configured as `refused`: addresses separated by spaces, in any case.
//! Knows no message: the other recipients of the same one are accepted.

use std::collections::HashSet;

use stagepost_sdk::{Answer, Edits, Host, Outcome, Plugin, Rcpt, StartError, export_plugin};

struct RecipientList {
    refused: HashSet<String>,
}

impl Plugin for RecipientList {
    fn start(host: Host) -> Result<Self, StartError> {
        let config = host.config();
        let list = config.text("refused")?.unwrap_or_default();
        let refused: HashSet<_> = list.split_ascii_whitespace().map(str::to_lowercase).collect();
        if refused.is_empty() {
            return Err(config.error("refused", "must be a string of addresses").into());
        }
        Ok(Self { refused })
    }

    fn before_rcpt(&self, event: &Rcpt<'_>, _: &mut Edits<'_>) -> Outcome {
        if self.refused.contains(&event.recipient.to_lowercase()) {
            return Ok(Answer::reject(550, "5.7.1", "This recipient takes no mail"));
        }
        Ok(Answer::Continue)
    }
}

export_plugin! {
    type = RecipientList,
    name = "recipient-list-rust",
    version = env!("CARGO_PKG_VERSION"),
    class = inline,
    stages = [before_rcpt],
    edits = [verdict],
}
