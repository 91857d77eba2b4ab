//! Checks a configuration without serving: everything that can be known beforehand.
//! Runs no code of a plug-in and changes nothing on disk.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use stagepost_extmgr::{Class, InspectError, Inspection, OnLoadError, PluginConfig, Run, inspect};

use crate::config::{self, ConfigError, Settings};

/// Why a configuration can't be served. Always the operator's to put right.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CheckError {
    /// The configuration file.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A plug-in that it names.
    #[error("error: {place}: plug-in {name}: {refusal}\n  = help: put the plug-in's file or its [[plugin]] section right; `stagepost plugin inspect {}` shows what the file says", file.display())]
    Plugin {
        /// The configuration file.
        place: String,
        /// The plug-in's name in it.
        name: String,
        /// The plug-in's file.
        file: PathBuf,
        /// Why it would be refused.
        refusal: Box<PluginRefusal>,
    },
}

/// Why a plug-in would be refused.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PluginRefusal {
    /// Its file is not taken.
    #[error(transparent)]
    File(#[from] InspectError),
    /// A field of the configuration and the file don't agree.
    #[error("{field}: the configuration has {wanted:?}, the file {found:?}")]
    Field {
        /// The field.
        field: &'static str,
        /// What the configuration has.
        wanted: String,
        /// What the file has.
        found: String,
    },
}

/// Checks a file and what it names; one line for each thing that is right.
pub(crate) fn run(file: &Path) -> Result<String, CheckError> {
    let settings = config::load(file)?;
    let mut lines = format!("OK  configuration {}\n", settings.source);
    for listener in &settings.listeners {
        push(&mut lines, format_args!("OK  listener {} on {}", listener.name, listener.address));
    }
    for plugin in &settings.plugins {
        match check_plugin(plugin) {
            Ok(found) => {
                let Inspection { descriptor, .. } = &found;
                let class = descriptor.class.name();
                push(
                    &mut lines,
                    format_args!(
                        "OK  plug-in {} {} ({class}) from {}",
                        plugin.name,
                        descriptor.version,
                        plugin.path.display()
                    ),
                );
            }
            Err(refusal) if plugin.on_load_error == OnLoadError::Skip => {
                push(
                    &mut lines,
                    format_args!("--  plug-in {} will be skipped: {refusal}", plugin.name),
                );
            }
            Err(refusal) => return Err(refused(&settings, plugin, refusal)),
        }
    }
    Ok(lines)
}

/// Shows what a plug-in's file says of itself.
pub(crate) fn describe(file: &Path) -> Result<String, InspectError> {
    let Inspection { descriptor, sha256, octets, further_exports } = inspect(file)?;
    let mut lines = String::new();
    let (major, minor) = descriptor.abi;
    push(&mut lines, format_args!("name      {}", descriptor.name));
    push(&mut lines, format_args!("version   {}", descriptor.version));
    push(&mut lines, format_args!("class     {}", descriptor.class.name()));
    push(&mut lines, format_args!("language  {}", descriptor.language.name()));
    push(&mut lines, format_args!("ABI       {major}.{minor}"));
    push(&mut lines, format_args!("stages    {}", words(&descriptor.stage_names())));
    push(&mut lines, format_args!("edits     {}", words(&descriptor.edit_names())));
    push(&mut lines, format_args!("sha256    {sha256}"));
    push(&mut lines, format_args!("octets    {octets}"));
    if !further_exports.is_empty() {
        push(
            &mut lines,
            format_args!(
                "exports   {} beside em_entry; hide them (-fvisibility=hidden)",
                further_exports.join(", ")
            ),
        );
    }
    Ok(lines)
}

fn words(names: &[&str]) -> String {
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

fn push(lines: &mut String, line: std::fmt::Arguments<'_>) {
    // Writing to a String never fails.
    let _ = writeln!(lines, "{line}");
}

fn refused(settings: &Settings, plugin: &PluginConfig, refusal: PluginRefusal) -> CheckError {
    CheckError::Plugin {
        place: settings.source.clone(),
        name: plugin.name.clone(),
        file: plugin.path.clone(),
        refusal: Box::new(refusal),
    }
}

fn check_plugin(plugin: &PluginConfig) -> Result<Inspection, PluginRefusal> {
    let found = inspect(&plugin.path)?;
    agree("name", plugin.name.clone(), found.descriptor.name.clone())?;
    if let Some(digest) = plugin.sha256 {
        let wanted = digest.iter().map(|octet| format!("{octet:02x}")).collect();
        agree("sha256", wanted, found.sha256.clone())?;
    }
    if plugin.run == Some(Run::Inline) && found.descriptor.class == Class::Blocking {
        agree("run", Run::Inline.name().to_owned(), format!("class {}", Class::Blocking.name()))?;
    }
    Ok(found)
}

fn agree(field: &'static str, wanted: String, found: String) -> Result<(), PluginRefusal> {
    if wanted == found { Ok(()) } else { Err(PluginRefusal::Field { field, wanted, found }) }
}
