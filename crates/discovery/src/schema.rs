//! JSON Schemas from strangers: bounded, closed in themselves, and checked by a library that fetches nothing.

use jsonschema::{Draft, PatternOptions};
use serde_json::{Map, Value};

/// Most nodes a schema may have once its references are written out. Real ones have a few hundred.
const MAX_NODES: usize = 4096;
/// Deepest nesting once references are written out.
const MAX_DEPTH: usize = 64;
/// Largest a regular expression of a schema may become, in bytes.
const MAX_PATTERN: usize = 64 * 1024;
/// Words that name or change what references mean. Nobody needs them in a schema of one piece.
const FOREIGN: [&str; 7] =
    ["$id", "$anchor", "$dynamicRef", "$dynamicAnchor", "$recursiveRef", "$recursiveAnchor", "$vocabulary"];

/// Checks a value against a schema.
///
/// # Errors
/// What is wrong with the schema, or with the value; at most a line.
pub(crate) fn validate(schema: &Value, value: &Value) -> Result<(), String> {
    let closed = written_out(schema)?;
    let options = PatternOptions::regex().size_limit(MAX_PATTERN).dfa_size_limit(MAX_PATTERN);
    let validator = jsonschema::options()
        .with_draft(Draft::Draft202012)
        .with_pattern_options(options)
        .should_validate_formats(false)
        .build(&closed)
        .map_err(|why| line(&format!("the schema is none: {why}")))?;
    validator
        .validate(value)
        .map_err(|why| line(&format!("info does not fit its schema at `{}`: {why}", why.instance_path())))
}

/// The schema with local references written out, so that what it costs to check can be seen.
fn written_out(schema: &Value) -> Result<Value, String> {
    if !schema.is_object() {
        return Err("the schema must be an object".to_owned());
    }
    let mut left = MAX_NODES;
    let mut closed = copy(schema, schema, &mut left, 0)?;
    if let Value::Object(members) = &mut closed {
        // The draft is set; another one's address would have to be fetched.
        members.remove("$schema");
    }
    Ok(closed)
}

fn copy(node: &Value, root: &Value, left: &mut usize, depth: usize) -> Result<Value, String> {
    *left = left
        .checked_sub(1)
        .ok_or_else(|| format!("the schema has more than {MAX_NODES} nodes, references written out"))?;
    if depth > MAX_DEPTH {
        return Err(format!("the schema nests deeper than {MAX_DEPTH}, references written out"));
    }
    let below = |node: &Value, left: &mut usize| copy(node, root, left, depth + 1);
    Ok(match node {
        Value::Object(members) => {
            if let Some(word) = FOREIGN.iter().find(|word| members.contains_key(**word)) {
                return Err(format!("the schema says `{word}`; a schema here is of one piece"));
            }
            let mut copied = Map::new();
            for (name, member) in members.iter().filter(|(name, _)| *name != "$ref") {
                copied.insert(name.clone(), below(member, left)?);
            }
            match members.get("$ref") {
                None => Value::Object(copied),
                Some(reference) => {
                    let target = reference.as_str().and_then(|text| text.strip_prefix('#'));
                    let target = target.and_then(|pointer| root.pointer(pointer));
                    let target =
                        target.ok_or("the schema refers to something outside of itself; nothing is fetched")?;
                    let target = below(target, left)?;
                    if copied.is_empty() {
                        target
                    } else {
                        // Both hold: the reference and what stands beside it.
                        serde_json::json!({ "allOf": [target, copied] })
                    }
                }
            }
        }
        Value::Array(entries) => {
            Value::Array(entries.iter().map(|entry| below(entry, left)).collect::<Result<_, _>>()?)
        }
        scalar => scalar.clone(),
    })
}

/// Cut to a line that may be shown.
fn line(text: &str) -> String {
    crate::text::one_line(text, 200)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn examples_are_checked() {
        let schema = json!({ "type": "object", "properties": { "a": { "$ref": "#/$defs/n" } }, "$defs": { "n": { "type": "number" } } });
        assert_eq!(validate(&schema, &json!({ "a": 1 })), Ok(()));
        let why = validate(&schema, &json!({ "a": "x" })).unwrap_err();
        assert!(why.contains("/a"), "{why}");
    }

    #[test]
    fn a_schema_that_explodes_is_refused_in_no_time() {
        let mut defs = Map::new();
        for n in 0..16 {
            let next = json!({ "$ref": format!("#/$defs/d{}", n + 1) });
            defs.insert(format!("d{n}"), json!({ "allOf": [next, next] }));
        }
        defs.insert("d16".to_owned(), json!({}));
        let why = validate(&json!({ "$ref": "#/$defs/d0", "$defs": defs }), &json!({})).unwrap_err();
        assert!(why.contains("nodes"), "{why}");
        let why = validate(&json!({ "properties": { "a": { "$ref": "#" } } }), &json!({})).unwrap_err();
        assert!(why.contains("nest") || why.contains("nodes"), "{why}");
    }

    #[test]
    fn patterns_take_linear_time() {
        let schema = json!({ "properties": { "a": { "pattern": "^(a+)+$" } } });
        assert!(validate(&schema, &json!({ "a": "a".repeat(8000) + "b" })).is_err());
        assert!(validate(&json!({ "pattern": "(a{1000}){1000}" }), &json!("a")).is_err(), "too large to compile");
        assert!(validate(&json!({ "pattern": "(?=a)" }), &json!("a")).is_err(), "nothing that backtracks");
    }
}
