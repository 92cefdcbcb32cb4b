//! A few real agents in the fleet, killed now and then like the server; what they did is what
//! their scripts wrote, and what `hoist-agent status` says.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::compare::{Lived, Word};
use super::line::Line;
use super::release::{INSTALL, LOG, VERIFIED};
use super::server::{Server, signal};
use super::{AGENT, Failed, GROUP};

pub(super) struct Agents {
    all: Vec<Agent>,
    /// The number of times that one of them was killed.
    pub(super) kills: u32,
}

struct Agent {
    device: String,
    config: PathBuf,
    /// None while it is dead.
    process: Option<Child>,
}

impl Agents {
    /// Adds so many to the fleet, behind the line, and starts them.
    pub(super) fn start(
        dir: &Path,
        server: &Server,
        line: &Line,
        count: u32,
    ) -> Result<Self, Failed> {
        let mut all = Vec::new();
        for number in 1..=count {
            let device = format!("agent-{number}");
            let text = server
                .asker()
                .ask(&["device", "add", &device, "--group", GROUP])?;
            let text = server.behind(line, &text);
            let config = dir.join(&device).with_extension("toml");
            // An agent takes no token that others can read.
            let mut options = File::options();
            let file = options
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(&config);
            file?.write_all(text.as_bytes())?;
            all.push(Agent {
                device,
                config,
                process: None,
            });
        }
        let mut agents = Self { all, kills: 0 };
        agents.revive()?;
        Ok(agents)
    }

    /// One of them is killed, wherever it is in its work.
    pub(super) fn kill_one(&mut self, dice: &mut fastrand::Rng) -> Result<(), Failed> {
        let alive = self.all.iter_mut().filter(|agent| agent.process.is_some());
        if let Some(agent) = dice.choice(alive.collect::<Vec<_>>()) {
            agent.kill()?;
            self.kills += 1;
        }
        Ok(())
    }

    /// The dead ones start again.
    pub(super) fn revive(&mut self) -> Result<(), Failed> {
        let dead = self.all.iter_mut().filter(|agent| agent.process.is_none());
        for agent in dead {
            let log = File::options()
                .create(true)
                .append(true)
                .open(agent.config.with_extension("log"))?;
            let process = agent.command().stdout(Stdio::null()).stderr(log).spawn()?;
            agent.process = Some(process);
        }
        Ok(())
    }

    /// All of them are killed once more, and start without the long pauses of those that had
    /// no network for long.
    pub(super) fn begin_anew(&mut self) -> Result<(), Failed> {
        for agent in &mut self.all {
            agent.kill()?;
            self.kills += 1;
        }
        self.revive()
    }

    /// Ends them, and says what they did in each deployment.
    pub(super) fn end(&mut self, truth: &mut BTreeMap<u32, Lived>) -> Result<(), Failed> {
        for agent in &mut self.all {
            if let Some(mut process) = agent.process.take() {
                signal(&process, "TERM")?;
                process.wait()?;
            }
            agent.tell(truth)?;
        }
        Ok(())
    }
}

impl Agent {
    fn command(&self) -> Command {
        let mut command = Command::new("/proc/self/exe");
        command.args([AGENT, "--config"]).arg(&self.config);
        command.stdin(Stdio::null());
        command
    }

    fn kill(&mut self) -> Result<(), Failed> {
        if let Some(mut process) = self.process.take() {
            process.kill()?;
            process.wait()?;
        }
        Ok(())
    }

    fn tell(&self, truth: &mut BTreeMap<u32, Lived>) -> Result<(), Failed> {
        let mut command = Command::new("/proc/self/exe");
        command
            .args([AGENT, "status", "--config"])
            .arg(&self.config);
        let said = command.stdin(Stdio::null()).output()?;
        let said = String::from_utf8(said.stdout)?;
        let scripts = self.scripts()?;
        let log = std::fs::read_to_string(self.config.with_extension("log"))?;
        let attempts: BTreeMap<u32, u64> = log.lines().filter_map(attempt).collect();
        // It says only the newest; its log has the others, but for those whose end it was killed at.
        let mut told = outcomes(&log.lines().filter_map(end).collect::<String>());
        told.extend(outcomes(&said));
        for number in attempts.keys() {
            let done = scripts.get(number).map_or(&[][..], Vec::as_slice);
            told.entry(*number).or_insert_with(|| ended(done));
        }
        for (number, word) in told {
            let lived = truth.entry(number).or_default();
            let done = scripts.get(&number).map_or(&[][..], Vec::as_slice);
            let verified = done.last().is_some_and(|(_, word)| word == VERIFIED);
            if verified != (word.status == "successful") {
                let name = &self.device;
                eprintln!("deployment {number}, {name}: it says {word:?}, its scripts {done:?}");
                lived.contradictions += 1;
            }
            let device = self.device.clone();
            let word = Word {
                attempt: attempts.get(&number).copied(),
                ..installed(word, done)
            };
            lived.words.insert(device, word);
        }
        Ok(())
    }

    /// The words that its scripts wrote, of each deployment: attempt and word.
    fn scripts(&self) -> Result<BTreeMap<u32, Vec<(u32, String)>>, Failed> {
        let work = self.config.with_extension("state").join("work/app");
        let log = work.join(LOG);
        let mut scripts: BTreeMap<u32, Vec<(u32, String)>> = BTreeMap::new();
        for line in std::fs::read_to_string(log).unwrap_or_default().lines() {
            let fields: Vec<&str> = line.split(' ').collect();
            let [deployment, attempt, word] = fields[..] else {
                return Err(format!("{} wrote {line:?}", self.device).into());
            };
            let done = (attempt.parse()?, word.to_owned());
            scripts.entry(deployment.parse()?).or_default().push(done);
        }
        Ok(scripts)
    }
}

/// The newest outcome of each deployment, as `hoist-agent status` says it.
fn outcomes(said: &str) -> BTreeMap<u32, Word> {
    let mut outcomes = BTreeMap::new();
    for line in said.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        if let [
            "deployment",
            number,
            status @ ("successful" | "failed"),
            rest @ ..,
        ] = &words[..]
            && let Ok(number) = number.parse()
        {
            let reason = (*status == "failed").then(|| rest.first().copied().unwrap_or_default());
            let word = Word {
                status: (*status).to_owned(),
                reason: reason.map(str::to_owned),
                ..Word::default()
            };
            outcomes.insert(number, word);
        }
    }
    outcomes
}

/// The deployment and the attempt of a line of the log that tells of a step.
fn attempt(line: &str) -> Option<(u32, u64)> {
    let (_, fields) = line.split_once(" status deployment=")?;
    let (number, rest) = fields.split_once(' ')?;
    let (_, attempt) = rest.split_once("attempt=")?;
    Some((number.parse().ok()?, attempt.parse().ok()?))
}

/// A line of the log that tells of an end, as `hoist-agent status` says it.
fn end(line: &str) -> Option<String> {
    let (_, fields) = line.split_once(" deployment ended deployment=")?;
    let (number, rest) = fields.split_once(' ')?;
    let (_, result) = rest.split_once("result=\"")?;
    Some(format!(
        "deployment {number} {}\n",
        result.trim_end_matches('"')
    ))
}

/// The end of a deployment by the words of its scripts, which do not say why.
fn ended(done: &[(u32, String)]) -> Word {
    let verified = done.last().is_some_and(|(_, word)| word == VERIFIED);
    let status = if verified { "successful" } else { "failed" };
    Word {
        status: status.to_owned(),
        ..Word::default()
    }
}

/// The same with how often `install` ran.
fn installed(word: Word, done: &[(u32, String)]) -> Word {
    let attempts = done.iter().filter(|(_, word)| word == INSTALL);
    let attempts: Vec<u64> = attempts.map(|(attempt, _)| u64::from(*attempt)).collect();
    let runs = |of: &u64| attempts.iter().filter(|one| *one == of).count();
    Word {
        installs: attempts.len(),
        in_one_attempt: attempts.iter().map(runs).max().unwrap_or_default(),
        ..word
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _already_gone = self.kill();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn installs_are_counted_by_attempt() {
        let scripts = [
            (1, "install"),
            (1, "rollback"),
            (2, "install"),
            (2, "install"),
        ];
        let done = scripts.map(|(attempt, word)| (attempt, word.to_owned()));
        let word = installed(Word::default(), &done);
        assert_eq!(word.installs, 3);
        assert_eq!(word.in_one_attempt, 2);
    }

    #[test]
    fn the_log_of_an_agent_knows_attempts_and_ends() {
        let step =
            "2026-01-01T00:00:00.000Z INFO  status deployment=98 step=\"installing\" attempt=3";
        assert_eq!(attempt(step), Some((98, 3)));
        let line = "2026-01-01T00:00:00.000Z INFO  deployment ended deployment=98 round=0 result=\"failed interrupted (rollback ok)\"";
        assert_eq!((attempt(line), end(step)), (None, None));
        let words = outcomes(&end(line).unwrap());
        assert_eq!(words[&98].reason.as_deref(), Some("interrupted"));
    }

    #[test]
    fn the_words_of_an_agent_are_read() {
        let said = "device agent-1\ninstalled app 2.0.0 counter 2\ndeployment 3 in progress: \
                    ending, attempt 1\ndeployment 1 failed script-failed (rollback ok)\n\
                    deployment 2 successful\ndeployment 1 successful (already there)\n";
        let outcomes = outcomes(said);
        assert_eq!(outcomes.len(), 2);
        assert_eq!(outcomes[&1].status, "successful");
        assert_eq!(outcomes[&2].reason, None);
    }
}
