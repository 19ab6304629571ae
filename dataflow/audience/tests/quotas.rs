//! Quotas of running processes that share a Redis: exactly the quota passes, and without Redis nobody is refused for it.
#![expect(clippy::unwrap_used, reason = "a test that panics has failed, which is what a test is for")]

mod own_redis;

use std::path::Path;

use audience_tests::client::{Answer, Client};
use audience_tests::program;
use audience_tests::serve::{Served, Setup};
use own_redis::OwnRedis;

const PROCESSES: usize = 3;
const QUOTA: usize = 1_000;

/// Engines with one Redis, each a writer of its own.
fn start(redis: &OwnRedis, directory: &Path) -> Vec<Served> {
    let one = |number: usize| {
        let place = directory.join(number.to_string());
        std::fs::create_dir(&place).unwrap();
        let file = place.join("audience.toml");
        std::fs::write(&file, format!("[redis]\nurl = \"{}\"\nwriter = \"w{number}\"\n", redis.url())).unwrap();
        let flags = ["--config", file.to_str().unwrap(), "--requests-per-minute", &QUOTA.to_string()].map(String::from);
        Setup { flags: flags.to_vec(), workers: 1, ..Setup::within(program!(), &place) }.start()
    };
    (0..PROCESSES).map(one).collect()
}

fn ask(client: Client) -> Answer {
    client.get("/api/segments").unwrap()
}

/// The rest that an answer tells.
fn left(answer: &Answer) -> usize {
    let text = answer.header("ratelimit").unwrap();
    let rest = text.strip_prefix("\"tenant\";r=").and_then(|rest| rest.split_once(';'));
    rest.unwrap_or_else(|| panic!("{text}")).0.parse().unwrap()
}

#[test]
fn three_processes_let_exactly_the_quota_pass_and_go_on_without_redis() {
    let (redis, directory) = (OwnRedis::start(), tempfile::tempdir().unwrap());
    let processes = start(&redis, directory.path());
    let clients: Vec<Client> = processes.iter().map(Served::client).collect();
    let ask_many = |client: Client| (0..100).map(|_| ask(client)).collect::<Vec<_>>();
    let answers: Vec<Answer> = std::thread::scope(|scope| {
        let threads: Vec<_> =
            clients.iter().cycle().take(30).map(|client| scope.spawn(move || ask_many(*client))).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    let (passed, refused): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == 200);
    assert_eq!((answers.len(), passed.len()), (3_000, QUOTA));
    let mut rests: Vec<usize> = passed.iter().map(|answer| left(answer)).collect();
    rests.sort_unstable();
    assert_eq!(rests, (0..QUOTA).collect::<Vec<_>>(), "each that passed left one less");
    for answer in refused {
        assert_eq!((answer.status, answer.code().as_str(), left(answer)), (429, "quota_exceeded", 0));
        assert_eq!(answer.header("ratelimit-policy"), Some("\"tenant\";q=1000;w=60"));
        let seconds: u64 = answer.header("retry-after").unwrap().parse().unwrap();
        assert!((1..=65).contains(&seconds), "{seconds}");
        let problem = answer.json();
        assert_eq!(problem["violated-policies"][0], "tenant");
        assert_eq!(problem["type"], "https://iana.org/assignments/http-problem-types#quota-exceeded");
    }
    assert_eq!(clients[0].get("/metrics").unwrap().status, 200, "figures are not counted");
    let event = clients[0].post("/api/events", r#"{"userId":"u","eventType":"x"}"#).unwrap();
    assert_eq!((event.status, event.header("ratelimit")), (202, None), "events are not counted");

    redis.pause();
    let answers: Vec<u16> = (0..50).map(|_| ask(clients[0]).status).collect();
    redis.resume();
    assert_eq!(answers, [200; 50], "each process counts for itself");
    let figures = clients[0].get("/metrics").unwrap().text();
    let errors = figures.lines().find_map(|line| line.strip_prefix("audience_quota_store_errors_total "));
    assert!(errors.is_some_and(|errors| errors != "0"), "{errors:?}");
    processes.into_iter().for_each(Served::stop);
}

#[test]
fn where_callers_sign_in_an_address_has_a_quota_by_itself() {
    let directory = tempfile::tempdir().unwrap();
    let flags = ["--auth", "required", "--address-requests-per-minute", "20"].map(String::from).to_vec();
    let served = Setup { flags, ..Setup::within(program!(), directory.path()) }.start();
    let statuses: Vec<u16> = (0..30).map(|_| ask(served.client()).status).collect();
    assert_eq!(statuses, [[401; 20].as_slice(), &[429; 10]].concat(), "before anybody is known");
    assert_eq!(served.client().get("/health/live").unwrap().status, 200);
    served.stop();
}
