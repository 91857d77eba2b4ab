//! Edits of a header block, octets in and octets out: fields are added, put in, changed and taken out by position.
//! Knows no field's meaning; what an edit does not name stays as it is, octet by octet.

use std::ops::Range;

use crate::{Change, Edit};

/// Carries out an edit of the header block; other edits change nothing here.
///
/// `header`: whole lines ended by CRLF, without the empty line that ends the block. A field that is not there is neither
/// changed nor taken out; a position behind the last field is the end.
pub fn edit_header(header: &mut Vec<u8>, edit: &Edit) {
    if let Some((range, octets)) = plan(header, edit) {
        header.splice(range, octets);
    }
}

/// Carries out an edit of the header block as [`edit_header`] does, and tells what changed; none: nothing did.
pub fn change_header(header: &mut Vec<u8>, edit: &Edit) -> Option<Change> {
    let (range, octets) = plan(header, edit)?;
    if header[range.clone()] == octets {
        return None;
    }
    let position = Fields::of(header).take_while(|field| field.start < range.start).count();
    let octets_or_none = |octets: &[u8]| (!octets.is_empty()).then(|| octets.into());
    let change = Change::Header {
        position: u32::try_from(position).unwrap_or(u32::MAX),
        from: octets_or_none(&header[range.clone()]),
        to: octets_or_none(&octets),
    };
    header.splice(range, octets);
    Some(change)
}

/// The values of all fields of a name, in any case, first to last: what stands behind the colon, folds and line ends as they are.
pub fn field_values<'h>(header: &'h [u8], name: &'h str) -> impl Iterator<Item = &'h [u8]> {
    let fields = Fields::of(header).map(|range| &header[range]);
    fields.filter_map(move |field| {
        let (known, rest) = field.split_at(spelt(field).len());
        let value = rest.strip_prefix(b":")?;
        known.trim_ascii_end().eq_ignore_ascii_case(name.as_bytes()).then_some(value)
    })
}

/// Which octets of the header block an edit replaces, and by which; none: it does nothing here.
fn plan(header: &[u8], edit: &Edit) -> Option<(Range<usize>, Vec<u8>)> {
    match edit {
        Edit::AddHeader { name, value } => {
            Some((header.len()..header.len(), field(name.as_bytes(), value)))
        }
        Edit::InsertHeader { position, name, value } => {
            let at = Fields::of(header).nth(*position as usize).map_or(header.len(), |it| it.start);
            Some((at..at, field(name.as_bytes(), value)))
        }
        Edit::ChangeHeader { name, index, value } => {
            let range = find(header, name, *index)?;
            // The name keeps the spelling it came with.
            let changed = field(spelt(&header[range.clone()]), value);
            Some((range, changed))
        }
        Edit::DeleteHeader { name, index } => Some((find(header, name, *index)?, Vec::new())),
        Edit::Attribute(_)
        | Edit::PrependBody(_)
        | Edit::AppendBody(_)
        | Edit::ReplaceBody(_)
        | Edit::Sender { .. }
        | Edit::AddRecipient(_)
        | Edit::RemoveRecipient(_)
        | Edit::ReplaceRecipient { .. }
        | Edit::RefuseRecipient { .. }
        | Edit::ReplaceCommand(_)
        | Edit::Route(_)
        | Edit::Identity(_)
        | Edit::AddKeyword { .. }
        | Edit::RemoveKeyword(_)
        | Edit::Hold { .. }
        | Edit::Tag { .. }
        | Edit::Discard
        | Edit::ReplyText(_)
        | Edit::ReplyDetail { .. }
        | Edit::Reverse(_) => None,
    }
}

/// A field as it is written.
fn field(name: &[u8], value: &[u8]) -> Vec<u8> {
    [name, b": ", value, b"\r\n"].concat()
}

/// Where the field of this name is that is the `index`th of them, from 1.
fn find(header: &[u8], name: &str, index: u32) -> Option<Range<usize>> {
    let named = |range: &Range<usize>| {
        spelt(&header[range.clone()]).trim_ascii_end().eq_ignore_ascii_case(name.as_bytes())
    };
    Fields::of(header).filter(named).nth((index as usize).checked_sub(1)?)
}

/// A field's name as it is spelt, with the obsolete white space before the colon (RFC 5322 section 4.5).
fn spelt(field: &[u8]) -> &[u8] {
    field.split(|&octet| octet == b':').next().unwrap_or_default()
}

/// The fields of a header block, each with its continuation lines, first to last.
struct Fields<'a> {
    header: &'a [u8],
    at: usize,
}

impl<'a> Fields<'a> {
    fn of(header: &'a [u8]) -> Self {
        Self { header, at: 0 }
    }
}

impl Iterator for Fields<'_> {
    type Item = Range<usize>;

    fn next(&mut self) -> Option<Range<usize>> {
        let start = self.at;
        if start == self.header.len() {
            return None;
        }
        loop {
            let rest = &self.header[self.at..];
            self.at += memchr::memchr(b'\n', rest).map_or(rest.len(), |end| end + 1);
            if !matches!(self.header.get(self.at), Some(b' ' | b'\t')) {
                return Some(start..self.at);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn insert(position: u32, name: &str, value: &str) -> Edit {
        Edit::InsertHeader { position, name: name.into(), value: value.as_bytes().into() }
    }

    fn change(name: &str, index: u32, value: &str) -> Edit {
        Edit::ChangeHeader { name: name.into(), index, value: value.as_bytes().into() }
    }

    fn delete(name: &str, index: u32) -> Edit {
        Edit::DeleteHeader { name: name.into(), index }
    }

    #[test]
    fn edits_name_fields_by_position_or_by_name_and_number() {
        const HEADER: &str = "A: 1\r\nTo : x,\r\n y\r\na:2\r\nB:\r\n\tz\r\n";
        let add = Edit::AddHeader { name: "X".into(), value: b"1\r\n 2"[..].into() };
        let cases = [
            (add, "A: 1\r\nTo : x,\r\n y\r\na:2\r\nB:\r\n\tz\r\nX: 1\r\n 2\r\n"),
            (insert(0, "X", "1"), "X: 1\r\nA: 1\r\nTo : x,\r\n y\r\na:2\r\nB:\r\n\tz\r\n"),
            (insert(2, "X", "1"), "A: 1\r\nTo : x,\r\n y\r\nX: 1\r\na:2\r\nB:\r\n\tz\r\n"),
            (insert(4, "X", "1"), "A: 1\r\nTo : x,\r\n y\r\na:2\r\nB:\r\n\tz\r\nX: 1\r\n"),
            (insert(u32::MAX, "X", ""), "A: 1\r\nTo : x,\r\n y\r\na:2\r\nB:\r\n\tz\r\nX: \r\n"),
            (change("a", 1, "9"), "A: 9\r\nTo : x,\r\n y\r\na:2\r\nB:\r\n\tz\r\n"),
            (change("A", 2, "9\r\n 8"), "A: 1\r\nTo : x,\r\n y\r\na: 9\r\n 8\r\nB:\r\n\tz\r\n"),
            (change("to", 1, "z"), "A: 1\r\nTo : z\r\na:2\r\nB:\r\n\tz\r\n"),
            (change("a", 3, "9"), HEADER),
            (change("a", 0, "9"), HEADER),
            (change("c", 1, "9"), HEADER),
            (delete("A", 1), "To : x,\r\n y\r\na:2\r\nB:\r\n\tz\r\n"),
            (delete("B", 1), "A: 1\r\nTo : x,\r\n y\r\na:2\r\n"),
            (delete("To", 1), "A: 1\r\na:2\r\nB:\r\n\tz\r\n"),
            (delete("To", 2), HEADER),
            (Edit::Discard, HEADER),
        ];
        for (edit, wanted) in cases {
            let mut header = HEADER.as_bytes().to_vec();
            edit_header(&mut header, &edit);
            assert_eq!(String::from_utf8_lossy(&header), wanted, "{edit:?}");
        }
        for (edit, wanted) in
            [(insert(3, "X", "1"), "X: 1\r\n"), (change("A", 1, "1"), ""), (delete("A", 1), "")]
        {
            let mut header = Vec::new();
            edit_header(&mut header, &edit);
            assert_eq!(String::from_utf8_lossy(&header), wanted, "{edit:?}");
        }
    }

    /// A field of any octets that a header block may have.
    fn any_field() -> impl Strategy<Value = (String, Vec<u8>)> {
        let name = proptest::sample::select(vec!["A", "a", "Subject", "X-B"]);
        let line =
            vec(any::<u8>().prop_filter("no line end", |octet| !b"\r\n".contains(octet)), 0..9);
        (name, vec(line, 1..4)).prop_map(|(name, lines)| {
            let octets = [name.as_bytes(), b":", &lines.join(&b"\r\n "[..]), b"\r\n"].concat();
            (name.to_owned(), octets)
        })
    }

    proptest! {
        /// The same as editing a list of fields.
        #[test]
        fn fields_that_no_edit_names_stay_as_they_are(
            fields in vec(any_field(), 0..8),
            edits in vec((0..4u8, 0..6u32, 0..3usize), 0..8),
        ) {
            let mut header: Vec<u8> = fields.iter().flat_map(|(_, octets)| octets.clone()).collect();
            let mut list = fields;
            for (kind, number, name) in edits {
                let name = ["A", "subject", "Y"][name];
                let at = |list: &[(String, Vec<u8>)]| {
                    let named = |(_, field): &(usize, &(String, Vec<u8>))| {
                        field.0.eq_ignore_ascii_case(name)
                    };
                    let mut of_name = list.iter().enumerate().filter(named);
                    (number as usize).checked_sub(1).and_then(|before| of_name.nth(before)).map(|it| it.0)
                };
                let fresh = |name: &str| (name.to_owned(), format!("{name}: v\r\n w\r\n").into_bytes());
                let edit = match kind {
                    0 => {
                        list.push(fresh(name));
                        Edit::AddHeader { name: name.into(), value: b"v\r\n w"[..].into() }
                    }
                    1 => {
                        list.insert((number as usize).min(list.len()), fresh(name));
                        insert(number, name, "v\r\n w")
                    }
                    2 => {
                        if let Some(at) = at(&list) {
                            list[at] = fresh(&list[at].0);
                        }
                        change(name, number, "v\r\n w")
                    }
                    _ => {
                        if let Some(at) = at(&list) {
                            list.remove(at);
                        }
                        delete(name, number)
                    }
                };
                let (mut before, mut changed) = (header.clone(), header.clone());
                edit_header(&mut header, &edit);
                let change = change_header(&mut changed, &edit);
                prop_assert_eq!(&changed, &header);
                prop_assert_eq!(change.is_none(), before == header);
                // What the change says is enough to make it.
                if let Some(Change::Header { position, from, to }) = change {
                    let (from, to) = (from.unwrap_or_default(), to.unwrap_or_default());
                    let start = Fields::of(&before)
                        .nth(position as usize)
                        .map_or(before.len(), |field| field.start);
                    let replaced: Vec<u8> =
                        before.splice(start..start + from.len(), to).collect();
                    prop_assert_eq!(&*replaced, &*from);
                    prop_assert_eq!(&before, &header);
                }
            }
            let wanted: Vec<u8> = list.into_iter().flat_map(|(_, octets)| octets).collect();
            prop_assert_eq!(header, wanted);
        }
    }
}
