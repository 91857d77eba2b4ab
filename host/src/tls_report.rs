//! How TLS fares with the servers of other domains, for reports to them (TLS-RPT, RFC 8460): sessions are counted by day, and the counts are
//! on disk within a minute. Knows no delivery; that reports are sent is told in a part of its own.

mod day;
mod record;
mod report;
mod sending;
mod session;

use std::fs::{self, DirBuilder, File};
use std::io::{self, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use jiff::civil::Date;
use jiff::{Timestamp, ToSpan, tz::TimeZone};

pub(crate) use self::day::{Counted, Day};
pub(crate) use self::sending::{Outbox, Sent};
pub(crate) use self::session::{Failure, FailureKind, PolicyFound, PolicyKind};
use crate::config::{Settings, TlsReport};
use crate::dns::Names;
use crate::https::Https;
use crate::stopping::Stopping;
use crate::sts::HTTPS_PORT;
use crate::tls::OutboundTls;

/// How often counts go to the disk.
const FLUSH: Duration = Duration::from_secs(60);
/// How long handing one in may take.
const POST_WAIT: Duration = Duration::from_secs(60);
/// What gathers sessions and sends reports.
pub(crate) struct TlsReports {
    settings: TlsReport,
    hostname: Box<str>,
    folder: PathBuf,
    names: Arc<dyn Names>,
    https: Https,
    today: Mutex<Today>,
    /// Held by who sends reports: nobody else does then.
    sending: tokio::sync::Mutex<()>,
}

/// The counts of the day in hand.
struct Today {
    date: Date,
    day: Day,
    /// Those of the day before, which were not written since.
    before: Option<(Date, Day)>,
    /// They are not as they are on disk.
    changed: bool,
    /// That there is no room was told.
    told: bool,
    /// That they can't be written was told.
    failing: bool,
}

impl Today {
    /// Ends a day that is over. What was written of it already stays as it is on disk: it may have been sent.
    fn pass_to(&mut self, date: Date) {
        // A clock that is put back a little must not have a day begin anew.
        let least = self.date.checked_sub(1.day()).unwrap_or(self.date);
        if (least..=self.date).contains(&date) {
            return;
        }
        let day = std::mem::take(&mut self.day);
        let before = if self.changed { Some((self.date, day)) } else { self.before.take() };
        let day = Day::default();
        *self = Self { date, day, before, changed: false, told: false, failing: self.failing };
    }

    /// Keeps what could not be written for another time; told once until it can be again.
    fn note_written(&mut self, failed: Vec<(Date, Day, io::Error)>) {
        if failed.is_empty() {
            self.failing = false;
        }
        for (date, day, error) in failed {
            match date == self.date {
                true => self.changed = true,
                false => self.before = Some((date, day)),
            }
            if !std::mem::replace(&mut self.failing, true) {
                tracing::error!(%error, "the counts of TLS can't be kept on disk: it is tried each minute");
            }
        }
    }
}

impl TlsReports {
    /// As settings have it, if they do. Reads files.
    pub(crate) fn of_settings(
        settings: &Settings,
        names: Arc<dyn Names>,
        tls: &OutboundTls,
    ) -> Option<Arc<Self>> {
        let of = settings.tls_report.clone()?;
        let https = Https::new(names.clone(), tls.clone(), HTTPS_PORT, POST_WAIT);
        let hostname = &settings.receive.hostname;
        Some(Arc::new(Self::new(of, hostname, settings.tls_report_dir(), names, https)))
    }

    /// Begins with what is on disk of today. `https`: who gets reports over HTTPS.
    pub(crate) fn new(
        settings: TlsReport,
        hostname: &str,
        folder: PathBuf,
        names: Arc<dyn Names>,
        https: Https,
    ) -> Self {
        let date = day_of(SystemTime::now());
        let day = read(&path(&folder, date)).unwrap_or_default();
        remove_drafts(&folder);
        let today = Today { date, day, before: None, changed: false, told: false, failing: false };
        let today = Mutex::new(today);
        let sending = tokio::sync::Mutex::default();
        Self { settings, hostname: hostname.into(), folder, names, https, today, sending }
    }

    /// Counts a session with a server of a domain, or what came in its place; `failure`: none, it went well.
    pub(crate) fn count(&self, domain: &str, policy: &PolicyFound, failure: Option<Failure>) {
        let mut today = self.today();
        today.pass_to(day_of(SystemTime::now()));
        today.changed = true;
        if !today.day.count(&domain.to_ascii_lowercase(), policy, failure)
            && !std::mem::replace(&mut today.told, true)
        {
            tracing::warn!(
                "more sessions than reports of TLS have room for today: some are not counted"
            );
        }
    }

    /// Writes counts and sends reports until the server stops; then it writes the counts once more.
    pub(crate) async fn run(self: Arc<Self>, outbox: Arc<Outbox>, mut stopping: Stopping) {
        let writing = async {
            loop {
                self.flush().await;
                tokio::time::sleep(FLUSH).await;
            }
        };
        tokio::select! {
            () = writing => {}
            () = self.clone().send_in_time(outbox) => {}
            () = stopping.wait() => {}
        }
        self.flush().await;
    }

    /// What is counted, day by day: of days that are over, and of today. Reads files.
    pub(crate) async fn all_days(&self) -> Vec<(Date, Day)> {
        let (today, day) = {
            let today = self.today();
            (today.date, today.day.clone())
        };
        let mut days: Vec<(Date, Day)> = Vec::new();
        for date in self.dates().await.into_iter().filter(|date| *date < today) {
            days.extend(self.read(date).await.map(|day| (date, day)));
        }
        days.push((today, day));
        days
    }

    /// The days that are on disk, in their order.
    async fn dates(&self) -> Vec<Date> {
        let folder = self.folder.clone();
        let read = move || {
            let Ok(entries) = fs::read_dir(&folder) else { return Vec::new() };
            let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
            let mut dates = Vec::new();
            for name in names {
                dates.extend(name.strip_suffix(".json").and_then(|name| name.parse::<Date>().ok()));
            }
            dates.sort_unstable();
            dates
        };
        tokio::task::spawn_blocking(read).await.unwrap_or_default()
    }

    /// The counts of a day that are on disk; none: there are none that can be read.
    async fn read(&self, date: Date) -> Option<Day> {
        let path = path(&self.folder, date);
        tokio::task::spawn_blocking(move || read(&path)).await.ok().flatten()
    }

    /// All counts of today.
    #[cfg(test)]
    pub(crate) fn counts(&self) -> serde_json::Value {
        serde_json::to_value(&self.today().day).unwrap()
    }

    /// Writes what has changed, where that keeps nobody waiting.
    async fn flush(&self) {
        let (before, now) = {
            let mut today = self.today();
            today.pass_to(day_of(SystemTime::now()));
            let changed = std::mem::take(&mut today.changed);
            let now = changed.then(|| (today.date, today.day.clone()));
            (today.before.take(), now)
        };
        let folder = self.folder.clone();
        let written = tokio::task::spawn_blocking(move || {
            let mut failed = Vec::new();
            for (date, day) in before.into_iter().chain(now) {
                if let Err(error) = write(&folder, date, &day) {
                    failed.push((date, day, error));
                }
            }
            failed
        });
        if let Ok(failed) = written.await {
            self.today().note_written(failed);
        }
    }

    fn today(&self) -> MutexGuard<'_, Today> {
        self.today.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The day in UTC (RFC 8460 section 4.1).
fn day_of(now: SystemTime) -> Date {
    Timestamp::try_from(now).unwrap_or_default().to_zoned(TimeZone::UTC).date()
}

fn path(folder: &Path, date: Date) -> PathBuf {
    folder.join(format!("{date}.json"))
}

/// None: there is none that can be read.
fn read(path: &Path) -> Option<Day> {
    serde_json::from_slice(&fs::read(path).ok()?).ok()
}

fn write(folder: &Path, date: Date, day: &Day) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let path = path(folder, date);
    let draft = path.with_extension("draft");
    let mut file = File::create(&draft)?;
    file.write_all(&serde_json::to_vec(day)?)?;
    file.sync_all()?;
    fs::rename(&draft, path)?;
    File::open(folder)?.sync_all()
}

/// Removes what was begun to be written when a server ended.
fn remove_drafts(folder: &Path) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    for path in paths.filter(|path| path.extension().is_some_and(|end| end == "draft")) {
        // It is written over otherwise.
        let _ = fs::remove_file(path);
    }
}

#[cfg(test)]
mod tests;
