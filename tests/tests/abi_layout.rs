//! The golden layout: every struct of the contract with its size, alignment, and its members' offsets and sizes.
//! Knows no meaning. `BLESS=1` rewrites the file: before 1.0 for a reason, from 1.0 on only to add lines.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::mem::{align_of, offset_of, size_of};
use std::path::PathBuf;

use stagepost_abi::*;

/// Size of the member that a projection reaches.
fn size_of_member<T, M>(_: fn(&T) -> &M) -> usize {
    size_of::<M>()
}

/// Lists the layouts. The pattern names every member of a struct, so a forgotten one does not compile.
macro_rules! layouts {
    ($($type:ident { $($member:ident),* $(,)? })*) => {{
        let mut text = String::new();
        $(
            let _ = |value: &$type| { let $type { $($member: _),* } = value; };
            writeln!(text, "{} {} {}", stringify!($type), size_of::<$type>(), align_of::<$type>())
                .expect("a String takes every line");
            $(
                writeln!(
                    text,
                    "    {} {} {}",
                    stringify!($member),
                    offset_of!($type, $member),
                    size_of_member(|value: &$type| &value.$member)
                )
                .expect("a String takes every line");
            )*
        )*
        text
    }};
}

fn layouts() -> String {
    layouts! {
        EmText { data, len }
        EmReply {
            size, code, enhanced_class, reserved, enhanced_subject, enhanced_detail, reserved_2, text,
        }
        EMRECORD { EId, NotificationType, Status, Size, Event, UserData }
        EmEvent { size, reserved, session, edits, reply }
        EmConnect { event, remote_ip, local_ip, listener, remote_port, local_port, reserved }
        EmCommand { event, line }
        EmEhlo { event, name, extended, reserved, keywords }
        EmMail { event, sender, parameters }
        EmRcpt { event, recipient, parameters }
        EmData { event, chunk_octets, verb, last, reserved }
        EmHeaders { event, message }
        EmBody { event, octets, offset, last, reserved }
        EmMessageAccept { event, octets, message }
        EmEtrn { event, node, kind, reserved }
        EmAtrn { event, domains }
        EmVrfy { event, argument, verb, reserved }
        EmVerb { event, verb, argument }
        EmRset { event }
        EmStartTls { event }
        EmAuth { event, mechanism, identity, authorization, password, result, reserved }
        EmQuit { event }
        EmTimeout { event, awaited, reserved }
        EmDisconnect { event, reason, reserved }
        EmQueue { event, id, octets, message }
        EmRoute { event, id, destination, next_hop, age_s, attempts, reserved, message }
        EmDeliver { event, id, destination, next_hop, results, results_count, attempts, age_s, message }
        EmBounce { event, id, notification, to, results, results_count, reserved, message }
        EmExpire { event, id, destination, age_s, attempts, reserved, message }
        EmRecipientResult {
            recipient, reason, result, enhanced_class, reserved, enhanced_subject, enhanced_detail, reserved_2,
        }
        EmStart { event }
        EmConfig { event, section }
        EmStop { event, deadline_ms, reserved }
        EmDescriptor {
            magic, size, abi_major, abi_minor, base_digest, stages, edits, plugin_class, language, name, version,
            reserved,
        }
        EmBase {
            size, abi_major, abi_minor, EMRegister, EMDeregister, EMCreateRecursionID, service, reserved,
        }
        EmLogService { size, reserved, write, enabled }
        EmPlace { file, line, column }
        EmConfigService { size, reserved, text, integer, boolean, json, place, own_file }
        EmSessionService {
            size, reserved, text, number, recipient, attribute, slot, slot_set, tag, message_slot,
            message_slot_set,
        }
        EmEditsService {
            size, reserved, verdict, reply_text, attribute, header_add, hold, discard, header_insert,
            header_change, header_delete, sender, recipient_add, recipient_remove, recipient_replace,
            command_replace, tag, body_prepend, body_append, body_replace, keyword_add, keyword_remove,
            reply_change, identity, reverse, route, recipient_verdict,
        }
        EmExtensionService {
            size, reserved, claim_verb, claim_keyword, claim_mail_parameter, claim_rcpt_parameter, parameter,
        }
        EmLayoutService { size, reserved, check }
        EmMessageService { size, reserved, header, body }
        EmStateService {
            size, reserved, get_wait, put_wait, remove_wait, next_wait, get, put, remove, next, result,
        }
        EmDirectoryService { size, reserved, user, member, group, route, fetch, wait }
        EmAdminService { size, reserved, verb, answer, fail }
        EmMetricsService { size, reserved, counter, gauge, histogram, add, set, observe }
        EmQueueId { text }
        EmSubmitService {
            size, reserved, begin, recipient, write_wait, commit_wait, write, commit, result, abandon,
        }
        EmQueueCount { size, reserved, queued, held, octets }
        EmQueueService {
            size, reserved, count_wait, hold_wait, release_wait, flush_wait, count, hold, release,
            flush, result,
        }
        EmOutboundTarget { size, tls, flags, deadline_ms, host, port, reserved }
        EmOutboundReversal { size, reserved, domains, accept, listener }
        EmOutboundProgress { size, state, code, secured, reserved, pushed, done, received }
        EmOutboundService {
            size, reserved, begin, open_wait, auth_wait, command_wait, push_wait, reverse_wait, quit_wait,
            open, auth, command, push, reverse, quit, result, text, progress, close,
        }
        EmFilter { size, reserved, networks, listeners, sender_domains, recipient_domains, tls, authenticated }
        EmFilterService { size, reserved, narrow }
        EmAsyncService { size, reserved, pending, complete, wake, extend }
        EmTimersService { size, reserved, wake_after, wait }
        EmDnsRecord { value, preference, reserved }
        EmDnsAnswer { size, outcome, records, count, ttl_s, reserved }
        EmDnsService { size, reserved, ask, answer, wait }
    }
}

fn path(from_root: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..").join(from_root)
}

#[test]
#[cfg(target_pointer_width = "64")]
fn layouts_are_the_golden_ones() {
    let golden = path("tests/golden/abi-layout.txt");
    let found = format!(
        "# struct size alignment, then its members: name offset size. 64-bit targets.\n{}",
        layouts()
    );
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&golden, &found).unwrap();
    }
    let wanted = std::fs::read_to_string(&golden).unwrap();
    for (line, (wanted, found)) in (1..).zip(wanted.lines().zip(found.lines())) {
        assert_eq!(wanted, found, "line {line} of tests/golden/abi-layout.txt");
    }
    assert_eq!(wanted, found);
}

#[test]
fn every_struct_of_the_header_is_listed() {
    let header = std::fs::read_to_string(path("include/extmgr.h")).unwrap();
    let in_header: BTreeSet<&str> =
        header.lines().filter_map(|line| line.strip_prefix("} ")?.strip_suffix(';')).collect();
    let layouts = layouts();
    let listed: BTreeSet<&str> = layouts
        .lines()
        .filter(|line| !line.starts_with(' '))
        .filter_map(|line| line.split(' ').next())
        .collect();
    assert!(in_header.len() > 10, "the header has hardly any structs");
    assert_eq!(in_header, listed);
}
