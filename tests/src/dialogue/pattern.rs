//! What a reply line must look like: literal text in which `*` stands for anything.
//! Knows no dialogue.

/// One pattern for one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    text: String,
}

impl Pattern {
    /// A pattern from its text.
    pub fn new(text: &str) -> Self {
        Self { text: text.to_owned() }
    }

    /// The pattern as written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether a line, without its CRLF, looks so.
    pub fn matches(&self, line: &str) -> bool {
        let mut pieces = self.text.split('*');
        let first = pieces.next().unwrap_or_default();
        let Some(mut rest) = line.strip_prefix(first) else {
            return false;
        };
        let Some(last) = pieces.next_back() else {
            return rest.is_empty();
        };
        for piece in pieces {
            match rest.find(piece) {
                Some(at) => rest = &rest[at + piece.len()..],
                None => return false,
            }
        }
        rest.ends_with(last)
    }
}

#[cfg(test)]
mod tests {
    use super::Pattern;

    #[test]
    fn a_star_stands_for_anything() {
        let cases = [
            ("250 Ok", "250 Ok", true),
            ("250 Ok", "250 Ok.", false),
            ("250 Ok", "x250 Ok", false),
            ("250*", "250-anything", true),
            ("250 *queued*", "250 Ok: queued as 1", true),
            ("250 *queued", "250 Ok: queued as 1", false),
            ("a*b*b", "ab", false),
            ("a*b*b", "axbxb", true),
            ("*", "", true),
            ("", "x", false),
        ];
        for (pattern, line, wanted) in cases {
            assert_eq!(Pattern::new(pattern).matches(line), wanted, "{pattern} {line}");
        }
    }
}
