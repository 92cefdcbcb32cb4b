use super::*;

#[test]
fn codes_are_unique_and_each_says_what_it_means_and_what_to_do() {
    for (index, code) in Code::ALL.iter().enumerate() {
        assert!(code.as_str().starts_with("E_"));
        for text in [code.title(), code.hint()] {
            assert!(!text.is_empty() && !text.ends_with('.'), "{code}: {text}");
        }
        assert!(code.meaning().ends_with('.'), "{code}");
        assert_eq!(Code::parse(code.as_str()), Some(*code));
        assert_eq!(*code as usize, index);
    }
    assert_eq!(Code::parse("E_NOTHING"), None);
}

#[test]
fn a_stored_code_keeps_its_number() {
    for (code, number) in [
        (Code::Command, 0_u8),
        (Code::GroupFull, 19),
        (Code::NotFailed, 35),
        (Code::Round, 36),
        (Code::Exposed, 102),
    ] {
        let mut buffer = [0; 4];
        let bytes = postcard::to_slice(&code, &mut buffer).unwrap();
        assert_eq!(bytes, &[number], "{code}");
    }
}
