//! How add-ins come in: files found and checked, libnotes.so bound, each opened and entered once.
//! Knows no event.

use std::fs;
use std::path::PathBuf;

use stagepost_sdk::{Host, Level, StartError};

use crate::api;
use crate::bridge::Bridge;
use crate::environment;
use crate::file::{self, AddInFile, FileError, LIBNOTES};
use crate::linker::{Notes, Opened};
use crate::section::{Section, Variable};
use crate::status::NOERROR;

/// The variable that lists add-ins.
const LIST: &str = "EXTMGR_ADDINS";

/// Starts the bridge: every add-in is in the process and has been entered.
pub(crate) fn start(host: Host) -> Result<&'static Bridge, StartError> {
    let section = Section::read(&host.config()).map_err(StartError::failed)?;
    let names = names(&host, &section)?;
    if names.is_empty() {
        host.log(Level::Warn, "no add-ins: neither `addins` nor EXTMGR_ADDINS names any");
    }
    section.check_names(&host.config(), &names).map_err(StartError::failed)?;
    let (names, files) = files(&host, &section, names)?;
    let libnotes = libnotes(&host)?;
    let twice = || StartError::failed("wanted one bridge in the process, found a second");
    let bridge = Bridge::make(host, section, names).ok_or_else(twice)?;

    let global = files.iter().any(|file| !file.needs_libnotes);
    let notes = Notes::bind(&libnotes, api::find, global).map_err(StartError::failed)?;
    bridge.notes.get_or_init(|| notes);
    let mut opened = Vec::new();
    for (add_in, file) in files.iter().enumerate() {
        opened.push(enter(bridge, add_in, file)?);
    }
    bridge.opened.get_or_init(|| opened);
    Ok(bridge)
}

/// The add-ins in their order: those of the section, else those of EXTMGR_ADDINS.
fn names(host: &Host, section: &Section) -> Result<Vec<String>, StartError> {
    if !section.addins.is_empty() {
        return Ok(section.addins.clone());
    }
    let own = section.ini.iter().find(|(name, _)| name.eq_ignore_ascii_case(LIST));
    if let Some((_, Variable::Text(list))) = own {
        return Ok(file::names(list));
    }
    let Some(path) = &section.notes_ini else { return Ok(Vec::new()) };
    let octets = environment::read(path)
        .map_err(|error| StartError::failed(format_args!("{}: {error}", path.display())))?;
    let lines = environment::lines(&octets);
    let lists: Vec<&Vec<u8>> = lines
        .iter()
        .filter(|(name, _)| name.eq_ignore_ascii_case(LIST))
        .map(|(_, list)| list)
        .collect();
    if lists.len() > 1 {
        let (path, count) = (path.display(), lists.len());
        host.log(
            Level::Warn,
            format_args!("{path}: {LIST} is there {count} times: the last one counts"),
        );
    }
    let list =
        lists.last().map_or(String::new(), |list| String::from_utf8_lossy(list).into_owned());
    Ok(file::names(&list))
}

/// The files of the add-ins, each once: a second name of one would have it entered again.
fn files(
    host: &Host,
    section: &Section,
    names: Vec<String>,
) -> Result<(Vec<String>, Vec<AddInFile>), StartError> {
    let (mut kept, mut files) = (Vec::<String>::new(), Vec::<AddInFile>::new());
    for name in names {
        let file = AddInFile::find(&name, section, api::has).map_err(StartError::failed)?;
        match files.iter().position(|known| known.identity == file.identity) {
            Some(first) => host.log(
                Level::Warn,
                format_args!(
                    "add-in {name}: its file is that of add-in {}: loaded once",
                    kept[first]
                ),
            ),
            None => {
                kept.push(name);
                files.push(file);
            }
        }
    }
    Ok((kept, files))
}

/// Where libnotes.so is: beside the bridge's own file.
fn libnotes(host: &Host) -> Result<PathBuf, StartError> {
    let own = host.config().own_file().and_then(|own| own.parent());
    let folder =
        own.ok_or_else(|| StartError::failed("the host does not say where the bridge's file is"))?;
    let path = folder.join(LIBNOTES);
    let path = fs::canonicalize(&path)
        .map_err(|error| StartError::failed(format_args!("{}: {error}", path.display())))?;
    file::check_trust(LIBNOTES, &path).map_err(StartError::failed)?;
    Ok(path)
}

fn enter(bridge: &'static Bridge, add_in: usize, file: &AddInFile) -> Result<Opened, StartError> {
    let name = bridge.name(add_in);
    // Initialisers may call already.
    let opened =
        Bridge::inside(add_in, || Opened::open(file)).map_err(|error| match error.missing() {
            Some(function) => StartError::failed(FileError::missing(name, function)),
            None => StartError::failed(format_args!("add-in {name}: {error}")),
        })?;
    // Before it is entered, so that the log names the one that does not come back.
    bridge
        .host
        .log(Level::Info, format_args!("add-in {name}: loaded from {}", file.path.display()));
    // On a thread as for every other call.
    let enter = move || Bridge::inside(add_in, || opened.enter());
    let entered = bridge.threads.run(enter).map_err(StartError::failed)?;
    let broken = || StartError::failed(format_args!("add-in {name}: the bridge failed around it"));
    let status = entered.wait().ok_or_else(broken)?;
    if status != NOERROR {
        bridge.registry.remove_all(add_in);
        let text = "the server goes on without it";
        bridge.host.log(
            Level::Error,
            format_args!("add-in {name}: MainEntryPoint: status {status:#06x}: {text}"),
        );
        return Ok(opened.refused());
    }
    let idle = bridge.registry.idle(add_in);
    if !idle.is_empty() {
        let events: Vec<String> = idle.iter().map(ToString::to_string).collect();
        let events = events.join(", ");
        bridge.host.log(
            Level::Info,
            format_args!("add-in {name}: these events never happen here: {events}"),
        );
    }
    Ok(opened)
}
