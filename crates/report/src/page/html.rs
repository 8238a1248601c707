//! Pieces of HTML. Whatever comes from data goes through [`text`].

use attend_program::text::escaped;

/// Text from data as HTML: control characters and marks of writing direction are written
/// out, and no character is markup.
pub fn text(text: &str) -> String {
    let mut html = String::with_capacity(text.len());
    for c in escaped(text).chars() {
        match c {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            '\'' => html.push_str("&#39;"),
            c => html.push(c),
        }
    }
    html
}

/// A template with each `{{name}}` replaced by that value, in one pass: values are not looked
/// at. A name without a value stays.
pub fn filled(template: &str, values: &[(&str, &str)]) -> String {
    let mut parts = template.split("{{");
    let mut html = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let named = part.split_once("}}");
        let value = named.and_then(|(name, after)| {
            let (_, value) = values.iter().find(|(known, _)| *known == name)?;
            Some([*value, after])
        });
        html += &value.unwrap_or(["{{", part]).concat();
    }
    html
}

/// A table. Cells are HTML; the first of a row is its heading, the others are numbers.
pub fn table(caption: &str, head: &[impl AsRef<str>], rows: &[Vec<String>]) -> String {
    let column = |name: &str| match name {
        "" => "<td></td>".to_owned(),
        name => format!("<th scope=\"col\">{name}</th>"),
    };
    let cell = |(at, html): (usize, &String)| match at {
        0 => format!("<th scope=\"row\">{html}</th>"),
        _ => format!("<td>{html}</td>"),
    };
    let row = |cells: &Vec<String>| {
        let cells: String = cells.iter().enumerate().map(cell).collect();
        format!("<tr>{cells}</tr>\n")
    };
    let head: String = head.iter().map(|name| column(name.as_ref())).collect();
    let rows: String = rows.iter().map(row).collect();
    // On a narrow screen the table is scrolled, also by keyboard, and its caption is not.
    format!(
        "<p class=\"caption\">{caption}</p>\n<div class=\"scroll\" tabindex=\"0\" role=\"group\" aria-label=\"{caption}\"><table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{rows}</tbody>\n</table></div>\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_from_data_is_never_markup() {
        assert_eq!(
            text("</script>\u{202e}\"'&\u{0}"),
            "&lt;/script&gt;\\u{202e}&quot;&#39;&amp;\\u{0}"
        );
    }

    #[test]
    fn values_are_not_filled_in_again() {
        let values = [("a", "{{b}}"), ("b", "B")];
        assert_eq!(
            filled("<{{a}} {{b}} {{c}}> {{", &values),
            "<{{b}} B {{c}}> {{"
        );
    }
}
