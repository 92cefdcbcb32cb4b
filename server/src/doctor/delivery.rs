//! What arrives: all that is retained, messages of the sizes that Hoist sends and no larger ones,
//! and everything that was acknowledged. The orchestrator says it, where its password is known.

use std::time::Duration;

use hoist_net::mqtt::{Acks, Message};
use hoist_protocol::filter::{Family, Filter};
use hoist_protocol::id::GroupId;
use hoist_protocol::topic::Topic;
use tokio::time::{Instant, sleep, timeout};

use super::doors::{NO_KEY, NO_ORCHESTRATOR};
use super::peer::{LOST, NO_CANARY, Peer, Terms};
use super::report::{LARGE, Probe, QUEUE, RETAINED, Report, SMALL, STALE, WILDCARD};
use super::rights::client_id;
use super::{Form, Login, Places, Subject, restart};
use crate::failure::Failure;
use crate::token::random_token;

/// Everything that is tried here.
const ALL: [Probe; 6] = [RETAINED, WILDCARD, SMALL, QUEUE, LARGE, STALE];
/// Retained messages that one wildcard must bring: brokers end at 100, 200 or 1 000.
const RETAINED_COUNT: usize = 1_100;
/// The same where there is no time.
const RETAINED_FEW: usize = 250;
/// Messages that wait for a client: Mosquitto ends at 1 020 where nobody says more.
const QUEUED_COUNT: usize = 5_000;
/// The same where there is no time.
const QUEUED_FEW: usize = 1_200;
/// Views and answers of this size must arrive, in bytes.
const NEEDED_BYTES: usize = 60_000;
/// A message of this size must not, in bytes: the orchestrator reads 1 MiB.
const LARGE_BYTES: usize = (1 << 20) + 1_024;
/// For a broker to be there again.
const RESTART_PATIENCE: Duration = Duration::from_secs(30);
/// The time between two looks whether it is.
const LOOK: Duration = Duration::from_millis(100);
/// The places of single messages, behind those of many.
const SINGLE: usize = 1_000_000;
/// The place of what is retained over a restart.
const OVER_RESTART: usize = SINGLE + 3;
/// For what was retained to be cleared.
const CLEAR_PATIENCE: Duration = Duration::from_secs(15);

/// The orchestrator says something, and a device hears it.
struct Pair<'a> {
    subject: &'a Subject,
    places: Places,
    orchestrator: Peer,
    device: Peer,
    login: &'a Login,
}

/// Tries all of it.
pub(super) async fn examine(subject: &Subject, report: &mut Report) -> Result<(), Failure> {
    let Some([_, login]) = &subject.canaries else {
        report.untried(&ALL, NO_KEY);
        return Ok(());
    };
    let terms = Terms {
        acks: Acks::Manual,
        ..Terms::device(subject, login)
    };
    let device = Peer::connect(subject, terms).await;
    let (Some(places), Ok(mut device)) = (Places::of(subject), device) else {
        report.lost(&ALL, NO_CANARY);
        return Ok(());
    };
    let Some(orchestrator) = orchestrator(subject).await? else {
        group(&places, &mut device, report).await;
        report.untried(&ALL[1..], NO_ORCHESTRATOR);
        device.close().await;
        return Ok(());
    };
    let mut pair = Pair {
        subject,
        places,
        orchestrator,
        device,
        login,
    };
    pair.retained(report).await?;
    pair.sizes(report).await?;
    pair.queue(report).await?;
    pair.large(report).await?;
    pair.restart(report).await?;
    pair.device.close().await;
    pair.orchestrator.close().await;
    Ok(())
}

/// Clears everything that was retained here, whatever has become of the examination; true if nothing
/// stays behind.
pub(super) async fn clear(subject: &Subject) -> bool {
    let cleared = async {
        let places = Places::of(subject)?;
        let mut orchestrator = orchestrator(subject).await.ok()??;
        let numbers = (1..=RETAINED_COUNT).chain([OVER_RESTART]);
        let topics: Vec<String> = numbers.filter_map(|number| places.blocks(number)).collect();
        let cleared = topics.into_iter().map(|topic| message(topic, b"", true));
        let is_cleared = orchestrator.publish_all(cleared).await;
        orchestrator.close().await;
        Some(is_cleared)
    };
    let in_time = timeout(CLEAR_PATIENCE, cleared).await;
    in_time.ok().flatten().unwrap_or(false)
}

async fn orchestrator(subject: &Subject) -> Result<Option<Peer>, Failure> {
    let Some(login) = &subject.orchestrator else {
        return Ok(None);
    };
    let id = client_id()?;
    let terms = Terms::person(subject, login, &id);
    Ok(Peer::connect(subject, terms).await.ok())
}

/// Without the orchestrator, a device hears what the server has said to a group that there is.
async fn group(places: &Places, device: &mut Peer, report: &mut Report) {
    let topic = places
        .topics
        .format(&Topic::GroupSpec(GroupId::unassigned()));
    device.subscribe(&topic).await;
    device.listen().await;
    match device.topics().next() {
        None => report.untried(
            &[RETAINED],
            "no server has said anything that is retained here",
        ),
        Some(_) => report.judge(RETAINED, None),
    }
}

fn message(topic: String, payload: &[u8], retain: bool) -> Message {
    Message {
        topic,
        payload: payload.to_vec(),
        retain,
    }
}

impl Pair<'_> {
    fn few_or(&self, many: usize, few: usize) -> usize {
        match self.subject.form {
            Form::Quick => few,
            Form::Whole => many,
        }
    }

    /// What did not arrive is open, unless nobody was there to hear it.
    fn judge(&self, report: &mut Report, probe: Probe, open: Option<String>) {
        match open.is_some() && self.device.is_lost() {
            true => report.lost(&[probe], LOST),
            false => report.judge(probe, open),
        }
    }

    /// All that is retained arrives, by its topic and by a wildcard.
    async fn retained(&mut self, report: &mut Report) -> Result<(), Failure> {
        let count = self.few_or(RETAINED_COUNT, RETAINED_FEW);
        let of = |number| self.places.blocks(number);
        let topics: Vec<String> = (1..=count).filter_map(of).collect();
        let said = topics.iter().cloned();
        let said = said.map(|topic| message(topic, b"canary", true));
        report.has_retained = true;
        self.orchestrator.publish_all(said).await;
        let single = topics.first().cloned().unwrap_or_default();
        let mut is_heard = self.hears_retained(&single).await;
        if !is_heard {
            // Another examination may just have cleared its own there.
            self.orchestrator.publish(&single, b"canary", true).await;
            is_heard = self.hears_retained(&single).await;
        }
        let missing = || "a message that was retained did not come with a subscription".to_owned();
        self.judge(report, RETAINED, (!is_heard).then(missing));
        let all = self.places.topics.filter(Filter::Every(Family::Blocks));
        self.device.subscribe(&all).await;
        let heard = self.device.hear(count).await;
        let part = || format!("{heard} of {count} retained messages came with one subscription");
        self.judge(report, WILDCARD, (heard < count).then(part));
        // Its connection begins anew: what is cleared would be heard as well.
        self.connect_device().await
    }

    async fn hears_retained(&mut self, topic: &str) -> bool {
        self.device.subscribe(topic).await;
        self.device.hear(1).await > 0
    }

    async fn connect_device(&mut self) -> Result<(), Failure> {
        let terms = Terms {
            acks: Acks::Manual,
            ..Terms::device(self.subject, self.login)
        };
        let device = Peer::connect(self.subject, terms).await;
        let at = &self.subject.devices;
        self.device = device.map_err(|ended| super::unreachable(at, &ended))?;
        Ok(())
    }

    /// A message of the size of a view arrives.
    async fn sizes(&mut self, report: &mut Report) -> Result<(), Failure> {
        let (topic, payload) = self.says(NEEDED_BYTES, SINGLE).await?;
        self.device.hear(1).await;
        let arrived = self.device.has_heard(&topic, &payload);
        let said = || format!("a message of {NEEDED_BYTES} bytes did not arrive");
        self.judge(report, SMALL, (!arrived).then(said));
        Ok(())
    }

    /// One that the orchestrator could not read does not.
    async fn large(&mut self, report: &mut Report) -> Result<(), Failure> {
        let (topic, payload) = self.says(LARGE_BYTES, SINGLE + 1).await?;
        self.device.listen().await;
        let arrived = self.device.has_heard(&topic, &payload);
        let said = || format!("a message of {LARGE_BYTES} bytes arrived");
        report.judge(LARGE, arrived.then(said));
        Ok(())
    }

    /// The orchestrator says so much where the device listens.
    async fn says(&mut self, bytes: usize, number: usize) -> Result<(String, Vec<u8>), Failure> {
        let mark = random_token()?.into_bytes();
        let payload: Vec<u8> = mark.into_iter().cycle().take(bytes).collect();
        let topic = self.places.blocks(number).unwrap_or_default();
        self.device.subscribe(&topic).await;
        self.orchestrator.publish(&topic, &payload, false).await;
        Ok((topic, payload))
    }

    /// What is retained is gone with a restart: from a file, it could be older than it was.
    async fn restart(&mut self, report: &mut Report) -> Result<(), Failure> {
        let Some(command) = self.subject.restart.clone() else {
            report.untried(
                &[STALE],
                "name the command that restarts the broker with --restart",
            );
            return Ok(());
        };
        let topic = self.places.blocks(OVER_RESTART).unwrap_or_default();
        self.connect_orchestrator().await?;
        self.orchestrator.publish(&topic, b"canary", true).await;
        let until = Instant::now() + RESTART_PATIENCE;
        restart::run(&command, until).await?;
        while !self.device.is_lost() {
            if Instant::now() >= until {
                report.untried(
                    &[STALE],
                    "the command of --restart did not restart the broker",
                );
                return Ok(());
            }
            self.device.listen().await;
        }
        while let Err(failure) = self.connect_device().await {
            if Instant::now() >= until {
                return Err(failure);
            }
            sleep(LOOK).await;
        }
        self.device.subscribe(&topic).await;
        self.device.listen().await;
        let is_kept = self.device.has_heard(&topic, b"canary");
        let said = || "a message that was retained was there after a restart".to_owned();
        report.judge(STALE, is_kept.then(said));
        Ok(())
    }

    /// The broker may have ended its connection.
    async fn connect_orchestrator(&mut self) -> Result<(), Failure> {
        if let Some(again) = orchestrator(self.subject).await? {
            self.orchestrator = again;
        }
        Ok(())
    }

    /// Everything arrives that was acknowledged while a device acknowledged nothing.
    async fn queue(&mut self, report: &mut Report) -> Result<(), Failure> {
        let count = self.few_or(QUEUED_COUNT, QUEUED_FEW);
        let topic = self.places.blocks(SINGLE + 2).unwrap_or_default();
        self.device.subscribe(&topic).await;
        let said = std::iter::repeat_with(|| message(topic.clone(), b"canary", false));
        if !self.orchestrator.publish_all(said.take(count)).await {
            report.lost(&[QUEUE], "the orchestrator's connection was lost meanwhile");
            return Ok(());
        }
        let heard = self.device.hear(count).await;
        self.device.forget();
        let lost = || format!("{heard} of {count} messages arrived, all of which it acknowledged");
        self.judge(report, QUEUE, (heard < count).then(lost));
        Ok(())
    }
}
