//! What plug-ins changed of a body, for the ledger of its message: where, how much, and digests in the place of octets.
//! Knows no store; the body is edited elsewhere.

use std::io;
use std::sync::Arc;

use sha2::{Digest, Sha256};
use stagepost_smtp::{Attributed, Change, Content, Edit, EditedBody, Span};

/// What stands between header block and text.
const EMPTY_LINE: &[u8] = b"\r\n";

/// Whether any of the edits is of the body.
pub(crate) fn edits_body(edits: &[Attributed]) -> bool {
    edits.iter().any(|known| text_of(&known.edit).is_some())
}

/// Notes with each edit of the body what it changes; the body as they leave it. Reads what was replaced: blocks.
///
/// # Errors
/// That can't be read.
pub(crate) fn note(
    edits: &mut [Attributed],
    received: &Arc<dyn Content>,
) -> io::Result<EditedBody> {
    let mut body = EditedBody::default();
    for Attributed { edit, changes, .. } in edits {
        let Some(to) = text_of(edit) else { continue };
        let octets = body.octets(received.body_octets());
        let from = match edit {
            Edit::ReplaceBody(_) => digest(&body, &**received)?,
            _ => span(b""),
        };
        if octets == 0 {
            changes.push(Change::Body { offset: 0, from: span(b""), to: span(EMPTY_LINE) });
        }
        let text = EMPTY_LINE.len() as u64;
        let offset = if let Edit::AppendBody(_) = edit { octets.max(text) } else { text };
        if from != to {
            changes.push(Change::Body { offset, from, to });
        }
        body.edit(edit);
    }
    Ok(body)
}

/// What an edit of the body writes.
fn text_of(edit: &Edit) -> Option<Span> {
    match edit {
        Edit::PrependBody(text) | Edit::AppendBody(text) | Edit::ReplaceBody(text) => {
            Some(text.span)
        }
        _ => None,
    }
}

fn span(octets: &[u8]) -> Span {
    Span { octets: octets.len() as u64, sha256: Sha256::digest(octets).into() }
}

/// The text of a body, behind its empty line.
fn digest(body: &EditedBody, received: &dyn Content) -> io::Result<Span> {
    let (mut sha256, mut octets, mut buffer) = (Sha256::new(), 0, Vec::new());
    loop {
        let offset = EMPTY_LINE.len() as u64 + octets;
        let piece = body.read(Some(received), offset, &mut buffer)?;
        if piece.is_empty() {
            return Ok(Span { octets, sha256: sha256.finalize().into() });
        }
        sha256.update(piece);
        octets += piece.len() as u64;
    }
}
