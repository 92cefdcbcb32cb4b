use super::*;

fn refused(json: &str) -> (Code, Option<String>) {
    let (mut world, _) = world(1);
    let deploy: Deploy = serde_json::from_str(&format!(
        r#"{{"release":"fw@1.0.0","group":"eu","rollout":{json}}}"#
    ))
    .unwrap();
    match world.order(Command::Deploy(deploy)) {
        Answer::Refused(rejection) => (rejection.code, rejection.field),
        other => panic!("{json}: {other:?}"),
    }
}

/// A rollout, the code of its refusal and the field.
type Case = (&'static str, Code, &'static str);

const PHASES: &[Case] = &[
    (
        r#"{"phases":[{"percent":50},{"percent":10}]}"#,
        Code::Phases,
        "rollout.phases[1]",
    ),
    (
        r#"{"phases":[{"devices":9},{"percent":1},{"devices":9}]}"#,
        Code::Phases,
        "rollout.phases[2]",
    ),
    (
        r#"{"phases":[{"percent":100},{"devices":1}]}"#,
        Code::Phases,
        "rollout.phases[1]",
    ),
    (
        r#"{"phases":[{"name":"nothing"}]}"#,
        Code::Phases,
        "rollout.phases[0]",
    ),
    (
        r#"{"phases":[{"percent":1,"devices":1}]}"#,
        Code::Phases,
        "rollout.phases[0]",
    ),
    (
        r#"{"phases":[{"devices":0}]}"#,
        Code::Phases,
        "rollout.phases[0]",
    ),
    (
        r#"{"phases":[{"devices":1,"approvals":3}]}"#,
        Code::Phases,
        "rollout.phases[0].approvals",
    ),
    (
        r#"{"phases":[{"devices":3,"gate":{"minEnded":4}}]}"#,
        Code::Gate,
        "rollout.phases[0].gate.minEnded",
    ),
    (
        r#"{"phases":[{"devices":3,"gate":{"minEnded":0}}]}"#,
        Code::Gate,
        "rollout.phases[0].gate.minEnded",
    ),
    (
        r#"{"phases":[{"devices":3,"gate":{"successPercent":101}}]}"#,
        Code::Gate,
        "rollout.phases[0].gate.successPercent",
    ),
    (
        r#"{"phases":[{"devices":3,"gate":{"soakSecs":9,"giveUpSecs":8}}]}"#,
        Code::Gate,
        "rollout.phases[0].gate.soakSecs",
    ),
];

const OTHERS: &[Case] = &[
    (
        r#"{"maxInProgress":0}"#,
        Code::Command,
        "rollout.maxInProgress",
    ),
    (
        r#"{"growth":{"factor":2,"everyEnded":1,"upTo":9}}"#,
        Code::Command,
        "rollout.growth",
    ),
    (
        r#"{"maxInProgress":9,"growth":{"factor":1,"everyEnded":1,"upTo":9}}"#,
        Code::Command,
        "rollout.growth.factor",
    ),
    (
        r#"{"maxInProgress":9,"growth":{"factor":2,"everyEnded":1,"upTo":8}}"#,
        Code::Command,
        "rollout.growth.upTo",
    ),
    (
        r#"{"failure":{"then":"pause"}}"#,
        Code::Command,
        "rollout.failure",
    ),
    (
        r#"{"failure":{"percent":101,"then":"pause"}}"#,
        Code::Command,
        "rollout.failure",
    ),
    (
        r#"{"failure":{"devices":1,"reasons":["bad-luck"],"then":"pause"}}"#,
        Code::Command,
        "rollout.failure.reasons",
    ),
];

const PLACES: &[Case] = &[
    (
        r#"{"budget":{"label":"","maxInProgress":1}}"#,
        Code::Budget,
        "rollout.budget.label",
    ),
    (
        r#"{"budget":{"label":"site"}}"#,
        Code::Budget,
        "rollout.budget",
    ),
    (
        r#"{"budget":{"label":"site","maxInProgress":0}}"#,
        Code::Budget,
        "rollout.budget",
    ),
    (
        r#"{"budget":{"label":"site","percent":101}}"#,
        Code::Budget,
        "rollout.budget",
    ),
    (
        r#"{"phases":[{"selector":"site in ("}]}"#,
        Code::Selector,
        "rollout.phases[0].selector",
    ),
];

const WINDOWS: &[Case] = &[
    (
        r#"{"confirmSecs":60}"#,
        Code::Command,
        "rollout.confirmSecs",
    ),
    (
        r#"{"confirm":"online","confirmSecs":0}"#,
        Code::Command,
        "rollout.confirmSecs",
    ),
    (
        r#"{"windows":{"timeZone":"Europe/Berlim","open":[{"days":"mon","from":"02:00","minutes":9}]}}"#,
        Code::TimeZone,
        "rollout.windows.timeZone",
    ),
    (
        r#"{"windows":{"timeZone":"UTC","open":[]}}"#,
        Code::Window,
        "rollout.windows.open",
    ),
    (
        r#"{"windows":{"timeZone":"UTC","open":[{"days":"mon","from":"02:00","minutes":0}]}}"#,
        Code::Window,
        "rollout.windows.open[0].minutes",
    ),
    (
        r#"{"windows":{"timeZone":"UTC","open":[{"days":"mon","from":"02:00","minutes":10081}]}}"#,
        Code::Window,
        "rollout.windows.open[0].minutes",
    ),
    (
        r#"{"windows":{"timeZone":"UTC","open":[{"days":"Funday","from":"02:00","minutes":9}]}}"#,
        Code::Window,
        "rollout.windows.open[0].days",
    ),
    (
        r#"{"windows":{"timeZone":"UTC","open":[{"days":"mon","from":"25:00","minutes":9}]}}"#,
        Code::Window,
        "rollout.windows.open[0].from",
    ),
    (
        r#"{"windows":{"timeZone":"UTC","open":[{"days":"daily","from":"02:00","minutes":9},{"days":"mon","from":"12:00","minutes":9}]}}"#,
        Code::Window,
        "rollout.windows.open",
    ),
];

#[test]
fn what_could_never_be_carried_out_is_refused_with_the_field() {
    for (json, code, field) in PHASES.iter().chain(OTHERS).chain(PLACES).chain(WINDOWS) {
        assert_eq!(refused(json), (*code, Some((*field).to_owned())), "{json}");
    }
}

#[test]
fn a_percentage_has_two_places_and_is_written_as_it_is_read() {
    for text in ["0.01", "0.5", "1", "12.34", "100"] {
        let percent: Percent = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&percent).unwrap(), text);
    }
    for text in ["0", "0.001", "100.01", "-1", "1e9", "\"1%\"", "33.333"] {
        assert!(serde_json::from_str::<Percent>(text).is_err(), "{text}");
    }
}
