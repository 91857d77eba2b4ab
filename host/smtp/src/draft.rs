//! A message on its way in, as plug-ins read it: its octets, and its header block with the edits made so far.
//! Knows neither where the octets are kept nor who reads them.

use std::fmt;
use std::io;
use std::sync::{Arc, OnceLock};

use crate::{Edit, EditedBody, Scratch, edit_header};

/// The octets of one message as they were received. They stay as they are, however long somebody keeps this.
pub trait Content: Send + Sync {
    /// The header block, without the empty line that ends it.
    fn header(&self) -> &[u8];

    /// Octets of the body from `offset` on, as many as are at hand, at most 64 KiB: none at the end and behind it. The body
    /// is what follows the header block, with the empty line between the two.
    ///
    /// They are lent from where they are kept, or read into `buffer`, which may block for a disk.
    ///
    /// # Errors
    /// They can't be read.
    fn body<'a>(&'a self, offset: u64, buffer: &'a mut Vec<u8>) -> io::Result<&'a [u8]>;

    /// Octets of the whole body.
    fn body_octets(&self) -> u64;

    /// Begins to keep other octets beside it, which may become part of the message.
    fn scratch(&self) -> Box<dyn Scratch>;
}

/// What must stand between a header block and a body that begins with `body`: an empty line, when it has none. Without one
/// the text would become part of the fields put before it.
pub fn empty_line_before(body: &[u8]) -> &'static [u8] {
    if body.first().is_some_and(|&octet| octet != b'\r') { b"\r\n" } else { b"" }
}

/// A message and what plug-ins have changed of its header and body.
#[derive(Clone, Default)]
pub struct Draft {
    /// None: a message without octets.
    content: Option<Arc<dyn Content>>,
    /// Those of the header, in the order of the changes.
    edits: Vec<Edit>,
    /// The header block with all edits, made when somebody first reads it.
    edited: OnceLock<Vec<u8>>,
    body: EditedBody,
    /// How much plug-ins may write into its body.
    written_max: u64,
    binary: bool,
}

impl fmt::Debug for Draft {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Draft").field("edits", &self.edits).finish_non_exhaustive()
    }
}

impl Draft {
    /// A message without octets so far, with the edits of header and body among `edits`. Plug-ins may write
    /// `written_max` octets into its body; `binary`: any octets (RFC 3030 section 3), else lines.
    pub fn new<'a>(edits: impl Iterator<Item = &'a Edit>, written_max: u64, binary: bool) -> Self {
        let mut draft = Self { written_max, binary, ..Self::default() };
        edits.for_each(|edit| draft.edit(edit));
        draft
    }

    /// Gives it its octets.
    pub fn fill(&mut self, content: Arc<dyn Content>) {
        self.content = Some(content);
        self.edited = OnceLock::new();
    }

    /// Shows an edit of header or body to whoever reads next; other edits change nothing here.
    pub fn edit(&mut self, edit: &Edit) {
        self.body.edit(edit);
        if is_of_header(edit) {
            if let Some(header) = self.edited.get_mut() {
                edit_header(header, edit);
            }
            self.edits.push(edit.clone());
        }
    }

    /// The header block with the edits so far, without the empty line that ends it.
    pub fn header(&self) -> &[u8] {
        let received = self.content.as_ref().map_or(&[][..], |content| content.header());
        if self.edits.is_empty() {
            return received;
        }
        self.edited.get_or_init(|| {
            let mut header = received.to_vec();
            for edit in &self.edits {
                edit_header(&mut header, edit);
            }
            header
        })
    }

    /// Octets of the body, as [`Content::body`] lends them.
    ///
    /// # Errors
    /// They can't be read.
    pub fn body<'a>(&'a self, offset: u64, buffer: &'a mut Vec<u8>) -> io::Result<&'a [u8]> {
        self.body.read(self.content.as_deref(), offset, buffer)
    }

    /// Begins to keep text for the body; none: there is no place for it.
    pub fn scratch(&self) -> Option<Box<dyn Scratch>> {
        self.content.as_ref().map(|content| content.scratch())
    }

    /// Whether any octets may be in the body, rather than lines.
    pub fn is_binary(&self) -> bool {
        self.binary
    }

    /// How many octets may be written into the body: beside what earlier handlers wrote, or in the place of all there is.
    pub fn room(&self, replaced: bool) -> u64 {
        let written = if replaced { 0 } else { self.body.written() };
        self.written_max.saturating_sub(written)
    }
}

fn is_of_header(edit: &Edit) -> bool {
    matches!(
        edit,
        Edit::AddHeader { .. }
            | Edit::InsertHeader { .. }
            | Edit::ChangeHeader { .. }
            | Edit::DeleteHeader { .. }
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Kept(&'static [u8]);

    impl Content for Kept {
        fn header(&self) -> &[u8] {
            self.0
        }

        fn body<'a>(&'a self, _: u64, _: &'a mut Vec<u8>) -> io::Result<&'a [u8]> {
            Err(io::ErrorKind::Other.into())
        }

        fn body_octets(&self) -> u64 {
            9
        }

        fn scratch(&self) -> Box<dyn Scratch> {
            unreachable!("nobody writes")
        }
    }

    fn delete(name: &str) -> Edit {
        Edit::DeleteHeader { name: name.into(), index: 1 }
    }

    #[test]
    fn the_header_is_read_as_edited_so_far() {
        let earlier = [Edit::Discard, delete("A")];
        let mut draft = Draft::new(earlier.iter(), 0, false);
        assert_eq!(draft.header(), b"");
        draft.fill(Arc::new(Kept(b"A: 1\r\nB: 2\r\nC: 3\r\n")));
        assert_eq!(draft.header(), b"B: 2\r\nC: 3\r\n");
        let unread = Draft::new(earlier.iter(), 0, false);
        let read = draft.clone();
        for mut draft in [read, unread] {
            draft.fill(Arc::new(Kept(b"A: 1\r\nB: 2\r\nC: 3\r\n")));
            draft.edit(&delete("C"));
            draft.edit(&Edit::Discard);
            assert_eq!(draft.header(), b"B: 2\r\n");
            draft.edit(&Edit::AddHeader { name: "D".into(), value: b"4"[..].into() });
            assert_eq!(draft.header(), b"B: 2\r\nD: 4\r\n");
        }
        assert_eq!(draft.header(), b"B: 2\r\nC: 3\r\n", "a copy is one");
        assert!(draft.body(0, &mut Vec::new()).is_err());
        assert_eq!(Draft::default().body(0, &mut Vec::new()).unwrap(), b"");
    }
}
