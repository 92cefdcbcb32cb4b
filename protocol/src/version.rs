//! The order of versions, and what a requirement on one means: for `depends`, and for
//! attributes that `requires` names. Pure, and the same on devices and on the server.
//!
//! - A **numbered** version is numbers between dots (one or more; missing ones are zero),
//!   then perhaps `-` and a pre-release, then perhaps `+` and build metadata, with perhaps a
//!   `v` before all. These have the order of semantic versioning: number by number, a
//!   pre-release below its release, build metadata without weight.
//! - Everything else is a **name** (`r17`, a commit's hash). Names compare with names only:
//!   runs of digits as numbers, the rest byte by byte. Between a name and a numbered version
//!   there is no order, so no bound but `*` is met across them.

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;
use core::cmp::Ordering;
use core::str::FromStr;

use semver::Prerelease;

/// The forms that a requirement may have, for people.
pub const REQUIREMENT_FORMS: &str = "`*`, a version number, or one of = > >= < <= ^ ~ before a version; \
     several separated by commas must all hold, like \">=2.0, <3.0\"";

/// A version that can be compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version(Form);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Form {
    /// Without zeros at the end: `2` is `2.0`.
    Numbered(Vec<u64>, Prerelease),
    Named(String),
}

impl Version {
    /// Reads any text: what is no numbered version is a name.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        Self(match numbered(text) {
            Some((mut numbers, pre)) => {
                while numbers.last() == Some(&0) {
                    numbers.pop();
                }
                Form::Numbered(numbers, pre)
            }
            None => Form::Named(text.to_owned()),
        })
    }

    /// True if both are numbered and alike in their first `count` numbers.
    fn same_numbers(&self, other: &Self, count: usize) -> bool {
        let (Form::Numbered(one, _), Form::Numbered(other, _)) = (&self.0, &other.0) else {
            return false;
        };
        let number = |numbers: &Vec<u64>, index| numbers.get(index).copied().unwrap_or_default();
        (0..count).all(|index| number(one, index) == number(other, index))
    }
}

/// The numbers as written, and the pre-release.
fn numbered(text: &str) -> Option<(Vec<u64>, Prerelease)> {
    let text = text.strip_prefix(['v', 'V']).unwrap_or(text);
    let (text, _build) = text.split_once('+').unwrap_or((text, ""));
    let (numbers, pre) = match text.split_once('-') {
        // An empty one would read as none at all.
        Some((_, "")) => return None,
        Some((numbers, pre)) => (numbers, Prerelease::new(pre).ok()?),
        None => (text, Prerelease::EMPTY),
    };
    let number = |part: &str| {
        let digits = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        part.parse().ok().filter(|_| digits)
    };
    let numbers = numbers.split('.').map(number).collect::<Option<_>>()?;
    Some((numbers, pre))
}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        match (&self.0, &other.0) {
            (Form::Numbered(a, pre_a), Form::Numbered(b, pre_b)) => {
                Some(a.cmp(b).then_with(|| pre_a.cmp(pre_b)))
            }
            (Form::Named(a), Form::Named(b)) => Some(runs(a).cmp(runs(b)).then_with(|| a.cmp(b))),
            (Form::Numbered(..), Form::Named(_)) | (Form::Named(_), Form::Numbered(..)) => None,
        }
    }
}

/// A part of a name; a number by its count of digits first.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Run<'a> {
    Number(usize, &'a [u8]),
    Text(&'a [u8]),
}

fn runs(name: &str) -> impl Iterator<Item = Run<'_>> {
    let alike = |a: &u8, b: &u8| a.is_ascii_digit() == b.is_ascii_digit();
    name.as_bytes().chunk_by(alike).map(|run| {
        if !run[0].is_ascii_digit() {
            return Run::Text(run);
        }
        let zeros = run.iter().take_while(|byte| **byte == b'0').count();
        Run::Number(run.len() - zeros, &run[zeros..])
    })
}

/// A requirement on a version: every one of its bounds holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Requirement(Vec<Bound>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Bound {
    operator: Operator,
    version: Version,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Equal,
    Greater,
    GreaterEqual,
    Less,
    LessEqual,
    /// At least the version, and alike in so many numbers: `^` and `~`.
    Compatible(usize),
}

/// Why a text is no requirement (`E_REQUIREMENT`).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no requirement, because {why}: allowed are {REQUIREMENT_FORMS}")]
pub struct RequirementError {
    /// The requirement, as written.
    pub text: String,
    /// The fault of the requirement.
    pub why: &'static str,
}

impl Requirement {
    /// True if a version meets every bound.
    #[must_use]
    pub fn allows(&self, version: &Version) -> bool {
        self.0.iter().all(|bound| bound.allows(version))
    }
}

impl FromStr for Requirement {
    type Err = RequirementError;

    fn from_str(text: &str) -> Result<Self, RequirementError> {
        let bounds = text.split(',').map(str::trim).filter(|bound| *bound != "*");
        let bounds = bounds.map(Bound::parse).collect::<Result<_, _>>();
        bounds.map(Self).map_err(|why| RequirementError {
            text: text.to_owned(),
            why,
        })
    }
}

impl Bound {
    fn allows(&self, version: &Version) -> bool {
        let order = version.partial_cmp(&self.version);
        match self.operator {
            Operator::Equal => order.is_some_and(Ordering::is_eq),
            Operator::Greater => order.is_some_and(Ordering::is_gt),
            Operator::GreaterEqual => order.is_some_and(Ordering::is_ge),
            Operator::Less => order.is_some_and(Ordering::is_lt),
            Operator::LessEqual => order.is_some_and(Ordering::is_le),
            // Not "below the next": the pre-releases of the next are below it too.
            Operator::Compatible(count) => {
                order.is_some_and(Ordering::is_ge) && version.same_numbers(&self.version, count)
            }
        }
    }

    fn parse(text: &str) -> Result<Self, &'static str> {
        if text.is_empty() {
            return Err("a bound is empty");
        }
        let start = text.find(|c| !is_operator(c)).unwrap_or(text.len());
        let (operator, written) = text.split_at(start);
        let written = written.trim_start();
        let numbers = numbered(written).map(|(numbers, _)| numbers);
        let operator = match (operator, &numbers) {
            ("", None) => return Err("a version without an operator must be a number"),
            ("", Some(_)) | ("=", _) => Operator::Equal,
            (">", _) => Operator::Greater,
            (">=", _) => Operator::GreaterEqual,
            ("<", _) => Operator::Less,
            ("<=", _) => Operator::LessEqual,
            ("^", Some(numbers)) => Operator::Compatible(caret(numbers)),
            ("~", Some(numbers)) => Operator::Compatible(numbers.len().min(2)),
            ("^" | "~", None) => return Err("^ and ~ want a version number"),
            _ => return Err("its operator is not known"),
        };
        if numbers.is_none() {
            check_name(written, operator)?;
        }
        let version = Version::parse(written);
        Ok(Self { operator, version })
    }
}

fn is_operator(c: char) -> bool {
    matches!(c, '=' | '>' | '<' | '^' | '~' | '*' | '!' | '|' | '&')
}

/// The number of numbers that `^` keeps: up to the first that is not zero.
fn caret(numbers: &[u64]) -> usize {
    let first = numbers.iter().position(|number| *number != 0);
    first.map_or(numbers.len(), |index| index + 1)
}

/// A name that a device could have: anything else is a slip that no version would meet.
fn check_name(name: &str, operator: Operator) -> Result<(), &'static str> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '+' | ':');
    if !name.starts_with(|c: char| c.is_ascii_alphanumeric()) || !name.chars().all(plain) {
        return Err("no version follows the operator");
    }
    if name.split(['.', '-']).any(|part| matches!(part, "x" | "X")) {
        return Err("x stands for no number here");
    }
    let has_number = name.bytes().any(|byte| byte.is_ascii_digit());
    if operator != Operator::Equal && !has_number {
        return Err("a name without a number has no order");
    }
    Ok(())
}

/// True if a version meets a requirement.
///
/// # Errors
/// [`RequirementError`] when the requirement is none.
pub fn satisfies(version: &str, requirement: &str) -> Result<bool, RequirementError> {
    let requirement: Requirement = requirement.parse()?;
    Ok(requirement.allows(&Version::parse(version)))
}

/// True if a device's attribute is as `requires` wants it. A value that begins with an operator
/// (`= > < ^ ~ *`, after spaces or not) is a requirement on a version. Every other value is a text
/// that the attribute must equal to the letter.
///
/// # Errors
/// [`RequirementError`] when it begins like a requirement and is none.
pub fn attribute_meets(found: &str, wanted: &str) -> Result<bool, RequirementError> {
    if wanted
        .trim_start()
        .starts_with(['=', '>', '<', '^', '~', '*'])
    {
        satisfies(found, wanted)
    } else {
        Ok(found == wanted)
    }
}

#[cfg(test)]
#[path = "version_tests.rs"]
mod tests;
