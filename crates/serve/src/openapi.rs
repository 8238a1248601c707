//! The API's document, in OpenAPI 3.1.

use crate::options::{KEYS, Key, LONGEST, Range, defaults};
use serde_json::{Map, Value, json};

/// The document. `with_token`: the API needs one.
pub fn document(with_token: bool) -> Value {
    let options = properties();
    let query: Vec<Value> = options
        .iter()
        .map(|(name, schema)| json!({ "name": name, "in": "query", "schema": schema }))
        .collect();
    let binary = json!({ "type": "string", "format": "binary" });
    let mut document = json!({
        "openapi": "3.1.0",
        "info": {
            "title": "attend",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Describes photographs, and says where the model looked at each word.",
            "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
        },
        "paths": {
            "/v1/caption": { "post": {
                "operationId": "caption",
                "summary": "Describe pictures",
                "description": "The body is a picture's file (JPEG, PNG, WebP, GIF, BMP or TIFF), or several as multipart/form-data or as base64 in JSON. Options are in the query, or as JSON in the part or key `options`. Of one picture as the body, the answer is its captions; of several, a list in their order, in which a picture that can't be read has an `error`. With `Accept: application/x-ndjson` each picture's line comes as soon as it is described.",
                "parameters": query,
                "requestBody": { "required": true, "content": {
                    "application/octet-stream": { "schema": binary },
                    "image/*": { "schema": binary },
                    "multipart/form-data": { "schema": {
                        "type": "object",
                        "properties": {
                            "picture": { "type": "array", "items": binary, "minItems": 1 },
                            "options": { "$ref": "#/components/schemas/Options" },
                        },
                        "required": ["picture"],
                    } },
                    "application/json": { "schema": { "$ref": "#/components/schemas/Pictures" } },
                } },
                "responses": {
                    "200": { "description": "The captions", "content": {
                        "application/json": { "schema": { "oneOf": [
                            { "$ref": "#/components/schemas/Captions" },
                            { "$ref": "#/components/schemas/List" },
                        ] } },
                        "application/x-ndjson": { "schema": { "type": "string" } },
                    } },
                    "400": problem("The request is not what this API takes"),
                    "403": problem("A page from elsewhere asks"),
                    "408": problem("The body did not arrive in time"),
                    "413": problem("Too many bytes, pixels or pictures"),
                    "415": problem("Not a picture in a format that is read here"),
                    "422": problem("A damaged picture, or an option out of its range"),
                    "429": busy("Too many pictures are waiting"),
                    "500": problem("The service is at fault"),
                    "503": busy("The model is being loaded, or too busy, or the service is ending"),
                },
            } },
            "/v1/model": { "get": {
                "operationId": "model",
                "summary": "The model, the limits and the default options",
                "responses": { "200": json_answer("What the service is", json!({ "type": "object" })) },
            } },
            "/healthz": { "get": {
                "operationId": "health",
                "summary": "Whether the service is alive",
                "responses": { "200": text("It is", "text/plain") },
            } },
            "/readyz": { "get": {
                "operationId": "ready",
                "summary": "Whether the model is loaded and the service is not ending",
                "responses": { "200": text("It is ready", "text/plain"), "503": busy("It is not") },
            } },
            "/metrics": { "get": {
                "operationId": "metrics",
                "summary": "Counters for Prometheus",
                "responses": { "200": text("The counters", "application/openmetrics-text") },
            } },
        },
        "components": { "schemas": {
            "Options": {
                "type": "object",
                "properties": options,
                "additionalProperties": false,
            },
            "Pictures": {
                "type": "object",
                "properties": {
                    "images": {
                        "type": "array",
                        "items": { "type": "string", "contentEncoding": "base64" },
                        "minItems": 1,
                    },
                    "options": { "$ref": "#/components/schemas/Options" },
                },
                "required": ["images"],
                "additionalProperties": false,
            },
            "Caption": {
                "type": "object",
                "properties": caption(),
                "required": required(&caption()),
            },
            "Captions": {
                "type": "object",
                "properties": captions(),
                "required": required(&captions()),
            },
            "List": {
                "type": "object",
                "properties": { "images": { "type": "array", "items": { "oneOf": [
                    { "$ref": "#/components/schemas/Captions" },
                    {
                        "type": "object",
                        "properties": { "error": { "type": "string" }, "status": { "type": "integer" } },
                        "required": ["error", "status"],
                    },
                ] } } },
                "required": ["images"],
            },
            "Problem": {
                "type": "object",
                "properties": { "error": { "type": "string", "description": "What is wrong, in a sentence" } },
                "required": ["error"],
            },
        } },
    });
    if with_token {
        let scheme = json!({ "token": { "type": "http", "scheme": "bearer" } });
        document["components"]["securitySchemes"] = scheme;
        for (path, method) in [
            ("/v1/caption", "post"),
            ("/v1/model", "get"),
            ("/metrics", "get"),
        ] {
            let operation = &mut document["paths"][path][method];
            operation["security"] = json!([{ "token": [] }]);
            operation["responses"]["401"] = problem("The token is missing or wrong");
        }
    }
    document
}

/// The schema of each option.
fn properties() -> Map<String, Value> {
    let defaults = defaults();
    let schema = |key: &Key| {
        let default = defaults.get(key.name)?;
        let mut schema = match default {
            Value::Bool(_) => json!({ "type": "boolean" }),
            Value::Number(number) => {
                let kind = if number.is_u64() { "integer" } else { "number" };
                json!({ "type": kind })
            }
            Value::Array(_) => {
                let text = json!({ "type": "string", "maxLength": LONGEST });
                json!({ "type": "array", "items": text, "maxItems": LONGEST })
            }
            _ => json!({ "type": "string", "maxLength": LONGEST }),
        };
        match key.range {
            Range::Any => {}
            Range::Choice(texts) => schema["enum"] = json!(texts),
            Range::Numbers(least, most) => {
                schema["minimum"] = json!(least);
                schema["maximum"] = json!(most);
            }
        }
        schema["description"] = key.about.into();
        schema["default"] = default.clone();
        Some((key.name.to_owned(), schema))
    };
    KEYS.iter().filter_map(schema).collect()
}

/// The properties of a caption.
fn caption() -> Value {
    json!({
        "caption": { "type": "string" },
        "words": { "type": "array", "items": { "type": "string" } },
        "word_log_probs": {
            "type": "array", "items": { "type": "number" },
            "description": "Natural logarithm of each word's probability after the words before it",
        },
        "log_prob": { "type": "number", "description": "That of the caption, with its end" },
        "score": { "type": "number", "description": "By which captions of a picture are ranked" },
        "finished": { "type": "boolean", "description": "Whether the model ended the caption itself" },
        "grid": {
            "type": "array", "items": { "type": "integer" }, "minItems": 2, "maxItems": 2,
            "description": "Rows and columns of the grid of attention, which covers the whole picture",
        },
        "alphas": {
            "type": "array", "items": { "type": "array", "items": { "type": "number" } },
            "description": "With the option `alphas`: for each word, how much the model looked at each cell of the grid, row by row; the sum is about 1",
        },
    })
}

/// The properties of a picture's answer.
fn captions() -> Value {
    let mut captions = caption();
    captions["alternatives"] = json!({
        "type": "array", "items": { "$ref": "#/components/schemas/Caption" },
        "description": "The captions after the best, if `n_best` is above 1",
    });
    captions
}

/// The names of properties that are always there.
fn required(properties: &Value) -> Vec<&str> {
    let names = properties.as_object().into_iter().flat_map(Map::keys);
    names
        .map(String::as_str)
        .filter(|name| *name != "alphas")
        .collect()
}

fn problem(description: &str) -> Value {
    json_answer(
        description,
        json!({ "$ref": "#/components/schemas/Problem" }),
    )
}

fn busy(description: &str) -> Value {
    let mut answer = problem(description);
    let seconds = json!({ "type": "integer", "description": "Seconds" });
    answer["headers"] = json!({ "Retry-After": { "schema": seconds } });
    answer
}

fn json_answer(description: &str, schema: Value) -> Value {
    json!({ "description": description, "content": { "application/json": { "schema": schema } } })
}

fn text(description: &str, media_type: &str) -> Value {
    let schema = json!({ "schema": { "type": "string" } });
    json!({ "description": description, "content": { media_type: schema } })
}
