//! What hostile octets are tried on: parsers and sessions, each a function that panics when something does not hold.
//! The same functions run under libFuzzer, and in the tests with inputs from the corpus and from a seed.

pub mod corpus;
pub mod meaning;
mod message;
mod next_hop;
pub mod octets;
mod plugin_file;
pub mod plugins;
pub mod replies;
pub mod rig;
pub mod seeded;
mod target;

/// Makes an input from words.
pub type Shape = fn(&mut seeded::Seed, &[Vec<u8>]) -> Vec<u8>;

/// One thing that octets are tried on.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name, which is that of its folder in the corpus.
    pub name: &'static str,
    /// Tries one input; panics when something does not hold.
    pub run: fn(&[u8]),
    /// Makes an input of the form that is most telling, from words; none: words in any order are.
    pub shape: Option<Shape>,
}

/// Every target.
pub const TARGETS: &[Target] = &[
    target::line::TARGET,
    target::command::TARGET,
    target::address::TARGET,
    target::data::TARGET,
    target::bdat::TARGET,
    target::reply::TARGET,
    target::receiving::TARGET,
    target::sending::TARGET,
    target::descriptor::TARGET,
    target::edits::TARGET,
];

/// The target of a name.
pub fn target(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}
