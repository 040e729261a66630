//! A stranger's declaration, read and held to its limits (extension `bazaar`, "Facilitator extraction").

use crate::{schema, template, text};
use serde_json::{Map, Value, json};
use tollway_core::ResourceInfo;
use url::Url;

/// Largest declaration looked at: nodes of JSON, and bytes of its texts.
const MAX_NODES: usize = 2048;
const MAX_BYTES: usize = 16 * 1024;
/// Most headers and names listed.
const METHODS: [&str; 6] = ["GET", "HEAD", "DELETE", "POST", "PUT", "PATCH"];

/// What is sold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// A route.
    Http,
    /// A tool.
    Mcp,
}

impl Kind {
    /// The name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Mcp => "mcp",
        }
    }

    /// The kind of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Http, Self::Mcp].into_iter().find(|kind| kind.name() == name)
    }
}

/// A declaration that holds.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Declared {
    pub(crate) kind: Kind,
    /// The verb of a route.
    pub(crate) method: String,
    /// The tool's name.
    pub(crate) tool: Option<String>,
    pub(crate) info: Value,
    pub(crate) template: Option<String>,
}

/// Reads `extensions.bazaar`.
///
/// # Errors
/// Why it cannot be listed, for `rejectedReason`.
pub(crate) fn read(declaration: &Value, url: &Url) -> Result<Declared, String> {
    let (mut nodes, mut bytes) = (MAX_NODES, MAX_BYTES);
    if !fits(declaration, &mut nodes, &mut bytes) {
        return Err(format!("the declaration is larger than {MAX_BYTES} bytes or {MAX_NODES} values"));
    }
    let info = declaration.get("info").filter(|info| info.is_object()).ok_or("the declaration has no info")?;
    let schema = declaration.get("schema").ok_or("the declaration has no schema")?;
    schema::validate(schema, info)?;
    let input = info.get("input").ok_or("info has no input")?;
    let member = |name: &str| input.get(name).and_then(Value::as_str);
    let kind = member("type").and_then(Kind::from_name).ok_or("info.input.type is neither http nor mcp")?;
    let (method, tool) = match kind {
        Kind::Http => {
            let method = member("method").ok_or("info.input has no method")?;
            let method = METHODS.into_iter().find(|known| *known == method);
            (method.ok_or("info.input.method is none that is listed")?.to_owned(), None)
        }
        Kind::Mcp => {
            let tool = member("toolName").ok_or("info.input has no toolName")?;
            ("POST".to_owned(), Some(text::one_line(tool, 128)).filter(|tool| !tool.is_empty()))
        }
    };
    if kind == Kind::Mcp && tool.is_none() {
        return Err("info.input.toolName is empty".to_owned());
    }
    let template = declaration.get("routeTemplate").and_then(Value::as_str);
    let template = template.and_then(|template| template::accepted(template, url.path()));
    Ok(Declared { kind, method, tool, info: info.clone(), template: template.map(str::to_owned) })
}

impl Declared {
    /// The key in a catalogue ("Route templates").
    pub(crate) fn key(&self, url: &Url) -> String {
        let origin = url.origin().ascii_serialization();
        match &self.tool {
            Some(tool) => format!("{origin}{} {tool}", url.path()),
            None => format!("{origin}{}", self.template.as_deref().unwrap_or(url.path())),
        }
    }

    /// What is shown of it.
    pub(crate) fn shown(&self) -> Value {
        let mut shown = Map::from_iter([("info".to_owned(), self.info.clone())]);
        if let Some(template) = &self.template {
            shown.insert("routeTemplate".to_owned(), json!(template));
        }
        Value::Object(shown)
    }
}

/// Whether a value is small enough; stops counting where it is not.
pub(crate) fn fits(value: &Value, nodes: &mut usize, bytes: &mut usize) -> bool {
    let mut take = |length: usize| match bytes.checked_sub(length) {
        Some(left) => {
            *bytes = left;
            true
        }
        None => false,
    };
    let Some(left) = nodes.checked_sub(1) else { return false };
    *nodes = left;
    match value {
        Value::String(text) => take(text.len()),
        Value::Array(entries) => entries.iter().all(|entry| fits(entry, nodes, bytes)),
        Value::Object(members) => members.iter().all(|(name, member)| {
            let Some(left) = bytes.checked_sub(name.len()) else { return false };
            *bytes = left;
            fits(member, nodes, bytes)
        }),
        _ => true,
    }
}

/// What a resource says about itself, as far as it may be shown: each member that breaks its rule is left out.
pub(crate) fn cleaned(info: &ResourceInfo, url: &Url) -> ResourceInfo {
    let mut clean = ResourceInfo::new(url.as_str());
    let line = |text: &Option<String>, longest| {
        text.as_deref().map(|text| text::one_line(text, longest)).filter(|text| !text.is_empty())
    };
    clean.description = line(&info.description, text::MAX_DESCRIPTION);
    clean.mime_type = line(&info.mime_type, 128);
    let alone = |set: &dyn Fn(&mut ResourceInfo)| {
        let mut one = ResourceInfo::new("");
        set(&mut one);
        one.check().is_ok()
    };
    let name = info.service_name.clone();
    clean.service_name = name.filter(|name| alone(&|one| one.service_name = Some(name.clone())));
    let tags = info.tags.iter().flatten().filter(|tag| alone(&|one| one.tags = Some(vec![(*tag).clone()])));
    let tags: Vec<_> = tags.take(5).cloned().collect();
    clean.tags = (!tags.is_empty()).then_some(tags);
    let icon = info.icon_url.clone();
    clean.icon_url = icon.filter(|icon| {
        let plain = Url::parse(icon).is_ok_and(|url| url.username().is_empty() && url.password().is_none());
        plain && alone(&|one| one.icon_url = Some(icon.clone()))
    });
    clean
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url() -> Url {
        "https://api.example.com/w/Oslo?u=1".parse().unwrap()
    }

    fn declaration() -> Value {
        json!({
            "info": { "input": { "type": "http", "method": "GET" } },
            "schema": { "type": "object", "properties": { "input": { "type": "object" } } },
            "routeTemplate": "/w/:city",
        })
    }

    #[test]
    fn keys_are_those_of_the_specification() {
        let mut declaration = declaration();
        assert_eq!(read(&declaration, &url()).unwrap().key(&url()), "https://api.example.com/w/:city");
        declaration["routeTemplate"] = json!("/somewhere/else");
        assert_eq!(read(&declaration, &url()).unwrap().key(&url()), "https://api.example.com/w/Oslo");
        declaration["info"]["input"] = json!({ "type": "mcp", "toolName": "forecast" });
        assert_eq!(read(&declaration, &url()).unwrap().key(&url()), "https://api.example.com/w/Oslo forecast");
    }

    #[test]
    fn what_does_not_hold_is_not_listed() {
        for (pointer, value) in [
            ("/info", json!(1)),
            ("/info/input/type", json!("ftp")),
            ("/info/input/method", json!("BREW")),
            ("/schema", json!({ "type": "array" })),
            ("/schema", json!({ "$ref": "https://evil.test/" })),
        ] {
            let mut declaration = declaration();
            *declaration.pointer_mut(pointer).unwrap() = value;
            assert!(read(&declaration, &url()).is_err(), "{declaration}");
        }
    }

    #[test]
    fn members_that_break_a_rule_are_left_out_one_by_one() {
        let mut info = ResourceInfo::new("https://elsewhere.test");
        info.description = Some("a\u{202e}b\n<b>".repeat(500));
        info.service_name = Some("Ünicode".to_owned());
        info.tags = Some(vec!["good".to_owned(), "x".repeat(33), "fine".to_owned()]);
        info.icon_url = Some("javascript:alert(1)".to_owned());
        let clean = cleaned(&info, &url());
        assert_eq!(clean.description.unwrap().chars().count(), text::MAX_DESCRIPTION);
        assert_eq!((clean.service_name, clean.icon_url), (None, None));
        assert_eq!(clean.tags.unwrap(), ["good", "fine"]);
        assert_eq!(clean.url, url().as_str());
    }
}
