//! `tollway plugins`: what is linked into this program.

use clap::Args;
use std::fmt::Write;
use tollway::Registry;

/// What `plugins` prints.
#[derive(Debug, Args)]
pub(crate) struct PluginsArgs {
    /// Print one JSON object
    #[arg(long, conflicts_with = "markdown")]
    json: bool,
    /// Print the table of docs/plugins.md
    #[arg(long)]
    markdown: bool,
}

pub(crate) fn run(args: &PluginsArgs) -> Result<(), String> {
    let registry = Registry::discover().map_err(|why| why.to_string())?;
    if args.json {
        println!("{}", json(&registry));
    } else if args.markdown {
        print!("{}", markdown(&registry));
    } else {
        print!("{}", text(&registry));
    }
    Ok(())
}

fn json(registry: &Registry) -> serde_json::Value {
    let part = |part: &tollway::core::Part| serde_json::json!({ "kind": part.kind().to_string(), "name": part.name(), "at": part.at(), "example": part.example() });
    let plugin = |plugin: &tollway::core::Plugin| {
        let parts = registry.parts().iter().filter(|part| part.plugin() == plugin.name());
        let parts: Vec<_> = parts.map(part).collect();
        serde_json::json!({ "name": plugin.name(), "summary": plugin.summary(), "parts": parts })
    };
    let plugins: Vec<_> = registry.plugins().iter().map(plugin).collect();
    serde_json::json!({ "plugins": plugins })
}

fn text(registry: &Registry) -> String {
    let mut out = String::new();
    for plugin in registry.plugins() {
        let _ = writeln!(out, "{}  {}", plugin.name(), plugin.summary());
        for part in registry.parts().iter().filter(|part| part.plugin() == plugin.name()) {
            let at = part.at().filter(|at| *at != part.name()).map(|at| format!(" on {at}")).unwrap_or_default();
            let _ = writeln!(out, "    {:20} {}{at}", part.kind().to_string(), part.name());
        }
    }
    out
}

fn markdown(registry: &Registry) -> String {
    let mut out =
        String::from("| plug-in | part | name | networks | example of its section |\n|---|---|---|---|---|\n");
    for part in registry.parts() {
        let at = part.at().map(|at| format!("`{at}`")).unwrap_or_default();
        let _ = writeln!(
            out,
            "| {} | {} | `{}` | {at} | `{}` |",
            part.plugin(),
            part.kind(),
            part.name(),
            part.example().split_whitespace().collect::<Vec<_>>().join(" ")
        );
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Plug-ins that are linked by features only. Where they are not, the page's rows of theirs are left as they are.
    const OPTIONAL: [&str; 1] = ["tollway-solana"];

    /// `UPDATE=1 cargo test -p tollway-cli --all-features` writes the table anew.
    #[test]
    fn the_page_about_plugins_is_true() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/plugins.md");
        let page = std::fs::read_to_string(path).unwrap();
        let registry = Registry::discover().unwrap();
        let (head, rows) = page.split_once("| plug-in |").unwrap();
        let of = |row: &str| row.split(' ').nth(1).unwrap_or_default().to_owned();
        let absent = |name: &str| !registry.plugins().iter().any(|plugin| plugin.name() == name);
        let kept = rows.lines().filter(|row| OPTIONAL.contains(&&*of(row)) && absent(&of(row)));
        let table = markdown(&registry);
        let (titles, parts) = table.split_at(table.match_indices('\n').nth(1).unwrap().0 + 1);
        let mut parts: Vec<&str> = parts.lines().chain(kept).collect();
        // In the registry's order, which is that of the plug-ins' names.
        parts.sort_by_key(|row| of(row));
        let expected = format!("{head}{titles}{}\n", parts.join("\n"));
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(path, &expected).unwrap();
        }
        assert_eq!(
            std::fs::read_to_string(path).unwrap(),
            expected,
            "run `UPDATE=1 cargo test -p tollway-cli --all-features`"
        );
    }
}
