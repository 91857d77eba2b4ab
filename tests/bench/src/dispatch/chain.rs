//! Plug-ins loaded for a measurement. Knows no question and no clock.

use std::path::{Path, PathBuf};
use std::time::Duration;

use stagepost_extmgr::{
    ExtMgr, FaultContract, FaultContracts, Limits, OnFault, OnLoadError, PluginConfig, Section,
    inspect,
};
use tempfile::TempDir;

use crate::fault::Fault;

/// As many as a server gives a plug-in by default.
const THREADS_MAX: usize = 32;
const PENDING_MAX: usize = 1000;

/// Loaded plug-ins, to be asked in the order they were given.
pub(crate) struct Chain {
    pub(crate) extmgr: ExtMgr,
    pub(crate) length: usize,
    /// Where the loaded copies are.
    _copies: TempDir,
}

impl Chain {
    /// Loads the first `length` of `files`, each under its own name.
    pub(crate) fn load(files: &[PathBuf], length: usize) -> Result<Self, Fault> {
        let Some(files) = files.get(..length).filter(|files| !files.is_empty()) else {
            let reason = format!("there are {} plug-ins", files.len());
            return Err(Fault::Option { option: "--chain", value: length.to_string(), reason });
        };
        let plugins = files.iter().map(|file| config(file)).collect::<Result<_, _>>()?;
        let copies = TempDir::new().map_err(Fault::system("make a temporary folder"))?;
        let extmgr = ExtMgr::load(plugins, Limits::default(), copies.path())
            .map_err(|error| refused(&error.plugin, &error.refusal))?;
        Ok(Self { extmgr, length, _copies: copies })
    }
}

fn config(file: &Path) -> Result<PluginConfig, Fault> {
    let inspection = inspect(file).map_err(|error| refused(&file.display().to_string(), &error))?;
    let deadline = Duration::from_secs(30);
    let contract = FaultContract { deadline, deadline_max: deadline, on_fault: OnFault::Defer };
    Ok(PluginConfig {
        name: inspection.descriptor.name,
        path: file.to_owned(),
        run: None,
        priority: 0,
        contracts: FaultContracts::everywhere(contract),
        on_load_error: OnLoadError::Abort,
        threads_max: THREADS_MAX,
        pending_max: PENDING_MAX,
        state_octets_max: 0,
        sha256: None,
        section: Section::new("none", serde_json::json!({}), Default::default()),
    })
}

fn refused(plugin: &str, reason: &dyn std::fmt::Display) -> Fault {
    Fault::Option { option: "--plugin", value: plugin.to_owned(), reason: reason.to_string() }
}
