//! Fields of a header block: octets to fields and back.
//! Knows no field's meaning, but where a list of addresses is divided.

/// One field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Field {
    pub(crate) name: String,
    /// What follows the colon and a space, lines folded as received, without the last CRLF.
    pub(crate) value: Vec<u8>,
}

impl Field {
    pub(crate) fn write(&self, octets: &mut Vec<u8>) {
        octets.extend_from_slice(self.name.as_bytes());
        octets.extend_from_slice(b": ");
        octets.extend_from_slice(&self.value);
        octets.extend_from_slice(b"\r\n");
    }

    /// The value on one line (RFC 5322 section 2.2.3).
    pub(crate) fn unfolded(&self) -> Vec<u8> {
        let plain = self.value.iter().copied().filter(|octet| !matches!(octet, b'\r' | b'\n'));
        plain.collect::<Vec<u8>>().trim_ascii().to_owned()
    }
}

/// Whether it can be the name of a field (RFC 5322 section 2.2), as long as the host takes one.
pub(crate) fn is_name(name: &str) -> bool {
    (1..=76).contains(&name.len()) && name.bytes().all(|c| c.is_ascii_graphic() && c != b':')
}

/// Divides a header block. A line that is no field belongs to the one before; before the first it is left out.
pub(crate) fn split(header: &[u8]) -> Vec<Field> {
    let mut fields: Vec<Field> = Vec::new();
    for line in header.split_inclusive(|octet| *octet == b'\n') {
        let line = line.strip_suffix(b"\r\n").or_else(|| line.strip_suffix(b"\n")).unwrap_or(line);
        let colon = line.iter().position(|octet| *octet == b':');
        let name = colon.and_then(|colon| str::from_utf8(line[..colon].trim_ascii_end()).ok());
        match (name.filter(|name| is_name(name)), colon, fields.last_mut()) {
            (Some(name), Some(colon), _) if !line.starts_with(b" ") && !line.starts_with(b"\t") => {
                let value = &line[colon + 1..];
                let value = value.strip_prefix(b" ").unwrap_or(value);
                fields.push(Field { name: name.to_owned(), value: value.to_owned() });
            }
            (_, _, Some(last)) => {
                last.value.extend_from_slice(b"\r\n");
                last.value.extend_from_slice(line);
            }
            _ => {}
        }
    }
    fields
}

/// The longest line of a value: with the longest name no more than 998 octets (RFC 5322 section 2.1.1).
const LINE_OCTETS: usize = 900;

fn is_space(octet: u8) -> bool {
    matches!(octet, b' ' | b'\t' | b'\r' | b'\n' | b'\0')
}

/// Whether there is nothing in a text that could be seen.
pub(crate) fn is_blank(text: &[u8]) -> bool {
    text.iter().all(|octet| is_space(*octet))
}

/// Text as the value of a field: line ends are spaces, and long lines are folded (RFC 5322 section 2.2.3), at a space if there is one.
pub(crate) fn folded(text: &[u8]) -> Vec<u8> {
    let plain = |octet: &u8| if matches!(octet, b'\0' | b'\r' | b'\n') { b' ' } else { *octet };
    let text: Vec<u8> = text.iter().map(plain).collect();
    let (mut folded, mut rest) = (Vec::with_capacity(text.len()), text.as_slice());
    while rest.len() > LINE_OCTETS {
        // Not the first octet, so that there is always something in front.
        let space = rest[1..=LINE_OCTETS].iter().rposition(|octet| is_space(*octet));
        let (line, next) = rest.split_at(space.map_or(LINE_OCTETS, |space| space + 1));
        put_line(&mut folded, line);
        rest = next;
    }
    put_line(&mut folded, rest);
    folded
}

/// Adds a line to a value; a further one begins with a space and is not blank.
fn put_line(value: &mut Vec<u8>, line: &[u8]) {
    if !value.is_empty() {
        if is_blank(line) {
            return;
        }
        value.extend_from_slice(if is_space(line[0]) { b"\r\n" } else { b"\r\n " });
    }
    value.extend_from_slice(line);
}

/// Divides a list of addresses at the commas that are in no quotes, brackets or comments (RFC 5322 section 3.4).
pub(crate) fn addresses(list: &[u8]) -> Vec<Vec<u8>> {
    let (mut quoted, mut escaped, mut depth) = (false, false, 0_u32);
    let divides = |octet: &u8| {
        if std::mem::take(&mut escaped) {
            return false;
        }
        match octet {
            b'\\' => escaped = true,
            b'"' => quoted = !quoted,
            b'(' | b'<' if !quoted => depth += 1,
            b')' | b'>' if !quoted => depth = depth.saturating_sub(1),
            b',' => return !quoted && depth == 0,
            _ => {}
        }
        false
    };
    let parts = list.split(divides).map(|part| part.trim_ascii().to_owned());
    parts.filter(|part| !part.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_divided_and_put_together_again() {
        let header = b"A: b\r\nC:d\r\n e: f\r\nG : h\r\nodd\r\n";
        let fields = split(header);
        let names: Vec<&str> = fields.iter().map(|field| field.name.as_str()).collect();
        assert_eq!(names, ["A", "C", "G"]);
        assert_eq!(fields[1].value, b"d\r\n e: f");
        assert_eq!(fields[1].unfolded(), b"d e: f");
        assert_eq!(fields[2].value, b"h\r\nodd");
        let mut octets = Vec::new();
        fields.iter().for_each(|field| field.write(&mut octets));
        assert_eq!(octets, b"A: b\r\nC: d\r\n e: f\r\nG: h\r\nodd\r\n");
        assert_eq!(split(b""), []);
        assert_eq!(split(b" lost\r\n"), []);
    }

    #[test]
    fn long_texts_are_folded_at_spaces_and_unfolded_as_they_were() {
        let words = b"word ".repeat(1000);
        let spaces = [b"a".to_vec(), vec![b' '; 2000], b"b".to_vec()].concat();
        for text in [b"short".to_vec(), Vec::new(), words, b"x".repeat(3000), spaces] {
            let value = folded(&text);
            let lines: Vec<&[u8]> = value.split(|octet| *octet == b'\n').collect();
            assert!(lines.iter().all(|line| line.len() <= LINE_OCTETS + 2), "{value:?}");
            assert!(lines.iter().skip(1).all(|line| is_space(line[0]) && !is_blank(line)));
            let unfolded = Field { name: String::new(), value }.unfolded();
            let seen = |text: &[u8]| {
                text.iter().copied().filter(|octet| *octet != b' ').collect::<Vec<u8>>()
            };
            assert_eq!(seen(&unfolded), seen(&text));
        }
        let value = folded(&b"word ".repeat(1000));
        assert_eq!(
            Field { name: String::new(), value }.unfolded(),
            b"word ".repeat(1000).trim_ascii()
        );
        assert_eq!(folded(b"a\r\nB: c\0d"), b"a  B: c d");
    }

    #[test]
    fn addresses_are_divided_at_plain_commas() {
        let divided = addresses(b"a@b, \"c, d\" <e@f>, g (h, i) <j@k>,, \"l\\\", m\"");
        let wanted: [&[u8]; 4] = [b"a@b", b"\"c, d\" <e@f>", b"g (h, i) <j@k>", b"\"l\\\", m\""];
        assert_eq!(divided, wanted);
    }
}
