//! Proof that a path leads to the same state where the whole world takes part in every step.

use super::super::choice::Choice;
use super::super::invariants::Broken;
use super::super::world::World;
use super::search::{Search, Step};
use super::state::{State, View};
use super::step;

/// The end of a path in the whole world, or nothing where the order of devices' specs differs.
type Ended = Option<Result<step::State, Broken>>;

impl Search<'_> {
    /// A path leads to the same where the whole world is there at every step.
    pub(super) fn prove(&self, path: &[(State, Step)], reached: &Result<State, Broken>) {
        let Some((from, _)) = path.first() else {
            return;
        };
        let (steps, states) = (&self.turns.steps, &self.turns.states);
        let [whole, other] = [[1, 2], [2, 1]].map(|names| {
            let before = states.together(steps, *from, names);
            self.replay(steps.world(&before.parts), &self.choices(path, names))
        });
        let (Some(whole), Some(other)) = (whole, other) else {
            return;
        };
        let mut differences = String::new();
        let whole = match (whole, other, reached) {
            (Ok(whole), Ok(other), Ok(state)) => {
                let found = states.together(steps, *state, [1, 2]);
                differences = steps.differences(&found.parts, &whole);
                let after = states.together(steps, *state, [2, 1]);
                let whole = View::of(whole, found.left);
                let other = View::of(other, after.left);
                Ok(states.whole(steps, &whole, &other))
            }
            (whole, other, _) => whole.and(other).map(|_| self.first),
        };
        assert_eq!(
            &whole,
            reached,
            "a step is not what it is in the whole world: {:?}\n{differences}",
            self.choices(path, [1, 2])
        );
    }

    /// When both devices' specs have to go out, the server takes them by name, and a device's
    /// turn here takes its own: then there is nothing to compare.
    fn replay(&self, mut world: World, choices: &[Choice]) -> Ended {
        for choice in choices {
            if matches!(choice, Choice::Reconcile) && world.server.marked_devices() > 1 {
                return None;
            }
            if let Err(broken) = world.apply(*choice) {
                return Some(Err(broken));
            }
        }
        Some(Ok(self.turns.steps.state(&world)))
    }
}
