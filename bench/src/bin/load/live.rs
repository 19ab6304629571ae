//! Reads of users' segments while events flow: by themselves, and beside many who follow changes, some of whom take nothing.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use audience_bench::http::BenchClient;
use audience_bench::report::{FigureReport, FigureTarget, Times};

use crate::LoadRun;
use crate::flow::pause;

/// Threads that take what comes for those who follow.
const TAKERS: usize = 4;
/// One in so many followers takes nothing.
const ONE_IS_SLOW: usize = 10;
/// One in so many followers wants the changes of all segments.
const ONE_WANTS_ALL: usize = 50;
/// Reads of users' segments a second, and connections that they come over.
const READS_A_SECOND: u64 = 5_000;
const READERS: u64 = 4;
const MIB: f64 = (1 << 20) as f64;

/// Somebody who follows.
fn follow(address: SocketAddr, query: &str) -> anyhow::Result<TcpStream> {
    let mut stream = TcpStream::connect(address)?;
    write!(stream, "GET /api/stream?{query} HTTP/1.1\r\nhost: {address}\r\n\r\n")?;
    let mut head = [0; 12];
    stream.read_exact(&mut head)?;
    ensure!(head.ends_with(b"200"), "a stream is refused: {}", String::from_utf8_lossy(&head));
    stream.set_nonblocking(true)?;
    Ok(stream)
}

/// Takes what comes, until told to stop; gives the bytes.
fn take(mut streams: Vec<TcpStream>, stop: &AtomicBool) -> anyhow::Result<u64> {
    let (mut bytes, mut part) = (0, vec![0; 64 << 10]);
    while !stop.load(Ordering::Relaxed) {
        for stream in &mut streams {
            match stream.read(&mut part) {
                Ok(0) => anyhow::bail!("a stream has ended"),
                Ok(read) => bytes += read as u64,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Err(error.into()),
            }
        }
        // Seldom, so that asking takes little of the machine; what comes meanwhile waits with the system.
        pause(Duration::from_millis(50));
    }
    Ok(bytes)
}

/// How long reads took.
#[derive(Default)]
struct Reads {
    /// Each, from when it was to be asked.
    times: Times,
    /// The delays of the requests themselves: the client shares the cores.
    late: Times,
}

impl Reads {
    fn report(&self, report: &mut FigureReport, phase: &str) {
        let what = format!("{phase}: GET of a user's segments, 5,000 a second");
        self.times.report(report, &what, FigureTarget::None, FigureTarget::AtMost(2.0));
        self.late.report(
            report,
            &format!("{phase}: of that, until the client asks"),
            FigureTarget::None,
            FigureTarget::None,
        );
    }
}

/// Reads users' segments, so many a second.
fn read(address: SocketAddr, users: u64, first: u64, stop: &AtomicBool) -> anyhow::Result<Reads> {
    let (mut client, mut reads, mut user) = (BenchClient::connect(address)?, Reads::default(), first);
    let gap = Duration::from_secs(1) / u32::try_from(READS_A_SECOND / READERS)?;
    let mut due = Instant::now();
    while !stop.load(Ordering::Relaxed) {
        due += gap;
        pause(due.saturating_duration_since(Instant::now()));
        reads.late.add(due.elapsed());
        user = (user + 7919) % users;
        let status = client.get(&format!("/api/users/u{user}/segments"))?.status;
        ensure!(status == 200, "a read is answered {status}");
        reads.times.add(due.elapsed());
    }
    Ok(reads)
}

/// So many who follow: those who take what comes, and those who do not.
fn followers(address: SocketAddr, count: usize, rules: u64) -> anyhow::Result<(Vec<TcpStream>, Vec<TcpStream>)> {
    let (mut streams, mut slow) = (Vec::new(), Vec::new());
    for number in 0..count {
        let query = match number % ONE_WANTS_ALL {
            0 => String::new(),
            _ => format!("segment=rule-{}", number as u64 % rules.max(1)),
        };
        let stream = follow(address, &query)?;
        if number % ONE_IS_SLOW == 1 { slow.push(stream) } else { streams.push(stream) }
    }
    Ok((streams, slow))
}

/// The phase, with so many who follow.
pub(crate) fn live(run: &mut LoadRun, phase: &str, count: usize) -> anyhow::Result<()> {
    let address = run.server.address;
    let before = run.server.memory();
    let (mut streams, slow) = followers(address, count, run.args.rules)?;
    let (flow, stop) = (&run.flow, AtomicBool::new(false));
    let (rate, seconds, users) = (run.args.rate, run.args.seconds, run.flow.workload.users);
    let mut greatest = run.server.memory();
    let begun = Instant::now();
    let (sent, taken, read) = std::thread::scope(|scope| {
        let sending = scope.spawn(|| flow.steadily(address, rate, &stop));
        let mut takers = Vec::new();
        while !streams.is_empty() {
            let part = streams.split_off(streams.len() - streams.len().min(count.div_ceil(TAKERS)));
            takers.push(scope.spawn(|| take(part, &stop)));
        }
        let first = |reader: u64| reader * users / READERS;
        let stop = &stop;
        let readers: Vec<_> =
            (0..READERS).map(|reader| scope.spawn(move || read(address, users, first(reader), stop))).collect();
        while begun.elapsed() < Duration::from_secs(seconds) && !sending.is_finished() {
            pause(Duration::from_millis(200));
            greatest = greatest.max(run.server.memory());
        }
        stop.store(true, Ordering::Relaxed);
        let taken: Vec<_> = takers.into_iter().map(|taker| taker.join()).collect();
        let read: Vec<_> = readers.into_iter().map(|reader| reader.join()).collect();
        (sending.join(), taken, read)
    });
    let died = "a thread of the client died";
    let (took, sent) = (begun.elapsed().as_secs_f64(), sent.ok().context(died)??);
    let (mut bytes, mut reads) = (0, Reads::default());
    for of_taker in taken {
        bytes += of_taker.ok().context(died)??;
    }
    for read in read {
        let read = read.ok().context(died)??;
        reads.times.merge(&read.times);
        reads.late.merge(&read.late);
    }
    drop(slow);
    let report = &mut run.report;
    let name = |what: &str| format!("{phase}: {what}");
    if count > 0 {
        report.add(&name("who follow"), count as f64, "", FigureTarget::None);
        report.add(&name("of those, who take nothing"), (count / ONE_IS_SLOW) as f64, "", FigureTarget::None);
        report.add(&name("given to those who follow"), bytes as f64 / took / MIB, "MiB/s", FigureTarget::None);
        if let (Some(before), Some(greatest)) = (before, greatest) {
            let grown = (greatest as f64 - before as f64) / MIB;
            report.add(&name("memory grown at most"), grown, "MiB", FigureTarget::AtMost(256.0));
        }
    }
    let wanted = FigureTarget::AtLeast(0.98 * rate as f64);
    report.add(&name("events flowing"), sent.events as f64 / took, "events/s", wanted);
    reads.report(report, phase);
    Ok(())
}
