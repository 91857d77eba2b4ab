//! The groups file: which addresses are in which group.
//! Knows the form of that file, and no user.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use stagepost_smtp::Address;

use super::names::{NAMES_MAX, Names};
use crate::config::{ConfigError, Settings};

/// The largest groups file that is read.
const FILE_OCTETS_MAX: u64 = 16 << 20;

/// Groups by the address of a member, as [`key`] writes it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Groups(BTreeMap<String, Arc<[&'static str]>>);

impl Groups {
    /// Reads the groups file, if there is one.
    ///
    /// # Errors
    /// It can't be read, or a line of it is wrong.
    pub(super) fn load(settings: &Settings, names: &Names) -> Result<Self, ConfigError> {
        let Some((path, place)) = &settings.groups_file else { return Ok(Self::default()) };
        let text = read(path).map_err(|error| {
            let problem = format!("{}: {error}", path.display());
            place.fault(problem, "this user must be able to read the file: text, at most 16MB")
        })?;
        parse(&text, names).map_err(|(line, problem)| {
            let problem = format!("{}:{line}: {problem}", path.display());
            place.fault(problem, "write lines such as `staff: alice@example.org, bob@example.org`")
        })
    }

    /// The groups of an address, in the order of the file.
    pub(super) fn of(&self, address: &Address) -> Arc<[&'static str]> {
        self.0.get(&key(address)).cloned().unwrap_or_default()
    }
}

fn read(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(FILE_OCTETS_MAX + 1).read_to_string(&mut text)?;
    if text.len() as u64 > FILE_OCTETS_MAX {
        return Err(io::Error::other("it is too large"));
    }
    Ok(text)
}

/// An address as it is looked up: the case of its letters makes no difference.
fn key(address: &Address) -> String {
    let local = address.local_unquoted().to_ascii_lowercase();
    format!("{local}@{}", address.domain_key())
}

/// Lines of a name, a colon and addresses with commas between; `#` begins a comment, and a group may have many lines. An
/// error has its line, from 1.
fn parse(text: &str, names: &Names) -> Result<Groups, (usize, String)> {
    let mut groups = BTreeMap::<String, Vec<&'static str>>::new();
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.split('#').next().unwrap_or_default().trim();
        if line.is_empty() {
            continue;
        }
        let wrong = |problem: String| (number, problem);
        let (name, members) =
            line.split_once(':').ok_or_else(|| wrong("there is no colon".to_owned()))?;
        let name = name.trim();
        let sound = |octet: u8| octet.is_ascii_alphanumeric() || b"-_.".contains(&octet);
        if !(1..=64).contains(&name.len()) || !name.bytes().all(sound) {
            return Err(wrong(format!(
                "{name:?} is no name of a group (1 to 64 of a-z, 0-9, -, _, .)"
            )));
        }
        let name = names
            .lasting(name)
            .ok_or_else(|| wrong(format!("there are more than {NAMES_MAX} names of groups")))?;
        for member in members.split(',').map(str::trim).filter(|member| !member.is_empty()) {
            let address = Address::parse_international(member)
                .map_err(|error| wrong(format!("{member:?} is no address: {error}")))?;
            let of_member = groups.entry(key(&address)).or_default();
            if !of_member.iter().any(|known| known.eq_ignore_ascii_case(name)) {
                of_member.push(name);
            }
        }
    }
    Ok(Groups(groups.into_iter().map(|(address, names)| (address, names.into())).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_read_line_by_line() {
        let text = "# who\nstaff: Alice@Example.org, bob@example.org  # both\n\nall:alice@example.org\nstaff: carol@other.test\nSTAFF: alice@example.org\n";
        let names = Names::default();
        let groups = parse(text, &names).unwrap();
        let of = |address: &str| groups.of(&Address::parse(address).unwrap()).to_vec();
        assert_eq!(of("alice@example.org"), ["staff", "all"]);
        assert_eq!(of("carol@other.test"), ["staff"]);
        assert_eq!(of("nobody@example.org"), [] as [&str; 0]);
        for (text, line) in
            [("a@b\n", 1), ("\n#x\nbad name: a@b", 3), ("g: a@b, @", 1), (": a@b", 1)]
        {
            assert_eq!(parse(text, &names).unwrap_err().0, line, "{text:?}");
        }
    }
}
