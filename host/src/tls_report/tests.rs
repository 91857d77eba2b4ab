//! Counts that become reports, by mail and over HTTPS.
//! Knows the reports by their public methods, and the DNS as a table.

use std::future::ready;
use std::net::{IpAddr, Ipv4Addr};

use stagepost_queue::local::{LocalOptions, LocalStore};
use stagepost_queue::{Destination, Destinations, FetchRequest, Store};
use stagepost_smtp::Address;
use tempfile::TempDir;

use super::*;
use crate::dns::{Answer, Asking, Data, Found, Kind};
use crate::router::Router;
use crate::sts::site::{Page, Site};
use crate::tls::OutboundTls;
use crate::tls::authority::Authority;

const DAY: Duration = Duration::from_secs(86_400);

/// What `_smtp._tls.x.test` says; `r.test` is on this machine.
struct Zone(String);

impl Names for Zone {
    fn ask(&self, kind: Kind, name: &str) -> Asking {
        let record = match (kind, name) {
            (Kind::Txt, "_smtp._tls.trouble.test") => return Box::pin(ready(Answer::Trouble)),
            (Kind::Txt, _) if name.ends_with(".slow.test") => {
                return Box::pin(std::future::pending());
            }
            (Kind::Txt, "_smtp._tls.x.test") => Some(Data::Text(self.0.as_bytes().into())),
            (Kind::A, "r.test") => Some(Data::Address(IpAddr::V4(Ipv4Addr::LOCALHOST))),
            _ => None,
        };
        let answer = record.map_or(Answer::NoData, |record| {
            Answer::Found(Found { records: vec![record], secure: false, alias: None })
        });
        Box::pin(ready(answer))
    }
}

struct Scene {
    folder: TempDir,
    site: Site,
    outbox: Arc<Outbox>,
    store: Arc<LocalStore>,
    tls: OutboundTls,
}

impl Scene {
    async fn new() -> Self {
        let (folder, authority) = (tempfile::tempdir().unwrap(), Authority::new());
        let site =
            Site::start(&authority.server(&["r.test"], 2100), Page::status("201 Made")).await;
        let roots = folder.path().join("roots.pem");
        fs::write(&roots, authority.pem()).unwrap();
        let text = format!(
            "hostname = \"mx.us.test\"\nlisten = [{{ name = \"mx\", address = \"127.0.0.1:0\" }}]\n\
             [delivery]\ntls_roots = \"{}\"\n[[route]]\ndomain = \"m.test\"\nnext_hop = \"mx\"\n",
            roots.display()
        );
        let settings = crate::config::from_text(&text).unwrap();
        let tls = OutboundTls::load(&settings, false).unwrap();
        let path = folder.path().join("spool");
        let options = LocalOptions { path, free_space_min: 0, faults: None };
        let store = Arc::new(LocalStore::open(options).unwrap());
        let router = Arc::new(Router::new(&settings));
        let outbox = Arc::new(Outbox { store: store.clone(), router });
        Self { folder, site, outbox, store, tls }
    }

    /// Begins, or begins again, with what is on disk; `rua`: where `x.test` wants its reports.
    fn reports(&self, rua: &str) -> Arc<TlsReports> {
        let names = Arc::new(Zone(format!("v=TLSRPTv1; rua={rua}")));
        let https = Https::new(names.clone(), self.tls.clone(), 443, Duration::from_secs(60));
        let contact = Address::parse("tls@us.test").unwrap();
        let settings = TlsReport { organization: "Us".to_owned(), contact };
        Arc::new(TlsReports::new(settings, "mx.us.test", self.counts(), names, https))
    }

    fn counts(&self) -> PathBuf {
        self.folder.path().join("tls-reports")
    }

    /// How many days are on disk.
    fn days(&self) -> usize {
        fs::read_dir(self.counts()).map_or(0, Iterator::count)
    }

    /// The messages in the queue for `m.test`.
    async fn queued(&self) -> Vec<String> {
        let of = Destinations::One(Destination::new("m.test").unwrap());
        let request = FetchRequest { of, after: None, max: 10, duration: DAY };
        let mut texts = Vec::new();
        for lease in self.store.fetch(request).await.unwrap().leases {
            let message = self.store.read(lease.id).await.unwrap();
            assert_eq!(message.envelope.sender.as_str(), "tls@us.test");
            texts.push(String::from_utf8_lossy(&message.header).into_owned());
        }
        texts
    }
}

fn nothing_found() -> PolicyFound {
    PolicyFound { kind: PolicyKind::Nothing, strings: Vec::new(), mx: Vec::new() }
}

fn no_tls() -> Failure {
    let kind = FailureKind::StarttlsNotSupported;
    Failure { kind, from: None, host: Some("mx.x.test".to_owned()), to: None }
}

#[tokio::test]
async fn what_was_counted_goes_when_the_day_is_over_and_to_who_wants_it() {
    let scene = Scene::new().await;
    let rua = format!("mailto:reports@m.test,https://r.test:{}/v1?a=b", scene.site.port);
    let reports = scene.reports(&rua);
    reports.count("X.test", &nothing_found(), None);
    reports.flush().await;
    drop(reports);
    // Over a restart.
    let reports = scene.reports(&rua);
    reports.count("x.test", &nothing_found(), Some(no_tls()));
    // It wants none.
    reports.count("y.test", &nothing_found(), None);
    reports.flush().await;

    let now = SystemTime::now();
    reports.send_all(&scene.outbox, now).await;
    assert_eq!((scene.days(), scene.site.asked().len()), (1, 0), "the day is not over");
    reports.send_all(&scene.outbox, now + DAY).await;
    assert_eq!(scene.days(), 0);
    assert_eq!(scene.site.asked(), ["POST /v1?a=b HTTP/1.1 r.test"]);
    let gzip = scene.site.bodies().remove(0);
    let report: serde_json::Value =
        serde_json::from_reader(flate2::read::GzDecoder::new(&gzip[..])).unwrap();
    let summary = &report["policies"][0]["summary"];
    assert_eq!(summary["total-successful-session-count"], 1);
    assert_eq!(summary["total-failure-session-count"], 1);
    assert_eq!(report["date-range"]["start-datetime"], format!("{}T00:00:00Z", day_of(now)));
    let queued = scene.queued().await;
    assert_eq!(queued.len(), 1);
    assert!(queued[0].contains("TLS-Report-Domain: x.test\r\n"), "{}", queued[0]);
    // It goes once.
    reports.send_all(&scene.outbox, now + DAY).await;
    assert_eq!(scene.queued().await.len(), 0, "those are out");
    assert_eq!(scene.site.asked(), [""; 0]);
}

#[tokio::test]
async fn what_cant_be_sent_is_tried_again_for_a_day() {
    let scene = Scene::new().await;
    scene.site.show(Page::status("503 Later"));
    let rua = format!("https://r.test:{}/,mailto:a@nowhere.test", scene.site.port);
    let reports = scene.reports(&rua);
    let now = SystemTime::now();
    let count = async || {
        reports.count("x.test", &nothing_found(), None);
        reports.flush().await;
    };
    count().await;
    reports.send_all(&scene.outbox, now + DAY).await;
    assert_eq!((scene.days(), scene.site.asked().len()), (1, 1));
    scene.site.show(Page::status("200 OK"));
    reports.send_all(&scene.outbox, now + DAY).await;
    assert_eq!((scene.days(), scene.site.asked().len()), (0, 1));

    // Later it is of no use to anybody.
    count().await;
    reports.send_all(&scene.outbox, now + 3 * DAY).await;
    assert_eq!((scene.days(), scene.site.asked().len()), (0, 0));
}

#[tokio::test]
async fn what_is_on_disk_and_no_counts_does_no_harm() {
    let scene = Scene::new().await;
    fs::create_dir(scene.counts()).unwrap();
    let now = SystemTime::now();
    fs::write(path(&scene.counts(), day_of(now)), "nonsense").unwrap();
    fs::write(path(&scene.counts(), day_of(now - DAY)), "[1]").unwrap();
    fs::write(scene.counts().join("2020-01-01.draft"), "{").unwrap();
    let reports = scene.reports("mailto:a@m.test");
    reports.count("x.test", &nothing_found(), None);
    reports.flush().await;
    reports.send_all(&scene.outbox, now).await;
    assert_eq!(scene.days(), 1);
    assert_eq!(read(&path(&scene.counts(), day_of(now))).unwrap().domains.len(), 1);
}

/// Nothing is counted between the end of the day and the report of it; what is counted afterwards brings nothing back.
#[tokio::test]
async fn a_quiet_night_has_no_report_sent_twice() {
    let scene = Scene::new().await;
    let reports = scene.reports("mailto:a@m.test");
    reports.count("x.test", &nothing_found(), None);
    reports.flush().await;
    let now = SystemTime::now();
    reports.send_all(&scene.outbox, now + DAY).await;
    assert_eq!((scene.days(), scene.queued().await.len()), (0, 1));
    // As if the day had been another one until now.
    let yesterday = day_of(now - DAY);
    reports.today().date = yesterday;
    reports.count("x.test", &nothing_found(), Some(no_tls()));
    reports.flush().await;
    assert_eq!(read(&path(&scene.counts(), yesterday)), None);
    assert_eq!(scene.days(), 1);
    // What was not on disk yet goes there, be it late.
    reports.count("x.test", &nothing_found(), None);
    reports.today().date = yesterday;
    reports.count("x.test", &nothing_found(), None);
    reports.flush().await;
    let of = |date| read(&path(&scene.counts(), date)).unwrap().domains["x.test"][0].successes;
    assert_eq!((of(yesterday), of(day_of(now))), (1, 1));
}

#[tokio::test]
async fn a_clock_that_is_put_back_begins_no_day_anew() {
    let scene = Scene::new().await;
    let reports = scene.reports("mailto:a@m.test");
    let tomorrow = day_of(SystemTime::now() + DAY);
    reports.today().date = tomorrow;
    reports.count("x.test", &nothing_found(), None);
    assert_eq!(reports.today().date, tomorrow);
    // A whole year is another matter.
    reports.today().date = day_of(SystemTime::now() + 365 * DAY);
    reports.count("x.test", &nothing_found(), None);
    assert_eq!(reports.today().date, day_of(SystemTime::now()));
}

#[tokio::test]
async fn counts_that_cant_be_written_are_kept_until_they_can() {
    let scene = Scene::new().await;
    let reports = scene.reports("mailto:a@m.test");
    // Something else is in its place.
    fs::write(scene.counts(), "").unwrap();
    reports.count("x.test", &nothing_found(), None);
    reports.flush().await;
    let yesterday = day_of(SystemTime::now() - DAY);
    reports.today().date = yesterday;
    reports.count("x.test", &nothing_found(), None);
    reports.flush().await;
    assert!(reports.today().failing, "it is told once");
    fs::remove_file(scene.counts()).unwrap();
    reports.flush().await;
    assert_eq!((scene.days(), reports.today().failing), (2, false));
}

/// Nobody knows now where it is to go: that is no word against it.
#[tokio::test]
async fn trouble_of_the_dns_keeps_a_report_for_later() {
    let scene = Scene::new().await;
    let reports = scene.reports("mailto:a@m.test");
    reports.count("trouble.test", &nothing_found(), None);
    reports.count("y.test", &nothing_found(), None);
    let sent = reports.send_all(&scene.outbox, SystemTime::now() + DAY).await;
    let [(_, domain, why)] = &sent.failed[..] else { panic!("{sent:?}") };
    assert_eq!((&**domain, sent.unwanted, scene.days()), ("trouble.test", 1, 1));
    assert_eq!(why, "the DNS can't tell now where the domain wants it");
}

/// Fewer slow ones than go at once.
#[tokio::test]
async fn who_is_slow_holds_no_others_report_up() {
    let scene = Scene::new().await;
    let reports = scene.reports("mailto:a@m.test");
    for number in 0..10 {
        reports.count(&format!("{number}.slow.test"), &nothing_found(), None);
    }
    reports.count("x.test", &nothing_found(), None);
    let (sending, outbox) = (reports.clone(), scene.outbox.clone());
    let sending =
        tokio::spawn(async move { sending.send_all(&outbox, SystemTime::now() + DAY).await });
    while scene.queued().await.is_empty() {
        tokio::task::yield_now().await;
    }
    // Meanwhile what is counted goes to disk.
    reports.count("z.test", &nothing_found(), None);
    reports.flush().await;
    assert!(!reports.today().changed);
    sending.abort();
}
