//! The clock of the process: that of the machine, which it follows neither back nor, at once, in a jump.

use std::fmt;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;

/// The difference to the passed time, in milliseconds, from which on the machine's clock has jumped. Smaller ones are how a clock
/// is set right.
const JUMP: i64 = 2_000;
/// How long a jump must last before it is followed, where nothing else is set.
const LASTING: Duration = Duration::from_secs(60);

static CLOCK: Mutex<Clock> = Mutex::new(Clock::new());

/// Returns the milliseconds since 1970.
///
/// If the machine's clock is set back, this one stands still until the machine's has caught up, since a membership change that
/// was emitted for an instant cannot be taken back. If it jumps, measured against the time that has passed, this one goes on
/// without the jump until that has lasted as long as [`follow_jumps_after`] says.
pub fn now() -> i64 {
    #[expect(clippy::disallowed_methods, reason = "the one place where the wall clock is read")]
    let wall = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64);
    let (time, change) = CLOCK.lock().read(wall, Instant::now());
    change.iter().for_each(ClockChange::log);
    time
}

/// Makes `at` the earliest instant that [`now`] returns from here on. A start calls it with the instant at which the run
/// before ended, so that time goes on from there even on a host whose clock lags.
pub fn go_on_from(at: i64) {
    let mut clock = CLOCK.lock();
    clock.latest = clock.latest.max(at);
}

/// Sets how long a jump of the machine's clock must last before it is followed.
pub fn follow_jumps_after(lasting: Duration) {
    CLOCK.lock().lasting = lasting;
}

/// Returns how the clock stands to that of the machine.
pub fn state() -> ClockState {
    now();
    CLOCK.lock().state
}

/// How the clock of the process stands to that of the machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClockState {
    /// Milliseconds by which time is ahead of the machine's clock; it stands still until that has caught up.
    pub ahead: i64,
    /// Milliseconds by which the machine's clock has jumped, if that is not followed yet.
    pub jump: i64,
}

impl ClockState {
    /// The fault in words, if there is one.
    pub fn fault(self) -> Option<String> {
        let seconds = |milliseconds: i64| milliseconds as f64 / 1000.0;
        if self.jump != 0 {
            let jump = seconds(self.jump);
            return Some(format!("the clock of this machine jumped by {jump:.0} s, which is not followed yet"));
        }
        (self.ahead > JUMP).then(|| {
            let ahead = seconds(self.ahead);
            format!(
                "time is {ahead:.0} s ahead of the clock of this machine, and stands still until that has caught up, or \
                 `audience admin take-time-back` takes it back"
            )
        })
    }
}

struct Clock {
    /// The last instant that was given out.
    latest: i64,
    /// A reading of the machine's clock that was followed, and when it was taken.
    followed: Option<(i64, Instant)>,
    /// The jump under way: by how much, and since when.
    jump: Option<(i64, Instant)>,
    lasting: Duration,
    state: ClockState,
}

/// A change worth a log line.
enum ClockChange {
    Jumped { by: i64, lasting: Duration },
    Returned,
    Followed { by: i64 },
    Stands { ahead: i64 },
    Runs,
}

impl Clock {
    const fn new() -> Clock {
        let state = ClockState { ahead: 0, jump: 0 };
        Clock { latest: 0, followed: None, jump: None, lasting: LASTING, state }
    }

    /// Takes a reading of the machine's clock; gives the time, and what has changed.
    fn read(&mut self, wall: i64, at: Instant) -> (i64, Option<ClockChange>) {
        let (time, change) = self.follow(wall, at);
        self.latest = self.latest.max(time);
        let ahead = if self.jump.is_some() { 0 } else { (self.latest - wall).max(0) };
        let was_ahead = std::mem::replace(&mut self.state.ahead, ahead) > JUMP;
        self.state.jump = self.jump.map_or(0, |(by, _)| by);
        let stands = match (was_ahead, ahead > JUMP) {
            (false, true) => Some(ClockChange::Stands { ahead }),
            (true, false) if self.jump.is_none() => Some(ClockChange::Runs),
            _ => None,
        };
        // That time stands still says more than that a jump back is followed.
        (self.latest, stands.or(change))
    }

    fn follow(&mut self, wall: i64, at: Instant) -> (i64, Option<ClockChange>) {
        let expected = self.followed.map_or(wall, |(wall, then)| {
            wall.saturating_add(i64::try_from(at.saturating_duration_since(then).as_millis()).unwrap_or(i64::MAX))
        });
        let by = wall.saturating_sub(expected);
        if by.abs() <= JUMP {
            self.followed = Some((wall, at));
            return (wall, self.jump.take().map(|_| ClockChange::Returned));
        }
        match self.jump {
            Some((known, since)) if (by - known).abs() <= JUMP => {
                if at.saturating_duration_since(since) < self.lasting {
                    return (expected, None);
                }
                (self.followed, self.jump) = (Some((wall, at)), None);
                (wall, Some(ClockChange::Followed { by }))
            }
            _ => {
                self.jump = Some((by, at));
                (expected, Some(ClockChange::Jumped { by, lasting: self.lasting }))
            }
        }
    }
}

impl ClockChange {
    fn log(&self) {
        match self {
            ClockChange::Jumped { .. } | ClockChange::Stands { .. } => tracing::error!("{self}"),
            ClockChange::Followed { .. } => tracing::warn!("{self}"),
            ClockChange::Returned | ClockChange::Runs => tracing::info!("{self}"),
        }
    }
}

impl fmt::Display for ClockChange {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = |milliseconds: &i64| *milliseconds as f64 / 1000.0;
        match self {
            ClockChange::Jumped { by, lasting } => write!(
                formatter,
                "The clock of this machine jumped by {:.1} s. It is followed once that has lasted {lasting:?}",
                seconds(by)
            ),
            ClockChange::Returned => formatter.write_str("The clock of this machine has taken its jump back"),
            ClockChange::Followed { by } => {
                write!(
                    formatter,
                    "The clock of this machine stays where it jumped to, by {:.1} s, and is followed",
                    seconds(by)
                )
            }
            ClockChange::Stands { ahead } => write!(
                formatter,
                "Time is {:.1} s ahead of the clock of this machine, and stands still until that has caught up",
                seconds(ahead)
            ),
            ClockChange::Runs => formatter.write_str("The clock of this machine has caught up, and time runs again"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000;

    /// A clock that is read once at 1,000,000 ms, and the instant of that.
    fn begun() -> (Clock, Instant) {
        let (mut clock, at) = (Clock::new(), Instant::now());
        assert_eq!(clock.read(1_000_000, at).0, 1_000_000);
        (clock, at)
    }

    fn after(at: Instant, milliseconds: u64) -> Instant {
        at + Duration::from_millis(milliseconds)
    }

    #[test]
    fn the_clock_never_goes_back() {
        let before = now();
        let ahead = before + 60_000;
        go_on_from(ahead);
        assert_eq!(now(), ahead);
        go_on_from(before);
        assert_eq!(now(), ahead);
        assert!((50_000..=60_000).contains(&state().ahead), "{:?}", state());
        assert!(state().fault().is_some_and(|fault| fault.contains("stands still")));
    }

    #[test]
    fn a_jump_that_is_taken_back_leaves_no_trace() {
        let (mut clock, at) = begun();
        let (time, change) = clock.read(1_000_100 + 2 * HOUR, after(at, 100));
        assert!(matches!(change, Some(ClockChange::Jumped { by: 7_200_000, .. })));
        assert_eq!((time, clock.state), (1_000_100, ClockState { ahead: 0, jump: 2 * HOUR }));
        assert_eq!(clock.read(1_000_900 + 2 * HOUR, after(at, 900)).0, 1_000_900, "time goes on meanwhile");
        let (time, change) = clock.read(1_001_000, after(at, 1_000));
        assert!(matches!(change, Some(ClockChange::Returned)));
        assert_eq!((time, clock.state), (1_001_000, ClockState::default()));
    }

    #[test]
    fn a_jump_that_lasts_is_followed_in_either_direction() {
        let (mut clock, at) = begun();
        clock.read(1_000_000 + HOUR, at);
        assert_eq!(clock.read(1_059_000 + HOUR, after(at, 59_000)).0, 1_059_000);
        let (time, change) = clock.read(1_060_000 + HOUR, after(at, 60_000));
        assert!(matches!(change, Some(ClockChange::Followed { .. })));
        assert_eq!(time, 1_060_000 + HOUR);
        clock.read(1_061_000, after(at, 61_000));
        let (time, change) = clock.read(1_121_000, after(at, 121_000));
        assert!(matches!(change, Some(ClockChange::Stands { .. })));
        // It went on until the jump back was noticed, and stands still from then on.
        assert_eq!((time, clock.state.ahead), (1_061_000 + HOUR, HOUR - 60_000));
    }

    #[test]
    fn another_jump_begins_its_own_wait_and_small_steps_are_followed_at_once() {
        let (mut clock, at) = begun();
        clock.read(1_000_000 + HOUR, at);
        clock.read(1_050_000 + 2 * HOUR, after(at, 50_000));
        assert_eq!(clock.read(1_070_000 + 2 * HOUR, after(at, 70_000)).0, 1_070_000);
        let (mut clock, at) = begun();
        assert_eq!(clock.read(1_002_500, after(at, 1_000)).0, 1_002_500);
        assert_eq!(clock.read(1_002_400, after(at, 2_000)).0, 1_002_500);
        assert_eq!(clock.state.ahead, 100);
    }
}
