//! The requests of one connection, one after the other: bytes in, requests out. No socket.
//!
//! Pipelining works, since nothing behind a request's content is touched before the next call.

use proto::Parsed;
use proto::http::Version;
use proto::http1::{BodyReader, BodyStep, Framing, HeadLimits, empty_slots, parse_request};

use super::answer::Manner;
use super::input::Input;
use super::plan::{Plan, Service};
use super::refusal::Refusal;

/// Limits of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RequestLimits {
    /// Of its head.
    pub(crate) head: HeadLimits,
    /// Bytes of its content.
    pub(crate) body_len_max: usize,
}

/// The reading side of one connection.
#[derive(Debug)]
pub(crate) struct Exchange {
    service: Service,
    limits: RequestLimits,
    input: Input,
    state: State,
    /// Content that came in chunks, joined.
    chunked: Vec<u8>,
}

/// Where in a request the connection is.
#[derive(Debug)]
enum State {
    /// Before or within a head.
    Head,
    /// Within the content of a request.
    Content(Plan, BodyReader),
    /// A request was handed out; its content takes so many bytes of the input.
    Handed {
        content_len: usize,
        is_chunked: bool,
    },
}

/// What is to be done next.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Read more.
    NeedMore,
    /// Send the interim answer, then come again.
    Continue,
    /// Answer this; its content is [`Exchange::content`].
    Request(Plan),
    /// Answer with this refusal and close.
    Refused(Refusal, Manner),
}

impl Exchange {
    /// The start of a connection.
    pub(crate) fn new(service: Service, limits: RequestLimits) -> Self {
        let (input, chunked) = (Input::default(), Vec::new());
        Self {
            service,
            limits,
            input,
            state: State::Head,
            chunked,
        }
    }

    /// Where bytes are read into.
    pub(crate) fn room(&mut self) -> &mut [u8] {
        self.input.room()
    }

    /// Says that `len` bytes were read into [`Self::room`].
    pub(crate) fn filled(&mut self, len: usize) {
        self.input.filled(len);
    }

    /// Whether nothing of a request has come yet.
    pub(crate) fn is_idle(&self) -> bool {
        matches!(self.state, State::Head | State::Handed { .. }) && self.input.unread().is_empty()
    }

    /// The content of the request that [`Self::next`] handed out.
    pub(crate) fn content(&self) -> &[u8] {
        match &self.state {
            State::Handed {
                is_chunked: true, ..
            } => &self.chunked,
            State::Handed {
                content_len,
                is_chunked: false,
            } => self.input.unread().get(..*content_len).unwrap_or_default(),
            State::Head | State::Content(..) => &[],
        }
    }

    /// Goes on with what was read.
    pub(crate) fn next(&mut self) -> Step {
        if let State::Handed { content_len, .. } = self.state {
            self.input.consume(content_len);
            // What one big request needed is not kept for the small ones.
            self.chunked = Vec::new();
            self.state = State::Head;
        }
        if matches!(self.state, State::Head) {
            match self.read_head() {
                Ok(true) => {}
                Ok(false) => return Step::NeedMore,
                Err((refusal, version)) => return refused(refusal, version),
            }
        }
        let State::Content(plan, _) = &self.state else {
            return Step::NeedMore;
        };
        let version = plan.manner.version;
        match self.read_content() {
            Ok(step) => step,
            Err(refusal) => refused(refusal, version),
        }
    }

    /// Whether the head is complete; then the state says what it wants.
    fn read_head(&mut self) -> Result<bool, (Refusal, Version)> {
        let mut slots = empty_slots();
        let parsed = parse_request(self.input.unread(), &mut slots, &self.limits.head)
            .map_err(|error| (error.into(), Version::Http11))?;
        let Parsed::Complete(head, used) = parsed else {
            return Ok(false);
        };
        let plan = Plan::new(&head, self.service, self.limits.body_len_max)
            .map_err(|refusal| (refusal, head.version))?;
        let reader = BodyReader::new(plan.framing);
        self.state = State::Content(plan, reader);
        self.input.consume(used);
        Ok(true)
    }

    fn read_content(&mut self) -> Result<Step, Refusal> {
        let State::Content(plan, reader) = &mut self.state else {
            return Ok(Step::NeedMore);
        };
        let content_len = match plan.framing {
            Framing::None | Framing::UntilClose => Some(0),
            Framing::Length(len) => usize::try_from(len)
                .ok()
                .filter(|len| *len <= self.input.unread().len()),
            Framing::Chunked => {
                let max = self.limits.body_len_max;
                join_chunks(reader, &mut self.input, &mut self.chunked, max)?.then_some(0)
            }
        };
        let Some(content_len) = content_len else {
            let waits = std::mem::take(&mut plan.expects_continue);
            return Ok(if waits {
                Step::Continue
            } else {
                Step::NeedMore
            });
        };
        let is_chunked = plan.framing == Framing::Chunked;
        let handed = State::Handed {
            content_len,
            is_chunked,
        };
        match std::mem::replace(&mut self.state, handed) {
            State::Content(plan, _) => Ok(Step::Request(plan)),
            State::Head | State::Handed { .. } => Ok(Step::NeedMore),
        }
    }
}

/// Moves the content of the chunks at hand to `out`; whether the body is complete.
fn join_chunks(
    reader: &mut BodyReader,
    input: &mut Input,
    out: &mut Vec<u8>,
    len_max: usize,
) -> Result<bool, Refusal> {
    loop {
        match reader.step(input.unread())? {
            BodyStep::Data { start, end } => {
                let content = input.unread().get(start..end).unwrap_or_default();
                if out.len() + content.len() > len_max {
                    return Err(Refusal::BodyTooLarge);
                }
                out.extend_from_slice(content);
                input.consume(end);
            }
            BodyStep::NeedMore { used } => {
                input.consume(used);
                return Ok(false);
            }
            BodyStep::End { used } => {
                input.consume(used);
                return Ok(true);
            }
        }
    }
}

fn refused(refusal: Refusal, version: Version) -> Step {
    Step::Refused(
        refusal,
        Manner {
            version,
            persistent: false,
            head_only: false,
        },
    )
}

#[cfg(test)]
mod tests;
