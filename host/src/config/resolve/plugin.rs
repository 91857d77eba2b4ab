//! Plug-ins from the file as written: their files, their own sections, their fault contracts.
//! Knows no plug-in's code and no descriptor.

use std::path::{Path, PathBuf};
use std::time::Duration;

use stagepost_extmgr::{FaultContract, FaultContracts, Limits, PluginConfig};
use stagepost_smtp::Event;
use toml::Spanned;

use super::Resolver;
use crate::config::error::ConfigError;
use crate::config::folder::Folders;
use crate::config::settings::Plugin;
use crate::config::{file, section};

/// Where plug-ins are when the configuration does not say.
const PLUGINS_DIR: &str = "/usr/lib/stagepost/plugins";

impl Resolver<'_> {
    pub(super) fn plugins(
        &self,
        common: &file::Plugins,
        written: Vec<Spanned<file::Plugin>>,
        folders: &Folders<'_>,
    ) -> Result<Vec<Plugin>, ConfigError> {
        let names = written.iter().map(|plugin| &plugin.get_ref().name);
        self.unique(names.map(|name| (name, name.get_ref().0.clone())))?;
        let plugin = |(index, written): (usize, Spanned<file::Plugin>)| {
            let path = written.get_ref().path.clone();
            let plugin = self.plugin(common, index, written)?;
            folders.plugin(&plugin.config.path, &path)?;
            Ok(plugin)
        };
        written.into_iter().enumerate().map(plugin).collect()
    }

    fn plugin(
        &self,
        common: &file::Plugins,
        index: usize,
        written: Spanned<file::Plugin>,
    ) -> Result<Plugin, ConfigError> {
        let at = |span| self.document.at(span);
        let dir = common.dir.as_deref().unwrap_or_else(|| Path::new(PLUGINS_DIR));
        let section = at(written.span());
        let written = written.into_inner();
        let contracts = self.contracts(index, &written, common.chain_budget_ms)?;
        Ok(Plugin {
            section,
            name: at(written.name.span()),
            path: at(written.path.span()),
            run: written.run.as_ref().map(|run| at(run.span())),
            sha256: written.sha256.as_ref().map(|digest| at(digest.span())),
            config: PluginConfig {
                path: self.base.join(dir).join(self.plugin_file(&written.path)?),
                name: written.name.into_inner().0,
                run: written.run.map(|run| run.into_inner().into()),
                priority: written.priority.get(),
                contracts,
                on_load_error: written.on_load_error.into(),
                threads_max: written.threads_max.get() as usize,
                pending_max: written.pending_max.get() as usize,
                state_octets_max: written.state_octets_max.octets(),
                sha256: written.sha256.map(|digest| digest.into_inner().0),
                section: section::of_plugin(self.document, index)?,
            },
        })
    }

    /// A bare name stands for the library of that name.
    fn plugin_file(&self, written: &Spanned<PathBuf>) -> Result<PathBuf, ConfigError> {
        let path = written.get_ref();
        if path.file_name().is_none() {
            let problem = format!("{:?} names no file", path);
            return Err(self.document.fault(
                written.span(),
                problem,
                "write a file such as \"libfoo.so\", or its bare name \"foo\"",
            ));
        }
        let bare = path.extension().is_none() && path.components().count() == 1;
        Ok(match path.to_str() {
            Some(name) if bare => {
                format!("{}{name}{}", std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX)
                    .into()
            }
            _ => path.clone(),
        })
    }

    /// The fault contracts of the plug-in at `index`: its own defaults, and what its stages have instead.
    fn contracts(
        &self,
        index: usize,
        written: &file::Plugin,
        budget: file::Milliseconds,
    ) -> Result<FaultContracts, ConfigError> {
        self.document.check_stages(index)?;
        let on_fault = *written.on_fault.get_ref();
        if let file::OnFault::Hold = on_fault {
            let problem = "\"hold\" is not possible at every stage";
            return Err(self.document.fault(written.on_fault.span(), problem, HOLD_REMEDY));
        }
        let mut contracts = FaultContracts::everywhere(FaultContract {
            deadline: self.deadline(&written.deadline_ms, budget)?,
            deadline_max: self.deadline(&written.deadline_max_ms, budget)?,
            on_fault: on_fault.into(),
        });
        for event in Event::ALL {
            let (stage, contract) = (written.stage.at(event), contracts.at_mut(event));
            if let Some(deadline_ms) = &stage.deadline_ms {
                contract.deadline = self.deadline(deadline_ms, budget)?;
            }
            if let Some(deadline_max_ms) = &stage.deadline_max_ms {
                contract.deadline_max = self.deadline(deadline_max_ms, budget)?;
            }
            if let Some(on_fault) = &stage.on_fault {
                contract.on_fault = self.on_fault(event, on_fault)?;
            }
        }
        Ok(contracts)
    }

    /// What plug-ins may take together.
    pub(super) fn plugin_limits(&self, written: &file::Plugins) -> Result<Limits, ConfigError> {
        let duration = |milliseconds: u32| Duration::from_millis(milliseconds.into());
        let abort = Some(written.inline_abort_ms.get()).filter(|&milliseconds| milliseconds > 0);
        let warn = self.ordered(
            &written.inline_warn_ms,
            file::Milliseconds::get,
            abort.unwrap_or(u32::MAX),
            "inline_abort_ms",
        )?;
        Ok(Limits {
            start_deadline: duration(written.start_deadline_ms.get()),
            chain_budget: duration(written.chain_budget_ms.get()),
            inline_warn: duration(warn),
            inline_abort: abort.map(duration),
        })
    }

    /// A deadline beyond the budget of a chain would never come.
    fn deadline(
        &self,
        written: &Spanned<file::Milliseconds>,
        budget: file::Milliseconds,
    ) -> Result<Duration, ConfigError> {
        let milliseconds = |written: file::Milliseconds| written.get();
        let name = "plugins.chain_budget_ms";
        let deadline = self.ordered(written, milliseconds, budget.get(), name)?;
        Ok(Duration::from_millis(deadline.into()))
    }

    fn on_fault(
        &self,
        event: Event,
        written: &Spanned<file::OnFault>,
    ) -> Result<stagepost_extmgr::OnFault, ConfigError> {
        let on_fault = stagepost_extmgr::OnFault::from(*written.get_ref());
        if event == Event::Disconnect {
            let problem = "a fault at disconnect has no command to answer";
            let remedy = "remove it; the fault is logged, and the session is over anyhow";
            return Err(self.document.fault(written.span(), problem, remedy));
        }
        if !on_fault.is_possible_at(event) {
            let problem = format!("\"hold\" is not possible at {}", event.name());
            return Err(self.document.fault(written.span(), problem, HOLD_REMEDY));
        }
        Ok(on_fault)
    }
}

const HOLD_REMEDY: &str = "write \"defer\" or \"continue\" here; \"hold\" needs a message, so it belongs below \
    [plugin.stage.mail], [plugin.stage.rcpt], [plugin.stage.data], [plugin.stage.headers], \
    [plugin.stage.body], [plugin.stage.message-accept], [plugin.stage.queue], [plugin.stage.route], [plugin.stage.deliver], \
    [plugin.stage.bounce] or [plugin.stage.expire]";
