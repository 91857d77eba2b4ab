//! The plug-in's own section of the configuration: typed getters, and errors that say where the value stands.
//! Knows no key.

use std::fmt::{self, Display};
use std::mem::MaybeUninit;
use std::path::Path;

use stagepost_abi::{
    EM_ERR_TYPE, ERR_NOT_FOUND, EmConfigService, EmHost, EmPlace, EmText, NOERROR, STATUS,
};

use crate::text::{Broken, lend, text};

/// Where a value stands in the configuration file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file, as the operator named it.
    pub file: String,
    /// Line, from 1.
    pub line: u32,
    /// Column, from 1.
    pub column: u32,
}

impl Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: ", self.file, self.line, self.column)
    }
}

/// What is wrong with the configuration. The operator is to blame, except for `Host`.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The value is of another type.
    #[error("{}`{key}` must be {wanted}", at(.place))]
    Type {
        /// Where it stands, when the host knows.
        place: Option<Place>,
        /// The key.
        key: String,
        /// What it must be.
        wanted: &'static str,
    },
    /// The value does not do.
    #[error("{}`{key}` {reason}", at(.place))]
    Value {
        /// Where it stands, when the host knows.
        place: Option<Place>,
        /// The key.
        key: String,
        /// Why not, and what would.
        reason: String,
    },
    /// The host's answer does not fit its contract.
    #[error("the host cannot say what `{key}` is: {reason}")]
    Host {
        /// The key.
        key: String,
        /// What is wrong with the answer.
        reason: String,
    },
}

fn at(place: &Option<Place>) -> String {
    place.as_ref().map(ToString::to_string).unwrap_or_default()
}

/// The plug-in's own section, `[plugin.config]`. A key is a name, or names joined by dots for tables inside the
/// section.
#[derive(Clone, Copy)]
pub struct Config {
    host: *mut EmHost,
    table: &'static EmConfigService,
}

type Getter<T> = unsafe extern "C" fn(*mut EmHost, EmText, *mut T) -> STATUS;

impl Config {
    /// # Safety
    ///
    /// `host` was given to em_entry, and `table` was found with it.
    pub(crate) unsafe fn new(host: *mut EmHost, table: &'static EmConfigService) -> Self {
        Self { host, table }
    }

    /// Reads a string; `None` when the key is not there.
    pub fn text(&self, key: &str) -> Result<Option<&'static str>, ConfigError> {
        let value = self.get(key, "a string", self.table.text)?;
        value.map(|value| self.lent(key, value)).transpose()
    }

    /// Reads an integer; `None` when the key is not there.
    pub fn integer(&self, key: &str) -> Result<Option<i64>, ConfigError> {
        self.get(key, "an integer", self.table.integer)
    }

    /// Reads a boolean; `None` when the key is not there.
    pub fn boolean(&self, key: &str) -> Result<Option<bool>, ConfigError> {
        let value = self.get(key, "true or false", self.table.boolean)?;
        Ok(value.map(|value| value != 0))
    }

    /// Reads any value as JSON text; `None` when the key is not there. The empty key means the whole section.
    pub fn json(&self, key: &str) -> Result<Option<&'static str>, ConfigError> {
        let value = self.get(key, "a value", self.table.json)?;
        value.map(|value| self.lent(key, value)).transpose()
    }

    /// Tells where a value stands.
    pub fn place(&self, key: &str) -> Option<Place> {
        let place: EmPlace = self.read(key, self.table.place).ok()?;
        Some(Place {
            file: self.lent(key, place.file).ok()?.to_owned(),
            line: place.line,
            column: place.column,
        })
    }

    /// Makes an error of a value that is of the right type and does not do.
    ///
    /// - reason: goes on after the key, for example "must be 1 to 100".
    pub fn error(&self, key: &str, reason: impl Display) -> ConfigError {
        ConfigError::Value {
            place: self.place(key),
            key: key.to_owned(),
            reason: reason.to_string(),
        }
    }

    /// Tells where the plug-in's own file is: for what comes beside it. `None` for the section of a reload, and for a path that is not
    /// UTF-8.
    pub fn own_file(&self) -> Option<&'static Path> {
        let mut path = MaybeUninit::<EmText>::uninit();
        // SAFETY: host and table belong together, by the promise given to `new`; the path has room for what is written.
        let status = unsafe { (self.table.own_file)(self.host, path.as_mut_ptr()) };
        // SAFETY: written on success, with text that is valid until the process ends.
        (status == NOERROR)
            .then(|| unsafe { text(path.assume_init()) }.ok())
            .flatten()
            .map(Path::new)
    }

    fn get<T>(
        &self,
        key: &str,
        wanted: &'static str,
        getter: Getter<T>,
    ) -> Result<Option<T>, ConfigError> {
        match self.read(key, getter) {
            Ok(value) => Ok(Some(value)),
            Err(ERR_NOT_FOUND) => Ok(None),
            Err(EM_ERR_TYPE) => {
                Err(ConfigError::Type { place: self.place(key), key: key.to_owned(), wanted })
            }
            Err(status) => Err(ConfigError::Host {
                key: key.to_owned(),
                reason: format!("status {status:#06x}"),
            }),
        }
    }

    fn read<T>(&self, key: &str, getter: Getter<T>) -> Result<T, STATUS> {
        let mut value = MaybeUninit::<T>::uninit();
        // SAFETY: host and table belong together, by the promise given to `new`; the key is lent for the call, and the
        // value has room for what the getter writes.
        match unsafe { getter(self.host, lend(key.as_bytes()), value.as_mut_ptr()) } {
            // SAFETY: the getter has written the value, as it does on success.
            NOERROR => Ok(unsafe { value.assume_init() }),
            status => Err(status),
        }
    }

    fn lent(&self, key: &str, value: EmText) -> Result<&'static str, ConfigError> {
        // SAFETY: text that the configuration hands out is valid until the process ends.
        unsafe { text(value) }.map_err(|error: Broken| ConfigError::Host {
            key: key.to_owned(),
            reason: error.to_string(),
        })
    }
}
