//! Each octet of a journal, damaged: what is read back is what was written, as far as it goes, or it is refused.

use std::path::Path;
use std::sync::Arc;

use crate::local::fault::NoFaults;
use crate::local::journal::{Journal, JournalError};

const GROUPS: [&[u8]; 3] = [b"the first group", b"the second, which is longer", b"the third"];

/// A journal with these groups; the one segment there is.
fn journal(folder: &Path) -> (std::path::PathBuf, Vec<u8>) {
    let mut journal = Journal::open(folder, Arc::new(NoFaults), 0, None, |_| Ok(())).unwrap();
    journal.begin(None).unwrap();
    for group in GROUPS {
        journal.group().extend_from_slice(group);
        journal.write(|_| unreachable!("there is room")).unwrap();
    }
    drop(journal);
    let path = folder.join("000001.segment");
    let octets = std::fs::read(&path).unwrap();
    (path, octets)
}

fn read(folder: &Path) -> Result<usize, JournalError> {
    let mut found = 0;
    Journal::open(folder, Arc::new(NoFaults), 0, None, |group| {
        assert_eq!(group, GROUPS[found]);
        found += 1;
        Ok(())
    })?;
    Ok(found)
}

/// Where each group begins, and where the last one ends.
fn places(octets: &[u8]) -> Vec<usize> {
    let mut at = 48;
    let mut places = vec![at];
    for group in GROUPS {
        assert_eq!(&octets[at + 24..at + 24 + group.len()], group);
        at += (24 + group.len()).next_multiple_of(8);
        places.push(at);
    }
    places
}

#[test]
fn a_journal_written_up_to_any_octet_has_all_groups_before() {
    let folder = tempfile::tempdir().unwrap();
    let (path, octets) = journal(folder.path());
    let places = places(&octets);
    for end in 48..places[3] {
        let mut torn = octets.clone();
        torn[end..].fill(0);
        std::fs::write(&path, torn).unwrap();
        let whole = |group: usize| places[group] + 24 + GROUPS[group].len() <= end;
        let wanted = (0..3).take_while(|group| whole(*group)).count();
        assert_eq!(read(folder.path()).unwrap(), wanted, "{end}");
    }
}

#[test]
fn a_journal_cut_at_any_octet_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (path, octets) = journal(folder.path());
    for end in (0..400).chain((400..octets.len()).step_by(4099)) {
        std::fs::write(&path, &octets[..end]).unwrap();
        assert!(matches!(read(folder.path()), Err(JournalError::Cut { .. })), "{end}");
    }
}

#[test]
fn a_journal_with_any_octet_changed_is_refused_unless_a_crash_may_have_left_it_so() {
    let folder = tempfile::tempdir().unwrap();
    let (path, octets) = journal(folder.path());
    let places = places(&octets);
    let ends: Vec<usize> = (0..3).map(|group| places[group] + 24 + GROUPS[group].len()).collect();
    for at in 0..places[3] {
        for bit in [1, 0x80] {
            let mut changed = octets.clone();
            changed[at] ^= bit;
            std::fs::write(&path, changed).unwrap();
            let found = read(folder.path());
            let said = format!("octet {at}: {found:?}");
            match at {
                0..44 => {
                    assert!(matches!(found, Err(JournalError::Headless { first: 1, .. })), "{said}")
                }
                // What fills up heads and groups says nothing.
                44..48 => assert_eq!(found.unwrap(), 3),
                _ if (0..3).any(|group| (ends[group]..places[group + 1]).contains(&at)) => {
                    assert_eq!(found.unwrap(), 3, "{at}");
                }
                _ if at >= places[2] => assert_eq!(found.unwrap(), 2, "{at}"),
                _ => assert!(matches!(found, Err(JournalError::Damaged { .. })), "{said}"),
            }
        }
    }
}
