//! Workers of other processes as the engine sees them: a door, what comes out, and a copy of the memberships.

use std::io::{self, BufReader, BufWriter, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use audience_kernel::membership::Membership;
use audience_kernel::operator::Outward;
use parking_lot::RwLock;

use super::frame;
use super::link;
use super::mirror;
use super::protocol::{FromWorker, ToWorker};
use crate::engine::error::{EngineError, EngineFailure, StartError};
use crate::engine::progress::{OutwardMessage, SharedProgress};
use crate::engine::workers::{DoorMessage, Started, TICKS_AT_DOOR, TickDoor};

/// Workers that were told to begin.
#[derive(Default)]
pub(crate) struct Attached {
    waiting: Vec<(Started, Receiver<Result<(), String>>)>,
}

impl Attached {
    /// Waits until all of them have their state.
    pub(crate) fn wait(self) -> Result<Vec<Started>, EngineError> {
        let mut all = Vec::new();
        for (started, receiver) in self.waiting {
            let told = receiver.recv().unwrap_or_else(|_| Err("its process is lost".to_owned()));
            told.map_err(|reason| StartError::RemoteWorker { worker: started.worker, reason })?;
            all.push(started);
        }
        Ok(all)
    }

    /// Takes on a worker over the connection for its ticks.
    pub(crate) fn add(
        &mut self,
        worker: usize,
        stream: TcpStream,
        shared: &Arc<SharedProgress>,
        outward: &SyncSender<OutwardMessage>,
    ) -> io::Result<()> {
        let (sender, ticks) = sync_channel(TICKS_AT_DOOR);
        let (started, wait) = sync_channel(1);
        let membership = Arc::new(RwLock::new(Membership::default()));
        let reader = StoreReader {
            worker,
            membership: membership.clone(),
            shared: shared.clone(),
            outward: outward.clone(),
            started,
        };
        let (from, failed) = (BufReader::with_capacity(1 << 16, stream.try_clone()?), shared.clone());
        std::thread::Builder::new().name(format!("ticks-from-{worker}")).spawn(move || {
            if let Err(reason) = reader.run(from) {
                failed.fail(EngineFailure::WorkerLost { worker, reason });
            }
        })?;
        let failed = shared.clone();
        std::thread::Builder::new().name(format!("ticks-to-{worker}")).spawn(move || {
            if let Err(error) = write_ticks(stream, &ticks) {
                failed.fail(EngineFailure::WorkerLost { worker, reason: error.to_string() });
            }
        })?;
        self.waiting.push((Started { worker, door: TickDoor::new(sender), membership }, wait));
        Ok(())
    }
}

fn write_ticks(stream: TcpStream, ticks: &Receiver<DoorMessage>) -> io::Result<()> {
    let mut to = BufWriter::with_capacity(1 << 16, stream);
    while let Ok((tick, items)) = ticks.recv() {
        frame::write(&mut to, &ToWorker::Tick(tick, items))?;
        while let Ok((tick, items)) = ticks.try_recv() {
            frame::write(&mut to, &ToWorker::Tick(tick, items))?;
        }
        to.flush()?;
    }
    frame::write(&mut to, &ToWorker::End)?;
    to.flush()
}

struct StoreReader {
    worker: usize,
    membership: Arc<RwLock<Membership>>,
    shared: Arc<SharedProgress>,
    outward: SyncSender<OutwardMessage>,
    started: SyncSender<Result<(), String>>,
}

impl StoreReader {
    fn run(self, mut from: impl io::Read) -> Result<(), String> {
        loop {
            match frame::read(&mut from).map_err(|error| link::reason(&error))? {
                FromWorker::Started(result) => {
                    let _ = self.started.send(result);
                }
                FromWorker::Outward(item) => self.take(item)?,
                FromWorker::Ended => return Ok(()),
            }
        }
    }

    /// The copy of the memberships is ahead of what is committed, as those of workers of this process are.
    fn take(&self, item: Outward) -> Result<(), String> {
        match &item {
            Outward::Held(held) => mirror::take_held(&mut self.membership.write(), held),
            Outward::Tick(output) => {
                let taken = mirror::take_tick(&mut self.membership.write(), output);
                taken.map_err(|_| "changes that cannot be read; this is a fault of the program".to_owned())?;
                self.shared.applied(self.worker, output.tick);
            }
            Outward::Sizes(counted) => {
                let is_last = self.shared.counted(self.worker, counted);
                // Ticks wait for the sizes of another worker: nobody is woken for nothing.
                if !is_last {
                    return Ok(());
                }
            }
            Outward::Scanned | Outward::Failed(_) => {}
        }
        // Nobody listens any more only when the engine is given up.
        let _ = self.outward.send((self.worker, item));
        Ok(())
    }
}
