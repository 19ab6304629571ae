//! The running platform over several processes, as threads of this one: started again with another number of them.
#![allow(missing_docs)]

use std::sync::Arc;

use audience_engine::service::Service;
use audience_tests::cluster::Cluster;
use audience_tests::platform::{create_rule, members, send, start_over, stores, wait_until};
use serde_json::json;

const USERS: usize = 300;

/// Users who bought at least so often: user `n` buys `n % 5` times.
fn buyers(times: usize) -> Vec<String> {
    let mut users: Vec<String> = (0..USERS).filter(|user| user % 5 >= times).map(|user| format!("u{user}")).collect();
    users.sort();
    users
}

fn check(service: &Arc<Service>) {
    for times in 1..5 {
        assert_eq!(members(service, &format!("bought-{times}")), buyers(times), "at least {times} times");
        assert_eq!(
            service.platform().segments.segment(&format!("bought-{times}")).expect("it is there").size,
            Some(buyers(times).len() as u64)
        );
    }
    assert!(members(service, "nobody").is_empty());
    for user in 0..USERS {
        let segments = service.platform().users.user_segments(&format!("u{user}")).expect("it is read");
        assert_eq!(segments.len(), user % 5, "u{user}");
    }
}

#[test]
fn any_number_of_processes_goes_on_from_what_another_has_left() {
    let directory = tempfile::tempdir().expect("a directory");
    for (start, processes) in [1, 3, 2, 1].into_iter().enumerate() {
        let cluster = (processes > 1).then(|| Cluster::start(processes).expect("processes start"));
        let service = start_over(stores(directory.path()), 2, cluster.as_ref());
        if start == 0 {
            for times in 1..5 {
                create_rule(
                    &service,
                    &format!("bought-{times}"),
                    &json!({"event": "buy", "operator": "gte", "value": times}),
                );
            }
            create_rule(&service, "nobody", &json!({"event": "buy", "operator": "gte", "value": 5}));
            let event = |user: usize| json!({"userId": format!("u{user}"), "eventType": "buy"});
            send(&service, (0..USERS).flat_map(|user| (0..user % 5).map(move |_| event(user))));
        }
        wait_until("everybody is where they belong", || members(&service, "bought-1").len() == buyers(1).len());
        wait_until("all of it is done", || members(&service, "bought-4").len() == buyers(4).len());
        check(&service);
        // Given out like any other: a user more, who is out again.
        send(&service, [json!({"userId": format!("guest-{start}"), "eventType": "buy"})]);
        wait_until("the guest is in", || members(&service, "bought-1").len() == buyers(1).len() + 1);
        service.platform().users.erase_user(&format!("guest-{start}"), "test").expect("they are erased");
        wait_until("the guest is out", || members(&service, "bought-1").len() == buyers(1).len());
        service.stop();
        drop(service);
        cluster.map_or(Ok(()), Cluster::wait).expect("all processes end well");
    }
}
