//! Strict TOML: unknown keys and wrong types are refused with file, line and a suggestion,
//! never guessed. Tables are read by hand: derived readers were a tenth of the agent.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::pairs::{Pairs, put};

/// Why a text is not the file it should be. The text names file, line, cause and remedy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}:{line}: {detail}{}", path.display(), hint.as_deref().map(|hint| format!(" (did you mean `{hint}`?)")).unwrap_or_default())]
pub struct TomlError {
    /// The file.
    pub path: PathBuf,
    /// The line at fault, from 1.
    pub line: usize,
    /// The fault.
    pub detail: String,
    /// The known key that is closest to an unknown one.
    pub hint: Option<String>,
}

/// Reads a file's text, whose keys must be among `keys`.
///
/// # Errors
/// [`TomlError`] for the first thing that does not fit.
pub fn read<T>(
    path: &Path,
    text: &str,
    keys: &[&str],
    read: impl FnOnce(&mut Table<'_>) -> Result<T, TomlError>,
) -> Result<T, TomlError> {
    let file = File { path, text };
    let parsed = DeTable::parse(text).map_err(|error| {
        let span = error.span().unwrap_or_default();
        file.refuse(span, error.message().to_owned())
    })?;
    let span = parsed.span();
    read(&mut file.table(parsed.into_inner(), span, keys)?)
}

#[derive(Clone, Copy)]
struct File<'t> {
    path: &'t Path,
    text: &'t str,
}

impl<'t> File<'t> {
    fn refuse(self, span: Range<usize>, detail: String) -> TomlError {
        TomlError {
            path: self.path.to_path_buf(),
            line: line_of(self.text, span.start),
            detail,
            hint: None,
        }
    }

    fn table(
        self,
        entries: DeTable<'t>,
        span: Range<usize>,
        keys: &[&str],
    ) -> Result<Table<'t>, TomlError> {
        for key in entries.keys() {
            let name = key.get_ref().as_ref();
            if !keys.contains(&name) {
                let detail = format!("unknown field `{name}`");
                return Err(TomlError {
                    hint: closest(name, keys),
                    ..self.refuse(key.span(), detail)
                });
            }
        }
        Ok(Table {
            file: self,
            entries,
            span,
        })
    }
}

/// A text and where it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Located {
    /// The text.
    pub text: String,
    /// Its line, from 1.
    pub line: usize,
}

/// A table of which every key is known.
pub struct Table<'t> {
    file: File<'t>,
    entries: DeTable<'t>,
    span: Range<usize>,
}

impl<'t> Table<'t> {
    fn take(&mut self, key: &str) -> Option<(DeValue<'t>, Range<usize>)> {
        let value = self.entries.remove(key)?;
        let span = value.span();
        Some((value.into_inner(), span))
    }

    /// A value that must be there.
    ///
    /// # Errors
    /// [`TomlError`] that names the key.
    pub fn require<T>(&self, key: &str, value: Option<T>) -> Result<T, TomlError> {
        let missing = || {
            self.file
                .refuse(self.span.clone(), format!("missing field `{key}`"))
        };
        value.ok_or_else(missing)
    }

    fn expected(&self, key: &str, what: &str, span: Range<usize>) -> TomlError {
        self.file.refuse(span, format!("{key} is not {what}"))
    }

    /// A text.
    ///
    /// # Errors
    /// [`TomlError`] when it is something else.
    pub fn string(&mut self, key: &str) -> Result<Option<String>, TomlError> {
        match self.take(key) {
            None => Ok(None),
            Some((DeValue::String(text), _)) => Ok(Some(text.into_owned())),
            Some((_, span)) => Err(self.expected(key, "a text", span)),
        }
    }

    /// A path.
    ///
    /// # Errors
    /// [`TomlError`] when it is not a text.
    pub fn path(&mut self, key: &str) -> Result<Option<PathBuf>, TomlError> {
        Ok(self.string(key)?.map(PathBuf::from))
    }

    /// A text that must be there.
    ///
    /// # Errors
    /// [`TomlError`] when it is not, or something else.
    pub fn required(&mut self, key: &str) -> Result<String, TomlError> {
        let text = self.string(key)?;
        self.require(key, text)
    }

    /// A text in the form of a `T`.
    ///
    /// # Errors
    /// [`TomlError`] when it is not one.
    pub fn parsed<T: FromStr<Err: ToString>>(&mut self, key: &str) -> Result<Option<T>, TomlError> {
        let span = self.span_of(key);
        let text = self.string(key)?;
        text.map(|text| self.parse(key, &text, span)).transpose()
    }

    /// A list of texts in the form of a `T` each.
    ///
    /// # Errors
    /// [`TomlError`] when one is not.
    pub fn parsed_list<T: FromStr<Err: ToString>>(
        &mut self,
        key: &str,
    ) -> Result<Option<Vec<T>>, TomlError> {
        let span = self.span_of(key);
        let Some(texts) = self.strings(key)? else {
            return Ok(None);
        };
        let parse = |text: &String| self.parse(key, text, span.clone());
        texts.iter().map(parse).collect::<Result<_, _>>().map(Some)
    }

    fn span_of(&self, key: &str) -> Range<usize> {
        self.entries.get(key).map(Spanned::span).unwrap_or_default()
    }

    fn parse<T: FromStr<Err: ToString>>(
        &self,
        key: &str,
        text: &str,
        span: Range<usize>,
    ) -> Result<T, TomlError> {
        text.parse().map_err(|error: T::Err| {
            let detail = format!("{key} {text:?}: {}", error.to_string());
            self.file.refuse(span, detail)
        })
    }

    /// A whole number of at most `max`.
    ///
    /// # Errors
    /// [`TomlError`] when it is something else.
    pub fn number(&mut self, key: &str, max: u64) -> Result<Option<u64>, TomlError> {
        let Some((value, span)) = self.take(key) else {
            return Ok(None);
        };
        let number = match value {
            DeValue::Integer(number) => u64::from_str_radix(number.as_str(), number.radix()).ok(),
            _ => None,
        };
        match number.filter(|number| *number <= max) {
            Some(number) => Ok(Some(number)),
            None => Err(self.expected(key, &format!("a number from 0 to {max}"), span)),
        }
    }

    /// True or false; false when it is not there.
    ///
    /// # Errors
    /// [`TomlError`] when it is something else.
    pub fn flag(&mut self, key: &str) -> Result<bool, TomlError> {
        match self.take(key) {
            None => Ok(false),
            Some((DeValue::Boolean(flag), _)) => Ok(flag),
            Some((_, span)) => Err(self.expected(key, "true or false", span)),
        }
    }

    /// A list of texts.
    ///
    /// # Errors
    /// [`TomlError`] when it is something else.
    pub fn strings(&mut self, key: &str) -> Result<Option<Vec<String>>, TomlError> {
        match self.take(key) {
            None => Ok(None),
            Some((value, span)) => strings(value)
                .map(Some)
                .ok_or_else(|| self.expected(key, "a list of texts", span)),
        }
    }

    /// Names and texts; none when it is not there.
    ///
    /// # Errors
    /// [`TomlError`] when it is something else.
    pub fn pairs(&mut self, key: &str) -> Result<Pairs<String>, TomlError> {
        let pairs = self.located_pairs(key)?.into_iter();
        Ok(pairs.map(|(name, value)| (name, value.text)).collect())
    }

    /// The same with the line of each text, for what is judged later.
    ///
    /// # Errors
    /// [`TomlError`] when it is something else.
    pub fn located_pairs(&mut self, key: &str) -> Result<Pairs<Located>, TomlError> {
        let Some((value, span)) = self.take(key) else {
            return Ok(Pairs::new());
        };
        let DeValue::Table(table) = value else {
            return Err(self.expected(key, "a table", span));
        };
        let mut pairs = Pairs::new();
        for (name, value) in table {
            let span = value.span();
            let line = line_of(self.file.text, span.start);
            let DeValue::String(text) = value.into_inner() else {
                return Err(self.expected(name.get_ref(), "a text", span));
            };
            let text = text.into_owned();
            put(
                &mut pairs,
                name.into_inner().into_owned(),
                Located { text, line },
            );
        }
        Ok(pairs)
    }

    /// Pairs of texts in their order, as lists of two.
    ///
    /// # Errors
    /// [`TomlError`] when it is something else.
    pub fn pair_list(&mut self, key: &str) -> Result<Vec<(String, String)>, TomlError> {
        let Some((value, span)) = self.take(key) else {
            return Ok(Vec::new());
        };
        let pair = |item: Spanned<DeValue<'_>>| {
            let [name, text] = strings(item.into_inner())?.try_into().ok()?;
            Some((name, text))
        };
        let pairs = match value {
            DeValue::Array(items) => items.into_iter().map(pair).collect(),
            _ => None,
        };
        pairs.ok_or_else(|| self.expected(key, "a list of pairs", span))
    }

    /// Named tables with these keys each; none when it is not there.
    ///
    /// # Errors
    /// [`TomlError`] when it is something else.
    pub fn tables(&mut self, key: &str, keys: &[&str]) -> Result<Pairs<Self>, TomlError> {
        let Some((value, span)) = self.take(key) else {
            return Ok(Pairs::new());
        };
        let DeValue::Table(table) = value else {
            return Err(self.expected(key, "a table", span));
        };
        let mut tables = Pairs::new();
        for (name, value) in table {
            let table = self.inner(name.get_ref(), value, keys)?;
            put(&mut tables, name.into_inner().into_owned(), table);
        }
        Ok(tables)
    }

    /// A list of tables with these keys each; empty when it is not there.
    ///
    /// # Errors
    /// [`TomlError`] when it is something else.
    pub fn table_list(&mut self, key: &str, keys: &[&str]) -> Result<Vec<Self>, TomlError> {
        match self.take(key) {
            None => Ok(Vec::new()),
            Some((DeValue::Array(items), _)) => items
                .into_iter()
                .map(|item| self.inner(key, item, keys))
                .collect(),
            Some((_, span)) => Err(self.expected(key, "a list of tables", span)),
        }
    }

    fn inner(
        &self,
        name: &str,
        value: Spanned<DeValue<'t>>,
        keys: &[&str],
    ) -> Result<Self, TomlError> {
        let span = value.span();
        match value.into_inner() {
            DeValue::Table(entries) => self.file.table(entries, span, keys),
            _ => Err(self.expected(name, "a table", span)),
        }
    }
}

fn strings(value: DeValue<'_>) -> Option<Vec<String>> {
    let DeValue::Array(items) = value else {
        return None;
    };
    let text = |item: Spanned<DeValue<'_>>| match item.into_inner() {
        DeValue::String(text) => Some(text.into_owned()),
        _ => None,
    };
    items.into_iter().map(text).collect()
}

/// A text as TOML writes it.
#[must_use]
pub fn quoted(text: &str) -> String {
    let mut quoted = String::from('"');
    for character in text.chars() {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            _ if character.is_control() => {
                quoted.push_str(&format!("\\u{:04x}", u32::from(character)));
            }
            _ => quoted.push(character),
        }
    }
    quoted.push('"');
    quoted
}

/// The line (from 1) of a byte offset.
#[must_use]
pub fn line_of(text: &str, offset: usize) -> usize {
    let before = text.as_bytes().get(..offset).unwrap_or(text.as_bytes());
    1 + before.iter().filter(|byte| **byte == b'\n').count()
}

/// The line (from 1) on which a key is set, or 1: for values that parse but do not fit.
#[must_use]
pub fn line_of_key(text: &str, key: &str) -> usize {
    let sets = |line: &str| {
        line.trim_start()
            .strip_prefix(key)
            .is_some_and(|rest| rest.trim_start().starts_with('='))
    };
    text.lines().position(sets).map_or(1, |index| index + 1)
}

fn closest(found: &str, known: &[&str]) -> Option<String> {
    known
        .iter()
        .map(|known| (strsim::damerau_levenshtein(found, known), known))
        .filter(|(distance, _)| *distance <= 3)
        .min()
        .map(|(_, known)| (*known).to_owned())
}

#[cfg(test)]
#[path = "strict_toml_tests.rs"]
mod tests;
