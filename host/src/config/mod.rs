//! The configuration: read from TOML, checked, with every error at its place in the file.
//! Knows no listener, no session and no plug-in: it says what they are to be.

mod choice;
mod development;
mod document;
mod duration;
mod endpoint;
mod error;
#[cfg(test)]
mod example;
mod file;
mod filter;
mod folder;
mod ldap;
mod name;
mod network;
mod number;
mod resolve;
mod routing;
mod section;
mod settings;
mod size;
mod text;

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

pub(crate) use choice::LogFormat;
pub(crate) use error::{ConfigError, Place};
pub(crate) use filter::Slot;
pub(crate) use ldap::{Ambiguous, Ldap, LdapServer, Login};
pub(crate) use network::Networks;
pub(crate) use routing::{
    DomainPattern, LmtpServer, LocalDomain, MailStore, Mailboxes, NextHop, RouteRule, TlsPolicy,
    Way,
};
pub(crate) use settings::{
    Auth, Certificate, Dns, FailureLimits, Listener, ListenerSocket, ListenerTls, Log, LogLevel,
    Pace, Plugin, Retry, Sessions, Settings, TlsReport, TlsVersion,
};

use document::Document;

/// The largest file that is read: a configuration is text that a person wrote.
const FILE_OCTETS_MAX: u64 = 4 << 20;

/// Reads and checks a configuration file. Relative paths in it begin at its folder.
pub(crate) fn load(file: &Path) -> Result<Settings, ConfigError> {
    let unreadable = |source| ConfigError::Read { file: file.to_owned(), source };
    let octets = read_bounded(file).map_err(unreadable)?;
    let base = std::path::absolute(file).map_err(unreadable)?;
    let base = base.parent().map_or_else(PathBuf::new, Path::to_owned);
    let name = file.display().to_string();
    let text = String::from_utf8(octets).map_err(|error| {
        let position = error.utf8_error().valid_up_to();
        let line = error.as_bytes()[..position].iter().filter(|&&b| b == b'\n').count() + 1;
        let reason = format!("line {line} is not UTF-8");
        unreadable(io::Error::new(io::ErrorKind::InvalidData, reason))
    })?;
    parse(&name, &text, &base)
}

/// The built-in development configuration: plug-ins beside the executable, state in the working folder.
pub(crate) fn development() -> Result<Settings, ConfigError> {
    let unreadable = |source| ConfigError::Read { file: development::NAME.into(), source };
    let executable = std::env::current_exe().map_err(unreadable)?;
    let folder = executable.parent().map_or_else(PathBuf::new, Path::to_owned);
    parse(development::NAME, &development::text(&folder), Path::new(""))
}

fn parse(name: &str, text: &str, base: &Path) -> Result<Settings, ConfigError> {
    let document = Document::parse(name, text)?;
    document.check_shape(&file::SECTIONS, &file::LISTS)?;
    document.check_places(&file::PLAIN)?;
    resolve::settings(&document, document.read()?, base)
}

fn read_bounded(file: &Path) -> io::Result<Vec<u8>> {
    let mut octets = Vec::new();
    fs::File::open(file)?.take(FILE_OCTETS_MAX + 1).read_to_end(&mut octets)?;
    if octets.len() as u64 > FILE_OCTETS_MAX {
        let reason = format!("it has more than {FILE_OCTETS_MAX} octets");
        return Err(io::Error::new(io::ErrorKind::InvalidData, reason));
    }
    Ok(octets)
}

/// Settings out of a text, for tests of what is made of them.
#[cfg(test)]
pub(crate) fn from_text(text: &str) -> Result<Settings, ConfigError> {
    parse("test.toml", text, Path::new("/test"))
}
