//! The other processes of a cluster, as threads of this one: joined over the same connections.

use std::sync::Arc;
use std::thread::JoinHandle;

use audience_engine::cluster::coordinator::Coordinator;
use audience_engine::cluster::host::{self, HostOptions};
use audience_engine::engine::{EngineError, StartError};

/// The other processes of a cluster.
pub struct Cluster {
    /// The address at which they join.
    pub coordinator: Arc<Coordinator>,
    hosts: Vec<JoinHandle<Result<(), EngineError>>>,
}

impl Cluster {
    /// Starts them; each computes one run.
    pub fn start(processes: usize) -> Result<Cluster, EngineError> {
        let coordinator = Arc::new(Coordinator::bind("127.0.0.1:0", processes, Default::default())?);
        let address = coordinator.address().map_err(|error| StartError::system("no address", error))?.to_string();
        let host = |process| {
            let options = HostOptions {
                process,
                coordinator: address.clone(),
                listen: "127.0.0.1:0".to_owned(),
                leaving: Default::default(),
                status: Arc::default(),
            };
            std::thread::spawn(move || host::run(&options))
        };
        Ok(Cluster { hosts: (1..processes).map(host).collect(), coordinator })
    }

    /// Waits until all have ended well.
    pub fn wait(self) -> Result<(), String> {
        for host in self.hosts {
            let ended = host.join().map_err(|_| "a process panicked".to_owned())?;
            ended.map_err(|error| error.to_string())?;
        }
        Ok(())
    }
}
