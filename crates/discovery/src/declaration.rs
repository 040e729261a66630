//! From a listing to what stands in the challenge (extension `bazaar`, "Declaration in the 402").

use crate::listing::Listing;
use crate::schema;
use crate::template::Template;
use serde_json::{Map, Value, json};

/// What one route declares; the path's parameters are filled in per request.
#[derive(Debug)]
pub(crate) struct Declaration {
    info: Value,
    schema: Value,
    template: Option<Template>,
}

/// Verbs whose input is a query, and verbs whose input is a body.
const QUERY: [&str; 3] = ["GET", "HEAD", "DELETE"];
const BODY: [&str; 3] = ["POST", "PUT", "PATCH"];

/// A schema that is one of objects, whether it says so or not.
fn of_objects(schema: Option<&Value>) -> Value {
    let mut out = Map::from_iter([("type".to_owned(), json!("object"))]);
    out.extend(schema.and_then(Value::as_object).cloned().unwrap_or_default());
    Value::Object(out)
}

impl Declaration {
    /// What a listing on a route with this pattern declares.
    ///
    /// # Errors
    /// What does not fit together, and what to write instead.
    pub(crate) fn new(listing: &Listing, pattern: &str) -> Result<Self, String> {
        let mut words = pattern.split_whitespace();
        let (verb, path) = match (words.next(), words.next()) {
            (Some(verb), Some(path)) => (Some(verb.to_ascii_uppercase()).filter(|verb| verb != "*"), path),
            (Some(path), None) => (None, path),
            (None, _) => (None, "/"),
        };
        let template = Template::of(path);
        let (input, input_schema) = match &listing.tool {
            Some(_) => tool(listing)?,
            None => http(listing, verb, template.as_ref())?,
        };
        let mut info = Map::from_iter([("input".to_owned(), input)]);
        let mut properties = Map::from_iter([("input".to_owned(), input_schema)]);
        if let Some(output) = &listing.output {
            let mut said = Map::from_iter([("type".to_owned(), json!(output.kind))]);
            said.extend(output.format.as_ref().map(|format| ("format".to_owned(), json!(format))));
            said.extend(output.example.clone().map(|example| ("example".to_owned(), example)));
            info.insert("output".to_owned(), Value::Object(said));
            let mut members = json!({ "type": { "type": "string" } });
            match (&output.schema, &output.example) {
                (Some(schema), _) => members["example"] = schema.clone(),
                (None, Some(Value::Object(_))) => members["example"] = json!({ "type": "object" }),
                _ => {}
            }
            properties
                .insert("output".to_owned(), json!({ "type": "object", "properties": members, "required": ["type"] }));
        }
        let schema = json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "type": "object", "properties": properties, "required": ["input"],
        });
        let declaration = Self { info: Value::Object(info), schema, template };
        schema::validate(&declaration.schema, &declaration.info)
            .map_err(|why| format!("{why}; make the examples fit their schemas"))?;
        Ok(declaration)
    }

    /// The declaration for one request, by the path of the resource's URL.
    pub(crate) fn for_path(&self, path: &str) -> Value {
        let mut info = self.info.clone();
        let Some(template) = &self.template else { return json!({ "info": info, "schema": self.schema }) };
        if let Some(params) = template.params(path) {
            info["input"]["pathParams"] = Value::Object(params);
        }
        json!({ "info": info, "schema": self.schema, "routeTemplate": template.text })
    }
}

/// The input of a route, and its schema.
fn http(listing: &Listing, verb: Option<String>, template: Option<&Template>) -> Result<(Value, Value), String> {
    let own = listing.method.as_ref().map(|method| method.to_ascii_uppercase());
    if let (Some(verb), Some(own)) = (&verb, &own)
        && verb != own
    {
        return Err(format!("`method` says {own} and the route {verb}; leave `method` out"));
    }
    let default = || if listing.body.is_some() { "POST" } else { "GET" }.to_owned();
    let method = verb.or(own).unwrap_or_else(default);
    let with_body = match method.as_str() {
        method if QUERY.contains(&method) => false,
        method if BODY.contains(&method) => true,
        other => {
            return Err(format!("{other} cannot be listed; listed are {} and {}", QUERY.join(", "), BODY.join(", ")));
        }
    };
    let mut info = json!({ "type": "http", "method": method });
    let mut properties = json!({
        "type": { "type": "string", "const": "http" },
        "method": { "type": "string", "enum": [method] },
    });
    let mut required = vec!["type", "method"];
    if let Some(query) = &listing.query {
        info["queryParams"] = Value::Object(query.example.clone());
        properties["queryParams"] = of_objects(query.schema.as_ref());
    }
    if let Some(headers) = &listing.headers {
        info["headers"] = Value::Object(headers.example.clone());
        properties["headers"] = of_objects(headers.schema.as_ref());
    }
    match (&listing.body, with_body) {
        (Some(body), true) => {
            info["bodyType"] = json!(body.kind);
            info["body"] = body.example.clone();
            properties["bodyType"] = json!({ "type": "string", "enum": ["json", "form-data", "text"] });
            properties["body"] = body.schema.clone().unwrap_or_else(|| json!({}));
            required.extend(["bodyType", "body"]);
        }
        (None, true) => {
            return Err(format!("a {method} is listed with its body; add body = {{ example = …, schema = … }}"));
        }
        (Some(_), false) => return Err(format!("a {method} has no body; describe `query`, or route another verb")),
        (None, false) => {}
    }
    if let Some(template) = template {
        let names: Vec<_> = template.names.iter().map(String::as_str).collect();
        properties["pathParams"] = match &listing.path {
            Some(schema) => of_objects(Some(schema)),
            None => {
                let each = names.iter().map(|name| ((*name).to_owned(), json!({ "type": "string" })));
                json!({ "type": "object", "properties": each.collect::<Map<_, _>>(), "required": names })
            }
        };
    } else if listing.path.is_some() {
        return Err("`path` describes parameters, and the route has none; write it as /users/:id".to_owned());
    }
    let schema = json!({
        "type": "object", "properties": properties, "required": required, "additionalProperties": false,
    });
    Ok((info, schema))
}

/// The input of a tool, and its schema.
fn tool(listing: &Listing) -> Result<(Value, Value), String> {
    let Some(tool) = &listing.tool else { return Err("no tool is described".to_owned()) };
    if listing.query.is_some() || listing.body.is_some() || listing.path.is_some() || listing.headers.is_some() {
        return Err("a tool has arguments; `query`, `body`, `path` and `headers` are for routes".to_owned());
    }
    let mut info = json!({ "type": "mcp", "toolName": tool.name, "inputSchema": tool.input_schema });
    let optional = [
        ("description", tool.description.clone().map(Value::from)),
        ("transport", tool.transport.clone().map(Value::from)),
        ("example", tool.example.clone()),
    ];
    for (name, value) in optional {
        if let Some(value) = value {
            info[name] = value;
        }
    }
    let schema = json!({
        "type": "object",
        "properties": {
            "type": { "type": "string", "const": "mcp" },
            "toolName": { "type": "string" },
            "description": { "type": "string" },
            "transport": { "type": "string", "enum": ["streamable-http", "sse"] },
            "inputSchema": { "type": "object" },
            "example": { "type": "object" },
        },
        "required": ["type", "toolName", "inputSchema"],
        "additionalProperties": false,
    });
    Ok((info, schema))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn declared(pattern: &str, listing: Value) -> Result<Value, String> {
        let listing: Listing = serde_json::from_value(listing).unwrap();
        Declaration::new(&listing, pattern).map(|declaration| declaration.for_path("/x/7"))
    }

    #[test]
    fn mistakes_are_found_when_the_server_is_built() {
        for (pattern, listing, advice) in [
            ("POST /x", json!({}), "add body"),
            ("GET /x", json!({ "body": { "example": {} } }), "no body"),
            ("GET /x", json!({ "method": "PUT" }), "leave `method` out"),
            ("OPTIONS /x", json!({}), "cannot be listed"),
            ("GET /x", json!({ "path": {} }), "/users/:id"),
            (
                "GET /x",
                json!({ "query": { "example": { "a": 1 }, "schema": { "properties": { "a": { "type": "string" } } } } }),
                "make the examples fit",
            ),
            ("GET /x", json!({ "query": { "schema": { "$ref": "https://evil.test/schema" } } }), "nothing is fetched"),
        ] {
            let why = declared(pattern, listing).unwrap_err();
            assert!(why.contains(advice), "{pattern}: {why}");
        }
    }

    #[test]
    fn a_tool_is_declared() {
        let tool = json!({ "tool": { "name": "forecast", "inputSchema": { "type": "object" } } });
        let declared = declared("/x", tool).unwrap();
        assert_eq!(declared["info"]["input"]["toolName"], "forecast");
    }

    #[test]
    fn parameters_come_from_the_path() {
        let declared = declared("GET /x/:id", json!({})).unwrap();
        assert_eq!(declared["info"]["input"], json!({ "type": "http", "method": "GET", "pathParams": { "id": "7" } }));
        assert_eq!(declared["routeTemplate"], "/x/:id");
    }
}
