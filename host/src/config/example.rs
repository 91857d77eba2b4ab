//! Holds stagepost.example.toml to what it says: it loads, it has every field, and the defaults in it are the defaults.
//! Knows how a field is written there, and no field.

use std::path::Path;

use serde::de::{DeserializeOwned, Deserializer, Error, Visitor};

use super::{Settings, file, parse};

const EXAMPLE: &str = include_str!("../../../stagepost.example.toml");

/// The folder that the example's relative paths would begin at.
const BASE: &str = "/etc/stagepost";

fn read(text: &str) -> Settings {
    parse("stagepost.example.toml", text, Path::new(BASE)).unwrap_or_else(|error| panic!("{error}"))
}

/// The name and value of a commented default.
fn commented(line: &str) -> Option<&str> {
    let setting = line.strip_prefix('#')?;
    let name = setting.split(" = ").next()?;
    let inside = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
    let named = name.starts_with(|b: char| b.is_ascii_lowercase()) && name.bytes().all(inside);
    (named && setting.len() > name.len()).then_some(setting)
}

/// The example with its commented defaults taken in.
fn uncommented() -> String {
    EXAMPLE.lines().map(|line| commented(line).unwrap_or(line).to_owned() + "\n").collect()
}

#[test]
fn the_commented_defaults_are_the_defaults() {
    let (defaults, mut written) = (read(EXAMPLE), read(&uncommented()));
    // Only what is written has a place of its own.
    written.state_dir_place = defaults.state_dir_place.clone();
    assert_eq!(format!("{defaults:#?}"), format!("{written:#?}"));
}

/// Every table of the configuration with the fields that its type has.
fn tables() -> Vec<(&'static str, &'static [&'static str])> {
    vec![
        ("", fields_of::<file::File>()),
        ("log", fields_of::<file::Log>()),
        ("listen", fields_of::<file::Listen>()),
        ("tls", fields_of::<file::Tls>()),
        ("certificate", fields_of::<file::Certificate>()),
        ("auth", fields_of::<file::Auth>()),
        ("ldap", fields_of::<file::Ldap>()),
        ("limits", fields_of::<file::Limits>()),
        ("timeouts", fields_of::<file::Timeouts>()),
        ("queue", fields_of::<file::Queue>()),
        ("delivery", fields_of::<file::Delivery>()),
        ("tls_report", fields_of::<file::TlsReport>()),
        ("dns", fields_of::<file::Dns>()),
        ("local_domain", fields_of::<file::LocalDomain>()),
        ("route", fields_of::<file::Route>()),
        ("plugins", fields_of::<file::Plugins>()),
        ("plugin", fields_of::<file::Plugin>()),
    ]
}

#[test]
fn every_stage_and_its_fields_are_in_the_example() {
    let (_, stages) = EXAMPLE.split_once("[plugin.stage.NAME]").unwrap();
    let (explanation, section) = stages.split_once("\n[plugin.stage.").unwrap();
    for stage in fields_of::<file::Stages>() {
        let named = explanation.split([' ', ',', '.', ':', '\n']).any(|word| word == *stage);
        assert!(named, "stagepost.example.toml does not name the stage {stage}");
    }
    let section = section.split("\n[").next().unwrap();
    for field in fields_of::<file::StageContract>() {
        assert!(section.contains(&format!("{field} = ")), "{field} is not in {section}");
    }
}

#[test]
fn every_field_is_in_the_example() {
    let text = uncommented();
    let document: toml::Table = toml::from_str(&text).unwrap();
    let tables = tables();
    for (table, fields) in &tables {
        assert!(!fields.is_empty(), "{table}");
        for field in *fields {
            let present = match document.get(*table) {
                None => document.contains_key(*field),
                Some(toml::Value::Table(members)) => members.contains_key(*field),
                Some(toml::Value::Array(sections)) => {
                    sections.iter().any(|section| section.get(field).is_some())
                }
                Some(other) => panic!("{table} is {other}"),
            };
            assert!(present, "stagepost.example.toml lacks {field} in [{table}]");
        }
    }
    for (name, value) in &document {
        assert_eq!(value.is_table(), file::SECTIONS.contains(&name.as_str()), "{name}");
        assert_eq!(value.is_array(), file::LISTS.contains(&name.as_str()), "{name}");
        let plain = !value.is_table() && !value.is_array();
        assert_eq!(plain, file::PLAIN.contains(&name.as_str()), "{name}");
        let sections = value.is_table() || value.is_array();
        assert_eq!(sections, tables.iter().any(|(table, _)| table == name), "{name}");
    }
}

#[test]
fn the_example_plugin_is_given_what_it_reads() {
    let source = include_str!("../../../plugins/example-rust/src/lib.rs");
    let settings = read(EXAMPLE);
    let plugin = settings.plugins.iter().find(|plugin| plugin.config.name == "example-rust");
    let section = plugin.unwrap().config.section.json().as_object().unwrap().clone();
    assert!(!section.is_empty());
    for name in section.keys() {
        assert!(source.contains(&format!("{name:?}")), "example-rust does not read {name}");
    }
}

#[test]
fn every_setting_is_explained() {
    let mut before = "";
    for line in EXAMPLE.lines() {
        let setting = commented(line).or_else(|| line.split_once(" = ").map(|_| line));
        let explained = before.starts_with("# ");
        // The lines of a plug-in's own section and of a further section of a kind are examples.
        let example = [
            "domain = \"*\"",
            "domain = \"branch",
            "name = \"submission\"",
            "purpose = \"submission\"",
            "certificates = [\"mx\"]",
            "next_hop = \"mx\"",
            "name = \"lists",
            "mailboxes = \"any\"",
            "name = \"example-rust\"",
            "path = \"/opt",
            "stamp = ",
        ];
        let repeated = example.iter().any(|start| line.starts_with(start));
        if setting.is_some() && !line.starts_with("# ") && !repeated {
            assert!(explained, "{line:?} has no explanation");
        }
        before = line;
    }
}

/// The names of a struct's fields, as serde sees them.
fn fields_of<T: DeserializeOwned>() -> &'static [&'static str] {
    let mut fields: &'static [&'static str] = &[];
    // It never succeeds: all that is wanted is the question.
    let _ = T::deserialize(Lister(&mut fields));
    fields
}

struct Lister<'l>(&'l mut &'static [&'static str]);

impl<'de> Deserializer<'de> for Lister<'_> {
    type Error = toml::de::Error;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Self::Error> {
        Err(Self::Error::custom("not a struct"))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Self::Error> {
        *self.0 = fields;
        Err(Self::Error::custom("listed"))
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 char str string bytes byte_buf option unit
        unit_struct newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}
