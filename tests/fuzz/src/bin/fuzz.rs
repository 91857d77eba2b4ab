//! libFuzzer, on the target that STAGEPOST_FUZZ_TARGET names. Built by `cargo fuzzing`.
#![no_main]

use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;
use stagepost_fuzz::Target;

static TARGET: OnceLock<&'static Target> = OnceLock::new();

fuzz_target!(|input: &[u8]| {
    let target = TARGET.get_or_init(|| {
        let name = std::env::var("STAGEPOST_FUZZ_TARGET").unwrap_or_default();
        stagepost_fuzz::target(&name).unwrap_or_else(|| panic!("no target {name:?}"))
    });
    (target.run)(input);
});
