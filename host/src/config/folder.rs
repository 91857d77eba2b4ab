//! Which folders are the server's own, and what else may lie where.
//! Knows paths as they are written: links are followed by who opens them.

use std::path::{Component, Path, PathBuf};

use toml::Spanned;

use super::document::Document;
use super::error::{ConfigError, Place};
use super::settings::{plugin_copies_dir, spool_dir};

/// The server's own folders, for a check of the others.
pub(super) struct Folders<'f> {
    document: &'f Document<'f>,
    state_dir: &'f Path,
    /// Where `state_dir` is written, if it is.
    state_line: Option<u32>,
    /// The maildirs so far: the folder, whose it is, and where that is written.
    maildirs: Vec<(PathBuf, String, u32)>,
}

impl<'f> Folders<'f> {
    pub(super) fn new(
        document: &'f Document<'f>,
        state_dir: &'f Path,
        written: Option<&Spanned<PathBuf>>,
    ) -> Self {
        let state_line = written.map(|written| document.at(written.span()).line);
        Self { document, state_dir, state_line, maildirs: Vec::new() }
    }

    /// Takes a domain's maildir; `place` is where it is written, or the domain where it is the default.
    pub(super) fn maildir(
        &mut self,
        domain: &str,
        maildir: &Path,
        written: &Path,
        place: &Place,
    ) -> Result<(), ConfigError> {
        let folder = normal(maildir);
        if folder == normal(self.state_dir) {
            let problem = format!("{written:?} is state_dir itself{}", self.line_of_state());
            let remedy = "choose a folder of its own, such as \"mail\" in it";
            return Err(place.fault(problem, remedy));
        }
        for own in [spool_dir(self.state_dir), plugin_copies_dir(self.state_dir)] {
            self.outside(written, &folder, &own, place, "choose a folder outside of it")?;
        }
        if let Some((_, name, line)) = self.maildirs.iter().find(|(known, ..)| *known == folder) {
            let problem = format!("{written:?} is already the maildir of {name} in line {line}");
            return Err(place.fault(problem, "give every domain a folder of its own"));
        }
        self.maildirs.push((folder, domain.to_owned(), place.line));
        Ok(())
    }

    /// Refuses a plug-in out of the copies, which are removed when they are not needed any more.
    pub(super) fn plugin(
        &self,
        file: &Path,
        written: &Spanned<PathBuf>,
    ) -> Result<(), ConfigError> {
        let place = self.document.at(written.span());
        let copies = plugin_copies_dir(self.state_dir);
        let remedy = "name the file that the copy was made of";
        self.outside(written.get_ref(), &normal(file), &copies, &place, remedy)
    }

    fn outside(
        &self,
        written: &Path,
        path: &Path,
        own: &Path,
        place: &Place,
        remedy: &str,
    ) -> Result<(), ConfigError> {
        if !path.starts_with(normal(own)) {
            return Ok(());
        }
        let (own, line) = (own.display(), self.line_of_state());
        let problem = format!("{written:?} lies in {own}, which is the server's own{line}");
        Err(place.fault(problem, remedy))
    }

    fn line_of_state(&self) -> String {
        self.state_line.map_or_else(String::new, |line| format!(" (state_dir in line {line})"))
    }
}

/// A path without `.` and `..`, as far as that can be told without looking at the disk.
fn normal(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir if normal.file_name().is_some() => {
                normal.pop();
            }
            Component::ParentDir if normal.has_root() => {}
            other => normal.push(other),
        }
    }
    normal
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_compared_without_their_detours() {
        let cases = [
            ("/a/b", "/a/b"),
            ("/a//b/", "/a/b"),
            ("/a/./b/../c", "/a/c"),
            ("/../a", "/a"),
            ("a/..", ""),
            ("../a", "../a"),
            ("../../a/../b", "../../b"),
        ];
        for (written, wanted) in cases {
            assert_eq!(normal(Path::new(written)), Path::new(wanted), "{written}");
        }
    }
}
