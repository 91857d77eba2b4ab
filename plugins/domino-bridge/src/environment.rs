//! The environment that add-ins read: variables of the section, of an imported notes.ini, and those that add-ins have set.
//! Knows no add-in. What is read is what is in force now, so that a change needs no restart.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use crate::section::{Section, Variable};

/// The largest notes.ini that is read, in octets.
const FILE_OCTETS_MAX: u64 = 4 << 20;
/// The most variables that add-ins may set, and the longest name or value.
const SET_MAX: usize = 4096;
const VALUE_OCTETS_MAX: usize = 4096;

/// All variables. Names are the same in any case.
pub(crate) struct Environment(Mutex<Variables>);

#[derive(Default)]
struct Variables {
    /// What add-ins have set; it lasts as long as the process.
    set: HashMap<String, Vec<u8>>,
    /// The section's.
    own: HashMap<String, Vec<u8>>,
    file: Option<File>,
}

/// When a file was changed last, its length and its number: another means that it is to be read anew.
type Stamp = (SystemTime, u64, u64);

/// An imported notes.ini.
struct File {
    path: PathBuf,
    stamp: Option<Stamp>,
    values: HashMap<String, Vec<u8>>,
}

impl Environment {
    pub(crate) fn new(section: &Section) -> Self {
        let environment = Self(Mutex::default());
        environment.follow(section);
        environment
    }

    /// Takes a new section over; what add-ins have set stays.
    pub(crate) fn follow(&self, section: &Section) {
        let mut own: HashMap<String, Vec<u8>> =
            section.ini.iter().map(|(name, value)| (name.to_lowercase(), octets(value))).collect();
        if let Some(name) = &section.server_name {
            own.entry("servername".to_owned()).or_insert_with(|| name.clone().into_bytes());
        }
        let file = section.notes_ini.as_ref().map(|path| File {
            path: path.clone(),
            stamp: None,
            values: HashMap::new(),
        });
        let mut variables = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        (variables.own, variables.file) = (own, file);
    }

    /// Reads a variable.
    pub(crate) fn get(&self, name: &[u8]) -> Option<Vec<u8>> {
        let name = String::from_utf8_lossy(name).to_lowercase();
        let variables = &mut *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(file) = &mut variables.file {
            file.refresh();
        }
        let known = variables.set.get(&name).or_else(|| variables.own.get(&name));
        known.or_else(|| variables.file.as_ref()?.values.get(&name)).cloned()
    }

    /// Reads a variable as a number: digits behind a sign, up to what is no digit; 0 for anything else.
    pub(crate) fn number(&self, name: &[u8]) -> i64 {
        let value = self.get(name).unwrap_or_default();
        let text = String::from_utf8_lossy(&value);
        let text = text.trim();
        let (sign, digits) = match text.strip_prefix('-') {
            Some(rest) => (-1, rest),
            None => (1, text.strip_prefix('+').unwrap_or(text)),
        };
        let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
        digits[..end].parse::<i64>().map_or(0, |number| sign * number)
    }

    /// Sets a variable until the process ends. False: it is too long, or there are too many.
    pub(crate) fn set(&self, name: &[u8], value: Vec<u8>) -> bool {
        let name = String::from_utf8_lossy(name).to_lowercase();
        let mut variables = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let room = variables.set.len() < SET_MAX || variables.set.contains_key(&name);
        if !room || name.len() > VALUE_OCTETS_MAX || value.len() > VALUE_OCTETS_MAX {
            return false;
        }
        variables.set.insert(name, value);
        true
    }
}

fn octets(value: &Variable) -> Vec<u8> {
    match value {
        Variable::Text(text) => text.clone().into_bytes(),
        Variable::Number(number) => number.to_string().into_bytes(),
    }
}

impl File {
    /// Reads the file again if it has changed; one that can't be read now leaves what was read before.
    fn refresh(&mut self) {
        let Some(stamp) = stamp(&self.path) else { return };
        if self.stamp == Some(stamp) {
            return;
        }
        if let Ok(octets) = read(&self.path) {
            self.values = lines(&octets).into_iter().collect();
            self.stamp = Some(stamp);
        }
    }
}

fn stamp(path: &Path) -> Option<Stamp> {
    let metadata = fs::metadata(path).ok()?;
    Some((metadata.modified().ok()?, metadata.len(), metadata.ino()))
}

/// Reads a notes.ini.
///
/// # Errors
/// The system's, and one for a file that is too large.
pub(crate) fn read(path: &Path) -> io::Result<Vec<u8>> {
    if fs::metadata(path)?.len() > FILE_OCTETS_MAX {
        return Err(io::Error::other(format!("larger than {FILE_OCTETS_MAX} octets")));
    }
    fs::read(path)
}

/// The variables of a notes.ini in the order of the file, names in small letters.
pub(crate) fn lines(octets: &[u8]) -> Vec<(String, Vec<u8>)> {
    let line = |line: &[u8]| {
        let equals = line.iter().position(|octet| *octet == b'=')?;
        let name = String::from_utf8_lossy(line[..equals].trim_ascii()).to_lowercase();
        let comment = name.is_empty() || name.starts_with([';', '[', '#']);
        (!comment).then(|| (name, line[equals + 1..].trim_ascii().to_owned()))
    };
    octets.split(|octet| *octet == b'\n').filter_map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_variables_and_the_last_of_a_name_counts() {
        let text =
            b"[Notes]\r\nServerName=CN=mail/O=X\r\n;a=b\n = x\nDelay = 5 \nnothing\ndelay=7\n";
        let read = lines(text);
        let names: Vec<&str> = read.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["servername", "delay", "delay"]);
        assert_eq!(read[0].1, b"CN=mail/O=X");
        assert_eq!(read[1].1, b"5");
    }

    #[test]
    fn numbers_are_what_atol_makes_of_them() {
        let environment = Environment::new(&Section::default());
        for (text, wanted) in [
            ("5", 5),
            (" -12 ms", -12),
            ("+3", 3),
            ("x", 0),
            ("", 0),
            ("9223372036854775808", 0),
            ("-", 0),
        ] {
            assert!(environment.set(b"Key", text.as_bytes().to_vec()));
            assert_eq!(environment.number(b"KEY"), wanted, "{text}");
        }
        assert_eq!(environment.number(b"other"), 0);
        assert!(!environment.set(b"Key", vec![b'x'; VALUE_OCTETS_MAX + 1]));
    }

    #[test]
    fn a_changed_file_is_read_again_and_the_section_is_before_it() {
        let path = std::env::temp_dir().join(format!("bridge-ini-{}", std::process::id()));
        fs::write(&path, "A=1\nB=2\n").unwrap();
        let ini = [("b".to_owned(), Variable::Number(3))].into();
        let section = Section { notes_ini: Some(path.clone()), ini, ..Section::default() };
        let environment = Environment::new(&section);
        assert_eq!((environment.number(b"a"), environment.number(b"b")), (1, 3));
        fs::write(&path, "A=100\n").unwrap();
        assert_eq!(environment.number(b"a"), 100);
        fs::remove_file(&path).unwrap();
        assert_eq!(environment.number(b"a"), 100);
        environment.follow(&Section::default());
        assert_eq!((environment.get(b"a"), environment.get(b"b")), (None, None));
    }
}
