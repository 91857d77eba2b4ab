//! What a plug-in adds to the protocol: claims of verbs, EHLO keywords and parameters.
//! Knows no name; what is claimed comes back as events.

use crate::call::{Refusal, check};
use crate::host::Host;
use crate::text::lend;

/// Claims, to be made in [`Plugin::start`](crate::Plugin::start). They count in every session that begins while the
/// plug-in has a handler for them; what the server knows itself, or another plug-in has, refuses the plug-in.
impl Host {
    /// Claims a command: 1 to 64 letters and digits, a letter first. It comes to `before_verb`, which must be among the
    /// stages.
    pub fn claim_verb(&self, verb: &str) -> Result<(), Refusal> {
        // SAFETY: handle and table belong together; the text is lent for the call.
        check("claim_verb", unsafe {
            (self.services().extension.claim_verb)(self.handle(), lend(verb.as_bytes()))
        })
    }

    /// Claims a line in every reply to EHLO. Needs the edit `keyword`.
    ///
    /// - keyword: 1 to 64 letters, digits and '-', which is not first.
    /// - parameters: words of printable ASCII, one space between two, at most 256 octets; empty for none.
    pub fn claim_keyword(&self, keyword: &str, parameters: &str) -> Result<(), Refusal> {
        let (keyword, parameters) = (lend(keyword.as_bytes()), lend(parameters.as_bytes()));
        // SAFETY: handle and table belong together; both texts are lent for the call.
        check("claim_keyword", unsafe {
            (self.services().extension.claim_keyword)(self.handle(), keyword, parameters)
        })
    }

    /// Claims a parameter of MAIL, named as in `claim_keyword`. It comes to `before_mail`, which must be among the stages.
    pub fn claim_mail_parameter(&self, keyword: &str) -> Result<(), Refusal> {
        // SAFETY: handle and table belong together; the text is lent for the call.
        check("claim_mail_parameter", unsafe {
            (self.services().extension.claim_mail_parameter)(
                self.handle(),
                lend(keyword.as_bytes()),
            )
        })
    }

    /// Claims a parameter of RCPT, named as in `claim_keyword`. It comes to `before_rcpt`, which must be among the stages.
    pub fn claim_rcpt_parameter(&self, keyword: &str) -> Result<(), Refusal> {
        // SAFETY: handle and table belong together; the text is lent for the call.
        check("claim_rcpt_parameter", unsafe {
            (self.services().extension.claim_rcpt_parameter)(
                self.handle(),
                lend(keyword.as_bytes()),
            )
        })
    }
}
