//! What is known of a release that may be there already.

use super::*;
use crate::session::proof::{Proof, Proving};

fn verdict(verdict: Verdict) -> Event {
    Event::Manifest {
        deployment: DeploymentId(1),
        release: entry(1).release,
        verdict,
    }
}

#[test]
fn a_proof_is_begun_once_for_a_deployment_and_kept_until_something_else_is_done() {
    let mut proof = Proof::default();
    assert_eq!(proof.ended(Verdict::Already), None);
    proof.forget();
    assert_eq!(proof.of(&entry(1)), Proving::Begin);
    proof.begun(&entry(1));
    assert_eq!(proof.of(&entry(1)), Proving::Wait, "asked for again");
    let event = verdict(Verdict::Already);
    assert_eq!(proof.ended(Verdict::Already), Some(event.clone()));
    assert_eq!(proof.of(&entry(1)), Proving::Known(event), "and again");
    let other = DeploymentSpec {
        release: entry(1).release,
        ..entry(2)
    };
    assert_eq!(proof.of(&other), Proving::Begin);
    proof.forget();
    assert_eq!(proof.of(&entry(1)), Proving::Begin);
}
