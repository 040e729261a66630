//! The page for people, read by a parser. A browser looks at it in the tests of the whole.

use crate::support::World;
use scraper::{Html, Selector};

fn select<'a>(document: &'a Html, selector: &str) -> Vec<scraper::ElementRef<'a>> {
    document.select(&Selector::parse(selector).unwrap()).collect()
}

#[tokio::test]
async fn it_is_searched_and_turned_over() {
    let world = World::new();
    let empty = Html::parse_document(&world.page(&[]).await);
    assert_eq!(select(&empty, "#none").len(), 1);
    for n in 0..30 {
        let words = if n == 7 { "tide tables" } else { "weather" };
        world.sold(&format!("https://s{n}.test/x"), words, "1").await;
    }
    world.lists(30).await;
    let first = Html::parse_document(&world.page(&[]).await);
    assert_eq!(select(&first, "#services tbody tr").len(), 25);
    let more = select(&first, "#more")[0].attr("href").unwrap();
    let cursor = more.split_once("cursor=").unwrap().1.to_owned();
    let second = Html::parse_document(&world.page(&[("cursor", &cursor)]).await);
    assert_eq!(select(&second, "#services tbody tr").len(), 5);
    assert!(select(&second, "#more").is_empty());
    let found = Html::parse_document(&world.page(&[("query", "tide")]).await);
    let rows = select(&found, "#services tbody tr");
    assert_eq!(rows.len(), 1);
    assert!(rows[0].text().collect::<String>().contains("https://s7.test/x"));
    assert_eq!(select(&found, "input[name=query]")[0].attr("value"), Some("tide"));
    assert_eq!(select(&found, "form")[0].attr("action"), Some("/"));
}
