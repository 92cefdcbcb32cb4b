//! Why a fleet's file is refused: every fault once, with the lines that have it.

use std::collections::BTreeMap;
use std::path::Path;

use hoist_protocol::code::Code;
use hoist_server::failure::Failure;

use super::table::Fault;
use crate::output;
use crate::output::plural::{count, either};

/// Different faults that are told: what is wrong with a file is seen by then.
const FAULTS_MAX: usize = 20;
/// Lines that are named of one fault.
const LINES_MAX: usize = 5;

/// Refuses a file for its faults.
pub(super) fn refusal(file: &Path, faults: &[Fault]) -> Failure {
    let lines = u32::try_from(faults.len()).unwrap_or(u32::MAX);
    let mut what = format!(
        "{}: nothing was imported, {} {} wrong",
        file.display(),
        count(lines, "line"),
        either(lines, "is", "are"),
    );
    let kinds = kinds(faults);
    for (said, lines) in kinds.iter().take(FAULTS_MAX) {
        let (named, said) = (named(lines), output::printable(said));
        what.push_str(&format!("\n  {named}: {said}"));
    }
    let untold: usize = kinds
        .iter()
        .skip(FAULTS_MAX)
        .map(|(_, lines)| lines.len())
        .sum();
    if untold > 0 {
        let lines = if untold == 1 { "line" } else { "lines" };
        what.push_str(&format!("\n  and {untold} more {lines}"));
    }
    Failure::new(Code::Csv, what).help(help(faults))
}

/// The faults in the order of their first lines, each with all of its lines.
fn kinds(faults: &[Fault]) -> Vec<(&str, Vec<u64>)> {
    let mut by_text: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
    for fault in faults {
        by_text.entry(&fault.what).or_default().push(fault.line);
    }
    let mut kinds: Vec<_> = by_text.into_iter().collect();
    kinds.sort_by(|(_, a), (_, b)| a.cmp(b));
    kinds
}

/// `line 2`, `lines 2, 6`, `lines 2, 6, 10, 14, 18 and 2495 more`
fn named(lines: &[u64]) -> String {
    let shown = lines.iter().take(LINES_MAX).map(ToString::to_string);
    let shown = shown.collect::<Vec<_>>().join(", ");
    let noun = if lines.len() == 1 { "line" } else { "lines" };
    match lines.len().saturating_sub(LINES_MAX) {
        0 => format!("{noun} {shown}"),
        more => format!("{noun} {shown} and {more} more"),
    }
}

/// The remedy for these faults.
fn help(faults: &[Fault]) -> String {
    let is = |code| faults.iter().any(|fault| fault.code == Some(code));
    let mut help = String::new();
    if is(Code::Group) {
        help.push_str("create the groups first, each with `hoist group create NAME`; ");
    }
    if faults.iter().any(|fault| fault.code != Some(Code::Group)) {
        help.push_str("mend these lines; ");
    }
    help.push_str("then run it again");
    if is(Code::DeviceExists) {
        help.push_str(
            ", with --skip-existing if devices are to stay as they are that are registered with \
             other properties",
        );
    }
    help
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(line: u64, what: impl Into<String>, code: Option<Code>) -> Fault {
        let what = what.into();
        Fault { line, what, code }
    }

    #[test]
    fn a_fault_of_thousands_of_lines_is_told_once_with_what_to_do() {
        let missing = |line: u64| {
            let group = format!("there is no group plant-{}", line % 4);
            fault(line, group, Some(Code::Group))
        };
        let faults: Vec<Fault> = (2..10_002).map(missing).collect();
        let failure = refusal(Path::new("fleet.csv"), &faults);
        let said = failure.to_string();
        assert_eq!(said.lines().count(), 6, "{said}");
        assert!(said.contains("10000 lines are wrong"), "{said}");
        let first = "\n  lines 2, 6, 10, 14, 18 and 2495 more: there is no group plant-2\n";
        assert!(said.contains(first), "{said}");
        let help =
            "create the groups first, each with `hoist group create NAME`; then run it again";
        assert_eq!(failure.help.as_deref(), Some(help));
    }

    #[test]
    fn of_many_different_faults_the_first_are_told_and_the_rest_is_counted() {
        let other = |line: u64| {
            let what = format!("device-{line} is registered otherwise");
            fault(line, what, Some(Code::DeviceExists))
        };
        let faults: Vec<Fault> = (2..72).map(other).collect();
        let failure = refusal(Path::new("fleet.csv"), &faults);
        assert!(
            failure.what.contains("\n  line 21: device-21 "),
            "{failure}"
        );
        assert!(failure.what.ends_with("\n  and 50 more lines"), "{failure}");
        let help = failure.help.unwrap();
        assert!(
            help.contains("--skip-existing") && !help.contains("group"),
            "{help}"
        );
        let one = refusal(Path::new("f"), &[fault(3, "there is no id", None)]);
        assert_eq!(
            one.help.as_deref(),
            Some("mend these lines; then run it again")
        );
    }
}
