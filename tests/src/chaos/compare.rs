//! The server's records beside what the devices did, device by device.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::Failed;
use super::found::Found;
use super::server::Server;

/// Passes of a device through a round, when nobody says otherwise.
const ATTEMPTS: u64 = 3;
/// Differences that are told; more say the same.
const TOLD_MAX: u64 = 20;
/// More than there are devices.
const EVERYBODY: &str = "100000";

/// One deployment as its devices lived it.
#[derive(Debug, Default)]
pub(super) struct Lived {
    /// The last word of each device that ended it.
    pub(super) words: BTreeMap<String, Word>,
    /// The number of devices that began and did not end.
    pub(super) unended: u64,
    /// Agents that say other than their scripts did.
    pub(super) contradictions: u64,
}

/// The end of a deployment on a device. A field that somebody does not know is none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Word {
    pub(super) status: String,
    pub(super) reason: Option<String>,
    pub(super) round: Option<u64>,
    pub(super) attempt: Option<u64>,
    /// Runs of `install` in all rounds.
    pub(super) installs: usize,
    /// The most of them in attempts of one number.
    pub(super) in_one_attempt: usize,
}

impl Word {
    /// Reads an item of `hoist device list`, or of what `hoist sim` says.
    pub(super) fn read(item: &Value) -> Self {
        let text = |field: &str| item[field].as_str().map(str::to_owned);
        let installs = item["installs"].as_u64().unwrap_or_default();
        Self {
            status: text("status").unwrap_or_default(),
            reason: text("reason"),
            round: item["round"].as_u64(),
            attempt: item["attempt"].as_u64(),
            installs: usize::try_from(installs).unwrap_or(usize::MAX),
            in_one_attempt: 0,
        }
    }

    /// True if the server's record can be of a device that says this.
    fn is(&self, recorded: &Self) -> bool {
        let same = |own: Option<u64>, recorded| own.is_none() || own == recorded;
        let reason = self.reason.is_none() || self.reason == recorded.reason;
        self.status == recorded.status
            && reason
            && same(self.round, recorded.round)
            && same(self.attempt, recorded.attempt)
    }

    /// True if an install ran more often than there were attempts.
    fn is_doubled(&self, recorded: &Self) -> bool {
        let round = recorded.round.unwrap_or_default();
        let attempts = round * ATTEMPTS + recorded.attempt.unwrap_or_default();
        let over = |runs: usize, most: u64| u64::try_from(runs).is_ok_and(|runs| runs > most);
        over(self.installs, attempts) || over(self.in_one_attempt, round + 1)
    }
}

/// Compares every deployment.
pub(super) fn compare(
    server: &Server,
    deployments: &[u32],
    truth: &BTreeMap<u32, Lived>,
    found: &mut Found,
) -> Result<(), Failed> {
    for number in deployments.iter().copied() {
        let recorded = records(server, number)?;
        found.outcomes += u64::try_from(recorded.len())?;
        let counts = &server.asker().view(number)?["counts"];
        for status in ["successful", "failed"] {
            let listed = recorded.values().filter(|word| word.status == status);
            let listed = u64::try_from(listed.count())?;
            found.failed += if status == "failed" { listed } else { 0 };
            // The counters of the deployment are those of its devices.
            found.mismatched += u64::from(counts[status].as_u64() != Some(listed));
        }
        let nothing = Lived::default();
        let lived = truth.get(&number).unwrap_or(&nothing);
        found.lost += lived.unended;
        found.mismatched += lived.contradictions;
        each_device(number, &lived.words, &recorded, found);
    }
    Ok(())
}

/// Every device that ended a deployment by either account.
fn each_device(
    number: u32,
    own: &BTreeMap<String, Word>,
    recorded: &BTreeMap<String, Word>,
    found: &mut Found,
) {
    let devices: BTreeSet<&String> = own.keys().chain(recorded.keys()).collect();
    for device in devices {
        let (own, recorded) = (own.get(device), recorded.get(device));
        let wrong = match (own, recorded) {
            (Some(own), Some(recorded)) if own.is_doubled(recorded) => &mut found.duplicated,
            (Some(own), Some(recorded)) if own.is(recorded) => continue,
            (Some(_), Some(_)) => &mut found.mismatched,
            (Some(_), None) => &mut found.lost,
            (None, _) => &mut found.duplicated,
        };
        *wrong += 1;
        if found.lost + found.duplicated + found.mismatched <= TOLD_MAX {
            eprintln!("deployment {number}, {device}: it says {own:?}, the server {recorded:?}");
        }
    }
}

/// The outcomes that the server has recorded as final, of every device.
fn records(server: &Server, number: u32) -> Result<BTreeMap<String, Word>, Failed> {
    let number = number.to_string();
    let list = ["device", "list", "--limit", EVERYBODY, "--deployment"];
    let listed = server.asker().ask_json(&[&list[..], &[&number]].concat())?;
    let items = listed.as_array().ok_or("the list of devices is none")?;
    let ended = |item: &&Value| matches!(item["status"].as_str(), Some("successful" | "failed"));
    let mut records = BTreeMap::new();
    for item in items.iter().filter(ended) {
        let device = item["device"].as_str().ok_or("a device has no name")?;
        let mut word = Word::read(item);
        if item["provisional"] == Value::Bool(true) {
            // No device said so.
            word.reason = Some("provisional".to_owned());
        }
        records.insert(device.to_owned(), word);
    }
    Ok(records)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn word(item: Value) -> Word {
        Word::read(&item)
    }

    #[test]
    fn every_difference_is_of_one_kind() {
        let fine = json!({"status": "successful", "reason": null, "round": 0, "attempt": 2});
        let own = |installs: u64, attempt: u64| {
            json!({"status": "successful", "reason": null, "round": 0, "attempt": attempt,
                "installs": installs})
        };
        let failed = json!({"status": "failed", "reason": "timed-out", "round": 0, "attempt": 2});
        let said = [
            ("same", Some(own(2, 2)), Some(fine.clone())),
            ("lost", Some(own(1, 1)), None),
            ("made up", None, Some(fine.clone())),
            ("twice", Some(own(3, 2)), Some(fine.clone())),
            ("other attempt", Some(own(1, 1)), Some(fine)),
            ("other status", Some(own(1, 2)), Some(failed)),
        ];
        let side = |own: bool| -> BTreeMap<String, Word> {
            let each = said.clone().into_iter();
            each.filter_map(|(name, says, has)| {
                Some((name.to_owned(), word(if own { says? } else { has? })))
            })
            .collect()
        };
        let mut found = Found::default();
        each_device(1, &side(true), &side(false), &mut found);
        assert_eq!((found.lost, found.duplicated, found.mismatched), (1, 2, 2));
    }

    #[test]
    fn what_an_agent_does_not_know_is_not_compared_and_what_it_knows_is() {
        let recorded = word(
            json!({"status": "failed", "reason": "script-failed", "round": 1,
            "attempt": 3}),
        );
        let own = Word {
            status: "failed".to_owned(),
            reason: Some("script-failed".to_owned()),
            installs: 6,
            in_one_attempt: 2,
            ..Word::default()
        };
        assert!(own.is(&recorded) && !own.is_doubled(&recorded));
        let thrice = Word {
            in_one_attempt: 3,
            ..own.clone()
        };
        assert!(thrice.is_doubled(&recorded));
        let other = Word {
            attempt: Some(2),
            ..own
        };
        assert!(!other.is(&recorded));
    }
}
