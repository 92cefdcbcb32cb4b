//! The acts of operators in the model, in the words of the command line, so that a log and a
//! scenario file read alike.

use std::collections::BTreeMap;

use hoist_orchestrator_core::api::command::rollout::Rollout;
use hoist_orchestrator_core::api::command::{
    Abort, Approve, Command, Deploy, DeviceAdd, DeviceHold, DeviceLabel, DeviceMove, DeviceRemove,
    Freeze, GroupCreate, Limit, Pause, ReleaseAdd, Resume, Retry, Unfreeze,
};
use hoist_orchestrator_core::api::request::CommandInput;
use hoist_orchestrator_core::engine::input::Input;
use hoist_orchestrator_core::model::release::VerifiedRelease;
use hoist_orchestrator_core::model::state::CompleteWhen;
use hoist_orchestrator_core::model::time::format_time;
use hoist_protocol::access::Role;
use hoist_protocol::id::sha256;

use super::catalog::Catalog;

/// A command that an operator repeats under one request id until it is answered.
#[derive(Clone, Debug)]
pub struct Order {
    /// As on the command line, without the program's name.
    pub text: String,
    /// Its place among the orders, which makes its request id.
    pub number: u32,
    given: Option<Box<CommandInput>>,
}

impl Order {
    /// An order that was not given yet.
    pub fn new(number: u32, text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            number,
            given: None,
        }
    }

    /// The input it is: the same every time, times aside which count from the first.
    ///
    /// # Errors
    /// What cannot be understood.
    pub fn input(&mut self, catalog: &Catalog, now_ms: u64) -> Result<Input, String> {
        if self.given.is_none() {
            let (text, user) = by(&self.text);
            let (command, release) = parse(text, catalog, now_ms)?;
            self.given = Some(Box::new(CommandInput {
                user: user.parse().expect("a valid id"),
                role: Some(Role::Admin),
                groups: Vec::new(),
                request: format!("r{}", self.number).parse().expect("a valid id"),
                verb: command.verb().word().to_owned(),
                from: "192.0.2.7".to_owned(),
                body_hash: sha256(self.text.as_bytes()),
                command: Ok(command),
                release,
                uses: None,
                users: Vec::new(),
            }));
        }
        let given = self.given.clone().ok_or("an order without content")?;
        Ok(Input::Command(given))
    }
}

/// A command and the user who gives it: `approve 1 --as anna`.
fn by(text: &str) -> (&str, &str) {
    text.rsplit_once(" --as ").unwrap_or((text, "operator"))
}

/// A command's words: those in order, and those behind flags.
struct Words<'a> {
    plain: Vec<&'a str>,
    flags: Vec<(&'a str, &'a str)>,
}

impl<'a> Words<'a> {
    fn of(text: &'a str) -> Result<Self, String> {
        let mut words = text.split_whitespace();
        let (mut plain, mut flags) = (Vec::new(), Vec::new());
        while let Some(word) = words.next() {
            match word.strip_prefix("--") {
                Some(flag @ ("dry-run" | "lift" | "urgent")) => flags.push((flag, "")),
                Some(flag) => {
                    let value = words
                        .next()
                        .ok_or_else(|| format!("--{flag} needs a value"))?;
                    flags.push((flag, value));
                }
                None => plain.push(word),
            }
        }
        Ok(Self { plain, flags })
    }

    fn take(&mut self, flag: &str) -> Option<&'a str> {
        let place = self.flags.iter().position(|(name, _)| *name == flag)?;
        Some(self.flags.remove(place).1)
    }

    /// `--label site=a`
    fn labels(&mut self) -> BTreeMap<String, String> {
        let label = self.take("label").and_then(|text| text.split_once('='));
        let owned = label.map(|(name, value)| (name.to_owned(), value.to_owned()));
        owned.into_iter().collect()
    }

    /// A rollout in the JSON of `deploy`, without blanks.
    fn rollout(&mut self) -> Result<Option<Rollout>, String> {
        let rollout = self.take("rollout").map(serde_json::from_str).transpose();
        rollout.map_err(|error| error.to_string())
    }

    fn number(&mut self, flag: &str) -> Result<Option<u32>, String> {
        self.take(flag).map(number).transpose()
    }

    fn seconds(&mut self, flag: &str) -> Result<Option<u32>, String> {
        let Some(text) = self.take(flag) else {
            return Ok(None);
        };
        let seconds = duration_ms(text)? / 1000;
        u32::try_from(seconds)
            .map(Some)
            .map_err(|error| error.to_string())
    }

    fn time(&mut self, flag: &str, now_ms: u64) -> Result<Option<String>, String> {
        let Some(text) = self.take(flag) else {
            return Ok(None);
        };
        let later = text
            .strip_prefix('+')
            .ok_or_else(|| format!("{text}: only +10m here"))?;
        Ok(Some(format_time(now_ms + duration_ms(later)?)))
    }
}

fn number(text: &str) -> Result<u32, String> {
    text.parse().map_err(|error| format!("{text}: {error}"))
}

/// `500ms`, `30s`, `10m`, `2h`, `1d` in ms.
///
/// # Errors
/// What is wrong with it.
pub fn duration_ms(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let count: u64 = digits
        .parse()
        .map_err(|_| format!("{text} is no duration"))?;
    let unit = match &text[digits.len()..] {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        unit => return Err(format!("{text}: no unit is called {unit:?}")),
    };
    Ok(count * unit)
}

type Parsed = (Command, Option<VerifiedRelease>);

/// `freeze`, `unfreeze eu`
fn freeze(words: &[&str]) -> Command {
    let group = words.get(1).map(|group| (*group).to_owned());
    let dry_run = false;
    match words[0] {
        "freeze" => Command::Freeze(Freeze { group, dry_run }),
        _ => Command::Unfreeze(Unfreeze { group, dry_run }),
    }
}

/// `device label d1 k=v k-`, or with `--selector` and no device.
fn label(words: &mut Words) -> Result<Command, String> {
    let selector = words.take("selector").map(str::to_owned);
    let rest = &words.plain[2..];
    let (device, changes) = match (&selector, rest.split_first()) {
        (None, Some((device, changes))) => (Some((*device).to_owned()), changes),
        _ => (None, rest),
    };
    let mut label = DeviceLabel {
        device,
        selector,
        ..DeviceLabel::default()
    };
    for change in changes {
        match (change.split_once('='), change.strip_suffix('-')) {
            (Some((name, value)), _) => label.set.insert(name.to_owned(), value.to_owned()),
            (None, Some(name)) => {
                label.remove.push(name.to_owned());
                None
            }
            (None, None) => return Err(format!("{change} is no label")),
        };
    }
    Ok(Command::DeviceLabel(label))
}

fn parse(text: &str, catalog: &Catalog, now_ms: u64) -> Result<Parsed, String> {
    let mut words = Words::of(text)?;
    let mut release = None;
    let command = match words.plain.as_slice() {
        ["group", "create", group] => Command::GroupCreate(GroupCreate {
            group: (*group).to_owned(),
            selector: words.take("selector").map(str::to_owned),
            dry_run: false,
        }),
        ["device", "add", device] => Command::DeviceAdd(DeviceAdd {
            device: (*device).to_owned(),
            group: words.take("group").map(str::to_owned),
            device_type: words.take("type").map(str::to_owned),
            labels: words.labels(),
            ..DeviceAdd::default()
        }),
        ["device", "remove", device] => Command::DeviceRemove(DeviceRemove {
            device: (*device).to_owned(),
            waiting_only: false,
            dry_run: false,
        }),
        ["release", "add", name] => {
            let known = catalog
                .releases
                .iter()
                .find(|release| release.text == *name);
            let known = known.ok_or_else(|| format!("nobody made the release {name}"))?;
            release = Some(known.verified.clone());
            Command::ReleaseAdd(ReleaseAdd {
                manifest: String::new(),
                dry_run: false,
            })
        }
        ["deploy", name] => deploy(name, &mut words, now_ms)?,
        ["device", "move", device, group] => Command::DeviceMove(DeviceMove {
            device: Some((*device).to_owned()),
            group: (*group).to_owned(),
            ..DeviceMove::default()
        }),
        ["device", "move"] => Command::DeviceMove(DeviceMove {
            selector: words.take("selector").map(str::to_owned),
            group: words.take("group").unwrap_or_default().to_owned(),
            ..DeviceMove::default()
        }),
        ["freeze" | "unfreeze", ..] => freeze(&words.plain),
        ["device", "label", ..] => label(&mut words)?,
        ["device", "hold", device] => Command::DeviceHold(DeviceHold {
            device: (*device).to_owned(),
            held: words.take("lift").is_none(),
            dry_run: false,
        }),
        _ => course(text, &mut words)?,
    };
    match words.flags.first() {
        Some((flag, _)) => Err(format!("--{flag} means nothing here")),
        None => Ok((command, release)),
    }
}

/// What operators do with a deployment that goes on.
fn course(text: &str, words: &mut Words<'_>) -> Result<Command, String> {
    Ok(match words.plain.as_slice() {
        ["retry", id, devices @ ..] => Command::Retry(Retry {
            deployment: number(id)?,
            devices: (!devices.is_empty())
                .then(|| devices.iter().map(|device| (*device).to_owned()).collect()),
            dry_run: words.take("dry-run").is_some(),
        }),
        ["pause", id] => Command::Pause(Pause {
            deployment: number(id)?,
            reason: None,
            dry_run: false,
        }),
        ["resume", id] => Command::Resume(Resume {
            deployment: number(id)?,
            dry_run: false,
        }),
        ["approve", id] => Command::Approve(Approve {
            deployment: number(id)?,
            phase: words.number("phase")?,
            dry_run: false,
        }),
        ["abort", id] => Command::Abort(Abort {
            deployment: number(id)?,
            reason: None,
            dry_run: words.take("dry-run").is_some(),
        }),
        _ => return Err(format!("no command is called {text:?}")),
    })
}

fn deploy(name: &str, words: &mut Words<'_>, now_ms: u64) -> Result<Command, String> {
    let group = words.take("group").unwrap_or_default();
    let several = group.contains(',');
    let limit = Limit {
        devices: words.number("limit")?,
        until: words.time("until", now_ms)?,
    };
    let complete_when = match words.take("complete-when") {
        Some("all-successful") => Some(CompleteWhen::AllSuccessful),
        Some("aborted") => Some(CompleteWhen::Aborted),
        Some(other) => return Err(format!("--complete-when {other} is unknown")),
        None => None,
    };
    Ok(Command::Deploy(Deploy {
        release: name.to_owned(),
        group: (!several).then(|| group.to_owned()),
        groups: several.then(|| group.split(',').map(str::to_owned).collect()),
        start: words.time("start", now_ms)?,
        limit: (limit != Limit::default()).then_some(limit),
        complete_when,
        timeout_secs: words.seconds("timeout")?,
        attempts: words.number("attempts")?,
        spread_secs: words.seconds("spread")?,
        urgent: words.take("urgent").is_some(),
        selector: words.take("selector").map(str::to_owned),
        devices: words
            .take("devices")
            .map(|text| text.split(',').map(str::to_owned).collect()),
        rollout: words.rollout()?,
        dry_run: words.take("dry-run").is_some(),
        ..Deploy::default()
    }))
}
