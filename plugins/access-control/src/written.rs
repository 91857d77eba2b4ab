//! Lists as they are written: in the configuration, in files of their own, and by groups that stand for their members.
//! Makes lists; knows no rule. What can never fit is told, and stays harmless.

use std::collections::BTreeSet;
use std::collections::btree_map::{BTreeMap, Entry as Slot};
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use crate::entry::{Entry, EntryError, Kind, Meaning, Place};
use crate::list::{Builder, List, TooMany};
use crate::name_index::Ending;
use crate::pattern::Pattern;
use crate::watch::{Stamp, Watched};

/// The largest file of entries that is read.
const FILE_OCTETS_MAX: u64 = 256 << 20;

/// How deep groups may stand in groups.
const DEPTH_MAX: usize = 16;

/// A text with entries in it, and where it begins.
#[derive(Clone, Debug)]
pub(crate) struct Written {
    pub(crate) text: String,
    pub(crate) place: Place,
}

/// The groups by their names.
#[derive(Clone, Debug, Default)]
pub(crate) struct Groups(BTreeMap<String, Vec<Written>>);

/// Something an administrator may want to know, and need not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Warning {
    pub(crate) place: Place,
    pub(crate) text: String,
}

/// Why a list can't be made. The operator is to blame.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ListError {
    #[error("{place}: {error}")]
    Entry { place: Place, error: EntryError },
    #[error("{place}: {error}")]
    TooMany { place: Place, error: TooMany },
    #[error("{place}: there is no group {name:?}, and a host name has a dot: write it in [groups]")]
    NoGroup { place: Place, name: String },
    #[error("{place}: group {name:?} stands in itself: {path}")]
    Cycle { place: Place, name: String, path: String },
    #[error("{place}: groups stand in groups more than {DEPTH_MAX} deep")]
    Depth { place: Place },
    #[error("{place}: {path}: {problem}")]
    File { place: Place, path: String, problem: String },
    #[error(
        "{place}: {name:?} can't name a group: with a dot, an @ or punctuation it would be read as a domain, an address or several entries"
    )]
    GroupName { place: Place, name: String },
    #[error(
        "{place}: group {name:?} is there already: capitals and small letters make no other name"
    )]
    GroupTwice { place: Place, name: String },
}

impl Groups {
    /// Adds a group.
    pub(crate) fn add(
        &mut self,
        name: &str,
        place: Place,
        members: Vec<Written>,
    ) -> Result<(), ListError> {
        if !matches!(Kind::Mailboxes.read(name), Ok(Meaning::Group(_)))
            || name.is_empty()
            || name.contains([',', ';', '#'])
            || name.trim() != name
        {
            return Err(ListError::GroupName { place, name: name.to_owned() });
        }
        match self.0.entry(name.to_lowercase()) {
            Slot::Vacant(slot) => _ = slot.insert(members),
            Slot::Occupied(_) => {
                return Err(ListError::GroupTwice { place, name: name.to_owned() });
            }
        }
        Ok(())
    }

    fn members(&self, name: &str) -> Option<&[Written]> {
        self.0.get(&name.to_lowercase()).map(Vec::as_slice)
    }
}

/// Makes a list of texts, and warnings about it.
pub(crate) fn list(
    name: &str,
    kind: Kind,
    texts: &[Written],
    groups: &Groups,
    warnings: &mut Vec<Warning>,
) -> Result<List, ListError> {
    let builder = Builder::new(name, kind);
    let mut reading =
        Reading { builder, groups, path: Vec::new(), named: None, read: BTreeSet::new(), warnings };
    for written in texts {
        reading.text(written)?;
    }
    Ok(reading.builder.finish())
}

struct Reading<'r> {
    builder: Builder,
    groups: &'r Groups,
    /// The groups that are open.
    path: Vec<String>,
    /// The first of them, as the list has it.
    named: Option<Arc<str>>,
    /// Those whose members are in the list already: there is nothing more in them.
    read: BTreeSet<String>,
    warnings: &'r mut Vec<Warning>,
}

impl Reading<'_> {
    fn text(&mut self, written: &Written) -> Result<(), ListError> {
        for (offset, line) in (0..).zip(written.text.lines()) {
            let line = line.split('#').next().unwrap_or_default();
            let column = if offset == 0 { written.place.column } else { 1 };
            for text in line.split([',', ';']).map(str::trim).filter(|text| !text.is_empty()) {
                let file = Arc::clone(&written.place.file);
                let place = Place { file, line: written.place.line + offset, column };
                self.entry(text, place)?;
            }
        }
        Ok(())
    }

    fn entry(&mut self, text: &str, place: Place) -> Result<(), ListError> {
        let kind = self.builder.kind();
        let meaning =
            kind.read(text).map_err(|error| ListError::Entry { place: place.clone(), error })?;
        let meaning = match meaning {
            Meaning::Group(name) => match self.group(name, &place)? {
                Some(meaning) => meaning,
                None => return Ok(()),
            },
            meaning => meaning,
        };
        self.warn(text, &meaning, &place);
        let entry = Entry { text: text.into(), place: place.clone(), group: self.named.clone() };
        self.builder.add(entry, meaning).map_err(|error| ListError::TooMany { place, error })
    }

    /// Puts the members of a group in its place; a name that is no group of ours may still mean something.
    fn group(&mut self, name: String, place: &Place) -> Result<Option<Meaning>, ListError> {
        let Some(members) = self.groups.members(&name) else {
            return match self.builder.kind() {
                // The directory may know it.
                Kind::Mailboxes => Ok(Some(Meaning::Group(name))),
                // The one host name without a dot that the world agrees on.
                Kind::Hosts { .. } if name.eq_ignore_ascii_case("localhost") => {
                    Ok(Some(Meaning::Name(name.to_lowercase(), Ending::Whole)))
                }
                Kind::Hosts { .. } | Kind::Destinations => {
                    Err(ListError::NoGroup { place: place.clone(), name })
                }
            };
        };
        let folded = name.to_lowercase();
        if self.path.contains(&folded) {
            let path = [&*self.path, &[folded]].concat().join(" > ");
            return Err(ListError::Cycle { place: place.clone(), name, path });
        }
        if self.path.len() == DEPTH_MAX {
            return Err(ListError::Depth { place: place.clone() });
        }
        if !self.read.insert(folded.clone()) {
            return Ok(None);
        }
        if self.path.is_empty() {
            self.named = Some(name.into());
        }
        self.path.push(folded);
        for written in members {
            self.text(written)?;
        }
        self.path.pop();
        if self.path.is_empty() {
            self.named = None;
        }
        Ok(None)
    }

    fn warn(&mut self, text: &str, meaning: &Meaning, place: &Place) {
        let warning = match meaning {
            Meaning::Never(why) => format!("{text} will never match: {why}"),
            Meaning::Addresses(_) if Pattern::has_host_bits(text.trim_matches(['[', ']'])) => {
                format!(
                    "{text} means the whole network, though its address has bits behind the prefix"
                )
            }
            _ => return,
        };
        self.warnings.push(Warning { place: place.clone(), text: warning });
    }
}

/// Warns of entries that stand in two lists of which one always wins.
pub(crate) fn warn_of_conflicts(allow: &List, deny: &List, warnings: &mut Vec<Warning>) {
    if allow.is_empty() {
        return;
    }
    let denied: BTreeMap<String, &Entry> =
        deny.entries().iter().map(|entry| (entry.text.to_lowercase(), entry)).collect();
    for entry in allow.entries() {
        if let Some(other) = denied.get(&entry.text.to_lowercase()) {
            let (text, list, place) = (&entry.text, deny.name(), &other.place);
            let text = format!("{text} stands in {list} too ({place}), which wins");
            warnings.push(Warning { place: entry.place.clone(), text });
        }
    }
}

/// Reads a file of entries: any number on a line, with commas or semicolons between; `#` begins a comment.
///
/// - at: where the file is named.
pub(crate) fn file(path: &str, at: &Place) -> Result<(Written, Watched), ListError> {
    // Relative paths begin at the folder of the configuration, as all in it do.
    let folder = Path::new(&*at.file).parent().unwrap_or_else(|| Path::new(""));
    let path = folder.join(path);
    let (text, stamp) = read(&path).map_err(|problem| ListError::File {
        place: at.clone(),
        path: path.display().to_string(),
        problem: problem.to_string(),
    })?;
    let file = path.display().to_string().into();
    Ok((Written { text, place: Place { file, line: 1, column: 1 } }, Watched { path, stamp }))
}

fn read(path: &Path) -> io::Result<(String, Stamp)> {
    // Opening a pipe would wait for somebody who writes.
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::other("it is no regular file"));
    }
    let file = File::open(path)?;
    // Before it is read: what is changed meanwhile is read again.
    let stamp = Stamp::from(&file.metadata()?);
    let mut octets = Vec::new();
    file.take(FILE_OCTETS_MAX + 1).read_to_end(&mut octets)?;
    if octets.len() as u64 > FILE_OCTETS_MAX {
        return Err(io::Error::other(format!("it is larger than {} MiB", FILE_OCTETS_MAX >> 20)));
    }
    // In comments any octets may stand; an entry with some that are no text is refused, with its place.
    let text = String::from_utf8(octets)
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned());
    // Editors of Windows begin with a mark of the byte order.
    let text = text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text);
    Ok((text, stamp))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    fn written(texts: &[&str]) -> Vec<Written> {
        let place = |line| Place { file: "t.toml".into(), line, column: 5 };
        (1..)
            .zip(texts)
            .map(|(line, text)| Written { text: (*text).to_owned(), place: place(line) })
            .collect()
    }

    fn made(kind: Kind, name: &str, texts: &[&str]) -> List {
        list(name, kind, &written(texts), &Groups::default(), &mut Vec::new()).unwrap()
    }

    pub(crate) fn hosts(name: &str, texts: &[&str]) -> List {
        made(Kind::Hosts { ending: Ending::Labels }, name, texts)
    }

    pub(crate) fn destinations(name: &str, texts: &[&str]) -> List {
        made(Kind::Destinations, name, texts)
    }

    pub(crate) fn mailboxes(name: &str, texts: &[&str]) -> List {
        made(Kind::Mailboxes, name, texts)
    }

    fn groups(groups: &[(&str, &[&str])]) -> Groups {
        let mut made = Groups::default();
        for (name, members) in groups {
            let place = Place { file: "t.toml".into(), line: 9, column: 1 };
            made.add(name, place, written(members)).unwrap();
        }
        made
    }

    const HOSTS: Kind = Kind::Hosts { ending: Ending::Labels };

    #[test]
    fn texts_have_entries_with_places() {
        let list = hosts("l", &["a.b, [1.2.3.4];c.d", "e.f # no g.h\n\ni.j , k.l"]);
        let found: Vec<_> =
            list.entries().iter().map(|entry| format!("{} {}", entry.text, entry.place)).collect();
        let wanted = [
            "a.b t.toml:1:5",
            "[1.2.3.4] t.toml:1:5",
            "c.d t.toml:1:5",
            "e.f t.toml:2:5",
            "i.j t.toml:4:1",
            "k.l t.toml:4:1",
        ];
        assert_eq!(found, wanted);
    }

    #[test]
    fn groups_stand_for_their_members() {
        let groups = groups(&[("partners", &["a.b", "more"]), ("More", &["[10.0.0.0/8]"])]);
        let texts = written(&["Partners", "c.d"]);
        let list = list("l", HOSTS, &texts, &groups, &mut Vec::new()).unwrap();
        let by = |host: &str| list.find_host(host).unwrap().to_string();
        assert_eq!(by("x.a.b"), r#"l "a.b" of "Partners" (t.toml:1:5)"#);
        assert_eq!(by("c.d"), r#"l "c.d" (t.toml:2:5)"#);
        assert!(list.find_address("10.1.1.1".parse().unwrap()).is_some());
        assert!(hosts("l", &["localhost"]).find_host("localhost").is_some());
    }

    #[test]
    fn groups_that_can_not_be_are_told() {
        let ring = groups(&[("a", &["b"]), ("b", &["c"]), ("c", &["a"])]);
        let try_list = |groups: &Groups, text: &str| {
            list("l", HOSTS, &written(&[text]), groups, &mut Vec::new()).map(drop).unwrap_err()
        };
        assert!(try_list(&ring, "a").to_string().ends_with("stands in itself: a > b > c > a"));
        assert!(matches!(try_list(&ring, "d"), ListError::NoGroup { name, .. } if name == "d"));
        let names: Vec<String> = (0..20).map(|n| format!("g{n}")).collect();
        let mut deep = Groups::default();
        let place = Place { file: "t.toml".into(), line: 1, column: 1 };
        for pair in names.windows(2) {
            deep.add(&pair[0], place.clone(), written(&[&pair[1]])).unwrap();
        }
        assert!(matches!(try_list(&deep, "g0"), ListError::Depth { .. }));
        for name in ["a.b", "a@b", "", "*", "a*", "[a]", "a, b", "a\nb", "a ", "a#b", "a:b"] {
            let refused = Groups::default().add(name, place.clone(), Vec::new());
            assert!(matches!(refused, Err(ListError::GroupName { .. })), "{name}");
        }
        let mut twice = Groups::default();
        twice.add("Sales Staff", place.clone(), written(&["a.b"])).unwrap();
        let refused = twice.add("sales staff", place, Vec::new());
        assert!(matches!(refused, Err(ListError::GroupTwice { .. })), "one would be lost");
        let listed = list("l", HOSTS, &written(&["SALES STAFF"]), &twice, &mut Vec::new());
        assert!(listed.unwrap().find_host("a.b").is_some());
    }

    /// Ten groups in each of fifteen, one in the other, would be as many as there are in no memory.
    #[test]
    fn groups_are_read_once_however_often_they_stand_there() {
        let names: Vec<String> = (0..15).map(|n| format!("g{n}")).collect();
        let mut groups = Groups::default();
        let place = Place { file: "t.toml".into(), line: 1, column: 1 };
        for pair in names.windows(2) {
            groups.add(&pair[0], place.clone(), written(&[&*pair[1]; 10])).unwrap();
        }
        groups.add("g14", place, written(&["a.b"])).unwrap();
        let listed = list("l", HOSTS, &written(&["g0", "g7"]), &groups, &mut Vec::new()).unwrap();
        assert_eq!(listed.len(), 1);
    }

    #[test]
    fn entries_that_never_match_are_warned_of() {
        let mut warnings = Vec::new();
        let texts = written(&["192.0.2.10", ".abc.com", "[192.0.2.1/24]", "fine.org"]);
        list("l", HOSTS, &texts, &Groups::default(), &mut warnings).unwrap();
        let told: Vec<_> =
            warnings.iter().map(|warning| (warning.place.line, &*warning.text)).collect();
        assert_eq!(told.len(), 3, "{told:?}");
        assert_eq!(
            told[0].1,
            "192.0.2.10 will never match: an address stands in brackets: write [192.0.2.10]"
        );
        assert!(told[1].1.contains("leading dot") && told[2].1.contains("whole network"));
        warnings.clear();
        let (allow, deny) = (hosts("allow", &["a.b", "C.d"]), hosts("deny", &["c.D"]));
        warn_of_conflicts(&allow, &deny, &mut warnings);
        assert_eq!(warnings.len(), 1);
        assert_eq!(warnings[0].text, "C.d stands in deny too (t.toml:1:5), which wins");
    }

    #[test]
    fn wrong_entries_are_told_with_their_place() {
        let texts = written(&["fine.org", "a.b\n[1.2.3.1-*]"]);
        let error = list("l", HOSTS, &texts, &Groups::default(), &mut Vec::new()).unwrap_err();
        assert!(error.to_string().starts_with("t.toml:3:1: "), "{error}");
        let at = Place { file: "t.toml".into(), line: 7, column: 3 };
        for path in ["/nowhere/at/all", "/", "/dev/zero"] {
            let error = file(path, &at).unwrap_err().to_string();
            assert!(error.starts_with(&format!("t.toml:7:3: {path}: ")), "{error}");
        }
        let at = Place { file: "/nowhere/stagepost.toml".into(), line: 7, column: 3 };
        let error = file("lists/deny", &at).unwrap_err().to_string();
        assert!(error.contains(": /nowhere/lists/deny: "), "where the configuration is: {error}");
    }

    #[test]
    fn files_are_read_in_whatever_character_set_they_are_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("list");
        let at = Place { file: "t.toml".into(), line: 1, column: 1 };
        let read = |octets: &[u8]| {
            fs::write(&path, octets).unwrap();
            let (text, _) = file(path.to_str().unwrap(), &at).unwrap();
            list("l", HOSTS, &[text], &Groups::default(), &mut Vec::new())
        };
        let list = read(b"\xef\xbb\xbf[192.0.2.1]\r\na.b # B\xfcro\r\n").unwrap();
        assert_eq!(list.len(), 2);
        assert!(list.find_address("192.0.2.1".parse().unwrap()).is_some());
        for octets in [&b"a.b\nb\xfcro.org\n"[..], b"a.b\n\0\0\n", b"\xff\xfe[\x001\x00.\x00"] {
            let error = read(octets).unwrap_err().to_string();
            let line = 1 + octets.starts_with(b"a.b") as u32;
            let place = format!("{}:{line}:1: ", path.display());
            assert!(error.starts_with(&place) && error.contains("no UTF-8 text"), "{error}");
        }
    }
}
