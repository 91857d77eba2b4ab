//! The server's own folder: that it is kept free, and that it can be had.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use crate::{LISTEN, configuration, stagepost, stderr};

#[test]
fn a_folder_of_the_servers_own_is_named_with_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let domain =
        "[[local_domain]]\nname = \"a.test\"\nmailboxes = \"any\"\nmaildir = \"state/spool/x\"\n";
    configuration(folder.path(), &format!("state_dir = \"state\"\n{LISTEN}{domain}"));
    let shown = stderr(&stagepost(folder.path(), &["check", "--config", "test.toml"]));
    let own = folder.path().join("state/spool");
    let wanted = format!(
        "error: local_domain[0].maildir: \"state/spool/x\" lies in {}, which is the server's own (state_dir in line 1)\n --> test.toml:9:11\n",
        own.display()
    );
    assert!(shown.starts_with(&wanted), "{wanted}\nis wanted of\n{shown}");
}

#[test]
fn a_state_dir_that_cannot_be_had_is_shown_at_its_place_in_check_and_in_run() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    fs::write(folder.path().join("file"), "").unwrap();
    fs::create_dir(folder.path().join("shared")).unwrap();
    fs::set_permissions(folder.path().join("shared"), fs::Permissions::from_mode(0o777)).unwrap();
    symlink("nowhere", folder.path().join("link")).unwrap();
    let (file, shared, link) = (path("file"), path("shared"), path("link"));
    let cases = [
        ("file", format!("{file} is not a folder"), "choose another folder".to_owned()),
        ("file/below", format!("{file} is not a folder"), "choose another folder".to_owned()),
        ("link/below", format!("{link} is a link to nowhere"), "remove the link".to_owned()),
        (
            "shared",
            format!("others can write to {shared} (mode 0777)"),
            format!("chmod 700 {shared}\n"),
        ),
    ];
    for (state_dir, problem, remedy) in cases {
        configuration(folder.path(), &format!("state_dir = \"{state_dir}\"\n{LISTEN}"));
        let checked = stagepost(folder.path(), &["check", "--config", "test.toml"]);
        assert_eq!(checked.status.code(), Some(2), "{}", stderr(&checked));
        let ran = stagepost(folder.path(), &["run", "--config", "test.toml"]);
        assert_eq!(ran.status.code(), Some(1), "{}", stderr(&ran));
        assert_eq!(stderr(&checked), stderr(&ran));
        let shown = stderr(&checked);
        let headline = format!("error: state_dir: {problem}\n --> test.toml:1:13\n");
        assert!(shown.starts_with(&headline), "{headline}\nis wanted of\n{shown}");
        let help = shown.split(" = help: ").nth(1).unwrap_or_default();
        assert!(help.starts_with(&remedy), "{remedy}\nis wanted of\n{shown}");
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 4, "nothing is made");
}
