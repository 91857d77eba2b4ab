//! Why a plug-in is refused, at its place in the configuration and with what to do about it.
//! Knows each reason; neither inspects nor loads.

use stagepost_extmgr::{ClaimFault, Claimant, FileError, InspectError, LoadError, Refusal};

use crate::config::{ConfigError, Place, Plugin, Settings};

/// Shows a refusal where the configuration speaks of what is refused.
pub(crate) fn shown(settings: &Settings, error: &LoadError) -> ConfigError {
    let mut plugins = settings.plugins.iter();
    let plugin = plugins.find(|plugin| plugin.config.name == error.plugin);
    let plugin = plugin.expect("only what is configured is loaded");
    let said = error.to_string();
    // What its author is told in passing is the help here.
    let problem = said.split_once("; remedy: ").map_or(said.as_str(), |(problem, _)| problem);
    let place = match &error.refusal {
        Refusal::Inspect(InspectError::File(error))
            if error.path().starts_with(settings.plugin_copies_dir()) =>
        {
            &settings.state_dir_place
        }
        refusal => place(plugin, refusal),
    };
    place.fault(problem, remedy(settings, plugin, &error.refusal))
}

/// The field that has to change, or what is named by it.
fn place<'p>(plugin: &'p Plugin, refusal: &Refusal) -> &'p Place {
    match refusal {
        Refusal::Inspect(InspectError::File(FileError::Hash { .. })) => {
            plugin.sha256.as_ref().unwrap_or(&plugin.path)
        }
        Refusal::Inspect(_) | Refusal::Linker(_) | Refusal::Layout => &plugin.path,
        Refusal::Name { .. } | Refusal::Twice => &plugin.name,
        Refusal::Class => plugin.run.as_ref().unwrap_or(&plugin.section),
        Refusal::TooMany
        | Refusal::Metric { .. }
        | Refusal::Claim(_)
        | Refusal::Entry(_)
        | Refusal::Start(_)
        | Refusal::EntryLate(_)
        | Refusal::StartLate(_) => &plugin.section,
    }
}

fn remedy(settings: &Settings, plugin: &Plugin, refusal: &Refusal) -> String {
    let file = plugin.config.path.display();
    let remedy = match refusal {
        Refusal::Inspect(InspectError::File(error)) => {
            return file_remedy(settings, plugin, error);
        }
        Refusal::Inspect(InspectError::Object { .. }) => {
            format!("name a plug-in that was built for this machine; {file} is none")
        }
        Refusal::Inspect(InspectError::Section { .. }) => {
            format!("write EM_DESCRIPTOR once in the plug-in and build {file} again")
        }
        Refusal::Inspect(_) | Refusal::Layout => {
            format!("build {file} again, with the header or SDK of this server")
        }
        Refusal::Name { found, .. } => {
            return format!("write name = {found:?}, or the path of the plug-in that is meant");
        }
        Refusal::Twice => return "remove one of the two sections".to_owned(),
        Refusal::TooMany => return "remove some of the [[plugin]] sections".to_owned(),
        Refusal::Class => return "write run = \"pool\", or remove the line".to_owned(),
        Refusal::Linker(_) => {
            format!("install the libraries that it needs; `ldd {file}` shows which are missing")
        }
        Refusal::Metric { .. } => {
            return "remove one of the two plug-ins, or ask their authors for other names"
                .to_owned();
        }
        Refusal::Claim(
            ClaimFault::Taken { by: Claimant::Plugin(_), .. } | ClaimFault::Keywords,
        ) => {
            return "remove one of the plug-ins: they can't work beside each other".to_owned();
        }
        Refusal::Claim(_) => "ask its author for one that works with this server".to_owned(),
        Refusal::EntryLate(_) | Refusal::StartLate(_) => {
            "give it more time with start_deadline_ms in [plugins], or ask its author".to_owned()
        }
        Refusal::Entry(_) | Refusal::Start(_) => {
            "put right what the plug-in's own log line says, or ask its author".to_owned()
        }
    };
    remedy + &or_skip(settings)
}

/// What to do about a file. One that somebody else may have written is never to be skipped: the rest of the folder is
/// as suspect.
fn file_remedy(settings: &Settings, plugin: &Plugin, error: &FileError) -> String {
    match error {
        FileError::Read { path, .. } if *path != plugin.config.path => {
            format!("this user must be able to make and write to {}", path.display())
        }
        FileError::Read { .. } if settings.is_development() => {
            "the example plug-ins belong beside the executable (`cargo build` puts them there); or run with --config FILE"
                .to_owned()
        }
        FileError::Read { .. } => {
            "name a file that is there and can be read, in whole or as it lies in `dir` of [plugins]"
                .to_owned()
                + &or_skip(settings)
        }
        FileError::Kind { .. } => "name the plug-in's file".to_owned() + &or_skip(settings),
        FileError::Folder { path, .. } => format!("move {} away", path.display()),
        FileError::Owner { path, wanted, .. } => format!(
            "look at who made it; if it is what you want, chown {wanted} {}",
            path.display()
        ),
        FileError::Mode { path, .. } => format!("chmod go-w {}", path.display()),
        FileError::Hash { found, .. } => format!(
            "put the file that is meant in its place; if you have replaced it yourself, write sha256 = {found:?}"
        ),
    }
}

fn or_skip(settings: &Settings) -> String {
    let text = if settings.is_development() {
        "; or run with --config FILE"
    } else {
        "; or write on_load_error = \"skip\" to start without it"
    };
    text.to_owned()
}
