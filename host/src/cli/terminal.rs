//! Text that a terminal only shows: what plug-ins, clients and files say is no command to it.
//! Knows nothing of what is said.

use std::borrow::Cow;
use std::fmt::Write;
use std::io::{self, IsTerminal};

use stagepost_smtp::is_obeyed;

/// The columns of the terminal that is written to; none: it goes elsewhere.
pub(super) fn columns() -> Option<usize> {
    let out = io::stdout();
    if !out.is_terminal() {
        return None;
    }
    let size = rustix::termios::tcgetwinsize(&out).ok();
    // Some do not know it.
    Some(size.map(|size| usize::from(size.ws_col)).filter(|columns| *columns > 0).unwrap_or(80))
}

/// Text whose lines stay lines; other characters that a terminal obeys are written out, `\u{1b}` for example.
pub(super) fn text(said: &str) -> Cow<'_, str> {
    escaped(said, |c| !matches!(c, '\n' | '\t'), |c| c.escape_default().to_string())
}

/// The same as one line.
pub(super) fn line(said: &str) -> Cow<'_, str> {
    escaped(said, |_| true, |c| c.escape_default().to_string())
}

/// JSON that says the same: such characters are inside of texts, where they can be written out, or are space between the
/// values. All of them have four digits.
pub(super) fn json(said: &str) -> Cow<'_, str> {
    let out = |c| if c == '\r' { " ".to_owned() } else { format!("\\u{:04x}", u32::from(c)) };
    escaped(said, |c| !matches!(c, '\n' | '\t'), out)
}

/// Writes out the characters that are meant of those that are obeyed.
fn escaped(said: &str, meant: fn(char) -> bool, out: impl Fn(char) -> String) -> Cow<'_, str> {
    let foul = |c: char| is_obeyed(c) && meant(c);
    if !said.contains(foul) {
        return Cow::Borrowed(said);
    }
    let mut shown = String::with_capacity(said.len() + 16);
    for c in said.chars() {
        // A String takes everything.
        let _ = if foul(c) { shown.write_str(&out(c)) } else { shown.write_char(c) };
    }
    Cow::Owned(shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_written_out() {
        let foul = "a\u{1b}[1m\r\u{7f}\u{9b}é\u{a0}\tb\nc";
        assert_eq!(text(foul), "a\\u{1b}[1m\\r\\u{7f}\\u{9b}é\u{a0}\tb\nc");
        assert_eq!(line(foul), "a\\u{1b}[1m\\r\\u{7f}\\u{9b}é\u{a0}\\tb\\nc");
        assert!(matches!(text("plain\n"), Cow::Borrowed("plain\n")));
        // Hebrew is text; what turns the words behind it is none.
        assert_eq!(
            line("שלום \u{202e}sdrow\u{2069}\u{2028}"),
            "שלום \\u{202e}sdrow\\u{2069}\\u{2028}"
        );
    }

    #[test]
    fn json_says_the_same_without_control_characters() {
        let foul = "{\r\n\t\"a\u{7f}\": \"\u{80}\u{9f}\u{202e}\\u001b é\"}";
        let shown = json(foul);
        assert_eq!(shown, "{ \n\t\"a\\u007f\": \"\\u0080\\u009f\\u202e\\u001b é\"}");
        let read = |json: &str| serde_json::from_str::<serde_json::Value>(json).unwrap();
        assert_eq!(read(&shown), read(foul));
    }
}
