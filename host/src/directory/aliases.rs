//! The aliases file: names that stand for others. Read as a whole, with every error at its line and column.
//! Knows the form of that file, and no mailbox: whether somebody is behind a name is for others to say.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use stagepost_smtp::Address;

use crate::config::{ConfigError, Settings};

/// The largest aliases file that is read.
const FILE_OCTETS_MAX: u64 = 64 << 20;
/// The most that one alias stands for.
pub(super) const TARGETS_MAX: usize = 1000;

/// All aliases.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Aliases {
    /// By whole address, in small letters.
    addresses: HashMap<String, Alias>,
    /// By name, for every local domain.
    names: HashMap<String, Alias>,
    /// By domain, for whomever nobody knows there.
    catch_alls: HashMap<String, Alias>,
}

/// What a name stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Alias {
    /// Where it stands in the file.
    pub(super) line: u32,
    targets: Arc<[Target]>,
}

/// Somebody that a name stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Target {
    /// At the domain of the name.
    Name(Box<str>),
    Address(Address),
}

/// What is wrong, and where.
#[derive(Debug, PartialEq, Eq)]
struct Wrong {
    line: u32,
    column: usize,
    problem: String,
}

impl Aliases {
    /// Reads the aliases file, if there is one.
    ///
    /// # Errors
    /// It can't be read, or what it says is wrong.
    pub(super) fn load(settings: &Settings) -> Result<Self, ConfigError> {
        let Some((path, place)) = &settings.aliases_file else { return Ok(Self::default()) };
        let text = read(path).map_err(|error| {
            let problem = format!("{}: {error}", path.display());
            place.fault(problem, "this user must be able to read the file: text, at most 64MB")
        })?;
        let domains: Vec<&str> =
            settings.local_domains.iter().map(|domain| &*domain.name).collect();
        let read = parse(&text, &domains).and_then(|aliases| aliases.free_of_circles(&domains));
        read.map_err(|Wrong { line, column, problem }| {
            let problem = format!("{}:{line}:{column}: {problem}", path.display());
            place.fault(problem, "write lines such as `sales: alice, bob@example.org`")
        })
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.addresses.len() + self.names.len() + self.catch_alls.len()
    }

    /// All names with their lines, in the order of the file, each as addresses that have it: a name without a domain in each of these.
    pub(super) fn addresses(&self, domains: &[&str]) -> Vec<(u32, String, Vec<Address>)> {
        let at = |local: &str, domain: &str| mailbox(local, domain);
        let of_names = self.names.iter().map(|(name, alias)| {
            let everywhere = domains.iter().filter_map(|domain| at(name, domain)).collect();
            (alias.line, name.clone(), everywhere)
        });
        let of_addresses = self.addresses.iter().map(|(address, alias)| {
            let here = address.rsplit_once('@').and_then(|(local, domain)| at(local, domain));
            (alias.line, address.clone(), here.into_iter().collect())
        });
        let mut all: Vec<_> = of_names.chain(of_addresses).collect();
        all.sort_by_key(|(line, ..)| *line);
        all
    }

    /// What an address of a local domain stands for.
    pub(super) fn find(&self, local: &str, domain: &str) -> Option<&Alias> {
        if self.addresses.is_empty() {
            return self.names.get(local);
        }
        self.addresses.get(&format!("{local}@{domain}")).or_else(|| self.names.get(local))
    }

    /// Who has the mail for whomever nobody knows.
    pub(super) fn catch_all(&self, domain: &str) -> Option<&Alias> {
        self.catch_alls.get(domain)
    }

    /// Refuses aliases that lead back to themselves. One that names itself means the mailbox of its name.
    fn free_of_circles(self, domains: &[&str]) -> Result<Self, Wrong> {
        let mut done = HashMap::new();
        let of_names = domains.iter().flat_map(|domain| {
            self.names.keys().map(move |name| (name.clone(), (*domain).to_owned()))
        });
        let of_addresses = self.addresses.keys().filter_map(|address| {
            address.rsplit_once('@').map(|(local, domain)| (local.to_owned(), domain.to_owned()))
        });
        let mut begin: Vec<(String, String)> = of_addresses.chain(of_names).collect();
        // In the order of the file, so that the same file has the same error.
        let line = |of: &(String, String)| self.find(&of.0, &of.1).map(|alias| alias.line);
        begin.sort_by_cached_key(|of| (line(of), of.1.clone()));
        for start in begin {
            self.follow(start, &mut done)?;
        }
        Ok(self)
    }

    /// Follows an alias to its ends. `done`: false while it is followed, true when that has ended well.
    fn follow(
        &self,
        start: (String, String),
        done: &mut HashMap<(String, String), bool>,
    ) -> Result<(), Wrong> {
        // Those on the way, each with the targets that are still to be followed.
        let mut way: Vec<((String, String), Vec<Address>)> = Vec::new();
        let mut next = Some(start);
        loop {
            if let Some(node) = next.take() {
                let Some(alias) = self.find(&node.0, &node.1).filter(|_| !done.contains_key(&node))
                else {
                    continue;
                };
                done.insert(node.clone(), false);
                way.push((node.clone(), alias.at(&node.1)));
            }
            let Some((node, targets)) = way.last_mut() else { return Ok(()) };
            let Some(target) = targets.pop() else {
                done.insert(node.clone(), true);
                way.pop();
                continue;
            };
            let target = (target.local_unquoted().to_lowercase(), target.domain_key());
            if target == *node {
                continue;
            }
            if done.get(&target) == Some(&false) {
                let names: Vec<String> = way
                    .iter()
                    .skip_while(|(node, _)| *node != target)
                    .map(|((local, domain), _)| format!("{local}@{domain}"))
                    .chain([format!("{}@{}", target.0, target.1)])
                    .collect();
                let line = self.find(&target.0, &target.1).map_or(1, |alias| alias.line);
                let problem = format!("aliases go round in a circle: {}", names.join(" -> "));
                return Err(Wrong { line, column: 1, problem });
            }
            next = Some(target);
        }
    }
}

impl Alias {
    /// Whom it stands for, of a name at this domain.
    pub(super) fn at(&self, domain: &str) -> Vec<Address> {
        let address = |target: &Target| match target {
            Target::Name(name) => mailbox(name, domain),
            Target::Address(address) => Some(address.clone()),
        };
        self.targets.iter().filter_map(address).collect()
    }
}

/// The address of a mailbox, with quotes where they are needed (RFC 5321 section 4.1.2).
pub(super) fn mailbox(local: &str, domain: &str) -> Option<Address> {
    let plain = Address::parse_international(&format!("{local}@{domain}"));
    let quoted = || {
        let escaped = local.replace('\\', "\\\\").replace('"', "\\\"");
        Address::parse_international(&format!("\"{escaped}\"@{domain}"))
    };
    plain.ok().filter(|address| address.local_unquoted() == local).or_else(|| quoted().ok())
}

fn read(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(FILE_OCTETS_MAX + 1).read_to_string(&mut text)?;
    if text.len() as u64 > FILE_OCTETS_MAX {
        return Err(io::Error::other("it is too large"));
    }
    Ok(text)
}

/// Lines of a name, a colon and whom it stands for, with commas between. `#` begins a comment, and a line that begins with
/// white space goes on with the one before it.
fn parse(text: &str, domains: &[&str]) -> Result<Aliases, Wrong> {
    let mut aliases = Aliases::default();
    let mut open: Option<(String, Alias, Vec<Target>)> = None;
    for (line, whole) in (1..).zip(text.lines()) {
        let said = &whole[..comment(whole)];
        if said.trim().is_empty() {
            continue;
        }
        let targets = if said.starts_with([' ', '\t']) {
            let Some((_, _, targets)) = &mut open else {
                let problem = "it goes on with a line that is not there".to_owned();
                return Err(Wrong { line, column: 1, problem });
            };
            read_targets(said, said, line, targets)?;
            continue;
        } else {
            let colon = unquoted(said, ':').ok_or_else(|| {
                let problem = "there is no colon behind the name".to_owned();
                Wrong { line, column: 1, problem }
            })?;
            aliases.close(open.take(), line - 1)?;
            let name = key(said[..colon].trim(), domains).map_err(|problem| Wrong {
                line,
                column: 1,
                problem,
            })?;
            let mut targets = Vec::new();
            read_targets(whole, &said[colon + 1..], line, &mut targets)?;
            (name, Alias { line, targets: [].into() }, targets)
        };
        open = Some(targets);
    }
    let last = u32::try_from(text.lines().count()).unwrap_or(u32::MAX);
    aliases.close(open, last)?;
    Ok(aliases)
}

impl Aliases {
    /// Takes an alias whose last line was read.
    fn close(
        &mut self,
        open: Option<(String, Alias, Vec<Target>)>,
        last: u32,
    ) -> Result<(), Wrong> {
        let Some((name, mut alias, targets)) = open else { return Ok(()) };
        let wrong = |problem| Err(Wrong { line: alias.line, column: 1, problem });
        if targets.is_empty() {
            return wrong(format!("{name} stands for nobody"));
        }
        if targets.len() > TARGETS_MAX {
            return wrong(format!("{name} stands for more than {TARGETS_MAX}, up to line {last}"));
        }
        let (table, key) = match name.split_once('@') {
            Some(("", domain)) => (&mut self.catch_alls, domain.to_owned()),
            Some(_) => (&mut self.addresses, name.clone()),
            None => (&mut self.names, name.clone()),
        };
        if let Some(known) = table.get(&key) {
            let earlier = known.line;
            return wrong(format!("{name} is already in line {earlier}"));
        }
        alias.targets = targets.into();
        table.insert(key, alias);
        Ok(())
    }
}

/// Where a comment begins, or the end.
fn comment(line: &str) -> usize {
    unquoted(line, '#').unwrap_or(line.len())
}

/// The first place of a character that is not within quotes.
fn unquoted(text: &str, wanted: char) -> Option<usize> {
    let (mut quoted, mut escaped) = (false, false);
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            c if c == wanted && !quoted => return Some(at),
            _ => {}
        }
    }
    None
}

/// A name as it is looked up: `local`, `local@domain` or `@domain`, in small letters.
fn key(name: &str, domains: &[&str]) -> Result<String, String> {
    let ours = |domain: &str| match domains.contains(&domain) {
        true => Ok(()),
        false => Err(format!("{domain} is no local domain")),
    };
    if let Some(domain) = name.strip_prefix('@') {
        let address = Address::parse_international(&format!("x@{domain}"));
        let domain = address.map_err(|_| format!("{domain:?} is no domain"))?.domain_key();
        ours(&domain)?;
        return Ok(format!("@{domain}"));
    }
    let whole = Address::parse_international(name).ok().filter(|found| !found.domain().is_empty());
    if let Some(address) = whole {
        let (local, domain) = (address.local_unquoted().to_lowercase(), address.domain_key());
        ours(&domain)?;
        return Ok(format!("{local}@{domain}"));
    }
    let address = Address::parse_international(&format!("{name}@local"));
    let plain = address.ok().filter(|address| address.local() == name);
    let wrong = || format!("{name:?} is neither a name nor an address");
    plain.map(|address| address.local_unquoted().to_lowercase()).ok_or_else(wrong)
}

/// Reads those that a name stands for; `rest` is a part of `line`.
fn read_targets(
    line: &str,
    rest: &str,
    number: u32,
    targets: &mut Vec<Target>,
) -> Result<(), Wrong> {
    let mut rest = rest;
    loop {
        let end = unquoted(rest, ',').unwrap_or(rest.len());
        let word = rest[..end].trim();
        if !word.is_empty() {
            let before = line.len() - line[word.as_ptr() as usize - line.as_ptr() as usize..].len();
            let column = line[..before].chars().count() + 1;
            let wrong = |problem| Wrong { line: number, column, problem };
            targets.push(target(word).map_err(wrong)?);
        }
        match rest.get(end + 1..) {
            Some(more) => rest = more,
            None => return Ok(()),
        }
    }
}

fn target(word: &str) -> Result<Target, String> {
    if word.starts_with(['|', '/', ':']) {
        return Err(format!(
            "{word:?} is no address: programs, files and lists of a file can't be had here"
        ));
    }
    if let Ok(address) = Address::parse_international(word)
        && !address.domain().is_empty()
    {
        return Ok(Target::Address(address));
    }
    let address = Address::parse_international(&format!("{word}@local"));
    let named = address.ok().filter(|address| address.local() == word);
    let named = named.ok_or_else(|| format!("{word:?} is neither a name nor an address"))?;
    Ok(Target::Name(named.local_unquoted().into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOMAINS: [&str; 2] = ["here.test", "there.test"];

    fn aliases(text: &str) -> Result<Aliases, Wrong> {
        parse(text, &DOMAINS)?.free_of_circles(&DOMAINS)
    }

    #[test]
    fn names_stand_for_others() {
        let text = "\
# comment
Sales: alice, Bob@Example.org   # two
sales@there.test:
    carol,
\t\"d, e\"@far.test # more

postmaster: root
root: alice, root
@here.test: alice@far.test
\"a:b\": \"x y\"
";
        let aliases = aliases(text).unwrap();
        assert_eq!(aliases.count(), 6);
        let of = |alias: Option<&Alias>, domain: &str| -> Vec<String> {
            alias
                .map(|alias| alias.at(domain))
                .unwrap_or_default()
                .iter()
                .map(Address::to_string)
                .collect()
        };
        for (local, domain, wanted) in [
            ("sales", "here.test", &["alice@here.test", "Bob@Example.org"][..]),
            ("sales", "there.test", &["carol@there.test", "\"d, e\"@far.test"]),
            ("root", "there.test", &["alice@there.test", "root@there.test"]),
            ("a:b", "here.test", &["\"x y\"@here.test"]),
            ("alice", "here.test", &[]),
        ] {
            assert_eq!(of(aliases.find(local, domain), domain), wanted, "{local}@{domain}");
        }
        assert_eq!(of(aliases.catch_all("here.test"), "here.test"), ["alice@far.test"]);
        assert!(aliases.catch_all("there.test").is_none());
    }

    #[test]
    fn what_is_wrong_is_told_with_line_and_column() {
        for (text, line, column, wanted) in [
            ("sales alice", 1, 1, "there is no colon"),
            ("\n  alice", 2, 1, "goes on with a line"),
            ("a: b\nsales: alice, b b", 2, 15, "\"b b\" is neither"),
            ("sales: alice,\n\t\u{f6}, |prog", 2, 5, "\"|prog\" is no address: programs"),
            ("sales: :include:/etc/list", 1, 8, "lists of a file"),
            ("sales: /var/mail/x", 1, 8, "files"),
            ("sales:\nb: c", 1, 1, "sales stands for nobody"),
            ("sales: a\nSALES: b", 2, 1, "sales is already in line 1"),
            ("a@far.test: b", 1, 1, "far.test is no local domain"),
            ("@far.test: b", 1, 1, "far.test is no local domain"),
            ("a b: c", 1, 1, "\"a b\" is neither"),
            (
                "a: b\nb: c@there.test\nc: a",
                3,
                1,
                "circle: c@there.test -> a@there.test -> b@there.test -> c@there.test",
            ),
        ] {
            let wrong = aliases(text).unwrap_err();
            assert!(wrong.problem.contains(wanted), "{text:?}: {wrong:?}");
            assert_eq!((wrong.line, wrong.column), (line, column), "{text:?}: {wrong:?}");
        }
        let many = format!("a: {}", "b@c.test, ".repeat(TARGETS_MAX + 1));
        assert!(aliases(&many).unwrap_err().problem.contains("more than 1000"));
    }

    #[test]
    fn a_name_may_mean_its_own_mailbox_and_several_ways_to_one_are_no_circle() {
        assert!(aliases("a: a, b\nb: c\nd: b, c, a\n").is_ok());
        let chain: String = (0..5000).map(|n| format!("n{n}: n{}\n", n + 1)).collect();
        assert!(aliases(&chain).is_ok());
        assert!(aliases(&format!("{chain}n5000: n17\n")).unwrap_err().problem.contains("circle"));
    }
}
