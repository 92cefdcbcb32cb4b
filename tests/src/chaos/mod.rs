//! A real `hoist serve`, killed at moments of all kinds while a fleet works behind a line that
//! breaks: simulated devices, and a few real agents that are killed as well. At the end the
//! server's records must be the devices' own, exactly.

mod agents;
mod asker;
mod compare;
mod fleet;
mod found;
mod line;
mod moments;
mod orders;
mod progress;
mod release;
mod server;

use std::collections::BTreeMap;
use std::error::Error;
use std::net::TcpListener;
use std::path::Path;
use std::process::Child;
use std::time::{Duration, Instant};

use serde_json::Value;

use self::agents::Agents;
use self::fleet::Fleet;
pub use self::found::Found;
use self::line::Line;
pub use self::moments::{Moments, Point};
use self::orders::Order;
use self::progress::Progress;
use self::server::Server;

/// The first word that makes the program be `hoist`.
pub const HOIST: &str = "hoist";
/// The first word that makes the program be `hoist-agent`.
pub const AGENT: &str = "hoist-agent";
const GROUP: &str = "sim";
/// Kills from one deployment to the next.
const KILLS_EACH: u32 = 6;
/// One deployment in so many is aborted soon after.
const ABORTED: u32 = 4;
/// Those that failed in one deployment in so many begin again, after so many kills.
const RETRIED: u32 = 3;
const RETRIED_AFTER: u32 = 4;
/// Whatever has not come to its end by then never will: a download that failed often is tried
/// again within five minutes.
const PATIENCE: Duration = Duration::from_secs(420);
/// A moment that has not come by then is not waited for.
const MOMENT: Duration = Duration::from_secs(4);
/// Where the clock of the server is put, in seconds from where it ought to be.
const CLOCKS: [i64; 5] = [0, 3_600, -3_600, 86_400, -86_400];

pub(crate) type Failed = Box<dyn Error + Send + Sync>;

/// The amount of trouble.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// The number of times that the server is killed.
    pub kills: u32,
    /// The number of times that the server is ended in order and started again, its broker with it.
    pub broker_restarts: u32,
    /// Simulated devices of the fleet.
    pub devices: u32,
    /// Real agents beside them.
    pub agents: u32,
    /// Decides what happens when.
    pub seed: u64,
}

/// The state of the server when it is killed.
#[derive(Debug, Clone, Copy)]
enum Moment {
    InStart,
    WithoutNetwork,
    AfterStandstill,
    Working,
    At(Point),
}

/// Of so many kills each comes so often, in any order.
const MOMENTS: [Moment; 12] = [
    Moment::InStart,
    Moment::InStart,
    Moment::WithoutNetwork,
    Moment::AfterStandstill,
    Moment::Working,
    Moment::At(Point::BeforeCommit),
    Moment::At(Point::BeforeSeal),
    Moment::At(Point::AfterCommit),
    Moment::At(Point::AfterCommit),
    Moment::At(Point::AfterPublish),
    Moment::At(Point::AfterPublish),
    Moment::At(Point::InReconcile),
];

/// Lets all of it happen.
///
/// # Errors
/// What could not be started, or never came to its end.
pub fn run(plan: Plan) -> Result<Found, Failed> {
    let began = Instant::now();
    let dir = tempfile::tempdir()?;
    let done = Chaos::start(dir.path(), plan).and_then(Chaos::run);
    if !done.as_ref().is_ok_and(Found::is_clean) {
        eprintln!("all of it is in {}", dir.keep().display());
    }
    Ok(done?.after(began.elapsed()))
}

struct Chaos<'a> {
    dir: &'a Path,
    plan: Plan,
    dice: fastrand::Rng,
    server: Server,
    line: Line,
    fleet: Fleet,
    agents: Agents,
    /// The order that the server is asked for while it is killed, with its words.
    asked: Option<(Order, Child, Vec<String>)>,
    releases: u32,
    /// The number of the newest deployment.
    newest: u32,
    /// Orders to deploy that were given again without an answer.
    unsure: u32,
    /// The deployments whose abort was answered.
    aborted: Vec<u32>,
    found: Found,
    progress: Progress,
}

impl<'a> Chaos<'a> {
    fn start(dir: &'a Path, plan: Plan) -> Result<Self, Failed> {
        let server = Server::start(dir)?;
        let line = Line::open(server.mqtt(), plan.seed)?;
        let progress = Progress::begin(plan.kills, server.asker().clone(), line.joined());
        progress.part("the fleet");
        let fleet = Fleet::start(dir, &server, &line, plan)?;
        until("the fleet is there", || {
            fleet.is_there(&server, plan.devices)
        })?;
        let agents = Agents::start(dir, &server, &line, plan.agents)?;
        Ok(Self {
            dir,
            plan,
            dice: fastrand::Rng::with_seed(plan.seed),
            server,
            line,
            fleet,
            agents,
            asked: None,
            releases: 0,
            newest: 0,
            unsure: 0,
            aborted: Vec::new(),
            found: Found {
                kills: plan.kills,
                broker_restarts: plan.broker_restarts,
                devices: plan.devices,
                agents: plan.agents,
                ..Found::default()
            },
            progress,
        })
    }

    fn run(mut self) -> Result<Found, Failed> {
        let mut moments = MOMENTS;
        for kill in 0..self.plan.kills {
            let place = kill as usize % moments.len();
            if place == 0 {
                self.dice.shuffle(&mut moments);
            }
            self.answered()?;
            match kill % KILLS_EACH {
                0 => self.deploy()?,
                1 if self.releases.is_multiple_of(ABORTED) => self.abort()?,
                RETRIED_AFTER if self.releases.is_multiple_of(RETRIED) => self.retry()?,
                _ => {}
            }
            if self.is_restarted(kill) {
                self.server.restart()?;
            }
            self.misfortune(moments[place])?;
        }
        self.answered()?;
        self.end()
    }

    /// Orderly restarts come evenly among the kills.
    fn is_restarted(&self, kill: u32) -> bool {
        let by = |kill: u32| {
            u64::from(kill) * u64::from(self.plan.broker_restarts) / u64::from(self.plan.kills)
        };
        by(kill + 1) > by(kill)
    }

    /// A moment of this kind comes, and the server is killed in it.
    fn misfortune(&mut self, moment: Moment) -> Result<(), Failed> {
        self.progress.part("a moment");
        if self.dice.u8(..3) == 0 {
            self.agents.kill_one(&mut self.dice)?;
        }
        if self.dice.u8(..3) == 0 {
            self.step_clock()?;
        }
        let word = match moment {
            Moment::InStart => {
                pause(self.dice.u64(..200));
                "inStart"
            }
            // It is gone first, for everybody.
            Moment::WithoutNetwork => {
                self.line.cut(self.dice.bool());
                pause(self.dice.u64(..800));
                self.line.heal();
                pause(self.dice.u64(..400));
                "withoutNetwork"
            }
            // As in a machine that is out of memory.
            Moment::AfterStandstill => {
                self.server.signal("STOP")?;
                pause(self.dice.u64(..1_500));
                self.server.signal("CONT")?;
                pause(self.dice.u64(..300));
                "afterStandstill"
            }
            Moment::At(point) if self.comes(point)? => point.word(),
            Moment::At(_) => "working",
            Moment::Working => {
                self.server.wait_ready()?;
                pause(self.dice.u64(..1_200));
                "working"
            }
        };
        *self.found.by_point.entry(word).or_default() += 1;
        self.server.kill()?;
        self.progress.killed();
        if self.dice.u8(..3) == 0 {
            self.agents.revive()?;
        }
        if self.dice.u8(..6) == 0 {
            self.step_clock()?;
        }
        self.server.begin()
    }

    /// Waits for a moment that ends the server; whether it came.
    fn comes(&mut self, point: Point) -> Result<bool, Failed> {
        if point != Point::InReconcile {
            self.progress.part("a server that is ready");
            self.server.wait_ready()?;
        }
        self.progress.part(point.word());
        let most = match point {
            Point::BeforeCommit | Point::BeforeSeal | Point::AfterCommit => 6,
            Point::AfterPublish => 20,
            // Each device is told when it comes back.
            Point::InReconcile => i64::from(self.plan.devices / 4).max(1),
        };
        let linger = self.dice.i64(0..20_000);
        let time = self.dice.i64(1..=most);
        self.server.moments().arm(point, time, linger)?;
        let came = self.server.ends_within(MOMENT)?;
        self.server.moments().disarm()?;
        Ok(came)
    }

    fn step_clock(&mut self) -> Result<(), Failed> {
        let clock = self.dice.choice(CLOCKS).unwrap_or_default();
        self.found.clock_steps += 1;
        self.server.moments().set_clock(clock)
    }

    /// Everything is whole again, and comes to its end.
    fn end(mut self) -> Result<Found, Failed> {
        self.line.heal();
        self.agents.begin_anew()?;
        self.server.wait_ready()?;
        self.progress.part("the end of every deployment");
        let mut deployments = Vec::new();
        until("every deployment is settled", || {
            deployments = self.server.asker().deployments()?;
            Ok(deployments.iter().all(|item| item["settled"] == true))
        })?;
        let number = |item: &Value| Ok(u32::try_from(item["deployment"].as_u64().ok_or("none")?)?);
        let deployments: Vec<u32> = deployments
            .iter()
            .map(number)
            .collect::<Result<_, Failed>>()?;
        self.progress.part("the comparison");
        let mut truth = BTreeMap::new();
        self.fleet.end(&mut truth)?;
        self.agents.end(&mut truth)?;
        self.ordered(&deployments)?;
        compare::compare(&self.server, &deployments, &truth, &mut self.found)?;
        self.found.agent_kills = self.agents.kills;
        self.found.starts_ms = self.server.stop()?;
        Ok(self.found)
    }
}

fn pause(millis: u64) {
    std::thread::sleep(Duration::from_millis(millis));
}

/// Asks again and again.
pub(crate) fn until(
    what: &str,
    mut holds: impl FnMut() -> Result<bool, Failed>,
) -> Result<(), Failed> {
    let began = Instant::now();
    while !holds()? {
        if began.elapsed() > PATIENCE {
            return Err(format!("it never came to be that {what}").into());
        }
        pause(100);
    }
    Ok(())
}

/// A port that nobody has.
pub(crate) fn free_port() -> Result<u16, Failed> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}
