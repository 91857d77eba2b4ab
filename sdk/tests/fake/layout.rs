//! The layout service of the fake host.

use std::ffi::c_void;

use stagepost_abi::*;

use super::fake;

pub(super) static LAYOUT: EmLayoutService =
    EmLayoutService { size: size_of::<EmLayoutService>() as u32, reserved: 0, check: layout_check };

unsafe extern "C" fn layout_check(host: *mut EmHost, offer: *const c_void) -> STATUS {
    // SAFETY: the SDK's offer is that of this build.
    unsafe { stagepost_layout::compare(offer) }.expect("the SDK and this test are built together");
    fake(host).layout
}
