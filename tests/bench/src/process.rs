//! What the kernel counts for processes: CPU and memory of one and its descendants, our own CPU,
//! our limit of open files. All of `/proc` is read here.

use std::fs;
use std::io;
use std::time::Duration;

use rustix::process::{Resource, Rlimit};
use rustix::time::ClockId;

use crate::fault::Fault;

/// A line of `/proc/PID/stat`, as far as it is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stat {
    pid: u32,
    parent: u32,
    /// Of all its threads and of the children it has waited for.
    ticks: u64,
}

/// Allows as many open files as the hard limit does: each session is one.
pub(crate) fn raise_open_files_limit() -> Result<(), Fault> {
    let limit = rustix::process::getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    rustix::process::setrlimit(Resource::Nofile, raised)
        .map_err(Fault::system(format!("raise the limit of open files to {:?}", limit.maximum)))
}

/// Returns the CPU time of the calling thread: the generator is one thread.
pub(crate) fn own_cpu() -> Duration {
    let spent = rustix::time::clock_gettime(ClockId::ThreadCPUTime);
    Duration::try_from(spent).expect("CPU time is not negative")
}

/// Returns user and system time of `pid` and its descendants, those included that it waited for.
/// A child that ends is counted in its parent from then on, so the sum only grows.
pub(crate) fn cpu(pid: u32) -> Result<Duration, Fault> {
    let ticks: u64 = family(pid)?.iter().map(|stat| stat.ticks).sum();
    Ok(Duration::from_secs(ticks)
        / u32::try_from(rustix::param::clock_ticks_per_second()).unwrap_or(100))
}

/// Returns the octets of memory `pid` and its descendants take, shared pages shared out.
pub(crate) fn proportional_set(pid: u32) -> Result<u64, Fault> {
    let mut octets = 0;
    for member in family(pid)? {
        let path = format!("/proc/{}/smaps_rollup", member.pid);
        match fs::read_to_string(&path) {
            Ok(rollup) => octets += parse_pss(&rollup).unwrap_or(0),
            // It ended meanwhile, or is a zombie.
            Err(error) if gone(&error) && member.pid != pid => {}
            Err(error) => return Err(Fault::system(format!("read {path}"))(error)),
        }
    }
    Ok(octets)
}

fn family(root: u32) -> Result<Vec<Stat>, Fault> {
    let path = format!("/proc/{root}/stat");
    let first = fs::read_to_string(&path).map_err(Fault::system(format!("read {path}")))?;
    let first = parse_stat(&first).ok_or_else(|| Fault::Option {
        option: "--pid",
        value: root.to_string(),
        reason: format!("{path} is not as expected"),
    })?;
    let mut others = all_processes().map_err(Fault::system("read /proc"))?;
    let mut members = vec![first];
    let mut next = 0;
    while next < members.len() {
        let parent = members[next].pid;
        let children = others.extract_if(.., |stat| stat.parent == parent && stat.pid != root);
        members.extend(children);
        next += 1;
    }
    Ok(members)
}

fn all_processes() -> io::Result<Vec<Stat>> {
    let mut stats = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let Some(pid) = name.to_str().filter(|name| name.parse::<u32>().is_ok()) else {
            continue;
        };
        if let Ok(line) = fs::read_to_string(format!("/proc/{pid}/stat")) {
            stats.extend(parse_stat(&line));
        }
    }
    Ok(stats)
}

fn gone(error: &io::Error) -> bool {
    const ESRCH: i32 = 3;
    error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(ESRCH)
}

fn parse_stat(line: &str) -> Option<Stat> {
    let (pid, _) = line.split_once(' ')?;
    // The name may hold anything, parentheses too.
    let (_, after) = line.rsplit_once(") ")?;
    let fields: Vec<&str> = after.split_ascii_whitespace().collect();
    let ticks = fields.get(11..15)?.iter().map(|field| field.parse::<u64>()).sum::<Result<_, _>>();
    Some(Stat { pid: pid.parse().ok()?, parent: fields.get(1)?.parse().ok()?, ticks: ticks.ok()? })
}

fn parse_pss(rollup: &str) -> Option<u64> {
    let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim_end().parse().ok()?;
    Some(kibibytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::{Stat, cpu, parse_pss, parse_stat, proportional_set};

    #[test]
    fn stat_lines() {
        let tail = "1 7 7 0 -1 4194304 99 0 0 0 10 20 3 4 20 0 1 0 100 0 0";
        let expected = Some(Stat { pid: 7, parent: 1, ticks: 37 });
        for name in ["bench", "a b", "x) S 9", ""] {
            let line = format!("7 ({name}) S {tail}");
            assert_eq!(parse_stat(&line), expected, "{name:?}");
        }
        for line in ["", "7", "7 (a) S 1 2", "x (a) S 1 7 7 0 -1 0 0 0 0 0 1 1 1 1"] {
            assert_eq!(parse_stat(line), None, "{line:?}");
        }
    }

    #[test]
    fn pss_lines() {
        let cases = [
            (
                "00-ff ---p 00:00 0 [rollup]\nRss: 9 kB\nPss:     731 kB\nPss_Dirty: 5 kB\n",
                Some(731 * 1024),
            ),
            ("Pss_Dirty: 5 kB\n", None),
            ("Pss: x kB\n", None),
        ];
        for (rollup, expected) in cases {
            assert_eq!(parse_pss(rollup), expected, "{rollup:?}");
        }
    }

    #[test]
    fn this_process_and_none() {
        let own = std::process::id();
        assert!(cpu(own).is_ok());
        assert!(proportional_set(own).expect("our own memory") > 0);
        let fault = cpu(u32::MAX).expect_err("no such process").to_string();
        assert!(fault.contains("4294967295"), "{fault}");
    }
}
