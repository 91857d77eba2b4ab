//! What has refused somebody: a rule by its name in the configuration, and the entry where one did.
//! Knows no rule.

use std::borrow::Cow;
use std::fmt;

use crate::list::{Hit, List};

/// The cause of a refusal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cause {
    /// The name, such as `connection.deny`.
    pub(crate) rule: Cow<'static, str>,
    /// What the log says of it.
    text: String,
}

impl Cause {
    /// A rule that is either on or off.
    pub(crate) fn rule(rule: &'static str) -> Self {
        Self { rule: Cow::Borrowed(rule), text: rule.to_owned() }
    }

    /// A rule, and more than its name.
    pub(crate) fn told(rule: &'static str, text: String) -> Self {
        Self { rule: Cow::Borrowed(rule), text }
    }

    /// A list that has others alone.
    pub(crate) fn not_listed(list: &List) -> Self {
        let name = list.name();
        Self { rule: Cow::Owned(name.to_owned()), text: format!("{name}: not listed") }
    }

    /// A list, because of what nobody knows now.
    pub(crate) fn unknown(list: &List) -> Self {
        let name = list.name();
        Self { rule: Cow::Owned(name.to_owned()), text: name.to_owned() }
    }
}

impl From<Hit<'_>> for Cause {
    fn from(hit: Hit<'_>) -> Self {
        Self { rule: Cow::Owned(hit.list.to_owned()), text: hit.to_string() }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
