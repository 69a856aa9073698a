//! The scenarios, their options and the options' limits: one table for parser and help.

/// A scenario by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scenario {
    /// Memory per held stream.
    Idle,
    /// One channel, many streams.
    Fanout,
    /// Many channels, one stream each.
    Channels,
    /// Plain proxying.
    Proxy,
    /// A herd that comes and goes.
    Churn,
    /// Long-polling.
    Longpoll,
    /// Publish to receipt on an idle server.
    Latency,
    /// More streams than one descriptor table holds.
    Hold,
    /// All polls of a channel asked for again at once.
    Stampede,
}

/// An option that takes a whole number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Count {
    /// Streams held.
    Connections,
    /// Channels, one stream each.
    Channels,
    /// Times that all streams open and close.
    Cycles,
    /// Messages published.
    Items,
    /// Bytes of a message or a body.
    Size,
    /// Messages in one publish request.
    Burst,
    /// Clients that send requests.
    Clients,
    /// Length of the measurement.
    Seconds,
    /// Parts of the measurement, alternating with the yardstick's.
    Rounds,
    /// Pause between two messages.
    IntervalMs,
    /// Streams being opened at the same time.
    Window,
    /// Control connections that publish at the same time.
    Concurrency,
    /// Share of the clients that must poll again before the next message.
    PercentBack,
    /// What the backend takes for an answer.
    DelayMs,
}

/// What a number option is called and may be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CountSpec {
    /// Name without the dashes.
    pub(crate) name: &'static str,
    /// Smallest value.
    pub(crate) min: u64,
    /// Largest value: every run is bounded.
    pub(crate) max: u64,
    /// For the help text.
    pub(crate) about: &'static str,
}

impl Count {
    /// Its name, limits and meaning.
    pub(crate) fn spec(self) -> CountSpec {
        let (name, min, max, about) = match self {
            Self::Connections => ("connections", 1, 1_000_000, "streams or polls held"),
            Self::Channels => ("channels", 1, 15_000, "channels, with one stream each"),
            Self::Cycles => ("cycles", 1, 20, "times that all streams open and close"),
            Self::Items => ("items", 1, 10_000_000, "messages published"),
            Self::Size => (
                "size",
                0,
                16_777_216,
                "bytes of a message (27 to 65536) or of a body",
            ),
            Self::Burst => ("burst", 1, 256, "messages in one publish request"),
            Self::Clients => ("clients", 1, 15_000, "clients that send requests"),
            Self::Seconds => ("seconds", 1, 600, "length of each measurement"),
            Self::Rounds => (
                "rounds",
                1,
                100,
                "parts of the run, alternating with the yardstick's",
            ),
            Self::IntervalMs => ("interval-ms", 1, 1_000, "pause between two messages"),
            Self::Window => ("window", 1, 15_000, "streams being opened at the same time"),
            Self::Concurrency => ("concurrency", 1, 1_024, "connections that publish"),
            Self::PercentBack => (
                "percent-back",
                0,
                100,
                "with --prev-id: percent of the clients held before the next message",
            ),
            Self::DelayMs => (
                "delay-ms",
                0,
                1_000,
                "the backend takes so long for each answer after the update",
            ),
        };
        CountSpec {
            name,
            min,
            max,
            about,
        }
    }
}

impl Scenario {
    /// All of them, in the order of the help text.
    pub(crate) const ALL: [Self; 9] = [
        Self::Idle,
        Self::Fanout,
        Self::Channels,
        Self::Proxy,
        Self::Churn,
        Self::Longpoll,
        Self::Latency,
        Self::Hold,
        Self::Stampede,
    ];

    /// Its name on the command line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Fanout => "fanout",
            Self::Channels => "channels",
            Self::Proxy => "proxy",
            Self::Churn => "churn",
            Self::Longpoll => "longpoll",
            Self::Latency => "latency",
            Self::Hold => "hold",
            Self::Stampede => "stampede",
        }
    }

    /// What it measures, in one line.
    pub(crate) fn about(self) -> &'static str {
        match self {
            Self::Idle => "memory per idle held stream, opening rate, memory after all have left",
            Self::Fanout => "one channel to many streams, beside a bare loop that does the same",
            Self::Channels => "one stream per channel, one request per message, beside a bare loop",
            Self::Proxy => "plain proxying, beside HAProxy and the backend alone",
            Self::Churn => "a herd of clients at the same instant, again and again",
            Self::Longpoll => "poll, publish, answer, poll again",
            Self::Latency => "publish-to-receipt time on an otherwise idle server",
            Self::Hold => "more streams than one descriptor table holds, one message to all",
            Self::Stampede => "a hint to all polls of a channel: what of it reaches the backend",
        }
    }

    /// Its number options with their defaults.
    pub(crate) fn counts(self) -> &'static [(Count, u64)] {
        match self {
            Self::Idle => &[
                (Count::Connections, 15_000),
                (Count::Cycles, 3),
                (Count::Window, 128),
            ],
            Self::Fanout => &[
                (Count::Connections, 10_000),
                (Count::Items, 200),
                (Count::Size, 100),
                (Count::Burst, 1),
                (Count::Rounds, 5),
            ],
            Self::Channels => &[
                (Count::Channels, 5_000),
                (Count::Items, 50_000),
                (Count::Size, 100),
                (Count::Concurrency, 16),
                (Count::Rounds, 5),
            ],
            Self::Proxy => &[
                (Count::Clients, 32),
                (Count::Seconds, 5),
                (Count::Size, 100),
                (Count::Rounds, 5),
            ],
            Self::Churn => &[(Count::Connections, 5_000), (Count::Rounds, 5)],
            Self::Longpoll => &[
                (Count::Clients, 1_000),
                (Count::Seconds, 5),
                (Count::Size, 100),
                (Count::PercentBack, 90),
                (Count::IntervalMs, 1),
            ],
            Self::Latency => &[
                (Count::Items, 2_000),
                (Count::IntervalMs, 5),
                (Count::Size, 100),
            ],
            Self::Hold => &[
                (Count::Connections, 100_000),
                (Count::Cycles, 1),
                (Count::Window, 256),
            ],
            Self::Stampede => &[
                (Count::Connections, 20_000),
                (Count::Window, 256),
                (Count::DelayMs, 10),
            ],
        }
    }

    /// Whether `--channels shared|own` applies.
    pub(crate) fn has_channel_mode(self) -> bool {
        matches!(self, Self::Idle | Self::Hold)
    }

    /// Whether the server gets one core by default instead of all: where a single-threaded
    /// yardstick or one client is compared with it, and the clients want a core for themselves.
    pub(crate) fn wants_one_core(self) -> bool {
        matches!(self, Self::Fanout | Self::Channels | Self::Latency)
    }
}
