//! Mirrors of the contract's structs: the same names and members, with what abi_stable wants to know beside them.
//! Knows nothing of their meaning; `twins!` proves that each has the layout of its original.
#![allow(dead_code, reason = "mirrors are compared, never made nor read")]
#![allow(
    clippy::upper_case_acronyms,
    non_snake_case,
    reason = "a mirror has the names of its original"
)]

use abi_stable::StableAbi;

mod base;
mod event;
mod service;

/// Everything that is compared: the base as it is, events and services as far as the plug-in knows them.
#[repr(C)]
#[derive(StableAbi)]
pub(crate) struct Contract {
    base: base::Base,
    events: event::EventsRef,
    services: service::ServicesRef,
}

/// Proves at compile time that mirrors are laid out as their originals are. The pattern names every member of the
/// original, so that a member added there is missed here.
macro_rules! twins {
    ($($name:ident { $($member:ident),* $(,)? })*) => {
        /// The originals that have a mirror here.
        #[cfg(test)]
        pub(crate) const TWINS: &[&str] = &[$(stringify!($name)),*];
        $(
        const _: () = {
            use std::mem::{align_of, offset_of, size_of};
            const fn same_members(original: &stagepost_abi::$name) {
                let stagepost_abi::$name { $($member: _),* } = original;
            }
            let _ = same_members;
            assert!(size_of::<$name>() == size_of::<stagepost_abi::$name>(), stringify!($name));
            assert!(align_of::<$name>() == align_of::<stagepost_abi::$name>(), stringify!($name));
            $(assert!(
                offset_of!($name, $member) == offset_of!(stagepost_abi::$name, $member),
                concat!(stringify!($name), ".", stringify!($member))
            );)*
        };
        )*
    };
}
use twins;

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    #[test]
    fn every_struct_of_the_contract_has_a_mirror() {
        let header = include_str!("../../../include/extmgr.h");
        let originals: BTreeSet<&str> =
            header.lines().filter_map(|line| line.strip_prefix("} ")?.strip_suffix(';')).collect();
        let mirrors: BTreeSet<&str> =
            [&[super::base::TWINS, super::event::TWINS], super::service::TWINS]
                .concat()
                .concat()
                .into_iter()
                .collect();
        assert_eq!(mirrors, originals);
    }
}
