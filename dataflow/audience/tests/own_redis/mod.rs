//! A Redis of a test's own, which can be emptied and halted without disturbing others.
#![expect(clippy::unwrap_used, reason = "a test that panics has failed, which is what a test is for")]
#![allow(dead_code, reason = "every test file uses its own part")]

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};

use audience_tests::serve::pause;
use redis::{Client, Commands, Connection};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// A server on a free port of the loopback; killed when dropped.
pub(crate) struct OwnRedis {
    child: Child,
    port: u16,
    _directory: TempDir,
}

impl OwnRedis {
    /// Starts it, and waits until it answers.
    pub(crate) fn start() -> OwnRedis {
        let directory = tempfile::tempdir().unwrap();
        let port = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
        let mut command = Command::new("redis-server");
        command.args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir"]);
        let child = command.arg(directory.path()).stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();
        let redis = OwnRedis { child, port, _directory: directory };
        for _ in 0..500 {
            if Client::open(redis.url()).unwrap().get_connection().is_ok() {
                return redis;
            }
            pause(10);
        }
        panic!("Redis does not start");
    }

    /// Its address.
    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/0", self.port)
    }

    fn connect(&self) -> Connection {
        Client::open(self.url()).unwrap().get_connection().unwrap()
    }

    /// Loses everything.
    pub(crate) fn empty(&self) {
        redis::cmd("FLUSHALL").exec(&mut self.connect()).unwrap();
    }

    /// Halts it: connections stay, and nothing is answered.
    pub(crate) fn pause(&self) {
        kill_process(Pid::from_child(&self.child), Signal::STOP).unwrap();
    }

    /// Lets it go on.
    pub(crate) fn resume(&self) {
        kill_process(Pid::from_child(&self.child), Signal::CONT).unwrap();
    }

    /// The number of users with a record.
    pub(crate) fn users(&self) -> usize {
        let keys: Vec<String> = self.connect().keys("audience:user:*:segments").unwrap();
        keys.len()
    }

    /// The segments in a user's record.
    pub(crate) fn segments_of(&self, user: &str) -> Vec<String> {
        self.connect().hkeys(format!("audience:user:{user}:segments")).unwrap()
    }

    /// The number of users in the list of a segment.
    pub(crate) fn members(&self, segment: &str) -> usize {
        self.connect().scard(format!("audience:segment:{segment}:members")).unwrap()
    }

    /// Deletes a key by hand.
    pub(crate) fn delete(&self, key: &str) {
        let deleted: usize = self.connect().del(key).unwrap();
        assert_eq!(deleted, 1, "{key}");
    }

    /// Enters a user by hand.
    pub(crate) fn enter(&self, user: &str, segment: &str) {
        let _: usize = self.connect().hset(format!("audience:user:{user}:segments"), segment, 7).unwrap();
    }
}

impl Drop for OwnRedis {
    fn drop(&mut self) {
        // One that is halted hears it only now.
        let _ = kill_process(Pid::from_child(&self.child), Signal::CONT);
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
