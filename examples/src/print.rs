//! Plain, aligned output for a terminal.

/// Prints a heading with an empty line before it.
pub fn title(text: &str) {
    println!("\n{text}");
}

/// Prints an indented line.
pub fn text(text: &str) {
    println!("   {text}");
}

/// Prints rows under their column names, indented, each column as wide as its widest cell. The last column is not
/// padded, so put there what a terminal may show wider than its characters are many.
pub fn table<const N: usize>(columns: [&str; N], rows: &[[String; N]]) {
    if rows.is_empty() {
        return text("(no rows)");
    }
    let columns = columns.map(str::to_owned);
    let width = |column: usize| {
        let cells = std::iter::once(&columns).chain(rows).map(|row| row[column].chars().count());
        cells.max().unwrap_or(0)
    };
    let widths: [usize; N] = std::array::from_fn(width);
    for row in std::iter::once(&columns).chain(rows) {
        let cells: Vec<String> = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        text(cells.join("  ").trim_end());
    }
}

/// A value's text, or a dash for NULL.
pub fn or_dash<T: ToString>(value: Option<&T>) -> String {
    value.map_or_else(|| "-".to_owned(), ToString::to_string)
}

/// Bytes as people read them.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ")
}
