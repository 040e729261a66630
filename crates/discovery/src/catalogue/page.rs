//! The catalogue as a page for people: one form, one table, no script. All text of strangers is escaped.

use super::Catalogue;
use super::answer::{MOST_WORDS, Wrong, base36, broken, filter, parameter, refused};
use crate::entry::{Entry, dollars, iso};
use crate::store::Search;
use crate::text::words;
use std::fmt::Write;
use tollway_core::Reply;
use tollway_http::escape_html;
use url::form_urlencoded;

/// Entries on a page.
const ON_A_PAGE: usize = 25;

/// Nothing may run, nothing may be loaded, nothing may frame it, and the form leads here.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'; \
                      frame-ancestors 'none'";

const STYLE: &str = "\
:root{color-scheme:light dark}\
body{font:16px/1.5 system-ui,sans-serif;max-width:64rem;margin:2rem auto;padding:0 1rem}\
form{display:flex;gap:.5rem;flex-wrap:wrap;margin:1rem 0}\
input,select,button{font:inherit;padding:.4rem .6rem}\
input[type=search]{flex:1 1 16rem}\
input[name=maxPrice]{width:8rem}\
table{border-collapse:collapse;width:100%}\
th,td{text-align:left;vertical-align:top;padding:.5rem .75rem .5rem 0;border-top:1px solid #8884}\
th{font-weight:600;border-top:0}\
td:nth-child(2),td:nth-child(4){white-space:nowrap}\
code{font-size:.85em;overflow-wrap:anywhere}\
small{opacity:.75}\
.tag{display:inline-block;border:1px solid #8886;border-radius:1rem;padding:0 .5rem;font-size:.8em;margin-right:.25rem}";

impl Catalogue {
    pub(super) async fn page(&self, path: &str, query: &[(String, String)]) -> Reply {
        let read = || {
            let after = parameter(query, "cursor").map(|text| {
                u64::from_str_radix(text, 36).map_err(|_| Wrong("this page is no more; begin anew".to_owned()))
            });
            let text = parameter(query, "query").unwrap_or_default();
            Ok(Search::new(words(text, MOST_WORDS), filter(query)?, ON_A_PAGE, after.transpose()?))
        };
        let search = match read() {
            Ok(search) => search,
            Err(wrong) => return refused(wrong),
        };
        let found = match self.inner.store.search(&search).await {
            Ok(found) => found,
            Err(why) => return broken(&why),
        };
        let more = found.next.map(|next| {
            let mut link = form_urlencoded::Serializer::new(String::new());
            link.extend_pairs(query.iter().filter(|(name, value)| name != "cursor" && !value.is_empty()));
            format!("{path}?{}", link.append_pair("cursor", &base36(next)).finish())
        });
        let page = render(path, query, &found.entries, more.as_deref());
        let mut reply = Reply::json(200, page);
        reply.content_type = "text/html; charset=utf-8".to_owned();
        reply.attach("content-security-policy", POLICY).attach("x-content-type-options", "nosniff")
    }
}

fn render(path: &str, query: &[(String, String)], entries: &[Entry], more: Option<&str>) -> String {
    let value = |name: &str| escape_html(parameter(query, name).unwrap_or_default());
    let chosen = parameter(query, "type").unwrap_or_default();
    let option = |kind: &str, label: &str| {
        let selected = if kind == chosen { " selected" } else { "" };
        format!("<option value=\"{kind}\"{selected}>{label}</option>")
    };
    let mut page = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\"><title>Paid services</title>\
         <style>{STYLE}</style></head><body><h1>Paid services</h1>\
         <p>Each of these was asked by this facilitator, and answered with the price shown. What a service says about \
         itself is its own word.</p>\
         <form action=\"{path}\" method=\"get\" role=\"search\">\
         <input type=\"search\" name=\"query\" aria-label=\"Search\" placeholder=\"weather\" value=\"{}\">\
         <input name=\"maxPrice\" aria-label=\"Highest price in dollars\" placeholder=\"at most $\" value=\"{}\">\
         <input name=\"network\" aria-label=\"Network\" placeholder=\"eip155:8453\" value=\"{}\">\
         <select name=\"type\" aria-label=\"Kind\">{}{}{}</select><button>Search</button></form>",
        value("query"),
        value("maxPrice"),
        value("network"),
        option("", "all"),
        option("http", "http"),
        option("mcp", "mcp"),
    );
    if entries.is_empty() {
        page.push_str("<p id=\"none\">Nothing is listed that fits.</p>");
    } else {
        page.push_str(
            "<table id=\"services\"><thead><tr><th>Service</th><th>Price</th><th>Paid on</th><th>Measured</th></tr>\
             </thead><tbody>",
        );
        for entry in entries {
            row(&mut page, entry);
        }
        page.push_str("</tbody></table>");
    }
    if let Some(more) = more {
        let _ = write!(page, "<p><a id=\"more\" href=\"{}\">More</a></p>", escape_html(more));
    }
    page.push_str("</body></html>");
    page
}

fn row(page: &mut String, entry: &Entry) {
    let info = &entry.resource;
    let name = info.service_name.as_deref().or(info.description.as_deref()).unwrap_or(&entry.host);
    let _ = write!(page, "<tr><td><strong>{}</strong>", escape_html(name));
    if let Some(text) = info.description.as_deref().filter(|_| info.service_name.is_some()) {
        let _ = write!(page, "<br>{}", escape_html(text));
    }
    let _ = write!(page, "<br><code>{} {}</code><br>", escape_html(&entry.method), escape_html(&entry.key));
    for tag in info.tags.iter().flatten() {
        let _ = write!(page, "<span class=\"tag\">{}</span>", escape_html(tag));
    }
    let price = match (entry.price, entry.accepts.first()) {
        (Some(price), _) => format!("${}", dollars(price)),
        (None, Some(offer)) => format!("{} units of <code>{}</code>", offer.amount, escape_html(&offer.asset)),
        (None, None) => String::new(),
    };
    let mut networks: Vec<_> = entry.accepts.iter().map(|offer| offer.network.as_str()).collect();
    networks.dedup();
    let networks: Vec<_> = networks.iter().map(|network| format!("<code>{}</code>", escape_html(network))).collect();
    let _ = write!(
        page,
        "</td><td>{price}</td><td>{}</td><td>{} ms<br>{}.{} % up<br><small>{}</small></td></tr>",
        networks.join("<br>"),
        entry.latency_ms,
        entry.success / 10,
        entry.success % 10,
        escape_html(&iso(entry.probed)),
    );
}
