//! A connection document: a server that is called, when, and what for. Checked, with errors that say where the value stands.
//! Knows no call; a document is never changed, so that a call ends under the one that it began with.

use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::SignedDuration;
use stagepost_sdk::{ConfigError, OutboundTls};

use crate::rules::{Blame, number};
use crate::schedule::{self, RANGES_MAX, Range, Schedule};
use crate::scope::{Scope, is_name};
use crate::section::{self, Kind, Method, RouterType, Tls};

/// The most connections.
pub(crate) const CONNECTIONS_MAX: usize = 1000;
/// The most names that one call asks for, and destinations that it hands mail over of.
const NAMES_MAX: usize = 100;
/// The most that it can cost to hand mail over some way.
const COST_MAX: u32 = 1000;
/// So many deliveries are more than a call was ever made for.
const ROUTE_AT_ONCE_MAX: u32 = 1_000_000;
/// When mail goes that is not urgent.
const LOW_PRIORITY: &str = "00:00-06:00";
/// The port for ATRN (RFC 2645 section 3), and that for all else.
const ODMR_PORT: i64 = 366;
const SMTP_PORT: i64 = 25;

/// A document.
#[derive(Clone, Debug)]
pub(crate) struct Connection {
    pub(crate) name: Box<str>,
    pub(crate) host: Box<str>,
    pub(crate) port: u16,
    pub(crate) kind: Kind,
    pub(crate) tls: OutboundTls,
    pub(crate) implicit_tls: bool,
    pub(crate) login: Option<Login>,
    pub(crate) method: Method,
    pub(crate) router_type: RouterType,
    pub(crate) request: Vec<Requested>,
    pub(crate) push: Vec<Requested>,
    pub(crate) node: Option<Box<str>>,
    pub(crate) listener: Box<str>,
    pub(crate) enabled: bool,
    pub(crate) schedule: Schedule,
    pub(crate) route_at_once: u64,
    pub(crate) urgent_at_once: bool,
    pub(crate) cost: u32,
    pub(crate) low_priority: Option<Schedule>,
    pub(crate) pull_timeout: Duration,
    pub(crate) quiet: Duration,
    pub(crate) connect_timeout: Duration,
    pub(crate) jitter: Duration,
    pub(crate) retry_first: Duration,
    pub(crate) retry_max: Duration,
    pub(crate) pre_connect: Option<TimedCommand>,
    pub(crate) post_connect: Option<TimedCommand>,
}

/// As whom to log in. The password is read when it is needed, and kept nowhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Login {
    pub(crate) user: Box<str>,
    pub(crate) secret_file: PathBuf,
    pub(crate) cram_md5: bool,
}

/// One thing that is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Requested {
    Domains(Scope),
    /// A name that only the other side knows.
    Queue(Box<str>),
}

/// A command and how long it may take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TimedCommand {
    pub(crate) program: Box<str>,
    pub(crate) arguments: Vec<String>,
    pub(crate) timeout: Duration,
}

impl std::fmt::Display for Requested {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Domains(scope) => scope.fmt(f),
            Self::Queue(name) => write!(f, "#{name}"),
        }
    }
}

impl Connection {
    /// Checks a document.
    ///
    /// - key: that of its table. folder: where relative paths begin.
    pub(crate) fn make(
        written: &section::Connection,
        key: &str,
        folder: &Path,
        blame: Blame<'_>,
    ) -> Result<Self, ConfigError> {
        let at = |name: &str| format!("{key}.{name}");
        let wrong = |name: &str, reason: &str| Err(blame(&at(name), reason.to_owned()));
        let sound = |octet: u8| matches!(octet, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_');
        if !(1..=63).contains(&written.name.len()) || !written.name.bytes().all(sound) {
            return wrong("name", "must be 1 to 63 small letters, digits, - or _");
        }
        if written.name == "status" {
            return wrong("name", "is a word of `stagepost pull`: write another");
        }
        if !is_name(&written.host) && written.host.parse::<std::net::IpAddr>().is_err() {
            return wrong("host", "is neither a domain name nor an IP address");
        }
        let time = |name: &str, text: &str, least: u64| duration(text, &at(name), least, blame);
        let default_port = if written.method == Method::Atrn { ODMR_PORT } else { SMTP_PORT };
        let default_cost = if written.kind == Kind::Dialup { 5 } else { 1 };
        let connection = Self {
            name: written.name.as_str().into(),
            host: written.host.to_ascii_lowercase().into(),
            port: number(written.port.unwrap_or(default_port), 1..=65_535, &at("port"), blame)?
                as u16,
            kind: written.kind,
            tls: match written.tls {
                Tls::None => OutboundTls::None,
                Tls::Opportunistic => OutboundTls::Offered,
                Tls::Required => OutboundTls::Required,
                Tls::Verified => OutboundTls::Verified,
            },
            implicit_tls: written.implicit_tls,
            login: login(written, key, folder, blame)?,
            method: written.method,
            router_type: written.router_type,
            request: names(&written.request, &at("request"), blame, requested)?,
            push: names(&written.push, &at("push"), blame, requested)?,
            node: written.node.as_deref().map(Into::into),
            listener: written.listener.as_str().into(),
            enabled: written.enabled,
            schedule: make_schedule(&written.schedule, &at("schedule"), blame)?,
            route_at_once: number(
                written.route_at_once,
                0..=ROUTE_AT_ONCE_MAX,
                &at("route_at_once"),
                blame,
            )?
            .into(),
            urgent_at_once: written.urgent_at_once,
            cost: number(written.cost.unwrap_or(default_cost), 1..=COST_MAX, &at("cost"), blame)?,
            low_priority: low_priority(written, &at("low_priority_times"), blame)?,
            pull_timeout: time("pull_timeout", &written.pull_timeout, 1)?,
            quiet: time("quiet", &written.quiet, 1)?,
            connect_timeout: time("connect_timeout", &written.connect_timeout, 1)?,
            jitter: time("jitter", &written.jitter, 0)?,
            retry_first: time("retry_first", &written.retry_first, 1)?,
            retry_max: time("retry_max", &written.retry_max, 1)?,
            pre_connect: timed_command(written.pre_connect.as_ref(), &at("pre_connect"), blame)?,
            post_connect: timed_command(written.post_connect.as_ref(), &at("post_connect"), blame)?,
        };
        connection.check(key, blame)?;
        Ok(connection)
    }

    /// Checks what depends on several values.
    fn check(&self, key: &str, blame: Blame<'_>) -> Result<(), ConfigError> {
        let wrong =
            |name: &str, reason: &str| Err(blame(&format!("{key}.{name}"), reason.to_owned()));
        let secured = matches!(self.tls, OutboundTls::Required | OutboundTls::Verified);
        if self.implicit_tls && !secured {
            return wrong("implicit_tls", "needs tls = \"required\" or \"verified\"");
        }
        if self.connect_timeout > Duration::from_secs(600) {
            return wrong("connect_timeout", "must be at most 10 minutes");
        }
        if self.retry_max < self.retry_first {
            return wrong("retry_max", "must be no less than retry_first");
        }
        let commands = self.pre_connect.is_some() || self.post_connect.is_some();
        if commands && self.kind != Kind::Dialup {
            return wrong(
                "kind",
                "must be \"dialup\" where a command is run before or behind a call",
            );
        }
        if self.method == Method::Atrn && self.pulls() && self.login.is_none() {
            return wrong(
                "method",
                "needs user and secret_file: nobody is sent mail by ATRN who has not logged in",
            );
        }
        let queue = |requested: &Requested| matches!(requested, Requested::Queue(_));
        if self.method == Method::Atrn && self.request.iter().any(queue) {
            return wrong("request", "has a queue, which ATRN can't ask for");
        }
        if self.pulls() && self.method != Method::Atrn && self.request.is_empty() {
            return wrong("request", "must name what is asked for");
        }
        if self.pushes() && self.push.is_empty() {
            return wrong(
                "push",
                "must name whose mail is handed over, such as \"#isp\" for the queue of a route",
            );
        }
        if self.node.is_some() != (self.router_type == RouterType::PushWait) {
            return wrong("node", "goes with router_type = \"push wait\", which needs it");
        }
        Ok(())
    }

    /// Whether mail is handed over.
    pub(crate) fn pushes(&self) -> bool {
        self.router_type != RouterType::PullOnly
    }

    /// Whether mail is asked for.
    pub(crate) fn pulls(&self) -> bool {
        matches!(self.router_type, RouterType::PullPush | RouterType::PullOnly)
    }

    /// Whether mail for a domain may be among what is handed over. Which domains a queue has only the queue knows.
    pub(crate) fn may_push(&self, domain: &Scope) -> bool {
        self.push.iter().any(|requested| match requested {
            Requested::Domains(scope) => scope.covers(domain),
            Requested::Queue(_) => true,
        })
    }

    /// Whether calls are made by the clock.
    pub(crate) fn is_scheduled(&self) -> bool {
        self.enabled && self.router_type != RouterType::PushWait
    }

    /// Who is called: one call is made there at a time.
    pub(crate) fn peer(&self) -> (Box<str>, u16) {
        (self.host.clone(), self.port)
    }

    /// The domains that are asked for.
    pub(crate) fn domains(&self) -> impl Iterator<Item = &Scope> {
        self.request.iter().filter_map(|requested| match requested {
            Requested::Domains(scope) => Some(scope),
            Requested::Queue(_) => None,
        })
    }
}

fn login(
    written: &section::Connection,
    key: &str,
    folder: &Path,
    blame: Blame<'_>,
) -> Result<Option<Login>, ConfigError> {
    let (user, secret_file) = match (&written.user, &written.secret_file) {
        (None, None) if written.cram_md5 => {
            let reason = "needs user and secret_file";
            return Err(blame(&format!("{key}.cram_md5"), reason.to_owned()));
        }
        (None, None) => return Ok(None),
        (Some(user), Some(file)) if !user.is_empty() => (user.as_str(), file),
        (Some(_), _) => {
            let reason = "needs a name, and secret_file beside it";
            return Err(blame(&format!("{key}.user"), reason.to_owned()));
        }
        (None, Some(_)) => {
            let reason = "needs user beside it".to_owned();
            return Err(blame(&format!("{key}.secret_file"), reason));
        }
    };
    let secret_file = folder.join(secret_file);
    // Read anew at each call; that it can be is told now.
    crate::secret::read(&secret_file)
        .map_err(|error| blame(&format!("{key}.secret_file"), error.to_string()))?;
    Ok(Some(Login { user: user.into(), secret_file, cram_md5: written.cram_md5 }))
}

fn requested(text: &str) -> Result<Requested, String> {
    if let Some(name) = text.strip_prefix('#') {
        let sound = !name.is_empty()
            && name.len() <= 255
            && name.bytes().all(|octet| octet.is_ascii_graphic() && octet != b',');
        return sound
            .then(|| Requested::Queue(name.into()))
            .ok_or_else(|| format!("{text:?} is no name of a queue"));
    }
    Scope::read(text).map(Requested::Domains).map_err(|error| error.to_string())
}

fn names<T>(
    texts: &[String],
    key: &str,
    blame: Blame<'_>,
    read: impl Fn(&str) -> Result<T, String>,
) -> Result<Vec<T>, ConfigError> {
    if texts.len() > NAMES_MAX {
        return Err(blame(key, format!("has at most {NAMES_MAX} items")));
    }
    let read = |(number, text): (usize, &String)| {
        read(text).map_err(|reason| blame(&format!("{key}[{number}]"), reason))
    };
    texts.iter().enumerate().map(read).collect()
}

/// Reads a time such as `90s` or `1h 30m`, up to a week.
fn duration(
    text: &str,
    key: &str,
    least_s: u64,
    blame: Blame<'_>,
) -> Result<Duration, ConfigError> {
    const MOST_S: u64 = 7 * 24 * 3600;
    let wrong =
        || blame(key, format!("{text:?} is no time from {least_s} s to a week: write 90s or 10m"));
    let read: SignedDuration = text.parse().map_err(|_| wrong())?;
    let time = Duration::try_from(read).map_err(|_| wrong())?;
    let sound = (least_s..=MOST_S).contains(&time.as_secs());
    sound.then_some(time).ok_or_else(wrong)
}

fn ranges(texts: &[String], key: &str, blame: Blame<'_>) -> Result<Vec<Range>, ConfigError> {
    if texts.len() > RANGES_MAX {
        return Err(blame(key, format!("has at most {RANGES_MAX} items")));
    }
    let read = |(number, text): (usize, &String)| {
        text.parse::<Range>().map_err(|error| blame(&format!("{key}[{number}]"), error.to_string()))
    };
    texts.iter().enumerate().map(read).collect()
}

fn make_schedule(
    written: &section::Schedule,
    key: &str,
    blame: Blame<'_>,
) -> Result<Schedule, ConfigError> {
    let day = |(number, text): (usize, &String)| {
        let wrong = |error: schedule::ScheduleError| {
            blame(&format!("{key}.days[{number}]"), error.to_string())
        };
        schedule::day(text).map_err(wrong)
    };
    let days: Vec<_> = written.days.iter().enumerate().map(day).collect::<Result<_, _>>()?;
    let ranges = ranges(&written.times, &format!("{key}.times"), blame)?;
    let zone = schedule::zone(written.zone.as_deref())
        .map_err(|error| blame(&format!("{key}.zone"), error.to_string()))?;
    let repeat = duration(&written.repeat, &format!("{key}.repeat"), 60, blame)?;
    Ok(Schedule::new(&days, ranges, zone, repeat))
}

/// When mail goes that is not urgent. Whoever asks for their mail has all of it, unless something else is written.
fn low_priority(
    written: &section::Connection,
    key: &str,
    blame: Blame<'_>,
) -> Result<Option<Schedule>, ConfigError> {
    let night = [LOW_PRIORITY.to_owned()];
    let times = match &written.low_priority_times {
        Some(times) => times.as_slice(),
        None if written.router_type == RouterType::PushWait => &[],
        None => &night,
    };
    let ranges = ranges(times, key, blame)?;
    if ranges.is_empty() {
        return Ok(None);
    }
    let zone = schedule::zone(written.schedule.zone.as_deref())
        .map_err(|error| blame(key, error.to_string()))?;
    Ok(Some(Schedule::new(&[], ranges, zone, Duration::from_secs(3600))))
}

fn timed_command(
    written: Option<&section::TimedCommand>,
    key: &str,
    blame: Blame<'_>,
) -> Result<Option<TimedCommand>, ConfigError> {
    let Some(written) = written else { return Ok(None) };
    let Some((program, arguments)) = written.command.split_first() else {
        return Err(blame(&format!("{key}.command"), "must name a program".to_owned()));
    };
    if !Path::new(program).is_absolute() {
        let reason = format!("{program:?} must be the whole path of a program");
        return Err(blame(&format!("{key}.command"), reason));
    }
    let timeout = duration(&written.timeout, &format!("{key}.timeout"), 1, blame)?;
    let (program, arguments) = (program.as_str().into(), arguments.to_vec());
    Ok(Some(TimedCommand { program, arguments, timeout }))
}
