//! The page for people in a real browser, without a screen: what it shows, what it looks like, and that nothing runs.
//!
//! It needs Chromium: on the path, or where `TOLLWAY_BROWSER` says. `cargo xtask browser` installs it where the system has
//! a package. Without one this test fails, unless `TOLLWAY_NO_BROWSER=1` says that there is none to be had.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![allow(clippy::print_stderr, reason = "what was not tested is said aloud")]

#[path = "it/support.rs"]
#[allow(dead_code, reason = "the other tests use more of it")]
mod support;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};
use support::{World, challenge};
use tollway_core::FacilitatorExtension;

/// Longest wait for the browser. It is a limit, not a measurement.
const PATIENCE: Duration = Duration::from_secs(90);

fn browser() -> Option<PathBuf> {
    if let Some(named) = std::env::var_os("TOLLWAY_BROWSER") {
        return Some(named.into());
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let names = ["chromium", "chromium-browser", "google-chrome", "chrome", "chrome-headless-shell"];
    let mut places = std::env::split_paths(&path).flat_map(|folder| names.map(|name| folder.join(name)));
    places.find(|place| place.is_file())
}

/// Runs the browser on a page, and gives what it printed.
fn run(browser: &Path, profile: &Path, args: &[&str], url: &str) -> String {
    let mut child = Command::new(browser)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars"])
        .args(["--no-first-run", "--disable-background-networking", "--window-size=1000,800"])
        .arg(format!("--user-data-dir={}", profile.display()))
        .args(args)
        .arg(url)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let until = Instant::now() + PATIENCE;
    // The page is small: it fits the pipe, and can be read afterwards.
    let output = std::thread::spawn({
        let mut out = child.stdout.take().unwrap();
        move || {
            let mut text = String::new();
            std::io::Read::read_to_string(&mut out, &mut text).map(|_| text)
        }
    });
    while child.try_wait().unwrap().is_none() {
        if Instant::now() > until {
            let _ = child.kill();
            panic!("the browser did not end in {PATIENCE:?}");
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    output.join().unwrap().unwrap()
}

/// A picture, and how many colours and how much of its background it has.
fn picture(path: &Path) -> (u32, u32, usize, f64) {
    let mut reader =
        png::Decoder::new(std::io::BufReader::new(std::fs::File::open(path).unwrap())).read_info().unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut pixels).unwrap();
    let size = info.color_type.samples();
    let mut colours = std::collections::HashMap::new();
    for pixel in pixels[..info.buffer_size()].chunks_exact(size) {
        *colours.entry(pixel.to_vec()).or_insert(0usize) += 1;
    }
    let most = colours.values().max().copied().unwrap_or_default();
    let all = f64::from(info.width) * f64::from(info.height);
    (info.width, info.height, colours.len(), most as f64 / all)
}

#[test]
fn a_browser_shows_it_and_runs_nothing() {
    let Some(browser) = browser() else {
        assert!(
            std::env::var_os("TOLLWAY_NO_BROWSER").is_some(),
            "no browser is installed; run `cargo xtask browser`, or say TOLLWAY_NO_BROWSER=1 to do without this test"
        );
        eprintln!("NOT TESTED: there is no browser, and TOLLWAY_NO_BROWSER says so");
        return;
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let (world, url) = runtime.block_on(async {
        let world = World::new();
        for n in 0..8 {
            world.sold(&format!("https://s{n}.test/x"), "Weather by the hour", "1000").await;
        }
        let hostile = "https://evil.test/x";
        let text = "tides</td><script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">";
        let mut required = challenge(hostile, text, "1");
        required.resource.service_name = Some("<b>Tides</b>".to_owned());
        world.resources.set(hostile, &required);
        world.pay(&required, "mallory").await;
        world.lists(9).await;
        let catalogue = Arc::new(world.catalogue.clone());
        let app = axum::Router::new().fallback(move |uri: axum::http::Uri, query: axum::extract::RawQuery| {
            let catalogue = catalogue.clone();
            async move {
                let query = query.0.unwrap_or_default();
                let query: Vec<_> = url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
                let reply = catalogue.get(uri.path(), &query).await.unwrap_or_default();
                let mut response = axum::http::Response::builder().header("content-type", reply.content_type);
                for (name, value) in reply.attach {
                    response = response.header(name, value);
                }
                response.body(axum::body::Body::from(reply.body)).unwrap()
            }
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        (world, url)
    });
    let folder = tempfile::tempdir().unwrap();
    let profile = folder.path().join("profile");

    let dom = run(&browser, &profile, &["--dump-dom"], &format!("{url}/"));
    let document = scraper::Html::parse_document(&dom);
    let select = |selector: &str| document.select(&scraper::Selector::parse(selector).unwrap()).count();
    assert_eq!(select("#services tbody tr"), 9, "{dom}");
    assert_eq!((select("script"), select("img"), select("td b")), (0, 0, 0), "{dom}");
    assert!(dom.contains("<title>Paid services</title>"), "a stranger's script ran: {dom}");

    let dom = run(&browser, &profile, &["--dump-dom"], &format!("{url}/?query=tides&type=http"));
    let document = scraper::Html::parse_document(&dom);
    let select = |selector: &str| document.select(&scraper::Selector::parse(selector).unwrap()).count();
    assert_eq!((select("#services tbody tr"), select("option[selected][value=http]")), (1, 1), "{dom}");

    let shot = |name: &str, url: String| {
        let path = folder.path().join(name);
        run(&browser, &profile, &[&format!("--screenshot={}", path.display())], &url);
        picture(&path)
    };
    let (width, height, colours, background) = shot("all.png", format!("{url}/"));
    assert_eq!((width, height), (1000, 800));
    assert!(colours > 20, "text has soft edges: {colours} colours");
    let (.., empty) = shot("none.png", format!("{url}/?query=nothing"));
    assert!((0.5..0.99).contains(&background), "mostly background, and something on it: {background}");
    assert!(empty > background, "a table takes room: {background} with, {empty} without");
    drop(world);
}
