//! Renders a table as aligned text or as JSON.

use attend_program::table::{Align, Table};
use polars::prelude::{AnyValue, Column, DataFrame};
use serde_json::{Map, Value};

/// One JSON object per row.
pub(crate) fn rows(frame: &DataFrame) -> Vec<Value> {
    let row = |i| {
        let cells = frame.columns().iter().map(|column| {
            let value = column.get(i).unwrap_or(AnyValue::Null);
            (column.name().to_string(), cell(&value))
        });
        Value::Object(cells.collect::<Map<_, _>>())
    };
    (0..frame.height()).map(row).collect()
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
pub(crate) fn table(frame: &DataFrame) -> Table {
    let columns = frame.columns();
    let align = |column: &Column| match column.dtype().is_string() {
        true => Align::Left,
        false => Align::Right,
    };
    let mut table = Table::new(columns.iter().map(align).collect::<Vec<_>>()).indented();
    table.row(columns.iter().map(|column| column.name().replace('_', " ")));
    for row in rows(frame) {
        table.row(columns.iter().map(|column| {
            let name = column.name().as_str();
            let percent = name.ends_with("_coverage") || name.ends_with("_rate");
            text(&row[name], percent)
        }));
    }
    table
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
