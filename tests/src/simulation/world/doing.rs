//! Letting one thing happen, as the party that it happens to does it.

use std::sync::Arc;

use hoist_orchestrator_core::api::command::Command;
use hoist_orchestrator_core::engine::input::Input;
use hoist_orchestrator_core::model::key::{DeviceKey, RevokedKey, RolloutKey};
use hoist_orchestrator_core::reply::Answer;
use hoist_protocol::codec::encode;
use hoist_protocol::id::{Attempt, DeploymentId, DeviceId, Round, Seq};
use hoist_protocol::status::{DeviceStatus, FinalResult, Outcome, Success};

use super::super::broker::Payload;
use super::super::choice::Choice;
use super::super::device::Surroundings;
use super::super::line::{Line, device_id};
use super::super::server::{Around, Committed, Fate, Server};
use super::World;

impl World {
    /// Lets one thing happen, without looking at what it broke.
    pub fn act(&mut self, choice: Choice) {
        self.step += 1;
        self.pass(self.step_ms);
        match choice {
            Choice::Order(fate) => self.obey(fate),
            Choice::Serve(line, fate) => self.serve(&[line], fate),
            Choice::Batch(count, fate) => self.batch(count, fate),
            Choice::Reconcile => self.reconcile(),
            Choice::Review => self.serving(Server::review),
            Choice::Timers => self.fire(),
            Choice::Search => self.server.search(),
            Choice::DrawLine => self.serving(Server::draw_line),
            Choice::ServerCrash
            | Choice::ServerStart
            | Choice::ServerCut
            | Choice::ServerConnect(_)
            | Choice::ServerClock(_) => self.server_link(choice),
            Choice::Will(_)
            | Choice::BrokerRestart(_)
            | Choice::LoseRetained(_)
            | Choice::LoseToServer(_)
            | Choice::LoseToDevice(..)
            | Choice::Repeat(..)
            | Choice::Replay(..)
            | Choice::Spoil(_)
            | Choice::Forge(_) => self.broker_fault(choice),
            Choice::Wait(ms) => {
                self.say(|| format!("{:.3} s pass", ms as f64 / 1000.0));
                self.pass(ms);
            }
            Choice::Hear(number, _)
            | Choice::Finish(number, _)
            | Choice::Wake(number)
            | Choice::Acknowledge(number)
            | Choice::Announce(number)
            | Choice::Connect(number)
            | Choice::Cut(number)
            | Choice::PowerCut(number)
            | Choice::Fuse(number, _)
            | Choice::Veto(number, _)
            | Choice::Lie(number, _)
            | Choice::DeviceClock(number, _) => self.device_does(number, choice),
        }
        self.follow_up();
    }

    /// Lets the server do something in its surroundings.
    fn serving<T>(&mut self, does: impl FnOnce(&mut Server, &mut Around<'_>) -> T) -> T {
        let mut around = Around {
            broker: &mut self.broker,
            catalog: &self.catalog,
            unix_ms: self.unix_ms,
        };
        does(&mut self.server, &mut around)
    }

    /// Takes the steps that follow at once from the server's acts.
    fn follow_up(&mut self) {
        for line in std::mem::take(&mut self.server.published) {
            self.say(|| format!("server publishes {line}"));
            let payload = self.broker.retained(line).cloned();
            self.replayed.remove(&line);
            self.told.published.push((line, payload));
        }
        for line in std::mem::take(&mut self.server.reads) {
            self.broker.read(line);
        }
        for committed in std::mem::take(&mut self.server.committed) {
            self.revoke(&committed);
            self.told.committed.push(committed);
        }
    }

    fn reconcile(&mut self) {
        if self.server.connected {
            self.serving(Server::reconcile);
        }
    }

    /// Turns away sessions as the front door does, by the rows that say which devices are
    /// registered and which tokens are revoked. A connected device is turned out some time later.
    fn revoke(&mut self, committed: &Committed) {
        for write in &committed.writes {
            let Some((prefix, name)) = write.key.0.split_first() else {
                continue;
            };
            let name = std::str::from_utf8(name)
                .ok()
                .and_then(|name| name.parse().ok());
            let Some(number) = name.and_then(|name: DeviceId| self.number_of(&name)) else {
                continue;
            };
            match prefix {
                3 if write.bytes.is_none() => {
                    self.removed.insert(number);
                }
                // The device is given the token of its registration.
                3 if !self.is_token_revoked(number) => {
                    self.revoked.remove(&number);
                }
                14 if self.is_token_revoked(number) => {
                    self.revoked.insert(number);
                    if self.device(number).online {
                        self.leaving.insert(number);
                    }
                }
                _ => {}
            }
        }
    }

    /// True if nothing that the device was given lets it in. That there is a row says nothing: it has
    /// other facts as well.
    fn is_token_revoked(&self, number: u16) -> bool {
        let id = device_id(number);
        let revoked = self.server.row(&RevokedKey(id.clone())).unwrap_or_default();
        let issue = self.server.row(&DeviceKey(id)).map(|row| row.issue);
        revoked.issue > 0 && issue <= Some(revoked.issue)
    }

    /// The front door clears what a device has said whose session it ends, and lets no will
    /// speak for it.
    fn clear_reports(&mut self, number: u16) {
        self.broker.drop_wills(number);
        for line in [Line::Status, Line::Presence, Line::Info] {
            self.broker.publish(line(number), &Payload::from(*b""));
        }
    }

    fn obey(&mut self, fate: Fate) {
        let now_ms = self.server.now(self.unix_ms).unix_ms;
        let Some(order) = self.orders.front_mut().filter(|_| self.server.connected) else {
            return;
        };
        let number = order.number;
        let text = order.text.clone();
        let input = match order.input(&self.catalog, now_ms) {
            Ok(input) => input,
            Err(error) => panic!("{text}: {error}"),
        };
        self.approves(&input);
        self.serving(|server, around| server.obey(around, input, fate));
        self.say(|| format!("hoist {text}{}", words(fate)));
        if fate == Fate::Repeats {
            self.server.answers.clear();
        }
        for (request, answer) in std::mem::take(&mut self.server.answers) {
            if request.as_str() == format!("r{number}") {
                self.say(|| format!("    answered {answer:?}"));
                let named = text.split_whitespace().count() > 2;
                if let (Answer::Retried(result), false) = (&answer, named)
                    && result.devices > 0
                {
                    self.told
                        .retried
                        .push((result.deployment, Round(result.round)));
                }
                self.orders.pop_front();
                if let Some(answers) = &mut self.answers {
                    answers.push((number, answer));
                }
            }
        }
    }

    /// Notes the user who approves the phase that waits.
    fn approves(&mut self, input: &Input) {
        let Input::Command(given) = input else { return };
        let Ok(Command::Approve(approve)) = &given.command else {
            return;
        };
        let id = DeploymentId(approve.deployment);
        let Some(course) = self.server.row(&RolloutKey(id)) else {
            return;
        };
        let phase = course.phase + 1;
        if !course.is_open && approve.phase.is_none_or(|wanted| wanted == phase) {
            self.told.approved.push(((id, phase), given.user.clone()));
        }
    }

    fn batch(&mut self, count: u8, fate: Fate) {
        let inbox = self.broker.server.as_ref();
        let lines = inbox
            .map(|inbox| inbox.lines().to_vec())
            .unwrap_or_default();
        let start = self.dice.below(lines.len());
        let lines: Vec<Line> = lines
            .into_iter()
            .skip(start)
            .take(usize::from(count))
            .collect();
        self.serve(&lines, fate);
    }

    fn serve(&mut self, lines: &[Line], fate: Fate) {
        if !self.server.connected || lines.is_empty() {
            return;
        }
        let told = self.log.is_some();
        let inputs = self.serving(|server, around| server.serve(around, lines, fate, told));
        if told {
            let lines: Vec<String> = lines.iter().map(Line::to_string).collect();
            let what = format!("server takes {}{}", lines.join(" "), words(fate));
            self.say(|| format!("{what}: {}", inputs.join("; ")));
        }
    }

    fn fire(&mut self) {
        let due = self.server.due(self.unix_ms);
        if !self.server.connected || due.is_empty() {
            return;
        }
        self.say(|| format!("timers {due:?}"));
        self.serving(|server, around| server.fire(&due, around));
    }

    fn server_link(&mut self, choice: Choice) {
        let up = self.server.up;
        match choice {
            Choice::ServerCrash if up => self.server.crash(),
            Choice::ServerStart if !up => self.server.start(),
            Choice::ServerCut if self.server.connected => self.serving(Server::disconnect),
            Choice::ServerConnect(leaves_out) if up && !self.server.connected => {
                let mut dice = self.dice.clone();
                self.serving(|server, around| {
                    server.connect(around, |_| dice.chance(leaves_out));
                });
                self.dice = dice;
            }
            Choice::ServerClock(ahead_ms) => self.server.ahead_ms = ahead_ms,
            _ => return,
        }
        self.say(|| format!("{choice:?}"));
    }

    fn broker_fault(&mut self, choice: Choice) {
        match choice {
            Choice::Will(number) => {
                if self.broker.publish_will(number).is_some() {
                    self.misled.insert(number);
                }
            }
            Choice::BrokerRestart(keeps) => {
                for number in 1..=self.devices.len() {
                    let number = u16::try_from(number).unwrap_or(u16::MAX);
                    if self.device(number).online {
                        self.device_does(number, Choice::Cut(number));
                    }
                }
                let dice = &mut self.dice;
                self.broker.restart(|_| dice.chance(keeps));
                if self.server.connected {
                    self.serving(Server::disconnect);
                }
            }
            Choice::LoseRetained(line) => self.broker.lose(line),
            Choice::LoseToServer(line) => {
                if let Some(inbox) = &mut self.broker.server {
                    inbox.pop(line);
                }
            }
            Choice::LoseToDevice(number, line) => {
                self.broker.pop(number, line);
            }
            Choice::Replay(line, place) => self.replay(line, place),
            Choice::Repeat(number, line) => self.broker.repeat(number, line),
            Choice::Spoil(line) => self.broker.publish(line, &Payload::from(*b"no message")),
            Choice::Forge(number) => self.forge(number),
            _ => return,
        }
        self.say(|| format!("{choice:?}"));
    }

    /// A status with a success that the device did not sign.
    fn forge(&mut self, number: u16) {
        let device = self.device(number);
        let specs = device.truth.spec.iter().flat_map(|spec| &spec.entries);
        let Some(entry) = specs.last() else { return };
        let status = DeviceStatus {
            seq: Seq(1 << 40),
            ended: 1,
            running: None,
            outcomes: vec![Outcome {
                deployment: entry.deployment,
                round: Round(entry.round.0),
                attempt: Attempt(1),
                result: FinalResult::Successful(Success::Installed),
            }],
        };
        let mut payload = encode(&status);
        if self.dice.chance(128) {
            payload.extend([9; 32]);
        }
        self.broker.publish(Line::Status(number), &payload.into());
    }

    /// An attacker brings an old spec back: until the server sees it and repairs it, a device
    /// that never heard a newer one of its group obeys it, as long as it is valid (W2).
    fn replay(&mut self, line: Line, place: u8) {
        self.broker.replay(line, usize::from(place));
        if let Line::Group(_) = line {
            self.replayed.insert(line);
            for device in &mut self.devices {
                Arc::make_mut(device).truth.over.clear();
            }
        }
    }

    fn device_does(&mut self, number: u16, choice: Choice) {
        let place = usize::from(number) - 1;
        let revoked = self.revoked.contains(&number);
        if matches!(choice, Choice::Connect(_)) && !revoked {
            self.misled.remove(&number);
            let mut over = self.watch.rows.over();
            if !self.replayed.is_empty() {
                over.clear();
            }
            Arc::make_mut(&mut self.devices[place]).truth.over = over;
        }
        let payload = match choice {
            Choice::Hear(_, line) => match self.broker.pop(number, line) {
                Some(payload) => Some(payload),
                None => return,
            },
            _ => None,
        };
        let device = Arc::make_mut(&mut self.devices[place]);
        let mut world = Surroundings {
            broker: &mut self.broker,
            dice: &mut self.dice,
            catalog: &self.catalog,
            unix_ms: self.unix_ms,
        };
        match choice {
            Choice::Hear(_, line) => device.receive(line, &payload.unwrap_or_default(), &mut world),
            Choice::Finish(_, end) => device.finish(end, &mut world),
            Choice::Wake(_) if device.is_due(world.unix_ms) => device.wake(&mut world),
            Choice::Acknowledge(_) => device.acknowledge(&mut world),
            Choice::Announce(_) => device.announce(&mut world),
            Choice::Connect(_) if !device.online && !revoked => device.connect(&mut world),
            Choice::Connect(_) if !device.online => device.is_refused(&mut world),
            Choice::Cut(_) if device.online => device.disconnect(&mut world),
            Choice::PowerCut(_) => device.cut_power(&mut world),
            Choice::Fuse(_, writes) => device.fuse = Some(writes),
            Choice::Veto(_, vetoes) => device.veto(vetoes, &mut world),
            Choice::Lie(_, lie) => device.lies = Some(lie),
            Choice::DeviceClock(_, ahead_ms) => device.ahead_ms = ahead_ms,
            _ => return,
        }
        let deeds = device.truth.take_deeds();
        if !device.online && self.leaving.remove(&number) {
            self.clear_reports(number);
        }
        self.say(|| format!("{choice:?}"));
        for deed in deeds {
            self.say(|| format!("    d{number}: {deed:?}"));
            self.told.deeds.push((number, deed));
        }
    }
}

fn words(fate: Fate) -> String {
    match fate {
        Fate::Whole => String::new(),
        Fate::Repeats => ", unacknowledged".to_owned(),
        Fate::CrashBefore => ", crash before the commit".to_owned(),
        Fate::CrashAfter(effects) => format!(", crash {effects} steps after the commit"),
    }
}
