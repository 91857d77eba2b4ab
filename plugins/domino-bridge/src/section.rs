//! The plug-in's section of the configuration as it is written: every key, its type and its default.
//! Knows no add-in; what the keys lead to is elsewhere.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;
use stagepost_sdk::Config;

use crate::environment;

/// The whole section.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Section {
    /// Names or paths of add-ins, in the order in which they are asked.
    pub(crate) addins: Vec<String>,
    /// Where files are looked for that are named without a path.
    pub(crate) directory: Option<PathBuf>,
    /// A notes.ini to be imported: its variables, and its EXTMGR_ADDINS when there are no `addins`.
    pub(crate) notes_ini: Option<PathBuf>,
    /// Variables, before those of notes.ini.
    pub(crate) ini: BTreeMap<String, Variable>,
    /// How long one call of an add-in may take, unless `addin` says otherwise.
    pub(crate) deadline_ms: u32,
    /// What is different for single add-ins, by name.
    pub(crate) addin: BTreeMap<String, Own>,
    /// How many calls of add-ins may be out at once.
    pub(crate) threads_max: usize,
    /// What PossibleRelay is before an add-in has said anything.
    pub(crate) possible_relay: bool,
    /// The server's canonical name; the ini's ServerName when it is not written.
    pub(crate) server_name: Option<String>,
    /// The documents of the view ($ServerConfig), by server name or `*`: items and their values.
    pub(crate) server_configuration: BTreeMap<String, BTreeMap<String, Values>>,
}

impl Default for Section {
    fn default() -> Self {
        Self {
            addins: Vec::new(),
            directory: None,
            notes_ini: None,
            ini: BTreeMap::new(),
            deadline_ms: 30_000,
            addin: BTreeMap::new(),
            threads_max: 1000,
            possible_relay: true,
            server_name: None,
            server_configuration: BTreeMap::new(),
        }
    }
}

/// `[plugin.config.addin.NAME]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Own {
    pub(crate) deadline_ms: u32,
}

/// The value of a variable.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged, expecting = "wanted a text or a whole number")]
pub(crate) enum Variable {
    Text(String),
    Number(i64),
}

/// The value of an item: one text, or several.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged, expecting = "wanted a text or a list of texts")]
pub(crate) enum Values {
    One(String),
    Many(Vec<String>),
}

/// Why a section does not do. The operator is to blame; the text begins with the place.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct SectionError(String);

const THREADS_MAX: usize = 10_000;
const DEADLINE_MS_MAX: u32 = 3_600_000;

impl Section {
    /// Reads the section.
    pub(crate) fn read(config: &Config) -> Result<Self, SectionError> {
        let json = config.json("").map_err(|error| SectionError(error.to_string()))?;
        let mut reader = serde_json::Deserializer::from_str(json.unwrap_or("{}"));
        let section: Self = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
            let key = error.path().to_string();
            SectionError::at(config, &key, plainly(error.inner()))
        })?;
        section.check(config)?;
        Ok(section)
    }

    /// Refuses settings of add-ins that are not in the list.
    pub(crate) fn check_names(&self, config: &Config, list: &[String]) -> Result<(), SectionError> {
        let unknown = |name: &&String| !list.iter().any(|known| known.eq_ignore_ascii_case(name));
        match self.addin.keys().find(unknown) {
            None => Ok(()),
            Some(name) => {
                let reason = format!("no such add-in, found {}", list.join(", "));
                Err(SectionError::at(config, &format!("addin.{name}"), reason))
            }
        }
    }

    fn check(&self, config: &Config) -> Result<(), SectionError> {
        if !(1..=THREADS_MAX).contains(&self.threads_max) {
            return Err(SectionError::at(config, "threads_max", "must be 1 to 10000"));
        }
        let own = self
            .addin
            .iter()
            .map(|(name, own)| (format!("addin.{name}.deadline_ms"), own.deadline_ms));
        for (key, deadline_ms) in own.chain([("deadline_ms".to_owned(), self.deadline_ms)]) {
            if !(1..=DEADLINE_MS_MAX).contains(&deadline_ms) {
                return Err(SectionError::at(config, &key, "must be 1 to 3600000"));
            }
        }
        if let Some(path) = self.notes_ini.as_deref().filter(|path| path.is_absolute())
            && let Err(error) = environment::read(path)
        {
            return Err(SectionError::at(
                config,
                "notes_ini",
                format!("{}: {error}", path.display()),
            ));
        }
        let relative =
            |path: &Option<PathBuf>| path.as_ref().is_some_and(|path| path.is_relative());
        for (key, path) in [("directory", &self.directory), ("notes_ini", &self.notes_ini)] {
            if relative(path) {
                return Err(SectionError::at(config, key, "must be an absolute path"));
            }
        }
        Ok(())
    }
}

impl SectionError {
    fn at(config: &Config, key: &str, reason: impl std::fmt::Display) -> Self {
        let place = config.place(key).map(|place| place.to_string()).unwrap_or_default();
        Self(format!("{place}`{key}`: {reason}"))
    }
}

/// The message of serde_json without its line and column, which are those of the JSON.
fn plainly(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.split(" at line ").next().unwrap_or_default().to_owned()
}
