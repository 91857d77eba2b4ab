//! Reports to other domains of how TLS fared with their servers (TLS-RPT, RFC 8460): sessions are counted by day, and what was counted is
//! sent when the day is over. Knows no delivery; the counts are on disk within a minute.

mod day;
mod record;
mod report;
mod session;

use std::fs::{self, DirBuilder, File};
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::io::{self, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use jiff::civil::Date;
use jiff::{Timestamp, ToSpan, tz::TimeZone};
use stagepost_queue::{NewMessage, Origin, Store, StoreError};
use stagepost_smtp::{Address, BodyKind, Envelope, Recipient, ReversePath};

use self::day::{Counted, Day};
use self::record::{Place, places};
use self::report::Report;
pub(crate) use self::session::{Failure, FailureKind, PolicyFound, PolicyKind};
use crate::config::{Settings, TlsReport};
use crate::dns::{Answer, Data, Kind, Names};
use crate::https::{Https, HttpsError};
use crate::intake::{date, deliveries};
use crate::router::Router;
use crate::stopping::Stopping;
use crate::sts::HTTPS_PORT;
use crate::tls::OutboundTls;

/// How often counts go to the disk.
const FLUSH: Duration = Duration::from_secs(60);
/// So long after the end of a day its reports go, at most: a time of each server's own (RFC 8460 section 4.1).
const DELAY_MAX_S: u64 = 4 * 3600;
/// How often a report is tried that can't be sent: until a day after the day's end (RFC 8460 section 5.4).
const RETRY: Duration = Duration::from_secs(3600);
/// How long handing one in may take.
const POST_WAIT: Duration = Duration::from_secs(60);
/// The longest report.
const REPORT_OCTETS_MAX: usize = 1 << 20;
/// How much of an answer to a report is read.
const ANSWER_OCTETS_MAX: usize = 64 * 1024;

/// What gathers sessions and sends reports.
pub(crate) struct TlsReports {
    settings: TlsReport,
    hostname: Box<str>,
    folder: PathBuf,
    names: Arc<dyn Names>,
    https: Https,
    today: Mutex<Today>,
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
}

/// Why a report was not sent.
#[derive(Debug, thiserror::Error)]
enum ReportError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("no route leads to {0}")]
    NoRoute(Address),
    #[error(transparent)]
    Https(#[from] HttpsError),
    #[error("it can't be compressed: {0}")]
    Gzip(#[from] io::Error),
    #[error("it has more than {REPORT_OCTETS_MAX} octets")]
    TooLarge,
}

/// Who takes reports that go by mail.
pub(crate) struct Outbox {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) router: Arc<Router>,
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
        let today = Mutex::new(Today { date, day, before: None, changed: false, told: false });
        Self { settings, hostname: hostname.into(), folder, names, https, today }
    }

    /// Counts a session with a server of a domain, or what came in its place; `failure`: none, it went well.
    pub(crate) fn count(&self, domain: &str, policy: &PolicyFound, failure: Option<Failure>) {
        let date = day_of(SystemTime::now());
        let mut today = self.today();
        if today.date != date {
            let before = Some((today.date, std::mem::take(&mut today.day)));
            *today = Today { date, day: Day::default(), before, changed: false, told: false };
        }
        today.changed = true;
        if !today.day.count(&domain.to_ascii_lowercase(), policy, failure)
            && !std::mem::replace(&mut today.told, true)
        {
            tracing::warn!(
                "more sessions than reports of TLS have room for today: some are not counted"
            );
        }
    }

    /// Writes counts and sends reports until the server stops; then it writes them once more.
    pub(crate) async fn run(self: Arc<Self>, outbox: Outbox, mut stopping: Stopping) {
        let working = async {
            let mut tried: Option<tokio::time::Instant> = None;
            loop {
                self.flush().await;
                if tried.is_none_or(|tried| tried.elapsed() >= RETRY)
                    && self.is_time(SystemTime::now())
                {
                    tried = Some(tokio::time::Instant::now());
                    self.send_all(&outbox, SystemTime::now()).await;
                }
                tokio::time::sleep(FLUSH).await;
            }
        };
        tokio::select! {
            () = working => {}
            () = stopping.wait() => {}
        }
        self.flush().await;
    }

    /// Whether the reports of yesterday are due.
    fn is_time(&self, now: SystemTime) -> bool {
        let since_midnight_s =
            Timestamp::try_from(now).map_or(0, |now| now.as_second().rem_euclid(86_400));
        let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one(&self.hostname);
        since_midnight_s.unsigned_abs() >= hash % DELAY_MAX_S
    }

    /// Sends the reports of all days that are over. What can't be sent stays for another time, for a day.
    async fn send_all(&self, outbox: &Outbox, now: SystemTime) {
        let today = day_of(now);
        let Ok(entries) = fs::read_dir(&self.folder) else { return };
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        for name in names.collect::<Vec<_>>() {
            let date = name.strip_suffix(".json").and_then(|name| name.parse::<Date>().ok());
            match date {
                Some(date) if date < today => self.send_day(outbox, date, today).await,
                Some(_) => {}
                // A draft that was not finished.
                None => drop(fs::remove_file(self.folder.join(name))),
            }
        }
    }

    async fn send_day(&self, outbox: &Outbox, date: Date, today: Date) {
        let path = path(&self.folder, date);
        let mut day = read(&path).unwrap_or_default();
        let last = today.checked_sub(2.days()).is_ok_and(|least| date < least);
        let domains: Vec<String> = day.domains.keys().cloned().collect();
        for domain in domains.iter().filter(|_| !last) {
            let policies = day.domains.get(domain).map_or(&[][..], Vec::as_slice);
            match self.send(outbox, domain, date, policies).await {
                Ok(()) => drop(day.domains.remove(domain)),
                Err(error) => {
                    tracing::warn!(domain, %date, %error, "a report of TLS can't be sent: it is tried again");
                }
            }
        }
        let kept = match day.domains.is_empty() || last {
            true => fs::remove_file(&path),
            false => write(&path, &day),
        };
        if let Err(error) = kept {
            tracing::error!(%date, %error, "the counts of TLS can't be changed on disk: reports may go twice");
        }
    }

    /// Sends one to all places that the domain names, as long as one of them takes it.
    async fn send(
        &self,
        outbox: &Outbox,
        domain: &str,
        date: Date,
        policies: &[Counted],
    ) -> Result<(), ReportError> {
        let places = self.places(domain).await;
        if places.is_empty() {
            return Ok(());
        }
        let report = Report {
            organization: &self.settings.organization,
            contact: self.settings.contact.as_str(),
            hostname: &self.hostname,
            domain,
            date,
            policies,
        };
        let gzip = report.gzip()?;
        if gzip.len() > REPORT_OCTETS_MAX {
            return Err(ReportError::TooLarge);
        }
        let (mut sent, mut fault) = (false, None);
        for place in places {
            let done = match &place {
                Place::Mail(to) => self.mail(outbox, &report, &gzip, to).await,
                Place::Https { host, port, path } => {
                    let posted =
                        self.https.post(host, *port, path, gzip.clone(), ANSWER_OCTETS_MAX);
                    posted.await.map_err(ReportError::from)
                }
            };
            match done {
                Ok(()) => sent = true,
                Err(error) => fault = Some(error),
            }
        }
        tracing::info!(domain, %date, sent, "report of TLS");
        fault.filter(|_| !sent).map_or(Ok(()), Err)
    }

    /// Where a domain wants its reports (RFC 8460 section 3).
    async fn places(&self, domain: &str) -> Vec<Place> {
        match self.names.ask(Kind::Txt, &format!("_smtp._tls.{domain}")).await {
            Answer::Found(found) => {
                places(found.records.iter().filter_map(|record| match record {
                    Data::Text(text) => Some(&**text),
                    _ => None,
                }))
            }
            _ => Vec::new(),
        }
    }

    /// Queues a report. It is not signed (DKIM): no part of this server signs.
    async fn mail(
        &self,
        outbox: &Outbox,
        report: &Report<'_>,
        gzip: &[u8],
        to: &Address,
    ) -> Result<(), ReportError> {
        let Outbox { store, router } = outbox;
        if router.destination(&router.queue_domain(to)).is_none() {
            return Err(ReportError::NoRoute(to.clone()));
        }
        let now = SystemTime::now();
        let mut incoming = store.receive()?;
        let id = incoming.id().to_string();
        *incoming.header() = report.header(to.as_str(), &date(now), &id).into_bytes();
        incoming.body(report.body(&id, gzip).as_bytes()).await?;
        let envelope = Envelope {
            sender: ReversePath::Address(self.settings.contact.clone()),
            parameters: "".into(),
            body: BodyKind::SevenBit,
            recipients: vec![Recipient { address: to.clone(), parameters: "NOTIFY=NEVER".into() }],
        };
        let message = NewMessage {
            deliveries: deliveries(router, &envelope, now)?,
            envelope,
            received_at: now,
            hold: None,
            origin: Origin { client: "this server".into(), ..Origin::default() },
            ledger: Vec::new(),
        };
        incoming.commit(message).await?;
        Ok(())
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
            let changed = std::mem::take(&mut today.changed);
            let now = changed.then(|| (today.date, today.day.clone()));
            (today.before.take(), now)
        };
        let folder = self.folder.clone();
        let written = tokio::task::spawn_blocking(move || {
            before.iter().chain(&now).try_for_each(|(date, day)| {
                DirBuilder::new().recursive(true).mode(0o700).create(&folder)?;
                write(&path(&folder, *date), day)
            })
        });
        if let Ok(Err(error)) = written.await {
            self.today().changed = true;
            tracing::error!(%error, "the counts of TLS can't be kept on disk");
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

fn write(path: &Path, day: &Day) -> io::Result<()> {
    let draft = path.with_extension("draft");
    let mut file = File::create(&draft)?;
    file.write_all(&serde_json::to_vec(day)?)?;
    file.sync_all()?;
    fs::rename(&draft, path)
}

#[cfg(test)]
mod tests;
