//! What one call writes into a body: text before it, behind it or in its place, checked as it comes and kept by the store.
//! Knows no sheet and no plug-in: who may write, and where, is for others to say.

use std::io;

use sha2::{Digest, Sha256};
use stagepost_abi as abi;
use stagepost_smtp::{BodyText, Draft, Edit, Scratch, Span};

/// The texts of one call.
#[derive(Default)]
pub(crate) struct Writing {
    front: Option<Text>,
    /// In the place of all there is.
    whole: Option<Text>,
    back: Option<Text>,
    /// Why something could not be kept: nothing of it counts.
    lost: Option<Box<str>>,
}

/// Where text goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Front,
    Whole,
    Back,
}

/// Text that is being written.
struct Text {
    scratch: Box<dyn Scratch>,
    octets: u64,
    sha256: Sha256,
    at: At,
}

/// What the text ends with so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum At {
    #[default]
    LineStart,
    Line,
    Cr,
}

impl Writing {
    /// Adds octets to a text. Refused ones change nothing; with ones that can't be kept all of the call's are lost.
    pub(crate) fn write(
        &mut self,
        draft: &Draft,
        place: Place,
        octets: &[u8],
    ) -> Result<(), abi::STATUS> {
        if self.lost.is_some() {
            return Err(abi::EM_ERR_IO);
        }
        let at = match self.text(place).as_ref().map_or(At::LineStart, |text| text.at) {
            // Where any octets are taken there are no lines to be ended.
            _ if draft.is_binary() => At::LineStart,
            at => check(octets, at).ok_or(abi::ERR_MISC_INVALID_ARGS)?,
        };
        let replaced = self.whole.is_some() || place == Place::Whole;
        // A line end may have to be added to each.
        let wanted = self.octets().saturating_add(octets.len() as u64).saturating_add(6);
        if wanted > draft.room(replaced) {
            return Err(abi::EM_ERR_LIMIT);
        }
        if let Err(error) = self.keep(draft, place, octets, at) {
            *self = Self { lost: Some(error.to_string().into()), ..Self::default() };
            return Err(abi::EM_ERR_IO);
        }
        Ok(())
    }

    fn keep(&mut self, draft: &Draft, place: Place, octets: &[u8], at: At) -> io::Result<()> {
        let text = match self.text(place) {
            Some(text) => text,
            none => none.insert(Text::new(draft.scratch().ok_or(io::ErrorKind::NotFound)?)),
        };
        text.scratch.write(octets)?;
        text.at = at;
        text.octets += octets.len() as u64;
        text.sha256.update(octets);
        Ok(())
    }

    /// Why nothing of it counts, if so.
    pub(crate) fn lost(&self) -> Option<&str> {
        self.lost.as_deref()
    }

    /// The edits that it comes to, in the order in which they are carried out.
    pub(crate) fn into_edits(self) -> impl Iterator<Item = Edit> {
        let some = |text: Option<Text>| text.map(Text::end);
        let not_empty = |text: &BodyText| text.span.octets > 0;
        let whole = some(self.whole).map(Edit::ReplaceBody);
        let front = some(self.front).filter(not_empty).map(Edit::PrependBody);
        let back = some(self.back).filter(not_empty).map(Edit::AppendBody);
        whole.into_iter().chain(front).chain(back)
    }

    fn text(&mut self, place: Place) -> &mut Option<Text> {
        match place {
            Place::Front => &mut self.front,
            Place::Whole => &mut self.whole,
            Place::Back => &mut self.back,
        }
    }

    fn octets(&self) -> u64 {
        [&self.front, &self.whole, &self.back].into_iter().flatten().map(|text| text.octets).sum()
    }
}

impl Text {
    fn new(scratch: Box<dyn Scratch>) -> Self {
        Self { scratch, octets: 0, sha256: Sha256::new(), at: At::LineStart }
    }

    /// Ends the last line, if it has no end.
    fn end(mut self) -> BodyText {
        let last: &[u8] = match self.at {
            At::LineStart => b"",
            At::Line => b"\r\n",
            At::Cr => b"\n",
        };
        self.sha256.update(last);
        let octets = self.octets + last.len() as u64;
        let span = Span { octets, sha256: self.sha256.finalize().into() };
        BodyText { span, kept: self.scratch.finish(last) }
    }
}

/// What a text ends with that went on with these octets; none: they can't be in a body. What is refused in a client's
/// message is refused here: NUL, and CR or LF that are no CRLF.
fn check(octets: &[u8], mut at: At) -> Option<At> {
    let mut rest = octets;
    while let Some(&first) = rest.first() {
        if at == At::Cr {
            if first != b'\n' {
                return None;
            }
            at = At::LineStart;
            rest = &rest[1..];
            continue;
        }
        match memchr::memchr3(b'\r', b'\n', 0, rest) {
            None => return Some(At::Line),
            Some(found) if rest[found] == b'\r' => {
                at = At::Cr;
                rest = &rest[found + 1..];
            }
            Some(_) => return None,
        }
    }
    Some(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_line_ends_are_let_pass_however_they_are_cut() {
        let cases: [(&[u8], Option<At>); 12] = [
            (b"", Some(At::LineStart)),
            (b"\r\n", Some(At::LineStart)),
            (b"a", Some(At::Line)),
            (b"a\xff\x80\t\r\n.\r\n", Some(At::LineStart)),
            (b"a\r", Some(At::Cr)),
            (b"\r\n\r", Some(At::Cr)),
            (b"\n", None),
            (b"a\nb", None),
            (b"a\r\r\n", None),
            (b"a\rb", None),
            (b"\0", None),
            (b"a\r\0", None),
        ];
        for (octets, wanted) in cases {
            for cut in 0..=octets.len() {
                let (first, second) = octets.split_at(cut);
                let found = check(first, At::LineStart).and_then(|at| check(second, at));
                assert_eq!(found, wanted, "{octets:?} cut at {cut}");
            }
        }
    }
}
