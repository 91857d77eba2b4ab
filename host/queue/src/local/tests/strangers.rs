//! A spool that others have been at: a second server, files that are nobody's, and things in the place of files.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use super::audit::audit;
use super::spool::{Spool, assert_intact, message, open, queue};
use crate::local::{LocalOptions, LocalStore, OpenError};
use crate::{Store, StoreError};

fn opened(path: &Path) -> Result<LocalStore, OpenError> {
    LocalStore::open(LocalOptions { path: path.to_owned(), free_space_min: 0, faults: None })
}

#[tokio::test]
async fn a_second_server_is_refused_and_the_first_goes_on() {
    let spool = Spool::new();
    let id = queue(&spool.store, 70_000, message(&["a.example"])).await.unwrap();
    for _ in 0..3 {
        match opened(spool.folder.path()) {
            Err(OpenError::InUse(path)) => assert_eq!(path, spool.folder.path()),
            Err(error) => panic!("{error}"),
            Ok(_) => panic!("two servers have one queue"),
        }
    }
    assert_intact(&spool.store, id, 70_000).await;
    queue(&spool.store, 10, message(&["a.example"])).await.unwrap();
    audit(&spool).await;
}

#[tokio::test]
async fn what_is_not_ours_is_left_alone() {
    let spool = Spool::new();
    let id = queue(&spool.store, 70_000, message(&["a.example"])).await.unwrap();
    let (path, body) = (spool.folder.path().to_owned(), spool.body_file(id));
    spool.store.close().await;
    let near = body.parent().unwrap();
    let outside = tempfile::tempdir().unwrap();
    let kept = outside.path().join("kept");
    fs::write(&kept, "not ours").unwrap();
    let files: Vec<PathBuf> = [
        path.join("README"),
        path.join("journal/README"),
        path.join("journal/1.segment.bak"),
        path.join("journal/x.segment"),
        path.join("journal/1.segment"),
        path.join("journal/7.making"),
        path.join("journal/README.making"),
        path.join("index/README"),
        path.join("body/README"),
        near.join(format!("{id}.bak")),
        near.join("README"),
        near.join("A".repeat(id.to_string().len()).to_lowercase()),
        path.join("body").join("0".repeat(id.to_string().len())),
    ]
    .into();
    for file in &files {
        fs::write(file, "not ours").unwrap();
    }
    fs::create_dir_all(path.join("body/lost+found/deep")).unwrap();
    // One that has the name of a body that there is not.
    let orphan = path.join("body/00").join("0".repeat(id.to_string().len()));
    fs::create_dir_all(orphan.parent().unwrap()).unwrap();
    symlink(&kept, &orphan).unwrap();
    let folder = near.join("1".repeat(id.to_string().len()));
    fs::create_dir(&folder).unwrap();

    let store = open(&path);
    assert_intact(&store, id, 70_000).await;
    for file in files.iter().chain([&kept]) {
        assert_eq!(fs::read_to_string(file).unwrap(), "not ours", "{}", file.display());
    }
    assert!(fs::symlink_metadata(&orphan).is_err(), "a body without a row goes");
    assert!(folder.is_dir(), "no body is a folder");
    store.close().await;
}

#[tokio::test]
async fn what_is_in_the_place_of_a_body_is_never_sent() {
    let spool = Spool::new();
    let secret = tempfile::NamedTempFile::new().unwrap();
    fs::write(secret.path(), "secret").unwrap();
    type Replace = fn(&Path, &Path);
    let replace: [(&str, Replace); 7] = [
        ("a link to nowhere", |body, _| symlink("/nowhere", body).unwrap()),
        ("a pipe", |body, _| {
            let mode = rustix::fs::Mode::from_raw_mode(0o600);
            rustix::fs::mkfifoat(rustix::fs::CWD, body, mode).unwrap();
        }),
        ("a socket", |body, _| {
            // The path of a socket is a short one.
            let near = tempfile::tempdir().unwrap();
            let socket = near.path().join("socket");
            drop(std::os::unix::net::UnixListener::bind(&socket).unwrap());
            fs::rename(socket, body).unwrap();
        }),
        ("a link to another file", |body, secret| symlink(secret, body).unwrap()),
        ("a folder", |body, _| fs::create_dir(body).unwrap()),
        ("an empty file", |body, _| fs::write(body, "").unwrap()),
        ("a file without an end", |body, _| symlink("/dev/zero", body).unwrap()),
    ];
    for (what, replace) in replace {
        let id = queue(&spool.store, 70_000, message(&["a.example"])).await.unwrap();
        let body = spool.body_file(id);
        fs::remove_file(&body).unwrap();
        replace(&body, secret.path());
        let read = spool.store.read(id).await.map(drop);
        assert!(matches!(read, Err(StoreError::Corrupt { .. })), "{what}: {read:?}");
        assert_eq!(spool.store.summary().await.unwrap().queued, 0, "{what}: it is on hold");
    }
    assert_eq!(fs::read_to_string(secret.path()).unwrap(), "secret");
}

#[tokio::test]
async fn a_file_in_whose_place_is_something_else_is_named() {
    let pipe = |path: &Path| {
        let mode = rustix::fs::Mode::from_raw_mode(0o600);
        rustix::fs::mkfifoat(rustix::fs::CWD, path, mode).unwrap();
    };
    let link = |path: &Path| symlink("/dev/null", path).unwrap();
    let folder = |path: &Path| fs::create_dir(path).unwrap();
    let things: [&dyn Fn(&Path); 3] = [&pipe, &link, &folder];
    for name in ["lock", "journal/000001.segment"] {
        for put in things {
            let spool = Spool::new();
            let path = spool.folder.path().join(name);
            spool.store.close().await;
            fs::remove_file(&path).unwrap();
            put(&path);
            match opened(spool.folder.path()) {
                Err(OpenError::Io { error, .. }) => {
                    assert!(error.to_string().contains(name), "{error}");
                }
                Err(error) => panic!("{error}"),
                Ok(_) => panic!("{name} was opened"),
            }
        }
    }
}
