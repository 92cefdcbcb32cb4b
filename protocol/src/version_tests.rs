use alloc::format;
use alloc::string::ToString;

use proptest::prelude::*;

use super::*;

fn meets(version: &str, requirement: &str) -> bool {
    satisfies(version, requirement).unwrap()
}

#[test]
fn every_case_of_the_table_has_its_answer() {
    let table = include_str!("../tests/cases/versions.txt");
    let mut rows = 0;
    for row in table.lines().skip(1) {
        let cells: Vec<_> = row.split('\t').collect();
        let [installed, requirement, answer] = cells[..] else {
            panic!("{row:?}");
        };
        let found = match satisfies(installed, requirement) {
            Ok(true) => "yes",
            Ok(false) => "no",
            Err(_) => "refuse",
        };
        assert_eq!(found, answer, "{row}");
        rows += 1;
    }
    assert_eq!(rows, 15);
}

#[test]
fn what_people_write_first_is_answered_as_documented() {
    for (version, requirement) in [
        ("2.4.11", "2.4.11"),
        ("2", "=2.0"),
        ("1.2.3.10", ">1.2.3.9"),
        ("2024.01.05", ">=2023.12.30, <2025"),
        ("3.0.0-rc.1", "<3.0.0"),
        ("0.3.9", "^0.3"),
        ("0.0.3", "^0.0.3"),
        ("0.9", "^0"),
        ("2.9", "~2"),
        ("2.0.7", "~2.0"),
        ("2.4.0-rc.2", "^2.4.0-rc.1"),
        ("2.4.11", ">= v2.4 ,<3"),
        ("r17", ">=r9"),
        ("r17", "=r17"),
        ("a1b2c3d", "*"),
        ("18446744073709551615.1", ">18446744073709551615"),
    ] {
        assert!(meets(version, requirement), "{version} {requirement}");
    }
    for (version, requirement) in [
        ("2.4.12", "2.4.11"),
        ("3.0.0-rc.1", "^2.4"),
        ("2.5.0-rc.1", "~2.4"),
        ("0.4", "^0.3"),
        ("0.0.4", "^0.0.3"),
        ("0.1", "^0.0"),
        ("2.1.0", "~2.0"),
        ("2.5", ">=2.0, <2.5"),
        ("r17", ">=1"),
        ("nightly", "<2.0"),
        ("2.4", ">=r9"),
        ("r9", "=r09"),
        ("1.0-", "1.0"),
    ] {
        assert!(!meets(version, requirement), "{version} {requirement}");
    }
}

#[test]
fn what_no_version_could_meet_is_refused_with_the_allowed_forms() {
    // bad-inputs row 84
    for text in [
        "",
        " ",
        ",",
        ">=1,",
        ">=",
        "=",
        "==2",
        "=>2.4",
        "!=2",
        "latest",
        ">=latest",
        "2.x",
        ">=2.x",
        "=2.X",
        "2.*",
        ">=2.4 <3",
        "1 || 2",
        "~>2.4",
        "^r17",
        "~latest",
        "<>2",
        "=,2",
        "=2 0",
        ">=-1",
        "\u{2265}2",
    ] {
        let refused = text.parse::<Requirement>().unwrap_err().to_string();
        assert!(
            refused.contains(&format!("{text:?} is no requirement")),
            "{refused}"
        );
        assert!(refused.contains(">=2.0, <3.0"), "{refused}");
    }
}

#[test]
fn an_attribute_is_a_text_unless_a_requirement_is_asked_of_it() {
    for (found, wanted, fits) in [
        ("revB", "revB", true),
        ("revB", "revb", false),
        ("2.0", "2", false),
        ("2.0", "=2", true),
        ("2.4", ">=2, <3", true),
        ("revB", ">=2", false),
        ("", "*", true),
        ("2.4", " >=2", true),
        // No operator begins like these.
        ("!b", "!b", true),
        ("2.4", "!=2", false),
        ("&|", "&|", true),
    ] {
        assert_eq!(attribute_meets(found, wanted), Ok(fits), "{found} {wanted}");
    }
    assert!(attribute_meets("2.4", "==2.4").is_err());
}

/// A text of some of these characters.
fn text_of(
    characters: &'static [u8],
    count: impl Into<proptest::collection::SizeRange>,
) -> impl Strategy<Value = String> {
    let characters = proptest::collection::vec(proptest::sample::select(characters), count);
    characters.prop_map(|characters| characters.into_iter().map(char::from).collect())
}

fn identifier() -> impl Strategy<Value = String> {
    prop_oneof![
        (0..20_u8).prop_map(|number| number.to_string()),
        (text_of(b"ab-", 1), text_of(b"019ab-", 0..3)).prop_map(|(one, more)| one + &more),
    ]
}

fn semantic() -> impl Strategy<Value = String> {
    let pre = proptest::option::of(proptest::collection::vec(identifier(), 1..3));
    let build = proptest::option::of(identifier());
    ((0..3_u64, 0..12_u64, 0..3_u64), pre, build).prop_map(|((a, b, c), pre, build)| {
        let pre = pre
            .map(|pre| format!("-{}", pre.join(".")))
            .unwrap_or_default();
        let build = build.map(|build| format!("+{build}")).unwrap_or_default();
        format!("{a}.{b}.{c}{pre}{build}")
    })
}

fn any_version() -> impl Strategy<Value = String> {
    prop_oneof![
        semantic(),
        semantic().prop_map(|version| format!("v{version}")),
        text_of(b"012.", 1..6),
        text_of(b"019abr._-", 1..5),
    ]
}

fn any_text() -> impl Strategy<Value = String> {
    prop_oneof![
        text_of(b"019abvx._-+=<>^~*!, ", 0..12),
        proptest::collection::vec(proptest::char::any(), 0..12)
            .prop_map(|characters| characters.into_iter().collect()),
    ]
}

proptest! {
    #[test]
    fn the_order_is_that_of_semantic_versioning(one in semantic(), other in semantic()) {
        let read = |text: &str| semver::Version::parse(text).unwrap();
        let expected = read(&one).cmp_precedence(&read(&other));
        let found = Version::parse(&one).partial_cmp(&Version::parse(&other));
        prop_assert_eq!(found, Some(expected));
    }

    #[test]
    fn the_order_is_one(a in any_version(), b in any_version(), c in any_version()) {
        let [a, b, c] = [a, b, c].map(|text| Version::parse(&text));
        prop_assert_eq!(a.partial_cmp(&a), Some(Ordering::Equal));
        prop_assert_eq!(a.partial_cmp(&b), b.partial_cmp(&a).map(Ordering::reverse));
        prop_assert_eq!(a == b, a.partial_cmp(&b) == Some(Ordering::Equal));
        if a <= b && b <= c {
            prop_assert!(a <= c);
        }
    }

    #[test]
    fn bounds_agree_with_each_other(found in any_version(), wanted in semantic()) {
        let is = |operator: &str| meets(&found, &format!("{operator}{wanted}"));
        prop_assert!(!(is(">=") && is("<")));
        prop_assert!(!(is("<=") && is(">")));
        prop_assert_eq!(is("="), is(">=") && is("<="));
        prop_assert_eq!(is(">="), is(">") || is("="));
        prop_assert!(!is("^") || is(">="));
        prop_assert!(!is("~") || is(">="));
        let both = format!(">={wanted}, <={wanted}");
        prop_assert_eq!(meets(&found, &both), is("="));
    }

    #[test]
    fn no_text_is_too_strange(version in any_text(), requirement in any_text()) {
        let _answer = satisfies(&version, &requirement);
        let _answer = attribute_meets(&version, &requirement);
    }
}
