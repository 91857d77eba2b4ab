//! Text across the boundary: slices lent to the host, and the host's lent to the plug-in.
//! Checks what it is lent: a length is never believed further than Rust allows.

use stagepost_abi::EmText;

/// The host lent something that its contract does not allow. The host is to blame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Broken {
    #[error("the host lent text that is not UTF-8")]
    Utf8,
    #[error("the host lent text without octets: a NULL with the length {0}")]
    Null(u64),
    #[error("the host lent text of {0} octets, more than there is memory")]
    Length(u64),
    #[error("the host handed out a struct of {found} octets where {wanted} are due")]
    Size { wanted: usize, found: u32 },
    #[error("the host handed out a NULL where there is none in the contract")]
    Pointer,
}

/// Lends octets for the length of a call.
pub(crate) fn lend(octets: &[u8]) -> EmText {
    EmText { data: octets.as_ptr().cast(), len: octets.len() as u64 }
}

/// Takes the octets that the host lends.
///
/// # Safety
///
/// As far as it is not NULL, empty or longer than any slice, `text` points to that many octets, which nobody writes
/// during `'a`.
pub(crate) unsafe fn octets<'a>(text: EmText) -> Result<&'a [u8], Broken> {
    if text.len == 0 {
        return Ok(&[]);
    }
    if text.data.is_null() {
        return Err(Broken::Null(text.len));
    }
    let len = isize::try_from(text.len).map_err(|_| Broken::Length(text.len))?;
    // SAFETY: not NULL and not longer than isize::MAX; the rest is the caller's promise.
    Ok(unsafe { std::slice::from_raw_parts(text.data.cast(), len.unsigned_abs()) })
}

/// The same where a NULL says that there are none.
///
/// # Safety
///
/// As `octets`.
pub(crate) unsafe fn octets_if_any<'a>(text: EmText) -> Result<Option<&'a [u8]>, Broken> {
    if text.data.is_null() && text.len == 0 {
        return Ok(None);
    }
    // SAFETY: the caller's promise, handed on.
    unsafe { octets(text) }.map(Some)
}

/// Takes the text that the host lends.
///
/// # Safety
///
/// As `octets`.
pub(crate) unsafe fn text<'a>(text: EmText) -> Result<&'a str, Broken> {
    // SAFETY: the caller's promise, handed on.
    let octets = unsafe { octets(text) }?;
    std::str::from_utf8(octets).map_err(|_| Broken::Utf8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_lent_is_checked_before_it_is_believed() {
        let four = lend(b"a\0\xC3\xA4");
        let null = std::ptr::null();
        let cases = [
            (four, Ok("a\0ä")),
            (EmText { len: 3, ..four }, Err(Broken::Utf8)),
            (EmText { data: null, len: 0 }, Ok("")),
            (EmText { data: null, len: 1 }, Err(Broken::Null(1))),
            (EmText { len: u64::MAX, ..four }, Err(Broken::Length(u64::MAX))),
            (EmText { len: 1 << 63, ..four }, Err(Broken::Length(1 << 63))),
        ];
        for (lent, wanted) in cases {
            // SAFETY: `four` lends four octets that are static; the other cases are those that are refused unread.
            assert_eq!(unsafe { text(lent) }, wanted, "{lent:?}");
        }
    }
}
