//! What `deploy` would do, asked by those who may only read.

use super::{Need, Now, Queried, Reader, UserId};
use crate::api::command::Deploy;
use crate::engine::decide::Stop;
use crate::reply::PlanResult;
use crate::rules::deployment;

/// `plan`: on a copy of the rows that is thrown away.
pub(super) fn plan(
    reader: &Reader,
    user: &UserId,
    command: &Deploy,
    now: Now,
) -> Queried<PlanResult> {
    let mut txn = reader.rows.clone();
    match deployment::plan::plan(&mut txn, user, command, now) {
        Ok(plans) => {
            let plans = plans.into_iter().map(|(plan, _)| plan).collect();
            Ok(Ok(PlanResult { plans }))
        }
        Err(Stop::Rejected(rejection)) => Ok(Err(rejection)),
        Err(Stop::Undecided(undecided)) => Err(Need::Rows(undecided)),
    }
}
