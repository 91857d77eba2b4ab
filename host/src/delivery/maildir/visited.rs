//! Whether a message has been in a mailbox before: then it goes round in a loop, which no count of hops would end soon.
//! Goes by the fields that deliveries put on top; knows no file.

use std::collections::HashSet;

use stagepost_smtp::{Address, field_values};

use super::folder_name::folder_name;

/// The mailboxes that a message has been in, by domain and folder.
#[derive(Debug)]
pub(super) struct Visited(HashSet<(String, String)>);

impl Visited {
    /// Reads a header block. What is no address names no mailbox.
    pub(super) fn of(header: &[u8]) -> Self {
        let address = |value: &[u8]| {
            let text = std::str::from_utf8(value).ok()?;
            Address::parse_international(text.trim_ascii()).ok()
        };
        let fields = field_values(header, "Delivered-To").filter_map(address);
        Self(fields.map(|address| key(&address)).collect())
    }

    /// Whether it has been in the mailbox of this recipient.
    pub(super) fn holds(&self, recipient: &Address) -> bool {
        !self.0.is_empty() && self.0.contains(&key(recipient))
    }
}

/// Equal for addresses of one mailbox.
fn key(address: &Address) -> (String, String) {
    (address.domain_key(), folder_name(address))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mailbox_is_known_however_it_is_written() {
        let header = b"Received: from a\r\nDelivered-To: First.Last@B\xc3\xbccher.test\r\ndelivered-to :\r\n \"us\\er\"@X.test\r\n\
            Subject: u@y.test\r\nX-Delivered-To: u@y.test\r\nDelivered-To: v@y.test,\r\n w@y.test\r\nDelivered-To\r\n";
        let visited = Visited::of(header);
        let cases = [
            ("first.last@xn--bcher-kva.test", true),
            ("FIRST.LAST@b\u{fc}cher.TEST", true),
            ("user@x.test", true),
            ("user@y.test", false),
            ("u@y.test", false),
            ("v@y.test", false),
            ("w@y.test", false),
        ];
        for (address, wanted) in cases {
            let address = Address::parse_international(address).unwrap();
            assert_eq!(visited.holds(&address), wanted, "{address}");
        }
    }
}
