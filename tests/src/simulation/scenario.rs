//! Scenario files: the modelled world driven through operators' commands, with what comes of
//! them beside. A file is read line by line; what a line shows is in the lines after it that
//! begin with `>`.
//!
//! ```text
//! # anything after a hash is for people
//! hoist deploy app@1 --group eu     an operator's command, and its answer
//! make app@1 app reboot             a release of these artifacts, with or without a reboot
//! devices 3                         d1, d2 and d3 are switched on and registered in eu
//! d1 offline | online | loses power | loses its answers
//! d1 fails verify 2                 its next two runs of this script (or download) fail
//! d1 pauses install | goes on       what it does takes until it is told to go on
//! server stops | starts             broker restarts
//! advance 10m                       time passes, with everything that is due in it
//! show | show 1                     what people see of every deployment, or of one
//! ```

use std::collections::BTreeMap;
use std::fmt::Write as _;

use hoist_orchestrator_core::api::command::{Command, DeploymentList, DeviceList};
use hoist_orchestrator_core::query::Reader;
use hoist_orchestrator_core::reply::ResultBody;
use hoist_protocol::id::UserId;
use hoist_protocol::status::ScriptKind;

use super::catalog::{Catalog, Release, plan};
use super::choice::Choice;
use super::device::{Doing, End};
use super::dice::Dice;
use super::order::duration_ms;
use super::world::World;

use std::sync::Arc;

mod said;

use said::{device_line, said, summary};

/// Steps after one line in which everything must have happened.
const STEPS_MAX: u32 = 100_000;
/// Devices of a scenario.
const DEVICES: u16 = 9;

/// The way in which a device's tasks come to their ends.
#[derive(Default)]
struct Temper {
    fails: BTreeMap<Kind, u32>,
    pauses: Option<Kind>,
}

/// The kind of a task that can fail or be paused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Download,
    Script(ScriptKind),
}

/// A scenario being played.
pub struct Play {
    world: World,
    tempers: BTreeMap<u16, Temper>,
    offline: Vec<u16>,
    stopped: bool,
    orders: u32,
}

/// Plays a scenario and returns it with what it shows now.
///
/// # Errors
/// The line that cannot be played, and why.
pub fn play(text: &str) -> Result<String, String> {
    let mut play = Play::new();
    let mut shown = String::new();
    for (number, line) in text.lines().enumerate() {
        if line.starts_with('>') {
            continue;
        }
        let _infallible = writeln!(shown, "{line}");
        let said = line.split('#').next().unwrap_or_default().trim();
        if said.is_empty() {
            continue;
        }
        let told = play.line(said);
        let told = told.map_err(|why| format!("line {}: {line}: {why}", number + 1))?;
        for line in told {
            let _infallible = writeln!(shown, "> {line}");
        }
    }
    Ok(shown)
}

impl Play {
    fn new() -> Self {
        let mut world = World::new(DEVICES, Catalog::default(), Dice::Zero);
        world.answers = Some(Vec::new());
        Self {
            world,
            tempers: BTreeMap::new(),
            offline: (1..=DEVICES).collect(),
            stopped: false,
            orders: 0,
        }
    }

    /// Plays one line and returns what it shows.
    fn line(&mut self, line: &str) -> Result<Vec<String>, String> {
        let words: Vec<&str> = line.split_whitespace().collect();
        let mut told = Vec::new();
        match words.as_slice() {
            ["hoist", ..] => told.push(self.order(line.trim_start_matches("hoist "))?),
            ["make", name, rest @ ..] => self.make(name, rest),
            ["devices", count] => self.devices(count.parse().map_err(|_| "how many?")?)?,
            ["server", "stops"] => {
                self.stopped = true;
                self.apply(Choice::ServerCrash)?;
            }
            ["server", "starts"] => self.stopped = false,
            ["broker", "restarts"] => self.apply(Choice::BrokerRestart(0))?,
            ["advance", time] => self.advance(duration_ms(time)?)?,
            ["show"] => told = self.show(None)?,
            ["show", id] => told = self.show(Some(id.parse().map_err(|_| "which?")?))?,
            [device, rest @ ..] => self.device(device, rest)?,
            [] => {}
        }
        self.settle()?;
        Ok(told)
    }

    fn apply(&mut self, choice: Choice) -> Result<(), String> {
        let applied = self.world.apply(choice);
        applied.map_err(|broken| format!("{}: {}", broken.invariant, broken.what))
    }

    fn make(&mut self, name: &str, rest: &[&str]) {
        use ScriptKind::{Install, PreInstall, Rollback, Verify};
        let reboot = rest.contains(&"reboot");
        let special = rest.contains(&"special");
        let mut artifacts: Vec<&str> = rest.to_vec();
        artifacts.retain(|word| !matches!(*word, "reboot" | "special"));
        if artifacts.is_empty() {
            artifacts.extend(name.split('@').next());
        }
        let scripts = plan(&[PreInstall, Install, Verify, Rollback], 1, reboot);
        let plans = artifacts.iter().map(|_| scripts.clone()).collect();
        let release = Release::new(name, &artifacts, plans, special);
        Arc::make_mut(&mut self.world.catalog)
            .releases
            .push(release);
    }

    /// Switches devices on, and registers them in `eu` with the command for it.
    fn devices(&mut self, count: u16) -> Result<(), String> {
        self.settle()?;
        self.order("group create eu")?;
        for number in 1..=count {
            self.order(&format!("device add d{number} --group eu"))?;
            self.offline.retain(|other| *other != number);
        }
        self.settle()
    }

    fn device(&mut self, name: &str, rest: &[&str]) -> Result<(), String> {
        let number = name
            .strip_prefix('d')
            .and_then(|number| number.parse::<u16>().ok());
        let number = number.filter(|number| (1..=DEVICES).contains(number));
        let number = number.ok_or("nothing is called so")?;
        let temper = self.tempers.entry(number).or_default();
        match rest {
            ["online"] => self.offline.retain(|other| *other != number),
            ["offline"] => {
                self.offline.push(number);
                self.apply(Choice::Cut(number))?;
            }
            ["loses", "power"] => self.apply(Choice::PowerCut(number))?,
            ["is", "special"] => {
                let place = usize::from(number) - 1;
                Arc::make_mut(&mut self.world.devices[place]).special = true;
            }
            ["fails", kind] => {
                temper.fails.insert(self::kind(kind)?, u32::MAX);
            }
            ["fails", kind, times] => {
                let times = times.parse().map_err(|_| "how often?")?;
                temper.fails.insert(self::kind(kind)?, times);
            }
            ["pauses", kind] => temper.pauses = Some(self::kind(kind)?),
            ["goes", "on"] => temper.pauses = None,
            _ => return Err("a device does nothing like that".to_owned()),
        }
        Ok(())
    }

    /// Gives a command and returns its answer.
    fn order(&mut self, text: &str) -> Result<String, String> {
        self.settle()?;
        self.orders += 1;
        self.world.want(self.orders, text);
        self.apply(Choice::Order(super::server::Fate::Whole))?;
        if !self.world.orders.is_empty() {
            self.world.orders.clear();
            return Ok("nobody answers".to_owned());
        }
        let answers = self.world.answers.as_mut().and_then(Vec::pop);
        let (_, answer) = answers.ok_or("no answer came")?;
        said(answer)
    }

    /// Lets everything happen that takes no time.
    fn settle(&mut self) -> Result<(), String> {
        for _ in 0..STEPS_MAX {
            match self.next() {
                Some(choice) => self.apply(choice)?,
                None => return Ok(()),
            }
        }
        Err("it never ends".to_owned())
    }

    fn next(&self) -> Option<Choice> {
        let mut choices = Vec::new();
        self.world.central_choices(&mut choices);
        let started = |choice: &Choice| !(self.stopped && *choice == Choice::ServerStart);
        if let Some(choice) = choices.into_iter().find(started) {
            return Some(choice);
        }
        let devices = (1..=DEVICES).filter(|number| {
            !self.offline.contains(number) || self.world.device(*number).doing().is_some()
        });
        devices.into_iter().find_map(|number| {
            let mut choices = Vec::new();
            self.world.device_choices(number, &mut choices);
            let mut choices = choices
                .into_iter()
                .filter_map(|choice| self.tempered(number, choice));
            choices.next()
        })
    }

    /// The choice that a choice becomes by the scenario's words about the device.
    fn tempered(&self, number: u16, choice: Choice) -> Option<Choice> {
        if self.offline.contains(&number) && matches!(choice, Choice::Connect(_)) {
            return None;
        }
        let (Choice::Finish(..), Some(doing)) = (choice, self.world.device(number).doing()) else {
            return Some(choice);
        };
        let kind = match doing {
            Doing::Proof => Kind::Script(ScriptKind::Verify),
            Doing::Download => Kind::Download,
            Doing::Script(run) => Kind::Script(run.kind),
        };
        let Some(temper) = self.tempers.get(&number) else {
            return Some(choice);
        };
        if temper.pauses == Some(kind) {
            return None;
        }
        let fails = temper.fails.get(&kind).is_some_and(|times| *times > 0);
        Some(Choice::Finish(
            number,
            if fails { End::Fails } else { End::Done },
        ))
    }

    /// Lets time pass, with everything that is due in it.
    fn advance(&mut self, ms: u64) -> Result<(), String> {
        let end_ms = self.world.unix_ms + ms;
        while self.world.unix_ms < end_ms {
            let left_ms = end_ms - self.world.unix_ms;
            let due_ms = self
                .world
                .next_due_ms()
                .unwrap_or(left_ms)
                .clamp(1, left_ms);
            self.apply(Choice::Wait(due_ms))?;
            self.apply(Choice::Review)?;
            self.settle()?;
        }
        Ok(())
    }

    fn query(&self, command: &Command) -> Result<ResultBody, String> {
        let now = self.world.server.now(self.world.unix_ms);
        let user: UserId = "operator".parse().expect("a valid user");
        let read = |reader: &mut Reader| command.answer(reader, &user, now);
        let answered = self.world.server.rows.query(read);
        let answered = answered.map_err(|error| error.to_string())?;
        answered.map_err(|rejection| rejection.detail)
    }

    fn show(&self, only: Option<u32>) -> Result<Vec<String>, String> {
        let list = Command::DeploymentList(DeploymentList::default());
        let ResultBody::Deployments(list) = self.query(&list)? else {
            return Err("no list came".to_owned());
        };
        let mut lines = Vec::new();
        let mut views = list.items;
        views.sort_by_key(|view| view.deployment);
        for view in views {
            let id = view.deployment.0;
            if only.is_none_or(|only| only == id) {
                lines.push(summary(&view));
                lines.extend(self.show_devices(id)?);
            }
        }
        Ok(lines)
    }

    fn show_devices(&self, id: u32) -> Result<Vec<String>, String> {
        let list = Command::DeviceList(DeviceList {
            deployment: Some(id),
            ..DeviceList::default()
        });
        let ResultBody::Devices(list) = self.query(&list)? else {
            return Err("no list came".to_owned());
        };
        Ok(list.items.iter().map(device_line).collect())
    }
}

fn kind(word: &str) -> Result<Kind, String> {
    if word == "download" {
        return Ok(Kind::Download);
    }
    let kinds = ScriptKind::ALL.into_iter();
    let mut kinds = kinds.filter(|kind| kind.word() == word);
    kinds
        .next()
        .map(Kind::Script)
        .ok_or_else(|| format!("no script is called {word}"))
}
