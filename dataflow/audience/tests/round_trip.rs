//! Random definitions go through `audience apply` and `audience export` unchanged: what is exported changes nothing where it
//! came from, and makes an empty server equal. `AUDIENCE_ROUND_TRIPS` says how many catalogues, and `AUDIENCE_SEED` the first.
#![expect(clippy::unwrap_used, reason = "a test that panics has failed, which is what a test is for")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use audience_rules::catalogue::{Catalogue, Definition, SegmentStatus};
use audience_rules::timeline::{OracleSubject, parse_timeline};
use audience_rules::unparse::{behaviour_to_json, node_to_json_with};
use audience_tests::check::step;
use audience_tests::program;
use audience_tests::random::Random;
use audience_tests::serve::{Served, Setup};
use serde_json::{Value, json};

/// Random catalogues, where the environment asks for no other number.
const CASES: u64 = 2;

/// A number that the environment may set.
fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().map_or(default, |text| text.parse().unwrap())
}

/// Runs a command on a server, and gives what it says; its exit status is 0.
fn run(served: &Served, words: &[&str], seed: u64) -> String {
    let server = format!("http://{}", served.address);
    let output = Command::new(program!()).args(words).args(["--server", &server]).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "seed {seed}: {text}{}", String::from_utf8_lossy(&output.stderr));
    text
}

/// The files of a random catalogue by their paths.
fn random_files(seed: u64) -> BTreeMap<String, Value> {
    let mut random = Random::new(seed);
    let mut oracle = OracleSubject::default();
    for line in audience_tests::generate::case(seed).lines {
        for (_, line) in parse_timeline(&line.to_string()).unwrap_or_default() {
            // One that is refused changes nothing.
            let _ = step(&mut oracle, &line);
        }
    }
    let catalogue = &oracle.world.catalogue;
    let mut files = BTreeMap::new();
    for computed in catalogue.traits.values() {
        let text = behaviour_to_json(&computed.name, &computed.behaviour);
        files.insert(format!("traits/{}.json", computed.name), serde_json::from_str(&text).unwrap());
    }
    for id in catalogue.segments.keys() {
        files.insert(format!("segments/{id}.json"), segment(&mut random, catalogue, id));
    }
    let odd = json!({"id": "Ünï/co de.", "name": "\"\\\n{}", "type": "STATIC", "tags": ["b", "a"], "owner": "é"});
    files.insert("segments/odd.json".to_owned(), odd);
    files.insert("settings.json".to_owned(), json!({"timezone": random.word(&["UTC", "Asia/Kolkata"])}));
    mails(&mut random, seed, &mut files);
    files
}

fn segment(random: &mut Random, catalogue: &Catalogue, id: &str) -> Value {
    let known = &catalogue.segments[id];
    let mut file = json!({"id": id, "name": format!("{id} {}", random.word(&["x", "\u{1f388}", " "]))});
    match &known.definition {
        Definition::Dynamic(node) => {
            file["rules"] = serde_json::from_str(&node_to_json_with(node, catalogue)).unwrap();
        }
        Definition::Static(_) => file["type"] = json!("STATIC"),
    }
    match known.status {
        SegmentStatus::Active => {}
        SegmentStatus::Draft => file["status"] = json!("DRAFT"),
        SegmentStatus::Inactive | SegmentStatus::Archived => file["status"] = json!("INACTIVE"),
    }
    if random.percent(30) {
        file["description"] = json!("line\nline");
        file["tags"] = json!(["one", "two"]);
    }
    file
}

/// Contents and campaigns, under ids that no other catalogue has: an archived content stays so.
fn mails(random: &mut Random, seed: u64, files: &mut BTreeMap<String, Value>) {
    let duties = "<p>{{ user.name | default: 'you' }}</p>{{ postal_address }} {{ unsubscribe_url }}";
    for content in 0..random.between(1, 3) {
        let id = format!("content-{seed}-{content}");
        let mut file = json!({"id": id, "name": "C", "subject": "S\u{e9}", "body": duties, "purpose": "marketing"});
        if random.percent(50) {
            file["status"] = json!("approved");
        }
        if random.percent(50) {
            file["purpose"] = json!("transactional");
            file["preheader"] = json!("first");
        }
        files.insert(format!("contents/{id}.json"), file);
        let campaign = format!("campaign-{seed}-{content}");
        let mut file = json!({"id": campaign, "name": "K", "segmentId": "Ünï/co de.", "contentId": id});
        if random.percent(50) {
            file["frequency"] = json!("0 9 * * MON");
            file["timezone"] = json!("Europe/Berlin");
            file["caps"] = json!([{"most": 1, "per": "hours", "hours": 12}]);
        }
        if random.percent(50) {
            file["quietHours"] = json!({"from": "21:00", "to": "08:00"});
            file["holdOut"] = json!(0.125);
            file["excludeSegmentIds"] = json!(["Ünï/co de."]);
        }
        files.insert(format!("campaigns/{campaign}.json"), file);
    }
}

fn write(directory: &Path, files: &BTreeMap<String, Value>) {
    for (name, file) in files {
        let path = directory.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, file.to_string()).unwrap();
    }
}

/// The files of a directory by their paths.
fn texts(directory: &Path) -> BTreeMap<PathBuf, String> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            let name = PathBuf::from(path.file_name().unwrap());
            found.extend(texts(&path).into_iter().map(|(below, text)| (name.join(below), text)));
        } else {
            found.insert(PathBuf::from(path.file_name().unwrap()), fs::read_to_string(&path).unwrap());
        }
    }
    found
}

/// Each file says in the export what it was written with; more files are shipped traits alone.
fn check_same(seed: u64, written: &BTreeMap<String, Value>, exported: &BTreeMap<PathBuf, String>) {
    let read = |text: &String| serde_json::from_str::<Value>(text).unwrap();
    let id = |file: &Value| file.get("id").or(file.get("name")).cloned();
    let by_id: BTreeMap<String, Value> = exported
        .iter()
        .map(|(path, text)| (format!("{}{:?}", path.parent().unwrap().display(), id(&read(text))), read(text)))
        .collect();
    for (name, file) in written {
        let folder = Path::new(name).parent().unwrap().display().to_string();
        let found =
            by_id.get(&format!("{folder}{:?}", id(file))).unwrap_or_else(|| panic!("seed {seed}: {name} is gone"));
        for (key, value) in file.as_object().unwrap() {
            let is_sorted = key == "tags";
            let same = if is_sorted {
                found[key].as_array().map(Vec::len) == value.as_array().map(Vec::len)
            } else {
                found[key] == *value
            };
            assert!(same, "seed {seed}: {name}: {key}: {value} became {}", found[key]);
        }
    }
    let shipped = Catalogue::with_shipped_traits().traits.len();
    assert!(exported.len() <= written.len() + shipped, "seed {seed}: {:?}", exported.keys());
}

#[test]
fn what_is_exported_changes_nothing_and_makes_an_empty_server_equal() {
    let place = tempfile::tempdir().unwrap();
    let server = |name: &str| {
        let directory = place.path().join(name);
        fs::create_dir(&directory).unwrap();
        Setup::within(program!(), &directory).start()
    };
    let (one, other) = (server("one"), server("other"));
    let first = number("AUDIENCE_SEED", 1);
    for seed in first..first + number("AUDIENCE_ROUND_TRIPS", CASES) {
        let directory = |name: &str| {
            let path = place.path().join(format!("{seed}-{name}"));
            fs::create_dir(&path).unwrap();
            path
        };
        let (wanted, from_one, from_other, empty) =
            (directory("wanted"), directory("one"), directory("other"), directory("empty"));
        let at = |path: &PathBuf| path.to_str().unwrap().to_owned();
        let files = random_files(seed);
        write(&wanted, &files);
        run(&one, &["apply", &at(&wanted)], seed);
        assert_eq!(run(&one, &["apply", &at(&wanted), "--prune"], seed), "nothing to do\n", "seed {seed}");
        run(&one, &["export", &at(&from_one)], seed);
        check_same(seed, &files, &texts(&from_one));
        assert_eq!(run(&one, &["apply", &at(&from_one), "--prune"], seed), "nothing to do\n", "seed {seed}");
        run(&other, &["apply", &at(&from_one)], seed);
        run(&other, &["export", &at(&from_other)], seed);
        assert_eq!(texts(&from_one), texts(&from_other), "seed {seed}");
        for server in [&one, &other] {
            run(server, &["apply", &at(&empty), "--prune"], seed);
        }
    }
    one.stop();
    other.stop();
}
