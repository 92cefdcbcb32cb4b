//! Commands as they are typed, so that people see how to do by a script what they did by hand.

use serde_json::Value;

use crate::fields::Fields;

/// The line of the command line that is the same as a command.
pub(crate) fn of(verb: &str, body: &Value) -> String {
    let mut words: Vec<String> = vec!["hoist".to_owned()];
    words.extend(verb_words(verb, body).into_iter().map(str::to_owned));
    if let Some(named) = ["deployment", "device"]
        .iter()
        .find_map(|name| body.maybe(name))
    {
        words.push(quoted(&named));
    }
    match verb {
        "freeze" | "unfreeze" => words.extend(body.maybe("group").map(|group| quoted(&group))),
        "device-label" => words.extend(labels(body)),
        "deploy" => words.extend(deploy(body)),
        _ => words.extend(flags(verb, body)),
    }
    words.join(" ")
}

fn verb_words<'v>(verb: &'v str, body: &Value) -> Vec<&'v str> {
    match verb {
        "pause" | "resume" | "approve" | "abort" | "retry" => vec!["deployment", verb],
        "device-hold" if body["held"] == Value::Bool(false) => vec!["device", "hold", "--lift"],
        verb => match verb.split_once('-') {
            Some((noun, verb)) => vec![noun, verb],
            None => vec![verb],
        },
    }
}

fn flags(verb: &str, body: &Value) -> Vec<String> {
    let named = ["reason", "phase", "group", "fingerprint"].into_iter();
    let there = named.filter_map(|name| Some((name, body.maybe(name)?)));
    let flags = there.map(|(name, value)| format!("--{name} {}", quoted(&value)));
    let sure = (verb == "abort").then(|| "--yes".to_owned());
    flags.chain(sure).collect()
}

fn labels(body: &Value) -> Vec<String> {
    let set = body.pairs("set").into_iter();
    let set = set.map(|(name, value)| quoted(&format!("{name}={value}")));
    let remove = body.texts("remove").into_iter();
    set.chain(remove.map(|name| quoted(&format!("{name}-"))))
        .collect()
}

fn deploy(body: &Value) -> Vec<String> {
    let mut words = vec![quoted(&body.text("release"))];
    let texts = [
        ("group", "--group"),
        ("selector", "--selector"),
        ("policy", "--policy"),
        ("attempts", "--attempts"),
    ];
    for (name, flag) in texts {
        if let Some(value) = body.maybe(name) {
            words.push(format!("{flag} {}", quoted(&value)));
        }
    }
    let phases: Vec<String> = body["rollout"].items("phases").iter().map(phase).collect();
    if !phases.is_empty() {
        words.push(format!("--phases {}", phases.join(",")));
    }
    if let Some(devices) = body["limit"].maybe("devices") {
        words.push(format!("--limit {devices}"));
    }
    if let Some(seconds) = body.maybe("timeoutSecs") {
        words.push(format!("--timeout {seconds}s"));
    }
    words
}

fn phase(phase: &Value) -> String {
    match phase["percent"].as_f64() {
        Some(percent) => format!("{percent}%"),
        None => phase.text("devices"),
    }
}

/// A word as a shell takes it.
fn quoted(word: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"@._-=:/%,".contains(&byte);
    match !word.is_empty() && word.bytes().all(is_plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', "'\\''")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn commands_are_written_as_they_are_typed() {
        for (verb, body, line) in [
            (
                "abort",
                json!({"deployment": 3, "reason": "it's bad"}),
                "hoist deployment abort 3 --reason 'it'\\''s bad' --yes",
            ),
            (
                "approve",
                json!({"deployment": 3, "phase": 2}),
                "hoist deployment approve 3 --phase 2",
            ),
            ("freeze", json!({}), "hoist freeze"),
            ("unfreeze", json!({"group": "eu"}), "hoist unfreeze eu"),
            (
                "device-move",
                json!({"device": "d1", "group": "eu"}),
                "hoist device move d1 --group eu",
            ),
            (
                "device-hold",
                json!({"device": "d1", "held": false}),
                "hoist device hold --lift d1",
            ),
            (
                "device-label",
                json!({"device": "d1", "set": {"a": "b c"}, "remove": ["x"]}),
                "hoist device label d1 'a=b c' x-",
            ),
            (
                "deploy",
                json!({"release": "fw@1.0.0", "group": "eu", "rollout": {"phases": [{"percent": 10.0}, {"devices": 50}]}}),
                "hoist deploy fw@1.0.0 --group eu --phases 10%,50",
            ),
        ] {
            assert_eq!(of(verb, &body), line);
        }
    }
}
