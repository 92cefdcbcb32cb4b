//! `docs/api.md` is written from the types of the JSON API, so it lacks no verb, no field
//! and no code. `HOIST_WRITE_API=1 cargo test -p hoist-tests api` writes it anew.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use hoist_orchestrator_core::api::command::{Verb, VerbEffect};
use hoist_protocol::access::Role;
use hoist_protocol::code::Code;
use hoist_protocol::reason::Reason;

use crate::harness::sources::ROOT;

mod types;

use types::{Field, Object, Types};

/// The text around the tables.
const PROSE: &str = include_str!("api/api.md");

/// The command of the CLI that sends a verb; every verb has one.
fn typed(verb: Verb) -> &'static str {
    match verb {
        Verb::DeploymentList => "deployment list",
        Verb::DeploymentShow => "deployment show",
        Verb::DeploymentHistory => "deployment history",
        Verb::Pause => "deployment pause",
        Verb::Resume => "deployment resume",
        Verb::Approve => "deployment approve",
        Verb::DeviceList => "device list",
        Verb::DeviceShow => "device show",
        Verb::DeviceWhy => "device why",
        Verb::GroupList => "group list",
        Verb::ReleaseList => "release list",
        Verb::ReleaseShow => "release show",
        Verb::Plan => "plan",
        Verb::PolicyList => "policy list",
        Verb::PolicyShow => "policy show",
        Verb::PolicyPut => "policy put",
        Verb::ReleaseAdd => "release create",
        Verb::ReleaseRemove => "release remove",
        Verb::Deploy => "deploy",
        Verb::Abort => "deployment abort",
        Verb::Retry => "deployment retry",
        Verb::DeviceAdd => "device add",
        Verb::DeviceImport => "device import",
        Verb::DeviceLabel => "device label",
        Verb::PassList => "device passes",
        Verb::Freeze => "freeze",
        Verb::Unfreeze => "unfreeze",
        Verb::DeviceMove => "device move",
        Verb::DeviceHold => "device hold",
        Verb::DeviceApprove => "device approve",
        Verb::EnrollCreate => "enroll create",
        Verb::EnrollList => "enroll list",
        Verb::EnrollWaiting => "enroll waiting",
        Verb::EnrollRevoke => "enroll revoke",
        Verb::DeviceRemove => "device remove",
        Verb::DeviceRevoke => "device revoke",
        Verb::DeviceTokenRotate => "device token rotate",
        Verb::GroupCreate => "group create",
        Verb::GroupRemove => "group remove",
        Verb::UserAdd => "user add",
        Verb::UserList => "user list",
        Verb::UserRemove => "user remove",
        Verb::EventList => "events",
        Verb::AuditList => "audit list",
    }
}

/// A table cell.
fn cell(text: &str) -> String {
    text.replace('|', "\\|")
        .replace("[`", "`")
        .replace("`]", "`")
}

fn verbs(types: &Types) -> String {
    let mut table = "| verb | role | body | result | typed |\n|---|---|---|---|---|\n".to_owned();
    for verb in Verb::ALL {
        let role = match verb.role() {
            Role::Viewer => "viewer",
            Role::Deployer => "deployer",
            Role::Admin => "admin",
        };
        let changes = match verb.effect() {
            VerbEffect::Reads => "",
            VerbEffect::Changes => ", changes",
        };
        let word = format!("`{}`", verb.word());
        let results: Vec<&str> = types.choices["ResultBody"]
            .iter()
            .filter(|(_, says, _)| says.contains(&word))
            .map(|(_, _, of)| of.as_str())
            .collect();
        assert!(!results.is_empty(), "no result's comment names {word}");
        let (body, typed) = (types.body(*verb), typed(*verb));
        let _ = writeln!(
            table,
            "| {word} | {role}{changes} | [{body}](#body-{}) | {} | `hoist {typed}` |",
            body.to_ascii_lowercase(),
            results.join(" or "),
        );
    }
    table
}

/// Tables of objects and words, and what is still to be described.
struct Writer<'a> {
    types: &'a Types,
    text: String,
    told: BTreeSet<String>,
    wanted: Vec<String>,
}

impl<'a> Writer<'a> {
    fn new(types: &'a Types, told: BTreeSet<String>) -> Self {
        Self {
            types,
            text: String::new(),
            told,
            wanted: Vec::new(),
        }
    }

    /// Notes the types that a text links to.
    fn want(&mut self, kind: &str) {
        for part in kind.split('[').skip(1) {
            let name = part.split(']').next().unwrap_or_default();
            self.wanted.push(name.to_owned());
        }
    }

    fn rows(&mut self, object: &Object) {
        for Field {
            name,
            kind,
            optional,
            says,
            flat,
        } in &object.fields
        {
            self.want(kind);
            let says = cell(says);
            match flat {
                true => {
                    let _ = writeln!(self.text, "| … | the fields of {kind} | {says} |");
                }
                false => {
                    let kind = match *optional && object.strict && !kind.ends_with("null") {
                        true => format!("{kind}, optional"),
                        false => kind.replace(
                            " or null",
                            if object.strict {
                                ", optional"
                            } else {
                                " or null"
                            },
                        ),
                    };
                    let _ = writeln!(self.text, "| `{name}` | {kind} | {says} |");
                }
            }
        }
    }

    fn object(&mut self, heading: &str, object: &Object) {
        let _ = write!(self.text, "\n### {heading}\n{}\n\n", object.says);
        if !object.fields.is_empty() {
            self.text
                .push_str("| field | type | what it is |\n|---|---|---|\n");
            self.rows(object);
        }
    }

    /// Describes everything that was linked to, and what that links to.
    fn rest(&mut self) {
        while let Some(name) = self.wanted.pop() {
            if !self.told.insert(name.clone()) {
                continue;
            }
            let types = self.types;
            if let Some(object) = types.objects.get(&name) {
                self.object(&name, object);
            } else if let Some(words) = types.words.get(&name) {
                let _ = write!(self.text, "\n### {name}\n{}\n\n", words.says);
                for (word, says) in &words.words {
                    let _ = writeln!(self.text, "- `{word}`: {says}");
                }
            } else if let Some(choices) = types.choices.get(&name) {
                let _ = write!(self.text, "\n### {name}\nOne of these.\n\n");
                for (_, says, kind) in choices {
                    self.want(kind);
                    let _ = writeln!(self.text, "- {kind}: {says}");
                }
            } else {
                panic!("{name} is in the API and not among the sources that are read");
            }
        }
    }
}

fn commands(types: &Types) -> (String, BTreeSet<String>) {
    let mut writer = Writer::new(types, BTreeSet::new());
    let mut bodies = BTreeSet::new();
    for verb in Verb::ALL {
        let body = types.body(*verb);
        if bodies.insert(body) {
            let object = &types.bodies[body];
            writer.object(&format!("Body {body}"), object);
        }
    }
    writer.wanted.reverse();
    writer.rest();
    (writer.text, writer.told)
}

fn replies(types: &Types, told: BTreeSet<String>) -> (String, BTreeSet<String>) {
    let mut writer = Writer::new(types, told);
    let mut roots = vec!["Reply".to_owned(), "ListResult".to_owned()];
    for (_, _, kind) in &types.choices["ResultBody"] {
        roots.extend(
            kind.split('[')
                .skip(1)
                .filter_map(|part| part.split(']').next())
                .map(str::to_owned),
        );
    }
    writer.wanted = roots.into_iter().rev().collect();
    writer.rest();
    (writer.text, writer.told)
}

fn views(types: &Types, told: BTreeSet<String>) -> String {
    let mut writer = Writer::new(types, told);
    let roots = ["GroupView", "FleetView", "HealthView"];
    writer.wanted = roots.iter().rev().map(|&name| name.to_owned()).collect();
    writer.rest();
    writer.text
}

fn events(types: &Types) -> String {
    let mut text = "| type | data | when |\n|---|---|---|\n".to_owned();
    for (variant, object) in &types.variants["Event"] {
        let kind = types::renamed(variant, Some("kebab-case"));
        let fields = object.fields.iter();
        let fields: Vec<String> = fields
            .map(|field| format!("`{}` {}: {}", field.name, field.kind, field.says))
            .collect();
        let _ = writeln!(
            text,
            "| `{kind}` | {} | {} |",
            cell(&fields.join(" · ")),
            cell(&object.says)
        );
    }
    text
}

fn codes() -> String {
    let mut text = "| code | what happened | what to do |\n|---|---|---|\n".to_owned();
    for code in Code::ALL {
        let (title, meaning, hint) = (code.title(), cell(code.meaning()), cell(code.hint()));
        let _ = writeln!(text, "| `{code}` | {title}. {meaning} | {hint} |");
    }
    text
}

fn reasons() -> String {
    let mut text = "| reason | code | what it means |\n|---|---|---|\n".to_owned();
    for reason in Reason::ALL {
        let _ = writeln!(
            text,
            "| `{}` | `{}` | {} |",
            reason.word(),
            reason.code(),
            reason.meaning()
        );
    }
    text
}

fn document() -> String {
    let types = Types::read();
    let (bodies, told) = commands(&types);
    let (results, told) = replies(&types, told);
    let views = views(&types, told);
    let mut text = PROSE.to_owned();
    for (mark, table) in [
        ("<verbs>", verbs(&types)),
        ("<bodies>", bodies),
        ("<results>", results),
        ("<views>", views),
        ("<events>", events(&types)),
        ("<codes>", codes()),
        ("<reasons>", reasons()),
    ] {
        assert_eq!(text.matches(mark).count(), 1, "{mark}");
        text = text.replace(mark, table.trim());
    }
    text
}

#[test]
fn the_reference_of_the_api_is_what_the_types_say() {
    let path = Path::new(ROOT).join("docs/api.md");
    let text = document();
    if std::env::var_os("HOIST_WRITE_API").is_some() {
        fs::write(&path, &text).unwrap();
    }
    let written = fs::read_to_string(&path).unwrap_or_default();
    let differs = text
        .lines()
        .zip(written.lines())
        .find(|(is, was)| is != was);
    assert!(
        text == written,
        "docs/api.md is not what the types say; write it anew with HOIST_WRITE_API=1 (first: {differs:?})"
    );
}

#[test]
fn the_reference_names_fields_as_they_are_sent() {
    use hoist_orchestrator_core::api::command;
    use hoist_orchestrator_core::model::counter::Counts;
    use hoist_orchestrator_core::model::state::CompleteWhen;
    use hoist_orchestrator_core::reply::{self, view};
    let text = document();
    let samples = [
        serde_json::to_value(reply::DeviceItem::default()),
        serde_json::to_value(reply::ImportResult::default()),
        serde_json::to_value(Counts::default()),
        serde_json::to_value(view::Steps::default()),
        serde_json::to_value(command::DeviceList {
            selector: None,
            group: Some(String::new()),
            status: Some(reply::StatusWord::InProgress),
            deployment: Some(1),
            limit: Some(1),
            after: Some(String::new()),
        }),
        serde_json::to_value(command::Deploy {
            complete_when: Some(CompleteWhen::AllSuccessful),
            timeout_secs: Some(1),
            spread_secs: Some(1),
            dry_run: true,
            ..command::Deploy::default()
        }),
    ];
    for sample in samples {
        for name in sample.unwrap().as_object().unwrap().keys() {
            assert!(text.contains(&format!("| `{name}` |")), "{name}");
        }
    }
    for word in ["inProgress", "all-successful"] {
        assert!(text.contains(&format!("- `{word}`: ")), "{word}");
    }
}

#[test]
fn every_verb_is_typed_by_a_command_and_may_be_called_like_it() {
    for verb in Verb::ALL {
        let words = typed(*verb).split(' ');
        let found = words
            .clone()
            .try_fold(hoist_cli::command_line(), |command, word| {
                command.find_subcommand(word).cloned()
            });
        assert!(found.is_some(), "hoist {}", typed(*verb));
        let alike = words.collect::<Vec<_>>().join("-");
        assert_eq!(alike.parse::<Verb>().as_ref(), Ok(verb), "{alike}");
    }
}
