//! [`Bazaar`]: the resource server's side of the extension.

use crate::declaration::Declaration;
use crate::listing::{BAZAAR, Listing};
use async_trait::async_trait;
use serde_json::Value;
use std::sync::Arc;
use tollway_core::{Binding, Build, BuildContext, Declaring, NoConfig, ServerExtension};

/// Routes with a section `discovery` describe themselves in their challenges, for facilitators to list.
#[derive(Debug, Clone, Copy, Default)]
pub struct Bazaar;

impl Build for Bazaar {
    type Config = NoConfig;

    async fn build(_: NoConfig, _: BuildContext) -> Result<Self, String> {
        Ok(Self)
    }
}

#[async_trait]
impl ServerExtension for Bazaar {
    fn key(&self) -> &'static str {
        BAZAAR
    }

    async fn bind(&self, route: &Binding<'_>) -> Result<Option<Arc<dyn ServerExtension>>, String> {
        let listing: Listing =
            serde_json::from_value(route.section.clone()).map_err(|why| format!("discovery: {why}"))?;
        let declaration = Declaration::new(&listing, route.pattern).map_err(|why| format!("discovery: {why}"))?;
        Ok(Some(Arc::new(Listed(declaration))))
    }
}

/// One route's part.
#[derive(Debug)]
struct Listed(Declaration);

#[async_trait]
impl ServerExtension for Listed {
    fn key(&self) -> &'static str {
        BAZAAR
    }

    fn declare(&self, cx: &Declaring<'_>) -> Option<Value> {
        let rest = cx.resource.url.split_once("://").map_or(cx.resource.url.as_str(), |(_, rest)| rest);
        let path = rest.find('/').map_or("/", |slash| &rest[slash..]);
        Some(self.0.for_path(path.split(['?', '#']).next().unwrap_or_default()))
    }
}
