//! Shared objects of others: libnotes.so, bound to the functions behind it, and add-ins, opened and entered.
//! Knows dlopen by libloading and no event. Nothing opened is ever closed: threads may be in its code.

use std::error::Error as _;
use std::ffi::{CStr, c_char, c_void};
use std::path::Path;

use libloading::os::unix::{Library, RTLD_GLOBAL, RTLD_LOCAL, RTLD_NOW};

use crate::file::{AddInFile, ENTRY, LEAVE};

/// What libnotes.so and the bridge must both say of themselves: notes/table.h.
const AGREEMENT: u32 = 1;

/// How many arguments a record has: notes/table.h.
pub(crate) const ARGUMENTS: usize = 6;

/// A handler of an add-in, as it gave it to EMRegister.
pub(crate) type Handler = unsafe extern "C" fn(record: *mut c_void) -> u16;

type Entry = unsafe extern "C" fn() -> u16;

/// What libnotes.so gives back: NotesCall of notes/table.h.
type Call = unsafe extern "C" fn(
    handler: Handler,
    event: u16,
    stage: u16,
    status: u16,
    arguments: *const u64,
) -> u16;

type Find = unsafe extern "C" fn(name: *const c_char) -> *mut c_void;
type Bind =
    unsafe extern "C" fn(agreement: u32, find: Find, call: *mut Option<Call>) -> *const c_char;

/// Why something could not be opened.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct LinkError(String);

impl LinkError {
    /// The function that nobody has, where it is that: of several the one that the dynamic linker came to first.
    pub(crate) fn missing(&self) -> Option<&str> {
        let (_, name) = self.0.rsplit_once("undefined symbol: ")?;
        name.split([',', ' ']).next()
    }
}

/// libnotes.so, bound.
#[derive(Clone, Copy)]
pub(crate) struct Notes {
    call: Call,
}

impl Notes {
    /// Opens libnotes.so by its path, so that add-ins that need it find it by its name, and puts functions behind its own.
    ///
    /// - find: gives the function of a name, as libnotes.so declares it, or NULL.
    /// - global: add-ins that do not name it as needed must find it, too.
    pub(crate) fn bind(path: &Path, find: Find, global: bool) -> Result<Self, LinkError> {
        let library = open(path, if global { RTLD_GLOBAL } else { RTLD_LOCAL })?;
        // SAFETY: the symbol is our own library's, of this type while the agreement is the same, which it checks first.
        let bind = unsafe { library.get::<Bind>(b"stagepost_notes_bind\0") };
        let bind = *bind.map_err(|error| failed(path, &error))?;
        std::mem::forget(library);
        let mut call = None;
        // SAFETY: `find` gives functions of the types in notes/functions.def; the call has room for what is written.
        let missing = unsafe { bind(AGREEMENT, find, &raw mut call) };
        if !missing.is_null() {
            // SAFETY: a name from its own text.
            let missing = unsafe { CStr::from_ptr(missing) }.to_string_lossy();
            let text =
                format!("{}: it is of another build than the bridge: {missing}", path.display());
            return Err(LinkError(text));
        }
        let call =
            call.ok_or_else(|| LinkError(format!("{}: it gave nothing back", path.display())))?;
        Ok(Self { call })
    }

    /// Calls a handler with a record of its own.
    ///
    /// # Safety
    ///
    /// The handler is an add-in's, which is never unloaded; each argument is what the event has in its place, and what it points to
    /// is valid, and the handler's alone, until this returns.
    pub(crate) unsafe fn call(
        &self,
        handler: Handler,
        event: u16,
        stage: u16,
        status: u16,
        arguments: &[u64; ARGUMENTS],
    ) -> u16 {
        // SAFETY: by the caller's promise.
        unsafe { (self.call)(handler, event, stage, status, arguments.as_ptr()) }
    }
}

/// An add-in whose code is in the process.
#[derive(Clone, Copy)]
pub(crate) struct Opened {
    entry: Entry,
    leave: Option<Entry>,
}

impl Opened {
    /// Opens an add-in. Its initialisers run.
    pub(crate) fn open(file: &AddInFile) -> Result<Self, LinkError> {
        // Local: two add-ins may have the same names.
        let library = open(&file.path, RTLD_LOCAL)?;
        // SAFETY: the file has such a symbol, and add-ins have no other type for it.
        let entry = *unsafe { library.get::<Entry>(ENTRY.as_bytes()) }
            .map_err(|error| failed(&file.path, &error))?;
        let leave = match file.leaves {
            // SAFETY: as above.
            true => unsafe { library.get::<Entry>(LEAVE.as_bytes()) }.ok().map(|leave| *leave),
            false => None,
        };
        std::mem::forget(library);
        Ok(Self { entry, leave })
    }

    /// Enters the add-in.
    pub(crate) fn enter(&self) -> u16 {
        // SAFETY: the symbol has the type of MainEntryPoint, since an add-in that has another is none.
        unsafe { (self.entry)() }
    }

    /// The same, of an add-in that has refused to start: there is nothing for it to end.
    pub(crate) fn refused(self) -> Self {
        Self { leave: None, ..self }
    }

    /// Tells the add-in that all is over, if it wants to be told.
    pub(crate) fn leave(&self) {
        if let Some(leave) = self.leave {
            // SAFETY: as in `enter`; what it returns, if anything, is not looked at.
            unsafe { leave() };
        }
    }
}

fn open(path: &Path, scope: i32) -> Result<Library, LinkError> {
    // SAFETY: its initialisers run, which is what an operator asks for who names it; who may have written it was checked.
    unsafe { Library::open(Some(path), RTLD_NOW | scope) }.map_err(|error| failed(path, &error))
}

fn failed(path: &Path, error: &libloading::Error) -> LinkError {
    // The text that says what is wrong is in the source.
    let source = error.source().map(ToString::to_string);
    LinkError(format!("{}: {}", path.display(), source.unwrap_or_else(|| error.to_string())))
}
