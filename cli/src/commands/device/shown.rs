//! `hoist device show` for people: one block, with a line for whatever there is to say.

use std::time::SystemTime;

use hoist_orchestrator_core::model::word::Word;
use hoist_orchestrator_core::reply::{DeviceDetail, DeviceItem, PresenceWord, StatusWord};

use crate::output::text::wrapped;
use crate::output::{ago, plural};

/// Everything that is known of a device and not empty, what matters most first.
pub(super) fn block(shown: &DeviceDetail, now: SystemTime) -> String {
    let item = &shown.item;
    let mut text = format!("{}\n", item.device);
    let mut say = |title: &str, said: Option<String>| {
        if let Some(said) = said.filter(|said| !said.is_empty()) {
            text += &line(title, &said);
        }
    };
    say("group", Some(item.group.clone()));
    say("presence", Some(presence(item, now)));
    let identity = shown.identity.as_ref();
    say(
        "identity",
        identity.map(|it| format!("{}: {}; {}", it.code, it.says, it.next)),
    );
    say("trouble", item.trouble.as_ref().map(ToString::to_string));
    let revoked = item.revoked.as_ref();
    say(
        "revoked",
        revoked.map(|it| {
            let reason = match it.reason.as_str() {
                "" => String::new(),
                reason => format!(": {reason}"),
            };
            format!("{} by {}{reason}", ago(&it.at, now), it.by)
        }),
    );
    let held = format!("yes, until `hoist device hold {} --lift`", item.device);
    say("held", item.held.then_some(held));
    say("status", status(item));
    say("waits for", item.retry_cause.clone());
    say("script", script(item));
    say("output", shown.output.clone());
    say("rollback", item.rollback.as_ref().map(ToString::to_string));
    let refused = item.refused.as_ref();
    say(
        "refused",
        refused.map(|it| {
            let times = plural::count(it.count, "time");
            format!("{}, last {}, {times}", it.code, ago(&it.at, now))
        }),
    );
    say("installed", Some(pairs(item.installed.iter(), " ", "\n")));
    say("type", Some(shown.device_type.clone()));
    say("labels", Some(pairs(shown.labels.iter(), "=", " ")));
    say("placed", shown.placed.clone());
    say("agent", Some(shown.agent.clone()));
    say("key", shown.fingerprint.clone());
    let until = shown.old_token_until.as_ref();
    say(
        "old token",
        until.map(|until| format!("good until {until}")),
    );
    say("shown key", shown.offered_fingerprint.clone());
    text
}

/// A titled line; text of several lines stays as it is.
fn line(title: &str, said: &str) -> String {
    let begin = format!("  {title:<10} ");
    let mut lines = said.trim_end().lines();
    let first = wrapped(&begin, lines.next().unwrap_or_default());
    let rest = lines.map(|line| format!("{:width$}{line}\n", "", width = begin.len()));
    first + &rest.collect::<String>()
}

fn presence(item: &DeviceItem, now: SystemTime) -> String {
    match &item.last_seen {
        Some(_) if item.presence == PresenceWord::Online => item.presence.to_string(),
        Some(seen) => format!("{}, last seen {}", item.presence, ago(seen, now)),
        None => format!("{}, never seen", item.presence),
    }
}

/// The outcome of its newest deployment, or the progress.
fn status(item: &DeviceItem) -> Option<String> {
    if let (None, Some(removed)) = (item.status, item.deployment) {
        return Some(format!(
            "not known any more: deployment {removed} was removed"
        ));
    }
    let said = match item.status? {
        StatusWord::Pending => "pending".to_owned(),
        StatusWord::InProgress if item.retrying => "in progress, waits to try again".to_owned(),
        StatusWord::InProgress => match (&item.step, item.progress_percent) {
            (Some(step), Some(percent)) => format!("{step} {percent}%"),
            (Some(step), None) => step.to_string(),
            (None, _) => "in progress".to_owned(),
        },
        StatusWord::Successful => "successful".to_owned(),
        StatusWord::Failed => {
            let reason = item.reason.as_ref().map(Word::as_str);
            format!("failed, {}", reason.unwrap_or("unknown"))
        }
    };
    let number = |title: &str, number: Option<u32>| number.map(|it| format!("{title} {it}"));
    let parts = [
        Some(said),
        item.provisional
            .then(|| "provisionally: it did not say so itself".to_owned()),
        item.late
            .then(|| "after it had counted as failed".to_owned()),
        number("deployment", item.deployment.map(|id| id.0)),
        number("round", item.round.filter(|round| *round > 0)),
        number("attempt", item.attempt.filter(|attempt| *attempt > 0)),
    ];
    Some(parts.into_iter().flatten().collect::<Vec<_>>().join(", "))
}

/// The script at fault, and how it ended.
fn script(item: &DeviceItem) -> Option<String> {
    let script = item.script.as_ref()?;
    let end = item.script_end.as_ref().map_or("ended", Word::as_str);
    Some(match item.exit {
        Some(signal) if signal < 0 => format!("{script}, signal {}", signal.unsigned_abs()),
        Some(code) => format!("{script}, exit code {code}"),
        None => format!("{script}, {end}"),
    })
}

fn pairs<'a>(
    pairs: impl Iterator<Item = (&'a String, &'a String)>,
    between: &str,
    after: &str,
) -> String {
    let pairs: Vec<String> = pairs
        .map(|(name, value)| format!("{name}{between}{value}"))
        .collect();
    pairs.join(after)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn shown(fields: &Value) -> String {
        let mut all = json!({
            "device": "dev-01", "group": "eu", "presence": "offline", "lastSeen": null,
            "deployment": null, "status": null, "step": null, "progressPercent": null,
            "retrying": false, "retryCause": null, "held": false, "attempt": null, "round": null,
            "reason": null, "provisional": false, "late": false, "rollback": null,
            "installed": {}, "script": null, "scriptEnd": null, "exit": null, "refused": null,
            "trouble": null, "type": "", "agent": "", "labels": {}, "placed": null, "keyPinned": false,
            "fingerprint": null, "offeredFingerprint": null, "identity": null, "ended": 0,
            "revoked": null, "oldTokenUntil": null,
            "output": null,
        });
        for (name, value) in fields.as_object().unwrap() {
            all[name] = value.clone();
        }
        let now = humantime::parse_rfc3339("2026-01-01T00:05:00Z").unwrap();
        block(&serde_json::from_value(all).unwrap(), now)
    }

    #[test]
    fn of_a_new_device_only_what_is_known_is_shown() {
        assert_eq!(
            shown(&json!({})),
            "dev-01\n  group      eu\n  presence   offline, never seen\n"
        );
    }

    #[test]
    fn of_a_device_that_failed_everything_is_one_block_that_fits_a_terminal() {
        let failed = shown(&json!({
            "lastSeen": "2026-01-01T00:00:00Z", "deployment": 3, "status": "failed",
            "attempt": 3, "round": 1, "reason": "script-failed", "rollback": "ok",
            "script": "verify", "scriptEnd": "exit", "exit": 4, "output": "one\ntwo\n",
            "installed": {"app": "1.0.0", "boot": "2.0.0"}, "labels": {"a": "1", "b": "2"},
            "trouble": "cannot-execute", "agent": "0.1.0",
            "revoked": {"at": "2026-01-01T00:04:00Z", "by": "admin", "reason": "stolen"},
            "oldTokenUntil": "2026-01-01T01:00:00Z",
        }));
        assert_eq!(
            failed,
            "dev-01\n  \
             group      eu\n  \
             presence   offline, last seen 5m ago\n  \
             trouble    cannot-execute\n  \
             revoked    1m ago by admin: stolen\n  \
             status     failed, script-failed, deployment 3, round 1, attempt 3\n  \
             script     verify, exit code 4\n  \
             output     one\n             two\n  \
             rollback   ok\n  \
             installed  app 1.0.0\n             boot 2.0.0\n  \
             labels     a=1 b=2\n  \
             agent      0.1.0\n  \
             old token  good until 2026-01-01T01:00:00Z\n"
        );
        let says = "it shows another key than the one that is pinned, and ".repeat(4);
        let doubted = shown(&json!({
            "identity": {"code": "E_REENROL", "says": says, "next": "approve it"},
        }));
        assert!(
            doubted.lines().all(|line| line.chars().count() <= 80),
            "{doubted}"
        );
    }
}
