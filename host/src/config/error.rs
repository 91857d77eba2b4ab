//! What is wrong with a configuration, shown the way a compiler shows it.
//! Knows no field: the message is complete when it comes here.

use std::fmt;
use std::io;
use std::path::PathBuf;

/// Why a configuration can't be used. Always the operator's to put right.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    /// The file can't be read.
    #[error(
        "error: cannot read the configuration file {}: {source}\n  = help: name a readable file with --config FILE; stagepost.example.toml shows what belongs in it",
        file.display()
    )]
    Read {
        /// The file.
        file: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Something in it is wrong.
    #[error("{0}")]
    Fault(Box<Fault>),
}

/// One thing that is wrong in a configuration file.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    /// The file as the operator named it.
    pub(crate) file: String,
    /// The line, from 1.
    pub(crate) line: u32,
    /// The character within the line, from 1.
    pub(crate) column: u32,
    /// The field, such as `plugin[0].path`; empty where there is none.
    pub(crate) field: String,
    /// What is wrong, with the value.
    pub(crate) problem: String,
    /// What to do about it.
    pub(crate) remedy: String,
    /// The line itself.
    pub(crate) excerpt: String,
    /// How many characters of the line the fault covers.
    pub(crate) width: usize,
}

impl fmt::Display for Fault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = self.line.to_string();
        let gutter = " ".repeat(number.len());
        let indent = " ".repeat(self.column.saturating_sub(1) as usize);
        let carets = "^".repeat(self.width.max(1));
        let colon = if self.field.is_empty() { "" } else { ": " };
        writeln!(out, "error: {}{colon}{}", self.field, self.problem)?;
        writeln!(out, "{gutter}--> {}:{}:{}", self.file, self.line, self.column)?;
        writeln!(out, "{gutter} |")?;
        writeln!(out, "{number} | {}", self.excerpt)?;
        writeln!(out, "{gutter} | {indent}{carets}")?;
        write!(out, "{gutter} = help: {}", self.remedy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_reads_like_a_compiler_error() {
        let fault = Fault {
            file: "stagepost.toml".into(),
            line: 12,
            column: 22,
            field: "limits.message_octets_max".into(),
            problem: "\"35XB\" is not a size".into(),
            remedy: "write a size".into(),
            excerpt: "message_octets_max = \"35XB\"".into(),
            width: 6,
        };
        let wanted = "\
error: limits.message_octets_max: \"35XB\" is not a size
  --> stagepost.toml:12:22
   |
12 | message_octets_max = \"35XB\"
   |                      ^^^^^^
   = help: write a size";
        assert_eq!(fault.to_string(), wanted);
    }
}
