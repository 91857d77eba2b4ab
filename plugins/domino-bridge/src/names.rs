//! The one database, names.nsf, and its one view, ($ServerConfig): documents that the configuration writes down, for reading.
//! Knows no handle.

use std::sync::{PoisonError, RwLock};

use crate::note::value::Value;
use crate::note::{Item, Note};
use crate::section::{Section, Values};

/// The NOTEID of the view; documents come behind it.
pub(crate) const VIEW: u32 = 0x0100;

/// Names by which the view is asked for.
const VIEW_NAMES: [&str; 2] = ["($ServerConfig)", "$ServerConfig"];

/// The documents, each with the server that it is for.
pub(crate) struct Names(RwLock<Vec<(String, Vec<Item>)>>);

impl Names {
    pub(crate) fn new(section: &Section) -> Self {
        Self(RwLock::new(documents(section)))
    }

    pub(crate) fn follow(&self, section: &Section) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = documents(section);
    }

    /// Whether a path means this database.
    pub(crate) fn is_here(path: &[u8]) -> bool {
        let file = path.rsplit(|octet| matches!(octet, b'/' | b'\\' | b'!')).next();
        file.is_some_and(|file| {
            file.eq_ignore_ascii_case(b"names.nsf") || file.eq_ignore_ascii_case(b"names")
        })
    }

    pub(crate) fn is_view(name: &[u8]) -> bool {
        VIEW_NAMES.iter().any(|view| name.eq_ignore_ascii_case(view.as_bytes()))
    }

    /// The place of the document for a server, counted from 1.
    pub(crate) fn find(&self, server: &[u8]) -> Option<u32> {
        let documents = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let place =
            documents.iter().position(|(name, _)| server.eq_ignore_ascii_case(name.as_bytes()))?;
        u32::try_from(place + 1).ok()
    }

    /// NOTEIDs of the documents from a place on.
    pub(crate) fn ids_from(&self, place: u32, most: u32) -> Vec<u32> {
        let count = self.0.read().unwrap_or_else(PoisonError::into_inner).len();
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        (place.max(1)..=count).take(most as usize).map(|place| VIEW + place * 4).collect()
    }

    /// A document as a note.
    pub(crate) fn note(&self, id: u32, database: u32) -> Option<Note> {
        let place = id.checked_sub(VIEW)?.checked_div(4)?.checked_sub(1)?;
        let documents = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let (_, items) = documents.get(usize::try_from(place).ok()?)?;
        Some(Note { items: items.clone(), database, id, class: 1, ..Note::default() })
    }
}

fn documents(section: &Section) -> Vec<(String, Vec<Item>)> {
    let item = |(name, values): (&String, &Values)| {
        let value = match values {
            Values::One(text) => Value::Text(text.clone().into_bytes()),
            Values::Many(texts) => {
                Value::List(texts.iter().map(|text| text.clone().into_bytes()).collect())
            }
        };
        Item { name: name.clone(), value }
    };
    let document = |(server, items)| {
        let server: &String = server;
        let items: &std::collections::BTreeMap<String, Values> = items;
        (server.clone(), items.iter().map(item).collect())
    };
    section.server_configuration.iter().map(document).collect()
}
