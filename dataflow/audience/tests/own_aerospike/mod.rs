//! An Aerospike of a test's own, in memory, which can be emptied and halted without disturbing others. No package has the
//! server: `AUDIENCE_AEROSPIKE_SERVER` names the program `asd`, built from its public source.
#![expect(clippy::unwrap_used, reason = "a test that panics has failed, which is what a test is for")]

use std::cell::RefCell;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use aerospike::operations::maps::{self, MapOrder, MapPolicy, MapWriteFlags};
use aerospike::query::PartitionFilter;
use aerospike::{Bins, Client, ClientPolicy, Key, QueryPolicy, ReadPolicy, Statement, Value, WritePolicy};
use audience_tests::serve::pause;
use futures_util::StreamExt;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// A node on free ports of the loopback; killed when dropped.
pub(crate) struct OwnAerospike {
    child: Child,
    port: u16,
    directory: TempDir,
    runtime: Runtime,
    /// One for all that is asked: a node takes so many connections.
    client: RefCell<Option<Arc<Client>>>,
}

impl OwnAerospike {
    /// Starts it, and waits until it takes writes.
    pub(crate) fn start() -> OwnAerospike {
        let directory = tempfile::tempdir().unwrap();
        let listeners: Vec<TcpListener> = (0..4).map(|_| TcpListener::bind(("127.0.0.1", 0)).unwrap()).collect();
        let ports: Vec<u16> = listeners.iter().map(|listener| listener.local_addr().unwrap().port()).collect();
        // It makes none of its directories.
        for made in ["smd", "lua"] {
            std::fs::create_dir(directory.path().join(made)).unwrap();
        }
        std::fs::write(directory.path().join("aerospike.conf"), configuration(directory.path(), &ports)).unwrap();
        drop(listeners);
        let child = spawn(directory.path());
        let runtime = Runtime::new().unwrap();
        let node = OwnAerospike { child, port: ports[0], directory, runtime, client: RefCell::default() };
        node.wait_until_writable();
        node
    }

    /// Its address.
    pub(crate) fn hosts(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Kills it and starts it again: what was in memory is lost.
    pub(crate) fn restart(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        self.client.take();
        self.child = spawn(self.directory.path());
        self.wait_until_writable();
    }

    /// Halts it: connections stay, and nothing is answered.
    pub(crate) fn pause(&self) {
        kill_process(Pid::from_child(&self.child), Signal::STOP).unwrap();
    }

    /// Lets it go on.
    pub(crate) fn resume(&self) {
        kill_process(Pid::from_child(&self.child), Signal::CONT).unwrap();
    }

    /// A bin of every record of a set, by key.
    pub(crate) fn all(&self, namespace: &str, set: &str, bin: &str) -> Vec<(String, Value)> {
        self.runtime.block_on(async {
            let (client, policy) = (self.client().await.unwrap(), QueryPolicy::default());
            let statement = Statement::new(namespace, set, Bins::from([bin]));
            let mut found = client.query(&policy, PartitionFilter::all(), statement).await.unwrap().into_stream();
            let mut all = Vec::new();
            while let Some(record) = found.next().await {
                let mut record = record.unwrap();
                let key = record.key.as_ref().unwrap().user_key().unwrap().to_string();
                all.extend(record.bins.swap_remove(bin).map(|value| (key, value)));
            }
            all
        })
    }

    /// A bin of a record.
    pub(crate) fn bin(&self, namespace: &str, set: &str, key: &str, bin: &str) -> Option<Value> {
        let key = Key::new(namespace, set, Value::from(key)).unwrap();
        self.runtime.block_on(async {
            let client = self.client().await.unwrap();
            let record = client.get(&ReadPolicy::default(), &key, Bins::from([bin])).await;
            record.ok().and_then(|mut record| record.bins.swap_remove(bin))
        })
    }

    /// The names in a map or a list.
    pub(crate) fn names(held: &Value) -> Vec<String> {
        match held {
            Value::SortedMap(map) => map.keys().map(ToString::to_string).collect(),
            Value::List(list) => list.iter().map(ToString::to_string).collect(),
            other => panic!("{other:?} is neither a map in order nor a list"),
        }
    }

    /// Deletes a record by hand.
    pub(crate) fn delete(&self, namespace: &str, set: &str, key: &str) {
        let record = Key::new(namespace, set, Value::from(key)).unwrap();
        self.runtime.block_on(async {
            let client = self.client().await.unwrap();
            assert!(client.delete(&WritePolicy::default(), &record).await.unwrap(), "{key} had no record");
        });
    }

    /// Enters a user by hand.
    pub(crate) fn enter(&self, user: &str, segment: &str) {
        let key = Key::new("user_profiles", "segments", Value::from(user)).unwrap();
        let order = MapPolicy::new(MapOrder::KeyOrdered, MapWriteFlags::DEFAULT);
        let held = Value::List(vec![Value::Int(7), Value::Int(1)]);
        let operation = maps::put(&order, "segments", Value::from(segment), held);
        let policy = WritePolicy { send_key: true, ..WritePolicy::default() };
        self.runtime.block_on(async {
            self.client().await.unwrap().operate(&policy, &key, &[operation]).await.unwrap();
        });
    }

    async fn client(&self) -> aerospike::Result<Arc<Client>> {
        if let Some(client) = &*self.client.borrow() {
            return Ok(client.clone());
        }
        let client = Arc::new(Client::new(&ClientPolicy::default(), &self.hosts()).await?);
        Ok(self.client.borrow_mut().insert(client).clone())
    }

    /// For about two seconds after its start a node refuses what it is asked.
    fn wait_until_writable(&self) {
        for _ in 0..3_000 {
            let is_written = self.runtime.block_on(async {
                let Ok(client) = self.client().await else { return false };
                let key = Key::new("user_profiles", "probe", Value::from("probe")).unwrap();
                let bin = aerospike::Bin::new("at", Value::Int(1));
                client.put(&WritePolicy::default(), &key, &[bin]).await.is_ok()
            });
            if is_written {
                return;
            }
            self.client.take();
            pause(10);
        }
        panic!("Aerospike does not start, see {}", self.directory.path().display());
    }
}

impl Drop for OwnAerospike {
    fn drop(&mut self) {
        // One that is halted hears it only now.
        let _ = kill_process(Pid::from_child(&self.child), Signal::CONT);
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(directory: &Path) -> Child {
    let server = std::env::var("AUDIENCE_AEROSPIKE_SERVER").unwrap_or_else(|_| {
        panic!("AUDIENCE_AEROSPIKE_SERVER does not name the program asd");
    });
    let mut command = Command::new(server);
    command.args(["--foreground", "--config-file"]).arg(directory.join("aerospike.conf"));
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

/// Two namespaces in memory, the most that the Community Edition takes.
fn configuration(directory: &Path, ports: &[u16]) -> String {
    let [service, fabric, heartbeat, admin] = ports else { panic!("four ports, not {ports:?}") };
    let directory = directory.display();
    let namespace = |name: &str| {
        format!(
            "namespace {name} {{\n replication-factor 1\n nsup-period 60\n storage-engine memory {{\n data-size 512M\n }}\n}}\n"
        )
    };
    format!(
        "service {{\n cluster-name test\n proto-fd-max 1024\n work-directory {directory}\n pidfile {directory}/pid\n}}\n\
         mod-lua {{\n user-path {directory}/lua\n}}\n\
         logging {{\n file {directory}/log {{\n context any warning\n }}\n}}\n\
         network {{\n service {{\n address 127.0.0.1\n port {service}\n }}\n\
         heartbeat {{\n mode mesh\n address 127.0.0.1\n port {heartbeat}\n interval 150\n timeout 10\n }}\n\
         fabric {{\n address 127.0.0.1\n port {fabric}\n }}\n admin {{\n address 127.0.0.1\n port {admin}\n }}\n}}\n{}{}",
        namespace("user_profiles"),
        namespace("segment_ownership")
    )
}
