//! What follows when everything has come to rest: people let go on what waits for them, and the server
//! starts once more.

use super::super::choice::Choice;
use super::super::generate;
use super::super::invariants::{Broken, finally, hold};
use super::super::world::World;
use super::{rest, rng};

/// Times that operators let rollouts go on at the end.
const GO_ON: u32 = 6;
/// Above the numbers of orders that a world begins with.
const LATER: u32 = 1_000;

/// Operators let go on what waits for them, until nothing does.
pub(super) fn go_on(world: &mut World) -> Result<(), Broken> {
    for turn in 0..GO_ON {
        let waits: Vec<_> = world.server.waits_for_people().collect();
        for (id, phase) in waits {
            if let Some(text) = generate::go_on(rng(world), id.0, phase) {
                world.want(LATER + turn * LATER + id.0, text);
            }
        }
        if world.orders.is_empty() {
            return Ok(());
        }
        rest(world)?;
        finally::check(world)?;
    }
    Ok(())
}

/// Whatever was forgotten in a crash, a restart comes to the same end.
pub(super) fn restarted(world: &World) -> Result<(), Broken> {
    let mut again = world.clone();
    // What goes meanwhile is a matter of time.
    again.server.keep_ms = None;
    again.apply(Choice::ServerCrash)?;
    again.apply(Choice::ServerStart)?;
    again.apply(Choice::ServerConnect(0))?;
    rest(&mut again)?;
    finally::check(&again)?;
    let (before, after) = (finally::essence(world), finally::essence(&again));
    let differs = before
        .iter()
        .zip(&after)
        .find(|(before, after)| before != after);
    hold(before == after, "a-restart-comes-to-the-same-end", || {
        format!("{differs:?}")
    })
}
