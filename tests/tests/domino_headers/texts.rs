//! Texts that add-ins have put together, as the bridge's own C code does it: what they come to, and strings that are not there.

use std::path::Path;
use std::process::Command;

use crate::{Compiler, source};

/// What the program of the texts must print.
const TEXTS: &str = "\
19 [across] [acr     ]
7 [open!]
8 [] [] []
1024 ...
39    -7|8    |002.5|ff|1099511627776|c|%d
18    42|wo|3|%|%n|%5
10 100! of [5
1
";

#[test]
fn strings_are_read_where_there_is_memory_also_where_the_system_does_not_help() {
    let folder = tempfile::tempdir().unwrap();
    let (object, program) = (folder.path().join("format.o"), folder.path().join("texts"));
    let notes = Path::new(env!("CARGO_MANIFEST_DIR")).join("../plugins/domino-bridge/notes");
    let include = format!("-I{}", notes.display());
    let compiler = Compiler { name: "cc", language: "c", standard: "gnu11" };
    compiler.compile(&notes.join("format.c"), &["-c".to_owned(), "-O2".to_owned()], &object);
    for refused in ["", "-DREFUSED=EPERM", "-DREFUSED=ENOSYS"] {
        let mut more = vec!["-Wl,".to_owned() + &object.display().to_string(), include.clone()];
        more.extend((!refused.is_empty()).then(|| refused.to_owned()));
        compiler.compile(&source("domino_format.c"), &more, &program);
        let output = Command::new(&program).output().unwrap();
        let printed = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(printed, TEXTS, "{refused} {}", output.status);
    }
}
