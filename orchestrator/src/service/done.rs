//! What the log says of operators: a line for everything that somebody did, and one for
//! every deployment that ended. Fields, never a body or a secret.

use hoist_orchestrator_core::command::{Command, VerbEffect};
use hoist_orchestrator_core::effect::{Effect, Event};
use hoist_orchestrator_core::reply::Answer;
use hoist_protocol::id::{DeploymentId, RequestId, UserId};

use crate::arrival::Asked;

/// What a command was about.
#[derive(Debug, Default, PartialEq, Eq)]
struct About {
    deployment: Option<DeploymentId>,
    release: Option<String>,
    group: Option<String>,
    device: Option<String>,
    /// How many devices, where it was several.
    devices: Option<u32>,
}

/// Says what a command did. Whatever was answered before, only asked, or changed nothing
/// has no other effect than its reply.
pub(super) fn say(asked: &Asked, effects: &[Effect]) {
    let changed = |effect: &Effect| {
        !matches!(
            effect,
            Effect::Reply { .. }
                | Effect::Query { .. }
                | Effect::ManageUser { .. }
                | Effect::Rejected { .. }
        )
    };
    let Ok(command) = &asked.command else { return };
    if !effects.iter().any(changed) {
        return;
    }
    let answer = effects.iter().find_map(|effect| match effect {
        Effect::Reply { answer, .. } => Some(answer),
        _ => None,
    });
    let Some(answer) = answer else { return };
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
            tracing::info!(%deployment, %group, reason, by, "deployment ended");
        }
        Event::DeviceFailed {
            deployment,
            device,
            reason,
            provisional,
            ..
        } => tracing::info!(%deployment, %device, reason, provisional, "device failed"),
        // A command says more about the rest.
        _ => {}
    }
}

fn about(command: &Command, answer: &Answer, effects: &[Effect]) -> Vec<About> {
    let ended = effects.iter().find_map(|effect| match effect {
        Effect::Event(Event::DeploymentEnded { group, .. }) => Some(group.to_string()),
        _ => None,
    });
    let one = match (command, answer) {
        (Command::Deploy(_), _) => return created(effects),
        (_, Answer::Aborted(aborted)) => About {
            deployment: Some(aborted.deployment),
            group: ended,
            ..About::default()
        },
        (_, Answer::Retried(retried)) => About {
            deployment: Some(retried.deployment),
            devices: Some(retried.devices),
            ..About::default()
        },
        (_, Answer::ReleaseAdded(added)) => About {
            release: Some(added.release.clone()),
            ..About::default()
        },
        (Command::DeviceAdd(add), _) => About {
            device: Some(add.device.clone()),
            group: add.group.clone(),
            ..About::default()
        },
        (Command::DeviceMove(to), _) => About {
            device: Some(to.device.clone()),
            group: Some(to.group.clone()),
            ..About::default()
        },
        (Command::DeviceHold(hold), _) => About {
            device: Some(hold.device.clone()),
            ..About::default()
        },
        (Command::DeviceRemove(remove), _) => About {
            device: Some(remove.device.clone()),
            ..About::default()
        },
        (Command::GroupCreate(create), _) => About {
            group: Some(create.group.clone()),
            ..About::default()
        },
        _ => About::default(),
    };
    vec![one]
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
