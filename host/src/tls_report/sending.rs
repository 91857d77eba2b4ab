//! Sends the reports of days that are over: by mail or over HTTPS, to where each domain wants them.
//! Knows the days as they are on disk; counts nothing.

use std::collections::VecDeque;
use std::fs;
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::io;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use hyper::body::Bytes;
use jiff::civil::Date;
use jiff::{Timestamp, ToSpan};
use stagepost_queue::{NewMessage, Origin, Store, StoreError};
use stagepost_smtp::{Address, BodyKind, Envelope, Recipient, ReversePath};
use tokio::task::JoinSet;

use super::day::{Counted, Day};
use super::record::{Place, places};
use super::report::Report;
use super::{TlsReports, day_of, path, write};
use crate::dns::{Answer, Data, Kind};
use crate::https::HttpsError;
use crate::intake::{date, deliveries};
use crate::router::Router;

/// So long after the end of a day its reports go, at most: a time of each server's own (RFC 8460 section 4.1).
const DELAY_MAX_S: u64 = 4 * 3600;
/// How often a report is tried that can't be sent: until a day after the day's end (RFC 8460 section 5.4).
const RETRY: Duration = Duration::from_secs(3600);
/// How often it is looked whether they are due.
const ROUND: Duration = Duration::from_secs(60);
/// The longest report.
const REPORT_OCTETS_MAX: usize = 1 << 20;
/// How much of an answer to a report is read.
const ANSWER_OCTETS_MAX: usize = 64 * 1024;
/// So many reports are under way at once: who is slow keeps others waiting little.
const AT_ONCE_MAX: usize = 16;
/// So many are sent before it is noted on disk: a crash can have these go twice.
const NOTED_EACH: usize = 500;

/// Who takes reports that go by mail.
pub(crate) struct Outbox {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) router: Arc<Router>,
}

/// What became of reports.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sent {
    /// Those that somebody has taken: date and domain.
    pub(crate) sent: Vec<(Date, String)>,
    /// Those of domains that want none.
    pub(crate) unwanted: usize,
    /// Those that are tried again, and why.
    pub(crate) failed: Vec<(Date, String, String)>,
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
    #[error("the DNS can't tell now where the domain wants it")]
    Trouble,
}

impl TlsReports {
    /// Sends reports each day at the time of this server's own, and what can't be sent once more each hour; never ends.
    pub(super) async fn send_in_time(self: Arc<Self>, outbox: Arc<Outbox>) {
        let mut tried: Option<tokio::time::Instant> = None;
        loop {
            if tried.is_none_or(|tried| tried.elapsed() >= RETRY) && self.is_time(SystemTime::now())
            {
                tried = Some(tokio::time::Instant::now());
                self.send_all(&outbox, SystemTime::now()).await;
            }
            tokio::time::sleep(ROUND).await;
        }
    }

    /// Whether the reports of yesterday are due.
    fn is_time(&self, now: SystemTime) -> bool {
        let since_midnight_s =
            Timestamp::try_from(now).map_or(0, |now| now.as_second().rem_euclid(86_400));
        let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one(&self.hostname);
        since_midnight_s.unsigned_abs() >= hash % DELAY_MAX_S
    }

    /// Sends the reports of all days that are over. What can't be sent stays for another time, for a day.
    pub(crate) async fn send_all(self: &Arc<Self>, outbox: &Arc<Outbox>, now: SystemTime) -> Sent {
        let _held = self.sending.lock().await;
        self.flush().await;
        let (today, mut sent) = (day_of(now), Sent::default());
        for date in self.dates().await.into_iter().filter(|date| *date < today) {
            // One that can't be read is as good as none.
            let day = self.read(date).await.unwrap_or_default();
            if today.checked_sub(2.days()).is_ok_and(|least| date < least) {
                if !day.domains.is_empty() {
                    let domains = day.domains.len();
                    tracing::warn!(%date, domains, "reports of TLS are given up: they could not be sent within a day");
                }
                self.keep(date, Day::default()).await;
            } else {
                self.send_day(outbox, date, day, &mut sent).await;
            }
        }
        sent
    }

    async fn send_day(
        self: &Arc<Self>,
        outbox: &Arc<Outbox>,
        date: Date,
        mut day: Day,
        sent: &mut Sent,
    ) {
        let domains: Vec<String> = day.domains.keys().cloned().collect();
        for some in domains.chunks(NOTED_EACH) {
            let policies = |domain: &str| day.domains.get(domain).cloned().unwrap_or_default();
            let due = some.iter().map(|domain| (domain.clone(), policies(domain)));
            for (domain, done) in self.send_some(outbox, date, due.collect()).await {
                match done {
                    Ok(true) => sent.sent.push((date, domain.clone())),
                    Ok(false) => sent.unwanted += 1,
                    Err(error) => {
                        tracing::warn!(domain, %date, %error, "a report of TLS can't be sent: it is tried again");
                        sent.failed.push((date, domain, error.to_string()));
                        continue;
                    }
                }
                day.domains.remove(&domain);
            }
            day = self.keep(date, day).await;
        }
        if domains.is_empty() {
            self.keep(date, day).await;
        }
    }

    /// Sends the reports of some domains, a few at once: whether each was taken, or the domain wants none.
    async fn send_some(
        self: &Arc<Self>,
        outbox: &Arc<Outbox>,
        date: Date,
        mut due: VecDeque<(String, Vec<Counted>)>,
    ) -> Vec<(String, Result<bool, ReportError>)> {
        let (mut under_way, mut ended) = (JoinSet::new(), Vec::new());
        while !due.is_empty() || !under_way.is_empty() {
            while let Some((domain, policies)) = due.pop_front_if(|_| under_way.len() < AT_ONCE_MAX)
            {
                let (reports, outbox) = (self.clone(), outbox.clone());
                under_way.spawn(async move {
                    let done = reports.send(&outbox, &domain, date, &policies).await;
                    (domain, done)
                });
            }
            ended.extend(under_way.join_next().await.and_then(Result::ok));
        }
        ended
    }

    /// Keeps on disk what is left of a day, and gives it back.
    async fn keep(&self, date: Date, day: Day) -> Day {
        let folder = self.folder.clone();
        let kept = tokio::task::spawn_blocking(move || {
            let kept = match day.domains.is_empty() {
                true => fs::remove_file(path(&folder, date)),
                false => write(&folder, date, &day),
            };
            (day, kept)
        });
        let Ok((day, kept)) = kept.await else { return Day::default() };
        if let Err(error) = kept {
            tracing::error!(%date, %error, "the counts of TLS can't be changed on disk: reports may go twice");
        }
        day
    }

    /// Sends one to all places that the domain names, as long as one of them takes it; whether there is one.
    async fn send(
        self: &Arc<Self>,
        outbox: &Arc<Outbox>,
        domain: &str,
        date: Date,
        policies: &[Counted],
    ) -> Result<bool, ReportError> {
        let places = self.places(domain).await?;
        if places.is_empty() {
            return Ok(false);
        }
        let report = Report {
            organization: &self.settings.organization,
            contact: self.settings.contact.as_str(),
            hostname: &self.hostname,
            domain,
            date,
            policies,
        };
        let gzip = Bytes::from(report.gzip()?);
        if gzip.len() > REPORT_OCTETS_MAX {
            return Err(ReportError::TooLarge);
        }
        let (mut taken, mut fault, mut posting) = (false, None, JoinSet::new());
        for place in places {
            match place {
                Place::Mail(to) => match self.mail(outbox, &report, &gzip, &to).await {
                    Ok(()) => taken = true,
                    Err(error) => fault = Some(error),
                },
                // At once, so that who is slow costs the time of one.
                Place::Https { host, port, path } => {
                    let (https, gzip) = (self.https.clone(), gzip.clone());
                    posting.spawn(async move {
                        https.post(&host, port, &path, gzip, ANSWER_OCTETS_MAX).await
                    });
                }
            }
        }
        while let Some(posted) = posting.join_next().await {
            match posted {
                Ok(Ok(())) => taken = true,
                Ok(Err(error)) => fault = Some(error.into()),
                Err(_) => {}
            }
        }
        match fault {
            Some(error) if !taken => Err(error),
            _ => {
                tracing::info!(domain, %date, "report of TLS sent");
                Ok(true)
            }
        }
    }

    /// Where a domain wants its reports (RFC 8460 section 3).
    async fn places(&self, domain: &str) -> Result<Vec<Place>, ReportError> {
        match self.names.ask(Kind::Txt, &format!("_smtp._tls.{domain}")).await {
            Answer::Found(found) => {
                let texts = found.records.iter().filter_map(|record| match record {
                    Data::Text(text) => Some(&**text),
                    _ => None,
                });
                Ok(places(texts))
            }
            Answer::NoName | Answer::NoData => Ok(Vec::new()),
            Answer::Trouble => Err(ReportError::Trouble),
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
            origin: Origin::here(),
            ledger: Vec::new(),
        };
        incoming.commit(message).await?;
        Ok(())
    }
}
