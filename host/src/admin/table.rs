//! Tables for a terminal.
//! Knows no row's meaning.

use std::fmt;

/// Writes rows with columns as wide as their widest cell. What a plug-in says of itself has its control
/// characters shown as `?`: they are no commands to a terminal.
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
            let plain: String =
                cell.chars().map(|c| if c.is_control() { '?' } else { c }).collect();
            line.push_str(&format!("{plain:width$}  "));
        }
        writeln!(out, "{}", line.trim_end())?;
    }
    Ok(())
}
