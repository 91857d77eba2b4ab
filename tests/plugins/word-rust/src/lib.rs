//! Refuses a message that has "forbidden" in its body, wherever the pieces of it begin and end.
//! Knows no host.

use std::io::BufRead;

use stagepost_sdk::{
    Answer, Edits, Host, MessageAccept, Outcome, Plugin, StartError, export_plugin,
};

const WORD: &[u8] = b"forbidden";

struct Word;

impl Plugin for Word {
    fn start(_: Host) -> Result<Self, StartError> {
        Ok(Self)
    }

    fn before_message_accept(&self, event: &MessageAccept<'_>, _: &mut Edits<'_>) -> Outcome {
        let mut body = event.message.body();
        // The end of the last piece, in which the word may begin, and the next one.
        let mut window = Vec::new();
        loop {
            let piece = body.fill_buf()?;
            if piece.is_empty() {
                return Ok(Answer::Continue);
            }
            let octets = piece.len();
            window.extend_from_slice(piece);
            body.consume(octets);
            if window.windows(WORD.len()).any(|word| word == WORD) {
                return Ok(Answer::reject(554, "5.7.1", "A word in Rust"));
            }
            window.drain(..window.len().saturating_sub(WORD.len() - 1));
        }
    }
}

export_plugin! {
    type = Word,
    name = "word-rust",
    version = env!("CARGO_PKG_VERSION"),
    class = inline,
    stages = [before_message_accept],
    edits = [verdict],
}
