//! The page a browser gets instead of a resource that is for sale. Static: no script, no wallet.

use std::fmt::Write;
use tollway_core::{PaymentRequired, PaymentRequirements};
use tollway_roles::ResourceServer;

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:40rem;margin:4rem auto;padding:0 1rem}\
    code{overflow-wrap:anywhere}td{padding:.2rem 1rem .2rem 0;vertical-align:top}";

/// The default page.
pub(crate) fn page(required: &PaymentRequired, server: &ResourceServer) -> String {
    let resource = &required.resource;
    let title = resource.service_name.as_deref().unwrap_or("Payment required");
    let mut page = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" \
         content=\"width=device-width\"><title>{0}</title><style>{STYLE}</style></head><body><h1>{0}</h1>",
        escape_html(title)
    );
    if let Some(description) = resource.description.as_deref().filter(|text| !text.is_empty()) {
        let _ = write!(page, "<p>{}</p>", escape_html(description));
    }
    let _ = write!(page, "<p><code>{}</code> has to be paid for.", escape_html(&resource.url));
    match required.error.as_deref() {
        None | Some("Payment required") => {}
        Some(error) => {
            let _ = write!(page, " The last payment was refused: <code>{}</code>.", escape_html(error));
        }
    }
    page.push_str("</p><table>");
    for offer in &required.accepts {
        row(&mut page, offer, server);
    }
    page.push_str(
        "</table><p>Use a client that speaks <a href=\"https://www.x402.org\">x402</a>: it reads the \
         <code>PAYMENT-REQUIRED</code> header of this answer, signs, and asks again.</p></body></html>",
    );
    page
}

fn row(page: &mut String, offer: &PaymentRequirements, server: &ResourceServer) {
    let price = match server.asset(&offer.network, &offer.asset) {
        Some(asset) => {
            format!("{} {}", offer.amount.to_decimal(asset.decimals), escape_html(&asset.symbol))
        }
        None => format!("{} atomic units of <code>{}</code>", offer.amount, escape_html(&offer.asset)),
    };
    let _ = write!(
        page,
        "<tr><td><strong>{price}</strong></td><td>{} on <code>{}</code></td><td>to <code>{}</code></td></tr>",
        escape_html(&offer.scheme),
        escape_html(offer.network.as_str()),
        escape_html(&offer.pay_to)
    );
}

/// Makes text safe inside HTML elements and quoted attributes. Pages of your own put everything through it that comes
/// from a challenge.
pub fn escape_html(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}
