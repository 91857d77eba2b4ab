//! Notes in memory, as add-ins see a message: the fields of its header and its body, and items beside them.
//! Knows no handle and no session; what became of a note is in `changes`.

pub(crate) mod changes;
pub(crate) mod field;
pub(crate) mod time;
pub(crate) mod value;

use std::sync::Arc;

use field::Field;
use value::Value;

/// The item that is the body.
pub(crate) const BODY: &str = "Body";
/// The envelope's sender.
pub(crate) const ORIGINATOR: &str = "SMTPOriginator";
/// The envelope's recipients.
pub(crate) const RECIPIENTS: &str = "Recipients";
/// What becomes of the message: HOLD, DEAD or nothing.
pub(crate) const ROUTING_STATE: &str = "RoutingState";

/// The most items and fields that a note may have.
const ITEMS_MAX: usize = 10_000;

/// Items that are fields of the header under another name.
const RENAMED: [(&str, &str); 7] = [
    ("SendTo", "To"),
    ("CopyTo", "Cc"),
    ("BlindCopyTo", "Bcc"),
    ("ReplyTo", "Reply-To"),
    ("PostedDate", "Date"),
    ("$MessageID", "Message-ID"),
    ("INetFrom", "From"),
];

/// Items that are in no header.
const INTERNAL: [&str; 9] = [
    BODY,
    "Form",
    ORIGINATOR,
    RECIPIENTS,
    ROUTING_STATE,
    "RouteServers",
    "RouteTimes",
    "INetSendTo",
    "SMTP",
];

/// A note.
#[derive(Clone, Debug, Default)]
pub(crate) struct Note {
    pub(crate) fields: Vec<Field>,
    /// The text behind the header and its empty line.
    pub(crate) body: Arc<Vec<u8>>,
    pub(crate) items: Vec<Item>,
    /// Whether there is a message behind it.
    pub(crate) is_message: bool,
    /// Whether it is that of a message that is asked about now: the bridge's to close.
    pub(crate) in_hand: bool,
    /// The database that it is of, by handle; 0 for none.
    pub(crate) database: u32,
    pub(crate) id: u32,
    pub(crate) class: u16,
    pub(crate) flags: u16,
}

/// An item that is no field.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Item {
    pub(crate) name: String,
    pub(crate) value: Value,
}

/// There are too many items.
#[derive(Debug)]
pub(crate) struct TooMany;

impl Note {
    /// Makes the note of a message and its envelope.
    pub(crate) fn of_message(
        header: &[u8],
        body: Vec<u8>,
        sender: &str,
        recipients: Vec<Vec<u8>>,
    ) -> Self {
        let text = |text: &str| Value::Text(text.as_bytes().to_vec());
        let item = |name: &str, value| Item { name: name.to_owned(), value };
        let items = vec![
            item("Form", text("Memo")),
            item(ORIGINATOR, text(sender)),
            item(RECIPIENTS, Value::List(recipients)),
            item("$NoteHasNativeMIME", text("1")),
        ];
        let fields = field::split(header);
        Self {
            fields,
            body: Arc::new(body),
            items,
            is_message: true,
            in_hand: true,
            ..Self::default()
        }
    }

    /// The items of a name, or all, from a place on: their places, which end with the next change, and values. Fields are
    /// behind the others, unless one of these has their name.
    pub(crate) fn entries<'a>(
        &'a self,
        from: usize,
        name: Option<&'a str>,
    ) -> impl Iterator<Item = (usize, Value)> + 'a {
        let wanted = move |item: &str| name.is_none_or(|name| same(item, name));
        let is_item = |name: &str| self.items.iter().any(|item| same(&item.name, name));
        let header = name.filter(|name| !is_item(name)).and_then(header_name);
        let (body, has_body) = (self.items.len(), self.is_message && !is_item(BODY));

        let items = self.items.iter().enumerate().skip(from);
        let items = items.filter(move |(_, item)| wanted(&item.name));
        let items = items.map(|(place, item)| (place, item.value.clone()));
        let part = (has_body && wanted(BODY) && from <= body).then_some(&self.body);
        let part = part
            .into_iter()
            .map(move |octets| (body, Value::Raw(value::MIME_PART, octets.to_vec())));
        let first = from.saturating_sub(body + 1);
        let fields =
            self.fields.iter().enumerate().skip(first).filter_map(move |(place, field)| {
                let item = match name {
                    Some(name) => {
                        header.filter(|header| same(&field.name, header)).and(Some(name))?
                    }
                    None => item_name(field),
                };
                Some((body + 1 + place, Value::of_field(item, field)))
            });
        items.chain(part).chain(fields)
    }

    /// The value of the first item of a name.
    pub(crate) fn value(&self, name: &str) -> Option<Value> {
        self.entries(0, Some(name)).next().map(|(_, value)| value)
    }

    /// Puts a value in the place of all items of a name.
    pub(crate) fn set(&mut self, name: &str, value: Value) -> Result<(), TooMany> {
        if let (Some(header), Some(text)) = (self.field_of(name), value.field_text()) {
            self.items.retain(|item| !same(&item.name, name));
            match self.fields.iter().position(|field| same(&field.name, &header)) {
                Some(first) => {
                    self.fields[first].value = text;
                    let mut at = 0;
                    self.fields.retain(|field| {
                        at += 1;
                        at - 1 <= first || !same(&field.name, &header)
                    });
                }
                None => self.push_field(Field { name: header, value: text })?,
            }
            return Ok(());
        }
        self.delete(name);
        self.push(name, value)
    }

    /// Adds an item beside those of its name.
    pub(crate) fn append(&mut self, name: &str, value: Value) -> Result<(), TooMany> {
        match (self.field_of(name), value.field_text()) {
            (Some(name), Some(value)) => self.push_field(Field { name, value }),
            _ => self.push(name, value),
        }
    }

    /// Takes all items of a name away. False: there was none.
    pub(crate) fn delete(&mut self, name: &str) -> bool {
        let before = self.items.len() + self.fields.len();
        self.items.retain(|item| !same(&item.name, name));
        if let Some(header) = self.field_of(name) {
            self.fields.retain(|field| !same(&field.name, &header));
        }
        before != self.items.len() + self.fields.len()
    }

    /// Whether it has a message that came as MIME.
    pub(crate) fn has_mime(&self) -> bool {
        self.is_message
    }

    /// The message as octets, the header's included or not.
    pub(crate) fn message(&self, with_header: bool) -> Vec<u8> {
        let mut octets = Vec::with_capacity(self.body.len() + 1024);
        if with_header {
            for field in &self.fields {
                field.write(&mut octets);
            }
            octets.extend_from_slice(b"\r\n");
        }
        octets.extend_from_slice(&self.body);
        octets
    }

    /// The header field that an item of this name is, where it is one.
    fn field_of(&self, name: &str) -> Option<String> {
        let header = header_name(name).filter(|_| self.is_message)?;
        let known = self.fields.iter().find(|field| same(&field.name, header));
        Some(known.map_or_else(|| header.to_owned(), |field| field.name.clone()))
    }

    fn push(&mut self, name: &str, value: Value) -> Result<(), TooMany> {
        if self.items.len() >= ITEMS_MAX {
            return Err(TooMany);
        }
        self.items.push(Item { name: name.to_owned(), value });
        Ok(())
    }

    fn push_field(&mut self, field: Field) -> Result<(), TooMany> {
        if self.fields.len() >= ITEMS_MAX {
            return Err(TooMany);
        }
        self.fields.push(field);
        Ok(())
    }
}

/// Item names are the same in any case; the hyphens of header names are underscores in items.
pub(crate) fn same(one: &str, other: &str) -> bool {
    let plain = |octet: u8| if octet == b'-' { b'_' } else { octet.to_ascii_lowercase() };
    one.len() == other.len() && one.bytes().map(plain).eq(other.bytes().map(plain))
}

/// The name that a field has as an item.
fn item_name(field: &Field) -> &str {
    let renamed = RENAMED.iter().find(|(_, header)| same(header, &field.name));
    renamed.map_or(&field.name, |(item, _)| item)
}

/// The header field that items of this name are, if they can be one.
fn header_name(name: &str) -> Option<&str> {
    if let Some((_, header)) = RENAMED.iter().find(|(item, _)| same(item, name)) {
        return Some(header);
    }
    let internal = name.starts_with('$')
        || INTERNAL.iter().any(|internal| same(internal, name))
        || name.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("SMTP"));
    (!internal && field::is_name(name)).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &[u8] = b"Received: one\r\nReceived: two\r\n\tmore\r\nFrom: a@b.test\r\nTo: x@y.test,\r\n \"q, r\" <z@y.test>\r\nX-Note: old\r\nSubject: hi\r\n";

    fn note() -> Note {
        Note::of_message(HEADER, b"text\r\n".to_vec(), "s@b.test", vec![b"x@y.test".to_vec()])
    }

    fn text(note: &Note, name: &str) -> Option<String> {
        note.value(name).map(|value| String::from_utf8(value.joined(b"; ")).unwrap())
    }

    #[test]
    fn items_are_the_fields_and_the_envelope() {
        let note = note();
        for (name, wanted) in [
            ("Subject", Some("hi")),
            ("SUBJECT", Some("hi")),
            ("sendto", Some("x@y.test; \"q, r\" <z@y.test>")),
            ("X_Note", Some("old")),
            ("Received", Some("one")),
            ("SMTPOriginator", Some("s@b.test")),
            ("Recipients", Some("x@y.test")),
            ("Form", Some("Memo")),
            ("Body", Some("text\r\n")),
            ("CopyTo", None),
            ("RoutingState", None),
            ("$Other", None),
        ] {
            assert_eq!(text(&note, name).as_deref(), wanted, "{name}");
        }
        let received: Vec<_> = note.entries(0, Some("received")).collect();
        assert_eq!((received.len(), received[1].1.joined(b"")), (2, b"two\tmore".to_vec()));
        assert_eq!(note.entries(received[1].0, Some("Received")).count(), 1);
        assert_eq!(note.entries(received[1].0 + 1, Some("Received")).count(), 0);
        // Four beside the header, the body, and a field each.
        let places: Vec<usize> = note.entries(0, None).map(|(place, _)| place).collect();
        assert_eq!(places, (0..11).collect::<Vec<_>>());
        assert_eq!(
            note.entries(4, None).next().map(|(_, value)| value.kind()),
            Some(value::MIME_PART)
        );
        assert_eq!(note.entries(5, None).count(), 6);
    }

    #[test]
    fn what_is_set_is_a_field_where_it_can_be_one() {
        let mut note = note();
        note.set("Subject", Value::Text(b"new\0line".to_vec())).unwrap();
        note.set("received", Value::Text(b"three".to_vec())).unwrap();
        note.set("X-Spam", Value::Text(b"yes".to_vec())).unwrap();
        note.set("RoutingState", Value::Text(b"HOLD".to_vec())).unwrap();
        note.set("X_Count", Value::Number(4.0)).unwrap();
        assert!(note.delete("X_NOTE") && !note.delete("X_NOTE"));
        let header = String::from_utf8(note.message(true)).unwrap();
        assert_eq!(
            header,
            "Received: three\r\nFrom: a@b.test\r\nTo: x@y.test,\r\n \"q, r\" <z@y.test>\r\nSubject: new line\r\nX-Spam: yes\r\n\r\ntext\r\n"
        );
        assert_eq!(text(&note, "X_Count").as_deref(), Some("4"));
        assert_eq!(text(&note, ROUTING_STATE).as_deref(), Some("HOLD"));
    }
}
