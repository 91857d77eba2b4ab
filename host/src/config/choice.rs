//! Fields of the configuration that choose one of a few ways by its name.
//! Knows what the names stand for, not what is done then.

use serde::Deserialize;

/// Whether clients of a listener log in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum AuthMode {
    /// They can't.
    None,
    /// They may.
    Offered,
    /// They do nothing of use before.
    Required,
}

/// The form of a log line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogFormat {
    /// One line of text for each event.
    #[default]
    Text,
    /// One JSON object for each event.
    Json,
}

/// What VRFY and EXPN tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Vrfy {
    /// Nothing.
    #[default]
    Hide,
    /// Who is here.
    Answer,
    /// That there are no such commands.
    Off,
}

/// What is made of a message that plug-ins refuse for some of its recipients.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Split {
    /// It is refused for all.
    #[default]
    Strictest,
    /// It is accepted for the others.
    Discard,
}

impl From<Vrfy> for stagepost_smtp::Vrfy {
    fn from(vrfy: Vrfy) -> Self {
        match vrfy {
            Vrfy::Hide => Self::Hide,
            Vrfy::Answer => Self::Answer,
            Vrfy::Off => Self::Off,
        }
    }
}

impl From<Split> for stagepost_smtp::Split {
    fn from(split: Split) -> Self {
        match split {
            Split::Strictest => Self::Strictest,
            Split::Discard => Self::Discard,
        }
    }
}
