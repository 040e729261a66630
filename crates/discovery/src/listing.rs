//! [`Listing`]: what a route says about itself, as its section of configuration has it.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Key of the extension on the wire.
pub const BAZAAR: &str = "bazaar";
/// Key of a route's section.
pub const ROUTE_KEY: &str = "discovery";

/// What a route takes and gives: the section `discovery` of a route.
///
/// Write it by hand, or from Rust types with [`Listing::query`], [`Listing::json_body`] and their like, which cannot
/// drift from the handler (features `schemars` and `axum`).
///
/// ```
/// use serde_json::json;
/// use tollway_discovery::Listing;
///
/// let section = Listing::new()
///     .with_query(json!({ "units": "metric" }), json!({ "properties": { "units": { "type": "string" } } }))
///     .with_output(json!({ "degrees": 21 }))
///     .section();
/// // Route::new("GET /weather/:city").extension("discovery", section)
/// # assert_eq!(section["query"]["example"]["units"], "metric");
/// ```
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
#[non_exhaustive]
pub struct Listing {
    /// The verb, where the route's pattern names none. `GET` if neither says, `POST` where there is a body.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// The query.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub query: Option<Described>,
    /// Schema of the path's parameters; any text if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<Value>,
    /// Headers to send.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub headers: Option<Described>,
    /// The body.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<Body>,
    /// The answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output: Option<Output>,
    /// The tool, where what is sold is one over MCP and no route.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool: Option<Tool>,
}

/// An example and its JSON Schema.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
#[non_exhaustive]
pub struct Described {
    /// Values to send.
    pub example: Map<String, Value>,
    /// Their schema.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schema: Option<Value>,
}

/// A request's body.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[non_exhaustive]
pub struct Body {
    /// How it is written; `json` if left out.
    #[serde(default, rename = "type")]
    pub kind: BodyKind,
    /// A body to send.
    pub example: Value,
    /// Its schema.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<Value>,
}

/// How a body is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum BodyKind {
    /// JSON.
    #[default]
    Json,
    /// A form.
    FormData,
    /// Plain text.
    Text,
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[non_exhaustive]
pub struct Output {
    /// What it is; `json` if left out.
    #[serde(default = "json_type", rename = "type")]
    pub kind: String,
    /// More about that, such as a format's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<String>,
    /// An answer as it may be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub example: Option<Value>,
    /// The schema of answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<Value>,
}

fn json_type() -> String {
    "json".to_owned()
}

/// A tool over MCP.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[non_exhaustive]
pub struct Tool {
    /// Its name.
    pub name: String,
    /// What it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// `streamable-http` or `sse`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transport: Option<String>,
    /// JSON Schema of its arguments.
    pub input_schema: Value,
    /// Arguments to call it with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub example: Option<Value>,
}

impl Listing {
    /// A listing that says nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// An example query and its schema. `example` that is no object is left out.
    pub fn with_query(mut self, example: Value, schema: Value) -> Self {
        self.query = Some(Described { example: object(example), schema: Some(schema) });
        self
    }

    /// The schema of the path's parameters.
    pub fn with_path(mut self, schema: Value) -> Self {
        self.path = Some(schema);
        self
    }

    /// An example of a JSON body, and its schema.
    pub fn with_json_body(mut self, example: Value, schema: Value) -> Self {
        self.body = Some(Body { kind: BodyKind::Json, example, schema: Some(schema) });
        self
    }

    /// An example of a JSON answer.
    pub fn with_output(mut self, example: Value) -> Self {
        let schema = self.output.take().and_then(|output| output.schema);
        self.output = Some(Output { kind: json_type(), format: None, example: Some(example), schema });
        self
    }

    /// Examples for a listing whose schemas came from types. Each part is left alone where `None` is given.
    pub fn with_examples(mut self, query: Option<Value>, body: Option<Value>, output: Option<Value>) -> Self {
        if let (Some(own), Some(example)) = (&mut self.query, query) {
            own.example = object(example);
        }
        if let (Some(own), Some(example)) = (&mut self.body, body) {
            own.example = example;
        }
        match output {
            Some(example) => self.with_output(example),
            None => self,
        }
    }

    /// The section, for `Route::extension("discovery", …)` or a configuration file.
    pub fn section(&self) -> Value {
        // Strings, numbers and maps with text keys: nothing here cannot be written as JSON.
        serde_json::to_value(self).unwrap_or_default()
    }
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}
