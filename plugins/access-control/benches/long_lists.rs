//! What a decision by long lists costs: time to read them, memory, time to decide.
//! With `cargo bench` a measurement; without it a tenth of the entries, to see that they decide right.

use std::fmt::Write;
use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Instant;

use access_control::measured::{Measured, Named};
use serde_json::json;

/// An address for a number: spread over all, none twice.
fn address(number: u32) -> IpAddr {
    Ipv4Addr::from_bits(number.wrapping_mul(0x9e37_79b1)).into()
}

fn name(number: u32, site: u32) -> String {
    format!("host-{number}.customers.example-{site}.org")
}

fn resident_kib() -> i64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("a process has a status");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("memory");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

fn main() {
    let measures = std::env::args().any(|argument| argument == "--bench");
    let (entries, asked): (u32, u32) =
        if measures { (100_000, 1_000_000) } else { (10_000, 40_000) };
    let folder = tempfile::tempdir().expect("a folder");
    let list = folder.path().join("deny");
    let mut text = String::new();
    for number in 0..entries {
        writeln!(text, "[{}]\n{}", address(number), name(number, number % 1000)).expect("memory");
    }
    std::fs::write(&list, &text).expect("a file");
    drop(text);
    let section = json!({ "connection": { "deny_file": list } }).to_string();
    let before = resident_kib();
    let began = Instant::now();
    let rules = Measured::read(&section).expect("the section is sound");
    let took = began.elapsed();
    println!("{} entries read in {took:?}, {} KiB kept", 2 * entries, resident_kib() - before);

    // Every second one is in the list.
    let names: Vec<_> =
        (0..1000).map(|number| Named::new(&name(number, number + number % 2))).collect();
    let mut denied = 0;
    let began = Instant::now();
    for number in 0..asked {
        // Half of them are in the list; of the others half have a name that is.
        let named = &names[number as usize % names.len()];
        denied += u32::from(black_box(rules.denies(address(number % (2 * entries)), named)));
    }
    let each = began.elapsed() / asked;
    println!("{asked} decisions by address and name: {each:?} each, {denied} denied");
    let wanted =
        (0..asked).filter(|number| number % (2 * entries) < entries || number % 2 == 0).count();
    assert_eq!(denied as usize, wanted);
}
