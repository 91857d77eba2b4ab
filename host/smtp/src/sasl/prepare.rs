//! Names and passwords as they are compared: the same for a person, the same here (RFC 4013).

use std::borrow::Cow;

use stringprep::saslprep;

/// The longest name of a user.
const NAME_OCTETS_MAX: usize = 255;

/// A user's name as it is looked up; none: no user can be called so. White space is none of a name, so that files and log
/// lines may separate by it.
pub fn prepare_name(name: &str) -> Option<Cow<'_, str>> {
    let prepared = saslprep(name).ok()?;
    let sound = |letter: char| !letter.is_whitespace() && !letter.is_control();
    let fits = (1..=NAME_OCTETS_MAX).contains(&prepared.len());
    (fits && prepared.chars().all(sound)).then_some(prepared)
}

/// A password as it is checked. One that RFC 4013 has no form for, such as one with a younger letter, is taken as it is: it is the
/// same when it is set and when it is checked.
pub fn prepare_password(password: &str) -> Cow<'_, str> {
    saslprep(password).unwrap_or(Cow::Borrowed(password))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_prepared() {
        let long = "x".repeat(256);
        let cases = [
            ("user", Some("user")),
            ("User@Example.org", Some("User@Example.org")),
            ("I\u{ad}X", Some("IX")),
            ("\u{2168}", Some("IX")),
            ("", None),
            ("a b", None),
            ("a\u{a0}b", None),
            ("a\u{7}", None),
            ("a\n", None),
            (&long, None),
        ];
        for (name, wanted) in cases {
            assert_eq!(prepare_name(name).as_deref(), wanted, "{name:?}");
        }
        assert_eq!(prepare_password("\u{aa}"), "a");
        assert_eq!(prepare_password("p\u{7}"), "p\u{7}");
    }
}
