//! A platform of which everything can be lost: each server stands after a proxy, the data directory on a small disk, and the
//! program has a slow disk and another clock where that is asked for. Whatever ends it, it is started again.
#![expect(clippy::unwrap_used, reason = "a test that panics has failed, which is what a test is for")]

mod shim;

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use audience_contract::suite::SmallDisk;
use audience_tests::client::Client;
use audience_tests::program;
use audience_tests::proxy::Proxy;
use audience_tests::serve::{Served, Setup, pause, wall_clock};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rustix::process::{Signal, kill_process};
use serde_json::{Value, json};

use crate::between::{PARTITIONS, metric};
use crate::database::TestDatabase;
use crate::topics::{client, variable};
use shim::PreloadedShim;

/// Bytes of the small disk, and those that a full one has left: less than the program keeps in reserve.
const DISK: &str = "size=1g";
const LEFT: u64 = 64 << 20;
/// Milliseconds that a piece takes on a slow network, a sync on a slow disk, and by which a clock jumps.
const SLOW_PIECE: u64 = 100;
const SLOW_SYNC: i64 = 200;
const JUMP: i64 = 3_600_000;

/// Something that is lost for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlatformLoss {
    Kill,
    Stop,
    Cut,
    SlowNetwork,
    FullDisk,
    SlowDisk,
    ClockJump,
    StoreAway,
    Primary,
}

/// The platform, and the files, servers and proxies that it needs.
pub(crate) struct ChaosPlatform {
    pub setup: Setup,
    pub served: Served,
    /// Its present address: each start has ports of its own.
    pub address: Arc<Mutex<Client>>,
    pub prefix: String,
    kafka: Proxy,
    redis: Proxy,
    store: Proxy,
    shim: Result<PreloadedShim, String>,
    probes: BaseProducer,
    /// The events by which it was seen that events are served.
    pub probed: Vec<Value>,
    first_probe: u64,
    disk: Option<SmallDisk>,
    /// The process that takes over from this one, where it has one.
    standby: Option<(Setup, Served)>,
    _database: TestDatabase,
    directory: tempfile::TempDir,
}

/// The address in a URL of the loopback.
fn address_in(url: &str) -> String {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split('/').next().unwrap_or_default().to_owned()
}

/// The flags of both of a pair.
fn lease_flags(directory: &Path) -> [String; 2] {
    [format!("--lease=file://{}", directory.join("lease").display()), "--standby-answers".to_owned()]
}

impl ChaosPlatform {
    /// Starts it to lose that; its probes are of users from that number on.
    pub(crate) fn start(first_probe: u64, loss: PlatformLoss) -> ChaosPlatform {
        let (directory, database) = (tempfile::tempdir().unwrap(), TestDatabase::create());
        let prefix = format!("chaos-{}.", wall_clock());
        let kafka = Proxy::begin_as_broker(&variable("AUDIENCE_TEST_KAFKA"));
        let redis = Proxy::begin(&address_in(&variable("AUDIENCE_TEST_REDIS")));
        let store = Proxy::begin(&address_in(&variable("AUDIENCE_TEST_S3")));
        let config = directory.path().join("audience.toml");
        let text = format!(
            "postgres = \"{}\"\n[kafka]\nbrokers = \"{}\"\npartitions = {PARTITIONS}\ntopic_prefix = \"{prefix}\"\n\
             [redis]\nurl = \"redis://{}/0\"\nprefix = \"{prefix}\"\n",
            database.url, kafka.address, redis.address
        );
        let history = format!("[checkpoints]\nurl = \"s3://audience-test/{prefix}\"\n[history]\nseconds = 1\n");
        // A standby has no checkpoints outside of its data directory.
        fs::write(directory.path().join("standby.toml"), &text).unwrap();
        fs::write(&config, text + &history).unwrap();
        let mounted = directory.path().join("disk");
        fs::create_dir(&mounted).unwrap();
        let disk = SmallDisk::mount(&mounted, DISK);
        let shim = PreloadedShim::build(directory.path());
        let mut variables = vec![("AWS_ENDPOINT_URL".to_owned(), format!("http://{}", store.address))];
        variables
            .extend(["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"].map(|name| (name.to_owned(), "chaos".to_owned())));
        variables.extend(shim.iter().flat_map(PreloadedShim::variables));
        let mut flags = vec!["--config".to_owned(), config.display().to_string()];
        if loss == PlatformLoss::Primary {
            flags.extend(lease_flags(directory.path()));
        }
        let setup = Setup { flags, variables, ..Setup::within(program!(), directory.path()) };
        let setup = Setup { data: mounted.join("data"), ..setup };
        let served = setup.start();
        let address = Arc::new(Mutex::new(served.client()));
        let (probes, probed) = (client().create().unwrap(), Vec::new());
        let _database = database;
        ChaosPlatform {
            setup,
            served,
            address,
            prefix,
            kafka,
            redis,
            store,
            shim,
            probes,
            probed,
            first_probe,
            disk,
            standby: None,
            _database,
            directory,
        }
    }

    /// Starts its standby, and waits until that follows.
    pub(crate) fn begin_standby(&mut self) {
        let directory = self.directory.path();
        let config = directory.join("standby.toml").display().to_string();
        let of = format!("--standby-of=http://{}", self.served.address);
        let mut flags = vec!["--config".to_owned(), config, of, "--standby-promotion=automatic".to_owned()];
        flags.extend(lease_flags(directory));
        let (data, log) = (self.setup.data.with_file_name("standby"), directory.join("standby.log"));
        let setup = Setup { flags, data, log, ..self.setup.clone() };
        let served = setup.spawn();
        for _ in 0..600 {
            if metric(self.served.client(), "audience_standby_followed") == 1 {
                self.standby = Some((setup, served));
                return;
            }
            pause(50);
        }
        panic!("no standby follows: {}", served.said());
    }

    /// Kills it for good: its standby takes over.
    fn lose_primary(&mut self) {
        let (setup, served) = self.standby.take().unwrap();
        let _ = kill_process(self.served.pid(), Signal::KILL);
        self.served.wait();
        fs::remove_dir_all(&self.setup.data).unwrap();
        (self.setup, self.served) = (setup, served);
        *self.address.lock().unwrap() = self.served.client();
    }

    /// Why that cannot be lost on this machine, if so.
    pub(crate) fn cannot_lose(&self, loss: PlatformLoss) -> Option<String> {
        match (loss, &self.disk, &self.shim) {
            (PlatformLoss::FullDisk, None, _) => Some("no tmpfs could be mounted, which takes root".to_owned()),
            (PlatformLoss::SlowDisk | PlatformLoss::ClockJump, _, Err(why)) => Some(why.clone()),
            _ => None,
        }
    }

    /// Starts it again, as a supervisor would, where it has ended.
    pub(crate) fn keep_up(&mut self) {
        if !self.served.is_alive() {
            self.served = self.setup.spawn();
            *self.address.lock().unwrap() = self.served.client();
        }
    }

    /// Waits for so long, and keeps it up.
    pub(crate) fn hold(&mut self, time: Duration) {
        let begun = Instant::now();
        while begun.elapsed() < time {
            self.keep_up();
            pause(50);
        }
    }

    /// Kills it, and starts it again without waiting.
    pub(crate) fn kill(&mut self) {
        let _ = kill_process(self.served.pid(), Signal::KILL);
        self.served.wait();
        self.keep_up();
    }

    /// The same, and its data directory is lost.
    pub(crate) fn lose_data(&mut self) {
        let _ = kill_process(self.served.pid(), Signal::KILL);
        self.served.wait();
        fs::remove_dir_all(&self.setup.data).unwrap();
        self.keep_up();
    }

    /// Loses that, until [`give_back`](Self::give_back).
    pub(crate) fn lose(&mut self, loss: PlatformLoss) {
        match loss {
            PlatformLoss::Kill => self.kill(),
            PlatformLoss::Stop => self.signal(Signal::STOP),
            PlatformLoss::Cut => self.set_cut(true),
            PlatformLoss::SlowNetwork => self.slow_down(SLOW_PIECE),
            PlatformLoss::FullDisk => self.fill_disk(),
            PlatformLoss::SlowDisk => self.set_shim(SLOW_SYNC, 0),
            PlatformLoss::ClockJump => self.set_shim(0, JUMP),
            PlatformLoss::StoreAway => self.store.set_cut(true),
            PlatformLoss::Primary => self.lose_primary(),
        }
    }

    /// Gives it back.
    pub(crate) fn give_back(&mut self, loss: PlatformLoss) {
        match loss {
            PlatformLoss::Kill | PlatformLoss::Primary => {}
            PlatformLoss::Stop => self.signal(Signal::CONT),
            PlatformLoss::Cut => self.set_cut(false),
            PlatformLoss::SlowNetwork => self.slow_down(0),
            PlatformLoss::FullDisk => fs::remove_file(self.ballast()).unwrap(),
            PlatformLoss::SlowDisk | PlatformLoss::ClockJump => self.set_shim(0, 0),
            PlatformLoss::StoreAway => self.store.set_cut(false),
        }
    }

    fn signal(&self, signal: Signal) {
        kill_process(self.served.pid(), signal).unwrap();
    }

    /// The servers beside the database, which a start would wait for.
    fn set_cut(&self, is_cut: bool) {
        [&self.kafka, &self.redis].iter().for_each(|proxy| proxy.set_cut(is_cut));
    }

    fn slow_down(&self, milliseconds: u64) {
        [&self.kafka, &self.redis, &self.store].iter().for_each(|proxy| proxy.slow_down(milliseconds));
    }

    fn set_shim(&self, sync: i64, clock: i64) {
        self.shim.iter().for_each(|shim| shim.set(sync, clock));
    }

    fn ballast(&self) -> PathBuf {
        self.disk.as_ref().unwrap().path().join("ballast")
    }

    fn fill_disk(&self) {
        let mut ballast = File::create(self.ballast()).unwrap();
        let zeros = vec![0; 1 << 20];
        loop {
            let disk = rustix::fs::statvfs(self.disk.as_ref().unwrap().path()).unwrap();
            if disk.f_bavail * disk.f_frsize <= LEFT {
                return;
            }
            ballast.write_all(&zeros).unwrap();
        }
    }

    /// Puts an event of a new user into the topic, and waits until it is served; returns how long after `from` that is.
    pub(crate) fn serves(&mut self, from: Instant, patience: Duration) -> Result<Duration, String> {
        let user = format!("u{}", self.first_probe + self.probed.len() as u64);
        let event = json!({"messageId": user, "userId": user, "eventType": "probe", "timestamp": wall_clock()});
        let (topic, text) = (format!("{}user-events", self.prefix), event.to_string());
        self.probes.send(BaseRecord::to(&topic).key(&user).payload(&text)).map_err(|(error, _)| error.to_string())?;
        self.probes.flush(Duration::from_secs(20)).map_err(|error| error.to_string())?;
        self.probed.push(event);
        let path = format!("/api/users/{user}/segments");
        while from.elapsed() < patience {
            self.keep_up();
            if self.served.client().get(&path).is_ok_and(|answer| answer.text().contains("probed")) {
                return Ok(from.elapsed());
            }
            pause(10);
        }
        Err(format!("no event is served after {patience:?}"))
    }
}
