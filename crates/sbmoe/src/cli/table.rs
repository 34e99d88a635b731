//! Tables for people: columns as wide as their widest cell, two blanks between them, no lines and no colour.

/// How the cells of a column stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Align {
    /// Words.
    Left,
    /// Numbers, so that their digits stand below each other.
    Right,
}

/// Rows of cells, the first of them the headings. Widths are counted in characters.
#[derive(Debug)]
pub(super) struct Table {
    columns: Vec<Align>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these columns: a heading and an alignment each.
    pub(super) fn new<H: Into<String>>(columns: impl IntoIterator<Item = (H, Align)>) -> Self {
        let (headings, columns) = columns.into_iter().map(|(heading, align)| (heading.into(), align)).unzip();
        Self { columns, rows: vec![headings] }
    }

    /// Adds a row, one cell a column.
    pub(super) fn push(&mut self, cells: impl IntoIterator<Item = String>) {
        let row: Vec<String> = cells.into_iter().collect();
        debug_assert_eq!(row.len(), self.columns.len(), "one cell a column");
        self.rows.push(row);
    }

    /// The lines of the table, without blanks at their ends.
    pub(super) fn lines(&self) -> impl Iterator<Item = String> {
        let width =
            |column: usize| self.rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..self.columns.len()).map(width).collect();
        self.rows.iter().map(move |row| {
            let cells =
                row.iter().zip(&self.columns).zip(&widths).map(|((cell, align), &width)| match align {
                    Align::Left => format!("{cell:<width$}"),
                    Align::Right => format!("{cell:>width$}"),
                });
            cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Align, Table};

    #[test]
    fn words_stand_left_and_numbers_right() {
        let mut table = Table::new([("name", Align::Left), ("n", Align::Right), ("note", Align::Left)]);
        table.push(["Ærø", "7", ""].map(str::to_owned));
        table.push(["a longer name", "1234", "seen"].map(str::to_owned));
        let lines: Vec<String> = table.lines().collect();
        assert_eq!(
            lines,
            ["name              n  note", "Ærø               7", "a longer name  1234  seen"],
            "columns line up and no line ends in blanks"
        );
    }
}
