//! `docs/chaos.md`: what was measured, and what was not.
#![expect(clippy::unwrap_used, reason = "a test that panics has failed, which is what a test is for")]

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::chaos_platform::PlatformLoss;
use crate::{ChaosMoment, LOSSES, MOMENTS};

/// The outcome of a loss at a moment.
#[derive(Clone, Debug)]
pub(crate) enum ChaosOutcome {
    /// Events were served after that time; so many of those that HTTP had accepted were lost.
    Served { took: Duration, accepted: u64, lost: u64 },
    /// A budget was missed, or places differ.
    Failed(String),
    /// This machine cannot lose that.
    NotRun(String),
}

/// A loss at a moment, and what came of it.
pub(crate) struct ChaosCell {
    pub loss: PlatformLoss,
    pub moment: ChaosMoment,
    pub outcome: ChaosOutcome,
}

/// A loss in the words of the page.
fn words(loss: PlatformLoss) -> &'static str {
    match loss {
        PlatformLoss::Kill => "the process: `kill -9`, started again at once",
        PlatformLoss::Stop => "the process hangs: SIGSTOP for 3 s",
        PlatformLoss::Cut => "Kafka and Redis: all connections cut for 3 s",
        PlatformLoss::SlowNetwork => "a fast network: 100 ms more for each piece to and from Kafka, Redis and S3",
        PlatformLoss::FullDisk => "room on the disk: 64 MiB left for 3 s",
        PlatformLoss::SlowDisk => "a fast disk: 200 ms more for each sync",
        PlatformLoss::ClockJump => "the time: the clock jumps by an hour for 3 s",
        PlatformLoss::StoreAway => "the store of checkpoints (S3): connections cut for 3 s",
        PlatformLoss::Primary => "the process and its data directory for good, with a [standby](standby.md)",
    }
}

const HEAD: &str = "# What is lost when something is lost

Written by `scripts/chaos`, which asserts it: each loss at each moment, among a real Kafka, PostgreSQL, Redis and S3 server, each cell on
a platform of its own. The time goes from the end of the loss until an event that was then put into Kafka is in the memberships that
are served. Marked *, and but for *restore*, it goes from the begin of the loss, while that lasts. After each cell the topic
`user-segments`, Redis, the API and the naive evaluator name the same members: **no event of Kafka was lost, and none counts twice**.

**Moments.** *idle*: two events a second by HTTP. *burst*: about 400 events a second by Kafka as well. *edit*: a rule is edited all the
while, too. *checkpoint*: as one begins. *restore*: the data directory was lost a moment before, and is made again from S3; a budget
is then 60 s.

";

const TAIL: &str = "
The program was the build of the tests (`opt-level = 1`), and the machine had two cores and other work: times are upper bounds. Slow
networks and cuts are made by proxies, since a queue of `tc` on the loopback would slow down every other program of the machine. A slow
disk and another clock are a library that is preloaded into the program. PostgreSQL is not cut here: `start_cut.rs` and `faults.rs` in
`dataflow/audience/tests` do that. The loss of one of several processes, and of their links, is in `faults.rs` and `cluster.rs` there.
";

/// Writes the page.
pub(crate) fn write_page(path: &Path, cells: &[ChaosCell]) {
    let mut text = HEAD.to_owned();
    let names = MOMENTS.map(|moment| format!("{moment:?}").to_lowercase()).join(" | ");
    let _ = writeln!(text, "| Loss | Budget | {names} |\n|---|---|{}", "---|".repeat(MOMENTS.len()));
    let mut notes = Vec::new();
    for (loss, budget, is_meanwhile) in LOSSES {
        let times = MOMENTS.map(|moment| {
            let cell = cells.iter().find(|cell| (cell.loss, cell.moment) == (loss, moment));
            let Some(cell) = cell else { return "not in the short form".to_owned() };
            shown(cell, &mut notes)
        });
        let mark = if is_meanwhile { "*" } else { "" };
        let _ = writeln!(text, "| {} | {} s{mark} | {} |", words(loss), budget / 1_000, times.join(" | "));
    }
    let (accepted, lost) = by_http(cells);
    let _ = writeln!(
        text,
        "\n**Lost**: {lost} of {accepted} events that HTTP had answered with `202`, all of them in *restore*: they were in the data\n\
         directory alone, and not yet in a file of history, of which one a second is written here. At the other moments none was lost."
    );
    if !notes.is_empty() {
        let _ = writeln!(text, "\n**Not as it should be**\n\n{}", notes.join("\n"));
    }
    text += TAIL;
    fs::write(path, text).unwrap();
}

fn shown(cell: &ChaosCell, notes: &mut Vec<String>) -> String {
    match &cell.outcome {
        ChaosOutcome::Served { took, .. } => format!("{:.1} s", took.as_secs_f64()),
        ChaosOutcome::Failed(why) => {
            notes.push(format!("- {:?}, {:?}: {}", cell.loss, cell.moment, first_line(why)));
            "**failed**".to_owned()
        }
        ChaosOutcome::NotRun(why) => {
            notes.push(format!("- {:?}, {:?} was not run: {}", cell.loss, cell.moment, first_line(why)));
            "not run".to_owned()
        }
    }
}

/// The beginning of a reason: a panic may bring a whole log.
fn first_line(why: &str) -> String {
    why.lines().next().unwrap_or_default().chars().take(300).collect()
}

/// Events that HTTP accepted, and those of them that were lost.
fn by_http(cells: &[ChaosCell]) -> (u64, u64) {
    let served = cells.iter().filter_map(|cell| match cell.outcome {
        ChaosOutcome::Served { accepted, lost, .. } => Some((accepted, lost)),
        _ => None,
    });
    served.fold((0, 0), |(accepted, lost), (more, gone)| (accepted + more, lost + gone))
}
