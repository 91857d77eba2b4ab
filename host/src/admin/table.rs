//! Tables for a terminal.
//! Knows no row's meaning.

use std::fmt;

use stagepost_smtp::is_obeyed;

/// How far the cells are moved in that have no room beside the others.
const INDENT: usize = 4;

/// Writes rows with columns as wide as their widest cell. Where a width is asked for, and this is more, the last cells of each
/// row go below the others. Characters that a terminal obeys are shown as `?`: what plug-ins and clients say is no command to it.
pub(super) fn write_table(out: &mut fmt::Formatter<'_>, rows: &[Vec<String>]) -> fmt::Result {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        rows.iter()
            .filter_map(|row| row.get(column))
            .map(|cell| cell.chars().count())
            .max()
            .unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let beside = out.width().map_or(columns, |width| fitting(&widths, width));
    for row in rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths[..beside]) {
            line.push_str(&format!("{:width$}  ", plain(cell)));
        }
        writeln!(out, "{}", line.trim_end())?;
        if let (Some(below), Some(width)) = (row.get(beside..), out.width()) {
            write_below(out, below, width)?;
        }
    }
    Ok(())
}

/// How many columns have room beside each other.
fn fitting(widths: &[usize], most: usize) -> usize {
    let mut used = 0;
    let fit = widths.iter().take_while(|width| {
        used += **width + 2;
        used <= most + 2
    });
    fit.count().max(1)
}

/// Writes the cells that say something, as many in a line as have room.
fn write_below(out: &mut fmt::Formatter<'_>, cells: &[String], most: usize) -> fmt::Result {
    let mut line = String::new();
    for cell in cells.iter().filter(|cell| !matches!(cell.as_str(), "" | "-")) {
        let cell = plain(cell);
        if !line.is_empty() && INDENT + line.chars().count() + 2 + cell.chars().count() > most {
            writeln!(out, "{:INDENT$}{line}", "")?;
            line.clear();
        }
        if !line.is_empty() {
            line.push_str("  ");
        }
        line.push_str(&cell);
    }
    if line.is_empty() { Ok(()) } else { writeln!(out, "{:INDENT$}{line}", "") }
}

fn plain(cell: &str) -> String {
    cell.chars().map(|c| if is_obeyed(c) { '?' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Table(Vec<Vec<String>>);

    impl fmt::Display for Table {
        fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
            write_table(out, &self.0)
        }
    }

    #[test]
    fn what_has_no_room_beside_goes_below() {
        let row = |cells: &[&str]| cells.iter().map(|cell| (*cell).to_owned()).collect();
        let table = Table(vec![
            row(&["ID", "HELD", "SENDER", "TAGS", "LAST REASON"]),
            row(&["01J", "0", "<someone@client.test>", "", "451 4.7.1 some other time\u{1b}"]),
            row(&["01K", "10", "<>", "-", ""]),
            row(&["01L", "damaged"]),
        ]);
        let folded = "\
ID   HELD
    SENDER  TAGS  LAST REASON
01J  0
    <someone@client.test>
    451 4.7.1 some other time?
01K  10
    <>
01L  damaged
";
        assert_eq!(format!("{table:31}"), folded);
        let wide = table.to_string();
        assert_eq!(format!("{table:200}"), wide);
        assert_eq!(wide.lines().count(), 4);
        assert!(format!("{table:1}").starts_with("ID\n    HELD\n    SENDER\n"));
    }
}
