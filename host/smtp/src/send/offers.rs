//! What a next hop offered in its reply to EHLO (RFC 5321 section 4.1.1.1).
//! Knows only the extensions that the sending session uses.

use super::login::Mechanisms;

/// The offered extensions; none after a HELO.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Offers {
    /// Commands may be sent in groups (RFC 2920).
    pub(super) pipelining: bool,
    /// The MAIL command may have BODY=8BITMIME (RFC 6152).
    pub(super) eight_bit: bool,
    /// A message may be sent in chunks by BDAT (RFC 3030).
    pub(super) chunking: bool,
    /// Any octets may be sent so, by BODY=BINARYMIME (RFC 3030).
    pub(super) binary: bool,
    /// Addresses and header fields may be UTF-8 (RFC 6531).
    pub(super) utf8: bool,
    /// The MAIL command may have SIZE (RFC 1870).
    pub(super) size: bool,
    /// MAIL and RCPT may say what the sender wants to be told (RFC 3461).
    pub(super) dsn: bool,
    /// MAIL may say how urgent the message is (RFC 6710).
    pub(super) priority: bool,
    /// MAIL may say how long the message may take, if that is so many seconds at least (RFC 2852).
    pub(super) deliver_by_min_s: Option<i64>,
    /// MAIL may say that the message requires TLS on all of its way (RFC 8689).
    pub(super) require_tls: bool,
    /// TLS can be begun (RFC 3207).
    pub(super) starttls: bool,
    /// The mechanisms by which we could log in (RFC 4954).
    pub(super) auth: Mechanisms,
    /// The largest message taken, in octets, when a limit was named.
    pub(super) size_octets_max: Option<u64>,
}

impl Offers {
    /// Reads the keywords of a positive reply to EHLO: the lines behind its first, which is a greeting.
    pub(super) fn of(keywords: &str) -> Self {
        let mut offers = Self::default();
        for line in keywords.split('\n') {
            let mut words = line.split_ascii_whitespace();
            let keyword = words.next().unwrap_or("").to_ascii_uppercase();
            match keyword.as_str() {
                "PIPELINING" => offers.pipelining = true,
                "8BITMIME" => offers.eight_bit = true,
                "CHUNKING" => offers.chunking = true,
                "BINARYMIME" => offers.binary = true,
                "SMTPUTF8" => offers.utf8 = true,
                "STARTTLS" => offers.starttls = true,
                "DSN" => offers.dsn = true,
                "MT-PRIORITY" => offers.priority = true,
                "REQUIRETLS" => offers.require_tls = true,
                "DELIVERBY" => {
                    // RFC 2852 section 2: the first of a list, where there is one.
                    let least = words.next().and_then(|list| list.split(',').next());
                    let least = least.and_then(|least| least.parse().ok()).unwrap_or(0);
                    offers.deliver_by_min_s = Some(least);
                }
                "AUTH" => words.for_each(|name| offers.auth.add(name)),
                "SIZE" => {
                    offers.size = true;
                    // RFC 1870 section 4: 0 means that no limit is fixed.
                    let limit = words.next().and_then(|limit| limit.parse().ok());
                    offers.size_octets_max = limit.filter(|&octets| octets > 0);
                }
                _ => {}
            }
        }
        offers
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offers_are_read_line_by_line() {
        let none = Offers::default();
        let size = Offers { size: true, ..none };
        let mut auth = Mechanisms::default();
        ["PLAIN", "SCRAM-SHA-256"].into_iter().for_each(|name| auth.add(name));
        let cases = [
            ("", none),
            ("PIPELINING", Offers { pipelining: true, ..none }),
            ("pipelining\n8bitMIME", Offers { pipelining: true, eight_bit: true, ..none }),
            ("STARTTLS", Offers { starttls: true, ..none }),
            ("Chunking\nBINARYMIME", Offers { chunking: true, binary: true, ..none }),
            ("SMTPUTF8", Offers { utf8: true, ..none }),
            ("dsn", Offers { dsn: true, ..none }),
            ("MT-PRIORITY STANAG4406", Offers { priority: true, ..none }),
            ("RequireTLS", Offers { require_tls: true, ..none }),
            ("DELIVERBY", Offers { deliver_by_min_s: Some(0), ..none }),
            ("DELIVERBY 240,x", Offers { deliver_by_min_s: Some(240), ..none }),
            ("DELIVERBY x", Offers { deliver_by_min_s: Some(0), ..none }),
            ("AUTH PLAIN\nAUTH SCRAM-SHA-256 X", Offers { auth, ..none }),
            ("AUTH\nAUTH=LOGIN", none),
            ("SIZE", size),
            ("SIZE 0", size),
            ("SIZE 1000", Offers { size_octets_max: Some(1000), ..size }),
            ("SIZE many", size),
            ("SIZE 99999999999999999999999", size),
            ("XPIPELINING\n8BITMIMEX\n\nENHANCEDSTATUSCODES", none),
        ];
        for (text, wanted) in cases {
            assert_eq!(Offers::of(text), wanted, "{text:?}");
        }
    }
}
