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
    /// Where.
    pub(crate) place: Place,
    /// What is wrong, with the value.
    pub(crate) problem: String,
    /// What to do about it.
    pub(crate) remedy: String,
}

/// A place in a configuration file, with all that is needed to show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// The file as the operator named it.
    pub(crate) file: String,
    /// The line, from 1.
    pub(crate) line: u32,
    /// The character within the line, from 1.
    pub(crate) column: u32,
    /// The field, such as `plugin[0].path`; empty where there is none.
    pub(crate) field: String,
    /// The line itself.
    pub(crate) excerpt: String,
    /// How many characters of the line it covers.
    pub(crate) width: usize,
}

impl ConfigError {
    /// The same in one line: file, line and column, the problem and what to do.
    pub(crate) fn in_line(&self) -> String {
        match self {
            Self::Read { .. } => {
                let text = self.to_string();
                let text = text.strip_prefix("error: ").unwrap_or(&text);
                text.replace("\n  = help: ", "; remedy: ")
            }
            Self::Fault(fault) => {
                let Fault { place, problem, remedy } = &**fault;
                let colon = if place.field.is_empty() { "" } else { ": " };
                let position = place.position();
                format!("{position}: {}{colon}{problem}; remedy: {remedy}", place.field)
            }
        }
        .replace(['\r', '\n'], " ")
    }
}

impl Place {
    /// `file:line:column`
    pub(crate) fn position(&self) -> String {
        format!("{}:{}:{}", self.file, self.line, self.column)
    }

    /// Something wrong here.
    pub(crate) fn fault(
        &self,
        problem: impl Into<String>,
        remedy: impl Into<String>,
    ) -> ConfigError {
        let (place, problem, remedy) = (self.clone(), problem.into(), remedy.into());
        ConfigError::Fault(Box::new(Fault { place, problem, remedy }))
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Place { file, line, column, field, excerpt, width } = &self.place;
        let number = line.to_string();
        let gutter = " ".repeat(number.len());
        let indent = " ".repeat(column.saturating_sub(1) as usize);
        let carets = "^".repeat((*width).max(1));
        let colon = if field.is_empty() { "" } else { ": " };
        writeln!(out, "error: {field}{colon}{}", self.problem)?;
        writeln!(out, "{gutter}--> {file}:{line}:{column}")?;
        writeln!(out, "{gutter} |")?;
        writeln!(out, "{number} | {excerpt}")?;
        writeln!(out, "{gutter} | {indent}{carets}")?;
        write!(out, "{gutter} = help: {}", self.remedy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_reads_like_a_compiler_error() {
        let place = Place {
            file: "stagepost.toml".into(),
            line: 12,
            column: 22,
            field: "limits.message_octets_max".into(),
            excerpt: "message_octets_max = \"35XB\"".into(),
            width: 6,
        };
        let fault = place.fault("\"35XB\" is not a size", "write a size");
        let wanted = "\
error: limits.message_octets_max: \"35XB\" is not a size
  --> stagepost.toml:12:22
   |
12 | message_octets_max = \"35XB\"
   |                      ^^^^^^
   = help: write a size";
        assert_eq!(fault.to_string(), wanted);
        let wanted = "stagepost.toml:12:22: limits.message_octets_max: \"35XB\" is not a size; remedy: write a size";
        assert_eq!(fault.in_line(), wanted);
        let read = ConfigError::Read { file: "f".into(), source: io::Error::other("why") };
        let line = read.in_line();
        assert!(line.contains("file f: why; remedy: name a readable file"), "{line}");
        assert!(!line.contains('\n'), "{line}");
    }
}
