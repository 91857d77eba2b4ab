//! Before each message is stored, sends one of its own about it, without a thread that waits. Messages of other plug-ins are
//! messages like others to it, and are marked.
//! Knows no host.

use stagepost_sdk::{
    Answer, AsyncPlugin, Edits, Host, Level, MessageAccept, Outcome, Pending, Plugin, Reason,
    StartError, export_plugin,
};

struct Notifier {
    host: Host,
}

impl Plugin for Notifier {
    fn start(host: Host) -> Result<Self, StartError> {
        Ok(Self { host })
    }

    fn sees_submitted(&self) -> bool {
        true
    }
}

impl AsyncPlugin for Notifier {
    async fn before_message_accept(
        &self,
        event: &MessageAccept<'_>,
        edits: &mut Edits<'_>,
        call: &Pending,
    ) -> Outcome {
        if event.session.listener() == Some("plug-in") {
            edits.header_add("X-Seen", "in Rust")?;
        }
        let mut message = self.host.submit(Some(&event.session), "", "")?;
        message.recipient("told@example.test", "")?;
        let nowhere = message.recipient("x@foreign.test", "").err().map(|refusal| refusal.reason);
        let octets = "Subject: told\r\n\r\n.a line that begins with a dot\r\n";
        for piece in octets.as_bytes().chunks(7) {
            message.write(call, piece).await?;
        }
        let line = "x".repeat(900) + "\r\n";
        message.write(call, line.repeat(100)).await?;
        let id = message.commit(call).await?;
        let told = nowhere == Some(Reason::NoRoute);
        self.host.log(Level::Info, format_args!("sent {id}, {told}"));
        // One that is given up leaves nothing.
        let mut dropped = self.host.submit(None, "a@client.test", "SIZE=7")?;
        dropped.recipient_granted("told@example.test", "")?;
        Ok(Answer::Continue)
    }
}

export_plugin! {
    type = Notifier,
    name = "notifier-rust",
    version = env!("CARGO_PKG_VERSION"),
    class = inline,
    stages = [],
    async_stages = [before_message_accept],
    edits = [submit, header],
}
