//! Which column of a table holds what.

use crate::config;

/// Usual names of the columns of images, captions and splits, in lower case with `_`.
const IMAGES: [&str; 22] = [
    "image",
    "image_bytes",
    "img_bytes",
    "bytes",
    "jpg",
    "jpeg",
    "png",
    "image_path",
    "image_name",
    "image_file",
    "image_filename",
    "img",
    "img_path",
    "img_name",
    "file",
    "file_name",
    "filename",
    "file_path",
    "filepath",
    "path",
    "photo",
    "picture",
];
const CAPTIONS: [&str; 14] = [
    "caption",
    "captions",
    "text",
    "texts",
    "sentence",
    "sentences",
    "comment",
    "comments",
    "description",
    "descriptions",
    "raw",
    "sentences_raw",
    "caption_text",
    "alt_text",
];
const SPLITS: [&str; 4] = ["split", "set", "subset", "partition"];
/// Usual names of the columns of ids; the first that is present counts.
const IMAGE_IDS: [&str; 5] = ["cocoid", "image_id", "img_id", "imgid", "imageid"];
const CAPTION_IDS: [&str; 5] = [
    "caption_id",
    "caption_ids",
    "sentid",
    "sentids",
    "sentence_id",
];

/// The columns of a table by what they hold, as indices.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chosen {
    /// The image.
    pub image: usize,
    /// Its captions.
    pub captions: Vec<usize>,
    /// Its split.
    pub split: Option<usize>,
    /// Its id.
    pub id: Option<usize>,
    /// Whether the id may be the caption's: the column is called `id` only.
    pub id_of_any: bool,
    /// The ids of its captions.
    pub caption_ids: Option<usize>,
}

/// Why columns can't be chosen.
#[derive(Clone, Debug)]
pub struct Undecided {
    /// What is missing or could be several columns, and the key that decides.
    pub why: String,
    /// The key of `dataset.columns` and the columns that it could name.
    pub choices: Option<(&'static str, Vec<String>)>,
}

impl From<String> for Undecided {
    fn from(why: String) -> Undecided {
        Undecided { why, choices: None }
    }
}

/// Chooses among `columns`, of which those in `photographs` hold bytes. `given` names are
/// never overruled.
///
/// # Errors
/// What is missing, or could be two things, and the key that decides.
pub fn choose(
    columns: &[String],
    photographs: &[usize],
    given: &config::Columns,
) -> Result<Chosen, Undecided> {
    let names: Vec<String> = columns.iter().map(|name| folded(name)).collect();
    let usual = |known: &[&str]| -> Vec<usize> {
        let named = |at: &usize| known.contains(&&*names[*at]);
        (0..names.len()).filter(named).collect()
    };
    let unnamed = unnamed(columns);
    let image = match &*given.image {
        "" if unnamed => vec![0],
        "" => {
            let (named, text) = (usual(&IMAGES), |at: &&usize| {
                let known = [&CAPTIONS[..], &SPLITS, &IMAGE_IDS, &CAPTION_IDS].concat();
                !known.contains(&unnumbered(&names[**at]))
            });
            let bytes: Vec<usize> = photographs.iter().filter(text).copied().collect();
            let both: Vec<usize> = bytes
                .iter()
                .filter(|at| named.contains(at))
                .copied()
                .collect();
            if both.is_empty() {
                [named, bytes].concat()
            } else {
                both
            }
        }
        name => vec![find(columns, name)?],
    };
    let image = match image.as_slice() {
        [one] => *one,
        [] => return Err(lacking("image", columns).into()),
        several => return Err(several_of("image", several, columns)),
    };
    let captions: Vec<usize> = match &*given.caption {
        "" if unnamed && columns.len() > 1 => vec![1],
        "" => {
            let mut found: Vec<usize> = (0..names.len())
                .filter(|at| *at != image && CAPTIONS.contains(&unnumbered(&names[*at])))
                .collect();
            found.dedup_by_key(|at| unnumbered(&names[*at]));
            match found.as_slice() {
                [] => return Err(lacking("caption", columns).into()),
                [one] => numbered(&names, unnumbered(&names[*one])),
                several => return Err(several_of("caption", several, columns)),
            }
        }
        name => match find(columns, name) {
            Ok(one) => vec![one],
            Err(why) => match numbered(&names, &folded(name)) {
                found if found.is_empty() => return Err(why.into()),
                found => found,
            },
        },
    };
    let split = match &*given.split {
        "" => match usual(&SPLITS).as_slice() {
            [] => None,
            [one] => Some(*one),
            several => return Err(several_of("split", several, columns)),
        },
        name => Some(find(columns, name)?),
    };
    let first = |known: &[&str]| {
        known
            .iter()
            .find_map(|name| usual(&[name]).first().copied())
    };
    let (id, id_of_any) = match &*given.id {
        "" => match first(&IMAGE_IDS) {
            Some(id) => (Some(id), false),
            None => (first(&["id"]), true),
        },
        name => (Some(find(columns, name)?), false),
    };
    Ok(Chosen {
        image,
        captions,
        split,
        id: id.filter(|at| *at != image),
        id_of_any,
        caption_ids: first(&CAPTION_IDS),
    })
}

/// Whether columns have numbers for names, as those of a table without header, in which the
/// image comes first and then its caption.
pub fn unnamed(columns: &[String]) -> bool {
    let numbers = (1..).zip(columns);
    let mut named = numbers.map(|(number, name)| *name == number.to_string());
    !columns.is_empty() && named.all(|is_number| is_number)
}

/// A name without differences of case, spaces around it, and of `-`, ` ` and `_`.
fn folded(name: &str) -> String {
    name.trim().to_lowercase().replace(['-', ' ', '.'], "_")
}

/// The name without a number: `caption_2` is another `caption`.
fn unnumbered(name: &str) -> &str {
    let short = name.trim_end_matches(|c: char| c.is_ascii_digit());
    short.trim_end_matches('_')
}

/// All columns that are called `base`, with or without a number.
fn numbered(names: &[String], base: &str) -> Vec<usize> {
    let named = |at: &usize| unnumbered(&names[*at]) == base;
    (0..names.len()).filter(named).collect()
}

/// The column of this name.
fn find(columns: &[String], name: &str) -> Result<usize, String> {
    let exact = columns.iter().position(|column| column == name);
    let found = exact.or_else(|| {
        columns
            .iter()
            .position(|column| folded(column) == folded(name))
    });
    found.ok_or_else(|| {
        format!(
            "has no column {name:?} (dataset.columns); it has {}",
            list(columns)
        )
    })
}

fn lacking(what: &str, columns: &[String]) -> String {
    format!(
        "no column has a usual name of {what}s; it has {}; name it: dataset.columns = {{ {what} = \"…\" }}",
        list(columns)
    )
}

fn several_of(what: &'static str, found: &[usize], columns: &[String]) -> Undecided {
    let names: Vec<String> = found.iter().map(|at| columns[*at].clone()).collect();
    let quoted: Vec<String> = names.iter().map(|name| format!("{name:?}")).collect();
    let why = format!(
        "the columns {} could each be the {what}; choose one: dataset.columns = {{ {what} = {} }}",
        quoted.join(" and "),
        quoted[0]
    );
    Undecided {
        why,
        choices: Some((what, names)),
    }
}

/// A few names, for messages.
fn list(columns: &[String]) -> String {
    const SHOWN: usize = 12;
    let shown: Vec<String> = columns
        .iter()
        .take(SHOWN)
        .map(|name| format!("{name:?}"))
        .collect();
    let more = match columns.len().saturating_sub(SHOWN) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!("{}{more}", shown.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(columns: &[&str], given: &config::Columns) -> Result<Chosen, String> {
        let because = |undecided: Undecided| undecided.why;
        let columns: Vec<String> = columns.iter().map(|name| (*name).to_owned()).collect();
        choose(&columns, &[], given).map_err(because)
    }

    #[test]
    fn usual_names_of_what_people_have() {
        for (columns, image, captions, split, id) in [
            (&["image", "caption"][..], 0, &[1][..], None, None),
            (
                &["image_name", " comment_number", " comment"],
                0,
                &[2],
                None,
                None,
            ),
            (&["split", "file_name", "Text"], 1, &[2], Some(0), None),
            (
                &["caption_0", "image", "caption_1", "id"],
                1,
                &[0, 2],
                None,
                Some(3),
            ),
            (
                &["imgid", "cocoid", "filename", "raw", "id"],
                2,
                &[3],
                None,
                Some(1),
            ),
        ] {
            let found = chosen(columns, &config::Columns::default()).unwrap();
            assert_eq!(
                (found.image, &*found.captions, found.split, found.id),
                (image, captions, split, id),
                "{columns:?}"
            );
        }
    }

    #[test]
    fn two_columns_that_could_be_one_are_named_with_the_key() {
        for (columns, words) in [
            (
                &["image", "caption", "text"][..],
                r#"columns "caption" and "text" could each be the caption"#,
            ),
            (
                &["image", "file_name", "text"],
                r#"dataset.columns = { image = "image" }"#,
            ),
            (
                &["image", "text", "set", "split"],
                "could each be the split",
            ),
            (
                &["image", "titel"],
                r#"dataset.columns = { caption = "…" }"#,
            ),
            (&["url", "caption"], "usual name of images"),
        ] {
            let why = chosen(columns, &config::Columns::default()).unwrap_err();
            assert!(why.contains(words), "{why}");
        }
        let given = config::Columns {
            image: "file_name".into(),
            caption: "title".into(),
            ..config::Columns::default()
        };
        let found = chosen(&["image", "file_name", "title1", "title2", "text"], &given).unwrap();
        assert_eq!((found.image, found.captions), (1, vec![2, 3]));
        let why = chosen(&["file_name", "text"], &given).unwrap_err();
        assert!(
            why.contains(r#"no column "title" (dataset.columns); it has "file_name", "text""#),
            "{why}"
        );
    }
}
