//! Which test programs cargo built, read from what it says in JSON.
//! Knows cargo's messages; runs nothing.

use std::path::PathBuf;

use serde_json::Value;

/// One test program.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TestProgram {
    /// Package and target, for people.
    pub(super) name: String,
    /// The program.
    pub(super) file: PathBuf,
    /// Its package's Cargo.toml.
    pub(super) manifest: PathBuf,
    /// Whether it is from a `tests` folder.
    pub(super) is_integration: bool,
}

/// Reads the test programs in the order in which people want them: small ones before whole servers.
pub(super) fn of(output: &str) -> Vec<TestProgram> {
    let messages = output.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let mut programs: Vec<TestProgram> = messages.filter_map(|message| program(&message)).collect();
    programs.sort_by(|one, other| {
        (one.is_integration, &one.name).cmp(&(other.is_integration, &other.name))
    });
    programs
}

fn program(message: &Value) -> Option<TestProgram> {
    if message["reason"] != "compiler-artifact" || message["profile"]["test"] != true {
        return None;
    }
    let manifest = PathBuf::from(message["manifest_path"].as_str()?);
    let target = &message["target"];
    let kind = target["kind"][0].as_str()?;
    let folder = manifest.parent()?.file_name()?.to_string_lossy().into_owned();
    Some(TestProgram {
        name: format!("{folder} {} ({kind})", target["name"].as_str()?),
        file: PathBuf::from(message["executable"].as_str()?),
        is_integration: kind == "test",
        manifest,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_programs_are_told_from_other_artifacts() {
        let artifact = |kind: &str, test: bool, executable: &str| {
            format!(
                r#"{{"reason":"compiler-artifact","manifest_path":"/w/queue/Cargo.toml","target":{{"kind":["{kind}"],"name":"it"}},"profile":{{"test":{test}}},"executable":{executable}}}"#
            )
        };
        let output = [
            artifact("test", true, "\"/t/whole\""),
            artifact("lib", false, "null"),
            artifact("lib", true, "\"/t/unit\""),
            artifact("bin", false, "\"/t/program\""),
            r#"{"reason":"build-finished","success":true}"#.to_owned(),
            "   Compiling something".to_owned(),
        ];
        let found = of(&output.join("\n"));
        let shown: Vec<_> =
            found.iter().map(|program| (program.name.as_str(), program.is_integration)).collect();
        assert_eq!(shown, [("queue it (lib)", false), ("queue it (test)", true)]);
    }
}
