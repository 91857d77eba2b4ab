//! xtext: any text as a word of printable ASCII (RFC 3461 section 4).

use std::fmt::Write as _;

/// The word that stands for a text.
pub fn to_xtext(text: &str) -> String {
    let mut word = String::with_capacity(text.len());
    for octet in text.bytes() {
        match octet {
            b'!'..=b'~' if !matches!(octet, b'+' | b'=') => word.push(char::from(octet)),
            _ => {
                // Writing to a String does not fail.
                let _ = write!(word, "+{octet:02X}");
            }
        }
    }
    word
}

/// The text that a word stands for; none: it is not of the form, or stands for nothing, or for what no field may have.
pub fn from_xtext(word: &str) -> Option<String> {
    decode(word).filter(|text| !text.is_empty() && !text.contains(char::is_control))
}

/// The same of words that may stand for nothing, and for any text that breaks no line.
pub(crate) fn decode(word: &str) -> Option<String> {
    let mut octets = Vec::with_capacity(word.len());
    let mut rest = word.bytes();
    while let Some(octet) = rest.next() {
        octets.push(match octet {
            b'+' => {
                let (high, low) = (hex_digit(rest.next()?)?, hex_digit(rest.next()?)?);
                high * 16 + low
            }
            b'!'..=b'~' if octet != b'=' => octet,
            _ => return None,
        });
    }
    // Decoded first, refused then: such octets would end the line of whoever writes the text.
    let sound = octets.iter().all(|octet| !matches!(octet, b'\r' | b'\n' | 0));
    if sound { String::from_utf8(octets).ok() } else { None }
}

/// Capitals only.
fn hex_digit(octet: u8) -> Option<u8> {
    match octet {
        b'0'..=b'9' => Some(octet - b'0'),
        b'A'..=b'F' => Some(octet - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{decode, from_xtext};

    #[test]
    fn words_stand_for_texts() {
        let cases = [
            ("", Some("")),
            ("plain", Some("plain")),
            ("e+3Dmc2@example.com", Some("e=mc2@example.com")),
            ("a+2Bb+20c", Some("a+b c")),
            ("+C3+A9", Some("\u{e9}")),
            ("a=b", None),
            ("a b", None),
            ("a+", None),
            ("a+2", None),
            ("a+2b", None),
            ("a+GG", None),
            ("a+0D+0Ab", None),
            ("a+00", None),
            ("+FF", None),
            ("\u{e9}", None),
        ];
        for (word, wanted) in cases {
            assert_eq!(decode(word).as_deref(), wanted, "{word:?}");
        }
        assert_eq!((from_xtext("").as_deref(), from_xtext("a+09").as_deref()), (None, None));
        assert_eq!(from_xtext("a+2Bb").as_deref(), Some("a+b"));
    }
}
