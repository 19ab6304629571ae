//! Data directories of earlier programs: this program starts on each, everybody is in the segments that they were in, and
//! events and edits go on from there.
#![expect(clippy::unwrap_used, reason = "a test that panics has failed, which is what a test is for")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use audience_tests::client::Client;
use audience_tests::program;
use audience_tests::serve::{Served, Setup, pause};
use serde_json::{Value, json};

type MembersBySegment = BTreeMap<String, BTreeSet<String>>;

/// The packed data directories of earlier programs.
fn earlier() -> Vec<PathBuf> {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden");
    let files = fs::read_dir(golden).unwrap().map(|entry| entry.unwrap().path());
    let packed: Vec<PathBuf> = files.filter(|path| path.extension().is_some_and(|end| end == "tgz")).collect();
    assert!(!packed.is_empty());
    packed
}

fn members(client: Client, segment: &str) -> BTreeSet<String> {
    let answer = client.get(&format!("/api/segments/{segment}/members?limit=1000")).unwrap();
    assert_eq!(answer.status, 200, "{segment}: {}", answer.text());
    let id = |member: &Value| member["userId"].as_str().or(member.as_str()).unwrap().to_owned();
    answer.json()["items"].as_array().unwrap().iter().map(id).collect()
}

fn all(served: &Served, expected: &MembersBySegment) -> MembersBySegment {
    expected.keys().map(|segment| (segment.clone(), members(served.client(), segment))).collect()
}

fn wait_until(served: &Served, segment: &str, expected: &BTreeSet<String>) {
    for _ in 0..1_200 {
        if members(served.client(), segment) == *expected {
            return;
        }
        pause(50);
    }
    panic!("{segment} is {:?}, not {expected:?}", members(served.client(), segment));
}

#[test]
fn a_data_directory_of_an_earlier_program_goes_on() {
    for packed in earlier() {
        let expected: MembersBySegment =
            serde_json::from_slice(&fs::read(packed.with_extension("json")).unwrap()).unwrap();
        let directory = tempfile::tempdir().unwrap();
        let unpacked = Command::new("tar").arg("-xzf").arg(&packed).arg("-C").arg(directory.path()).status().unwrap();
        assert!(unpacked.success(), "{}", packed.display());
        fs::rename(directory.path().join("d"), directory.path().join("data")).unwrap();
        let setup = Setup::within(program!(), directory.path());

        let served = setup.start();
        assert_eq!(all(&served, &expected), expected, "{}", packed.display());
        served.kill();
        let served = setup.start();
        assert_eq!(all(&served, &expected), expected, "after a kill, {}", packed.display());

        // An event that was there before counts once; a new one, and an edit over all history, count.
        let again = json!([
            {"messageId": "k0", "userId": "u55", "eventType": "purchase", "timestamp": "2023-11-25T00:00:00Z"},
            {"messageId": "new", "userId": "newcomer", "eventType": "page_view", "timestamp": "2023-11-25T00:00:00Z"},
        ]);
        assert_eq!(served.client().post("/api/events", &again.to_string()).unwrap().status, 202);
        let mut never = expected["never"].clone();
        never.insert("newcomer".to_owned());
        wait_until(&served, "never", &never);
        let edit = json!({"name": "path", "rules": {"event": "page_view", "operator": "eq", "value": 0}});
        let edited = served.client().put("/api/segments/path", &edit.to_string()).unwrap();
        assert_eq!(edited.status, 200, "{}", edited.text());
        let kept: MembersBySegment =
            expected.clone().into_iter().filter(|(id, _)| id != "path" && id != "never").collect();
        assert_eq!(all(&served, &kept), kept, "{}", packed.display());
        served.kill();
    }
}
