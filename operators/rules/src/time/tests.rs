use super::*;

#[test]
fn time_reads_every_form() {
    let base = parse_rfc3339("2026-01-31T10:00:00Z").expect("a time");
    assert_eq!(base, 1_769_853_600_000);
    for (text, after) in [
        ("2026-01-31t10:00:00z", 0),
        ("2026-01-31T10:00:00-00:00", 0),
        ("2026-01-31T12:00:00+02:00", 0),
        ("2026-01-31T04:15:00-05:45", 0),
        ("2026-02-01T00:30:00.5+14:30", 500),
        ("2026-01-31T10:00:00.001Z", 1),
        ("2026-01-31T10:00:00.0019999999999999999999Z", 1),
        ("2026-01-31T10:00:00.99Z", 990),
    ] {
        assert_eq!(parse_rfc3339(text), Some(base + after), "{text}");
    }
    assert_eq!(parse_rfc3339("2016-12-31T23:59:60.5Z"), parse_rfc3339("2016-12-31T23:59:59.999Z"));
    assert_eq!(parse_rfc3339("2017-01-01T01:59:60+02:00"), parse_rfc3339("2016-12-31T23:59:59.999Z"));
}

#[test]
fn time_refuses_what_is_no_time() {
    for text in [
        "",
        "yesterday",
        "2026-01-01",
        "2026-01-01T00:00:00",
        "2026-01-01T00:00Z",
        "2026-01-01T00:00:00.Z",
        "2026-01-01T00:00:00,5Z",
        "2026-01-01T00:00:00+02",
        "2026-01-01T00:00:00+020",
        "2026-02-29T00:00:00Z",
        "2026-13-01T00:00:00Z",
        "2026-00-01T00:00:00Z",
        "2026-01-00T00:00:00Z",
        "2026-01-01T24:00:00Z",
        "2026-01-01T00:60:00Z",
        "2026-01-01T00:00:60Z",
        "2026-01-01T00:00:61Z",
        "2026-01-01T00:00:00+24:00",
        "2026-01-01T00:00:00+00:60",
        "2026-01-01T00:00:00Z ",
        " 2026-01-01T00:00:00Z",
        "20260101T000000Z",
        "+2026-01-01T00:00:00Z",
        "２026-01-01T00:00:00Z",
        "2026-01-01T00:00:00Zé",
        "1899-12-31T23:59:59.999Z",
        "1900-01-01T00:00:00+00:01",
        "2200-01-01T00:00:00Z",
        "2199-12-31T23:59:59-00:01",
    ] {
        assert_eq!(parse_rfc3339(text), None, "{text}");
    }
    assert_eq!(parse_rfc3339("1900-01-01T00:00:00Z"), Some(EARLIEST));
    assert_eq!(parse_rfc3339("2199-12-31T23:59:59.9999Z"), Some(LATEST));
}

#[test]
fn time_agrees_with_a_full_calendar() {
    for day in EARLIEST / DAY..=LATEST / DAY {
        let millis = day * DAY + (day * 7_919).rem_euclid(DAY);
        let theirs = jiff::Timestamp::from_millisecond(millis).expect("in range").to_string();
        assert_eq!(parse_rfc3339(&theirs), Some(millis), "{theirs}");
        let ours = format_time(millis);
        assert_eq!(ours.parse::<jiff::Timestamp>().expect("RFC 3339").as_millisecond(), millis, "{ours}");
        assert_eq!(parse_rfc3339(&ours), Some(millis), "{ours}");
    }
}

#[test]
fn time_reads_json_values() {
    let number = |text: &str| Value::Number(Decimal::parse(text).expect("a number"));
    assert_eq!(parse_time(&number("1767225600000")), Some(1_767_225_600_000));
    assert_eq!(parse_time(&number("1.767225600000e12")), Some(1_767_225_600_000));
    assert_eq!(parse_time(&Value::Text("2026-01-01T00:00:00Z".into())), Some(1_767_225_600_000));
    assert_eq!(parse_time(&number("-1")), Some(-1));
    for value in
        [number("1.5"), number("-2208988800001"), number("1e18"), Value::Text("1767225600000".into()), Value::Null]
    {
        assert_eq!(parse_time(&value), None, "{value:?}");
        let mut bytes = Vec::new();
        value.encode(&mut bytes);
        assert_eq!(ValueRef::read(&bytes).and_then(|(value, _)| parse_time_ref(value)), None);
    }
    assert_eq!(parse_time(&number(&LATEST.to_string())), Some(LATEST));
    assert_eq!(parse_time(&number(&(LATEST + 1).to_string())), None);
}

#[test]
fn time_is_read_in_a_zone_where_it_has_no_offset() {
    let berlin = ZoneId::named("Europe/Berlin").expect("a zone");
    let six = parse_rfc3339("2026-06-10T06:00:00Z");
    for text in ["2026-06-10 08:00:00", "2026-06-10T08:00:00.0009", "2026-06-10t08:00:00+0200", "2026-06-10 06:00:00Z"]
    {
        assert_eq!(parse_time_text(text, berlin), six, "{text}");
    }
    assert_eq!(parse_time_text("2026-06-10", berlin), parse_rfc3339("2026-06-09T22:00:00Z"));
    let date = WrittenTime::of(&Value::Text("2026-06-10".into())).expect("a date");
    assert_eq!(date.last_instant(berlin), parse_rfc3339("2026-06-10T21:59:59.999Z"));
    for text in ["2026-06-10T08:00", "2026-6-10", " 2026-06-10", "2026-02-29", "2026-06-10T", "2026-06-10T08:00:60"] {
        assert_eq!(parse_time_text(text, berlin), None, "{text}");
    }
}

#[test]
fn duration_of_months_reads_and_prints() {
    for (text, months, shown) in [("1mo", 1, "1mo"), ("12mo", 12, "1y"), ("10y", 120, "10y"), ("18y", 216, "18y")] {
        let read = Duration::parse(text, Duration::LIFETIME);
        assert_eq!(read, Some(Duration::Months(months)), "{text}");
        assert_eq!(Duration::Months(months).to_string(), shown);
    }
    for text in ["0mo", "1801mo", "151y", "mo", "y", "-1mo", "54789d"] {
        assert_eq!(Duration::parse(text, Duration::LIFETIME), None, "{text}");
    }
    assert!(Duration::parse("54788d", Duration::LIFETIME).is_some());
    for text in ["121mo", "11y", "3654d"] {
        assert_eq!(Duration::parse(text, Duration::WINDOW), None, "{text}");
    }
    assert_eq!(Duration::parse("3653d", Duration::WINDOW), Some(Duration::Millis(LONGEST)));
}

#[test]
fn time_formats_as_rfc_3339() {
    assert_eq!(format_time(1_769_853_600_001), "2026-01-31T10:00:00.001Z");
    assert_eq!(format_time(0), "1970-01-01T00:00:00Z");
    assert_eq!(format_time(-1), "1969-12-31T23:59:59.999Z");
    assert_eq!(format_time(LATEST), "2199-12-31T23:59:59.999Z");
}

#[test]
fn duration_reads_and_prints_its_units() {
    for (text, millis) in [("1s", 1000), ("90m", 90 * MINUTE), ("24h", DAY), ("30d", 30 * DAY), ("2w", 14 * DAY)] {
        assert_eq!(parse_duration(text), Some(millis), "{text}");
        assert_eq!(parse_duration(&format_duration(millis)), Some(millis), "{text}");
    }
    assert_eq!(format_duration(DAY), "1d");
    assert_eq!(format_duration(90 * MINUTE), "90m");
    assert_eq!(parse_duration("3653d"), Some(LONGEST));
    for text in [
        "",
        "d",
        "0d",
        "-3d",
        "+3d",
        "30",
        "1y",
        "11w3d",
        "1.5d",
        " 1d",
        "1d ",
        "1D",
        "3654d",
        "522w",
        "99999999999999999999999s",
        "1é",
    ] {
        assert_eq!(parse_duration(text), None, "{text}");
    }
}
