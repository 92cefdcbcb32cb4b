use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::model::error::Code;

fn labels(text: &str) -> Vec<(String, String)> {
    let pairs = text.split_whitespace().map(|pair| pair.split_once('='));
    let owned = |(key, value): (&str, &str)| (key.to_owned(), value.to_owned());
    pairs.map(|pair| owned(pair.unwrap())).collect()
}

fn selects(selector: &str, having: &str) -> bool {
    Selector::parse(selector).unwrap().matches(&labels(having))
}

#[test]
fn each_form_of_a_term_selects_as_kubernetes_users_expect() {
    for (selector, yes, no) in [
        ("site=eu", "site=eu", "site=us"),
        ("site==eu", "site=eu", ""),
        ("site!=eu", "site=us", "site=eu"),
        ("site!=eu", "", "site=eu"),
        ("site", "site=anything", "board=a"),
        ("!broken", "site=eu", "broken=no"),
        ("board in (a,b)", "board=b", "board=c"),
        ("board in (a,b)", "board=a", ""),
        ("board notin (a,b)", "board=c", "board=a"),
        ("board notin (a,b)", "", "board=b"),
        ("note=", "note=", "note=x"),
        (
            "site=eu,board in (a,b),!broken",
            "board=a site=eu",
            "board=a broken=x site=eu",
        ),
        ("site=eu,stage!=test", "site=eu", "site=eu stage=test"),
        (
            " site = eu , board in(a , b) ",
            "board=b site=eu",
            "board=b",
        ),
        ("in in (in,notin)", "in=notin", "in=x"),
        ("site=\"eu\"", "site=eu", "site=\"eu\""),
        ("größe=ü", "größe=ü", "größe=u"),
    ] {
        assert!(selects(selector, yes), "{selector} selects {yes:?}");
        assert!(!selects(selector, no), "{selector} does not select {no:?}");
    }
}

#[test]
fn a_value_in_quotes_holds_what_no_word_holds() {
    let place = vec![(
        "place".to_owned(),
        "Frankfurt (\"Main\\Oder\"), 3".to_owned(),
    )];
    let selector = r#"place="Frankfurt (\"Main\\Oder\"), 3""#;
    let parsed = Selector::parse(selector).unwrap();
    assert!(parsed.matches(&place));
    assert_eq!(parsed.to_string(), selector);
}

/// A text that is no selector, the column in which it ends to be one, and why.
type Wrong = (&'static str, usize, &'static str);

const WRONG: [Wrong; 19] = [
    ("", 1, "the name of a label is expected, and it ends"),
    ("   ", 4, "the name of a label is expected, and it ends"),
    (
        "site=eu,",
        9,
        "the name of a label is expected, and it ends",
    ),
    (
        ",site",
        1,
        "the name of a label is expected, and there is ','",
    ),
    (
        "ü=1,,x",
        5,
        "the name of a label is expected, and there is ','",
    ),
    (
        "site eu",
        6,
        "`=`, `!=`, `in`, `notin`, `,` or the end is expected, and there is 'e'",
    ),
    (
        "site=eu us",
        9,
        "`,` and another term, or the end is expected, and there is 'u'",
    ),
    ("a in b", 6, "`(` is expected, and there is 'b'"),
    ("a in ()", 7, "a value is expected, and there is ')'"),
    ("a in (b", 8, "`,` or `)` is expected, and it ends"),
    ("a in (b c)", 9, "`,` or `)` is expected, and there is 'c'"),
    (
        "a>1",
        2,
        "`,` and another term, or the end is expected, and there is '>'",
    ),
    ("a===b", 4, "a value is expected, and there is '='"),
    ("!", 2, "the name of a label is expected, and it ends"),
    (
        "!!a",
        2,
        "the name of a label is expected, and there is '!'",
    ),
    (
        "!a=b",
        3,
        "`,` and another term, or the end is expected, and there is '='",
    ),
    ("a=\"b", 3, "the quotes are never closed"),
    ("a=\"\n\"", 4, "labels have no control characters"),
    ("\"\"=b", 1, "a label has a name"),
];

#[test]
fn a_text_that_is_no_selector_is_refused_with_its_column() {
    for (text, column, why) in WRONG {
        let refused = Selector::parse(text).unwrap_err();
        let detail = format!("column {column} of the selector: {why}");
        assert_eq!(
            (refused.code, refused.detail),
            (Code::Selector, detail),
            "{text}"
        );
        assert_eq!(refused.field.as_deref(), Some("selector"));
    }
}

#[test]
fn a_selector_is_bounded_in_bytes_terms_and_words() {
    let terms = |count: usize| vec!["a"; count].join(",");
    assert!(Selector::parse(&terms(TERMS_MAX)).is_ok());
    let refused = Selector::parse(&terms(TERMS_MAX + 1)).unwrap_err();
    assert!(refused.detail.contains("at most 32 terms"), "{refused}");
    let word = |bytes: usize| format!("a={}", "b".repeat(bytes));
    assert!(Selector::parse(&word(128)).is_ok());
    let refused = Selector::parse(&word(129)).unwrap_err();
    assert!(refused.detail.contains("column 3"), "{refused}");
    let refused = Selector::parse(&"a".repeat(SELECTOR_BYTES_MAX + 1)).unwrap_err();
    assert!(refused.detail.contains("at most 1024 bytes"), "{refused}");
    // One byte more as it is kept than as it is typed.
    let list = |name: &str| format!("{name} in(b{})", ",bb".repeat(338));
    assert_eq!(list("abcd").len(), SELECTOR_BYTES_MAX);
    assert!(Selector::parse(&list("abc")).is_ok());
    assert!(Selector::parse(&list("abcd")).is_err());
}

#[test]
fn a_selector_is_stored_and_shown_as_its_text() {
    let selector = Selector::parse(" site == eu, board in (a, b)").unwrap();
    let json = serde_json::to_string(&selector).unwrap();
    assert_eq!(json, r#""site=eu,board in (a,b)""#);
    assert_eq!(serde_json::from_str::<Selector>(&json).unwrap(), selector);
    assert!(serde_json::from_str::<Selector>("\"\"").is_err());
}

/// Few names and values, so that terms and labels meet.
fn word() -> impl Strategy<Value = String> {
    let odd: [&str; 11] = [
        "a", "b", "in", "notin", "x y", "\"", "\\", "ü,(", "<", "k=v", "!",
    ];
    proptest::sample::select(odd.map(String::from).to_vec())
}

fn value() -> impl Strategy<Value = String> {
    prop_oneof![4 => word(), 1 => Just(String::new())]
}

fn term() -> impl Strategy<Value = Term> {
    let wants = prop_oneof![
        Just(Wants::Any),
        Just(Wants::Missing),
        value().prop_map(Wants::Is),
        value().prop_map(Wants::IsNot),
        vec(value(), 1..4).prop_map(Wants::In),
        vec(value(), 1..4).prop_map(Wants::NotIn),
    ];
    (word(), wants).prop_map(|(key, wants)| Term { key, wants })
}

proptest! {
    /// The text of a selector is read as that selector, and all of its terms must hold.
    #[test]
    fn a_selector_is_its_text_and_each_of_its_terms(
        terms in vec(term(), 1..6),
        labels in proptest::collection::btree_map(word(), value(), 0..6),
    ) {
        let selector = Selector { terms };
        let read = Selector::parse(&selector.to_string()).unwrap();
        prop_assert_eq!(&read, &selector);
        let having: Vec<_> = labels.into_iter().collect();
        let alone = |term: &Term| Selector { terms: vec![term.clone()] }.matches(&having);
        prop_assert_eq!(selector.matches(&having), selector.terms.iter().all(alone));
    }

    /// A term and its opposite never both hold, and one of them does.
    #[test]
    fn a_term_holds_or_its_opposite_does(
        key in word(),
        values in vec(value(), 1..4),
        labels in proptest::collection::btree_map(word(), value(), 0..6),
    ) {
        let having: Vec<_> = labels.into_iter().collect();
        let holds = |wants: Wants| Term { key: key.clone(), wants }.holds(&having);
        let first = || values[0].clone();
        prop_assert_ne!(holds(Wants::Any), holds(Wants::Missing));
        prop_assert_ne!(holds(Wants::Is(first())), holds(Wants::IsNot(first())));
        prop_assert_ne!(holds(Wants::In(values.clone())), holds(Wants::NotIn(values.clone())));
    }

    /// No text breaks the reader; what it takes, it takes again as it is shown.
    #[test]
    fn whatever_is_read_is_read_again_as_it_is_shown(
        chars in vec(proptest::sample::select("ab ,()=!\"\\inotü\n".chars().collect::<Vec<_>>()), 0..24),
    ) {
        let text: String = chars.into_iter().collect();
        if let Ok(selector) = Selector::parse(&text) {
            prop_assert_eq!(Selector::parse(&selector.to_string()).unwrap(), selector);
        }
    }
}
