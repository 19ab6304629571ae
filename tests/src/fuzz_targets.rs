//! The targets that take any bytes: from the fuzzer, and from a test over its corpus and mutations of it.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, LazyLock};

use audience_auth::{
    Auth, AuthOptions, KeyInput, KeyKind, Knock, Mode, Needs, Permission, Permissions, Principal, Secret, Visitor,
};
use audience_contract::suite::MemoryAccessStore;
use audience_kernel::program::Program;
use audience_rules::catalogue::Catalogue;
use audience_rules::event::{EventDecoder, EventDefaults, MAX_EVENT_BYTES, event_to_json};
use audience_rules::json::parse_json;
use audience_rules::record::{EventRef, RecordKind};
use audience_rules::unparse::node_to_json_with;

/// Bytes as rules: refused with a fault, or read; what is read is written so that it reads the same, and can be compiled.
///
/// # Panics
///
/// If that is not so.
pub fn rules(bytes: &[u8]) {
    let Ok(json) = parse_json(bytes) else { return };
    let catalogue = Catalogue::with_shipped_traits();
    match catalogue.check_rules("fuzzed", &json) {
        Ok(node) => {
            let text = node_to_json_with(&node, &catalogue);
            let written = parse_json(text.as_bytes()).expect("what is written is JSON");
            let again = catalogue.check_rules("fuzzed", &written);
            assert_eq!(again.as_ref(), Ok(&node), "{text}");
            assert_eq!(node_to_json_with(&node, &catalogue), text);
            let program = Program::compile(&node, &catalogue);
            assert!(program == Program::compile(&node, &catalogue), "{text} compiles to two things");
        }
        Err(faults) => {
            assert!(!faults.is_empty(), "refused without a fault");
            for fault in faults {
                assert!(fault.pointer.is_empty() || fault.pointer.starts_with('/'), "{fault:?}");
                assert!(!fault.message.is_empty(), "{fault:?}");
            }
        }
    }
}

/// Bytes as a body of the tracking API of Segment and of PostHog, in every way in which one is read: each is refused with a code,
/// or whole records; an event that was made of valid JSON is valid JSON.
///
/// # Panics
///
/// If that is not so.
pub fn tracking(bytes: &[u8]) {
    let is_json = serde_json::from_slice::<serde_json::Value>(bytes).is_ok();
    for outcome in audience_api::decode_as_everything(bytes) {
        let records = match outcome {
            Err(code) => {
                assert!(!is_json || code != "malformed_json", "what was made of a message is no JSON");
                continue;
            }
            Ok(records) => records,
        };
        let mut rest = records.as_slice();
        while !rest.is_empty() {
            let (event, behind) = EventRef::read(rest).expect("whole records");
            assert!(!event.user().is_empty() && !event.event_type().is_empty());
            rest = behind;
        }
    }
}

/// Bytes as an event: refused, with nothing left behind, or a whole record; which as JSON is the same event.
///
/// # Panics
///
/// If that is not so.
pub fn event(bytes: &[u8]) {
    let defaults = EventDefaults { accepted_at: 1_767_225_600_000 };
    let mut decoder = EventDecoder::new();
    let mut records = b"before".to_vec();
    if let Err(fault) = decoder.decode(bytes, &defaults, &mut records) {
        assert_eq!(records, b"before", "{fault:?} left something behind");
        assert!(!fault.message.is_empty(), "{fault:?}");
        return;
    }
    let record = records.split_off(6);
    let (event, rest) = EventRef::read(&record).expect("a whole record");
    assert!(rest.is_empty() && !event.user().is_empty() && !event.event_type().is_empty());
    assert!(event.kind() != RecordKind::Alias || event.other().is_some());
    let json = event_to_json(&event);
    if json.len() > MAX_EVENT_BYTES {
        return;
    }
    let mut again = Vec::new();
    let decoded = decoder.decode(json.as_bytes(), &defaults, &mut again);
    assert!(decoded.is_ok(), "{decoded:?}: {json}");
    // Members may stand in another order; all that an event says is in its JSON.
    let (again, rest) = EventRef::read(&again).expect("a whole record");
    assert!(rest.is_empty());
    let who = |event: &EventRef<'_>| (event.kind(), event.place(), event.user().to_owned());
    assert_eq!((who(&again), again.other()), (who(&event), event.other()), "{json}");
    assert_eq!(event_to_json(&again), json);
}

/// The clock of the door.
const NOW: i64 = 1_767_225_600_000;

/// A door, with a credential of each kind by the name that stands for it in an input.
struct FuzzedDoor {
    auth: Auth,
    credentials: [(&'static str, String); 5],
}

static DOOR: LazyLock<FuzzedDoor> = LazyLock::new(|| {
    let options = AuthOptions { mode: Mode::Required, ..AuthOptions::default() };
    let auth = Auth::open(Arc::new(MemoryAccessStore::default()), options).expect("an empty store");
    let (email, password) = ("ann@example.org", "four plain words here");
    auth.make_first_admin(email, password, NOW).expect("an admin");
    let visitor = Visitor { address: IpAddr::V4(Ipv4Addr::LOCALHOST), agent: "a fuzzer", now: NOW };
    let (_, cookie) = auth.sign_in(email, password, &visitor).expect("a session");
    let knock = Knock { cookie: Some(cookie.expose()), now: NOW, ..Knock::default() };
    let admin = auth.admit(Needs::SignedIn, &knock).expect("the admin");
    let key = |kind, permissions| {
        let name = format!("{kind:?}");
        let input = KeyInput { name, kind, permissions, addresses: Vec::new(), expires_at: None };
        auth.create_key(&admin, &input, NOW).expect("a key").1
    };
    let write = key(KeyKind::Write, Permissions::default());
    let server = key(KeyKind::Server, Permissions::of(&[Permission::SegmentRead]));
    let tokens = auth.draw_tokens(&admin, &visitor).expect("tokens");
    let text = |secret: &Secret| secret.expose().to_owned();
    let refresh = tokens.refresh.as_ref().map(text).expect("a refresh token");
    let credentials = [
        ("{cookie}", text(&cookie)),
        ("{write}", text(&write)),
        ("{server}", text(&server)),
        ("{token}", tokens.access),
        ("{refresh}", refresh),
    ];
    FuzzedDoor { auth, credentials }
});

/// Bytes as a header `Authorization`, a cookie, a key in a body, and a refresh token, with `{cookie}`, `{write}`, `{server}`,
/// `{token}` and `{refresh}` standing for credentials that were given out. Who is let in has shown one of these whole, in plain
/// or in base64; a refresh token and a session lead nowhere in a header, and a write key alone sends events.
///
/// # Panics
///
/// If that is not so.
pub fn credentials(bytes: &[u8]) {
    let FuzzedDoor { auth, credentials } = &*DOOR;
    let mut text = String::from_utf8_lossy(bytes).into_owned();
    for (name, credential) in credentials {
        text = text.replace(name, credential);
    }
    let knock = Knock { address: Some(IpAddr::V4(Ipv4Addr::LOCALHOST)), now: NOW, ..Knock::default() };
    let segments = Needs::Permission(Permission::SegmentRead);
    for needs in [Needs::SignedIn, Needs::Ingest, Needs::Service, segments] {
        let admits = |knock: Knock<'_>| auth.admit(needs, &knock).is_ok();
        let shown = shown(&text);
        let shows =
            |wanted: &[&str]| credentials.iter().any(|(name, one)| wanted.contains(name) && shown.contains(one));
        let in_header: &[&str] = match needs {
            Needs::Ingest => &["{write}", "{token}"],
            _ => &["{server}", "{token}"],
        };
        assert!(!admits(Knock { authorization: Some(&text), ..knock }) || shows(in_header), "{needs:?}: {text}");
        assert!(!admits(Knock { cookie: Some(&text), ..knock }) || text == credentials[0].1, "{needs:?}: {text}");
        let in_body = needs == Needs::Ingest && text == credentials[1].1;
        assert_eq!(admits(Knock { write_key: Some(&text), ..knock }), in_body, "{needs:?}: {text}");
    }
    let introspected = auth.introspect(&Principal::of_host(), &text, NOW);
    assert!(introspected.is_none() || text == credentials[3].1, "{text}");
    assert!(text == credentials[4].1 || auth.refresh(&text, NOW).is_err(), "{text}");
}

/// A text, and what its words say in base64.
fn shown(text: &str) -> String {
    use base64::Engine as _;
    let decode = |word: &str| base64::engine::general_purpose::STANDARD.decode(word).ok();
    let words = text.split_whitespace().filter_map(decode);
    words.fold(text.to_owned(), |shown, word| shown + "\n" + &String::from_utf8_lossy(&word))
}
