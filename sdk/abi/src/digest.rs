//! The digest of the frozen base: one number that changes when a layout of the base does.
//! Knows sizes, alignments and offsets, nothing else.

use core::mem::{align_of, offset_of, size_of};

use crate::{EMRECORD, EmBase, EmDescriptor, EmEvent, EmReply, EmText};

/// Digest of the base's layout on 64-bit targets; stands in the descriptor, so that a plug-in built with another base is
/// refused before it is loaded.
pub const EM_BASE_DIGEST: u64 = 0x4771_990c_a0c5_25a0;

/// FNV-1a over a list of numbers.
const fn fold(numbers: &[usize]) -> u64 {
    let mut digest: u64 = 0xcbf2_9ce4_8422_2325;
    let mut at = 0;
    while at < numbers.len() {
        digest = (digest ^ numbers[at] as u64).wrapping_mul(0x0000_0100_0000_01b3);
        at += 1;
    }
    digest
}

macro_rules! numbers {
    ($($type:ident { $($field:ident),* $(,)? })*) => {
        &[$(size_of::<$type>(), align_of::<$type>(), $(offset_of!($type, $field)),*),*]
    };
}

const BASE: &[usize] = numbers! {
    EmText { data, len }
    EmReply {
        size, code, enhanced_class, reserved, enhanced_subject, enhanced_detail, reserved_2, text,
    }
    EMRECORD { EId, NotificationType, Status, Size, Event, UserData }
    EmEvent { size, reserved, session, edits, reply }
    EmBase {
        size, abi_major, abi_minor, EMRegister, EMDeregister, EMCreateRecursionID, service, reserved,
    }
    EmDescriptor {
        magic, size, abi_major, abi_minor, base_digest, stages, edits, plugin_class, language, name,
        version, reserved,
    }
};

#[cfg(target_pointer_width = "64")]
const _: () = assert!(
    fold(BASE) == EM_BASE_DIGEST,
    "the base's layout changed: bless the new digest before 1.0, undo the change after"
);
