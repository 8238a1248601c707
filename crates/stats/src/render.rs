//! Renders a table as aligned text or as JSON.

use polars::prelude::{AnyValue, DataFrame};
use serde_json::{Map, Value};

/// One JSON object per row.
pub(crate) fn rows(table: &DataFrame) -> Vec<Value> {
    let row = |i| {
        let cells = table.columns().iter().map(|column| {
            let value = column.get(i).unwrap_or(AnyValue::Null);
            (column.name().to_string(), cell(&value))
        });
        Value::Object(cells.collect::<Map<_, _>>())
    };
    (0..table.height()).map(row).collect()
}

fn cell(value: &AnyValue) -> Value {
    if let Some(text) = value.get_str() {
        return text.into();
    }
    match value.is_integer() {
        true => value.extract::<i64>().into(),
        false => value.extract::<f64>().into(), // null, and what is no number
    }
}

/// Names on top, words to the left, numbers to the right, two decimals; what
/// is a fraction by its name (`…_coverage`, `…_rate`) in percent.
pub(crate) fn table(table: &DataFrame) -> String {
    let rows = rows(table);
    let columns = table.columns().iter().map(|column| {
        let name = column.name().as_str();
        let percent = name.ends_with("_coverage") || name.ends_with("_rate");
        let mut cells = vec![name.replace('_', " ")];
        cells.extend(rows.iter().map(|row| text(&row[name], percent)));
        let width = cells.iter().map(|c| c.chars().count()).max().unwrap_or(0);
        let is_text = column.dtype().is_string();
        let pad = move |c: String| match is_text {
            true => format!("  {c:<width$}"),
            false => format!("  {c:>width$}"),
        };
        cells.into_iter().map(pad).collect::<Vec<_>>()
    });
    let mut lines = vec![String::new(); rows.len() + 1];
    for column in columns {
        for (line, cell) in lines.iter_mut().zip(column) {
            line.push_str(&cell);
        }
    }
    lines
        .iter()
        .map(|line| format!("{}\n", line.trim_end()))
        .collect()
}

fn text(value: &Value, percent: bool) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Number(n) if !n.is_f64() => n.to_string(),
        Value::Number(n) => match (n.as_f64(), percent) {
            (Some(x), true) => format!("{:.2} %", 100.0 * x),
            (Some(x), false) => format!("{x:.2}"),
            (None, _) => n.to_string(),
        },
        _ => "-".into(),
    }
}
