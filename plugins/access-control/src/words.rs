//! The words of a refusal that an administrator writes, with places for what is known of the client.
//! Knows no rule.

use std::net::IpAddr;

/// What can stand in the places.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Values<'v> {
    pub(crate) ip: IpAddr,
    /// The list: its zone, or the entry of a private one.
    pub(crate) site: &'v str,
    /// What the list says about the address; empty when it says nothing.
    pub(crate) txt: &'v str,
    /// The host's name; empty when it has none, or nobody asked.
    pub(crate) host: &'v str,
}

/// Words with places.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Words(Vec<Piece>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Ip,
    Site,
    Txt,
    Host,
}

/// Why words can't be said. The operator is to blame.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum WordsError {
    #[error("has no place {{{0}}}: there are {{ip}}, {{site}}, {{txt}} and {{host}}")]
    Place(String),
    #[error("must be printable ASCII in one line of at most 400 characters")]
    Text,
}

/// The most octets of what stands in one place: others write it.
const VALUE_MAX: usize = 200;

/// The most octets that are said, well below what a reply may have.
const SAID_MAX: usize = 1024;

impl std::str::FromStr for Words {
    type Err = WordsError;

    /// Reads `{name}`, and `%s` as Domino's texts have it: the address first, then the list.
    fn from_str(text: &str) -> Result<Self, WordsError> {
        if text.len() > 400 || !text.bytes().all(|octet| matches!(octet, b' '..=b'~')) {
            return Err(WordsError::Text);
        }
        let (mut pieces, mut plain, mut rest, mut old_places) =
            (Vec::new(), String::new(), text, 0);
        while let Some(next) = rest.chars().next() {
            let (piece, length) = if rest.starts_with("%s") {
                old_places += 1;
                (if old_places == 1 { Piece::Ip } else { Piece::Site }, 2)
            } else if let Some((name, _)) =
                rest.strip_prefix('{').and_then(|rest| rest.split_once('}'))
            {
                let piece = match name {
                    "ip" => Piece::Ip,
                    "site" => Piece::Site,
                    "txt" => Piece::Txt,
                    "host" => Piece::Host,
                    _ => return Err(WordsError::Place(name.to_owned())),
                };
                (piece, name.len() + 2)
            } else {
                plain.push(next);
                rest = &rest[next.len_utf8()..];
                continue;
            };
            if !plain.is_empty() {
                pieces.push(Piece::Text(std::mem::take(&mut plain)));
            }
            pieces.push(piece);
            rest = &rest[length..];
        }
        if !plain.is_empty() {
            pieces.push(Piece::Text(plain));
        }
        Ok(Self(pieces))
    }
}

impl Words {
    /// The words, with the values in their places; of what others write, printable ASCII alone.
    pub(crate) fn say(&self, values: Values<'_>) -> String {
        let mut said = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Text(text) => said.push_str(text),
                Piece::Ip => said.push_str(&values.ip.to_string()),
                Piece::Site => said.push_str(&printable(values.site)),
                Piece::Txt => said.push_str(&printable(values.txt)),
                Piece::Host => said.push_str(&printable(values.host)),
            }
        }
        // All of it is ASCII.
        said.truncate(SAID_MAX);
        said
    }

    /// Whether they have a place for what a list says: only then is it asked for.
    pub(crate) fn wants_txt(&self) -> bool {
        self.0.contains(&Piece::Txt)
    }
}

fn printable(text: &str) -> String {
    let sound = |c: char| if matches!(c, ' '..='~') { c } else { '?' };
    text.chars().take(VALUE_MAX).map(sound).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_stand_in_their_places() {
        let values = Values {
            ip: "192.0.2.1".parse().unwrap(),
            site: "list.test",
            txt: "see http://x\r\n250 OK",
            host: "",
        };
        for (words, wanted) in [
            ("no", "no"),
            ("%s is listed by %s, %s", "192.0.2.1 is listed by list.test, list.test"),
            ("{ip} {site} [{host}] {txt}", "192.0.2.1 list.test [] see http://x??250 OK"),
            ("100% {", "100% {"),
            ("", ""),
        ] {
            assert_eq!(words.parse::<Words>().unwrap().say(values), wanted, "{words}");
        }
        let long = "x".repeat(1000);
        let values = Values { txt: &long, ..values };
        assert_eq!("{txt}".parse::<Words>().unwrap().say(values).len(), VALUE_MAX);
        assert_eq!("{txt}".repeat(80).parse::<Words>().unwrap().say(values).len(), SAID_MAX);
        assert!("{txt}".parse::<Words>().unwrap().wants_txt());
        assert!(!"{ip}".parse::<Words>().unwrap().wants_txt());
    }

    #[test]
    fn words_that_can_not_be_said_are_refused() {
        assert_eq!("{zone}".parse::<Words>(), Err(WordsError::Place("zone".to_owned())));
        for words in ["ä", "a\nb", &"x".repeat(401)] {
            assert_eq!(words.parse::<Words>(), Err(WordsError::Text), "{words}");
        }
    }
}
