//! What an add-in has made of a message's note: the edits that lead from the message that came to the one that it left.
//! Knows the host's edits by their names; carries none out.

use super::field::Field;
use super::{Note, ORIGINATOR, RECIPIENTS, ROUTING_STATE, Value};

/// One edit, in the order in which they are to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// The field of this name and number, counted from 1, goes.
    Delete(String, u32),
    /// A field comes behind so many others.
    Insert(u32, Field),
    /// Another text of the body.
    Body,
    Sender(Vec<u8>),
    AddRecipient(Vec<u8>),
    RemoveRecipient(Vec<u8>),
    /// The message waits for the operator, in this routing state.
    Hold(String),
}

/// The longest headers that are compared field by field; of longer ones all fields between the first and the last that differ are
/// replaced.
const COMPARED_MAX: usize = 1000;

/// What is different.
pub(crate) fn between(came: &Note, left: &Note) -> Vec<Change> {
    let mut changes = fields(&came.fields, &left.fields);
    if came.body != left.body {
        changes.push(Change::Body);
    }
    let text = |note: &Note, name| note.value(name).map(|value| value.joined(b","));
    match (text(came, ORIGINATOR), text(left, ORIGINATOR)) {
        (before, Some(now)) if before.as_ref() != Some(&now) => changes.push(Change::Sender(now)),
        _ => {}
    }
    let list = |note: &Note| {
        note.value(RECIPIENTS).map_or_else(Vec::new, |value: Value| value.texts().to_vec())
    };
    let (before, now) = (list(came), list(left));
    let added = now.iter().filter(|one| !before.contains(one)).cloned();
    changes.extend(added.map(Change::AddRecipient));
    let gone = before.iter().filter(|one| !now.contains(one)).cloned();
    changes.extend(gone.map(Change::RemoveRecipient));
    if let Some(state) = text(left, ROUTING_STATE) {
        let state = String::from_utf8_lossy(&state).trim().to_ascii_uppercase();
        if state == "HOLD" || state == "DEAD" {
            changes.push(Change::Hold(state));
        }
    }
    changes
}

/// The edits of a header.
fn fields(came: &[Field], left: &[Field]) -> Vec<Change> {
    let first = came.iter().zip(left).take_while(|(one, other)| one == other).count();
    let (came_rest, left_rest) = (&came[first..], &left[first..]);
    let both = came_rest.iter().rev().zip(left_rest.iter().rev());
    let last = both.take_while(|(one, other)| one == other).count();
    let came_rest = &came_rest[..came_rest.len() - last];
    let left_rest = &left_rest[..left_rest.len() - last];
    let kept = match came_rest.len().max(left_rest.len()) <= COMPARED_MAX {
        true => common(came_rest, left_rest),
        false => Vec::new(),
    };

    let mut now = came.to_vec();
    let mut changes = Vec::new();
    // From the end, so that places before it stay what they are.
    for index in (0..came_rest.len()).rev() {
        if !kept.iter().any(|(before, _)| *before == index) {
            let at = first + index;
            let name = now[at].name.clone();
            let number =
                now[..=at].iter().filter(|field| field.name.eq_ignore_ascii_case(&name)).count();
            changes.push(Change::Delete(name, u32::try_from(number).unwrap_or(u32::MAX)));
            now.remove(at);
        }
    }
    for (index, field) in left_rest.iter().enumerate() {
        if !kept.iter().any(|(_, after)| *after == index) {
            let place = u32::try_from(first + index).unwrap_or(u32::MAX);
            changes.push(Change::Insert(place, field.clone()));
        }
    }
    changes
}

/// The longest sequence of fields that both have in the same order: pairs of their places.
fn common(one: &[Field], other: &[Field]) -> Vec<(usize, usize)> {
    let width = other.len() + 1;
    let mut lengths = vec![0_u16; (one.len() + 1) * width];
    for i in (0..one.len()).rev() {
        for j in (0..other.len()).rev() {
            lengths[i * width + j] = match one[i] == other[j] {
                true => lengths[(i + 1) * width + j + 1] + 1,
                false => lengths[(i + 1) * width + j].max(lengths[i * width + j + 1]),
            };
        }
    }
    let (mut i, mut j, mut pairs) = (0, 0, Vec::new());
    while i < one.len() && j < other.len() {
        if one[i] == other[j] {
            pairs.push((i, j));
            (i, j) = (i + 1, j + 1);
        } else if lengths[(i + 1) * width + j] >= lengths[i * width + j + 1] {
            i += 1;
        } else {
            j += 1;
        }
    }
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(names: &str) -> Vec<Field> {
        let field = |word: &str| {
            let (name, value) = word.split_at(1);
            Field { name: name.to_owned(), value: value.as_bytes().to_vec() }
        };
        names.split_whitespace().map(field).collect()
    }

    /// Carries edits out as the host does.
    fn carry_out(mut fields: Vec<Field>, changes: &[Change]) -> Vec<Field> {
        for change in changes {
            match change {
                Change::Delete(name, number) => {
                    let mut left = *number;
                    let at = fields.iter().position(|field| {
                        left -= u32::from(field.name == *name);
                        left == 0
                    });
                    fields.remove(at.unwrap());
                }
                Change::Insert(place, field) => fields.insert(*place as usize, field.clone()),
                other => panic!("{other:?}"),
            }
        }
        fields
    }

    #[test]
    fn edits_lead_from_one_header_to_the_other() {
        for (came, left, edits) in [
            ("a1 b1 c1", "a1 b1 c1", 0),
            ("a1 b1 c1", "a1 b2 c1", 2),
            ("a1 a2 a3 b1", "a1 a3 b1", 1),
            ("a1 b1", "a1 b1 x1", 1),
            ("a1 b1", "x1 a1 b1", 1),
            ("", "a1 b1", 2),
            ("a1 b1", "", 2),
            ("a1 b1 c1 d1 e1", "a2 b1 c1 d1 e2", 4),
            ("a1 b1 c1", "c1 b1 a1", 4),
            ("a1 a1 a1", "a1 a2 a1", 2),
        ] {
            let changes = fields(&header(came), &header(left));
            assert_eq!(changes.len(), edits, "{came} -> {left}: {changes:?}");
            assert_eq!(carry_out(header(came), &changes), header(left), "{came} -> {left}");
        }
    }

    #[test]
    fn envelope_and_state_are_compared_as_well() {
        let came =
            Note::of_message(b"", b"x".to_vec(), "a@b", vec![b"c@d".to_vec(), b"e@f".to_vec()]);
        assert_eq!(between(&came, &came), []);
        let mut left = came.clone();
        left.set(ORIGINATOR, Value::Text(b"g@h".to_vec())).unwrap();
        left.set(RECIPIENTS, Value::List(vec![b"e@f".to_vec(), b"i@j".to_vec()])).unwrap();
        left.set(ROUTING_STATE, Value::Text(b"Hold".to_vec())).unwrap();
        left.body = std::sync::Arc::new(b"y".to_vec());
        assert_eq!(
            between(&came, &left),
            [
                Change::Body,
                Change::Sender(b"g@h".to_vec()),
                Change::AddRecipient(b"i@j".to_vec()),
                Change::RemoveRecipient(b"c@d".to_vec()),
                Change::Hold("HOLD".to_owned()),
            ]
        );
    }
}
