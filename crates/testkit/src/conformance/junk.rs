//! Junk: everything a payload can be that is no payment. Deterministic, so that a failure can be repeated.

use serde_json::{Value, json};

/// A small deterministic generator (xorshift).
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }

    /// Random JSON that uses `names` as keys, so that it looks like the real thing from afar.
    pub(super) fn json(&mut self, names: &[String], depth: u32) -> Value {
        match self.roll(if depth == 0 { 4 } else { 7 }) {
            0 => Value::Null,
            1 => json!(self.roll(2) == 0),
            2 => self.number(),
            3 => Value::String(self.text()),
            4 => (0..self.roll(4)).map(|_| self.json(names, depth.saturating_sub(1))).collect(),
            _ => {
                let member = |dice: &mut Self| {
                    let which = dice.roll((names.len() as u64).saturating_add(1));
                    let name = usize::try_from(which).ok().and_then(|which| names.get(which));
                    (name.cloned().unwrap_or_else(|| dice.text()), dice.json(names, depth.saturating_sub(1)))
                };
                Value::Object((0..self.roll(6)).map(|_| member(self)).collect())
            }
        }
    }

    fn number(&mut self) -> Value {
        match self.roll(6) {
            0 => json!(0),
            1 => json!(-1),
            2 => json!(u64::MAX),
            3 => json!(i64::MIN),
            4 => json!(1e300),
            _ => json!(self.roll(1000)),
        }
    }

    pub(super) fn text(&mut self) -> String {
        const LETTERS: [char; 16] =
            ['0', '1', 'x', 'a', 'F', '-', '.', ' ', '\0', '"', '{', '/', ':', 'é', '\u{202e}', '😀'];
        let long = self.roll(20) == 0;
        let letters = if long { 5000 } else { self.roll(12) };
        (0..letters).filter_map(|_| usize::try_from(self.roll(16)).ok().map(|which| LETTERS[which])).collect()
    }
}

/// Every place of a value, the root first.
pub(super) fn places(value: &Value) -> Vec<String> {
    fn walk(value: &Value, at: &str, found: &mut Vec<String>) {
        found.push(at.to_owned());
        match value {
            Value::Object(members) => members.iter().for_each(|(key, inner)| {
                walk(inner, &format!("{at}/{}", key.replace('~', "~0").replace('/', "~1")), found);
            }),
            Value::Array(items) => {
                items.iter().enumerate().for_each(|(index, inner)| walk(inner, &format!("{at}/{index}"), found));
            }
            _ => {}
        }
    }
    let mut found = Vec::new();
    walk(value, "", &mut found);
    found
}

/// Names of members, anywhere in a value.
pub(super) fn names(value: &Value) -> Vec<String> {
    let mut names: Vec<String> =
        places(value).iter().filter_map(|place| place.rsplit_once('/').map(|(_, name)| name.to_owned())).collect();
    names.sort();
    names.dedup();
    names
}

/// The value with another one in a place.
pub(super) fn with(value: &Value, place: &str, other: Value) -> Value {
    let mut changed = value.clone();
    if let Some(target) = changed.pointer_mut(place) {
        *target = other;
    }
    changed
}

/// The value without a member; `None` for places that cannot be left out.
pub(super) fn without(value: &Value, place: &str) -> Option<Value> {
    let (parent, name) = place.rsplit_once('/')?;
    let mut changed = value.clone();
    let name = name.replace("~1", "/").replace("~0", "~");
    changed.pointer_mut(parent)?.as_object_mut()?.remove(&name).map(|_| changed)
}

/// Values of a wrong type in the place of one that is right.
pub(super) fn wrong_types(right: &Value) -> Vec<Value> {
    let mut wrong = vec![Value::Null, json!([[]]), json!(true), json!(0.5), json!(-1)];
    match right {
        Value::String(_) => wrong.extend([json!(7), json!({})]),
        Value::Number(_) => wrong.extend([json!("seven"), json!({})]),
        Value::Object(_) | Value::Array(_) => wrong.extend([json!(7), json!("seven"), json!("")]),
        _ => {}
    }
    wrong.retain(|value| std::mem::discriminant(value) != std::mem::discriminant(right));
    wrong
}

/// Values of any type that are hard to stomach.
pub(super) fn indigestible() -> Vec<Value> {
    let deep = |open: &str, close: &str| {
        let text = format!("{}1{}", open.repeat(100), close.repeat(100));
        serde_json::from_str(&text).unwrap_or_default()
    };
    vec![
        json!(""),
        json!("0x"),
        json!("\0"),
        json!("9".repeat(1000)),
        json!("x".repeat(100_000)),
        json!("\u{202e}é😀"),
        json!("115792089237316195423570985008687907853269984665640564039457584007913129639936"),
        json!(u64::MAX),
        json!(i64::MIN),
        json!(1e300),
        json!({}),
        json!([]),
        deep("[", "]"),
        deep("{\"a\":", "}"),
    ]
}
