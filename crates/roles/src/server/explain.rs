//! [`ResourceServer::explain`]: why each offer of a request is made, ranked or left out.

use super::ResourceServer;
use crate::prefer::Explanation;
use tollway_core::Request;

impl ResourceServer {
    /// What preferences, prices and facilitators make of the offers for a request, whoever would settle them. `None` for
    /// a request that no route covers, and while no facilitator has answered.
    pub async fn explain(&self, request: &dyn Request) -> Option<Explanation> {
        let engine = &self.engine;
        let index = engine.route(request)?;
        let route = &engine.routes[index];
        let live = self.live().ok()?;
        let shared = Some(request.to_shared());
        let (mut kept, mut dropped) = (Vec::new(), route.disliked.clone());
        for (ready, way) in route.ways.iter().zip(&live.routes[index].ways) {
            if way.kinds.is_empty() {
                let name = format!("{} on {}", ready.way.scheme, ready.network.id());
                dropped.push((name, "no facilitator settles it".to_owned()));
                continue;
            }
            match ready.offers(&way.kinds, &engine.preferences, &shared).await {
                Ok(mut made) => {
                    engine.order(&mut made.offers);
                    for offer in made.offers {
                        let mut name = ready.shown(&offer.requirements, offer.facilitator.name());
                        if !engine.selector.available(offer.position) {
                            name.push_str(" (not available now)");
                        }
                        kept.push((name, offer.liking.clone()));
                    }
                    dropped.append(&mut made.disliked);
                }
                Err(why) => dropped.push((format!("{} on {}", ready.way.scheme, ready.network.id()), why)),
            }
        }
        Some(Explanation::new(&engine.preferences, &kept, &dropped))
    }
}
