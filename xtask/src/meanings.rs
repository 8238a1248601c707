//! What parameters take and mean, read from the sources: the fields of a stage's config
//! structs, with their doc comments.

use attend_program::{At, Error, Result};
use std::collections::BTreeMap;
use std::path::Path;
use syn::{Attribute, Expr, Field, Fields, GenericArgument, Item, Lit, Meta, PathArguments, Type};

/// What a parameter takes, and what it means.
#[derive(Clone, Debug, PartialEq)]
pub struct Meaning {
    /// What values it takes, in words.
    pub takes: String,
    /// The doc comment of its field; for a choice, that of each value, too.
    pub text: String,
}

/// Section -> key -> meaning.
pub type Meanings = BTreeMap<String, BTreeMap<String, Meaning>>;

/// The structs and enums of all crates.
pub struct Sources(Vec<Definition>);

struct Definition {
    crate_name: String,
    /// The file's name without `.rs`.
    file: String,
    item: Item,
}

impl Sources {
    /// Reads the sources of the crates in a folder.
    ///
    /// # Errors
    /// [`Error::Internal`] naming a file that can't be read.
    pub fn read(crates: &Path) -> Result<Sources> {
        let mut sources = Sources(Vec::new());
        for entry in crates.read_dir().at(crates)?.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            sources.add(&name, &entry.path().join("src"))?;
        }
        Ok(sources)
    }

    fn add(&mut self, crate_name: &str, folder: &Path) -> Result<()> {
        for entry in folder.read_dir().at(folder)?.flatten() {
            let path = entry.path();
            if path.is_dir() {
                self.add(crate_name, &path)?;
            } else if path.extension().is_some_and(|end| end == "rs") {
                let text = std::fs::read_to_string(&path).at(&path)?;
                let file = path.file_stem().unwrap_or_default().to_string_lossy();
                let items = syn::parse_file(&text).at(&path)?.items.into_iter();
                let kept = items.filter(|item| matches!(item, Item::Struct(_) | Item::Enum(_)));
                self.0.extend(kept.map(|item| Definition {
                    crate_name: crate_name.to_owned(),
                    file: file.clone().into_owned(),
                    item,
                }));
            }
        }
        Ok(())
    }

    /// The parameters of a crate's stage: those of its struct that has exactly these
    /// sections as fields.
    ///
    /// # Errors
    /// [`Error::Internal`] if there is no such struct, or a parameter has no doc comment.
    pub fn parameters(&self, crate_name: &str, sections: &[&str]) -> Result<Meanings> {
        let is_config = |definition: &&Definition| {
            let fields = fields(&definition.item);
            let names: Vec<String> = fields.iter().filter_map(|field| name(field)).collect();
            definition.crate_name == crate_name
                && names.len() == sections.len()
                && sections.iter().all(|s| names.iter().any(|name| name == s))
        };
        let config = self.0.iter().find(is_config).ok_or_else(|| {
            let sections = sections.join("], [");
            Error::internal(format!(
                "crates/{crate_name}: no struct has the sections [{sections}] as its fields"
            ))
        })?;
        let mut meanings = Meanings::new();
        for field in fields(&config.item) {
            let section = name(field).unwrap_or_default();
            let mut keys = BTreeMap::new();
            self.keys(config, &field.ty, &section, &mut keys)?;
            meanings.insert(section, keys);
        }
        Ok(meanings)
    }

    /// Adds the parameters that a struct has as fields.
    fn keys(
        &self,
        user: &Definition,
        of: &Type,
        section: &str,
        keys: &mut BTreeMap<String, Meaning>,
    ) -> Result<()> {
        let definition = self.find(user, of).ok_or_else(|| {
            Error::internal(format!("[{section}]: its struct is not in the sources"))
        })?;
        for field in fields(&definition.item) {
            let key = name(field).unwrap_or_default();
            if serde(&field.attrs)
                .iter()
                .any(|(word, _)| word == "flatten")
            {
                self.keys(definition, &field.ty, section, keys)?;
                continue;
            }
            let mut meaning = Meaning {
                takes: self.takes(definition, &field.ty),
                text: doc(&field.attrs),
            };
            let choices = self.choices(definition, &field.ty);
            let named = |(value, _): &(String, String)| {
                let bare = value.replace('"', "");
                meaning.text.contains(&bare)
            };
            if !choices.iter().all(named) {
                let explained = choices.iter().filter(|(_, text)| !text.is_empty());
                let explained: String =
                    explained.map(|(v, text)| format!(" {v}: {text}")).collect();
                meaning.text += &explained;
            }
            if meaning.text.is_empty() || meaning.text.contains("::") {
                return Err(Error::internal(format!(
                    "crates/{}: {section}.{key} needs a doc comment for readers of docs/parameters.md",
                    definition.crate_name
                )));
            }
            keys.insert(key, meaning);
        }
        Ok(())
    }

    /// What values a type takes, in the words of the messages about wrong ones.
    fn takes(&self, user: &Definition, of: &Type) -> String {
        if let Type::Array(array) = of {
            let of = self.takes(user, &array.elem);
            let of = of.trim_start_matches("a ");
            return match &array.len {
                Expr::Lit(len) => match &len.lit {
                    Lit::Int(len) => format!("a list of {len} {of}s"),
                    _ => format!("a list of {of}s"),
                },
                _ => format!("a list of {of}s"),
            };
        }
        let Some((word, inner)) = last_segment(of) else {
            return "a value".to_owned();
        };
        match (word.as_str(), inner) {
            ("bool", _) => "true or false".to_owned(),
            ("String" | "PathBuf", _) => "a string".to_owned(),
            ("f32" | "f64", _) => "a number".to_owned(),
            ("u8" | "u16" | "u32" | "u64" | "usize" | "i32" | "i64", _) => {
                "a whole number".to_owned()
            }
            ("Option", Some(inner)) => self.takes(user, inner),
            ("Vec", Some(inner)) => match self.choices(user, inner).is_empty() {
                true => {
                    let of = self.takes(user, inner);
                    format!("a list of {}s", of.trim_start_matches("a "))
                }
                false => format!("a list of: {}", self.values(user, inner)),
            },
            ("BTreeMap" | "Map", _) => "a table".to_owned(),
            _ if !self.choices(user, of).is_empty() => self.values(user, of),
            _ => self.alternatives(user, of),
        }
    }

    fn values(&self, user: &Definition, of: &Type) -> String {
        let values = self.choices(user, of);
        let values: Vec<String> = values.into_iter().map(|(value, _)| value).collect();
        values.join(", ")
    }

    /// The values of an enum without fields, as TOML, each with its doc comment.
    fn choices(&self, user: &Definition, of: &Type) -> Vec<(String, String)> {
        let Some((definition, item)) = self.find_enum(user, inner(of)) else {
            return Vec::new();
        };
        if item.variants.iter().any(|v| !v.fields.is_empty()) {
            return Vec::new();
        }
        let style = serde(&item.attrs).into_iter();
        let style = style.filter(|(word, _)| word == "rename_all");
        let style = style.map(|(_, style)| style).next().unwrap_or_default();
        let Item::Enum(item) = &definition.item else {
            return Vec::new();
        };
        let value = |variant: &syn::Variant| {
            let word = cased(&variant.ident.to_string(), &style);
            (format!("`\"{word}\"`"), doc(&variant.attrs))
        };
        item.variants.iter().map(value).collect()
    }

    /// What the variants of an untagged enum take.
    fn alternatives(&self, user: &Definition, of: &Type) -> String {
        let Some((definition, item)) = self.find_enum(user, of) else {
            return "a value".to_owned();
        };
        let fields = item.variants.iter().flat_map(|variant| &variant.fields);
        let takes: Vec<String> = fields.map(|f| self.takes(definition, &f.ty)).collect();
        takes.join(" or ")
    }

    fn find_enum(&self, user: &Definition, of: &Type) -> Option<(&Definition, &syn::ItemEnum)> {
        let definition = self.find(user, of)?;
        match &definition.item {
            Item::Enum(item) => Some((definition, item)),
            _ => None,
        }
    }

    /// The definition that a type names in the file of `user`: that of the file, else of
    /// the module that the path names, else of the crate, else of another crate.
    fn find(&self, user: &Definition, of: &Type) -> Option<&Definition> {
        let (word, _) = last_segment(of)?;
        let Type::Path(path) = of else { return None };
        let module = path.path.segments.iter().rev().nth(1);
        let module = module.map(|segment| segment.ident.to_string());
        let named = self.0.iter().filter(|d| ident(&d.item) == word);
        named.max_by_key(|d| {
            let same_crate = d.crate_name == user.crate_name;
            let by_module = module.as_ref().is_some_and(|module| *module == d.file);
            let same_file = same_crate && module.is_none() && d.file == user.file;
            // An enum or struct of a config is read by serde.
            let read = derives(&d.item).contains("Deserialize");
            (read, same_file, same_crate && by_module, same_crate)
        })
    }
}

fn fields(item: &Item) -> Vec<&Field> {
    match item {
        Item::Struct(item) => match &item.fields {
            Fields::Named(fields) => fields.named.iter().collect(),
            _ => Vec::new(),
        },
        _ => Vec::new(),
    }
}

fn name(field: &Field) -> Option<String> {
    let renamed = serde(&field.attrs).into_iter();
    let mut renamed = renamed.filter(|(word, _)| word == "rename");
    let own = || Some(field.ident.as_ref()?.to_string());
    renamed.next().map(|(_, to)| to).or_else(own)
}

fn ident(item: &Item) -> String {
    match item {
        Item::Struct(item) => item.ident.to_string(),
        Item::Enum(item) => item.ident.to_string(),
        _ => String::new(),
    }
}

/// The derived traits, as written.
fn derives(item: &Item) -> String {
    let attrs = match item {
        Item::Struct(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        _ => return String::new(),
    };
    let derive = attrs.iter().filter(|a| a.path().is_ident("derive"));
    let lists = derive.filter_map(|a| Some(a.meta.require_list().ok()?.tokens.to_string()));
    lists.collect()
}

/// The last word of a type's path, and its last generic argument.
fn last_segment(of: &Type) -> Option<(String, Option<&Type>)> {
    let Type::Path(path) = of else { return None };
    let last = path.path.segments.last()?;
    let inner = match &last.arguments {
        PathArguments::AngleBracketed(list) => list.args.last(),
        _ => None,
    };
    let inner = inner.and_then(|argument| match argument {
        GenericArgument::Type(inner) => Some(inner),
        _ => None,
    });
    Some((last.ident.to_string(), inner))
}

/// What a list or an option holds; else the type itself.
fn inner(of: &Type) -> &Type {
    match last_segment(of) {
        Some((word, Some(inner))) if word == "Vec" || word == "Option" => inner,
        _ => of,
    }
}

/// The words in `#[serde(…)]`, each with its value.
fn serde(attrs: &[Attribute]) -> Vec<(String, String)> {
    let mut words = Vec::new();
    for attr in attrs.iter().filter(|attr| attr.path().is_ident("serde")) {
        // A form that is not understood here is not one of those that we look for.
        let _ = attr.parse_nested_meta(|meta| {
            let word = meta.path.get_ident().map(ToString::to_string);
            let value = match meta.value() {
                Ok(value) => match value.parse::<Lit>()? {
                    Lit::Str(text) => text.value(),
                    _ => String::new(),
                },
                Err(_) => String::new(),
            };
            words.push((word.unwrap_or_default(), value));
            Ok(())
        });
    }
    words
}

/// A doc comment in one line, without links and references.
fn doc(attrs: &[Attribute]) -> String {
    let lines = attrs.iter().filter_map(|attr| match &attr.meta {
        Meta::NameValue(pair) if pair.path.is_ident("doc") => match &pair.value {
            Expr::Lit(value) => match &value.lit {
                Lit::Str(text) => Some(text.value().trim().to_owned()),
                _ => None,
            },
            _ => None,
        },
        _ => None,
    });
    let mut text = lines.collect::<Vec<_>>().join(" ");
    // `needs its data ([`Scorer::meteor`])`: a reference for programmers.
    while let Some((start, rest)) = text.split_once(" ([`") {
        text = format!(
            "{start}{}",
            rest.split_once("`])").map_or("", |(_, end)| end)
        );
    }
    text.replace("[`", "`").replace("`]", "`").trim().to_owned()
}

/// A variant's name as serde's `rename_all` writes it.
fn cased(variant: &str, style: &str) -> String {
    let separator = match style {
        "kebab-case" => "-",
        "snake_case" => "_",
        "lowercase" => "",
        _ => return variant.to_owned(),
    };
    let mut out = String::new();
    for (index, letter) in variant.chars().enumerate() {
        if letter.is_uppercase() && index > 0 {
            out.push_str(separator);
        }
        out.extend(letter.to_lowercase());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sources(files: &[(&str, &str)]) -> Sources {
        let folder = tempfile::tempdir().unwrap();
        for (file, text) in files {
            let path = folder.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        Sources::read(folder.path()).unwrap()
    }

    const CONFIG: &str = "
        #[derive(Deserialize)]
        struct Config { /// All of it.
            train: Train }
        #[derive(Deserialize)]
        struct Train {
            /// Random
            /// [`seed`].
            seed: u64,
            #[serde(flatten)]
            adam: adam::Options,
            /// The schedule.
            schedule: Option<Schedule>,
            /// Beam sizes.
            beams: Vec<u32>,
            /// Files.
            files: Files,
            /// Grid.
            grid: [i64; 2],
            /// Mean.
            mean: [f64; 3],
        }
        #[derive(Deserialize)]
        #[serde(rename_all = \"kebab-case\")]
        enum Schedule {
            /// Half a cosine ([`rate`]).
            HalfCosine,
            /// BLEU decides.
            Plateau,
        }
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Files { One(String), Many(Vec<String>) }
    ";
    const ADAM: &str = "#[derive(Deserialize)] pub struct Options { /// Decay.\n beta1: f64 }";

    #[test]
    fn a_parameter_is_explained_by_its_field_and_its_values() {
        let other = "#[derive(Deserialize)] pub struct Options { /// Wrong.\n no: bool }";
        let sources = sources(&[
            ("train/src/config.rs", CONFIG),
            ("train/src/network/adam.rs", ADAM),
            ("train/src/other.rs", other),
        ]);
        let all = sources.parameters("train", &["train"]).unwrap();
        let meaning = |key: &str| {
            let Meaning { takes, text } = &all["train"][key];
            (takes.clone(), text.clone())
        };
        let of = |takes: &str, text: &str| (takes.to_owned(), text.to_owned());
        assert_eq!(meaning("seed"), of("a whole number", "Random `seed`."));
        assert_eq!(meaning("beta1"), of("a number", "Decay."));
        assert_eq!(
            meaning("beams"),
            of("a list of whole numbers", "Beam sizes.")
        );
        assert_eq!(
            meaning("files"),
            of("a string or a list of strings", "Files.")
        );
        assert_eq!(meaning("grid").0, "a list of 2 whole numbers");
        assert_eq!(meaning("mean").0, "a list of 3 numbers");
        let text = "The schedule. `\"half-cosine\"`: Half a cosine. `\"plateau\"`: BLEU decides.";
        assert_eq!(
            meaning("schedule"),
            of("`\"half-cosine\"`, `\"plateau\"`", text)
        );
        assert_eq!(all["train"].len(), 7);
    }

    #[test]
    fn a_key_without_a_meaning_is_named() {
        let bare = CONFIG.replace("/// Beam sizes.", "");
        let sources = sources(&[("train/src/config.rs", &bare), ("train/src/adam.rs", ADAM)]);
        let why = sources.parameters("train", &["train"]).unwrap_err();
        assert!(why.to_string().contains("train.beams needs a doc comment"));
        let why = sources.parameters("train", &["trian"]).unwrap_err();
        assert!(why.to_string().contains("[trian]"));
    }
}
