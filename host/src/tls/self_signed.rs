//! Makes a certificate that nobody vouches for, to begin with: most senders take any.
//! Knows where it is put and what to write into the configuration; changes no configuration.

use std::fmt;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use jiff::{Timestamp, ToSpan, civil::Date, tz::TimeZone};
use rcgen::{CertificateParams, DnType, KeyPair, PKCS_ECDSA_P256_SHA256, date_time_ymd};
use stagepost_smtp::{check_domain, domain_to_ascii};

/// Why no certificate was made. The person at the terminal can put it right.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SelfSignedError {
    /// The name can't be a server's.
    #[error(
        "error: {0:?} is not a domain name\n  = help: write the name that senders connect to, such as mx.example.org"
    )]
    Name(String),
    /// There is something in the way.
    #[error("error: {} is there already\n  = help: choose another folder with --dir", .0.display())]
    Exists(PathBuf),
    /// The disk.
    #[error("error: {}: {source}", path.display())]
    Write {
        /// What could not be written.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A path that can't be written into a TOML file.
    #[error("error: {} is not UTF-8, which configuration files are", .0.display())]
    Path(PathBuf),
    /// The making itself.
    #[error("error: the certificate can't be made: {0}")]
    Make(#[from] rcgen::Error),
}

/// A certificate that was made. Displayed as what to do next.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct MadeCertificate {
    label: String,
    chain: String,
    key: String,
    until: Date,
}

impl fmt::Display for MadeCertificate {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { label, chain, key, until } = self;
        writeln!(out, "made {chain} and its key, good until {until}\n")?;
        writeln!(out, "Add to the configuration:\n")?;
        writeln!(out, "[[certificate]]\nname = \"{label}\"\nchain = {chain:?}\nkey = {key:?}\n")?;
        writeln!(out, "and to each [[listen]] that is to speak TLS:\n")?;
        writeln!(out, "certificates = [\"{label}\"]")
    }
}

/// Makes a certificate and key for a domain name in a folder, good for so many days. Nothing that exists is changed.
pub(crate) fn self_signed(
    name: &str,
    folder: &Path,
    days: u16,
) -> Result<MadeCertificate, SelfSignedError> {
    // As the DNS has it, which is how clients ask for it.
    let written =
        if name.is_ascii() { Some(name.to_ascii_lowercase()) } else { domain_to_ascii(name) };
    let sound = |name: &String| !name.starts_with('[') && check_domain(name).is_ok();
    let name = written.filter(sound).ok_or_else(|| SelfSignedError::Name(name.to_owned()))?;
    let path = |ending| {
        let path = folder.join(format!("{name}.{ending}"));
        std::path::absolute(&path).map_err(|source| SelfSignedError::Write { path, source })
    };
    let (chain, key) = (path("crt")?, path("key")?);
    let today = Timestamp::now().to_zoned(TimeZone::UTC).date();
    // Clocks differ.
    let since = today.saturating_sub(1.day());
    let until = today.saturating_add(i64::from(days).days());
    let pair = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    let mut params = CertificateParams::new(vec![name.clone()])?;
    params.distinguished_name.push(DnType::CommonName, name.clone());
    let moment = |date: Date| {
        date_time_ymd(date.year().into(), date.month().cast_unsigned(), date.day().cast_unsigned())
    };
    (params.not_before, params.not_after) = (moment(since), moment(until));
    let certificate = params.self_signed(&pair)?;
    fs::create_dir_all(folder)
        .map_err(|source| SelfSignedError::Write { path: folder.to_owned(), source })?;
    write_new(&key, 0o600, &pair.serialize_pem())?;
    if let Err(error) = write_new(&chain, 0o644, &certificate.pem()) {
        // A key without its certificate would be in the way next time.
        let _ = fs::remove_file(&key);
        return Err(error);
    }
    let text = |path: PathBuf| match path.to_str() {
        Some(text) => Ok(text.to_owned()),
        None => Err(SelfSignedError::Path(path)),
    };
    let label: String = name.chars().map(|c| if c == '.' { '-' } else { c }).take(63).collect();
    Ok(MadeCertificate { label, chain: text(chain)?, key: text(key)?, until })
}

fn write_new(path: &Path, mode: u32, text: &str) -> Result<(), SelfSignedError> {
    let mut options = OpenOptions::new();
    let written = options
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path)
        .and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|source| match source.kind() {
        io::ErrorKind::AlreadyExists => SelfSignedError::Exists(path.to_owned()),
        _ => SelfSignedError::Write { path: path.to_owned(), source },
    })
}
