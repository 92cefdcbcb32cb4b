//! The modelled world as people see it, in lines.

use hoist_orchestrator_core::reply::view::DeploymentView;
use hoist_orchestrator_core::reply::{Answer, DeviceItem, DeviceSecrets, ErrorBody, StatusWord};

/// An answer in one line, as JSON without what is the same in every one.
pub(super) fn said(answer: Answer) -> Result<String, String> {
    let secrets = |_: &_, _| DeviceSecrets {
        token: "its token".to_owned(),
        root_sha256: String::new(),
        root_number: 1,
    };
    match answer.into_body(secrets) {
        Ok(body) => {
            let text = serde_json::to_string(&body).map_err(|error| error.to_string())?;
            Ok(text)
        }
        Err(rejection) => {
            let error = ErrorBody::from(rejection);
            Ok(format!("error[{}]: {}", error.code, error.detail))
        }
    }
}

pub(super) fn summary(view: &DeploymentView) -> String {
    let counts = &view.counts;
    let mut text = format!(
        "{} {} to {}: {:?}",
        view.deployment, view.release, view.group, view.state
    );
    if let Some(reason) = &view.reason {
        text += &format!(" ({reason})");
    }
    text += &format!(
        ", {} members: {} pending, {} in progress, {} successful, {} failed",
        counts.members, counts.pending, counts.in_progress, counts.successful, counts.failed
    );
    if view.steps.retrying > 0 {
        text += &format!(", {} retrying", view.steps.retrying);
    }
    if view.settled {
        text += ", settled";
    }
    text
}

pub(super) fn device_line(item: &DeviceItem) -> String {
    let status = match item.status {
        Some(StatusWord::Pending) => "pending",
        Some(StatusWord::InProgress) => "in progress",
        Some(StatusWord::Successful) => "successful",
        Some(StatusWord::Failed) => "failed",
        None => "unknown",
    };
    let mut text = format!("    {} {status}", item.device);
    if let Some(step) = &item.step {
        text += &format!(" {step}");
    }
    if let Some(reason) = &item.reason {
        text += &format!(" {reason}");
    }
    let words = [
        (item.retrying, "retrying"),
        (item.provisional, "provisional"),
        (item.late, "late"),
        (item.held, "held"),
    ];
    for (is, word) in words {
        if is {
            text += &format!(", {word}");
        }
    }
    for (name, number) in [("attempt", item.attempt), ("round", item.round)] {
        if let Some(number) = number.filter(|number| *number > 0) {
            text += &format!(", {name} {number}");
        }
    }
    if let Some(rollback) = &item.rollback {
        text += &format!(", rollback {rollback}");
    }
    if item.group.is_empty() {
        text += ", removed";
    } else if item.group != "eu" {
        text += &format!(", in {}", item.group);
    }
    text
}
