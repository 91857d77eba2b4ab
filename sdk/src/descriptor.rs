//! The descriptor of a Rust plug-in, made at compile time, and the words for it.
//! Knows the descriptor's form, no plug-in.

use stagepost_abi::{
    EM_ABI_MAJOR, EM_BASE_DIGEST, EM_DESCRIPTOR_MAGIC, EM_LANGUAGE_RUST, EmDescriptor,
};

use crate::stage::Stages;

/// The words for `class` in [`export_plugin!`](crate::export_plugin).
#[allow(
    non_upper_case_globals,
    reason = "they are words of the macro's, written as an author writes them there"
)]
pub mod class {
    /// Handlers may block; they are called on threads kept for that.
    pub const blocking: u32 = stagepost_abi::EM_CLASS_BLOCKING;
    /// Handlers promise never to block; they may be called in line, in nanoseconds.
    pub const inline: u32 = stagepost_abi::EM_CLASS_INLINE;
}

/// The words for `edits` in [`export_plugin!`](crate::export_plugin).
#[allow(
    non_upper_case_globals,
    reason = "they are words of the macro's, written as an author writes them there"
)]
pub mod edit {
    /// Answers other than `Continue`.
    pub const verdict: u64 = stagepost_abi::EM_EDIT_VERDICT;
    /// `AfterEdits::reply_text`.
    pub const reply_text: u64 = stagepost_abi::EM_EDIT_REPLY_TEXT;
    /// `AfterEdits::reply_change`.
    pub const reply_code: u64 = stagepost_abi::EM_EDIT_REPLY_CODE;
    /// `attribute` and `grant_relay`.
    pub const attribute: u64 = stagepost_abi::EM_EDIT_ATTRIBUTE;
    /// `Edits::header_add`, `header_insert`, `header_change` and `header_delete`.
    pub const header: u64 = stagepost_abi::EM_EDIT_HEADER;
    /// `Edits::body_prepend`, `body_append` and `body_replace`.
    pub const body: u64 = stagepost_abi::EM_EDIT_BODY;
    /// `Edits::hold`.
    pub const hold: u64 = stagepost_abi::EM_EDIT_HOLD;
    /// `Edits::discard`.
    pub const discard: u64 = stagepost_abi::EM_EDIT_DISCARD;
    /// `Edits::sender`.
    pub const sender: u64 = stagepost_abi::EM_EDIT_SENDER;
    /// `Edits::recipient_add`, `recipient_remove` and `recipient_replace`.
    pub const recipient: u64 = stagepost_abi::EM_EDIT_RECIPIENT;
    /// `Edits::command_replace`.
    pub const command: u64 = stagepost_abi::EM_EDIT_COMMAND;
    /// `Edits::tag`.
    pub const tag: u64 = stagepost_abi::EM_EDIT_TAG;
    /// `Edits::keyword_add` and `keyword_remove`, and `Host::claim_keyword`.
    pub const keyword: u64 = stagepost_abi::EM_EDIT_KEYWORD;
    /// `Queue::hold`, `release` and `flush`, and `Edits::reverse`.
    pub const queue: u64 = stagepost_abi::EM_EDIT_QUEUE;
    /// `Host::submit`.
    pub const submit: u64 = stagepost_abi::EM_EDIT_SUBMIT;
    /// See the credentials of clients that log in, and log them in: [`Edits::identity`](crate::Edits::identity).
    pub const credentials: u64 = stagepost_abi::EM_EDIT_CREDENTIALS;
    /// `Edits::route`.
    pub const route: u64 = stagepost_abi::EM_EDIT_ROUTE;
    /// [`Host::outbound`](crate::Host::outbound).
    pub const outbound: u64 = stagepost_abi::EM_EDIT_OUTBOUND;
}

/// Makes the descriptor. A name or version that can't be does not compile.
pub const fn descriptor(
    name: &str,
    version: &str,
    plugin_class: u32,
    stages: Stages,
    edits: &[u64],
) -> EmDescriptor {
    let mut all_edits = 0;
    let mut at = 0;
    while at < edits.len() {
        all_edits |= edits[at];
        at += 1;
    }
    EmDescriptor {
        magic: EM_DESCRIPTOR_MAGIC,
        size: size_of::<EmDescriptor>() as u32,
        abi_major: EM_ABI_MAJOR,
        abi_minor: 0,
        base_digest: EM_BASE_DIGEST,
        stages: stages.declared(),
        edits: all_edits,
        plugin_class,
        language: EM_LANGUAGE_RUST,
        name: name_octets(name.as_bytes()),
        version: version_octets(version.as_bytes()),
        reserved: [0; 4],
    }
}

const fn name_octets(name: &[u8]) -> [u8; 64] {
    assert!(!name.is_empty() && name.len() < 64, "a plug-in's name has 1 to 63 octets");
    let mut octets = [0; 64];
    let mut at = 0;
    while at < name.len() {
        assert!(
            matches!(name[at], b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_'),
            "a plug-in's name is made of a-z, 0-9, '-' and '_'"
        );
        octets[at] = name[at];
        at += 1;
    }
    octets
}

const fn version_octets(version: &[u8]) -> [u8; 32] {
    assert!(!version.is_empty() && version.len() < 32, "a plug-in's version has 1 to 31 octets");
    let mut octets = [0; 32];
    let mut at = 0;
    while at < version.len() {
        assert!(matches!(version[at], b' '..=b'~'), "a plug-in's version is printable ASCII");
        octets[at] = version[at];
        at += 1;
    }
    octets
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_descriptor_is_padded_and_joined() {
        let stages = Stages::all(&[crate::stage::before_mail, crate::stage::after_rcpt]);
        let made =
            descriptor("a-b_1", "1.0 beta", class::inline, stages, &[edit::verdict, edit::hold]);
        assert!(made.name.starts_with(b"a-b_1\0") && made.version.starts_with(b"1.0 beta\0"));
        assert_eq!((made.stages, made.edits, made.plugin_class), (0x18, 0x11, 1));
    }

    #[test]
    fn names_and_versions_that_can_not_be_are_refused() {
        let made = |name: &str, version: &str| {
            let (name, version) = (name.to_owned(), version.to_owned());
            std::panic::catch_unwind(move || {
                descriptor(&name, &version, class::blocking, Stages::all(&[]), &[])
            })
        };
        let (longest_name, longest_version) = ("n".repeat(63), "v".repeat(31));
        assert!(made(&longest_name, &longest_version).is_ok());
        for name in ["", "A", "a b", "ä", &"n".repeat(64)] {
            assert!(made(name, "1").is_err(), "{name}");
        }
        for version in ["", "1\n", "ä", &"v".repeat(32)] {
            assert!(made("a", version).is_err(), "{version}");
        }
    }
}
