//! HELP: the commands that there are, here and now (RFC 5321 section 4.1.1.8).
//! Knows what a session offers; carries nothing out.

use std::borrow::Cow;

use super::check;
use super::extensions::Extension;
use super::session::Session;
use super::settings::Vrfy;
use crate::{Event, Stage};

/// Where clients come for their mail alone.
const ODMR: &str = "Commands: EHLO STARTTLS AUTH ATRN NOOP RSET HELP QUIT\n\
                    RFC 2645 says what they do";
/// The most octets of the verbs of plug-ins.
const CLAIMED_OCTETS_MAX: usize = 2048;

impl Session {
    /// The reply's words, with the verbs of plug-ins as far as there is room for them.
    pub(super) fn help(&self) -> Cow<'static, str> {
        if self.settings.odmr {
            return ODMR.into();
        }
        let secured = self.facts.tls.is_some();
        let starttls = check::check_starttls(self.settings.starttls, secured).is_none();
        let further = [
            ("BDAT", "CHUNKING", self.grammar().has(Extension::Chunking)),
            ("VRFY", "", self.settings.vrfy != Vrfy::Off),
            ("ETRN", "ETRN", self.interest.contains(Event::Etrn, Stage::Before)),
            ("STARTTLS", "STARTTLS", starttls),
            ("AUTH", "AUTH", self.auth_mechanisms().next().is_some()),
        ];
        let mut words = "Commands: EHLO HELO MAIL RCPT DATA RSET NOOP QUIT HELP".to_owned();
        for (verb, keyword, there) in further {
            if there && !self.withholds(keyword) {
                words.push(' ');
                words.push_str(verb);
            }
        }
        let mut claimed = String::new();
        for verb in self.claims().verbs() {
            if claimed.len() + verb.len() > CLAIMED_OCTETS_MAX {
                claimed.push_str(" ...");
                break;
            }
            claimed.push(' ');
            claimed.push_str(verb);
        }
        if !claimed.is_empty() {
            words.push_str("\nOf plug-ins:");
            words.push_str(&claimed);
        }
        words.push_str("\nRFC 5321 says what they do");
        words.into()
    }
}
