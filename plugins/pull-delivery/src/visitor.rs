//! What is known of a client while its session lasts.
//! Knows no rule.

use crate::lines::Line;

/// A client, in the slot of its session.
#[derive(Debug, Default)]
pub(crate) struct Visitor {
    /// ETRN commands so far.
    pub(crate) requests: u32,
    /// Its names by the DNS, confirmed; none: nobody has asked for them.
    pub(crate) names: Option<Vec<String>>,
    /// Its place among those whose connections are reversed, which the end of the session gives back.
    pub(crate) line: Option<Line>,
}
