//! The stages that a plug-in asks for: events, each before, after or both.
//! Knows numbers, no handler.

#![allow(non_upper_case_globals, reason = "a stage is written as the handler it calls")]

use stagepost_abi::{
    EID, EM_CONFIG, EM_REG_AFTER, EM_REG_BEFORE, EM_SMTPATRN, EM_SMTPAUTH, EM_SMTPBODY,
    EM_SMTPBOUNCE, EM_SMTPCOMMAND, EM_SMTPCONNECT, EM_SMTPDATA, EM_SMTPDELIVER, EM_SMTPDISCONNECT,
    EM_SMTPEHLO, EM_SMTPETRN, EM_SMTPEXPIRE, EM_SMTPHEADERS, EM_SMTPMAIL, EM_SMTPMESSAGEACCEPT,
    EM_SMTPQUEUE, EM_SMTPQUIT, EM_SMTPRCPT, EM_SMTPROUTE, EM_SMTPRSET, EM_SMTPSTARTTLS,
    EM_SMTPTIMEOUT, EM_SMTPVERB, EM_SMTPVRFY, EM_STAGE_ATRN, EM_STAGE_AUTH, EM_STAGE_BODY,
    EM_STAGE_BOUNCE, EM_STAGE_COMMAND, EM_STAGE_CONFIG, EM_STAGE_CONNECT, EM_STAGE_DATA,
    EM_STAGE_DELIVER, EM_STAGE_DISCONNECT, EM_STAGE_EHLO, EM_STAGE_ETRN, EM_STAGE_EXPIRE,
    EM_STAGE_HEADERS, EM_STAGE_MAIL, EM_STAGE_MESSAGEACCEPT, EM_STAGE_QUEUE, EM_STAGE_QUIT,
    EM_STAGE_RCPT, EM_STAGE_ROUTE, EM_STAGE_RSET, EM_STAGE_START, EM_STAGE_STARTTLS, EM_STAGE_STOP,
    EM_STAGE_TIMEOUT, EM_STAGE_VERB, EM_STAGE_VRFY, EM_START, EM_STOP,
};

/// A set of stages. Made by [`export_plugin!`](crate::export_plugin) of the constants in [`stage`](crate::stage).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stages {
    before: u64,
    after: u64,
}

impl Stages {
    /// Joins sets.
    pub const fn all(sets: &[Self]) -> Self {
        let mut all = Self { before: 0, after: 0 };
        let mut at = 0;
        while at < sets.len() {
            all.before |= sets[at].before;
            all.after |= sets[at].after;
            at += 1;
        }
        all
    }

    /// The same set, once it is sure that an asynchronous handler can be called for all of it: *before*, where an answer is
    /// waited for, and not beside a handler that is none.
    #[doc(hidden)]
    pub const fn asynchronous_beside(self, stages: Self) -> Self {
        assert!(self.after == 0, "an asynchronous handler is called before, not after");
        assert!(
            self.before & EM_STAGE_DISCONNECT == 0,
            "nobody waits for the answer at before_disconnect"
        );
        assert!(
            self.before & (EM_STAGE_START | EM_STAGE_CONFIG | EM_STAGE_STOP) == 0,
            "the events of a plug-in's own life may block"
        );
        assert!(self.before & stages.before == 0, "a handler is asynchronous or not: name it once");
        self
    }

    /// The set without those of another.
    pub(crate) const fn without(self, other: Self) -> Self {
        Self { before: self.before & !other.before, after: self.after & !other.after }
    }

    /// The events of the set as the descriptor declares them: EM_STAGE_...
    pub const fn declared(&self) -> u64 {
        self.before | self.after
    }

    /// The events of the set, each with the flags to register it with.
    pub(crate) fn registrations(self) -> impl Iterator<Item = (EID, u32)> {
        EVENTS.iter().filter_map(move |(event, bit)| {
            let before = if self.before & bit != 0 { EM_REG_BEFORE } else { 0 };
            let after = if self.after & bit != 0 { EM_REG_AFTER } else { 0 };
            (before | after != 0).then_some((*event, before | after))
        })
    }
}

macro_rules! stages {
    ($($event:ident $bit:ident $before:ident $($after:ident)?;)*) => {
        const EVENTS: &[(EID, u64)] = &[$(($event, $bit)),*];

        $(
            #[doc = concat!("`Plugin::", stringify!($before), "`.")]
            pub const $before: Stages = Stages { before: $bit, after: 0 };
            $(
                #[doc = concat!("`Plugin::", stringify!($after), "`.")]
                pub const $after: Stages = Stages { before: 0, after: $bit };
            )?
        )*

        /// The handler that is called for an event, by name.
        pub(crate) fn handler_name(event: EID, before: bool) -> &'static str {
            match (event, before) {
                $(
                    ($event, true) => stringify!($before),
                    $(($event, false) => stringify!($after),)?
                )*
                _ => "an event that this SDK does not know",
            }
        }
    };
}

stages! {
    EM_SMTPCONNECT EM_STAGE_CONNECT before_connect after_connect;
    EM_SMTPCOMMAND EM_STAGE_COMMAND before_command after_command;
    EM_SMTPEHLO EM_STAGE_EHLO before_ehlo after_ehlo;
    EM_SMTPSTARTTLS EM_STAGE_STARTTLS before_starttls after_starttls;
    EM_SMTPAUTH EM_STAGE_AUTH before_auth after_auth;
    EM_SMTPMAIL EM_STAGE_MAIL before_mail after_mail;
    EM_SMTPRCPT EM_STAGE_RCPT before_rcpt after_rcpt;
    EM_SMTPDATA EM_STAGE_DATA before_data after_data;
    EM_SMTPHEADERS EM_STAGE_HEADERS before_headers;
    EM_SMTPBODY EM_STAGE_BODY before_body;
    EM_SMTPMESSAGEACCEPT EM_STAGE_MESSAGEACCEPT before_message_accept after_message_accept;
    EM_SMTPETRN EM_STAGE_ETRN before_etrn after_etrn;
    EM_SMTPATRN EM_STAGE_ATRN before_atrn after_atrn;
    EM_SMTPVRFY EM_STAGE_VRFY before_vrfy after_vrfy;
    EM_SMTPRSET EM_STAGE_RSET before_rset after_rset;
    EM_SMTPVERB EM_STAGE_VERB before_verb after_verb;
    EM_SMTPQUIT EM_STAGE_QUIT before_quit after_quit;
    EM_SMTPTIMEOUT EM_STAGE_TIMEOUT before_timeout;
    EM_SMTPDISCONNECT EM_STAGE_DISCONNECT before_disconnect after_disconnect;
    EM_SMTPQUEUE EM_STAGE_QUEUE before_queue after_queue;
    EM_SMTPROUTE EM_STAGE_ROUTE before_route after_route;
    EM_SMTPDELIVER EM_STAGE_DELIVER before_deliver after_deliver;
    EM_SMTPBOUNCE EM_STAGE_BOUNCE before_bounce after_bounce;
    EM_SMTPEXPIRE EM_STAGE_EXPIRE before_expire after_expire;
    EM_START EM_STAGE_START before_start after_start;
    EM_CONFIG EM_STAGE_CONFIG before_config after_config;
    EM_STOP EM_STAGE_STOP before_stop;
}
