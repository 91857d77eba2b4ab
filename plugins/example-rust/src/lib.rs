//! example-rust: a plug-in in Rust. Logs who connects and stamps a header field on every message.
//! Knows the SDK and nothing else; the text of the field is `stamp` in the configuration.

use stagepost_sdk::{
    Answer, Connect, Edits, Host, Level, MessageAccept, Outcome, Plugin, StartError, export_plugin,
};

struct Stamper {
    stamp: &'static str,
}

impl Plugin for Stamper {
    fn start(host: Host) -> Result<Self, StartError> {
        let config = host.config();
        let stamp = config.text("stamp")?.unwrap_or("seen by example-rust");
        if !stamp.bytes().all(|octet| matches!(octet, b' '..=b'~')) {
            return Err(config.error("stamp", "must be printable ASCII").into());
        }
        Ok(Self { stamp })
    }

    fn before_connect(&self, event: &Connect<'_>, _: &mut Edits<'_>) -> Outcome {
        event.session.log(Level::Info, format_args!("connection from {}", event.remote_ip));
        Ok(Answer::Continue)
    }

    fn before_message_accept(&self, event: &MessageAccept<'_>, edits: &mut Edits<'_>) -> Outcome {
        let value = format!("{}, session {}", self.stamp, event.session.id());
        edits.header_add("X-Example-Rust", value)?;
        event.session.log(Level::Info, format_args!("stamped {} octets", event.octets));
        Ok(Answer::Continue)
    }
}

export_plugin! {
    type = Stamper,
    name = "example-rust",
    version = env!("CARGO_PKG_VERSION"),
    class = inline,
    stages = [before_connect, before_message_accept],
    edits = [header],
}
