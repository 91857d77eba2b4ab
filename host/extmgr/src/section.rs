//! A plug-in's own section of the configuration, with the place of every value in it.
//! Knows no configuration format: whoever reads the file makes the section.

use std::collections::BTreeMap;

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

    /// Every place by its dotted key.
    pub fn places(&self) -> &BTreeMap<String, (u32, u32)> {
        &self.places
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
