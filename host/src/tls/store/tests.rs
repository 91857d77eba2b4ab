//! Certificates from their files, the choice among them, and reading them again; made in a folder of the test's own.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::*;
use crate::tls::self_signed;

/// Makes certificates for names and loads them with one listener that has all of them.
fn settings(folder: &Path, names: &[&str]) -> crate::config::Settings {
    let mut text = String::from("hostname = \"a.test\"\n");
    for name in names {
        self_signed(name, folder, 30).unwrap();
        let label = name.replace('.', "-");
        text += &format!(
            "[[certificate]]\nname = \"{label}\"\nchain = \"{0}/{name}.crt\"\nkey = \"{0}/{name}.key\"\n",
            folder.display()
        );
    }
    let labels: Vec<_> = names.iter().map(|name| name.replace('.', "-")).collect();
    text += &format!(
        "[[listen]]\nname = \"mx\"\naddress = \"127.0.0.1:0\"\ncertificates = {labels:?}\n"
    );
    crate::config::from_text(&text).unwrap_or_else(|error| panic!("{error}"))
}

fn store(settings: &crate::config::Settings) -> Result<TlsStore, String> {
    TlsStore::load(&settings.certificates, settings.tls_minimum).map_err(|error| error.to_string())
}

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o700)).unwrap();
    folder
}

#[test]
fn what_is_wrong_with_a_file_is_told_at_its_place() {
    type Spoil = fn(&Path);
    let cases: [(&str, Spoil, &str, &str); 15] = [
        (".chain", |chain| fs::remove_file(chain).unwrap(), "No such file", "name a file"),
        (".chain", |chain| fs::write(chain, "").unwrap(), "no certificate is in it", "PEM block"),
        (".chain", |chain| set_mode(chain, 0o666), "mode: wanted no writing", "chmod go-w"),
        (
            ".chain",
            |chain| {
                fs::write(chain, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
                    .unwrap();
            },
            "no certificate: ",
            "PEM block",
        ),
        (
            ".chain",
            |chain| cut(chain),
            "the line -----END CERTIFICATE----- is missing",
            "PEM block",
        ),
        (
            ".chain",
            |chain| change(chain, "-----BEGIN CERTIFICATE-----\n", "-----BEGIN CERTIFICATE\n"),
            "-----BEGIN CERTIFICATE begins nothing that PEM has",
            "PEM block",
        ),
        (".chain", |chain| change(chain, "MI", "M!"), "is not Base64", "PEM block"),
        (
            ".chain",
            |chain| {
                fs::copy(key(chain), chain).unwrap();
            },
            "a private key is in it, and no certificate",
            "PEM block",
        ),
        (
            ".key",
            |chain| fs::write(key(chain), fs::read(chain).unwrap()).unwrap(),
            "a certificate is in it, and no private key",
            "in PEM",
        ),
        (
            ".key",
            |chain| change(&key(chain), "PRIVATE KEY", "ENCRYPTED PRIVATE KEY"),
            "its private key is encrypted",
            "unencrypted",
        ),
        (".key", |chain| fs::remove_file(key(chain)).unwrap(), "No such file", "name a file"),
        (".key", |chain| fs::write(key(chain), "").unwrap(), "no private key is in it", "in PEM"),
        (".key", |chain| set_mode(&key(chain), 0o604), "wanted no reading by others", "chmod o-"),
        (
            ".key",
            |chain| {
                fs::copy(chain.with_file_name("b.test.key"), key(chain)).unwrap();
            },
            "is not the key of the first certificate in",
            "name the key",
        ),
        (
            ".key",
            |chain| {
                fs::write(
                    key(chain),
                    "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
                )
                .unwrap();
            },
            "its private key can't be used",
            "unencrypted",
        ),
    ];
    for (place, spoil, problem, remedy) in cases {
        let folder = folder();
        let settings = settings(folder.path(), &["a.test", "b.test"]);
        assert!(store(&settings).is_ok(), "{problem}");
        spoil(&folder.path().join("a.test.crt"));
        let error = store(&settings).map(|_| ()).unwrap_err();
        assert!(error.starts_with(&format!("error: certificate[0]{place}: ")), "{error}");
        assert!(error.contains(problem) && error.contains(remedy), "{problem}: {error}");
        // Nothing of a key.
        assert!(!error.contains("PRIVATE KEY-----"), "{error}");
    }
}

/// Takes away the last line.
fn cut(file: &Path) {
    let text = fs::read_to_string(file).unwrap();
    let (rest, _) = text.trim_end().rsplit_once('\n').unwrap();
    fs::write(file, rest).unwrap();
}

fn change(file: &Path, from: &str, to: &str) {
    let text = fs::read_to_string(file).unwrap();
    assert!(text.contains(from), "{text}");
    fs::write(file, text.replace(from, to)).unwrap();
}

fn key(chain: &Path) -> std::path::PathBuf {
    chain.with_extension("key")
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_key_may_be_read_by_a_group() {
    let folder = folder();
    let settings = settings(folder.path(), &["a.test"]);
    set_mode(&folder.path().join("a.test.key"), 0o640);
    assert!(store(&settings).is_ok());
}

#[test]
fn what_is_made_is_good_and_overwrites_nothing() {
    let folder = folder();
    self_signed("MX.a.test", folder.path(), 30).unwrap();
    let mode = fs::metadata(folder.path().join("mx.a.test.key")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let error = self_signed("mx.a.test", folder.path(), 30).unwrap_err().to_string();
    assert!(error.contains("mx.a.test.key is there already"), "{error}");
    assert!(self_signed("[127.0.0.1]", folder.path(), 30).is_err());
    self_signed("b\u{fc}cher.test", folder.path(), 30).unwrap();
    assert!(folder.path().join("xn--bcher-kva.test.crt").exists());
}

#[test]
fn names_fit_whole_and_a_star_is_one_label() {
    let folder = folder();
    let store = store(&settings(folder.path(), &["a.test"])).unwrap();
    let (_, loaded) = store.certificates().next().unwrap();
    let days = loaded.not_after.as_second() - Timestamp::now().as_second();
    assert!((28 * 86_400..=30 * 86_400).contains(&days), "{days}");
    let mut loaded = read_again(&folder);
    loaded.names = vec!["a.test".into(), "*.b.test".into()];
    for (host, wanted) in [
        ("a.test", true),
        ("x.a.test", false),
        ("x.b.test", true),
        ("b.test", false),
        ("y.x.b.test", false),
    ] {
        assert_eq!(loaded.is_for(host), wanted, "{host}");
    }
}

fn read_again(folder: &tempfile::TempDir) -> Loaded {
    let text = format!(
        "hostname = \"a.test\"\nlisten = [{{ name = \"mx\", address = \"127.0.0.1:0\" }}]\n[[certificate]]\nname = \"c\"\nchain = \"{0}/a.test.crt\"\nkey = \"{0}/a.test.key\"\n",
        folder.path().display()
    );
    let settings = crate::config::from_text(&text).unwrap();
    Loaded::read(&settings.certificates[0], &aws_lc_rs::default_provider()).unwrap()
}

#[test]
fn files_that_changed_count_from_the_commit_on_and_bad_ones_never() {
    let folder = folder();
    let settings = settings(folder.path(), &["a.test", "b.test"]);
    let store = store(&settings).unwrap();
    let keys =
        || -> Vec<_> { store.certificates().map(|(_, loaded)| loaded.key.clone()).collect() };
    let old = keys();
    assert_eq!(store.reread(&settings.certificates).unwrap().commit(), Vec::<String>::new());
    for ending in ["crt", "key"] {
        fs::remove_file(folder.path().join(format!("b.test.{ending}"))).unwrap();
    }
    self_signed("b.test", folder.path(), 30).unwrap();
    let fresh = store.reread(&settings.certificates).unwrap();
    assert!(Arc::ptr_eq(&keys()[1], &old[1]), "not before the commit");
    assert_eq!(fresh.commit(), ["b-test"]);
    assert!(Arc::ptr_eq(&keys()[0], &old[0]) && !Arc::ptr_eq(&keys()[1], &old[1]));
    fs::write(folder.path().join("a.test.key"), "").unwrap();
    assert!(store.reread(&settings.certificates).is_err());
    assert!(Arc::ptr_eq(&keys()[0], &old[0]));
}
