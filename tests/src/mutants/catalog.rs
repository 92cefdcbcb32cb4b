//! The lists of mistakes, and what a file looks like with a switch for each of its own.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::ops::Range;
use std::path::Path;

use serde::Deserialize;

use super::place::place;
use super::{MutantsError, ShownBy};

/// Where the lists are, one for each area.
const LISTS: &str = "tests/mutants";

/// A mistake, as a list has it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mistake {
    /// The name of its list.
    #[serde(skip)]
    pub area: String,
    /// Its name; no other mistake has it.
    pub name: String,
    /// The fault, in a sentence.
    pub wrong: String,
    /// The program that proves that the mistake is seen.
    pub shown_by: ShownBy,
    file: String,
    within: Option<String>,
    from: String,
    to: String,
    #[serde(default)]
    also: Vec<Change>,
}

/// A text that a mistake changes: an expression or whole statements. How it is broken into
/// lines does not count.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Change {
    /// Below the root of the tree.
    pub(super) file: String,
    /// Contains `from` once, and is itself once in the file; the whole file when absent.
    pub(super) within: Option<String>,
    pub(super) from: String,
    to: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    mistake: Vec<Mistake>,
}

/// All mistakes, in the order of their numbers.
#[derive(Debug)]
pub struct Catalog {
    /// The first has the number 1.
    pub mistakes: Vec<Mistake>,
}

/// A switch on its way into a file.
struct Switch<'a> {
    name: &'a str,
    place: usize,
    at: Range<usize>,
    from: &'a str,
    to: String,
}

impl Mistake {
    fn changes(&self) -> impl Iterator<Item = Change> {
        let first = Change {
            file: self.file.clone(),
            within: self.within.clone(),
            from: self.from.clone(),
            to: self.to.clone(),
        };
        std::iter::once(first).chain(self.also.iter().cloned())
    }
}

impl Catalog {
    /// Reads the lists of a tree.
    ///
    /// # Errors
    /// [`MutantsError`] when one cannot be read, or a name is given twice.
    pub fn read(root: &Path) -> Result<Self, MutantsError> {
        let folder = root.join(LISTS);
        let listed = fs::read_dir(&folder).and_then(|entries| {
            let paths = entries.map(|entry| entry.map(|entry| entry.path()));
            paths.collect::<Result<BTreeSet<_>, _>>()
        });
        let mut mistakes = Vec::new();
        for path in listed.map_err(|source| MutantsError::File {
            path: folder,
            source,
        })? {
            mistakes.extend(read_list(&path)?);
        }
        let mut names = BTreeSet::new();
        match mistakes.iter().find(|one| !names.insert(&one.name)) {
            Some(twice) => Err(MutantsError::Name {
                name: twice.name.clone(),
            }),
            None => Ok(Self { mistakes }),
        }
    }

    /// The files that any mistake changes.
    #[must_use]
    pub fn files(&self) -> BTreeSet<String> {
        let changes = self.mistakes.iter().flat_map(Mistake::changes);
        changes.map(|change| change.file).collect()
    }

    /// A file of the tree with a switch in each place that a mistake changes.
    ///
    /// # Errors
    /// [`MutantsError`] when a mistake has no place in it, or two have the same.
    pub fn switched(&self, root: &Path, file: &str) -> Result<String, MutantsError> {
        let path = root.join(file);
        let text =
            fs::read_to_string(&path).map_err(|source| MutantsError::File { path, source })?;
        self.put_into(file, &text)
    }

    fn put_into(&self, file: &str, text: &str) -> Result<String, MutantsError> {
        let switches = self.switches(file, text)?;
        let mut switched = String::new();
        let (mut done, mut before) = (0, "");
        for switch in &switches {
            let Some(between) = text.get(done..switch.at.start) else {
                return Err(MutantsError::Overlap {
                    file: file.to_owned(),
                    first: before.to_owned(),
                    second: switch.name.to_owned(),
                });
            };
            switched += between;
            switched += &switch.text();
            (done, before) = (switch.at.end, switch.name);
        }
        Ok(switched + &text[done..])
    }

    /// The switches to put into a file, in the order of its text.
    fn switches<'a>(&'a self, file: &str, text: &'a str) -> Result<Vec<Switch<'a>>, MutantsError> {
        let mut switches = Vec::new();
        for (number, mistake) in self.mistakes.iter().enumerate() {
            for change in mistake.changes().filter(|change| change.file == file) {
                let at = place(&mistake.name, &change, text)?;
                switches.push(Switch {
                    name: &mistake.name,
                    place: number + 1,
                    from: &text[at.clone()],
                    at,
                    to: change.to,
                });
            }
        }
        switches.sort_by_key(|switch| switch.at.start);
        Ok(switches)
    }

    /// The file that stands in the place of [`super::switch`] where mistakes can be planted.
    #[must_use]
    pub fn table(&self) -> String {
        let mut table = "//! Every mistake.\n\nuse super::{Planted, ShownBy};\n\n\
             pub const ALL: &[Planted] = &[\n"
            .to_owned();
        for (number, mistake) in self.mistakes.iter().enumerate() {
            let Mistake {
                area,
                name,
                shown_by,
                ..
            } = mistake;
            let place = number + 1;
            let _written = writeln!(
                table,
                "    Planted {{ place: {place}, area: {area:?}, name: {name:?}, \
                 shown_by: ShownBy::{shown_by:?} }},"
            );
        }
        table
            + "];\n\npub fn plant(place: usize) {\n    hoist_protocol::planted::plant(place);\n}\n"
    }
}

impl Switch<'_> {
    /// Both texts in blocks. An expression gets parentheses, so that what stands around it
    /// goes on with all of it; a statement must have none.
    fn text(&self) -> String {
        let Self {
            place, from, to, ..
        } = self;
        let choice =
            format!("if ::hoist_protocol::planted::is({place}) {{\n{to}\n}} else {{\n{from}\n}}");
        match from.ends_with([';', '}']) {
            true => choice,
            false => format!("({choice})"),
        }
    }
}

fn read_list(path: &Path) -> Result<Vec<Mistake>, MutantsError> {
    let text = fs::read_to_string(path).map_err(|source| MutantsError::File {
        path: path.to_path_buf(),
        source,
    })?;
    let mut list: List = toml::from_str(&text).map_err(|error| MutantsError::List {
        path: path.to_path_buf(),
        why: error.to_string(),
    })?;
    let area = path.file_stem().unwrap_or_default().to_string_lossy();
    for mistake in &mut list.mistake {
        mistake.area = area.clone().into_owned();
    }
    Ok(list.mistake)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "fn f(a: u8, b: u8) -> bool {\n    log(a);\n    a < b\n}\n";

    fn catalog(list: &str) -> Catalog {
        let list: List = toml::from_str(list).unwrap();
        Catalog {
            mistakes: list.mistake,
        }
    }

    fn mistake(name: &str, rest: &str) -> String {
        format!(
            "[[mistake]]\nname = \"{name}\"\nwrong = \"It is.\"\nshown_by = \"simulate\"\n\
             file = \"f.rs\"\n{rest}\n"
        )
    }

    #[test]
    fn statements_and_expressions_become_switches() {
        let silent = mistake("silent", "from = 'log(a);'\nto = ''");
        let always = mistake("always", "from = 'a < b'\nto = 'true'");
        let text = catalog(&(silent + &always)).put_into("f.rs", FILE).unwrap();
        let words: Vec<&str> = text.split_whitespace().collect();
        let planted = "if ::hoist_protocol::planted::is";
        assert_eq!(
            words.join(" "),
            format!(
                "fn f(a: u8, b: u8) -> bool {{ {planted}(1) {{ }} else {{ log(a); }} \
                 ({planted}(2) {{ true }} else {{ a < b }}) }}"
            )
        );
    }

    #[test]
    fn a_text_that_is_missing_or_doubtful_is_refused_by_name() {
        for (change, count) in [
            ("from = 'a > b'\nto = ''", 0),
            ("from = 'u8'\nto = 'u16'", 2),
            ("within = 'log(a)'\nfrom = 'b'\nto = 'a'", 0),
        ] {
            let refused = catalog(&mistake("lost", change)).put_into("f.rs", FILE);
            let Err(MutantsError::Place {
                name, count: found, ..
            }) = refused
            else {
                panic!("{change}: {refused:?}");
            };
            assert_eq!((name.as_str(), found), ("lost", count), "{change}");
        }
    }

    #[test]
    fn how_a_text_is_broken_into_lines_does_not_count() {
        let change = "from = 'log(a); a < b'\nto = 'false'";
        let text = catalog(&mistake("never", change)).put_into("f.rs", FILE);
        assert!(text.unwrap().contains("{\nlog(a);\n    a < b\n}"));
    }

    #[test]
    fn what_stands_around_a_text_tells_which_one_is_meant() {
        let change = "within = 'log(a)'\nfrom = 'a'\nto = '0'";
        let text = catalog(&mistake("zero", change)).put_into("f.rs", FILE);
        assert!(text.unwrap().contains("log((if ::hoist_protocol"));
    }

    #[test]
    fn two_mistakes_cannot_change_one_text() {
        let both = mistake("one", "from = 'a < b'\nto = 'true'")
            + &mistake("other", "from = '< b'\nto = '> b'");
        let refused = catalog(&both).put_into("f.rs", FILE);
        let Err(MutantsError::Overlap { first, second, .. }) = refused else {
            panic!("{refused:?}");
        };
        assert_eq!((first.as_str(), second.as_str()), ("one", "other"));
    }
}
