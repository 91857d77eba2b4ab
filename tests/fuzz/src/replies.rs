//! Judges what a server has said: whole replies in lawful lines, and nothing else (RFC 5321 section 4.2).
//! Knows no command.

/// The codes of the replies in `output`.
///
/// # Panics
/// With a line that is none, a reply cut off, or two replies mixed.
pub fn codes(output: &[u8]) -> Vec<u16> {
    let mut codes = Vec::new();
    let mut open: Option<&str> = None;
    let text = std::str::from_utf8(output).expect("replies are text");
    if text.is_empty() {
        return codes;
    }
    let text = text.strip_suffix("\r\n").unwrap_or_else(|| panic!("unfinished: {text:?}"));
    for line in text.split("\r\n") {
        let lawful = line.len() <= 510 && !line.contains(|c: char| c.is_control() && c != '\t');
        assert!(lawful && line.is_ascii(), "{line:?}");
        let (code, behind) = line.split_at_checked(3).unwrap_or_else(|| panic!("{line:?}"));
        assert!(matches!(code.as_bytes(), [b'2'..=b'5', b'0'..=b'9', b'0'..=b'9']), "{line:?}");
        assert!(open.is_none_or(|open| open == code), "{line:?} inside {open:?}");
        match behind.as_bytes().first() {
            Some(b'-') => open = Some(code),
            Some(b' ') => {
                open = None;
                codes.push(code.parse().expect("three digits"));
            }
            _ => panic!("{line:?}"),
        }
    }
    assert!(open.is_none(), "unfinished: {text:?}");
    codes
}
