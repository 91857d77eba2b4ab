//! `bench peers`: the scripts that set servers beside each other, one after the other, on one folder.
//! Knows the scripts by their names; what each measures, they know.

use std::path::{Path, PathBuf};
use std::process::Command;

use clap::{Args, ValueEnum};

use crate::fault::Fault;

#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// A folder on the disk to measure: not a memory file system, nor one mounted `discard`
    folder: PathBuf,
    /// Only this; without it everything
    only: Option<Part>,
}

/// What one script measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Accepting
    Table,
    /// Delivering
    Delivered,
}

impl Part {
    fn script(self) -> &'static str {
        match self {
            Self::Table => "table.sh",
            Self::Delivered => "delivered.sh",
        }
    }
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Fault> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let parts = arguments.only.map_or_else(|| Part::value_variants().to_vec(), |part| vec![part]);
    for name in parts.into_iter().map(Part::script) {
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
