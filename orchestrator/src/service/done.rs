//! Lines of the log about operators: a line for everything that somebody did, and one for every
//! deployment that ended. Fields, never a body or a secret.

use hoist_orchestrator_core::api::command::{Command, VerbEffect};
use hoist_orchestrator_core::api::response::{Decision, Response};
use hoist_orchestrator_core::engine::arrival::Asked;
use hoist_orchestrator_core::model::effect::{Effect, Event};
use hoist_orchestrator_core::reply::{Answer, Imported};
use hoist_protocol::id::{DeploymentId, RequestId, UserId};

/// The subject of a command.
#[derive(Debug, Default, PartialEq, Eq)]
struct About {
    deployment: Option<DeploymentId>,
    release: Option<String>,
    group: Option<String>,
    device: Option<String>,
    /// The number of devices, where it was several.
    devices: Option<u32>,
}

/// Says what a command did. Whatever was answered before, only asked, or changed nothing
/// has a response and no effect.
pub(super) fn say(asked: &Asked, decision: &Decision) {
    let Ok(command) = &asked.command else { return };
    let Decision {
        effects, response, ..
    } = decision;
    if !effects.iter().any(changes) {
        return;
    }
    let Some(Response::Reply { answer, .. }) = response else {
        return;
    };
    for about in about(command, answer, effects) {
        tracing::info!(
            user = %asked.user,
            request = %asked.request,
            verb = command.verb().word(),
            deployment = about.deployment.map(|id| id.0),
            release = about.release,
            group = about.group,
            device = about.device,
            devices = about.devices,
            "command done"
        );
    }
}

/// True if an effect follows from a change. To read and to refuse is none.
fn changes(effect: &Effect) -> bool {
    !matches!(
        effect,
        Effect::ReadReports(_)
            | Effect::ReadStatus(_)
            | Effect::Rejected { .. }
            | Effect::Damaged(_)
            | Effect::EnrollAnswered { .. }
    )
}

/// Says what was done about a user.
pub(super) fn say_user(user: &UserId, request: &RequestId, command: &Command) {
    let about = match command {
        Command::UserAdd(add) => &add.user,
        Command::UserRemove(remove) => &remove.user,
        _ => return,
    };
    if command.verb().effect() == VerbEffect::Changes && !command.is_dry() {
        tracing::info!(%user, %request, verb = command.verb().word(), about, "command done");
    }
}

/// Says what happened by itself, and how every deployment ended.
pub(super) fn say_event(event: &Event) {
    match event {
        Event::DeploymentStarted { deployment } => {
            tracing::info!(%deployment, "deployment started");
        }
        Event::DeploymentEnded {
            deployment,
            group,
            reason,
            by,
        } => {
            let by = by.as_ref().map(tracing::field::display);
            let reason = reason.as_str();
            tracing::info!(%deployment, %group, reason, by, "deployment ended");
        }
        Event::DeviceFailed {
            deployment,
            device,
            reason,
            provisional,
            ..
        } => {
            let reason = reason.as_str();
            tracing::info!(%deployment, %device, reason, provisional, "device failed");
        }
        Event::DeploymentRemoved {
            deployment,
            release,
            group,
        } => tracing::info!(%deployment, release, %group, "deployment removed: long over"),
        Event::DeploymentPaused {
            deployment,
            group,
            reason,
            by: None,
        } => {
            let reason = reason.as_str();
            tracing::warn!(%deployment, %group, reason, "deployment paused by itself");
        }
        Event::PhaseOpened {
            deployment,
            group,
            phase,
            of,
        } => tracing::info!(%deployment, %group, phase, of, "a phase opened"),
        Event::ApprovalWanted {
            deployment,
            group,
            phase,
            approvals,
        } => tracing::info!(%deployment, %group, phase, approvals, "a phase waits for approval"),
        Event::DeviceRemoved { device, group, by } if *by == UserId::retention() => {
            tracing::info!(%device, %group, "device removed: silent for long");
        }
        Event::DeviceWaits {
            device,
            fingerprint,
        } => tracing::info!(%device, fingerprint, "a device waits for approval"),
        Event::DevicesChanged {
            pass,
            changed,
            refused,
            by,
        } => tracing::info!(pass, changed, refused, %by, "devices changed"),
        // A command says more about the rest.
        _ => {}
    }
}

/// A device, alone.
fn device(device: &impl ToString) -> About {
    About {
        device: Some(device.to_string()),
        ..About::default()
    }
}

/// A group, or everything.
fn of_group(group: Option<String>) -> About {
    About {
        group,
        ..About::default()
    }
}

fn about(command: &Command, answer: &Answer, effects: &[Effect]) -> Vec<About> {
    let ended = effects.iter().find_map(|effect| match effect {
        Effect::Event(Event::DeploymentEnded { group, .. }) => Some(group.to_string()),
        _ => None,
    });
    vec![match answer {
        Answer::Deployed { .. } | Answer::DeployedBeside { .. } => return created(effects),
        Answer::Aborted(aborted) => About {
            deployment: Some(aborted.deployment),
            group: ended,
            ..About::default()
        },
        Answer::Retried(retried) => About {
            deployment: Some(retried.deployment),
            devices: Some(retried.devices),
            ..About::default()
        },
        Answer::WentOn(result) => About {
            deployment: Some(result.deployment),
            ..About::default()
        },
        Answer::ReleaseAdded(added) | Answer::ReleaseRemoved(added) => About {
            release: Some(added.release.clone()),
            ..About::default()
        },
        Answer::DeviceAdded { device: added, .. } => About {
            group: match command {
                Command::DeviceAdd(add) => add.group.clone(),
                _ => None,
            },
            ..device(added)
        },
        Answer::DeviceMoved {
            device: moved,
            group,
        } => About {
            group: Some(group.to_string()),
            ..device(moved)
        },
        Answer::DeviceHeld { device: named, .. }
        | Answer::DeviceRemoved { device: named }
        | Answer::DeviceRevoked { device: named }
        | Answer::TokenRotated { device: named, .. }
        | Answer::DeviceApproved { device: named, .. } => device(named),
        Answer::Imported(devices) => {
            let added = devices
                .iter()
                .filter(|(_, _, became)| *became == Imported::Added);
            About {
                devices: u32::try_from(added.count()).ok(),
                ..About::default()
            }
        }
        Answer::GroupCreated { group } | Answer::GroupRemoved { group } => {
            of_group(Some(group.to_string()))
        }
        Answer::DeviceLabeled(labeled) => device(&labeled.device),
        Answer::PassBegun(_) => About::default(),
        Answer::Frozen(result) => of_group(result.group.clone()),
        Answer::Refused(_)
        | Answer::ClaimCreated { .. }
        | Answer::ClaimNamed { .. }
        | Answer::UserManaged(_)
        | Answer::PolicyPut(_)
        | Answer::Planned(_)
        | Answer::DevicePlanned { .. }
        | Answer::ImportPlanned(_) => return Vec::new(),
    }]
}

/// The deployments that a command created.
fn created(effects: &[Effect]) -> Vec<About> {
    let created = effects.iter().filter_map(|effect| match effect {
        Effect::Event(Event::DeploymentCreated {
            deployment,
            release,
            group,
            ..
        }) => Some(About {
            deployment: Some(*deployment),
            release: Some(release.clone()),
            group: Some(group.to_string()),
            ..About::default()
        }),
        _ => None,
    });
    created.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use hoist_orchestrator_core::api::command::{DeviceApprove, DeviceImport};
    use hoist_protocol::id::DeviceId;

    fn id(device: &str) -> DeviceId {
        device.parse().unwrap()
    }

    #[test]
    fn an_import_says_how_many_devices_are_new_and_an_approval_which_device_it_was() {
        let import = Command::DeviceImport(DeviceImport {
            devices: Vec::new(),
            skip_existing: true,
            dry_run: false,
        });
        let became = [Imported::Added, Imported::Unchanged, Imported::Added];
        let became = became.map(|became| (id("d1"), 1, became));
        let said = about(&import, &Answer::Imported(became.into()), &[]);
        assert_eq!(said[0].devices, Some(2));

        let approve = Command::DeviceApprove(DeviceApprove {
            device: "d1".into(),
            fingerprint: None,
            dry_run: false,
        });
        let approved = Answer::DeviceApproved {
            device: id("d1"),
            fingerprint: "00".into(),
        };
        let said = about(&approve, &approved, &[]);
        assert_eq!(said[0].device.as_deref(), Some("d1"));
    }

    #[test]
    fn to_read_once_more_what_a_device_said_is_no_change() {
        assert!(!changes(&Effect::ReadReports(id("d1"))));
        assert!(changes(&Effect::DeviceSpecChanged(id("d1"))));
    }
}
