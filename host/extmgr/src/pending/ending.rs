//! How a pending call ends: given up, gone on alone, and what it held let go.
//! Knows no answer's meaning; whoever waited has gone by then.

use std::sync::{Arc, PoisonError};

use stagepost_abi as abi;

use super::{Held, Pending};
use crate::plugin::Run;
use crate::token;

impl Pending {
    /// Gives the call up: it goes on by itself until the plug-in ends it.
    pub(crate) fn give_up(self: &Arc<Self>) {
        let mut state = self.state();
        state.over = true;
        let idle = !state.polling && state.held.is_some();
        drop(state);
        if !idle {
            // It has ended, or goes on when poll returns.
            return;
        }
        match self.plugin.run {
            Run::Inline => self.go_on_alone(),
            Run::Pool => {
                let pending = self.clone();
                let gone_on = self.plugin.pool.when_free(move || pending.go_on_alone());
                // Nobody waits for it.
                drop(self.runtime.spawn(gone_on));
            }
        }
    }

    /// Goes on with a call that is over: ends it if it was answered, else tells the plug-in.
    pub(super) fn go_on_alone(self: &Arc<Self>) {
        let mut state = self.state();
        let polls = state.answer.is_none() && self.poll.is_some() && !state.told_over;
        if polls && !state.polling && state.held.is_some() {
            state.polling = true;
            state.told_over = true;
            drop(state);
            let status = self.enter_poll(abi::EM_POLL_OVER);
            state = self.state();
            state.polling = false;
            if status != abi::EM_PENDING {
                state.answer.get_or_insert(status);
            }
        }
        let held = if state.answer.is_some() { state.release() } else { None };
        drop(state);
        if let Some(held) = held {
            self.end(held);
        }
    }

    /// Ends the call: from here on nobody may use what it was lent, and the plug-in's turn is over.
    pub(super) fn end(&self, held: Held) {
        token::end(self.token);
        self.plugin.end_pending();
        let release = self.release.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(release) = release {
            // The registration is released after what its calls kept.
            release.give_back(held.site.clone());
        }
        drop(held);
    }

    /// Ends the call, but not on the thread of a plug-in that completes it: owed calls are made now.
    pub(super) fn end_elsewhere(self: &Arc<Self>, held: Held) {
        let pending = self.clone();
        let end = move || pending.end(held);
        // Nobody waits for it.
        drop(match self.plugin.run {
            Run::Inline => self.runtime.spawn(async move { end() }),
            Run::Pool => self.runtime.spawn(self.plugin.pool.when_free(end)),
        });
    }
}
