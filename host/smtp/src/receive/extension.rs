//! The service extensions: what the reply to EHLO announces (RFC 5321 section 4.1.1.1).
//! Knows what is offered, not how it is done.

use super::settings::Settings;
use crate::{Event, Interest, Reply, Stage};

/// The reply to EHLO. A keyword stands in it only where it works.
pub(crate) fn reply(settings: &Settings, interest: Interest) -> Reply {
    // RFC 1870 section 4.
    let size = format!("SIZE {}", settings.limits.message_octets_max);
    let mut keywords = vec!["PIPELINING", "8BITMIME", "ENHANCEDSTATUSCODES", "HELP", &size];
    // The core holds no mail for anybody: only where a plug-in answers does ETRN work.
    if interest.contains(Event::Etrn, Stage::Before) {
        keywords.push("ETRN");
    }
    Reply::introduction(250, &settings.hostname, "", &keywords)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_keyword_is_announced_only_where_it_works() {
        let settings = Settings::default();
        let plain = reply(&settings, Interest::NONE);
        let wanted = "localhost\nPIPELINING\n8BITMIME\nENHANCEDSTATUSCODES\nHELP\nSIZE 52428800";
        assert_eq!(plain.text(), wanted);
        let after = Interest::NONE.with(Event::Etrn, Stage::After);
        assert_eq!(reply(&settings, after).text(), wanted);
        let before = Interest::NONE.with(Event::Etrn, Stage::Before);
        assert!(reply(&settings, before).text().ends_with("\nETRN"));
    }
}
