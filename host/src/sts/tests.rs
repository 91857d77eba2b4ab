//! Policies that are fetched from a server in this process, or can't be had.
//! Knows the policies by their public methods, and the DNS as a table.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::AtomicU64;

use tempfile::TempDir;

use super::site::{Page, Site};
use super::*;
use crate::dns::{Asking, Found};
use crate::tls::OutboundTls;
use crate::tls::authority::{Authority, Shown};

const HOST: &str = "mta-sts.x.test";
const ASKED: &str = "GET /.well-known/mta-sts.txt HTTP/1.1 mta-sts.x.test";

/// What the DNS says of `x.test`, whose HTTPS server is on this machine.
#[derive(Default)]
struct Zone {
    records: Mutex<BTreeMap<String, Vec<Data>>>,
    /// Nobody can tell about policies.
    trouble: AtomicBool,
    /// The policy has another name each time.
    renamed: AtomicBool,
    asked: AtomicU64,
}

impl Zone {
    fn tell(&self, record: Option<&str>) {
        self.tell_all(&record.into_iter().collect::<Vec<_>>());
    }

    fn tell_all(&self, records: &[&str]) {
        let records = records.iter().map(|text| Data::Text(text.as_bytes().into()));
        let mut zone = self.records.lock().unwrap();
        zone.insert("_mta-sts.x.test".to_owned(), records.collect());
        let here = Data::Address(IpAddr::V4(Ipv4Addr::LOCALHOST));
        zone.insert(HOST.to_owned(), vec![here]);
    }
}

impl Names for Zone {
    fn ask(&self, kind: Kind, name: &str) -> Asking {
        let zone = self.records.lock().unwrap();
        let mut records = zone.get(name).cloned().unwrap_or_default();
        if kind == Kind::Txt && self.trouble.load(Ordering::Relaxed) {
            return Box::pin(std::future::ready(Answer::Trouble));
        }
        if kind == Kind::Txt && self.renamed.load(Ordering::Relaxed) {
            let number = self.asked.fetch_add(1, Ordering::Relaxed);
            records = vec![Data::Text(format!("v=STSv1; id=n{number};").into_bytes().into())];
        }
        let fits = |data: &Data| {
            matches!((kind, data), (Kind::A, Data::Address(_)) | (Kind::Txt, Data::Text(_)))
        };
        let records: Vec<Data> = records.into_iter().filter(fits).collect();
        let answer = match records.is_empty() {
            true => Answer::NoData,
            false => Answer::Found(Found { records, secure: false, alias: None }),
        };
        Box::pin(std::future::ready(answer))
    }
}

struct Scene {
    zone: Arc<Zone>,
    site: Site,
    /// Who is believed, in PEM.
    roots: String,
    folder: TempDir,
    wait: Duration,
}

impl Scene {
    /// A domain that tells of the policy `1`, which says that its mail goes to `mx.test`.
    async fn new() -> Self {
        let authority = Authority::new();
        Self::showing(&authority.server(&[HOST], 2100), &authority).await
    }

    async fn showing(shown: &Shown, authority: &Authority) -> Self {
        let site = Site::start(shown, Page::policy("enforce", "mx.test", 1000)).await;
        let zone = Arc::new(Zone::default());
        zone.tell(Some("v=STSv1; id=1;"));
        let folder = tempfile::tempdir().unwrap();
        Self { zone, site, roots: authority.pem(), folder, wait: Duration::from_secs(60) }
    }

    /// Begins, or begins again, with what is on disk.
    fn sts(&self) -> Arc<Sts> {
        let roots = self.folder.path().join("roots.pem");
        std::fs::write(&roots, &self.roots).unwrap();
        let text = format!(
            "hostname = \"us.test\"\nlisten = [{{ name = \"mx\", address = \"127.0.0.1:0\" }}]\n\
             [delivery]\ntls_roots = \"{}\"\n",
            roots.display()
        );
        let settings = crate::config::from_text(&text).unwrap();
        let tls = OutboundTls::load(&settings, false).unwrap();
        let https = Https::new(self.zone.clone(), tls, self.site.port, self.wait);
        Arc::new(Sts::new(self.zone.clone(), https, self.shelf()))
    }

    fn shelf(&self) -> PathBuf {
        self.folder.path().join("mta-sts")
    }

    /// Puts a policy on disk as if it had been fetched so long ago, and used then.
    fn keep(&self, id: &str, age_s: u64, max_age_s: u64) {
        let fetched_at = SystemTime::now() - Duration::from_secs(age_s);
        let mx = vec!["old.test".into()];
        let max_age = Duration::from_secs(max_age_s);
        let policy = StsPolicy { mode: StsMode::Enforce, max_age, mx };
        Shelf::new(self.shelf()).write("x.test", &Kept::new(id, policy, fetched_at)).unwrap();
    }
}

/// The name of the policy that counts and its first server, or nothing; and why the one that the domain tells of does not.
fn said(told: &Told) -> (String, String) {
    let kept = told.kept.as_ref().map(|kept| {
        let mx = kept.policy.mx.first().map_or("", |mx| &**mx);
        format!("{} {} {mx}", kept.id, kept.policy.mode.name())
    });
    let fault = told.fault.as_ref().map(|fault| fault.to_string());
    (kept.unwrap_or_default(), fault.unwrap_or_default())
}

/// Lets time pass for what is not to be asked for again soon.
async fn pass(seconds: u64) {
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(seconds)).await;
    tokio::time::resume();
}

fn good(kept: &str) -> (String, String) {
    (kept.to_owned(), String::new())
}

#[tokio::test]
async fn a_policy_is_fetched_once_and_kept_over_a_restart() {
    let scene = Scene::new().await;
    let sts = scene.sts();
    let both = tokio::join!(sts.of("x.test"), sts.of("X.Test"));
    assert_eq!(
        (said(&both.0), said(&both.1)),
        (good("1 enforce mx.test"), good("1 enforce mx.test"))
    );
    assert_eq!(scene.site.asked(), [ASKED]);
    drop(sts);

    // It can't be had any more, and is known all the same; nobody asks for it.
    scene.site.show(Page::status("500 No"));
    let sts = scene.sts();
    assert_eq!(said(&sts.of("x.test").await), good("1 enforce mx.test"));
    // Nor does it help who can suppress the record (RFC 8461 section 10.2).
    scene.zone.tell(None);
    assert_eq!(said(&sts.of("x.test").await), good("1 enforce mx.test"));
    assert_eq!(scene.site.asked(), [""; 0]);
    assert!(sts.library().turns.is_empty());
}

#[tokio::test]
async fn a_new_name_brings_a_new_policy_and_a_failed_fetch_keeps_the_old_one() {
    let scene = Scene::new().await;
    let sts = scene.sts();
    assert_eq!(said(&sts.of("x.test").await), good("1 enforce mx.test"));
    scene.site.asked();

    scene.zone.tell(Some("v=STSv1; id=2;"));
    scene.site.show(Page::status("503 Later"));
    let old = ("1 enforce mx.test".to_owned(), "it answers 503".to_owned());
    assert_eq!(said(&sts.of("x.test").await), old);
    // For a while nobody asks again; and for a minute not even where it has another name.
    assert_eq!(said(&sts.of("x.test").await), old);
    scene.zone.tell(Some("v=STSv1; id=3;"));
    assert_eq!(said(&sts.of("x.test").await), old);
    assert_eq!(scene.site.asked(), [ASKED]);

    pass(61).await;
    scene.site.show(Page::policy("testing", "other.test", 1000));
    assert_eq!(said(&sts.of("x.test").await), good("3 testing other.test"));
    assert_eq!(said(&scene.sts().of("x.test").await), good("3 testing other.test"));
}

#[tokio::test]
async fn what_is_no_policy_says_nothing() {
    let policy = "version: STSv1\nmode: enforce\nmx: mx.test\nmax_age: 1000\n";
    let large = format!("{policy}{}", "x: y\n".repeat(POLICY_OCTETS_MAX / 5));
    let fits = format!("{policy}{}", "x: y\n".repeat((POLICY_OCTETS_MAX - policy.len()) / 5));
    let elsewhere =
        "HTTP/1.1 301 Moved\r\nLocation: https://mta-sts.x.test/\r\nContent-Length: 0\r\n\r\n";
    let cases = [
        (Page::of("text/plain", &fits), ""),
        (Page::of("TEXT/Plain;charset=x", policy), ""),
        (Page::of("text/plain", &large), "its answer has more than 65536 octets"),
        (Page::of("text/html", policy), "it is \"text/html\", and not text/plain"),
        (Page::of("", policy), "it is \"\", and not text/plain"),
        (Page::of("text/plain", "nonsense"), "it does not say version: STSv1"),
        (Page::Answer(elsewhere.to_owned()), "it answers 301"),
        (Page::status("404 Nothing"), "it answers 404"),
        (Page::status("204 Nothing"), "it answers 204"),
    ];
    for (page, wanted) in cases {
        let scene = Scene::new().await;
        scene.site.show(page);
        let told = scene.sts().of("x.test").await;
        let kept = if wanted.is_empty() { "1 enforce mx.test" } else { "" };
        assert_eq!(said(&told), (kept.to_owned(), wanted.to_owned()));
    }
    // A part of it, or no HTTP at all.
    let part = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 999\r\n\r\n{policy}"
    );
    for page in [Page::Answer(part), Page::Answer("220 hello\r\n".to_owned())] {
        let scene = Scene::new().await;
        scene.site.show(page);
        let (kept, fault) = said(&scene.sts().of("x.test").await);
        assert!(kept.is_empty() && fault.starts_with("its answer can't be read: "), "{fault}");
    }
}

#[tokio::test]
async fn who_is_slow_is_not_waited_for() {
    let policy = "version: STSv1\nmode: enforce\nmx: mx.test\nmax_age: 1000\n";
    let part = format!("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n{policy}");
    for page in [Page::Silence, Page::Part(part)] {
        let scene = Scene { wait: Duration::from_millis(100), ..Scene::new().await };
        scene.site.show(page);
        let told = scene.sts().of("x.test").await;
        assert_eq!(said(&told), (String::new(), "no answer in time".to_owned()));
    }
}

#[tokio::test]
async fn the_server_of_a_policy_must_be_the_domains() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    for (shown, good) in [
        (authority.server(&[HOST], 2100), true),
        (authority.server(&["*.x.test"], 2100), true),
        (authority.server(&["x.test"], 2100), false),
        (authority.server(&[HOST], 2010), false),
        (stranger.server(&[HOST], 2100), false),
        (Shown::alone(&[HOST], 2100), false),
        // RFC 8461 section 3.3: common names do not count.
        (authority.common(HOST), false),
    ] {
        let scene = Scene::showing(&shown, &authority).await;
        let (kept, fault) = said(&scene.sts().of("x.test").await);
        assert_eq!(kept.is_empty(), !good, "{fault}");
        assert_eq!(scene.site.asked().len(), usize::from(good), "nothing is said before");
    }
}

#[tokio::test]
async fn what_is_over_counts_no_more() {
    let scene = Scene::new().await;
    scene.site.show(Page::status("500 No"));
    scene.keep("1", 1001, 1000);
    let sts = scene.sts();
    let nothing = (String::new(), "it answers 500".to_owned());
    assert_eq!(said(&sts.of("x.test").await), nothing);
    assert!(!scene.shelf().join("x.test").exists());

    scene.keep("1", 900, 1000);
    assert_eq!(said(&scene.sts().of("x.test").await), good("1 enforce old.test"));
    // One that says that there is none any more (RFC 8461 section 8.3).
    scene.zone.tell(Some("v=STSv1; id=2;"));
    scene.site.show(Page::of("text/plain", "version: STSv1\nmode: none\nmax_age: 1000\n"));
    assert_eq!(said(&scene.sts().of("x.test").await), good("2 none "));
    // Nobody else's name leads to a file.
    for domain in ["[127.0.0.1]", "../x.test", "", ".", "x..test"] {
        assert_eq!(said(&sts.of(domain).await), good(""), "{domain}");
    }
}

#[tokio::test]
async fn what_is_old_is_fetched_again_before_it_is_over() {
    let scene = Scene::new().await;
    // Half of its time is left; nothing is asked for yet.
    scene.keep("1", 400, 1000);
    let sts = scene.sts();
    sts.freshen(SystemTime::now()).await;
    assert_eq!(scene.site.asked(), [""; 0]);

    scene.keep("1", 600, 1000);
    let sts = scene.sts();
    // A failure leaves it as it is.
    scene.site.show(Page::status("500 No"));
    sts.freshen(SystemTime::now()).await;
    assert_eq!(said(&scene.sts().of("x.test").await), good("1 enforce old.test"));
    assert_eq!(scene.site.asked(), [ASKED]);

    let sts = scene.sts();
    scene.site.show(Page::policy("enforce", "mx.test", 1000));
    // No mail has gone there for longer than it lasts.
    sts.freshen(SystemTime::now() + Duration::from_secs(600)).await;
    assert_eq!(scene.site.asked(), [""; 0]);
    sts.freshen(SystemTime::now()).await;
    assert_eq!(scene.site.asked(), [ASKED]);
    assert_eq!(said(&sts.of("x.test").await), good("1 enforce mx.test"));
    // It is new on disk, too.
    assert_eq!(said(&scene.sts().of("x.test").await), good("1 enforce mx.test"));
}

/// Nobody can tell whether it has a policy: what is known counts, and whoever needs to know waits.
#[tokio::test]
async fn trouble_of_the_dns_is_told_apart_from_no_policy() {
    let scene = Scene::new().await;
    let sts = scene.sts();
    assert_eq!(said(&sts.of("x.test").await), good("1 enforce mx.test"));
    scene.zone.trouble.store(true, Ordering::Relaxed);
    let trouble = "the DNS can't tell now whether it has one (_mta-sts)".to_owned();
    let told = sts.of("x.test").await;
    assert_eq!(said(&told), ("1 enforce mx.test".to_owned(), trouble.clone()));
    let told = sts.of("y.test").await;
    assert_eq!(said(&told), (String::new(), trouble));
    assert!(told.is_unknown());
    // It is asked each time: the trouble may be over.
    scene.zone.trouble.store(false, Ordering::Relaxed);
    assert_eq!(said(&sts.of("x.test").await), good("1 enforce mx.test"));
}

#[tokio::test]
async fn a_wrong_record_is_told_of_and_counts_for_nothing() {
    let scene = Scene::new().await;
    scene.zone.tell_all(&["v=STSv1; id=1;", "v=STSv1; id=1;"]);
    let sts = scene.sts();
    let several = "it has more than one TXT record of a policy (_mta-sts)".to_owned();
    let told = sts.of("x.test").await;
    assert_eq!(said(&told), (String::new(), several));
    assert!(!told.is_unknown(), "it has none then");
    assert_eq!(scene.site.asked(), [""; 0]);
    // It is put right.
    scene.zone.tell(Some("v=STSv1; id=2;"));
    pass(61).await;
    assert_eq!(said(&sts.of("x.test").await), good("2 enforce mx.test"));
}

#[tokio::test]
async fn what_is_over_goes_from_the_disk() {
    let scene = Scene::new().await;
    scene.keep("1", 900, 1000);
    scene.zone.tell(None);
    let sts = scene.sts();
    let now = SystemTime::now();
    sts.tidy(now).await;
    assert_eq!(said(&sts.of("x.test").await), good("1 enforce old.test"));
    let turn = Turn::new(&sts, "x.test");
    let held = turn.lock.lock().await;
    // Somebody fetches it just now.
    sts.tidy(now + Duration::from_secs(200)).await;
    assert!(scene.shelf().join("x.test").exists());
    drop(held);
    sts.tidy(now + Duration::from_secs(200)).await;
    assert!(!scene.shelf().join("x.test").exists());
    assert_eq!(said(&sts.of("x.test").await), good(""));
}

/// Whoever runs a domain can have it named anew each time that somebody looks.
#[tokio::test]
async fn many_who_want_what_is_slow_wait_once() {
    let scene = Scene { wait: Duration::from_millis(100), ..Scene::new().await };
    scene.site.show(Page::Silence);
    scene.zone.renamed.store(true, Ordering::Relaxed);
    let sts = scene.sts();
    let mut waiting = JoinSet::new();
    for _ in 0..20 {
        let sts = sts.clone();
        waiting.spawn(async move { said(&sts.of("x.test").await) });
    }
    let slow = (String::new(), "no answer in time".to_owned());
    assert_eq!(waiting.join_all().await, vec![slow; 20]);
    assert_eq!(scene.site.asked().len(), 1);
}

#[tokio::test]
async fn a_disk_that_takes_nothing_makes_no_policy_worse() {
    let scene = Scene::new().await;
    std::fs::write(scene.shelf(), "").unwrap();
    let sts = scene.sts();
    assert_eq!(said(&sts.of("x.test").await), good("1 enforce mx.test"));
    assert!(sts.failing.load(Ordering::Relaxed), "it is told once");
    std::fs::remove_file(scene.shelf()).unwrap();
    scene.zone.tell(Some("v=STSv1; id=2;"));
    assert_eq!(said(&sts.of("x.test").await), good("2 enforce mx.test"));
    assert!(!sts.failing.load(Ordering::Relaxed) && scene.shelf().join("x.test").exists());
}

#[tokio::test]
async fn what_a_server_says_is_kept_and_shown_in_part() {
    let long = |octets: usize| "x".repeat(octets);
    let policy = "version: STSv1\nmode: enforce\nmx: mx.test\nmax_age: 1000\n";
    for page in [
        Page::of(&long(100_000), policy),
        Page::of("text/\u{1b}[31mplain", policy),
        Page::status(&format!("200 {}", long(1_000_000))),
        Page::Answer(format!("HTTP/1.1 200 OK\r\n{}\r\n{policy}", "X: y\r\n".repeat(10_000))),
        Page::Answer(format!("HTTP/1.1 200 OK\r\n{}: y\r\n\r\n{policy}", long(1_000_000))),
        Page::Answer(format!("HTTP/1.1 200 OK\rContent-Type: text/plain\r\r{policy}")),
        Page::Answer("\0".repeat(1_000_000)),
    ] {
        let scene = Scene { wait: Duration::from_secs(5), ..Scene::new().await };
        scene.site.show(page);
        let (kept, fault) = said(&scene.sts().of("x.test").await);
        assert!(kept.is_empty() && !fault.is_empty() && fault.len() < 300, "{fault}");
        assert!(!fault.contains(char::is_control), "{fault:?}");
    }
    // A certificate for as many names as there is room for.
    let authority = Authority::new();
    let names: Vec<String> = (0..1000).map(|number| format!("mta-sts.{number}.test")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let scene = Scene::showing(&authority.server(&names, 2100), &authority).await;
    let (kept, fault) = said(&scene.sts().of("x.test").await);
    assert!(kept.is_empty() && fault.contains("mta-sts.0.test") && fault.len() < 300, "{fault}");
}
