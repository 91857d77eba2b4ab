//! Values of items: their types, as octets and as text.
//! Knows no item's meaning but which fields are lists and which is a date.

use super::field::{self, Field};
use super::same;
use super::time::TimeDate;

/// No type: TYPE_INVALID_OR_UNKNOWN.
pub(crate) const UNKNOWN: u16 = 0;
pub(crate) const MIME_PART: u16 = 0x0019;
pub(crate) const NUMBER: u16 = 0x0300;
pub(crate) const TIME: u16 = 0x0400;
pub(crate) const TEXT: u16 = 0x0500;
pub(crate) const TEXT_LIST: u16 = 0x0501;

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Text(Vec<u8>),
    List(Vec<Vec<u8>>),
    Number(f64),
    Time(TimeDate),
    /// A type of which nothing more is known, and its octets.
    Raw(u16, Vec<u8>),
}

impl Value {
    /// The value that a field has as an item of this name.
    pub(super) fn of_field(item: &str, field: &Field) -> Self {
        let text = field.unfolded();
        if ["SendTo", "CopyTo", "BlindCopyTo", "To", "Cc", "Bcc"]
            .iter()
            .any(|list| same(list, item))
        {
            return Self::List(field::addresses(&text));
        }
        if same(item, "PostedDate")
            && let Some(time) = TimeDate::of_date(&text)
        {
            return Self::Time(time);
        }
        Self::Text(text)
    }

    pub(crate) fn kind(&self) -> u16 {
        match self {
            Self::Text(_) => TEXT,
            Self::List(_) => TEXT_LIST,
            Self::Number(_) => NUMBER,
            Self::Time(_) => TIME,
            Self::Raw(kind, _) => *kind,
        }
    }

    /// Reads a value as NSFItemAppend is given one.
    pub(crate) fn read(kind: u16, octets: &[u8]) -> Option<Self> {
        Some(match kind {
            TEXT => Self::Text(octets.to_owned()),
            TEXT_LIST => Self::List(read_list(octets)?),
            NUMBER => Self::Number(f64::from_ne_bytes(octets.try_into().ok()?)),
            TIME => Self::Time(TimeDate::read(octets)?),
            _ => Self::Raw(kind, octets.to_owned()),
        })
    }

    /// The octets of the value, as a block of memory holds them behind the type.
    pub(crate) fn octets(&self) -> Vec<u8> {
        match self {
            Self::Text(text) => text.clone(),
            Self::List(texts) => write_list(texts),
            Self::Number(number) => number.to_ne_bytes().to_vec(),
            Self::Time(time) => time.octets().to_vec(),
            Self::Raw(_, octets) => octets.clone(),
        }
    }

    /// As text, entries of a list with something between.
    pub(crate) fn joined(&self, separator: &[u8]) -> Vec<u8> {
        match self {
            Self::Text(text) => text.clone(),
            Self::List(texts) => texts.join(separator),
            Self::Number(number) => number.to_string().into_bytes(),
            Self::Time(time) => time.to_string().into_bytes(),
            Self::Raw(_, octets) => octets.clone(),
        }
    }

    /// What stands for the value as one text: of a list, all entries.
    pub(crate) fn text(&self) -> Vec<u8> {
        match self {
            Self::Text(text) | Self::Raw(_, text) => text.clone(),
            Self::List(texts) => texts.join(&b"; "[..]),
            Self::Number(_) | Self::Time(_) => Vec::new(),
        }
    }

    /// The texts of a text or a list; none for others.
    pub(crate) fn texts(&self) -> &[Vec<u8>] {
        match self {
            Self::Text(text) => std::slice::from_ref(text),
            Self::List(texts) => texts,
            _ => &[],
        }
    }

    /// As the value of a header field, for text, folded so that no line is longer than it may be. Line ends are spaces: an
    /// item is one line.
    pub(super) fn field_text(&self) -> Option<Vec<u8>> {
        match self {
            Self::Text(text) => Some(field::folded(text)),
            Self::List(texts) => {
                // An entry of nothing would end the header.
                let entries = texts.iter().filter(|text| !field::is_blank(text));
                let lines: Vec<Vec<u8>> = entries.map(|text| field::folded(text)).collect();
                Some(lines.join(&b",\r\n "[..]))
            }
            _ => None,
        }
    }
}

/// A list in memory: a LIST with the number of entries, their lengths, their octets.
fn write_list(texts: &[Vec<u8>]) -> Vec<u8> {
    let short = |number: usize| u16::try_from(number).unwrap_or(u16::MAX);
    let count = short(texts.len());
    let texts = &texts[..usize::from(count)];
    let mut octets = count.to_ne_bytes().to_vec();
    octets.extend(texts.iter().flat_map(|text| short(text.len()).to_ne_bytes()));
    texts.iter().for_each(|text| octets.extend_from_slice(&text[..usize::from(short(text.len()))]));
    octets
}

fn read_list(octets: &[u8]) -> Option<Vec<Vec<u8>>> {
    let short =
        |at: usize| Some(usize::from(u16::from_ne_bytes(*octets.get(at..)?.first_chunk()?)));
    let count = short(0)?;
    let mut at = 2 + 2 * count;
    let mut texts = Vec::new();
    for index in 0..count {
        let length = short(2 + 2 * index)?;
        texts.push(octets.get(at..at + length)?.to_owned());
        at += length;
    }
    Some(texts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_as_they_are_written() {
        let list = vec![b"one".to_vec(), Vec::new(), b"three".to_vec()];
        for value in [
            Value::Text(b"text".to_vec()),
            Value::List(list),
            Value::Number(2.5),
            Value::Raw(0x0001, vec![1, 2, 3]),
        ] {
            assert_eq!(Value::read(value.kind(), &value.octets()), Some(value));
        }
        for (kind, octets) in [
            (TEXT_LIST, &b"\x02\0\x01\0"[..]),
            (TEXT_LIST, b"\x01\0\x05\0abc"),
            (TEXT_LIST, b""),
            (NUMBER, b"1234"),
            (TIME, b"1234"),
        ] {
            assert_eq!(Value::read(kind, octets), None, "{kind:#06x} {octets:?}");
        }
    }
}
