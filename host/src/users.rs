//! Users and groups: who has a mailbox here, by the configuration, and who is in which group, by the groups file.
//! Knows the form of that file; who has a mailbox is the router's to say.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};

use stagepost_extmgr::UserDirectory;
use stagepost_smtp::{Address, Route};

use crate::config::{ConfigError, Settings};
use crate::router::Router;

/// The largest groups file that is read.
const FILE_OCTETS_MAX: u64 = 16 << 20;

/// Groups by the address of a member, as [`key`] writes it.
type Groups = BTreeMap<String, Vec<Box<str>>>;

/// The directory behind `em.directory/1`.
pub(crate) struct Users {
    router: Arc<Router>,
    /// Plug-ins keep what they are handed of it, so one that was in force stays for ever.
    groups: RwLock<&'static Groups>,
}

/// Groups that were read again and are not in force.
pub(crate) struct NewGroups(Groups);

impl Users {
    /// Reads the groups file, if there is one.
    ///
    /// # Errors
    /// It can't be read, or a line of it is wrong.
    pub(crate) fn load(settings: &Settings, router: Arc<Router>) -> Result<Self, ConfigError> {
        let groups = Box::leak(Box::new(load(settings)?));
        Ok(Self { router, groups: RwLock::new(groups) })
    }

    /// Reads the groups file again.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub(crate) fn reread(&self, settings: &Settings) -> Result<NewGroups, ConfigError> {
        load(settings).map(NewGroups)
    }

    /// Puts groups in force. Whether they are others.
    pub(crate) fn commit(&self, NewGroups(fresh): NewGroups) -> bool {
        if fresh == *self.groups_in_force() {
            return false;
        }
        *self.groups.write().unwrap_or_else(PoisonError::into_inner) = Box::leak(Box::new(fresh));
        true
    }

    fn groups_in_force(&self) -> &'static Groups {
        *self.groups.read().unwrap_or_else(PoisonError::into_inner)
    }
}

fn load(settings: &Settings) -> Result<Groups, ConfigError> {
    let Some((path, place)) = &settings.groups_file else { return Ok(Groups::new()) };
    let text = read(path).map_err(|error| {
        let problem = format!("{}: {error}", path.display());
        place.fault(problem, "this user must be able to read the file: text, at most 16MB")
    })?;
    parse(&text).map_err(|(line, problem)| {
        let problem = format!("{}:{line}: {problem}", path.display());
        place.fault(problem, "write lines such as `staff: alice@example.org, bob@example.org`")
    })
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
fn parse(text: &str) -> Result<Groups, (usize, String)> {
    let mut groups = Groups::new();
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
        for member in members.split(',').map(str::trim).filter(|member| !member.is_empty()) {
            let address = Address::parse_international(member)
                .map_err(|error| wrong(format!("{member:?} is no address: {error}")))?;
            let of_member = groups.entry(key(&address)).or_default();
            if !of_member.iter().any(|known| known.eq_ignore_ascii_case(name)) {
                of_member.push(name.into());
            }
        }
    }
    Ok(groups)
}

impl UserDirectory for Users {
    fn route(&self, address: &str) -> Option<Route> {
        Some(self.router.route(&Address::parse_international(address).ok()?))
    }

    fn groups(&self, address: &str) -> Option<&[Box<str>]> {
        let address = Address::parse_international(address).ok()?;
        Some(self.groups_in_force().get(&key(&address)).map_or(&[], Vec::as_slice))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_read_line_by_line() {
        let text = "# who\nstaff: Alice@Example.org, bob@example.org  # both\n\nall:alice@example.org\nstaff: carol@other.test\nSTAFF: alice@example.org\n";
        let groups = parse(text).unwrap();
        let of = |address: &str| -> Vec<&str> {
            groups.get(address).map_or(Vec::new(), |names| names.iter().map(|n| &**n).collect())
        };
        assert_eq!(of("alice@example.org"), ["staff", "all"]);
        assert_eq!(of("carol@other.test"), ["staff"]);
        assert_eq!(of("nobody@example.org"), [] as [&str; 0]);
        for (text, line) in
            [("a@b\n", 1), ("\n#x\nbad name: a@b", 3), ("g: a@b, @", 1), (": a@b", 1)]
        {
            assert_eq!(parse(text).unwrap_err().0, line, "{text:?}");
        }
    }

    #[test]
    fn users_are_those_whose_mail_stays_here() {
        let settings = crate::config::from_text(
            "hostname = \"mx.test\"\nlisten = [{ name = \"mx\", address = \"127.0.0.1:1\" }]\n\
             [[local_domain]]\nname = \"listed.test\"\nmailboxes = [\"alice\"]\n",
        );
        let settings = settings.unwrap();
        let users = Users::load(&settings, Arc::new(Router::new(&settings))).unwrap();
        for (address, wanted) in [
            ("alice@listed.test", Some(Route::Local)),
            ("ALICE@Listed.Test", Some(Route::Local)),
            ("bob@listed.test", Some(Route::UnknownUser)),
            ("postmaster@listed.test", Some(Route::Local)),
            ("alice@other.test", Some(Route::Unreachable)),
            ("no address", None),
        ] {
            assert_eq!(users.route(address), wanted, "{address}");
        }
        assert_eq!(UserDirectory::groups(&users, "alice@listed.test"), Some(&[][..]));
    }
}
