//! Characters that whoever shows a text obeys rather than shows.
//! Knows no terminal, and not what is to stand in their place.

/// Whether a character steers how the text around it is shown: controls, ends of lines beside CR and LF, and what turns the
/// direction of writing. What strangers and plug-ins say is shown without them.
pub fn is_obeyed(c: char) -> bool {
    let turns = matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    c.is_control() || turns || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}')
}
