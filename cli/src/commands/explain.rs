//! `hoist explain`: what a code or a reason means and what to do, from the one table of
//! each. Nothing is asked of a server.

use std::collections::BTreeSet;
use std::time::SystemTime;

use hoist_orchestrator_core::model::row::EndReason;
use hoist_orchestrator_core::reply::{Wait, Why};
use hoist_orchestrator_core::rules::rollout::admission::Rule;
use hoist_protocol::code::Code;
use hoist_protocol::reason::Reason;
use hoist_server::closest::closest;
use hoist_server::failure::Failure;
use serde::Serialize;
use serde_json::{Value, json};

use crate::context::{Context, print};
use crate::exit;
use crate::output::text::wrapped;
use crate::output::{self, Format, Shape, Show, column};

const SHAPE: Shape = Shape {
    name: "word",
    columns: &[
        column("CODE OR REASON", "/word", Show::Plain),
        column("WHAT HAPPENED", "/title", Show::Plain),
    ],
};

/// One explained word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Word {
    Code(Code),
    Reason(Reason),
    /// Of a deployment, where no device's reason is called so.
    End(EndReason),
    /// Of `device why`, where it is none of those.
    Why(Why),
    /// Of the rules that `device why` lists.
    Rule(Rule),
    /// Of what it says is waited for.
    Wait(Wait),
}

/// The reason of an ended deployment, if one can end with this word.
fn end_of(word: &str) -> Option<EndReason> {
    EndReason::ALL.into_iter().find(|end| end.word() == word)
}

impl Word {
    /// Every one; of those that are written alike the first.
    fn all() -> impl Iterator<Item = Self> {
        let mut seen = BTreeSet::new();
        let codes = Code::ALL.iter().copied().map(Self::Code);
        codes
            .chain(Reason::ALL.iter().copied().map(Self::Reason))
            .chain(EndReason::ALL.into_iter().map(Self::End))
            .chain(Why::ALL.into_iter().map(Self::Why))
            .chain(Rule::ALL.into_iter().map(Self::Rule))
            .chain(Wait::ALL.into_iter().map(Self::Wait))
            .filter(move |word| seen.insert(word.text()))
    }

    fn text(self) -> String {
        match self {
            Self::Code(code) => code.as_str().to_owned(),
            Self::Reason(reason) => reason.word().to_owned(),
            Self::End(end) => end.word().to_owned(),
            Self::Why(why) => in_json(why),
            Self::Rule(rule) => in_json(rule),
            Self::Wait(wait) => in_json(wait),
        }
    }

    /// A deployment that ended did not fail.
    fn code(self) -> Option<Code> {
        match self {
            Self::Code(code) => Some(code),
            Self::Reason(reason) => Some(reason.code()),
            Self::End(_) | Self::Why(_) | Self::Rule(_) | Self::Wait(_) => None,
        }
    }

    fn title(self) -> &'static str {
        match self {
            Self::Code(code) => code.title(),
            Self::Reason(reason) => reason.code().title(),
            Self::End(_) => "why a deployment ended",
            Self::Why(_) => "why a device is as it is",
            Self::Rule(_) => "a rule that must hold for a device to start",
            Self::Wait(_) => "a condition that a device waits for before it starts",
        }
    }

    fn meaning(self) -> &'static str {
        match self {
            Self::Code(code) => code.meaning(),
            Self::Reason(reason) => reason.meaning(),
            Self::End(end) => end.meaning(),
            Self::Why(why) => without_rule(why.meaning()),
            Self::Rule(rule) => without_rule(rule.meaning()),
            Self::Wait(wait) => without_rule(wait.meaning()),
        }
    }

    fn hint(self) -> &'static str {
        match self {
            Self::Code(code) => code.hint(),
            Self::Reason(reason) => reason.code().hint(),
            Self::End(end) => end.hint(),
            Self::Why(_) | Self::Rule(_) | Self::Wait(_) => {
                "see what comes next, and why, with `hoist device why ID`"
            }
        }
    }

    fn item(self) -> Value {
        json!({
            "word": self.text(), "code": self.code().map(Code::as_str), "title": self.title(),
            "meaning": self.meaning(), "hint": self.hint(),
            "deployment": end_of(&self.text()).map(EndReason::meaning),
        })
    }

    fn for_people(self) -> String {
        let text = self.text();
        let title = match self {
            Self::Reason(reason) => {
                format!("a device failed with {}: {}", reason.code(), self.title())
            }
            _ => self.title().to_owned(),
        };
        let mut said = format!(
            "{}\n{}{}",
            wrapped(&format!("{text}: "), &title),
            wrapped("", self.meaning()).replace("\n    ", "\n"),
            wrapped("What to do: ", &format!("{}.", self.hint())),
        );
        if let (Self::Reason(_), Some(end)) = (self, end_of(&text)) {
            said += "\nA deployment that ended with this word:\n";
            said += &wrapped("", end.meaning()).replace("\n    ", "\n");
            said += &wrapped("What to do: ", &format!("{}.", end.hint()));
        }
        said
    }
}

/// A word as it is written in JSON.
fn in_json(word: impl Serialize) -> String {
    match serde_json::to_value(word) {
        Ok(Value::String(word)) => word,
        _ => String::new(),
    }
}

/// A meaning without the name of the rule that it comes from.
fn without_rule(meaning: &str) -> &str {
    let named = [" (S", " (W"].iter().find_map(|mark| meaning.find(mark));
    named.map_or(meaning, |at| &meaning[..at])
}

/// Finds a word however its letters are written.
fn find(text: &str) -> Result<Word, Failure> {
    let is_it = |word: &Word| word.text().eq_ignore_ascii_case(text);
    Word::all().find(is_it).ok_or_else(|| {
        let known: Vec<String> = Word::all().map(Word::text).collect();
        let known: Vec<&str> = known.iter().map(String::as_str).collect();
        let upper = text.to_ascii_uppercase();
        let meant = closest(text, &known).or_else(|| closest(&upper, &known));
        let what = format!("no code and no reason is called {text:?}");
        Failure::new(Code::Word, what).help(match meant {
            Some(meant) => format!("did you mean {meant}?"),
            None => "list all with `hoist explain`".to_owned(),
        })
    })
}

/// Explains one word, or lists all.
pub(crate) fn explain(context: &Context, word: Option<&str>) -> Result<u8, Failure> {
    let Some(word) = word else {
        let items: Vec<Value> = Word::all().map(Word::item).collect();
        let now = SystemTime::now();
        print(&output::list(context.format(), &SHAPE, &items, now))?;
        return Ok(exit::OK);
    };
    let word = find(word)?;
    match context.format() {
        Format::Table | Format::Wide => print(&word.for_people())?,
        _ => return context.print_one(&SHAPE, &word.item()),
    }
    Ok(exit::OK)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_is_found_and_explained() {
        for word in Word::all() {
            assert_eq!(find(&word.text()).unwrap().text(), word.text());
            assert!(word.for_people().contains("What to do: "));
        }
        for word in ["below-line", "slot", "no-deployment", "failed", "turn"] {
            assert!(
                find(word).unwrap().meaning().ends_with(|end| end != ')'),
                "{word}"
            );
        }
        assert_eq!(find("e_group_full"), Ok(Word::Code(Code::GroupFull)));
    }

    #[test]
    fn every_word_that_a_deployment_ends_with_is_explained_as_such() {
        for end in EndReason::ALL {
            let word = find(end.word()).unwrap();
            let said = word.for_people();
            let (meaning, hint) = (end.meaning(), end.hint());
            let flat = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
            assert!(flat(&said).contains(&flat(meaning)), "{said}");
            assert!(flat(&said).contains(hint), "{said}");
            assert!(
                said.lines().all(|line| line.chars().count() <= 80),
                "{said}"
            );
            assert_eq!(word.item()["deployment"], json!(meaning));
        }
        let both = find("superseded").unwrap().for_people();
        assert!(both.starts_with("superseded: a device failed"), "{both}");
        assert!(
            both.contains("A deployment that ended with this word"),
            "{both}"
        );
    }

    #[test]
    fn an_unknown_word_is_not_found_and_a_close_one_is_named() {
        let failure = find("E_GRUOP").unwrap_err();
        assert_eq!(exit::of(&failure), exit::NOT_FOUND);
        assert_eq!(failure.help.as_deref(), Some("did you mean E_GROUP?"));
        let failure = find("script-faild").unwrap_err();
        assert_eq!(failure.help.as_deref(), Some("did you mean script-failed?"));
        assert!(find("nothing like it").unwrap_err().help.is_some());
    }
}
