//! The contract between Stagepost and its plug-ins: types, numbers and function tables, laid out as C lays them out.
//! Holds no logic and no dependency; `include/extmgr.h` is generated from here. Names are those of the header.
#![no_std]
#![forbid(unsafe_code)]
#![allow(
    non_camel_case_types,
    non_snake_case,
    reason = "one word to grep: the Rust name equals the C name"
)]

mod base;
mod behind;
mod descriptor;
mod digest;
mod event;
mod life;
mod record;
mod service;
mod status;
mod text;

pub use base::*;
pub use behind::*;
pub use descriptor::*;
pub use digest::EM_BASE_DIGEST;
pub use event::*;
pub use life::*;
pub use record::*;
pub use service::*;
pub use status::*;
pub use text::*;
