//! A call that may go pending: what it is about, the one token that it may take, and how long it may be pending then.
//! Knows nothing of what becomes of it.

use std::ffi::c_void;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use stagepost_abi as abi;
use stagepost_smtp::{Ask, Stage};
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::alarm::LookingUp;
use super::fetching::Fetches;
use super::{Data, Pending, State};
use crate::context::Context;
use crate::lookup::Lookups;
use crate::registry::Registration;
use crate::release::{Giver, Release};
use crate::token;

/// When a call and its chain began; none: just now.
#[derive(Clone, Copy, Default)]
pub(crate) struct Begun {
    pub(crate) chain: Option<Instant>,
    pub(crate) call: Option<Instant>,
    /// On a thread that may block: until when.
    pub(crate) blocks_until: Option<Instant>,
}

/// A call that may go pending: everything that it is about, kept for as long as it lasts.
pub(crate) struct Site {
    pub(super) registration: Arc<Registration>,
    pub(super) ask: Arc<Ask>,
    pub(super) context: Arc<Context>,
    pub(super) begun: Begun,
    /// Locked while one is issued: a call has one, also when two threads have its sheet.
    token: Mutex<Option<abi::EmToken>>,
}

impl Site {
    pub(crate) fn new(
        registration: &Arc<Registration>,
        ask: &Arc<Ask>,
        context: &Arc<Context>,
        begun: Begun,
    ) -> Self {
        Self {
            registration: registration.clone(),
            ask: ask.clone(),
            context: context.clone(),
            begun,
            token: Mutex::default(),
        }
    }

    /// The call as it went pending, if its handler has taken a token.
    pub(crate) fn pending(&self) -> Option<Arc<Pending>> {
        let token = *self.token();
        token::find(self.registration.plugin, token?).ok()
    }

    fn token(&self) -> MutexGuard<'_, Option<abi::EmToken>> {
        self.token.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives the call a token.
    ///
    /// # Errors
    /// The status for the plug-in.
    pub(crate) fn take_token(
        &self,
        poll: abi::EmPoll,
        data: *mut c_void,
        release: abi::EmRelease,
    ) -> Result<abi::EmToken, abi::STATUS> {
        let plugin = self.registration.plugin;
        let mut own = self.token();
        if own.is_some() {
            return Err(abi::EM_ERR_STAGE);
        }
        // Handlers run inside the server's runtime; elsewhere there is nobody to wait for an answer.
        let runtime = Handle::try_current().map_err(|_| abi::EM_ERR_STAGE)?;
        if !plugin.begin_pending() {
            return Err(abi::EM_ERR_LIMIT);
        }
        let time = Time::of(self);
        let (event, session) = (self.registration.event, self.ask.facts.id);
        let giver = Giver { plugin, event, stage: Stage::Before, session };
        let issued = token::issue(plugin, |token| {
            Arc::new(Pending {
                token,
                plugin,
                event: self.registration.event,
                session: self.ask.facts.id,
                poll,
                data: Data(data),
                release: Mutex::new(Release::new(giver, data, release)),
                runtime,
                time,
                lookups: Lookups::default(),
                looking_up: LookingUp::default(),
                fetches: Fetches::default(),
                state: Mutex::new(State::new(time.deadline)),
                changed: Notify::new(),
            })
        });
        let Some(issued) = issued else {
            plugin.end_pending();
            return Err(abi::EM_ERR_LIMIT);
        };
        *own = Some(issued.token);
        Ok(issued.token)
    }
}

/// How long a call may be pending.
#[derive(Clone, Copy)]
pub(super) struct Time {
    pub(super) begun: Instant,
    /// Where it ends when nobody extends it.
    pub(super) deadline: Instant,
    /// Where it ends at the latest.
    pub(super) latest: Instant,
}

impl Time {
    fn of(site: &Site) -> Self {
        let contract = site.registration.plugin.contracts.at(site.registration.event);
        let begun = site.begun.call.unwrap_or_else(Instant::now);
        let context = &site.context;
        let chain = site.begun.chain.unwrap_or_else(|| context.chain_begun(begun, &site.ask));
        let chain_end = chain + context.registry.chain_budget;
        let deadline = (begun + contract.deadline).min(chain_end);
        let latest = (begun + contract.deadline_max).min(chain_end).max(deadline);
        Self { begun, deadline, latest }
    }
}
