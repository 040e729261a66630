//! Listings from handlers: what is declared is what the handler takes and gives.

use axum::Json;
use axum::extract::{Path, Query, State};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tollway_discovery::Listing;

#[derive(Deserialize, JsonSchema)]
struct City {
    city: String,
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum System {
    Metric,
    Imperial,
}

#[derive(Deserialize, JsonSchema)]
struct Units {
    units: System,
    days: Option<u8>,
}

#[derive(Serialize, JsonSchema)]
struct Place {
    name: String,
}

#[derive(Serialize, JsonSchema)]
struct Weather {
    place: Place,
    degrees: i32,
}

#[derive(Deserialize, JsonSchema)]
struct Text {
    #[schemars(example = &"hello")]
    text: String,
}

async fn weather(
    State(()): State<()>,
    Path(City { city }): Path<City>,
    Query(Units { units, days }): Query<Units>,
) -> Result<Json<Weather>, axum::http::StatusCode> {
    let degrees = match units {
        System::Metric => 21,
        System::Imperial => 70,
    };
    Ok(Json(Weather { place: Place { name: city }, degrees: degrees + i32::from(days.unwrap_or_default()) }))
}

async fn echo(Json(Text { text }): Json<Text>) -> Json<String> {
    Json(text)
}

#[tokio::test]
async fn a_handler_describes_itself() {
    let section = Listing::of(&weather).section();
    assert_eq!(section["query"]["example"], json!({ "units": "metric" }));
    assert_eq!(section["query"]["schema"]["required"], json!(["units"]));
    assert_eq!(section["path"]["properties"]["city"]["type"], "string");
    let output = &section["output"]["schema"];
    assert_eq!(output["properties"]["place"]["properties"]["name"]["type"], "string", "in one piece");
    assert!(!section.to_string().contains("$ref"), "{section}");
    let section = Listing::of(&echo).section();
    assert_eq!(section["body"]["example"], json!({ "text": "hello" }));
    let answer =
        weather(State(()), Path(City { city: "Oslo".to_owned() }), Query(Units { units: System::Metric, days: None }));
    assert_eq!(answer.await.unwrap().0.degrees, 21);
    assert_eq!(echo(Json(Text { text: "a".to_owned() })).await.0, "a");
}
