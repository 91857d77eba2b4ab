//! How urgent a message is, as its sender says in the header block.
//! Knows the fields that mail programs write; what is made of them is decided elsewhere.

/// How urgent a message is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Urgency {
    Low,
    #[default]
    Normal,
    High,
}

impl Urgency {
    /// Reads it out of a header block. The first field that says something decides.
    pub(crate) fn of(header: &[u8]) -> Self {
        let said = header.split(|octet| *octet == b'\n').find_map(|line| {
            let colon = line.iter().position(|octet| *octet == b':')?;
            let (name, value) = (line.get(..colon)?, line.get(colon + 1..)?);
            let value = std::str::from_utf8(value).ok()?.trim();
            Self::said(std::str::from_utf8(name).ok()?.trim_end(), value)
        });
        said.unwrap_or_default()
    }

    fn said(name: &str, value: &str) -> Option<Self> {
        let is = |other: &str| name.eq_ignore_ascii_case(other);
        let word = value.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '-');
        let word = word.into_iter().next().unwrap_or_default().to_ascii_lowercase();
        if is("MT-Priority") {
            // RFC 6758 section 3.
            return match word.parse::<i8>().ok()? {
                ..0 => Some(Self::Low),
                0 => Some(Self::Normal),
                1.. => Some(Self::High),
            };
        }
        // RFC 2156 has the first two; the third is of the first mail programs that had one.
        let known = is("Importance") || is("Priority") || is("X-Priority");
        match word.as_str() {
            _ if !known => None,
            "high" | "urgent" | "1" | "2" => Some(Self::High),
            "normal" | "3" => Some(Self::Normal),
            "low" | "non-urgent" | "4" | "5" => Some(Self::Low),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_field_that_says_something_decides() {
        for (header, wanted) in [
            ("Subject: x\r\n", Urgency::Normal),
            ("Subject: x\r\nImportance: High\r\n", Urgency::High),
            ("importance : low\r\n", Urgency::Low),
            ("X-Priority: 1 (Highest)\r\n", Urgency::High),
            ("X-Priority: 5\r\nImportance: high\r\n", Urgency::Low),
            ("Priority: non-urgent\r\n", Urgency::Low),
            ("Priority: urgent\r\n", Urgency::High),
            ("X-Priority: 3 (Normal)\r\nPriority: urgent\r\n", Urgency::Normal),
            ("MT-Priority: -2\r\n", Urgency::Low),
            ("MT-Priority: 4\r\n", Urgency::High),
            ("MT-Priority: 0\r\n", Urgency::Normal),
            ("Importance: whatever\r\nX-Priority: 9\r\n", Urgency::Normal),
            ("Subject: a\r\n Importance: high\r\n", Urgency::Normal),
            ("\u{ff}: high\r\n:\r\nImportance:high", Urgency::High),
        ] {
            assert_eq!(Urgency::of(header.as_bytes()), wanted, "{header:?}");
        }
    }
}
