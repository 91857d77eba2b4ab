//! The configuration that is used when none is named: a server to try things with, on loopback only.
//! Knows no value in any other way than a configuration file does.

use std::path::Path;

/// What the built-in configuration is called where a file would be named.
pub(super) const NAME: &str = "<built-in development configuration>";

/// The text; `PLUGINS_DIR` stands for the folder of the executable.
const TEXT: &str = r#"
hostname = "localhost"
state_dir = "var"

[[listen]]
name = "development"
address = "127.0.0.1:2525"

[limits]
sessions_per_address_max = 10_000    # everybody comes from the same address here

[[local_domain]]
name = "example.test"
mailboxes = "any"

[plugins]
dir = PLUGINS_DIR

[[plugin]]
name = "example-c"
path = "example_c"

[[plugin]]
name = "example-rust"
path = "example_rust"
"#;

/// The development configuration, with plug-ins from `plugins_dir`.
pub(super) fn text(plugins_dir: &Path) -> String {
    let dir = toml::Value::String(plugins_dir.display().to_string());
    TEXT.replace("PLUGINS_DIR", &dir.to_string())
}
