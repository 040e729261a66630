//! Registration before `main`. A binary of its own and a single test, since what is submitted is global to a process.
#![cfg(feature = "inventory")]

use tollway_core::{BuildContext, Candidate, FacilitatorSelector, NoConfig, Plugin, Registry, register};

struct Nearest;

impl tollway_core::Build for Nearest {
    type Config = NoConfig;

    async fn build(_: NoConfig, _: BuildContext) -> Result<Self, String> {
        Ok(Self)
    }
}

impl FacilitatorSelector for Nearest {
    fn rank(&self, _: &mut [Candidate<'_>]) {}
}

const ZEBRA: Plugin = Plugin::new("zebra", "submitted first", |r| {
    r.selector::<Nearest>("striped");
});
const APE: Plugin = Plugin::new("ape", "submitted second", |r| {
    r.selector::<Nearest>("hairy");
});

register!(ZEBRA);
register!(APE);

#[test]
fn what_is_linked_is_discovered_in_an_order_of_its_own() {
    let registry = Registry::discover().unwrap();
    assert_eq!(registry.plugins().iter().map(Plugin::name).collect::<Vec<_>>(), ["ape", "zebra"]);
    assert_eq!(registry.parts().iter().map(|part| part.name()).collect::<Vec<_>>(), ["hairy", "striped"]);
    let by_hand = Registry::builder().plugin(ZEBRA).plugin(APE).build().unwrap();
    assert_eq!(format!("{registry:?}"), format!("{by_hand:?}"), "both paths lead to the same registry");
    let twice =
        registry.plugins().iter().fold(Registry::builder().plugin(APE), |builder, plugin| builder.plugin(*plugin));
    assert!(twice.build().unwrap_err().to_string().contains("`ape`"));
}
