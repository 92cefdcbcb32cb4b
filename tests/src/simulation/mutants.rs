//! Mistakes that can be planted, of every crate that the simulation runs. What it cannot see
//! it does not prove.

use hoist_device_client::mutant as device;
use hoist_orchestrator::mutant as server;
use hoist_orchestrator_core::mutant as core;

use super::mutant as model;
use crate::device_mutants::shows_on_one_device;

/// Seeds within which each must be seen.
pub const SEEDS_MAX: u64 = 20_000;

/// A mistake of one of the crates.
#[derive(Debug, Clone, Copy)]
pub enum Mistake {
    /// In the orchestrator's rules.
    Core(core::Mutant),
    /// In what the orchestrator publishes.
    Server(server::Mutant),
    /// In the device's machine.
    Device(device::Mutant),
    /// In the order of things around the rules, which is modelled.
    Model(model::Mutant),
}

/// Every mistake.
pub fn all() -> impl Iterator<Item = Mistake> {
    let core = core::Mutant::ALL.iter().copied().map(Mistake::Core);
    let server = server::Mutant::ALL.iter().copied().map(Mistake::Server);
    let device = device::Mutant::ALL.iter().copied();
    let device = device
        .filter(|mutant| !shows_on_one_device(*mutant))
        .map(Mistake::Device);
    let model = model::Mutant::ALL.iter().copied().map(Mistake::Model);
    core.chain(server).chain(device).chain(model)
}

/// Takes away whatever is planted.
pub fn plant_none() {
    core::plant(None);
    server::plant(None);
    device::plant(None);
    model::plant(None);
}

impl Mistake {
    /// Plants it, and nothing else, in this whole process.
    pub fn plant(self) {
        plant_none();
        match self {
            Self::Core(mutant) => core::plant(Some(mutant)),
            Self::Server(mutant) => server::plant(Some(mutant)),
            Self::Device(mutant) => device::plant(Some(mutant)),
            Self::Model(mutant) => model::plant(Some(mutant)),
        }
    }

    /// Its name, with where it is.
    pub fn name(self) -> String {
        match self {
            Self::Core(mutant) => format!("core/{}", mutant.word()),
            Self::Server(mutant) => format!("reconcile/{}", mutant.word()),
            Self::Device(mutant) => format!("device/{}", mutant.word()),
            Self::Model(mutant) => format!("adapter/{}", mutant.word()),
        }
    }
}
