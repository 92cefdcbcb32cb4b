//! `hoist explain`: what a code or a reason means and what to do, from the one table of
//! each. Nothing is asked of a server.

use std::time::SystemTime;

use hoist_protocol::code::Code;
use hoist_protocol::reason::Reason;
use serde_json::{Value, json};

use crate::context::{Context, print};
use crate::exit;
use crate::failure::Failure;
use crate::output::{self, Format, Shape, Show, column};
use crate::settings::closest;
use crate::why::wrapped;

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
}

impl Word {
    fn all() -> impl Iterator<Item = Self> {
        let codes = Code::ALL.iter().copied().map(Self::Code);
        codes.chain(Reason::ALL.iter().copied().map(Self::Reason))
    }

    fn text(self) -> &'static str {
        match self {
            Self::Code(code) => code.as_str(),
            Self::Reason(reason) => reason.word(),
        }
    }

    fn code(self) -> Code {
        match self {
            Self::Code(code) => code,
            Self::Reason(reason) => reason.code(),
        }
    }

    fn meaning(self) -> &'static str {
        match self {
            Self::Code(code) => code.meaning(),
            Self::Reason(reason) => reason.meaning(),
        }
    }

    fn item(self) -> Value {
        let code = self.code();
        json!({
            "word": self.text(), "code": code.as_str(), "title": code.title(),
            "meaning": self.meaning(), "hint": code.hint(),
        })
    }

    fn for_people(self) -> String {
        let (text, code) = (self.text(), self.code());
        let title = match self {
            Self::Code(_) => code.title().to_owned(),
            Self::Reason(_) => format!("a device failed with {code}: {}", code.title()),
        };
        let (meaning, hint) = (self.meaning(), code.hint());
        let hint = wrapped("What to do: ", &format!("{hint}."));
        format!(
            "{}\n{}{hint}",
            wrapped(&format!("{text}: "), &title),
            wrapped("", meaning).replace("\n    ", "\n")
        )
    }
}

/// Finds a word however its letters are written.
fn find(text: &str) -> Result<Word, Failure> {
    let is_it = |word: &Word| word.text().eq_ignore_ascii_case(text);
    Word::all().find(is_it).ok_or_else(|| {
        let known: Vec<&str> = Word::all().map(Word::text).collect();
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
            assert_eq!(find(word.text()).unwrap().text(), word.text());
            assert!(word.for_people().contains("What to do: "));
        }
        assert_eq!(find("e_group_full"), Ok(Word::Code(Code::GroupFull)));
    }

    #[test]
    fn an_unknown_word_is_not_found_and_a_close_one_is_named() {
        let failure = find("E_GRUOP").unwrap_err();
        assert_eq!(failure.exit(), exit::NOT_FOUND);
        assert_eq!(failure.help.as_deref(), Some("did you mean E_GROUP?"));
        let failure = find("script-faild").unwrap_err();
        assert_eq!(failure.help.as_deref(), Some("did you mean script-failed?"));
        assert!(find("nothing like it").unwrap_err().help.is_some());
    }
}
