//! What plug-ins claim of the protocol: verbs, EHLO keywords, and parameters of MAIL and RCPT.
//! Knows what the core keeps for itself; knows no plug-in.

use std::fmt;

/// One thing that a plug-in claims. Names are in capitals.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claim {
    /// A command of its own.
    Verb(Box<str>),
    /// A line in the reply to EHLO.
    Keyword {
        /// The keyword.
        keyword: Box<str>,
        /// What stands behind it; may be empty.
        parameters: Box<str>,
    },
    /// A parameter of MAIL.
    MailParameter(Box<str>),
    /// A parameter of RCPT.
    RcptParameter(Box<str>),
}

/// Why a name can't be claimed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClaimError {
    /// Not of the form that the protocol gives it.
    #[error("it has not the form of one")]
    Form,
    /// What the core does itself, or what only the core could ever do.
    #[error("it is the server's own")]
    Core,
}

/// Keywords that the core announces where it does what they say, or that only it could: they change how the dialogue is
/// framed or who is trusted.
const CORE_KEYWORDS: [&str; 20] = [
    "PIPELINING",
    "8BITMIME",
    "ENHANCEDSTATUSCODES",
    "HELP",
    "SIZE",
    "ETRN",
    "STARTTLS",
    "AUTH",
    "CHUNKING",
    "BINARYMIME",
    "SMTPUTF8",
    "DSN",
    "PRDR",
    "LIMITS",
    "REQUIRETLS",
    "MT-PRIORITY",
    "DELIVERBY",
    "FUTURERELEASE",
    "ATRN",
    "XCLIENT",
];

/// Parameters of MAIL that belong to those keywords.
const CORE_MAIL_PARAMETERS: [&str; 12] = [
    "SIZE",
    "BODY",
    "AUTH",
    "SMTPUTF8",
    "PRDR",
    "RET",
    "ENVID",
    "REQUIRETLS",
    "MT-PRIORITY",
    "BY",
    "HOLDFOR",
    "HOLDUNTIL",
];

/// The same of RCPT.
const CORE_RCPT_PARAMETERS: [&str; 2] = ["NOTIFY", "ORCPT"];

/// The longest name. A line of the reply to EHLO must have room for it.
const NAME_OCTETS_MAX: usize = 64;
/// The longest text behind a keyword.
const PARAMETERS_OCTETS_MAX: usize = 256;

impl Claim {
    /// A verb: a letter, then letters and digits.
    ///
    /// # Errors
    /// Another form, or a verb that the core knows.
    pub fn verb(name: &str) -> Result<Self, ClaimError> {
        let sound = name.bytes().all(|octet| octet.is_ascii_alphanumeric())
            && name.starts_with(|first: char| first.is_ascii_alphabetic());
        if !sound || name.len() > NAME_OCTETS_MAX {
            return Err(ClaimError::Form);
        }
        let name = name.to_ascii_uppercase();
        if crate::receive::is_core_verb(&name) {
            return Err(ClaimError::Core);
        }
        Ok(Self::Verb(name.into()))
    }

    /// An EHLO keyword and what stands behind it: words of printable ASCII, one space between two (RFC 5321 section
    /// 4.1.1.1).
    ///
    /// # Errors
    /// Another form, or a keyword of the core's.
    pub fn keyword(keyword: &str, parameters: &str) -> Result<Self, ClaimError> {
        let sound = |word: &str| !word.is_empty() && word.bytes().all(|b| matches!(b, b'!'..=b'~'));
        let fits = parameters.len() <= PARAMETERS_OCTETS_MAX;
        if !fits || !parameters.is_empty() && !parameters.split(' ').all(sound) {
            return Err(ClaimError::Form);
        }
        let keyword = name(keyword, &CORE_KEYWORDS)?;
        Ok(Self::Keyword { keyword, parameters: parameters.into() })
    }

    /// A parameter of MAIL, by its keyword.
    ///
    /// # Errors
    /// Another form, or a parameter of the core's.
    pub fn mail_parameter(keyword: &str) -> Result<Self, ClaimError> {
        name(keyword, &CORE_MAIL_PARAMETERS).map(Self::MailParameter)
    }

    /// A parameter of RCPT, by its keyword.
    ///
    /// # Errors
    /// Another form, or a parameter of the core's.
    pub fn rcpt_parameter(keyword: &str) -> Result<Self, ClaimError> {
        name(keyword, &CORE_RCPT_PARAMETERS).map(Self::RcptParameter)
    }

    /// What is claimed, without what stands behind it.
    pub fn name(&self) -> &str {
        match self {
            Self::Verb(name) | Self::MailParameter(name) | Self::RcptParameter(name) => name,
            Self::Keyword { keyword, .. } => keyword,
        }
    }

    /// Whether two plug-ins can't both have it.
    pub fn clashes_with(&self, other: &Self) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other) && self.name() == other.name()
    }
}

impl fmt::Display for Claim {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self {
            Self::Verb(_) => "verb",
            Self::Keyword { .. } => "EHLO keyword",
            Self::MailParameter(_) => "MAIL parameter",
            Self::RcptParameter(_) => "RCPT parameter",
        };
        write!(out, "{kind} {}", self.name())
    }
}

/// The keyword of an extension or a parameter in capitals: a letter or digit, then letters, digits and hyphens.
pub(crate) fn keyword_name(name: &str) -> Result<Box<str>, ClaimError> {
    let inside = |octet: u8| octet.is_ascii_alphanumeric() || octet == b'-';
    let sound = !name.starts_with('-') && name.bytes().all(inside);
    if sound && (1..=NAME_OCTETS_MAX).contains(&name.len()) {
        Ok(name.to_ascii_uppercase().into())
    } else {
        Err(ClaimError::Form)
    }
}

/// The same, unless it is one of the core's.
fn name(keyword: &str, of_core: &[&str]) -> Result<Box<str>, ClaimError> {
    let name = keyword_name(keyword)?;
    if of_core.contains(&&*name) { Err(ClaimError::Core) } else { Ok(name) }
}

/// All that plug-ins claim, as a session goes by it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Claims(Vec<Claim>);

static NONE: Claims = Claims(Vec::new());

impl Claims {
    /// The most lines that the reply to EHLO has for keywords of plug-ins.
    pub const KEYWORDS_MAX: usize = 40;
    /// The most octets of them together.
    pub const KEYWORDS_OCTETS_MAX: usize = 2048;

    /// Nothing.
    pub fn none() -> &'static Self {
        &NONE
    }

    /// Puts claims together, of which no two clash.
    pub fn new(claims: impl IntoIterator<Item = Claim>) -> Self {
        Self(claims.into_iter().collect())
    }

    /// Whether nothing is claimed.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether the keywords fit into a reply to EHLO.
    pub fn fit(&self) -> bool {
        let line = |(keyword, parameters): (&str, &str)| {
            keyword.len() + parameters.len() + usize::from(!parameters.is_empty())
        };
        let octets: usize = self.keywords().map(|known| line(known) + 1).sum();
        self.keywords().count() <= Self::KEYWORDS_MAX && octets <= Self::KEYWORDS_OCTETS_MAX
    }

    /// The keywords of the reply to EHLO, and what stands behind each.
    pub(crate) fn keywords(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().filter_map(|claim| match claim {
            Claim::Keyword { keyword, parameters } => Some((&**keyword, &**parameters)),
            _ => None,
        })
    }

    /// The verbs that are claimed, in capitals.
    pub(crate) fn verbs(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter(|claim| matches!(claim, Claim::Verb(_))).map(Claim::name)
    }

    /// The verb that somebody claims, in capitals.
    pub(crate) fn verb(&self, verb: &str) -> Option<&str> {
        let same =
            |claim: &&Claim| matches!(claim, Claim::Verb(name) if name.eq_ignore_ascii_case(verb));
        self.0.iter().find(same).map(Claim::name)
    }

    pub(crate) fn has_mail_parameter(&self, keyword: &str) -> bool {
        let same = |claim: &Claim| matches!(claim, Claim::MailParameter(name) if name.eq_ignore_ascii_case(keyword));
        self.0.iter().any(same)
    }

    pub(crate) fn has_rcpt_parameter(&self, keyword: &str) -> bool {
        let same = |claim: &Claim| matches!(claim, Claim::RcptParameter(name) if name.eq_ignore_ascii_case(keyword));
        self.0.iter().any(same)
    }
}

/// Writes a line of the reply to EHLO.
pub(crate) fn push_keyword(lines: &mut String, keyword: &str, parameters: &str) {
    lines.push_str(keyword);
    if !parameters.is_empty() {
        lines.push(' ');
        lines.push_str(parameters);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_their_form_and_are_not_the_cores() {
        use ClaimError::{Core, Form};
        type Make = fn(&str) -> Result<Claim, ClaimError>;
        let keyword: Make = |text| {
            let (keyword, parameters) = text.split_once(' ').unwrap_or((text, ""));
            Claim::keyword(keyword, parameters)
        };
        let long = "X".repeat(65);
        let cases: [(Make, &str, Result<&str, ClaimError>); 32] = [
            (Claim::verb, "xfoo", Ok("verb XFOO")),
            (Claim::verb, "Q1", Ok("verb Q1")),
            (Claim::verb, "", Err(Form)),
            (Claim::verb, "1X", Err(Form)),
            (Claim::verb, "X-Y", Err(Form)),
            (Claim::verb, "X Y", Err(Form)),
            (Claim::verb, &long, Err(Form)),
            (Claim::verb, "Rcpt", Err(Core)),
            (Claim::verb, "bdat", Err(Core)),
            (Claim::verb, "TURN", Err(Core)),
            (Claim::verb, "GET", Err(Core)),
            (keyword, "x-foo", Ok("EHLO keyword X-FOO")),
            (keyword, "8X a b=c", Ok("EHLO keyword 8X")),
            (keyword, "", Err(Form)),
            (keyword, "-X", Err(Form)),
            (keyword, "X_Y", Err(Form)),
            (keyword, "X a  b", Err(Form)),
            (keyword, "X a\tb", Err(Form)),
            (keyword, "X a\nSIZE", Err(Form)),
            (keyword, "X  ", Err(Form)),
            (keyword, "Size", Err(Core)),
            (keyword, "pipelining", Err(Core)),
            (keyword, "STARTTLS", Err(Core)),
            (keyword, "EXPN", Ok("EHLO keyword EXPN")),
            (Claim::mail_parameter, "xTag", Ok("MAIL parameter XTAG")),
            (Claim::mail_parameter, "body", Err(Core)),
            (Claim::mail_parameter, "By", Err(Core)),
            (Claim::mail_parameter, "X=1", Err(Form)),
            (Claim::mail_parameter, "NOTIFY", Ok("MAIL parameter NOTIFY")),
            (Claim::rcpt_parameter, "X-1", Ok("RCPT parameter X-1")),
            (Claim::rcpt_parameter, "Notify", Err(Core)),
            (Claim::rcpt_parameter, &long, Err(Form)),
        ];
        for (make, text, wanted) in cases {
            let found = make(text).map(|claim| claim.to_string());
            assert_eq!(found, wanted.map(str::to_owned), "{text:?}");
        }
        assert_eq!(Claim::keyword("X", &"y".repeat(257)), Err(Form));
    }

    #[test]
    fn claims_clash_by_kind_and_name() {
        let keyword = |parameters| Claim::keyword("X", parameters).unwrap();
        assert!(keyword("a").clashes_with(&keyword("b")));
        assert!(!keyword("a").clashes_with(&Claim::verb("X").unwrap()));
        assert!(!Claim::verb("XY").unwrap().clashes_with(&Claim::verb("X").unwrap()));
        let parameters = (Claim::mail_parameter("X").unwrap(), Claim::rcpt_parameter("X").unwrap());
        assert!(!parameters.0.clashes_with(&parameters.1));
    }

    #[test]
    fn the_reply_to_ehlo_has_room_for_so_many_keywords() {
        let many = |count: usize, parameters: &str| {
            let keyword = |number| Claim::keyword(&format!("X{number}"), parameters).unwrap();
            Claims::new((0..count).map(keyword)).fit()
        };
        assert!(many(40, "") && !many(41, ""));
        assert!(many(7, &"y".repeat(256)) && !many(8, &"y".repeat(256)));
    }
}
