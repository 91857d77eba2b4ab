//! Figures of several rounds: their medians, as a table or as JSON.

use serde_json::{Map, Value, json};

use crate::fault::Fault;

/// A column: its key in JSON, its title in the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Column {
    pub(crate) key: &'static str,
    pub(crate) title: &'static str,
}

/// Replies that were not what they should be, and connections that broke.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Errors {
    count: u64,
    first: Option<String>,
}

/// What one visit to one target gave.
#[derive(Clone, Debug, Default)]
pub(crate) struct Round {
    /// Messages or sessions that succeeded.
    pub(crate) done: u64,
    pub(crate) figures: Vec<(Column, Option<f64>)>,
    pub(crate) errors: Errors,
}

/// All rounds of one target.
#[derive(Debug)]
pub(crate) struct Report {
    target: String,
    done: u64,
    columns: Vec<(Column, Vec<f64>)>,
    errors: Errors,
}

impl Errors {
    pub(crate) fn add(&mut self, text: String) {
        self.count += 1;
        self.first.get_or_insert(text);
    }

    /// Adds those of a later part.
    pub(crate) fn merge(&mut self, later: Self) {
        self.count += later.count;
        if self.first.is_none() {
            self.first = later.first;
        }
    }
}

impl Report {
    pub(crate) fn new(target: String) -> Self {
        Self { target, done: 0, columns: Vec::new(), errors: Errors::default() }
    }

    /// Returns the table, one row for each target.
    fn table(what: &str, settings: &Value, reports: &[Self]) -> String {
        let mut rows = vec![Self::head(reports)];
        rows.extend(reports.iter().map(Self::row));
        let widths: Vec<usize> = (0..rows[0].len())
            .map(|at| rows.iter().map(|row| row[at].chars().count()).max().unwrap_or(0))
            .collect();
        let mut table = format!("{what} {settings}; median (min..max)\n");
        for row in rows {
            let cells = row.iter().zip(&widths).enumerate().map(|(at, (cell, &width))| {
                if at == 0 { format!("{cell:width$}") } else { format!("{cell:>width$}") }
            });
            table.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
            table.push('\n');
        }
        for report in reports {
            if let Some(first) = &report.errors.first {
                table.push_str(&format!("{}: first error: {first}\n", report.target));
            }
        }
        table
    }

    pub(crate) fn add(&mut self, round: Round) {
        self.done += round.done;
        self.errors.merge(round.errors);
        for (column, value) in round.figures {
            let at = self.columns.iter().position(|(known, _)| *known == column);
            let at = at.unwrap_or_else(|| {
                self.columns.push((column, Vec::new()));
                self.columns.len() - 1
            });
            self.columns[at].1.extend(value);
        }
    }

    /// Prints the reports as a table, or as a line of JSON each. A report that is empty is a fault.
    pub(crate) fn print(
        what: &str,
        settings: &Value,
        reports: &[Self],
        json: bool,
    ) -> Result<(), Fault> {
        if json {
            reports.iter().for_each(|report| println!("{}", report.to_json(what, settings)));
        } else {
            print!("{}", Self::table(what, settings, reports));
        }
        reports.iter().try_for_each(Self::check)
    }

    fn to_json(&self, what: &str, settings: &Value) -> Value {
        let mut line = Map::new();
        line.insert("measured".to_owned(), json!(what));
        line.insert("target".to_owned(), json!(self.target));
        line.insert("settings".to_owned(), settings.clone());
        line.insert("done".to_owned(), json!(self.done));
        line.insert("errors".to_owned(), json!(self.errors.count));
        line.insert("first_error".to_owned(), json!(self.errors.first));
        for (column, values) in &self.columns {
            let figure = median(values).map(|(median, min, max)| {
                json!({ "median": median, "min": min, "max": max, "rounds": values.len() })
            });
            line.insert(column.key.to_owned(), json!(figure));
        }
        Value::Object(line)
    }

    /// A target that did nothing at all was not measured.
    fn check(&self) -> Result<(), Fault> {
        if self.done > 0 {
            return Ok(());
        }
        let first = self.errors.first.as_deref().unwrap_or("no reply in time");
        Err(Fault::Target { target: self.target.clone(), reason: format!("nothing done: {first}") })
    }

    fn head(reports: &[Self]) -> Vec<String> {
        let titles = reports.first().map(|report| report.columns.iter().map(|(c, _)| c.title));
        let titles = titles.into_iter().flatten();
        ["target"].into_iter().chain(titles).chain(["errors"]).map(str::to_owned).collect()
    }

    fn row(&self) -> Vec<String> {
        let mut row = vec![self.target.clone()];
        row.extend(self.columns.iter().map(|(_, values)| cell(values)));
        row.push(self.errors.count.to_string());
        row
    }
}

fn cell(values: &[f64]) -> String {
    match median(values) {
        None => "-".to_owned(),
        Some((median, ..)) if values.len() == 1 => digits(median),
        Some((median, min, max)) => {
            format!("{} ({}..{})", digits(median), digits(min), digits(max))
        }
    }
}

/// Three significant digits, no more.
fn digits(value: f64) -> String {
    let decimals = match value.abs() {
        100.0.. => 0,
        10.0.. => 1,
        _ => 2,
    };
    format!("{value:.decimals$}")
}

/// Returns median, least and greatest.
fn median(values: &[f64]) -> Option<(f64, f64, f64)> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let (&min, &max) = (sorted.first()?, sorted.last()?);
    let (low, high) = (sorted[(sorted.len() - 1) / 2], sorted[sorted.len() / 2]);
    Some((f64::midpoint(low, high), min, max))
}

#[cfg(test)]
mod tests {
    use super::{Column, Errors, Report, Round, cell, json};

    const RATE: Column = Column { key: "per_second", title: "messages/s" };
    const CPU: Column = Column { key: "cpu_us", title: "CPU µs" };

    fn report() -> Report {
        let mut report = Report::new("a".to_owned());
        for (done, rate) in [(5, 100.0), (6, 300.0), (7, 200.0)] {
            let mut errors = Errors::default();
            errors.add(format!("552 after {done}"));
            report.add(Round { done, figures: vec![(RATE, Some(rate)), (CPU, None)], errors });
        }
        report
    }

    #[test]
    fn cells() {
        let cases: [(&[f64], &str); 6] = [
            (&[], "-"),
            (&[12.34], "12.3"),
            (&[0.0], "0.00"),
            (&[1234.5, 1000.0], "1117 (1000..1234)"),
            (&[3.0, 1.0, 2.0], "2.00 (1.00..3.00)"),
            (&[100.0, 99.0, 9.0], "99.0 (9.00..100)"),
        ];
        for (values, expected) in cases {
            assert_eq!(cell(values), expected, "{values:?}");
        }
    }

    #[test]
    fn table_and_json() {
        let settings = json!({ "sessions": 1 });
        let table = Report::table("load", &settings, &[report()]);
        let expected = "load {\"sessions\":1}; median (min..max)\n\
                        target      messages/s  CPU µs  errors\n\
                        a       200 (100..300)       -       3\n\
                        a: first error: 552 after 5\n";
        assert_eq!(table, expected);
        let line = report().to_json("load", &settings);
        assert_eq!(line["done"], 18);
        assert_eq!(line["per_second"]["median"], 200.0);
        assert_eq!(line["cpu_us"], json!(null));
        assert_eq!(line["first_error"], "552 after 5");
    }

    #[test]
    fn a_target_that_did_nothing() {
        assert!(report().check().is_ok());
        let fault = Report::new("b".to_owned()).check().expect_err("nothing done").to_string();
        assert_eq!(fault, "target b: nothing done: no reply in time");
    }
}
