//! `bench peers`: the scripts that set servers beside each other, one after the other, on one folder.
//! Knows the scripts by their names; what each measures, they know.

use std::path::{Path, PathBuf};
use std::process::Command;

use clap::Args;

use crate::fault::Fault;

const SCRIPTS: [&str; 2] = ["table.sh", "delivered.sh"];

#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// A folder on the disk to measure: not a memory file system, nor one mounted `discard`
    folder: PathBuf,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Fault> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    for name in SCRIPTS {
        let script = here.join(name);
        println!("# {name}");
        let status = Command::new(&script).arg("--peers").arg(&arguments.folder).status();
        let status = status.map_err(Fault::system(format!("run {}", script.display())))?;
        if !status.success() {
            let reason = format!("it ended with {status}");
            return Err(Fault::Target { target: name.to_owned(), reason });
        }
    }
    Ok(())
}
