//! Refuses a message while it comes, when its body has the text that is configured as `text`.
//! Knows octets: no encoding is undone and no case is folded.

use stagepost_sdk::{Answer, BodyChunk, Edits, Host, Outcome, Plugin, StartError, export_plugin};

struct BodyText {
    text: &'static [u8],
}

impl Plugin for BodyText {
    fn start(host: Host) -> Result<Self, StartError> {
        let config = host.config();
        match config.text("text")?.unwrap_or_default() {
            "" => Err(config.error("text", "must be a text").into()),
            text => Ok(Self { text: text.as_bytes() }),
        }
    }

    fn before_body(&self, event: &BodyChunk<'_>, _: &mut Edits<'_>) -> Outcome {
        // A chunk may end inside the text, so the end of the last one is kept for the message, and looked at again.
        let found = event.session.message_slot(|window: &mut Vec<u8>| {
            window.extend_from_slice(event.octets);
            let found = window.windows(self.text.len()).any(|octets| octets == self.text);
            window.drain(..window.len().saturating_sub(self.text.len() - 1));
            found
        })?;
        if found {
            return Ok(Answer::reject(554, "5.7.1", "This text is not taken here"));
        }
        Ok(Answer::Continue)
    }
}

export_plugin! {
    type = BodyText,
    name = "body-text-rust",
    version = env!("CARGO_PKG_VERSION"),
    class = inline,
    stages = [before_body],
    edits = [verdict],
}
