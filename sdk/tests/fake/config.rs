//! The configuration of the fake host, and the service that tells it.

use stagepost_abi::*;

use super::{fake, read, text, write};

/// A value of the configuration.
pub(crate) enum Value {
    Text(&'static str),
    Integer(i64),
}

pub(super) static CONFIG: EmConfigService = EmConfigService {
    size: size_of::<EmConfigService>() as u32,
    reserved: 0,
    text: config_text,
    integer: config_integer,
    boolean: config_boolean,
    json: config_text,
    place: config_place,
    own_file: config_own_file,
};

unsafe extern "C" fn config_text(host: *mut EmHost, key: EmText, value: *mut EmText) -> STATUS {
    match fake(host).config.get(read(key).as_str()) {
        Some(Value::Text(found)) => write(value, Some(text(found.as_bytes()))),
        Some(_) => EM_ERR_TYPE,
        None => ERR_NOT_FOUND,
    }
}

unsafe extern "C" fn config_integer(host: *mut EmHost, key: EmText, value: *mut i64) -> STATUS {
    match fake(host).config.get(read(key).as_str()) {
        Some(Value::Integer(found)) => write(value, Some(*found)),
        Some(_) => EM_ERR_TYPE,
        None => ERR_NOT_FOUND,
    }
}

unsafe extern "C" fn config_boolean(host: *mut EmHost, key: EmText, _: *mut u8) -> STATUS {
    let known = fake(host).config.contains_key(read(key).as_str());
    if known { EM_ERR_TYPE } else { ERR_NOT_FOUND }
}

unsafe extern "C" fn config_place(host: *mut EmHost, key: EmText, place: *mut EmPlace) -> STATUS {
    let known = fake(host).config.contains_key(read(key).as_str());
    write(place, known.then(|| EmPlace { file: text(b"some.toml"), line: 7, column: 3 }))
}

unsafe extern "C" fn config_own_file(_: *mut EmHost, path: *mut EmText) -> STATUS {
    write(path, Some(text(b"/plugins/libprobe.so")))
}
