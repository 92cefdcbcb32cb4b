//! The meaning of a command before it is carried out, in words and numbers of its dry run.

use maud::{Markup, html};
use serde_json::Value;

use crate::fields::Fields;
use crate::parts::plan;
use crate::parts::words::{count, spoken};

/// The sentences of a dry run.
pub(super) fn of(verb: &str, body: &Value, result: &Value) -> Markup {
    if verb == "deploy" {
        return plan::plans(result);
    }
    html! { ul.says { @for sentence in sentences(verb, body, result) { li { (sentence) } } } }
}

fn devices(number: u64) -> String {
    count(number, "device", "devices")
}

fn sentences(verb: &str, body: &Value, result: &Value) -> Vec<String> {
    let of = |name| devices(result.number(name));
    let deployment = body.number("deployment");
    match verb {
        "abort" => vec![
            format!("Deployment #{deployment} ends for good."),
            format!("{} that have not started never will.", of("neverStart")),
            format!(
                "{} in progress finish, or roll back by themselves.",
                of("finishing")
            ),
            format!("{} that have ended stay as they are.", of("unaffected")),
        ],
        "pause" => vec![
            format!(
                "Nobody starts deployment #{deployment} any more, until it is resumed: {} wait.",
                of("pending")
            ),
            format!("{} in progress finish.", of("inProgress")),
        ],
        "resume" => vec![
            format!(
                "Deployment #{deployment} goes on: {} may start as its rollout lets them.",
                of("pending")
            ),
            "A gate that stopped it is set aside, and failures until now count no more.".to_owned(),
        ],
        "approve" => vec![
            format!(
                "The phase of deployment #{deployment} that waits for people opens once enough of them have approved."
            ),
            format!("{} have not started yet.", of("pending")),
        ],
        "retry" => vec![format!(
            "{} begin again, in round {}.",
            of("devices"),
            result.number("round")
        )],
        "freeze" | "unfreeze" => vec![frozen(verb, body)],
        _ => of_device(verb, body, result),
    }
}

fn frozen(verb: &str, body: &Value) -> String {
    let place = body.maybe("group").map_or_else(
        || "anywhere".to_owned(),
        |group| format!("in group {group}"),
    );
    match verb {
        "freeze" => format!(
            "Nobody starts anything {place}; who has started finishes, and what is deployed waits."
        ),
        _ => format!("Who waits because of the freeze {place} may begin."),
    }
}

fn of_device(verb: &str, body: &Value, result: &Value) -> Vec<String> {
    let device = body.text("device");
    match verb {
        "device-hold" if body["held"] == Value::Bool(false) => {
            vec![format!(
                "Device {device} obeys its group again, and starts what waits for it."
            )]
        }
        "device-hold" => vec![format!(
            "Device {device} finishes what it has started and starts nothing else."
        )],
        "device-move" => vec![format!(
            "Device {device} obeys group {} from now on; what runs on it finishes.",
            result.text("group")
        )],
        "device-label" => {
            let labels = result.pairs("labels").into_iter();
            let labels: Vec<String> = labels
                .map(|(name, value)| format!("{name}={value}"))
                .collect();
            vec![format!(
                "Its labels will be: {}.",
                if labels.is_empty() {
                    "none".to_owned()
                } else {
                    labels.join(", ")
                }
            )]
        }
        "device-revoke" => vec![
            format!("Device {device} is shut out at once: nothing that it has lets it in again."),
            "Its group and its records stay. A new token lets it in again.".to_owned(),
        ],
        "device-approve" => vec![format!(
            "The key {} is the one of device {device} from now on.",
            result.text("fingerprint")
        )],
        verb => vec![spoken(verb)],
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_abort_says_how_many_never_start() {
        let (body, result) = (
            json!({"deployment": 3}),
            json!({"neverStart": 1_200, "finishing": 1}),
        );
        let said = of("abort", &body, &result).into_string();
        assert!(
            said.contains("1\u{2009}200 devices that have not started never will."),
            "{said}"
        );
        assert!(said.contains("1 device in progress"), "{said}");
    }

    #[test]
    fn every_other_action_says_something() {
        for verb in [
            "pause",
            "resume",
            "approve",
            "retry",
            "freeze",
            "unfreeze",
            "device-hold",
            "device-move",
            "device-label",
            "device-revoke",
            "device-approve",
            "deploy",
        ] {
            let said = of(verb, &json!({}), &json!({"plans": [{}]})).into_string();
            assert!(said.len() > 20, "{verb}: {said}");
        }
    }
}
