use super::*;

fn number(text: &str) -> Value {
    Value::Number(Decimal::parse(text).expect("a number"))
}

fn parse(text: &str) -> Value {
    parse_json(text.as_bytes()).unwrap_or_else(|fault| panic!("{text}: {fault}"))
}

#[test]
fn json_reads_every_kind_of_value() {
    let value = parse(r#" {"b": [1.50, null, true, false, "é\u0000\ud83d\ude00"], "a": {}, "b2": -0.0e5} "#);
    let items = vec![number("1.5"), Value::Null, Value::Bool(true), Value::Bool(false), Value::Text("é\0😀".into())];
    let members =
        vec![("a".into(), Value::Object(vec![])), ("b".into(), Value::Array(items)), ("b2".into(), number("0"))];
    assert_eq!(value, Value::Object(members));
    assert_eq!(parse(r#"{"a": 1, "b": 2, "a": 3}"#).get("a"), Some(&number("3")));
}

#[test]
fn json_numbers_keep_every_digit() {
    assert_eq!(parse("0.12345678905"), number("0.123456789"));
    assert_eq!(parse("9007199254740993.000000001"), number("9007199254740993.000000001"));
    assert_eq!(parse("1e18"), number("1000000000000000000"));
    for text in ["1e19", "-1e400", &"9".repeat(400), &"9".repeat(5000)] {
        assert_eq!(parse(text), Value::Null, "{text}");
    }
    let long = format!("[-1{}.25e-5000, 7]", "0".repeat(5000));
    assert_eq!(parse(&long), Value::Array(vec![number("-1"), number("7")]));
}

#[test]
fn json_reads_whole_numbers_as_it_reads_others() {
    for (text, whole) in [("0", Some(0)), ("120", Some(120)), ("999999999999999999", Some(999_999_999_999_999_999))] {
        let mut reader = JsonReader::of_text(text, Buffers::default());
        assert_eq!(reader.whole_number().map(|(number, _)| number), whole, "{text}");
        assert_eq!((reader.offset(), parse(text)), (text.len(), number(text)), "{text}");
    }
    for text in ["1000000000000000000", "1.5", "1e3", "-1", "01", "", "x"] {
        let mut reader = JsonReader::of_text(text, Buffers::default());
        assert_eq!((reader.whole_number(), reader.offset()), (None, 0), "{text}");
    }
}

#[test]
fn json_refuses_what_is_not_json() {
    let long = format!("{}.", "9".repeat(5000));
    for text in [
        "",
        " ",
        "nul",
        "NaN",
        "Infinity",
        "-Infinity",
        "-",
        "01",
        "1.",
        ".5",
        "+1",
        "1e",
        "0x1",
        "1 2",
        "{} x",
        "[1,]",
        "[1",
        "{",
        r#"{"a"}"#,
        r#"{"a":1,}"#,
        "{a:1}",
        "'a'",
        "\"a",
        "\"\n\"",
        "\"\0\"",
        r#""\x""#,
        r#""\ud800""#,
        r#""\ud800\u0041""#,
        r#""\udc00""#,
        "[1}",
        "\u{feff}1",
        "tru",
        "truex",
        &long,
    ] {
        let fault = parse_json(text.as_bytes()).expect_err(text);
        assert_eq!(fault.code, "malformed_json", "{text}");
        assert!(fault.offset <= text.len(), "{text}");
    }
    for bytes in [&b"\"\xff\""[..], b"{\"\xc3\":1}", b"\"\xed\xa0\x80\"", b"\xff"] {
        assert_eq!(parse_json(bytes).expect_err("not UTF-8").code, "malformed_json");
    }
}

#[test]
fn json_nesting_is_bounded() {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert!(parse_json(nested(MAX_DEPTH).as_bytes()).is_ok());
    for text in [nested(MAX_DEPTH + 1), nested(10_000), "{\"a\":".repeat(10_000), "[".repeat(1_000_000)] {
        assert_eq!(parse_json(text.as_bytes()).expect_err("too deep").code, "too_deep");
    }
}

#[test]
fn json_gives_members_as_text() {
    let text = br#" { "a" : 1.0 , "b":{"c": [1e400]} } "#;
    let members = members_of(text).expect("an object");
    let expected: [(String, &[u8]); 2] = [("a".into(), b"1.0"), ("b".into(), br#"{"c": [1e400]}"#)];
    assert_eq!(members, expected);
    assert!(members_of(b"[1]").is_err());
    assert!(members_of(b"{} 1").is_err());
    assert!(members_of(b"{\"a\": \"\xff\"}").is_err());
}

#[test]
fn json_finds_the_end_of_plain_bytes_at_every_place() {
    for length in 0..40 {
        let mut bytes = "é€aZ~\u{7f}\u{20ac}#![]".repeat(4).into_bytes()[..length].to_vec();
        assert_eq!(plain_length(&bytes), length);
        for at in 0..length {
            for byte in [b'"', b'\\', 0, 0x1f] {
                let old = std::mem::replace(&mut bytes[at], byte);
                assert_eq!(plain_length(&bytes), at);
                bytes[at] = old;
            }
        }
    }
}

/// Takes what `serde_json` takes as a value, and nothing that it does not even skip.
#[test]
fn json_agrees_with_another_reader_on_torn_texts() {
    let seed = r#" {"a": [1.50, -0e+5, null, true, false, "x\u00e9\\\"\ud83d\ude00é"], "": {"b":[]}, "a": 12} "#;
    let alphabet = b"\"\\{}[]:,0019.eE+- \n\0\xc3\xa9tfnu";
    let mut state = 1u64;
    let mut random = move |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    for _ in 0..200_000 {
        let mut bytes = seed.as_bytes().to_vec();
        for _ in 0..=random(2) {
            let at = random(bytes.len());
            match random(3) {
                0 => bytes[at] = alphabet[random(alphabet.len())],
                1 => bytes.insert(at, alphabet[random(alphabet.len())]),
                _ => drop(bytes.remove(at)),
            }
        }
        let (ours, text) = (parse_json(&bytes), String::from_utf8_lossy(&bytes).into_owned());
        if serde_json::from_slice::<serde_json::Value>(&bytes).is_ok() {
            assert!(ours.is_ok(), "{text}");
        }
        if ours.is_ok() {
            assert!(serde_json::from_slice::<serde::de::IgnoredAny>(&bytes).is_ok(), "{text}");
            let texts_are_valid = std::str::from_utf8(&bytes).is_ok();
            assert!(texts_are_valid, "{text}");
        }
    }
}
