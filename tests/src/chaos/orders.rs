//! The orders of an operator, given while the server dies: whoever asks repeats them until they
//! are answered.

use serde_json::Value;

use super::{Chaos, Failed, GROUP, release, until};

/// The wish of an operator.
#[derive(Debug, Clone, Copy)]
pub(super) enum Order {
    Deploy,
    Abort(u32),
    Retry,
}

impl Chaos<'_> {
    /// A new release is deployed, while the next misfortune comes.
    pub(super) fn deploy(&mut self) -> Result<(), Failed> {
        self.releases += 1;
        let number = self.releases;
        let folder = self.dir.join(format!("app-{number}"));
        let doomed = format!("agent-{}", number % (self.plan.agents + 1));
        release::write(&folder, number, &doomed)?;
        let folder = folder.display().to_string();
        self.progress.part("an upload");
        self.server
            .asker()
            .insist(&["release", "create", &folder])?;
        let name = format!("app@{number}.0.0");
        self.order(Order::Deploy, &["deploy", &name, "--group", GROUP])
    }

    pub(super) fn abort(&mut self) -> Result<(), Failed> {
        let number = self.newest.to_string();
        let order = Order::Abort(self.newest);
        self.order(order, &["deployment", "abort", &number, "--yes"])
    }

    /// There may be nobody who failed: then it is refused.
    pub(super) fn retry(&mut self) -> Result<(), Failed> {
        let number = self.newest.to_string();
        self.order(Order::Retry, &["deployment", "retry", &number])
    }

    fn order(&mut self, order: Order, words: &[&str]) -> Result<(), Failed> {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        let asked = self.server.asker().begin_ask(&words)?;
        self.asked = Some((order, asked, words));
        Ok(())
    }

    /// Waits for the answer to what was asked last: whoever asks repeats it until it comes.
    pub(super) fn answered(&mut self) -> Result<(), Failed> {
        let Some((order, asked, words)) = self.asked.take() else {
            return Ok(());
        };
        self.progress.part("an answer");
        let answered = asked.wait_with_output()?;
        let done = answered.status.success();
        match order {
            Order::Deploy => {
                let mut told = serde_json::from_slice(&answered.stdout).unwrap_or_default();
                if !done {
                    // It may have been done, and once more.
                    self.unsure += 1;
                    let words: Vec<&str> = words.iter().map(String::as_str).collect();
                    until("a release is deployed", || {
                        told = self.server.asker().ask_json(&words).unwrap_or_default();
                        Ok(!told.is_null())
                    })?;
                }
                let number: &Value = &told["deployment"];
                let number = number.as_u64().ok_or("a deployment has no number")?;
                self.newest = u32::try_from(number)?;
                self.progress.deployed();
            }
            Order::Abort(number) if done => self.aborted.push(number),
            Order::Abort(_) | Order::Retry => {}
        }
        Ok(())
    }

    /// Counts the orders that are not there exactly once, and the aborts that are not there.
    pub(super) fn ordered(&mut self, deployments: &[u32]) -> Result<(), Failed> {
        let there = u32::try_from(deployments.len())?;
        self.found.deployments = there;
        let most = self.releases + self.unsure;
        self.found.lost += u64::from(self.releases.saturating_sub(there));
        self.found.duplicated += u64::from(there.saturating_sub(most));
        for number in &self.aborted {
            let state = &self.server.asker().view(*number)?["state"];
            if state != "aborted" {
                eprintln!("deployment {number} was aborted, and is {state}");
                self.found.lost += 1;
            }
        }
        Ok(())
    }
}
