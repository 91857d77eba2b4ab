//! The offer that a plug-in makes of its layouts, and the host's comparison with its own.
//! Knows nothing of what the layouts are.

use std::ffi::c_void;

use abi_stable::StableAbi;
use abi_stable::abi_stability::abi_checking::check_layout_compatibility;
use abi_stable::type_layout::TypeLayout;

use crate::difference::difference;
use crate::mirror::Contract;

/// Version of abi_stable that made the layout: two of them need not read each other's.
const ABI_STABLE: [u32; 3] = [0, 11, 3];

const SIZE: u32 = size_of::<Offer>() as u32;

/// What a plug-in hands to `EmLayoutService.check`. Lives as long as the plug-in, so until the process ends.
#[repr(C)]
#[derive(Debug)]
pub struct Offer {
    size: u32,
    abi_stable: [u32; 3],
    layout: &'static TypeLayout,
}

impl Offer {
    const fn of(layout: &'static TypeLayout) -> Self {
        Self { size: SIZE, abi_stable: ABI_STABLE, layout }
    }
}

static OFFER: Offer = Offer::of(<Contract as StableAbi>::LAYOUT);

/// Why a plug-in's layouts are not accepted. The plug-in is to blame, or rather what it was built with.
#[derive(Debug, thiserror::Error)]
pub enum LayoutError {
    /// There is nothing to compare.
    #[error("the plug-in offers no layout: the pointer is NULL")]
    Missing,
    /// The offer itself has another form.
    #[error("the plug-in's layout offer has {found} octets, the host reads {wanted}")]
    Size {
        /// Octets that the host reads.
        wanted: u32,
        /// Octets that the plug-in offers.
        found: u32,
    },
    /// The layout was made by another abi_stable.
    #[error("the plug-in's layout was made by abi_stable {}, the host reads {}", dotted(.found), dotted(.wanted))]
    Version {
        /// Version that the host reads.
        wanted: [u32; 3],
        /// Version that the plug-in was built with.
        found: [u32; 3],
    },
    /// The layouts differ; the text says where, on one line.
    #[error("the plug-in's layouts differ from the host's: {0}")]
    Differs(String),
}

fn dotted(version: &[u32; 3]) -> String {
    let [major, minor, patch] = version;
    format!("{major}.{minor}.{patch}")
}

/// Offers the layouts that this plug-in was built with.
pub fn offer() -> &'static Offer {
    &OFFER
}

/// Compares a plug-in's offer with the host's own layouts.
///
/// # Safety
///
/// `offer` is NULL, or points to the size of an `Offer` and, as far as that size says, the rest of one; that one was
/// made by `offer` of some build of this package, and its library stays loaded until the process ends.
pub unsafe fn compare(offer: *const c_void) -> Result<(), LayoutError> {
    // SAFETY: the caller's promise, handed on.
    unsafe { compare_with(offer.cast(), &OFFER) }
}

/// # Safety
///
/// As `compare`.
unsafe fn compare_with(offer: *const Offer, host: &'static Offer) -> Result<(), LayoutError> {
    if offer.is_null() {
        return Err(LayoutError::Missing);
    }
    // SAFETY: not NULL, and the caller promises that the size can be read. No reference to the whole is made before
    // the size is known to be ours.
    let found = unsafe { (&raw const (*offer).size).read() };
    if found != host.size {
        return Err(LayoutError::Size { wanted: host.size, found });
    }
    // SAFETY: the size is ours, so the caller promises that the version can be read.
    let found = unsafe { (&raw const (*offer).abi_stable).read() };
    if found != host.abi_stable {
        return Err(LayoutError::Version { wanted: host.abi_stable, found });
    }
    // SAFETY: size and version are ours, so this is an `Offer` as we know it; the caller promises that it stays loaded.
    let plugin = unsafe { &*offer };
    check_layout_compatibility(plugin.layout, host.layout)
        .map_err(|errors| LayoutError::Differs(difference(&errors)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A small contract, as it is, changed and grown.
    macro_rules! contracts {
        ($($module:ident { text: { $($text:tt)* } table: { $($table:tt)* } })*) => {$(
            #[expect(dead_code, reason = "compared, never made")]
            mod $module {
                use abi_stable::StableAbi;

                #[repr(C)]
                #[derive(StableAbi)]
                pub(super) struct Text { $($text)* }

                #[repr(C)]
                #[derive(StableAbi)]
                #[sabi(kind(Prefix(prefix_ref = TableRef)))]
                #[sabi(missing_field(panic))]
                pub(super) struct Table { $($table)* }

                #[repr(C)]
                #[derive(StableAbi)]
                pub(super) struct Contract { text: Text, table: TableRef }
            }
        )*};
    }

    contracts! {
        as_it_is {
            text: { data: *const u8, len: u64 }
            table: {
                size: u32,
                #[sabi(last_prefix_field)]
                write: unsafe extern "C" fn(text: *const Text, level: u32) -> u16
            }
        }
        other_member {
            text: { data: *const u8, len: u32 }
            table: {
                size: u32,
                #[sabi(last_prefix_field)]
                write: unsafe extern "C" fn(text: *const Text, level: u32) -> u16
            }
        }
        other_parameter {
            text: { data: *const u8, len: u64 }
            table: {
                size: u32,
                #[sabi(last_prefix_field)]
                write: unsafe extern "C" fn(text: *const Text, level: u64) -> u16
            }
        }
        grown {
            text: { data: *const u8, len: u64 }
            table: {
                size: u32,
                #[sabi(last_prefix_field)]
                write: unsafe extern "C" fn(text: *const Text, level: u32) -> u16,
                flush: unsafe extern "C" fn() -> u16
            }
        }
        grown_in_the_middle {
            text: { data: *const u8, len: u64 }
            table: {
                size: u32,
                flush: unsafe extern "C" fn() -> u16,
                #[sabi(last_prefix_field)]
                write: unsafe extern "C" fn(text: *const Text, level: u32) -> u16
            }
        }
    }

    fn made<T: StableAbi>() -> &'static Offer {
        Box::leak(Box::new(Offer::of(T::LAYOUT)))
    }

    fn check<Plugin: StableAbi, Host: StableAbi>() -> Result<(), String> {
        // SAFETY: both offers are whole, and leaked.
        unsafe { compare_with(made::<Plugin>(), made::<Host>()) }.map_err(|error| error.to_string())
    }

    fn compare_changed(change: impl FnOnce(&mut Offer)) -> Result<(), String> {
        let mut changed = Offer::of(OFFER.layout);
        change(&mut changed);
        let offer: *const Offer = &raw const changed;
        // SAFETY: points to a whole offer whose layout is static.
        unsafe { compare(offer.cast()) }.map_err(|error| error.to_string())
    }

    #[test]
    fn the_contract_agrees_with_itself() {
        // SAFETY: our own offer is whole and static.
        unsafe { compare(std::ptr::from_ref(offer()).cast()) }.unwrap();
        check::<Contract, Contract>().unwrap();
    }

    #[test]
    fn the_version_is_that_of_the_dependency() {
        assert_eq!(dotted(&ABI_STABLE), abi_stable::ABI_STABLE_VERSION.to_string());
    }

    #[test]
    fn no_offer_or_one_of_another_form_is_refused() {
        // SAFETY: NULL is allowed.
        let missing = unsafe { compare(std::ptr::null()) };
        assert!(matches!(missing, Err(LayoutError::Missing)));
        assert_eq!(
            compare_changed(|offer| offer.size = 16).unwrap_err(),
            "the plug-in's layout offer has 16 octets, the host reads 24"
        );
        assert_eq!(
            compare_changed(|offer| offer.abi_stable = [0, 12, 0]).unwrap_err(),
            "the plug-in's layout was made by abi_stable 0.12.0, the host reads 0.11.3"
        );
    }

    #[test]
    fn equal_layouts_pass() {
        check::<as_it_is::Contract, as_it_is::Contract>().unwrap();
    }

    #[test]
    fn a_host_whose_table_has_grown_at_its_end_passes() {
        check::<as_it_is::Contract, grown::Contract>().unwrap();
    }

    #[test]
    fn a_changed_layout_is_refused_and_the_text_says_where() {
        let cases = [
            (
                check::<other_member::Contract, as_it_is::Contract>(),
                "text.len: type is u32 in the plug-in and u64 in the host",
            ),
            (
                check::<other_parameter::Contract, as_it_is::Contract>(),
                "table.write.param_1: type is u64 in the plug-in and u32 in the host",
            ),
            (
                check::<as_it_is::Contract, grown_in_the_middle::Contract>(),
                "table: number of first members is 2 in the plug-in and 3 in the host; \
                 table: member is write in the plug-in and flush in the host",
            ),
            (
                check::<grown::Contract, as_it_is::Contract>(),
                "table: number of members is 3 in the plug-in and 2 in the host",
            ),
        ];
        let texts = cases.map(|(result, wanted)| (result.unwrap_err(), wanted));
        for (text, wanted) in texts {
            assert_eq!(text, format!("the plug-in's layouts differ from the host's: {wanted}"));
        }
    }
}
