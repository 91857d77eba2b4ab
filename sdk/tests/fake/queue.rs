//! The queue service of the fake host: what waits is answered, what does not knows no token, so that there is no request.

use stagepost_abi::*;

use super::{fake, read, write};

pub(super) static QUEUE: EmQueueService = EmQueueService {
    size: size_of::<EmQueueService>() as u32,
    reserved: 0,
    count_wait: queue_count_wait,
    hold_wait: queue_hold_wait,
    release_wait: queue_move_wait,
    flush_wait: queue_move_wait,
    count: queue_ask,
    hold: queue_hold,
    release: queue_ask,
    flush: queue_ask,
    result: queue_result,
};

unsafe extern "C" fn queue_count_wait(
    host: *mut EmHost,
    destination: EmText,
    count: *mut EmQueueCount,
) -> STATUS {
    fake(host).log.lock().unwrap().push(format!("count {}", read(destination)));
    let size = size_of::<EmQueueCount>() as u32;
    write(count, Some(EmQueueCount { size, reserved: 0, queued: 3, held: 2, octets: 1 }))
}

unsafe extern "C" fn queue_hold_wait(
    host: *mut EmHost,
    destination: EmText,
    reason: EmText,
    count: *mut EmQueueCount,
) -> STATUS {
    fake(host).log.lock().unwrap().push(format!("hold {} {}", read(destination), read(reason)));
    let size = size_of::<EmQueueCount>() as u32;
    write(count, Some(EmQueueCount { size, reserved: 0, queued: 5, held: 0, octets: 0 }))
}

unsafe extern "C" fn queue_move_wait(
    _: *mut EmHost,
    destination: EmText,
    _: *mut EmQueueCount,
) -> STATUS {
    if read(destination) == "refuse me" { EM_ERR_IO } else { NOERROR }
}

unsafe extern "C" fn queue_ask(_: *mut EmHost, _: EmToken, _: EmText, _: *mut EmRequest) -> STATUS {
    ERR_NOT_FOUND
}

unsafe extern "C" fn queue_hold(
    _: *mut EmHost,
    _: EmToken,
    _: EmText,
    _: EmText,
    _: *mut EmRequest,
) -> STATUS {
    ERR_NOT_FOUND
}

unsafe extern "C" fn queue_result(_: *mut EmHost, _: EmRequest, _: *mut EmQueueCount) -> STATUS {
    ERR_MISC_INVALID_ARGS
}
