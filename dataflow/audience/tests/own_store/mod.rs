//! The serving stores that a test may empty, halt and damage: each is a real server of the test's own.
#![expect(clippy::unwrap_used, reason = "a test that panics has failed, which is what a test is for")]

use crate::own_aerospike::OwnAerospike;
use crate::own_redis::OwnRedis;

/// A serving store of a test's own; ended when dropped.
pub(crate) trait OwnStore: Sized {
    /// The name of its connector in health, metrics and commands.
    const NAME: &'static str;

    /// Starts it, and waits until it answers.
    fn start() -> Self;
    /// The table of the file of settings that leads to it.
    fn table(&self) -> String;
    /// Loses everything.
    fn empty(&mut self);
    /// Halts it: connections stay, and nothing is answered.
    fn pause(&self);
    /// Lets it go on.
    fn resume(&self);
    /// The number of users with a record.
    fn users(&self) -> usize;
    /// The segments in a user's record.
    fn segments_of(&self, user: &str) -> Vec<String>;
    /// The number of users in the list of a segment.
    fn members(&self, segment: &str) -> usize;
    /// Deletes the record of a user by hand.
    fn delete_user(&self, user: &str);
    /// Deletes the list of a segment by hand.
    fn delete_members(&self, segment: &str);
    /// Enters a user into a segment by hand.
    fn enter(&self, user: &str, segment: &str);
}

impl OwnStore for OwnRedis {
    const NAME: &'static str = "redis";

    fn start() -> Self {
        OwnRedis::start()
    }

    fn table(&self) -> String {
        format!("[redis]\nurl = \"{}\"\n", self.url())
    }

    fn empty(&mut self) {
        OwnRedis::empty(self);
    }

    fn pause(&self) {
        OwnRedis::pause(self);
    }

    fn resume(&self) {
        OwnRedis::resume(self);
    }

    fn users(&self) -> usize {
        OwnRedis::users(self)
    }

    fn segments_of(&self, user: &str) -> Vec<String> {
        OwnRedis::segments_of(self, user)
    }

    fn members(&self, segment: &str) -> usize {
        OwnRedis::members(self, segment)
    }

    fn delete_user(&self, user: &str) {
        self.delete(&format!("audience:user:{user}:segments"));
    }

    fn delete_members(&self, segment: &str) {
        self.delete(&format!("audience:segment:{segment}:members"));
    }

    fn enter(&self, user: &str, segment: &str) {
        OwnRedis::enter(self, user, segment);
    }
}

impl OwnStore for OwnAerospike {
    const NAME: &'static str = "aerospike";

    fn start() -> Self {
        OwnAerospike::start()
    }

    fn table(&self) -> String {
        // Few chunks, so that users share records.
        format!("[aerospike]\nhosts = \"{}\"\nchunks = 16\n", self.hosts())
    }

    fn empty(&mut self) {
        self.restart();
    }

    fn pause(&self) {
        OwnAerospike::pause(self);
    }

    fn resume(&self) {
        OwnAerospike::resume(self);
    }

    fn users(&self) -> usize {
        let held = self.all("user_profiles", "segments", "segments");
        held.iter().filter(|(_, segments)| !OwnAerospike::names(segments).is_empty()).count()
    }

    fn segments_of(&self, user: &str) -> Vec<String> {
        self.bin("user_profiles", "segments", user, "segments").map_or_else(Vec::new, |held| OwnAerospike::names(&held))
    }

    fn members(&self, segment: &str) -> usize {
        let chunks = self.all("segment_ownership", "members", "users");
        let of_segment = chunks.iter().filter(|(key, _)| key.rsplit_once('/').unwrap().0 == segment);
        of_segment.map(|(_, users)| OwnAerospike::names(users).len()).sum()
    }

    fn delete_user(&self, user: &str) {
        self.delete("user_profiles", "segments", user);
    }

    fn delete_members(&self, segment: &str) {
        for (key, _) in self.all("segment_ownership", "members", "users") {
            if key.rsplit_once('/').unwrap().0 == segment {
                self.delete("segment_ownership", "members", &key);
            }
        }
    }

    fn enter(&self, user: &str, segment: &str) {
        OwnAerospike::enter(self, user, segment);
    }
}
