//! The log service: a plug-in's lines in the host's log, marked with its name and the session.

use stagepost_abi as abi;
use stagepost_smtp::is_obeyed;

use crate::arguments::size_of_u32;
use crate::base::answer;
use crate::frame::CallSession;
use crate::host::Host;

/// The longest line, in octets.
const OCTETS_MAX: usize = 4096;

pub(super) static TABLE: abi::EmLogService =
    abi::EmLogService { size: size_of_u32::<abi::EmLogService>(), reserved: 0, write, enabled };

unsafe extern "C" fn write(
    host: *mut abi::EmHost,
    session: *const abi::EmSession,
    level: u32,
    message: abi::EmText,
) -> abi::STATUS {
    // A thread that is ending has lost what the log keeps for it: the panic of that stays here.
    answer(|| {
        // SAFETY: the contract: `host` is what em_entry was given.
        let plugin = unsafe { Host::from_handle(host) }.ok_or(abi::ERR_MISC_INVALID_ARGS)?;
        // SAFETY: the contract: NULL, or the session of the handler that is running.
        let session = unsafe { CallSession::from_handle(session) };
        // SAFETY: the contract: text lent for the call.
        let message = unsafe { super::octets(message) }?;
        if !is_enabled(level)? {
            return Ok(());
        }
        let shown = String::from_utf8_lossy(&message[..message.len().min(OCTETS_MAX)]);
        let shown: String = shown.chars().flat_map(escaped).collect();
        emit(&plugin.name, session.map(|session| session.facts.id), level, &shown)
    })
}

unsafe extern "C" fn enabled(_host: *mut abi::EmHost, level: u32) -> u8 {
    let mut found = 0;
    // An unknown level, or a thread that is ending: no.
    answer(|| {
        found = u8::from(is_enabled(level)?);
        Ok(())
    });
    found
}

fn is_enabled(level: u32) -> Result<bool, abi::STATUS> {
    Ok(match level {
        abi::EM_LOG_ERROR => tracing::enabled!(target: "plugin", tracing::Level::ERROR),
        abi::EM_LOG_WARN => tracing::enabled!(target: "plugin", tracing::Level::WARN),
        abi::EM_LOG_INFO => tracing::enabled!(target: "plugin", tracing::Level::INFO),
        abi::EM_LOG_DEBUG => tracing::enabled!(target: "plugin", tracing::Level::DEBUG),
        abi::EM_LOG_TRACE => tracing::enabled!(target: "plugin", tracing::Level::TRACE),
        _ => return Err(abi::ERR_MISC_INVALID_ARGS),
    })
}

/// What a plug-in says must not end a line of the log or steer a terminal.
fn escaped(character: char) -> impl Iterator<Item = char> {
    let escape = is_obeyed(character).then(|| character.escape_default());
    let plain = escape.is_none().then_some(character);
    escape.into_iter().flatten().chain(plain)
}

fn emit(plugin: &str, session: Option<u64>, level: u32, message: &str) -> Result<(), abi::STATUS> {
    match level {
        abi::EM_LOG_ERROR => tracing::error!(target: "plugin", session, plugin, "{message}"),
        abi::EM_LOG_WARN => tracing::warn!(target: "plugin", session, plugin, "{message}"),
        abi::EM_LOG_INFO => tracing::info!(target: "plugin", session, plugin, "{message}"),
        abi::EM_LOG_DEBUG => tracing::debug!(target: "plugin", session, plugin, "{message}"),
        abi::EM_LOG_TRACE => tracing::trace!(target: "plugin", session, plugin, "{message}"),
        _ => return Err(abi::ERR_MISC_INVALID_ARGS),
    }
    Ok(())
}
