//! Reads the text of a selector, and says in which column it goes wrong.

use hoist_protocol::spec::TEXT_BYTES_MAX;

use super::{SELECTOR_BYTES_MAX, Selector, TERMS_MAX, Term, Wants};
use crate::model::error::{Code, Rejection};

/// A fault, with the place in the text, in bytes.
pub(super) struct Fault {
    at: usize,
    why: String,
}

impl Fault {
    fn new(at: usize, why: impl Into<String>) -> Self {
        let why = why.into();
        Self { at, why }
    }

    /// The refusal of this text: columns count characters, from one.
    pub(super) fn told(&self, text: &str) -> Rejection {
        let column = text[..self.at].chars().count() + 1;
        let why = format!("column {column} of the selector: {}", self.why);
        Rejection::new(Code::Selector, why).field("selector")
    }
}

/// True for characters that a word holds without quotes. `<` and `>` are kept for comparisons.
pub(super) fn is_bare(c: char) -> bool {
    !c.is_whitespace() && !c.is_control() && !",()=!<>\"".contains(c)
}

/// Reads the whole text.
pub(super) fn selector(text: &str) -> Result<Selector, Fault> {
    let bound = format!("a selector has at most {SELECTOR_BYTES_MAX} bytes");
    if text.len() > SELECTOR_BYTES_MAX {
        return Err(Fault::new(0, bound));
    }
    let mut reader = Reader { text, at: 0 };
    let mut terms = vec![reader.term()?];
    while reader.takes(",") {
        if terms.len() == TERMS_MAX {
            let why = format!("a selector has at most {TERMS_MAX} terms");
            return Err(Fault::new(reader.at, why));
        }
        terms.push(reader.term()?);
    }
    if !reader.is_done() {
        return Err(reader.wants("`,` and another term, or the end"));
    }
    let selector = Selector { terms };
    if selector.to_string().len() > SELECTOR_BYTES_MAX {
        return Err(Fault::new(0, bound));
    }
    Ok(selector)
}

/// A text, and the place up to which it was read.
struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn skip_spaces(&mut self) {
        self.at = self.text.len() - self.rest().trim_start().len();
    }

    fn is_done(&mut self) -> bool {
        self.skip_spaces();
        self.rest().is_empty()
    }

    /// Goes past `sign` if it is next.
    fn takes(&mut self, sign: &str) -> bool {
        self.skip_spaces();
        let is_next = self.rest().starts_with(sign);
        if is_next {
            self.at += sign.len();
        }
        is_next
    }

    /// The fault that something else stands here.
    fn wants(&mut self, wanted: &str) -> Fault {
        self.skip_spaces();
        let found = match self.rest().chars().next() {
            None => "it ends".to_owned(),
            Some(c) => format!("there is {c:?}"),
        };
        Fault::new(self.at, format!("{wanted} is expected, and {found}"))
    }

    fn term(&mut self) -> Result<Term, Fault> {
        if self.takes("!") {
            let key = self.key()?;
            let wants = Wants::Missing;
            return Ok(Term { key, wants });
        }
        let key = self.key()?;
        let wants = self.wanted()?;
        Ok(Term { key, wants })
    }

    fn wanted(&mut self) -> Result<Wants, Fault> {
        if self.takes("!=") {
            return self.value().map(Wants::IsNot);
        }
        if self.takes("==") || self.takes("=") {
            return self.value().map(Wants::Is);
        }
        match self.bare() {
            "in" => self.list().map(Wants::In),
            "notin" => self.list().map(Wants::NotIn),
            "" => Ok(Wants::Any),
            other => {
                self.at -= other.len();
                Err(self.wants("`=`, `!=`, `in`, `notin`, `,` or the end"))
            }
        }
    }

    /// The value of `=`; nothing at all stands for the empty one.
    fn value(&mut self) -> Result<String, Fault> {
        if self.is_done() || self.rest().starts_with(',') {
            return Ok(String::new());
        }
        self.word("a value")
    }

    fn list(&mut self) -> Result<Vec<String>, Fault> {
        if !self.takes("(") {
            return Err(self.wants("`(`"));
        }
        let mut values = vec![self.word("a value")?];
        while self.takes(",") {
            values.push(self.word("a value")?);
        }
        if !self.takes(")") {
            return Err(self.wants("`,` or `)`"));
        }
        Ok(values)
    }

    fn key(&mut self) -> Result<String, Fault> {
        self.skip_spaces();
        let begin = self.at;
        let key = self.word("the name of a label")?;
        if key.is_empty() {
            return Err(Fault::new(begin, "a label has a name"));
        }
        Ok(key)
    }

    fn word(&mut self, wanted: &str) -> Result<String, Fault> {
        self.skip_spaces();
        let begin = self.at;
        let word = match self.takes("\"") {
            true => self.quoted(begin)?,
            false => self.bare().to_owned(),
        };
        if self.at == begin {
            return Err(self.wants(wanted));
        }
        if word.len() > TEXT_BYTES_MAX {
            let why = format!("names and values have at most {TEXT_BYTES_MAX} bytes");
            return Err(Fault::new(begin, why));
        }
        Ok(word)
    }

    /// The characters up to one that needs quotes; none, when that comes first.
    fn bare(&mut self) -> &'a str {
        self.skip_spaces();
        let rest = self.rest();
        let end = rest.find(|c| !is_bare(c)).unwrap_or(rest.len());
        self.at += end;
        &rest[..end]
    }

    /// Reads to the end of quotes that were opened at `begin`.
    fn quoted(&mut self, begin: usize) -> Result<String, Fault> {
        let mut word = String::new();
        let mut is_escaped = false;
        for (index, c) in self.rest().char_indices() {
            match c {
                '"' if !is_escaped => {
                    self.at += index + 1;
                    return Ok(word);
                }
                '\\' if !is_escaped => {
                    is_escaped = true;
                    continue;
                }
                c if c.is_control() => {
                    let why = "labels have no control characters";
                    return Err(Fault::new(self.at + index, why));
                }
                c => word.push(c),
            }
            is_escaped = false;
        }
        Err(Fault::new(begin, "the quotes are never closed"))
    }
}
