//! Tables and sizes for people.

use std::fmt;

use qemu_argv::Size;
use qemuctl::qmp_client::Printable;

/// A table with a header; columns are as wide as their content.
#[derive(Debug)]
pub(crate) struct Table<const COLUMNS: usize>(Vec<[String; COLUMNS]>);

impl<const COLUMNS: usize> Table<COLUMNS> {
    pub(crate) fn new(head: [&str; COLUMNS]) -> Self {
        Self(vec![head.map(str::to_owned)])
    }

    pub(crate) fn row(&mut self, cells: [String; COLUMNS]) {
        // Cells are a single line, whatever a guest or a file name contains.
        self.0.push(cells.map(|cell| Printable::line(&cell).to_string().replace('\t', " ")));
    }
}

impl<const COLUMNS: usize> fmt::Display for Table<COLUMNS> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = |column: usize| self.0.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..COLUMNS).map(width).collect();
        for (number, row) in self.0.iter().enumerate() {
            let cells: Vec<String> =
                row.iter().zip(&widths).map(|(cell, &width)| format!("{cell:width$}")).collect();
            let end = if number == 0 { "" } else { "\n" };
            write!(f, "{end}{}", cells.join("  ").trim_end())?;
        }
        Ok(())
    }
}

/// Formats a number of bytes, rounded if the exact number would be long.
pub(crate) fn size(bytes: u64) -> String {
    let exact = Size::bytes(bytes).to_string();
    let mut rest = bytes;
    let mut unit = 0;
    while rest >= 1 << 20 {
        rest >>= 10;
        unit += 1;
    }
    if exact.ends_with('B') || bytes < 1 << 10 {
        return if exact.ends_with('B') { exact } else { format!("{exact}B") };
    }
    // Exact to a thousandth, which is more than is printed.
    let tenths = rest * 10 / 1024;
    format!("{}.{}{}", tenths / 10, tenths % 10, ["KiB", "MiB", "GiB", "TiB", "PiB"][unit.min(4)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_short() {
        let sizes = [0, 1, 1023, 1024, 1025, 1536, 1 << 20, 5_000_000, 20 << 30, (3 << 40) + 12345, u64::MAX];
        insta::assert_snapshot!(sizes.map(size).join(" "), @"0B 1B 1023B 1KiB 1.0KiB 1.5KiB 1MiB 4.7MiB 20GiB 3.0TiB 15.9PiB");
    }

    #[test]
    fn a_table_is_as_wide_as_its_cells() {
        let mut table = Table::new(["NAME", "STATE"]);
        table.row(["webserver".to_owned(), "run\x1bning".to_owned()]);
        insta::assert_snapshot!(table.to_string(), @"
        NAME       STATE
        webserver  run�ning
        ");
    }
}
