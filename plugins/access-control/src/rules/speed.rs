//! What a decision by long lists costs. Measurements, not tests: they print, and are run by
//! `cargo test --release -p access-control -- --ignored --nocapture speed`.

use std::fmt::Write;
use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Instant;

use serde_json::json;

use super::tests::made;
use crate::connection::Connection;
use crate::peer::{HostName, Name, Peer};

const ENTRIES: u32 = 100_000;
const ASKED: u32 = 1_000_000;

/// An address for a number: spread over all, none twice.
fn address(number: u32) -> Ipv4Addr {
    Ipv4Addr::from_bits(number.wrapping_mul(0x9e37_79b1))
}

fn resident_kib() -> i64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[test]
#[ignore = "a measurement, see above"]
fn long_lists() {
    let folder = tempfile::tempdir().unwrap();
    let list = folder.path().join("deny");
    let mut text = String::new();
    for number in 0..ENTRIES {
        let _ = writeln!(text, "[{}]", address(number));
        let _ = writeln!(text, "host-{number}.customers.example-{}.org", number % 1000);
    }
    std::fs::write(&list, &text).unwrap();
    drop(text);
    let section = json!({ "connection": { "deny_file": list } });
    let before = resident_kib();
    let began = Instant::now();
    let rules = made(section).rules;
    let took = began.elapsed();
    println!("{} entries read in {took:?}, {} KiB kept", 2 * ENTRIES, resident_kib() - before);

    let named = |text: String| HostName::Found(vec![Name { text, confirmed: true }]);
    let names: Vec<_> = (0..1000)
        .map(|number| {
            named(format!("host-{number}.customers.example-{}.org", number % 1000 + number % 2))
        })
        .collect();
    let mut denied = 0;
    let began = Instant::now();
    for number in 0..ASKED {
        // Half of them are in the list; of the others half have a name that is.
        let peer = |name| Peer { address: IpAddr::V4(address(number % (2 * ENTRIES))), name };
        let decided = match rules.connection.decide(peer(&HostName::NotAsked)) {
            Connection::NeedsName => rules.connection.decide(peer(&names[number as usize % 1000])),
            decided => decided,
        };
        denied += u32::from(matches!(black_box(decided), Connection::Denied(_)));
    }
    let each = began.elapsed() / ASKED;
    println!("{ASKED} decisions by address and name: {each:?} each, {denied} denied");
    assert!(denied > ASKED / 2 && denied < ASKED, "{denied}");
}
