//! What one session may use up, and how long it may take, as written in `[limits]` and `[timeouts]`.
//! Knows no rule that spans two fields.

use serde::Deserialize;
use toml::Spanned;

use super::{DAY_S, Number, StepTime, nowhere};
use crate::config::duration::Period;
use crate::config::number::Count;
use crate::config::settings;
use crate::config::size::Size;

/// `[limits]`
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(in crate::config) struct Limits {
    pub(in crate::config) sessions_max: Number,
    pub(in crate::config) sessions_per_address_max: Spanned<Number>,
    pub(in crate::config) sessions_per_network_max: Spanned<Number>,
    pub(in crate::config) network_bits_ipv4: Count<8, 32>,
    pub(in crate::config) network_bits_ipv6: Count<16, 128>,
    /// RFC 5321 section 4.5.3.1.4: at least 512 octets.
    pub(in crate::config) line_octets_max: Size<512, { 64 << 10 }>,
    /// RFC 5321 section 4.5.3.1.3: at least 256.
    pub(in crate::config) path_octets_max: Count<256, { 64 << 10 }>,
    /// RFC 5321 section 4.5.3.1.1: at least 64. More than 255 no address has.
    pub(in crate::config) local_octets_max: Count<64, 255>,
    /// RFC 5321 section 4.5.3.1.6: at least 1000 octets. 0 is no limit.
    pub(in crate::config) text_line_octets_max: Size<1000, { 4 << 30 }, true>,
    pub(in crate::config) header_octets_max: Size<{ 16 << 10 }, { 16 << 20 }>,
    /// RFC 5321 section 4.5.3.1.7: at least 64K octets.
    pub(in crate::config) message_octets_max: Size<{ 64 << 10 }, { 4 << 30 }>,
    pub(in crate::config) data_rate_min: Size<1, { 1 << 20 }, true>,
    /// RFC 5321 section 6.3: at least 100.
    pub(in crate::config) hops_max: Count<100, 10_000>,
    /// RFC 5321 section 4.5.3.1.8: at least 100.
    pub(in crate::config) recipients_max: Count<100, 100_000>,
    pub(in crate::config) errors_max: Number,
    pub(in crate::config) refusals_max: Number,
    pub(in crate::config) idle_commands_max: Number,
    pub(in crate::config) logins_refused_max: Number,
}

/// `[timeouts]`
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(in crate::config) struct Timeouts {
    pub(in crate::config) command: StepTime,
    pub(in crate::config) data_block: StepTime,
    pub(in crate::config) data_window: StepTime,
    pub(in crate::config) handshake: StepTime,
    pub(in crate::config) write: StepTime,
    pub(in crate::config) message: Period<1, DAY_S>,
}

impl Default for Limits {
    fn default() -> Self {
        let (sessions, limits) = (settings::Sessions::default(), stagepost_smtp::Limits::default());
        Self {
            sessions_max: Number::new(sessions.max),
            sessions_per_address_max: nowhere(Number::new(sessions.per_address_max)),
            sessions_per_network_max: nowhere(Number::new(sessions.per_network_max)),
            network_bits_ipv4: Count::new(sessions.network_bits_ipv4.into()),
            network_bits_ipv6: Count::new(sessions.network_bits_ipv6.into()),
            line_octets_max: Size::from_octets(limits.line_octets_max as u64),
            path_octets_max: Count::new(u32::try_from(limits.path_octets_max).unwrap_or(u32::MAX)),
            local_octets_max: Count::new(
                u32::try_from(limits.local_octets_max).unwrap_or(u32::MAX),
            ),
            text_line_octets_max: Size::from_octets(limits.text_line_octets_max as u64),
            header_octets_max: Size::from_octets(limits.header_octets_max as u64),
            message_octets_max: Size::from_octets(limits.message_octets_max),
            data_rate_min: Size::from_octets(limits.data_rate_min.into()),
            hops_max: Count::new(u32::try_from(limits.hops_max).unwrap_or(u32::MAX)),
            recipients_max: Count::new(u32::try_from(limits.recipients_max).unwrap_or(u32::MAX)),
            errors_max: Count::new(limits.errors_max),
            refusals_max: Count::new(limits.refusals_max),
            idle_commands_max: Count::new(limits.idle_commands_max),
            logins_refused_max: Count::new(limits.logins_refused_max),
        }
    }
}

impl Default for Timeouts {
    fn default() -> Self {
        let timeouts = stagepost_smtp::Timeouts::default();
        Self {
            command: Period::new(timeouts.command),
            data_block: Period::new(timeouts.data_block),
            data_window: Period::new(timeouts.data_window),
            handshake: Period::new(timeouts.handshake),
            write: Period::new(timeouts.write),
            message: Period::new(timeouts.message),
        }
    }
}
