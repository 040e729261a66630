//! Every part accepts its own example and refuses what it does not know.

use super::Conformance;
use super::stage::{Stage, example, with_id};
use crate::report::Notes;
use serde_json::{Value, json};
use std::time::Duration;
use tollway_core::{BuildContext, Part};

/// A factory that needs longer does something it should do later.
const PATIENCE: Duration = Duration::from_secs(20);

pub(super) async fn check(subject: &Conformance, stage: &Stage, notes: &Notes) {
    for part in stage.parts(subject) {
        let Some(section) = notes.take("configuration: example", example(part), || format!("{part:?}")) else {
            continue;
        };
        let contexts = stage.contexts(subject, part);
        notes.check("configuration: somewhere to try", !contexts.is_empty(), || {
            format!("{part:?}: no network to try it on; name one with `.network(..)`, or its chain with `.beside(..)`")
        });
        for (id, cx) in contexts {
            let section = with_id(section.clone(), part, id.as_ref());
            let at = || format!("{part:?} with {section}");
            let _ = notes.take("configuration: example", attempt(part, &section, &cx).await, at);

            let mut unknown = section.clone();
            unknown["__unknown__"] = json!(1);
            let answer = attempt(part, &unknown, &cx).await;
            let named = matches!(&answer, Err(why) if why.contains("__unknown__"));
            notes.check("configuration: unknown key", named, || {
                format!("{part:?} must refuse `__unknown__` by name (deny_unknown_fields), but gave {answer:?}")
            });
            let bare = with_id(json!({ "__unknown__": 1 }), part, id.as_ref());
            let answer = attempt(part, &bare, &cx).await;
            notes.check("configuration: unknown key", answer.is_err(), || format!("{part:?} accepts {bare}"));
            for wrong in [json!(5), json!("text"), json!(true)] {
                let answer = attempt(part, &wrong, &cx).await;
                notes.check("configuration: no object", answer.is_err(), || format!("{part:?} accepts {wrong}"));
            }
        }
    }
}

/// Makes a part and throws it away. A panic or a factory that never ends is an error like others.
pub(super) async fn attempt(part: &Part, section: &Value, cx: &BuildContext) -> Result<(), String> {
    let (part, section, cx) = (part.clone(), section.clone(), cx.clone());
    let task = tokio::spawn(async move { tokio::time::timeout(PATIENCE, part.try_config(section, cx)).await });
    match task.await {
        Ok(Ok(result)) => result,
        Ok(Err(_)) => Err("the factory did not end".to_owned()),
        Err(_) => Err("the factory panicked".to_owned()),
    }
}
