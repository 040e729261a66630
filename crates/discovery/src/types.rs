//! Listings from Rust types, so that what is declared is what the handler takes and gives (feature `schemars`).

use crate::listing::{Body, BodyKind, Described, Listing, Output};
use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::Value;

/// The schema of a type, in one piece: facilitators follow no references out of it.
fn schema_of<T: JsonSchema>() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.inline_subschemas = true;
        settings.meta_schema = None;
    });
    settings.into_generator().into_root_schema_for::<T>().to_value()
}

/// An example of a schema: what it gives as one, else the plainest value it could mean.
fn example_of(schema: &Value, depth: usize) -> Value {
    let given = schema.get("examples").and_then(|examples| examples.get(0)).or(schema.get("default"));
    let given = given.or(schema.get("const")).or(schema.get("enum").and_then(|all| all.get(0)));
    if let Some(given) = given.filter(|given| !given.is_null()) {
        return given.clone();
    }
    if depth == 0 {
        return Value::Null;
    }
    for choice in ["oneOf", "anyOf", "allOf"] {
        if let Some(first) = schema.get(choice).and_then(|all| all.get(0)) {
            return example_of(first, depth - 1);
        }
    }
    let kind = schema.get("type").map(|kind| kind.get(0).unwrap_or(kind));
    match kind.and_then(Value::as_str) {
        Some("object") => {
            let required = schema.get("required").and_then(Value::as_array);
            let wanted = |name: &String| required.is_some_and(|all| all.iter().any(|own| own == name));
            let members = schema.get("properties").and_then(Value::as_object).into_iter().flatten();
            let members = members.filter(|(name, _)| wanted(name));
            members.map(|(name, member)| (name.clone(), example_of(member, depth - 1))).collect()
        }
        Some("array") => Value::Array(Vec::new()),
        Some("integer" | "number") => {
            schema.get("minimum").filter(|least| !least.is_null()).cloned().unwrap_or(0.into())
        }
        Some("boolean") => false.into(),
        Some("string") => "".into(),
        _ => Value::Null,
    }
}

/// How deep examples are made up.
const DEPTH: usize = 8;

impl Listing {
    /// Describes the query by the type the handler reads it into.
    ///
    /// The example is what the type gives (`#[schemars(example = …)]`), else the plainest that fits; set a better one
    /// with [`with_examples`](Self::with_examples).
    pub fn query<T: JsonSchema>(mut self) -> Self {
        let schema = schema_of::<T>();
        let example = example_of(&schema, DEPTH).as_object().cloned().unwrap_or_default();
        self.query = Some(Described { example, schema: Some(schema) });
        self
    }

    /// Describes the path's parameters by the type the handler reads them into.
    pub fn path<T: JsonSchema>(mut self) -> Self {
        self.path = Some(schema_of::<T>());
        self
    }

    /// Describes a JSON body by the type the handler reads it into.
    pub fn json_body<T: JsonSchema>(mut self) -> Self {
        let schema = schema_of::<T>();
        self.body = Some(Body { kind: BodyKind::Json, example: example_of(&schema, DEPTH), schema: Some(schema) });
        self
    }

    /// Describes the answer by the type the handler gives.
    pub fn json_output<T: JsonSchema>(mut self) -> Self {
        let schema = schema_of::<T>();
        let example = Some(example_of(&schema, DEPTH));
        self.output = Some(Output { kind: "json".to_owned(), format: None, example, schema: Some(schema) });
        self
    }
}
