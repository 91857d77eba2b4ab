//! What ends the program early, by whose fault. A refusal by the peer is no fault: it is counted.

use std::io;

/// Why the program cannot go on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    /// The operator asked for something that cannot be.
    #[error("{option} {value}: {reason}")]
    Option { option: &'static str, value: String, reason: String },
    /// The measured server did not do what every figure rests on.
    #[error("target {target}: {reason}")]
    Target { target: String, reason: String },
    /// The operating system refused.
    #[error("cannot {doing}: {source}")]
    System { doing: String, source: io::Error },
}

impl Fault {
    /// For `map_err`: what was being done, in the words that follow "cannot".
    pub(crate) fn system<E: Into<io::Error>>(doing: impl Into<String>) -> impl FnOnce(E) -> Self {
        let doing = doing.into();
        |source| Self::System { doing, source: source.into() }
    }
}
