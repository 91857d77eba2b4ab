//! The whole section of a plug-in as a type of the author's own, with errors that say where the value stands.
//! Knows no key; for plug-ins built with the feature `serde`.

use serde::de::DeserializeOwned;

use crate::config::{Config, ConfigError, Place};

impl Config {
    /// Reads the whole section. Without one it is read as an empty table.
    ///
    /// # Errors
    /// What serde has against it, with the place of the value, or of the table in which it is missing.
    pub fn section<T: DeserializeOwned>(&self) -> Result<T, ConfigError> {
        let json = self.json("")?.unwrap_or("{}");
        let mut reader = serde_json::Deserializer::from_str(json);
        serde_path_to_error::deserialize(&mut reader).map_err(|error| {
            let key = error.path().to_string();
            // The top has no name, and a line and column of the JSON would lead astray.
            let key = if key == "." { String::new() } else { key };
            let text = error.inner().to_string();
            let text = text.split(" at line ").next().unwrap_or_default();
            let reason = format!("is wrong: {text}");
            ConfigError::Value { place: self.place_near(&key), key, reason }
        })
    }

    /// Tells where a value stands, or the nearest table around where it would.
    ///
    /// - key: as elsewhere; elements of arrays are `key[0]`.
    pub fn place_near(&self, key: &str) -> Option<Place> {
        let outward = std::iter::successors(Some(key), |key| {
            (!key.is_empty()).then(|| key.rfind(['.', '[']).map_or("", |end| &key[..end]))
        });
        outward.into_iter().find_map(|key| self.place(key))
    }
}
