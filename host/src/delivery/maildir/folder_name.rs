//! What the folder of a mailbox is called.
//! Knows no file system: the name alone makes sure that it names one folder, directly below its parent.

use sha2::{Digest, Sha256};
use stagepost_smtp::Address;

/// The longest name that every file system has.
const NAME_OCTETS_MAX: usize = 255;

/// The folder of a recipient's mailbox: the local part without quotes, in lower case, with every octet but
/// `a-z 0-9 _ + - = @` and a dot that is not the first written as `%` and two hexadecimal digits.
///
/// A name that would be longer than a file system has names is cut, and ends with `%%` and the SHA-256 digest of the local part, which no
/// other has.
///
/// So no name holds a slash, starts with a dot or is empty, and only local parts that differ in nothing but capitals or
/// quoting share one. (RFC 5321 section 2.4 lets the receiving host decide that: here capitals do not count.)
pub(super) fn folder_name(recipient: &Address) -> String {
    let local = recipient.local_unquoted().to_ascii_lowercase();
    let mut name = String::with_capacity(local.len());
    for (place, octet) in local.bytes().enumerate() {
        match octet {
            b'a'..=b'z' | b'0'..=b'9' | b'_' | b'+' | b'-' | b'=' | b'@' => {
                name.push(char::from(octet))
            }
            b'.' if place > 0 => name.push('.'),
            _ => name.push_str(&format!("%{octet:02x}")),
        }
    }
    if name.is_empty() {
        // `""@example.org` is an address; no other has a lone percent sign.
        name.push('%');
    }
    if name.len() > NAME_OCTETS_MAX {
        let digest = Sha256::digest(local.as_bytes());
        let digest: String = digest.iter().map(|octet| format!("{octet:02x}")).collect();
        name.truncate(NAME_OCTETS_MAX - 2 - digest.len());
        name.push_str("%%");
        name.push_str(&digest);
    }
    name
}

#[cfg(test)]
mod tests {
    use std::path::{Component, Path};

    use super::*;

    #[test]
    fn names_are_plain_and_stay_below_their_parent() {
        let cases = [
            ("user@x.test", "user"),
            ("First.Last+Tag@x.test", "first.last+tag"),
            (r#""user"@x.test"#, "user"),
            (r#""us\er"@x.test"#, "user"),
            ("a=b-c_d@x.test", "a=b-c_d"),
            ("postMaster", "postmaster"),
            (r#""a@b"@x.test"#, "a@b"),
            ("a%2fb@x.test", "a%252fb"),
            ("a/b@x.test", "a%2fb"),
            ("/etc/passwd@x.test", "%2fetc%2fpasswd"),
            (r#""."@x.test"#, "%2e"),
            (r#"".."@x.test"#, "%2e."),
            (r#""../../etc"@x.test"#, "%2e.%2f..%2fetc"),
            (r#"".hidden"@x.test"#, "%2ehidden"),
            (r#""a\\b c\"d"@x.test"#, "a%5cb%20c%22d"),
            (r#""~root"@x.test"#, "%7eroot"),
            (r#""a:b;c|d&e$f`g"@x.test"#, "a%3ab%3bc%7cd%26e%24f%60g"),
            (r#"""@x.test"#, "%"),
        ];
        for (address, wanted) in cases {
            let name = folder_name(&Address::parse(address).unwrap());
            assert_eq!(name, wanted, "{address}");
            let mut components = Path::new(&name).components();
            assert!(matches!(components.next(), Some(Component::Normal(_))), "{address}");
            assert_eq!(components.next(), None, "{address}");
        }
        let slashes = |count| format!("\"{}\"@x.test", "/".repeat(count));
        assert_eq!(folder_name(&Address::parse(&slashes(85)).unwrap()), "%2f".repeat(85));
    }

    #[test]
    fn long_names_are_cut_and_stay_apart() {
        let name = |local: &str| folder_name(&Address::parse(&format!("{local}@x.test")).unwrap());
        let plain = "x".repeat(255);
        assert_eq!(name(&plain), plain);
        let slashes = "/".repeat(86);
        let cut = name(&slashes);
        assert!(
            cut.len() == 255 && cut.starts_with("%2f%2f") && cut[189..].starts_with("%%"),
            "{cut}"
        );
        assert_eq!(name(&slashes.to_ascii_uppercase()), cut);
        assert_eq!(name(&format!("\"{slashes}\"")), cut);
        for other in ["/".repeat(87), format!("{}x", "/".repeat(85)), format!("{slashes}x")] {
            let other = name(&other);
            assert!(other != cut && other.len() <= 255, "{other}");
        }
    }
}
