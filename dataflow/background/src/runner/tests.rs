use std::sync::mpsc::sync_channel;
use std::time::Duration;

use super::*;

const LONG: Duration = Duration::from_secs(60);

#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct TestFault(&'static str);

#[test]
fn a_job_runs_at_once_and_ends_promptly_within_its_interval() {
    let runner = Runner::default();
    let (sender, passes) = sync_channel(8);
    let job = runner.start(Job::new("job", LONG), move |pass| {
        sender.send(pass.is_last).unwrap();
        Ok::<_, Failure<TestFault>>(Outcome::Idle)
    });
    assert_eq!(passes.recv(), Ok(false));
    let begun = Instant::now();
    runner.stop().request();
    assert!(runner.wait_ended(None) && job.unwrap().is_ended());
    assert!(begun.elapsed() < LONG);
    assert!(passes.recv().is_err(), "no last pass was asked for");
}

#[test]
fn a_last_pass_follows_the_stop() {
    let runner = Runner::default();
    let (sender, passes) = sync_channel(8);
    let job = Job::new("job", LONG).with_last_pass();
    let started = runner.start(job, move |pass| {
        sender.send(pass.is_last).unwrap();
        Ok::<_, Failure<TestFault>>(Outcome::Idle)
    });
    started.unwrap();
    assert_eq!(passes.recv(), Ok(false));
    runner.stop().request();
    assert_eq!(passes.recv(), Ok(true));
    assert!(passes.recv().is_err());
}

#[test]
fn a_failure_is_kept_and_counted_until_a_pass_goes_well() {
    let runner = Runner::default();
    let (sender, passes) = sync_channel(0);
    let (counted, faults) = sync_channel(8);
    let mut left = 2;
    let job = Job::new("job", LONG).on_failure(move |fault| counted.send(fault.to_owned()).unwrap());
    let job = runner.start(job, move |_| {
        sender.send(()).unwrap();
        left -= 1;
        if left >= 0 {
            Err(TestFault("the store is away"))?
        }
        Ok::<_, Failure<TestFault>>(Outcome::Idle)
    });
    let job = job.unwrap();
    passes.recv().unwrap();
    passes.recv().unwrap();
    assert_eq!(job.fault().as_deref(), Some("the store is away"));
    passes.recv().unwrap();
    // The pass has begun that goes well: its end follows.
    while job.fault().is_some() {
        std::thread::yield_now();
    }
    assert_eq!(job.failures(), 2);
    assert_eq!(faults.try_iter().count(), 2);
    runner.stop().request();
    assert!(runner.wait_ended(None));
}

#[test]
fn a_final_failure_ends_the_job_and_stays_its_fault() {
    let runner = Runner::default();
    let job = runner.start(Job::new("job", LONG), |_| Err(Failure::Final(TestFault("another process writes"))));
    let job = job.unwrap();
    assert!(job.wait_ended(None));
    assert_eq!(job.fault().as_deref(), Some("another process writes"));
}

#[test]
fn a_job_that_panics_has_ended_with_a_fault() {
    let runner = Runner::default();
    let job = runner.start_task("job", |_| -> Result<(), TestFault> { panic!("on purpose") }).unwrap();
    assert!(runner.wait_ended(None));
    assert!(job.fault().is_some_and(|fault| fault.contains("died")));
}

#[test]
fn a_busy_job_runs_again_at_once_and_a_woken_one_before_its_interval() {
    let runner = Runner::default();
    let (sender, passes) = sync_channel(8);
    let mut pass = 0;
    let job = runner.start(Job::new("job", LONG), move |_| {
        pass += 1;
        sender.send(pass).unwrap();
        Ok::<_, Failure<TestFault>>(if pass == 1 { Outcome::Busy } else { Outcome::Idle })
    });
    assert_eq!((passes.recv(), passes.recv()), (Ok(1), Ok(2)));
    job.unwrap().wake();
    assert_eq!(passes.recv(), Ok(3));
    runner.stop().request();
}

#[test]
fn a_wait_for_the_end_has_a_deadline() {
    let runner = Runner::default();
    let (open, closed) = sync_channel::<()>(0);
    let task = runner.start_task("task", move |_| closed.recv().map_err(|_| TestFault("closed")));
    assert!(!runner.wait_ended(Some(Instant::now() + Duration::from_millis(1))));
    drop(open);
    assert!(runner.wait_ended(None));
    assert_eq!(task.unwrap().fault().as_deref(), Some("closed"));
}

#[test]
fn a_delayed_job_waits_for_an_interval_first() {
    let runner = Runner::default();
    let (sender, passes) = sync_channel::<()>(8);
    let job = runner.start(Job::new("job", LONG).delayed(), move |_| {
        sender.send(()).unwrap();
        Ok::<_, Failure<TestFault>>(Outcome::Idle)
    });
    runner.stop().request();
    assert!(job.unwrap().wait_ended(None));
    assert!(passes.recv().is_err());
}
