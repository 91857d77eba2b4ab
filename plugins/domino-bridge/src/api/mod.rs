//! The functions that add-ins call, behind those of libnotes.so. All that is unsafe about them is that add-ins give them pointers:
//! what these must be stands at each function of include/domino, and how they are used in `pointer`.
//! Knows no event of the host's.

mod em;
mod item;
pub(crate) mod memory;
mod mime;
mod note;
mod pointer;
mod system;
mod view;

use std::ffi::{CStr, c_char, c_void};

pub(crate) use note::forget as forget_note;

/// Declares the functions that there are: each is found by its name.
macro_rules! functions {
    ($($module:ident: $($name:ident)*;)*) => {
        /// The function of a name, of the type that notes/functions.def gives it; NULL when there is none.
        fn function(name: &[u8]) -> *mut c_void {
            $($(if name == stringify!($name).as_bytes() {
                return $module::$name as *mut c_void;
            })*)*
            std::ptr::null_mut()
        }
    };
}

functions! {
    em: EMRegister EMDeregister EMCreateRecursionID NotesInitThread NotesTermThread write_line;
    system: OSGetEnvironmentString OSGetEnvironmentLong OSSetEnvironmentVariable OSSetEnvironmentInt OSLoadString OSTranslate
        OSGetDataDirectory OSGetExecutableDirectory OSCurrentTIMEDATE SECKFMGetUserName;
    memory: OSMemAlloc OSMemFree OSMemGetSize OSMemRealloc OSLockObject OSUnlockObject OSMemoryAllocate OSMemoryFree
        OSMemoryLock OSMemoryUnlock;
    view: NSFDbOpen NSFDbClose NSFDbPathGet NSFDbUserNameGet NIFFindDesignNoteExt NIFOpenCollection NIFCloseCollection
        NIFFindByName NIFReadEntries;
    note: NSFNoteGetInfo NSFNoteSetInfo NSFNoteOpen NSFNoteOpenExt NSFNoteCreate NSFNoteCopy NSFNoteUpdate NSFNoteClose
        NSFNoteHasMIME NSFNoteHasMIMEPart;
    item: NSFItemGetText NSFItemSetText NSFItemSetTextSummary NSFItemConvertToText NSFItemGetTextListEntries
        NSFItemGetTextListEntry NSFItemCreateTextList NSFItemAppendTextList NSFItemAppend NSFItemDelete NSFItemInfo
        NSFItemInfoNext NSFItemGetNumber NSFItemGetLong NSFItemGetTime NSFItemSetNumber NSFItemSetTime;
    mime: MIMEStreamOpen MIMEStreamRead MIMEStreamGetLine MIMEStreamRewind MIMEStreamWrite MIMEStreamPutLine
        MIMEStreamItemize MIMEStreamClose;
}

/// Gives libnotes.so the function of a name.
///
/// # Safety
///
/// `name` is NULL or ends with a NUL.
pub(crate) unsafe extern "C" fn find(name: *const c_char) -> *mut c_void {
    if name.is_null() {
        return std::ptr::null_mut();
    }
    // SAFETY: by the caller's promise.
    function(unsafe { CStr::from_ptr(name) }.to_bytes())
}

/// Functions of libnotes.so itself: those with any number of arguments.
const VARIADIC: [&str; 5] = [
    "AddInFormatErrorText",
    "AddInLogErrorText",
    "AddInLogMessageText",
    "LogEventText",
    "LogEventTextNoConsole",
];

/// Whether add-ins can have a function.
pub(crate) fn has(name: &str) -> bool {
    VARIADIC.contains(&name) || (name != "write_line" && !function(name.as_bytes()).is_null())
}
