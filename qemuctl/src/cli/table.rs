//! Tables and sizes for people.

use std::fmt;

use anstyle::Style;
use qemu_argv::Size;
use qemuctl::qmp_client::Printable;
use unicode_width::UnicodeWidthStr;

/// A table with a header; columns are as wide as their content.
#[derive(Debug)]
pub(crate) struct Table<const COLUMNS: usize>(Vec<[Cell; COLUMNS]>);

#[derive(Debug)]
struct Cell {
    text: String,
    style: Style,
}

impl<const COLUMNS: usize> Table<COLUMNS> {
    pub(crate) fn new(head: [&str; COLUMNS]) -> Self {
        Self(vec![head.map(|text| Cell { text: text.to_owned(), style: Style::new() })])
    }

    pub(crate) fn row(&mut self, cells: [String; COLUMNS]) {
        // Cells are a single line, whatever a guest or a file name contains.
        let text = |cell: String| Printable::line(&cell).to_string().replace('\t', " ");
        self.0.push(cells.map(|cell| Cell { text: text(cell), style: Style::new() }));
    }

    /// Sets the style of a cell in the last row.
    pub(crate) fn style(&mut self, column: usize, style: Style) {
        if let Some(cell) = self.0.last_mut().and_then(|row| row.get_mut(column)) {
            cell.style = style;
        }
    }
}

impl<const COLUMNS: usize> fmt::Display for Table<COLUMNS> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A terminal shows some characters two cells wide, and others on top of the one before.
        let width = |column: usize| self.0.iter().map(|row| row[column].text.width()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..COLUMNS).map(width).collect();
        for (number, row) in self.0.iter().enumerate() {
            let last = row.iter().rposition(|cell| !cell.text.is_empty()).unwrap_or(0);
            f.write_str(if number == 0 { "" } else { "\n" })?;
            for (column, Cell { text, style }) in row.iter().enumerate().take(last + 1) {
                write!(f, "{style}{text}{style:#}")?;
                if column < last {
                    write!(f, "{:1$}", "", widths[column].saturating_sub(text.width()) + 2)?;
                }
            }
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

    #[test]
    fn cells_are_measured_as_a_terminal_shows_them() {
        let mut table = Table::new(["NAME", "STATE", "ENDED"]);
        for name in ["日本", "e\u{301}te\u{301}", "web"] {
            table.row([name.to_owned(), "running".to_owned(), String::new()]);
        }
        table.style(1, anstyle::AnsiColor::Green.on_default());
        assert_eq!(
            table.to_string().replace('\x1b', "^"),
            "NAME  STATE    ENDED\n日本  running\ne\u{301}te\u{301}   running\nweb   ^[32mrunning^[0m"
        );
    }
}
