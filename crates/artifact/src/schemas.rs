//! Schemas of the contract's files: JSON Schemas, as in `docs/schemas/`, and columns of tables.

use crate::dataset::{CaptionRecord, ImageRecord, ObjectRecord, RejectedRecord};
use crate::evaluation::{PerImage, WordsRecord};
use crate::model::{EncoderConfig, ModelCard};
use crate::vocabulary::{EncodedRecord, VocabFile};
use crate::{Manifest, Record};
use arrow_schema::Schema;
use attend_program::describe::Description;
use schemars::{JsonSchema, schema_for};
use serde_json::{Value, json};

/// The JSON Schemas by name of their file.
pub fn all() -> Vec<(&'static str, Value)> {
    let mut model = schema::<ModelCard>("model.json of a checkpoint");
    // The digests of the checkpoint's files lie beside the card; the card's own is over it.
    model["properties"]["blake3"] = json!({
        "description": "BLAKE3 of each other file of the folder, by name, and under model.json \
            that of this object without this key, as compact JSON with sorted keys.",
        "type": "object",
        "additionalProperties": { "type": "string", "pattern": "^[0-9a-f]{64}$" },
    });
    vec![
        (
            "manifest.json",
            schema::<Manifest>("manifest.json of an artifact"),
        ),
        (
            "encoder.json",
            schema::<EncoderConfig>("encoder.json of features"),
        ),
        (
            "vocab.json",
            schema::<VocabFile>("vocab.json of a vocabulary"),
        ),
        ("model.json", model),
        (
            "describe.json",
            schema::<Description>("What a stage prints with --describe"),
        ),
    ]
}

/// The tables of each kind: the columns that they must have.
pub fn tables() -> Vec<(&'static str, &'static str, Schema)> {
    vec![
        ("dataset", "images.parquet", ImageRecord::schema()),
        ("dataset", "captions.parquet", CaptionRecord::schema()),
        ("dataset", "objects.parquet", ObjectRecord::schema()),
        ("dataset", "rejected.parquet", RejectedRecord::schema()),
        ("vocabulary", "encoded.parquet", EncodedRecord::schema()),
        ("vocabulary", "rejected.parquet", RejectedRecord::schema()),
        ("evaluation", "per_image.parquet", PerImage::schema()),
        ("evaluation", "words.parquet", WordsRecord::schema()),
    ]
}

fn schema<T: JsonSchema>(title: &str) -> Value {
    let mut schema = schema_for!(T).to_value();
    schema["title"] = title.into();
    plain(&mut schema);
    schema
}

/// Turns links of rustdoc in the descriptions into plain names.
fn plain(value: &mut Value) {
    match value {
        Value::String(text) => *text = text.replace("[`", "`").replace("`]", "`"),
        Value::Array(items) => items.iter_mut().for_each(plain),
        Value::Object(members) => members.values_mut().for_each(plain),
        _ => {}
    }
}
