//! Status codes: what handlers, services and registration return.
//! Numbers shared with Domino keep their name, value and meaning.

/// What a function returns: 0 for success, else one of the codes below.
pub type STATUS = u16;

/// Success; returned by a handler: the event is handled, the core skips its own work and replies positively.
pub const NOERROR: STATUS = 0;

/// Returned by a handler: go on with the chain, then with the core's own work.
pub const ERR_EM_CONTINUE: STATUS = 0x02D5;

/// Returned by a handler that has taken a token (EmAsyncService.pending): it answers later.
pub const EM_PENDING: STATUS = 0x3301;

/// Returned by a handler: the verdict given to the edits sheet counts.
pub const EM_VERDICT: STATUS = 0x3302;

/// Returned by a handler: it failed inside (a caught panic or exception). The fault contract applies.
pub const EM_FAULT: STATUS = 0x3303;

/// EMRegister: no such event here.
pub const ERR_EM_ILLEGAL: STATUS = 0x02D1;

/// EMRegister: flags are empty or unknown, or EM_REG_AFTER where the event has no after.
pub const ERR_EM_ILLEGALFLAGS: STATUS = 0x02D2;

/// EMRegister: too many registrations.
pub const ERR_EM_TOOMANYADDINS: STATUS = 0x02D3;

/// The plug-in's descriptor does not declare this stage or this edit.
pub const ERR_EM_NOTAUTHORIZED: STATUS = 0x02D4;

/// There is no such thing: a configuration key, an attribute, a fact not known yet.
pub const ERR_NOT_FOUND: STATUS = 0x0404;

/// An argument is not acceptable: a NULL where none may be, text with octets that can't be there, a code out of range.
pub const ERR_MISC_INVALID_ARGS: STATUS = 0x0495;

/// The call does not fit this moment: outside em_entry, or an edit that this event or stage does not allow.
pub const EM_ERR_STAGE: STATUS = 0x3310;

/// A limit is reached: too many or too large edits, attributes or registrations.
pub const EM_ERR_LIMIT: STATUS = 0x3311;

/// The value is there but of another type.
pub const EM_ERR_TYPE: STATUS = 0x3312;

/// The server, or another plug-in, has this already.
pub const EM_ERR_CLAIMED: STATUS = 0x3318;

/// The host could not read or write something; its log says what.
pub const EM_ERR_IO: STATUS = 0x3314;

/// The pending call is over: answered already, past its deadline, or its client is gone.
pub const EM_ERR_OVER: STATUS = 0x3315;

/// Mail for this recipient goes nowhere from here: nobody of that name, or no route and no grant.
pub const EM_ERR_ROUTE: STATUS = 0x3316;

/// The message is refused for its form, its size or its hops; the log says which.
pub const EM_ERR_REFUSED: STATUS = 0x3317;

/// The reply in hand can't have this code: one of another class, or one by which programs know what becomes of the
/// connection (220, 221, 235, 3yz, 421), or another in the place of such a one.
pub const EM_ERR_CLASS: STATUS = 0x3319;

/// The Rust layouts of the contract differ; the host has logged where.
pub const EM_ERR_LAYOUT: STATUS = 0x3313;
