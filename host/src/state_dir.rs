//! The folder of everything that outlives a run: whether it can be had, and making it.
//! Knows nothing of what lies in it.

use std::fs::{self, DirBuilder, Metadata};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::Path;

use rustix::fs::{Access, access};

use crate::config::{ConfigError, Settings};

/// What to do when this user can't have the folder.
const REMEDY: &str = "make the folder and give it to the user that the server runs as (mkdir, chown), or choose another one; and run this command as that user";

/// Finds out whether this user can have the folder. Changes nothing.
///
/// # Errors
/// What is in the way.
pub(crate) fn check(settings: &Settings) -> Result<(), ConfigError> {
    let wrong = |problem, remedy| settings.state_dir_place.fault(problem, remedy);
    for folder in settings.state_dir.ancestors() {
        let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        match fs::metadata(folder) {
            Ok(metadata) => {
                let found = found(folder, &metadata, folder == settings.state_dir);
                return found.map_err(|(problem, remedy)| wrong(problem, remedy));
            }
            Err(_) if fs::symlink_metadata(folder).is_ok_and(|found| found.is_symlink()) => {
                let problem = format!("{} is a link to nowhere", folder.display());
                return Err(wrong(problem, "remove the link, or choose another folder".to_owned()));
            }
            // Below a file nothing is found either: the file itself comes next.
            Err(error)
                if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {}
            Err(error) => return Err(unmakable(settings, &error)),
        }
    }
    Ok(())
}

/// Makes the folder where it is not there: mail and private copies of plug-ins will lie in it, nobody else's business.
///
/// # Errors
/// What is in the way.
pub(crate) fn make(settings: &Settings) -> Result<(), ConfigError> {
    check(settings)?;
    let mut builder = DirBuilder::new();
    let made = builder.recursive(true).mode(0o700).create(&settings.state_dir);
    made.map_err(|error| unmakable(settings, &error))
}

/// Looks at what is there: the folder itself, or the nearest one that it would be made in. A problem and its remedy.
fn found(path: &Path, metadata: &Metadata, itself: bool) -> Result<(), (String, String)> {
    let shown = path.display();
    if !metadata.is_dir() {
        let problem = format!("{shown} is not a folder");
        return Err((problem, "choose another folder, or move the file away".to_owned()));
    }
    // As with plug-in files, the group of this process counts as this user: private groups are usual.
    let mode = metadata.mode() & 0o7777;
    let group = rustix::process::getegid().as_raw();
    let by_group = mode & 0o020 != 0 && metadata.gid() != group && metadata.gid() != 0;
    if itself && (mode & 0o002 != 0 || by_group) {
        let problem = format!("others can write to {shown} (mode {mode:04o})");
        return Err((problem, format!("chmod 700 {shown}")));
    }
    access(path, Access::WRITE_OK | Access::EXEC_OK).map_err(|error| {
        let user = rustix::process::geteuid().as_raw();
        let problem = format!("user {user} can't write to {shown}: {}", io::Error::from(error));
        (problem, REMEDY.to_owned())
    })
}

fn unmakable(settings: &Settings, error: &io::Error) -> ConfigError {
    let problem = format!("{} can't be made: {error}", settings.state_dir.display());
    settings.state_dir_place.fault(problem, REMEDY)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn the_folder_is_made_for_this_user_alone() {
        let folder = tempfile::tempdir().unwrap();
        let mut settings = crate::config::development().unwrap();
        settings.state_dir = folder.path().join("a/b");
        check(&settings).unwrap();
        assert!(!folder.path().join("a").exists(), "a check makes nothing");
        make(&settings).unwrap();
        make(&settings).unwrap();
        assert_eq!(fs::metadata(&settings.state_dir).unwrap().mode() & 0o777, 0o700);
    }

    #[test]
    fn a_folder_that_others_can_write_to_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let mut settings = crate::config::development().unwrap();
        settings.state_dir = folder.path().to_owned();
        for (mode, fits) in
            [(0o700, true), (0o755, true), (0o770, true), (0o707, false), (0o1777, false)]
        {
            fs::set_permissions(folder.path(), fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(make(&settings).is_ok(), fits, "{mode:o}");
        }
    }
}
