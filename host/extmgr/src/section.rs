//! A plug-in's own section of the configuration, with the place of every value in it.
//! Knows no configuration format: whoever reads the file makes the section.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

/// What the configuration says to one plug-in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section {
    file: String,
    json: Value,
    places: BTreeMap<String, (u32, u32)>,
}

impl Section {
    /// Makes a section out of what was read.
    ///
    /// `file` is the file as the operator knows it; `json` is an object; `places` has line and column
    /// (from 1) by dotted key, elements of an array as `key[0]`, the section itself under "".
    pub fn new(file: &str, json: Value, places: BTreeMap<String, (u32, u32)>) -> Self {
        Self { file: file.to_owned(), json, places }
    }

    /// The file it was read from, as the operator knows it.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// The section as a JSON object; an absent section is an empty one.
    pub fn json(&self) -> &Value {
        &self.json
    }

    /// The value under a dotted key; the whole section under "".
    pub fn value(&self, key: &str) -> Option<&Value> {
        if key.is_empty() {
            return Some(&self.json);
        }
        key.split('.').try_fold(&self.json, |table, name| table.get(name))
    }

    /// Line and column, from 1, of the value under a dotted key; of the section itself under "".
    pub fn place(&self, key: &str) -> Option<(u32, u32)> {
        self.places.get(key).copied()
    }

    /// The settings that nobody has asked for, given the dotted keys that were: neither a key itself, nor a table
    /// around it or a value in it. Of an unread table the table alone.
    pub(crate) fn unread(&self, keys: &BTreeSet<String>) -> Vec<(String, (u32, u32))> {
        let inside = |inner: &str, outer: &str| {
            outer.is_empty()
                || inner
                    .strip_prefix(outer)
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        let mut unread: Vec<(String, (u32, u32))> = Vec::new();
        for (key, place) in
            self.places.iter().filter(|(key, _)| !key.is_empty() && !key.contains('['))
        {
            let read = keys.iter().any(|asked| inside(key, asked) || inside(asked, key));
            let told = unread.iter().any(|(table, _)| inside(key, table));
            if !read && !told {
                unread.push((key.clone(), *place));
            }
        }
        unread
    }

    /// Every place by its dotted key.
    pub fn places(&self) -> &BTreeMap<String, (u32, u32)> {
        &self.places
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_that_nobody_asked_for_are_told() {
        let places = ["", "a", "ab", "list", "list[0]", "t", "t.x", "t.y", "u", "u.x"];
        let places = places.into_iter().map(|key| (key.to_owned(), (1, 1))).collect();
        let section = Section::new("f.toml", serde_json::json!({}), places);
        let cases: [(&[&str], &[&str]); 5] = [
            (&[], &["a", "ab", "list", "t", "u"]),
            (&[""], &[]),
            (&["a", "list", "t", "u"], &["ab"]),
            (&["a", "ab", "list", "t.x", "u"], &["t.y"]),
            (&["a", "ab", "list", "absent", "t.x", "t.y", "u.x"], &[]),
        ];
        for (keys, wanted) in cases {
            let keys = keys.iter().map(|key| (*key).to_owned()).collect();
            let found: Vec<_> = section.unread(&keys).into_iter().map(|(key, _)| key).collect();
            assert_eq!(found, wanted, "{keys:?}");
        }
    }

    #[test]
    fn dotted_keys_reach_into_tables() {
        let json = serde_json::json!({"a": 1, "t": {"b": {"c": "x"}}});
        let places = BTreeMap::from([("t.b.c".to_owned(), (7, 9))]);
        let section = Section::new("f.toml", json, places);
        assert_eq!(section.value("a"), Some(&Value::from(1)));
        assert_eq!(section.value("t.b.c"), Some(&Value::from("x")));
        assert_eq!(section.value("t.b.d"), None);
        assert_eq!(section.value("a.b"), None);
        assert!(section.value("").is_some_and(Value::is_object));
        assert_eq!(section.place("t.b.c"), Some((7, 9)));
        assert_eq!(section.place("a"), None);
    }
}
