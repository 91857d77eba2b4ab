//! Tables for a terminal.
//! Knows no row's meaning.

use std::fmt;

use stagepost_smtp::is_obeyed;

/// Writes rows with columns as wide as their widest cell. Characters that a terminal obeys are shown as
/// `?`: what plug-ins and clients say is no command to it.
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
    for row in rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            let plain: String = cell.chars().map(|c| if is_obeyed(c) { '?' } else { c }).collect();
            line.push_str(&format!("{plain:width$}  "));
        }
        writeln!(out, "{}", line.trim_end())?;
    }
    Ok(())
}
