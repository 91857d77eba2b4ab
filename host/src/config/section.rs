//! A plug-in's own section: handed to it as JSON, with the place of every value.
//! Knows no plug-in and no key.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use stagepost_extmgr::Section;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::document::{Document, push_key};
use super::error::ConfigError;

/// Reads the section of the plug-in at `index` of the configuration; one without gets an empty section.
pub(super) fn of_plugin(document: &Document<'_>, index: usize) -> Result<Section, ConfigError> {
    let plugin = document
        .root()
        .get("plugin")
        .and_then(|plugins| plugins.get_ref().get(index))
        .and_then(|plugin| plugin.get_ref().as_table());
    let mut places = BTreeMap::new();
    let mut json = Map::new();
    if let Some(config) = plugin.and_then(|plugin| plugin.get("config")) {
        let Some(table) = config.get_ref().as_table() else {
            let problem = format!("invalid type: {}", config.get_ref().type_str());
            return Err(document.fault(
                config.span(),
                problem,
                "write a table: [plugin.config] and the plug-in's settings below it",
            ));
        };
        places.insert(String::new(), document.place(config.span().start));
        json = members(document, table, &mut String::new(), &mut places)?;
    }
    Ok(Section::new(document.name(), Value::Object(json), places))
}

fn members(
    document: &Document<'_>,
    table: &DeTable<'_>,
    path: &mut String,
    places: &mut BTreeMap<String, (u32, u32)>,
) -> Result<Map<String, Value>, ConfigError> {
    let mut json = Map::new();
    for (key, value) in table {
        let length = path.len();
        push_key(path, key.get_ref());
        json.insert(key.get_ref().to_string(), convert(document, value, path, places)?);
        path.truncate(length);
    }
    Ok(json)
}

fn convert(
    document: &Document<'_>,
    value: &Spanned<DeValue<'_>>,
    path: &mut String,
    places: &mut BTreeMap<String, (u32, u32)>,
) -> Result<Value, ConfigError> {
    places.insert(path.clone(), document.place(value.span().start));
    Ok(match value.get_ref() {
        DeValue::String(text) => Value::String(text.to_string()),
        DeValue::Boolean(switch) => Value::Bool(*switch),
        DeValue::Datetime(moment) => Value::String(moment.to_string()),
        DeValue::Table(table) => Value::Object(members(document, table, path, places)?),
        DeValue::Integer(digits) => {
            i64::from_str_radix(digits.as_str(), digits.radix()).map(Value::from).map_err(|_| {
                let problem = format!("{digits} does not fit into 64 bits");
                document.fault(
                    value.span(),
                    problem,
                    "write a smaller number, or text in double quotes",
                )
            })?
        }
        DeValue::Float(digits) => {
            let number = digits.as_str().parse().ok().and_then(serde_json::Number::from_f64);
            number.map(Value::Number).ok_or_else(|| {
                let problem = format!("{} is not a finite number", digits.as_str());
                document.fault(
                    value.span(),
                    problem,
                    "write a finite number, or text in double quotes",
                )
            })?
        }
        DeValue::Array(array) => {
            let mut elements = Vec::with_capacity(array.len());
            for (index, element) in array.iter().enumerate() {
                let length = path.len();
                path.push_str(&format!("[{index}]"));
                elements.push(convert(document, element, path, places)?);
                path.truncate(length);
            }
            Value::Array(elements)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
[[plugin]]
name = 'first'
[[plugin]]
name = 'second'
config = { a = 1, on = true }
[[plugin]]
name = 'third'
[plugin.config]
since = 2026-11-22
ratio = 1.5
big = 0xff
lists = ['x', { name = 'y' }]
\"odd.key\" = 'z'
deep.er = 'w'
";

    fn section(index: usize) -> Section {
        let document = Document::parse("t.toml", TEXT).unwrap();
        of_plugin(&document, index).unwrap()
    }

    #[test]
    fn sections_become_json_with_places() {
        assert_eq!(*section(0).json(), serde_json::json!({}));
        assert_eq!(section(0).place(""), None);
        assert_eq!(*section(1).json(), serde_json::json!({"a": 1, "on": true}));
        assert_eq!(section(1).place("on"), Some((5, 24)));
        let third = section(2);
        let wanted = serde_json::json!({
            "since": "2026-11-22", "ratio": 1.5, "big": 255, "lists": ["x", {"name": "y"}],
            "odd.key": "z", "deep": {"er": "w"},
        });
        assert_eq!(*third.json(), wanted);
        assert_eq!(third.file(), "t.toml");
        let places = [
            ("", (8, 1)),
            ("since", (9, 9)),
            ("lists[0]", (12, 10)),
            ("lists[1].name", (12, 24)),
            ("\"odd.key\"", (13, 13)),
            ("deep.er", (14, 11)),
        ];
        for (key, place) in places {
            assert_eq!(third.place(key), Some(place), "{key}");
        }
    }

    #[test]
    fn what_json_cannot_say_is_refused() {
        for value in ["nan", "-inf", "99999999999999999999"] {
            let text = format!("[[plugin]]\nconfig.x = {value}\n");
            let document = Document::parse("t", &text).unwrap();
            let Err(ConfigError::Fault(fault)) = of_plugin(&document, 0) else {
                panic!("{value} was taken");
            };
            assert_eq!((fault.place.line, fault.place.column), (2, 12), "{fault}");
            assert_eq!(fault.place.field, "plugin[0].config.x");
        }
    }
}
