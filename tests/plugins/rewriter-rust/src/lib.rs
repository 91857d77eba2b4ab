//! Rewrites the body of every message piece by piece: each 'b' becomes a 'c', a line comes before and one behind.
//! Knows no host.

use std::io::{BufRead, Write};

use stagepost_sdk::{
    Answer, Edits, Host, MessageAccept, Outcome, Plugin, StartError, export_plugin,
};

struct Rewriter;

impl Plugin for Rewriter {
    fn start(_: Host) -> Result<Self, StartError> {
        Ok(Self)
    }

    fn before_message_accept(&self, event: &MessageAccept<'_>, edits: &mut Edits<'_>) -> Outcome {
        let mut text = event.message.text();
        edits.body_append("Rust was ")?;
        edits.body_append("here\r\n")?;
        edits.body_prepend("Rust comes\r\n")?;
        let mut writer = edits.body_replace()?;
        loop {
            let mut piece = text.fill_buf()?.to_vec();
            if piece.is_empty() {
                return Ok(Answer::Continue);
            }
            text.consume(piece.len());
            piece.iter_mut().filter(|octet| **octet == b'b').for_each(|octet| *octet = b'c');
            writer.write_all(&piece)?;
        }
    }
}

export_plugin! {
    type = Rewriter,
    name = "rewriter-rust",
    version = env!("CARGO_PKG_VERSION"),
    class = inline,
    stages = [before_message_accept],
    edits = [body],
}
