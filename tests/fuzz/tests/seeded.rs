//! Every target with its corpus and with inputs from a seed: the short run that needs no fuzzer.

use std::panic;

use stagepost_fuzz::seeded::Seed;
use stagepost_fuzz::{TARGETS, Target, corpus};

/// Inputs made for each target.
const INPUTS: u64 = 5000;

/// Tries an input; keeps it when something does not hold, so that it can become a file of the corpus.
fn check(target: &Target, input: &[u8], origin: &str) {
    if let Err(panic) = panic::catch_unwind(|| (target.run)(input)) {
        let file = std::env::temp_dir().join(format!("{}-{origin}", target.name));
        let kept =
            std::fs::write(&file, input).map_or_else(|error| error.to_string(), |()| "kept".into());
        eprintln!("{} {origin}: {}: {kept}", target.name, file.display());
        panic::resume_unwind(panic);
    }
}

fn run(name: &str) {
    let target = stagepost_fuzz::target(name).expect("a target");
    let files = corpus::files(name).expect("a corpus");
    assert!(!files.is_empty(), "{name} has no corpus");
    for (file, input) in &files {
        check(target, input, file);
    }
    let words = corpus::words(name).expect("words");
    let files: Vec<_> = files.into_iter().map(|(_, input)| input).collect();
    for number in 0..INPUTS {
        let input = Seed::new(number).input(target, &words, &files);
        check(target, &input, &format!("seed-{number}"));
    }
}

/// A test for each target, and one that none was forgotten.
macro_rules! targets {
    ($($name:ident)*) => {
        $(
            #[test]
            fn $name() {
                run(stringify!($name));
            }
        )*

        #[test]
        fn every_target_has_its_test() {
            let names: Vec<_> = TARGETS.iter().map(|target| target.name).collect();
            assert_eq!(names, [$(stringify!($name)),*]);
        }
    };
}

targets!(line command address data bdat reply receiving sending descriptor edits);
