//! Listings from axum handlers: what a handler's signature says is what is declared (feature `axum`).

use crate::listing::{Listing, Output};
use axum::extract::{Extension, Json, Path, Query, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::Html;
use schemars::JsonSchema;

/// What an argument of a handler says about the request. Extractors of your own say nothing, with an empty `impl`.
pub trait DescribesInput {
    /// Adds what it says.
    fn describe(listing: Listing) -> Listing {
        listing
    }
}

/// What a handler's result says about the answer.
pub trait DescribesOutput {
    /// Adds what it says.
    fn describe(listing: Listing) -> Listing {
        listing
    }
}

impl<T: JsonSchema> DescribesInput for Query<T> {
    fn describe(listing: Listing) -> Listing {
        listing.query::<T>()
    }
}

impl<T: JsonSchema> DescribesInput for Path<T> {
    fn describe(listing: Listing) -> Listing {
        listing.path::<T>()
    }
}

impl<T: JsonSchema> DescribesInput for Json<T> {
    fn describe(listing: Listing) -> Listing {
        listing.json_body::<T>()
    }
}

impl<T: JsonSchema> DescribesInput for Option<Query<T>> {
    fn describe(listing: Listing) -> Listing {
        listing.query::<T>()
    }
}

impl<T> DescribesInput for State<T> {}
impl<T> DescribesInput for Extension<T> {}
impl DescribesInput for HeaderMap {}
impl DescribesInput for Method {}
impl DescribesInput for Uri {}
impl DescribesInput for axum::extract::Request {}

impl<T: JsonSchema> DescribesOutput for Json<T> {
    fn describe(listing: Listing) -> Listing {
        listing.json_output::<T>()
    }
}

fn text(mut listing: Listing, kind: &str) -> Listing {
    listing.output = Some(Output { kind: kind.to_owned(), format: None, example: None, schema: None });
    listing
}

impl DescribesOutput for String {
    fn describe(listing: Listing) -> Listing {
        text(listing, "text")
    }
}

impl DescribesOutput for &'static str {
    fn describe(listing: Listing) -> Listing {
        text(listing, "text")
    }
}

impl<T> DescribesOutput for Html<T> {
    fn describe(listing: Listing) -> Listing {
        text(listing, "html")
    }
}

impl DescribesOutput for StatusCode {}
impl DescribesOutput for axum::response::Response {}

impl<T: DescribesOutput, E> DescribesOutput for Result<T, E> {
    fn describe(listing: Listing) -> Listing {
        T::describe(listing)
    }
}

impl<A, T: DescribesOutput> DescribesOutput for (A, T) {
    fn describe(listing: Listing) -> Listing {
        T::describe(listing)
    }
}

impl<A, B, T: DescribesOutput> DescribesOutput for (A, B, T) {
    fn describe(listing: Listing) -> Listing {
        T::describe(listing)
    }
}

/// An `async fn` that describes itself. Implemented for handlers of up to eight arguments.
pub trait DescribesItself<Arguments> {
    /// What its signature says.
    fn listing(&self) -> Listing;
}

macro_rules! handlers {
    ($(($($argument:ident),*)),+ $(,)?) => {$(
        impl<F, Fut, R, $($argument),*> DescribesItself<($($argument,)*)> for F
        where
            F: Fn($($argument),*) -> Fut,
            Fut: Future<Output = R>,
            R: DescribesOutput,
            $($argument: DescribesInput),*
        {
            fn listing(&self) -> Listing {
                let listing = Listing::new();
                $(let listing = <$argument as DescribesInput>::describe(listing);)*
                R::describe(listing)
            }
        }
    )+};
}

handlers!(
    (),
    (A1),
    (A1, A2),
    (A1, A2, A3),
    (A1, A2, A3, A4),
    (A1, A2, A3, A4, A5),
    (A1, A2, A3, A4, A5, A6),
    (A1, A2, A3, A4, A5, A6, A7),
    (A1, A2, A3, A4, A5, A6, A7, A8),
);

impl Listing {
    /// What a handler's signature says: its query, path, body and answer.
    ///
    /// ```
    /// use axum::Json;
    /// use axum::extract::{Path, Query};
    /// use schemars::JsonSchema;
    /// use serde::{Deserialize, Serialize};
    /// use tollway_discovery::Listing;
    ///
    /// #[derive(Deserialize, JsonSchema)]
    /// struct City { city: String }
    /// #[derive(Deserialize, JsonSchema)]
    /// struct Units { #[schemars(example = &"metric")] units: String }
    /// #[derive(Serialize, JsonSchema)]
    /// struct Weather { degrees: i32 }
    ///
    /// async fn weather(Path(at): Path<City>, Query(units): Query<Units>) -> Json<Weather> {
    ///     # let _ = (at.city, units.units);
    ///     Json(Weather { degrees: 21 })
    /// }
    ///
    /// let section = Listing::of(&weather).section();
    /// assert_eq!(section["query"]["example"]["units"], "metric");
    /// assert_eq!(section["output"]["schema"]["properties"]["degrees"]["type"], "integer");
    /// ```
    pub fn of<Arguments>(handler: &impl DescribesItself<Arguments>) -> Self {
        handler.listing()
    }
}
