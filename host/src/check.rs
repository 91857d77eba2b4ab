//! Checks a configuration without serving: everything that can be known beforehand.
//! Runs no code of a plug-in and changes nothing on disk.

use std::fmt::Write;
use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;
use stagepost_extmgr::{
    Class, InspectError, Inspection, LoadError, OnLoadError, PluginConfig, PluginFile, Refusal,
    Run, inspect,
};

use crate::auth::{self, SecretsFile};
use crate::config::{self, ConfigError, Settings};
use crate::delivery::Logins;
use crate::directory::{Directory, Idle};
use crate::plugin::refusal;
use crate::router::Router;
use crate::tls::{OutboundError, OutboundTls, TlsStore, VerifyingError};
use crate::{dns, state_dir};

/// So many aliases that do not do what they say are named.
const IDLE_SHOWN: usize = 20;

/// Checks a file and what it names; one line for each thing that is right.
///
/// # Errors
/// The first thing that is wrong. Always the operator's to put right.
pub(crate) fn run(file: &Path) -> Result<String, ConfigError> {
    let settings = config::load(file)?;
    let mut lines = format!("OK  configuration {}\n", settings.source);
    state_dir::check(&settings)?;
    push(&mut lines, format_args!("OK  state_dir {}", settings.state_dir.display()));
    directory(&settings, &mut lines)?;
    if let Some((path, place)) = &settings.auth.users_file {
        let users = auth::users(path, place)?;
        push(&mut lines, format_args!("OK  users_file {} with {users} users", path.display()));
    }
    if let Some((path, place)) = &settings.auth.secrets_file {
        SecretsFile::new(path, place)?;
        push(&mut lines, format_args!("OK  secrets_file {}", path.display()));
    }
    for listener in &settings.listeners {
        push(&mut lines, format_args!("OK  listener {} on {}", listener.name, listener.socket));
    }
    certificates(&settings, &mut lines)?;
    match OutboundTls::load(&settings, false) {
        Err(OutboundError::Config(error)) => return Err(error),
        Err(OutboundError::Tls(error)) => push(&mut lines, format_args!("--  {error}")),
        Ok(_) => {}
    }
    dns::check(&settings.dns)?;
    if let Some((path, _)) = &settings.dns.trust_anchor {
        push(&mut lines, format_args!("OK  trust_anchor {}", path.display()));
    }
    Logins::load(&settings)?;
    for (path, _) in &settings.login_files {
        push(&mut lines, format_args!("OK  login_file {}", path.display()));
    }
    plugins(&settings, &mut lines)?;
    Ok(lines)
}

/// Who is known here: the files, and which servers would be asked.
fn directory(settings: &Settings, lines: &mut String) -> Result<(), ConfigError> {
    match Directory::load(settings, Arc::new(Router::new(settings))) {
        Err(VerifyingError::Config(error)) => return Err(error),
        Err(VerifyingError::Tls(error)) => push(lines, format_args!("--  {error}")),
        Ok(directory) => {
            if let Some((path, _)) = &settings.aliases_file {
                let count = directory.alias_count();
                push(
                    lines,
                    format_args!("OK  aliases_file {} with {count} aliases", path.display()),
                );
                push_idle(lines, path, &directory.idle_aliases());
            }
        }
    }
    if let Some((path, _)) = &settings.groups_file {
        push(lines, format_args!("OK  groups_file {}", path.display()));
    }
    for server in settings.ldap.iter().flat_map(|ldap| &ldap.servers) {
        push(lines, format_args!("OK  ldap {}, not asked", server.0));
    }
    Ok(())
}

fn certificates(settings: &Settings, lines: &mut String) -> Result<(), ConfigError> {
    let tls = TlsStore::load(&settings.certificates, settings.tls_minimum)?;
    for (name, found) in tls.certificates() {
        let (names, from, until) = (found.names.join(", "), found.not_before, found.not_after);
        let now = Timestamp::now();
        if until < now {
            push(lines, format_args!("--  certificate {name} has expired: {until}"));
        } else if from > now {
            push(lines, format_args!("--  certificate {name} is not good before {from}"));
        } else {
            push(lines, format_args!("OK  certificate {name} for {names} until {until}"));
        }
    }
    Ok(())
}

fn plugins(settings: &Settings, lines: &mut String) -> Result<(), ConfigError> {
    for plugin in settings.plugins.iter().map(|plugin| &plugin.config) {
        match check_plugin(plugin) {
            Ok(found) => {
                let Inspection { descriptor, .. } = &found;
                let class = descriptor.class.name();
                push(
                    lines,
                    format_args!(
                        "OK  plug-in {} {} ({class}) from {}",
                        plugin.name,
                        descriptor.version,
                        plugin.path.display()
                    ),
                );
            }
            Err(refusal) if plugin.on_load_error == OnLoadError::Skip => {
                push(lines, format_args!("--  plug-in {} will be skipped: {refusal}", plugin.name));
            }
            Err(refusal) => {
                let error = LoadError { plugin: plugin.name.clone(), refusal };
                return Err(refusal::shown(settings, &error));
            }
        }
    }
    Ok(())
}

/// Tells of aliases that do not do what they say: no mistakes of form, and hardly meant.
fn push_idle(lines: &mut String, path: &Path, idle: &[Idle]) {
    let path = path.display();
    for Idle { line, name, why } in idle.iter().take(IDLE_SHOWN) {
        push(lines, format_args!("--  {path}:{line}: of {name}, {why}"));
    }
    if let Some(more) = idle.len().checked_sub(IDLE_SHOWN).filter(|more| *more > 0) {
        push(lines, format_args!("--  {path}: and {more} more such aliases"));
    }
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

/// Everything that loading would find before it runs any code, in the same order.
fn check_plugin(config: &PluginConfig) -> Result<Inspection, Refusal> {
    if let Some(digest) = &config.sha256 {
        let file = PluginFile::read(&config.path).map_err(InspectError::File)?;
        file.check_hash(&config.path, digest).map_err(InspectError::File)?;
    }
    let found = inspect(&config.path)?;
    if found.descriptor.name != config.name {
        let (wanted, found) = (config.name.clone(), found.descriptor.name);
        return Err(Refusal::Name { wanted, found });
    }
    if config.run == Some(Run::Inline) && found.descriptor.class == Class::Blocking {
        return Err(Refusal::Class);
    }
    Ok(found)
}
