//! One configuration text: where things are in it, and what is wrong at a place.
//! Knows TOML but none of our fields.

use std::ops::Range;

use serde::de::DeserializeOwned;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::error::{ConfigError, Place};

/// A parsed configuration text that remembers where everything stands.
pub(super) struct Document<'t> {
    name: &'t str,
    text: &'t str,
    root: Spanned<DeTable<'t>>,
}

impl<'t> Document<'t> {
    /// Parses `text`; `name` is how the operator knows the file.
    pub(super) fn parse(name: &'t str, text: &'t str) -> Result<Self, ConfigError> {
        let empty = Spanned::new(0..0, DeTable::new());
        let document = Self { name, text, root: empty };
        match DeTable::parse(text) {
            Ok(root) => Ok(Self { root, ..document }),
            Err(error) => Err(document.syntax(&error)),
        }
    }

    /// The file as the operator knows it.
    pub(super) fn name(&self) -> &str {
        self.name
    }

    /// The top-level table.
    pub(super) fn root(&self) -> &DeTable<'t> {
        self.root.get_ref()
    }

    /// Tells one section and many apart: serde would take a list for a struct, member by member.
    pub(super) fn check_shape(&self, sections: &[&str], lists: &[&str]) -> Result<(), ConfigError> {
        for (name, value) in self.root() {
            let name: &str = name.get_ref();
            let table = value.get_ref().is_table();
            if sections.contains(&name) && !table {
                let remedy = format!("write [{name}] once, and its settings below it");
                return Err(self.misshapen(name, value.span(), "it is one section", remedy));
            }
            let elements = value.get_ref().as_array();
            let tables = elements.is_some_and(|list| list.iter().all(|e| e.get_ref().is_table()));
            if lists.contains(&name) && !tables {
                let remedy = format!("write [[{name}]] with two brackets, once for each");
                return Err(self.misshapen(name, value.span(), "it is a list of sections", remedy));
            }
        }
        Ok(())
    }

    /// The same for the stages of the plug-in at `index`.
    pub(super) fn check_stages(&self, index: usize) -> Result<(), ConfigError> {
        let plugin = self.root().get("plugin").and_then(|plugins| plugins.get_ref().get(index));
        let stages = plugin.and_then(|plugin| plugin.get_ref().get("stage"));
        let Some(stages) = stages else { return Ok(()) };
        let remedy = "write [plugin.stage.NAME] and the settings of that stage below it";
        let Some(members) = stages.get_ref().as_table() else {
            return Err(self.fault(stages.span(), "it is one section for each stage", remedy));
        };
        match members.values().find(|stage| !stage.get_ref().is_table()) {
            Some(stage) => Err(self.fault(stage.span(), "a stage is one section", remedy)),
            None => Ok(()),
        }
    }

    /// Finds those of the top level that were written below a section, and so became a part of it.
    pub(super) fn check_places(&self, top: &[&str]) -> Result<(), ConfigError> {
        let sections = self.root().values().flat_map(|value| match value.get_ref() {
            DeValue::Array(list) => list.iter().map(Spanned::get_ref).collect(),
            other => vec![other],
        });
        let mut members = sections.filter_map(DeValue::as_table).flat_map(|table| table.keys());
        match members.find(|name| top.contains(&&**name.get_ref())) {
            Some(name) => {
                let problem = format!("{} belongs to no section", name.get_ref());
                let remedy = "move the line up, before the first [section]";
                Err(self.fault(name.span(), problem, remedy))
            }
            None => Ok(()),
        }
    }

    fn misshapen(
        &self,
        name: &str,
        span: Range<usize>,
        problem: &str,
        remedy: String,
    ) -> ConfigError {
        self.at_field(name.to_owned(), span).fault(problem, remedy)
    }

    /// Reads the whole document into a type.
    pub(super) fn read<T: DeserializeOwned>(&self) -> Result<T, ConfigError> {
        let copy = toml::Deserializer::from(self.root.clone());
        T::deserialize(copy).map_err(|error| self.mismatch(&error))
    }

    /// Line and column, from 1; columns count characters.
    pub(super) fn place(&self, offset: usize) -> (u32, u32) {
        let before = &self.text.as_bytes()[..offset.min(self.text.len())];
        let line_start = before.iter().rposition(|&b| b == b'\n').map_or(0, |at| at + 1);
        let line = before.iter().filter(|&&b| b == b'\n').count() + 1;
        let column = String::from_utf8_lossy(&before[line_start..]).chars().count() + 1;
        let narrow = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        (narrow(line), narrow(column))
    }

    /// Something wrong with the value at `span`.
    pub(super) fn fault(
        &self,
        span: Range<usize>,
        problem: impl Into<String>,
        remedy: impl Into<String>,
    ) -> ConfigError {
        self.at(span).fault(problem, remedy)
    }

    /// Where the value at `span` stands.
    pub(super) fn at(&self, span: Range<usize>) -> Place {
        let field = self.field_at(span.start);
        self.at_field(field, span)
    }

    /// Where a value would stand that is not written.
    pub(super) fn at_missing(&self, field: &str) -> Place {
        self.at_field(field.to_owned(), 0..0)
    }

    /// Something wrong that stands nowhere: `field` is not there.
    pub(super) fn missing(&self, field: &str, remedy: &str) -> ConfigError {
        self.at_missing(field).fault("nothing is configured", remedy)
    }

    fn at_field(&self, field: String, span: Range<usize>) -> Place {
        let (line, column) = self.place(span.start);
        let excerpt = self.text.lines().nth(line as usize - 1).unwrap_or("");
        // One character of the file is one on the screen, so that the carets fit.
        let excerpt: String =
            excerpt.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        let rest = excerpt.chars().count().saturating_sub(column as usize - 1);
        let spanned = self.text.get(span).map_or(0, |covered| covered.chars().count());
        let (file, width) = (self.name.to_owned(), spanned.min(rest));
        Place { file, line, column, field, excerpt, width }
    }

    /// The text is not TOML.
    fn syntax(&self, error: &toml::de::Error) -> ConfigError {
        let (problem, expected) = split(error.message());
        let remedy = match expected {
            Some(expected) => format!("expected here: {expected}"),
            None if problem.contains("duplicate key") => "remove one of the two".to_owned(),
            None => "the line must be TOML: name = value, text in double quotes".to_owned(),
        };
        self.fault(error.span().unwrap_or(0..0), format!("not TOML: {problem}"), remedy)
    }

    /// The text is TOML and does not say what it should.
    fn mismatch(&self, error: &toml::de::Error) -> ConfigError {
        let span = error.span().unwrap_or(0..0);
        let (problem, expected) = split(error.message());
        let missing =
            problem.strip_prefix("missing field `").and_then(|rest| rest.strip_suffix('`'));
        if let Some(name) = missing {
            let section = self.field_at(span.start);
            let dot = if section.is_empty() { "" } else { "." };
            let remedy = format!("add {name} = ... here; stagepost.example.toml explains it");
            return self.at_field(format!("{section}{dot}{name}"), span).fault(problem, remedy);
        }
        let remedy = match expected {
            Some(remedy) if error.message().contains('\n') => remedy.to_owned(),
            Some(expected) => format!("write {expected}"),
            None => "see stagepost.example.toml for what belongs here".to_owned(),
        };
        self.fault(span, problem, remedy)
    }

    /// The dotted name of what stands at `offset`; empty at the top level.
    fn field_at(&self, offset: usize) -> String {
        let mut path = String::new();
        find_in_table(self.root(), offset, &mut path);
        path
    }
}

/// Splits a message into what is wrong and what was expected. Our own types put the remedy on a
/// second line; serde and toml write `…, expected …`.
fn split(message: &str) -> (&str, Option<&str>) {
    let halves = message.split_once('\n').or_else(|| message.split_once(", expected "));
    halves.map_or((message, None), |(problem, expected)| (problem, Some(expected)))
}

/// Appends a key to a dotted path, quoted where TOML would need quotes.
pub(super) fn push_key(path: &mut String, key: &str) {
    let bare = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    if !path.is_empty() {
        path.push('.');
    }
    if !key.is_empty() && key.bytes().all(bare) {
        path.push_str(key);
    } else {
        path.push_str(&format!("{key:?}"));
    }
}

/// Looks for the innermost thing at `offset`; leaves its name in `path`. A table written under a
/// header spans its header only, so its members are searched whatever it spans.
fn find_in_table(table: &DeTable<'_>, offset: usize, path: &mut String) -> bool {
    table.iter().any(|(key, value)| {
        let length = path.len();
        push_key(path, key.get_ref());
        let found = find_in_value(value, offset, path) || key.span().contains(&offset);
        if !found {
            path.truncate(length);
        }
        found
    })
}

fn find_in_value(value: &Spanned<DeValue<'_>>, offset: usize, path: &mut String) -> bool {
    let inside = match value.get_ref() {
        DeValue::Table(table) => find_in_table(table, offset, path),
        DeValue::Array(array) => array.iter().enumerate().any(|(index, element)| {
            let length = path.len();
            path.push_str(&format!("[{index}]"));
            let found = find_in_value(element, offset, path);
            if !found {
                path.truncate(length);
            }
            found
        }),
        _ => false,
    };
    inside || value.span().contains(&offset)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
name = \"x\"
[one]
a = 1
b.c = [10, { d = 20 }]
[[many]]
u = 'é' # é
z = 5
[[many]]
[many.sub]
\"k k\" = 7
";

    #[test]
    fn fields_are_found_by_where_they_stand() {
        let document = Document::parse("t", TEXT).unwrap();
        let cases = [
            ("name", "name"),
            ("\"x\"", "name"),
            ("[one]", "one"),
            ("1\nb", "one.a"),
            ("10", "one.b.c[0]"),
            ("20", "one.b.c[1].d"),
            ("[[many]]\nu", "many[0]"),
            ("5", "many[0].z"),
            ("[[many]]\n[", "many[1]"),
            ("7", "many[1].sub.\"k k\""),
        ];
        for (text, wanted) in cases {
            assert_eq!(document.field_at(TEXT.find(text).unwrap()), wanted, "{text:?}");
        }
    }

    #[test]
    fn places_count_lines_and_characters() {
        let document = Document::parse("t", TEXT).unwrap();
        assert_eq!(document.place(0), (1, 1));
        assert_eq!(document.place(TEXT.find("# é").unwrap()), (6, 9));
        assert_eq!(document.place(TEXT.len()), (11, 1));
        assert_eq!(document.place(TEXT.len() + 9), (11, 1));
    }

    #[test]
    fn what_is_no_toml_is_shown_where_it_goes_wrong() {
        let cases = [
            ("a = \n", 1, "not TOML: "),
            ("a = 1\na = 2\n", 2, "not TOML: duplicate key"),
            ("[x\n", 1, "not TOML: "),
            ("\u{0}", 1, "not TOML: "),
        ];
        for (text, line, problem) in cases {
            let Err(ConfigError::Fault(fault)) = Document::parse("t", text).map(|_| ()) else {
                panic!("{text:?} was parsed");
            };
            assert_eq!(fault.place.line, line, "{text:?}: {fault}");
            assert!(fault.problem.starts_with(problem), "{text:?}: {fault}");
        }
    }
}
