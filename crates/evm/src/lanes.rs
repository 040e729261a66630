//! [`Roster`]: every signer's lane on a network; [`Lanes`]: those that pay for one scheme's gas.

use crate::Evm;
use crate::address::parse_address;
use crate::chain::Chain;
use crate::lane::{Lane, Seat};
use alloy::primitives::Address;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use tollway_core::{LedgerHandle, Network as _, NetworkId, Rejected, Result, Signer};

/// A network's node, and the lanes of all signers that send through it.
#[derive(Debug)]
pub(crate) struct Roster {
    chain: Arc<Chain>,
    lanes: Mutex<BTreeMap<Address, Arc<Lane>>>,
    /// Held while payments whose slot was taken are signed for another.
    pub(crate) moving: tokio::sync::Mutex<()>,
}

impl Roster {
    pub(crate) fn new(chain: Chain) -> Self {
        Self { chain: Arc::new(chain), lanes: Mutex::default(), moving: tokio::sync::Mutex::default() }
    }

    pub(crate) fn chain(&self) -> &Arc<Chain> {
        &self.chain
    }

    /// The lane of a signer; one per address, whoever asks.
    pub(crate) fn lane(&self, signer: &Arc<dyn Signer>, address: Address) -> Arc<Lane> {
        let mut lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        let make = || Arc::new(Lane::new(self.chain.clone(), signer.clone(), address));
        lanes.entry(address).or_insert_with(make).clone()
    }

    /// The lane of this address, if one of the signers has it.
    pub(crate) fn known(&self, address: Address) -> Option<Arc<Lane>> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner).get(&address).cloned()
    }

    /// All of them.
    pub(crate) fn all(&self) -> Vec<Arc<Lane>> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }
}

/// At least one lane, in the order of the configuration.
#[derive(Debug)]
pub(crate) struct Lanes(Vec<Arc<Lane>>);

impl Lanes {
    /// # Errors
    /// The network has no RPC, or there is no key, or one that is no EVM key.
    pub(crate) fn open(network: &Evm, signers: &[Arc<dyn Signer>]) -> Result<Self, String> {
        network.chain().map_err(|fault| fault.to_string())?;
        let lanes: Result<Vec<_>, String> = signers
            .iter()
            .map(|signer| {
                let address = parse_address(signer.address())
                    .ok_or_else(|| format!("the signer's address `{}` is no EVM address", signer.address()))?;
                network.lane(signer, address).map_err(|fault| fault.to_string())
            })
            .collect();
        let lanes = lanes?;
        if lanes.is_empty() {
            let id = network.id();
            return Err(format!(
                "no key pays for gas on {id}; add signers = {{ \"{id}\" = [{{ key = \"env:MY_KEY\" }}] }}"
            ));
        }
        Ok(Self(lanes))
    }

    /// A seat on the least busy signer's lane, of those that this process signs with. Where it signs with none, one of
    /// another process: the payment is handed over. One that cannot pay for gas only where none can.
    ///
    /// # Errors
    /// The ledger could not be asked.
    pub(crate) async fn choose(&self, network: &NetworkId, ledger: &LedgerHandle) -> Result<Seat> {
        let mut lanes: Vec<&Arc<Lane>> = self.0.iter().collect();
        lanes.sort_by_key(|lane| (lane.purse.is_dry(), lane.busy()));
        for lane in &lanes {
            if ledger.holds(network, &lane.address().to_checksum(None)).await? {
                return Ok(lane.join());
            }
        }
        // There is always one; the refusal is for the compiler.
        let lane = lanes.first().map(|lane| lane.join());
        lane.ok_or(Rejected::new(tollway_core::codes::UNEXPECTED_SETTLE_ERROR).into())
    }

    /// A seat on a certain signer's lane.
    pub(crate) fn of(&self, address: Address) -> Option<Seat> {
        self.0.iter().find(|lane| lane.address() == address).map(Lane::join)
    }

    /// Whether one of the signers has this address.
    pub(crate) fn has(&self, address: Address) -> bool {
        self.0.iter().any(|lane| lane.address() == address)
    }

    /// The first signer: the one that is told to the world where only one can be.
    pub(crate) fn first(&self) -> Option<Address> {
        self.0.first().map(|lane| lane.address())
    }

    /// All of them, in the spelling of EIP-55.
    pub(crate) fn addresses(&self) -> Vec<String> {
        self.0.iter().map(|lane| lane.address().to_checksum(None)).collect()
    }
}
