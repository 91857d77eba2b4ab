//! The files that inputs begin from: found cases under readable names, and words worth trying.
//! Knows where they are and how libFuzzer writes words; knows no target.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The folder of a target's files.
pub fn folder(target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target)
}

/// The file of a target's words.
pub fn dictionary(target: &str) -> PathBuf {
    folder(target).with_extension("dict")
}

/// A target's files, by name.
///
/// # Errors
/// What the system said.
pub fn files(target: &str) -> io::Result<Vec<(String, Vec<u8>)>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder(target))? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        files.push((name, fs::read(&path)?));
    }
    files.sort();
    Ok(files)
}

/// A target's words: one in quotes on each line, with `\\`, `\"` and `\xAB` in it.
///
/// # Errors
/// What the system said, or a line that is no word.
pub fn words(target: &str) -> io::Result<Vec<Vec<u8>>> {
    let text = fs::read_to_string(dictionary(target))?;
    let wrong = |line: &str| io::Error::other(format!("{target}.dict: no word: {line}"));
    text.lines().map(|line| word(line).ok_or_else(|| wrong(line))).collect()
}

fn word(line: &str) -> Option<Vec<u8>> {
    let mut rest = line.strip_prefix('"')?.strip_suffix('"')?.as_bytes();
    let mut word = Vec::new();
    while let Some((&first, behind)) = rest.split_first() {
        rest = behind;
        if first != b'\\' {
            word.push(first);
            continue;
        }
        match rest {
            [octet @ (b'\\' | b'"'), behind @ ..] => {
                word.push(*octet);
                rest = behind;
            }
            [b'x', high, low, behind @ ..] => {
                let digits = [*high, *low];
                word.push(u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?);
                rest = behind;
            }
            _ => return None,
        }
    }
    Some(word)
}

#[cfg(test)]
mod tests {
    use super::word;

    #[test]
    fn words_are_read_as_the_fuzzer_reads_them() {
        let cases: [(&str, Option<&[u8]>); 7] = [
            (r#""NOOP""#, Some(b"NOOP")),
            (r#""""#, Some(b"")),
            (r#""\x0d\x0A""#, Some(b"\r\n")),
            (r#""a\\\"b""#, Some(b"a\\\"b")),
            (r#""\n""#, None),
            (r#""\x1""#, None),
            ("NOOP", None),
        ];
        for (line, wanted) in cases {
            assert_eq!(word(line).as_deref(), wanted, "{line}");
        }
    }
}
