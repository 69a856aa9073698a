//! The answer on its way from the backend to the client.

mod plan;

use proto::Parsed;
use proto::grip::{self, Instruct, InstructError};
use proto::http1::{BodyReader, BodyStep, ResponseHead, Slots, encode, parse_response};

use super::actions::Actions;
use super::answer::{FINAL_STATUS_MIN, Refusal};
use super::conn::ClientTerms;
use super::cross_origin::CrossOrigin;
use super::exchange::{
    Answer, Collected, Exchange, JsonContext, ReplyFraming, ResponsePhase, StreamStart,
};
use super::filter::RequestFailure;
use super::jsonp::{self, JsonpBody};
use super::links::has_response_filter;
use super::request_log::Outcome;
use super::rewrite::{absolute_url, write_response_fields};
use super::upload::send_piece;
use super::{ConnKey, Core, Socket};
use plan::{Plan, write_start};

/// Content up to this many bytes is copied behind its head, so that both leave in one piece.
const COPIED_MAX: usize = 16 * 1024;

/// Where bytes of a response lie.
#[derive(Clone, Copy)]
pub(super) struct Input<'b> {
    pub(super) bytes: &'b [u8],
    /// Their place in the io side's buffer; `None`: they are ours and have to be copied.
    pub(super) offset: Option<usize>,
}

impl<'b> Input<'b> {
    fn behind(self, used: usize) -> Self {
        Self {
            bytes: self.bytes.get(used..).unwrap_or_default(),
            offset: self.offset.map(|offset| offset + used),
        }
    }
}

impl<S: Socket> Core<S> {
    /// Bytes of the answer have come.
    pub(super) fn response_received(
        &mut self,
        key: ConnKey,
        mut exchange: Box<Exchange>,
        backend: ConnKey,
        bytes: &[u8],
        actions: &mut Actions,
    ) {
        self.schedule_in(backend, self.settings.body_timeout_ms);
        let input = Input {
            bytes,
            offset: Some(0),
        };
        match &mut exchange.response {
            ResponsePhase::Head(head) if head.is_empty() => {
                self.read_head(key, exchange, input, actions);
            }
            ResponsePhase::Head(head) => {
                let mut all = std::mem::take(head);
                all.extend_from_slice(bytes);
                self.read_head(
                    key,
                    exchange,
                    Input {
                        bytes: &all,
                        offset: None,
                    },
                    actions,
                );
            }
            ResponsePhase::Relay { .. } => self.relay(key, exchange, input, actions),
            ResponsePhase::Errand { .. } => self.errand_body(key, exchange, input, actions),
            ResponsePhase::Collect(_) => self.collect(key, exchange, input, actions),
        }
    }

    /// Reads heads off the front of `input`: interim ones are passed on or skipped, the final one
    /// decides.
    pub(super) fn read_head(
        &mut self,
        key: ConnKey,
        mut exchange: Box<Exchange>,
        mut input: Input<'_>,
        actions: &mut Actions,
    ) {
        loop {
            let mut slots = Slots::new();
            let limits = self.settings.response_limits;
            // A script may ask for HEAD: what counts is what the backend was asked.
            let is_head = exchange.request.method() == b"HEAD";
            match parse_response(input.bytes, &mut slots, &limits, is_head) {
                Ok(Parsed::NeedMore) => {
                    exchange.response = ResponsePhase::Head(input.bytes.to_vec());
                    self.put_back(key, exchange);
                    return;
                }
                Ok(Parsed::Complete(head, used))
                    if (100..200).contains(&head.status) && head.status != 101 =>
                {
                    self.relay_interim(key, &exchange.terms, &head, actions);
                    self.note_alive(key, &exchange);
                    input = input.behind(used);
                }
                Ok(Parsed::Complete(head, used)) if head.status != 101 => {
                    self.counters.bytes.server_header_received.add(used as u64);
                    self.head_complete(key, exchange, &head, input.behind(used), actions);
                    return;
                }
                Ok(Parsed::Complete(..)) => {
                    self.bad_response(key, exchange, "backend switched protocols unasked", actions);
                    return;
                }
                Err(error) => {
                    self.bad_response(key, exchange, &error.to_string(), actions);
                    return;
                }
            }
        }
    }

    fn put_back(&mut self, key: ConnKey, exchange: Box<Exchange>) {
        self.set_state(key, super::conn::State::Exchange(exchange));
    }

    fn bad_response(
        &mut self,
        key: ConnKey,
        exchange: Box<Exchange>,
        why: &str,
        actions: &mut Actions,
    ) {
        self.counters.errors.backend_broke_off.add(1);
        if exchange.errand.is_some() {
            self.errand_failed(key, exchange, RequestFailure::General, actions);
            return;
        }
        let why = format!("Bad response: {why}.");
        let refusal = Refusal::gateway(self.is_debug(exchange.route), why);
        self.fail(key, exchange, &refusal, actions);
    }

    /// Passes on what the client can use (RFC 9110 section 15.2): not `100`, which we have given
    /// ourselves, and nothing to HTTP/1.0.
    fn relay_interim(
        &self,
        key: ConnKey,
        terms: &ClientTerms,
        head: &ResponseHead<'_, '_>,
        actions: &mut Actions,
    ) {
        if head.status == 100 || !Self::can_chunk(terms) {
            return;
        }
        let start = actions.scratch.len();
        encode::status_line(
            &mut actions.scratch,
            terms.version,
            head.status,
            head.reason,
        );
        write_response_fields(head.fields, false, &|_| true, &mut actions.scratch);
        encode::end_of_head(&mut actions.scratch);
        actions.send_scratch(key, start);
    }

    fn head_complete(
        &mut self,
        key: ConnKey,
        mut exchange: Box<Exchange>,
        head: &ResponseHead<'_, '_>,
        rest: Input<'_>,
        actions: &mut Actions,
    ) {
        if exchange.errand.is_some() {
            self.errand_head(key, exchange, head, rest, actions);
            return;
        }
        let is_shared = self.is_to_share(&mut exchange, head);
        let is_raw = exchange.terms.is_trusted
            || self
                .routes
                .get(exchange.route)
                .is_none_or(|local| local.route.no_grip);
        if is_raw || !grip::is_instruct(head.fields) {
            if is_shared {
                let plain = (Instruct::default(), None);
                self.begin_collect(key, exchange, head, rest, plain, actions);
            } else {
                self.begin_relay(key, exchange, head, rest, None, actions);
            }
            return;
        }
        let url = self.client_url(key, &exchange);
        if grip::is_json_instruct(head.fields) {
            let grip_fields = head
                .fields
                .iter()
                .filter(|field| grip::is_grip_name(field.name));
            let fields = grip_fields
                .map(|f| (f.name.to_owned(), f.value.to_vec()))
                .collect();
            let json = Some(JsonContext { fields, url });
            self.begin_collect(
                key,
                exchange,
                head,
                rest,
                (Instruct::default(), json),
                actions,
            );
            return;
        }
        match grip::decode_fields(head.fields, &url) {
            Ok(instruct) if is_shared && instruct.hold.is_none() => {
                self.begin_collect(key, exchange, head, rest, (instruct, None), actions);
            }
            Ok(instruct) => self.instruct_complete(key, exchange, head, rest, instruct, actions),
            Err(error) => self.bad_instruct(key, exchange, &error.to_string(), actions),
        }
    }

    pub(super) fn bad_instruct(
        &mut self,
        key: ConnKey,
        exchange: Box<Exchange>,
        why: &str,
        actions: &mut Actions,
    ) {
        self.counters.errors.instruct_invalid.add(1);
        let why = format!("Failed to parse accept instructions: {why}");
        let refusal = Refusal::gateway(self.is_debug(exchange.route), why);
        self.fail(key, exchange, &refusal, actions);
    }

    /// Instructions in the fields decide what is done with the content: a stream is opened while
    /// its first content arrives, a response hold has to be complete first.
    fn instruct_complete(
        &mut self,
        key: ConnKey,
        exchange: Box<Exchange>,
        head: &ResponseHead<'_, '_>,
        rest: Input<'_>,
        instruct: Instruct,
        actions: &mut Actions,
    ) {
        if instruct
            .status
            .as_ref()
            .is_some_and(|status| status.code < FINAL_STATUS_MIN)
        {
            let error = InstructError::StatusCode.to_string();
            self.bad_instruct(key, exchange, &error, actions);
            return;
        }
        match instruct.hold.as_ref().map(|hold| hold.mode) {
            Some(_) if !self.is_retryable(&exchange) => {
                self.too_large_to_hold(key, exchange, actions)
            }
            // The content is filtered as a whole, which bounds it (grip-http.md section 3.1).
            _ if has_response_filter(&instruct) => {
                self.begin_collect(key, exchange, head, rest, (instruct, None), actions);
            }
            Some(grip::HoldMode::Response) => {
                self.begin_collect(key, exchange, head, rest, (instruct, None), actions);
            }
            Some(grip::HoldMode::Stream) | None => {
                self.begin_relay(key, exchange, head, rest, Some(instruct), actions);
            }
        }
    }

    fn too_large_to_hold(&mut self, key: ConnKey, exchange: Box<Exchange>, actions: &mut Actions) {
        let refusal = Refusal::new(400, "Request too large to accept GRIP instruct.");
        self.fail(key, exchange, &refusal, actions);
    }

    fn begin_collect(
        &mut self,
        key: ConnKey,
        mut exchange: Box<Exchange>,
        head: &ResponseHead<'_, '_>,
        rest: Input<'_>,
        (instruct, json): (Instruct, Option<JsonContext>),
        actions: &mut Actions,
    ) {
        if !self.is_retryable(&exchange) {
            self.too_large_to_hold(key, exchange, actions);
            return;
        }
        let mut fields = Vec::new();
        let is_instruct = grip::is_instruct(head.fields);
        write_response_fields(
            head.fields,
            is_instruct,
            &|name| !is_instruct || instruct.keeps_field(name),
            &mut fields,
        );
        exchange.response = ResponsePhase::Collect(Box::new(Collected {
            reader: BodyReader::new(head.framing),
            is_backend_persistent: head.persistent,
            answer: Answer {
                status: head.status,
                reason: head.reason.to_vec(),
                fields,
                content: Vec::new(),
            },
            instruct,
            json,
        }));
        self.collect(key, exchange, rest, actions);
    }

    /// The absolute URL that the client asked for.
    pub(super) fn client_url(&self, key: ConnKey, exchange: &Exchange) -> String {
        if let Some(url) = &exchange.original_url {
            return url.to_string();
        }
        let is_ssl = self.rows.get(key).is_some_and(|row| row.flags.is_ssl);
        absolute_url(&exchange.request, is_ssl)
    }

    /// Whether the whole request is at hand, so that a hold could send it again.
    fn is_retryable(&self, exchange: &Exchange) -> bool {
        exchange.upload.is_complete()
            && exchange.upload.is_replayable
            && exchange.request.content_len() <= grip::CONTENT_LEN_MAX
    }

    /// Sends the head and what has come of the content.
    fn begin_relay(
        &mut self,
        key: ConnKey,
        mut exchange: Box<Exchange>,
        head: &ResponseHead<'_, '_>,
        rest: Input<'_>,
        instruct: Option<Instruct>,
        actions: &mut Actions,
    ) {
        if !exchange.upload.is_complete() {
            // The answer came early: the rest of the request will not be read (RFC 9112 section 9.6).
            exchange.terms.is_persistent = false;
        }
        // 204 and 304 can be held but not be written to, so their end is the connection's.
        let hold = instruct
            .as_ref()
            .is_some_and(|instruct| instruct.hold.is_some() || instruct.next.is_some());
        let mut plan = Plan::new(head, rest.bytes, &exchange.terms, hold, instruct.as_ref());
        let cross_origin = exchange.cross_origin.take();
        // A script runs when it has ended, so streams are left as they are.
        let context = cross_origin.as_deref().filter(|_| !hold);
        let context = context.and_then(CrossOrigin::jsonp);
        if context.is_some() {
            plan.become_script(&exchange.terms);
        }
        let is_mute_hold = hold && plan.framing == ReplyFraming::None && !exchange.terms.is_head;
        if plan.framing == ReplyFraming::UntilClose || is_mute_hold {
            exchange.terms.is_persistent = false;
        }
        let start = actions.scratch.len();
        let (instruction, out) = (instruct.as_ref(), &mut actions.scratch);
        let on_top = (cross_origin.as_deref(), context);
        let jsonp = write_start(head, &plan, &exchange.terms, instruction, on_top, out);
        self.counters
            .bytes
            .client_header_sent
            .add((actions.scratch.len() - start) as u64);
        let told = context.map_or(plan.status, |_| jsonp::STATUS.0);
        self.counters.requests.count_response(told);
        if !hold {
            self.log_request(key, &exchange, Outcome::Status(plan.status));
        }
        let is_mute = plan.framing == ReplyFraming::None;
        let is_copying = rest.bytes.len() <= COPIED_MAX || rest.offset.is_none() || jsonp.is_some();
        exchange.response = ResponsePhase::Relay {
            reader: plan.reader,
            framing: plan.framing,
            is_backend_persistent: head.persistent,
            jsonp,
            hold: instruct.filter(|_| hold).map(|instruct| {
                Box::new(StreamStart {
                    instruct,
                    is_mute,
                    failure: None,
                })
            }),
        };
        let outlet = Outlet {
            key,
            start,
            is_copying,
        };
        if !is_copying {
            outlet.flush_head(actions);
        }
        self.relay_through(outlet, exchange, rest, actions);
    }

    /// Passes content on.
    fn relay(
        &mut self,
        key: ConnKey,
        exchange: Box<Exchange>,
        input: Input<'_>,
        actions: &mut Actions,
    ) {
        let is_script = matches!(
            &exchange.response,
            ResponsePhase::Relay { jsonp: Some(_), .. }
        );
        let outlet = Outlet {
            key,
            start: actions.scratch.len(),
            is_copying: input.offset.is_none() || is_script,
        };
        self.relay_through(outlet, exchange, input, actions);
    }

    fn relay_through(
        &mut self,
        outlet: Outlet,
        mut exchange: Box<Exchange>,
        input: Input<'_>,
        actions: &mut Actions,
    ) {
        let ResponsePhase::Relay {
            reader,
            framing,
            jsonp,
            hold,
            ..
        } = &mut exchange.response
        else {
            return;
        };
        let (framing, is_held) = (*framing, hold.is_some());
        let bytes = &self.counters.bytes;
        let mut at = 0;
        let outcome = loop {
            match next_piece(reader, input.bytes, at) {
                Ok(BodyStep::Data { start, end }) => {
                    let len = (end - start) as u64;
                    bytes.server_content_received.add(len);
                    if framing != ReplyFraming::None {
                        bytes.client_content_sent.add(len);
                        match jsonp {
                            Some(jsonp) => {
                                let content = input.bytes.get(start..end).unwrap_or_default();
                                jsonp.piece(content, &mut actions.scratch);
                            }
                            None => outlet.piece(input, start..end, framing, actions),
                        }
                    }
                    at = end;
                }
                Ok(BodyStep::End { used }) => break Some(Ok(used)),
                Ok(BodyStep::NeedMore { .. }) => break None,
                Err(error) => break Some(Err(error)),
            }
        };
        if matches!(outcome, Some(Ok(_))) && !is_held {
            match jsonp.take() {
                Some(jsonp) => jsonp.end(&mut actions.scratch),
                None if framing == ReplyFraming::Chunked => outlet.last_chunk(actions),
                None => {}
            }
        }
        outlet.flush(actions);
        let key = outlet.key;
        match outcome {
            None => self.put_back(key, exchange),
            Some(Ok(used)) => {
                let has_surplus = input.bytes.len() > used;
                self.response_ended(key, exchange, Some(has_surplus), actions);
            }
            Some(Err(error)) => self.bad_response(key, exchange, &error.to_string(), actions),
        }
    }

    /// Gathers the content of an answer with instructions.
    fn collect(
        &mut self,
        key: ConnKey,
        mut exchange: Box<Exchange>,
        input: Input<'_>,
        actions: &mut Actions,
    ) {
        let ResponsePhase::Collect(collected) = &mut exchange.response else {
            return;
        };
        let mut at = 0;
        loop {
            match next_piece(&mut collected.reader, input.bytes, at) {
                Ok(BodyStep::Data { start, end }) => {
                    self.counters
                        .bytes
                        .server_content_received
                        .add((end - start) as u64);
                    let piece = input.bytes.get(start..end).unwrap_or_default();
                    collected.answer.content.extend_from_slice(piece);
                    at = end;
                    if collected.answer.content.len() > grip::CONTENT_LEN_MAX {
                        self.instruct_too_large(key, exchange, actions);
                        return;
                    }
                }
                Ok(BodyStep::End { used }) => {
                    let has_surplus = input.bytes.len() > used;
                    self.response_ended(key, exchange, Some(has_surplus), actions);
                    return;
                }
                Ok(BodyStep::NeedMore { .. }) => {
                    self.put_back(key, exchange);
                    return;
                }
                Err(error) => {
                    self.bad_response(key, exchange, &error.to_string(), actions);
                    return;
                }
            }
        }
    }

    fn instruct_too_large(&mut self, key: ConnKey, exchange: Box<Exchange>, actions: &mut Actions) {
        self.counters.errors.instruct_invalid.add(1);
        let target = self.routes.get(exchange.route).and_then(|local| {
            local
                .route
                .targets
                .get(exchange.target)
                .map(|target| target.text.clone())
        });
        let why = format!(
            "GRIP instruct response too large from {}",
            target.unwrap_or_default()
        );
        let refusal = Refusal::gateway(self.is_debug(exchange.route), why);
        self.fail(key, exchange, &refusal, actions);
    }

    /// Whether a close at this point is how the response says that it is complete.
    pub(super) fn ends_well(&self, exchange: &Exchange) -> bool {
        match &exchange.response {
            ResponsePhase::Head(_) => false,
            ResponsePhase::Relay { reader, .. } => reader.finish_at_eof().is_ok(),
            ResponsePhase::Errand { reader, .. } => reader.finish_at_eof().is_ok(),
            ResponsePhase::Collect(collected) => collected.reader.finish_at_eof().is_ok(),
        }
    }

    /// The response is complete. `surplus`: bytes came behind it on the backend connection; `None`
    /// if that connection is gone already.
    pub(super) fn response_ended(
        &mut self,
        key: ConnKey,
        mut exchange: Box<Exchange>,
        surplus: Option<bool>,
        actions: &mut Actions,
    ) {
        let is_upload_complete = exchange.upload.is_complete();
        let phase = std::mem::replace(&mut exchange.response, ResponsePhase::Head(Vec::new()));
        let is_persistent = match &phase {
            ResponsePhase::Head(_) => false,
            ResponsePhase::Relay {
                is_backend_persistent,
                ..
            }
            | ResponsePhase::Errand {
                is_backend_persistent,
                ..
            } => *is_backend_persistent,
            ResponsePhase::Collect(collected) => collected.is_backend_persistent,
        };
        if let Some(backend) = exchange.open_backend()
            && surplus == Some(false)
            && is_persistent
            && is_upload_complete
            // It has answered without reading: the next request would wait behind that.
            && !self.is_blocked(backend)
        {
            exchange.backend = super::exchange::Link::None;
            self.release_backend(backend, actions);
        } else {
            self.let_go_of_backend(&mut exchange, actions);
        }
        match phase {
            ResponsePhase::Head(_) => self.next_request(key, exchange, actions),
            ResponsePhase::Errand { .. } => self.errand_done(key, exchange, actions),
            ResponsePhase::Relay {
                hold: Some(start), ..
            } => {
                self.begin_stream(key, exchange, *start, actions);
            }
            ResponsePhase::Relay {
                reader,
                framing,
                jsonp,
                hold: None,
                ..
            } => {
                if matches!(reader, BodyReader::UntilClose) {
                    end_content(key, framing, jsonp, actions);
                }
                self.next_request(key, exchange, actions);
            }
            ResponsePhase::Collect(collected) => {
                let followers = self.take_followers(&mut exchange);
                if followers.is_empty() {
                    self.collected_all(key, exchange, *collected, actions);
                    return;
                }
                self.collected_all(key, exchange, (*collected).clone(), actions);
                self.share(followers, &collected, actions);
            }
        }
    }
}

/// Where content goes: straight out of the io side's buffer, or by way of the scratch buffer, in
/// which the head may already be.
#[derive(Clone, Copy)]
struct Outlet {
    key: ConnKey,
    /// Where the scratch bytes begin that are to be sent.
    start: usize,
    is_copying: bool,
}

impl Outlet {
    fn piece(
        self,
        input: Input<'_>,
        range: std::ops::Range<usize>,
        framing: ReplyFraming,
        actions: &mut Actions,
    ) {
        let is_chunked = framing == ReplyFraming::Chunked;
        if !self.is_copying {
            let place = input.offset.unwrap_or_default();
            let place = place + range.start..place + range.end;
            send_piece(self.key, place, is_chunked, actions);
            return;
        }
        let content = input.bytes.get(range).unwrap_or_default();
        if is_chunked {
            encode::chunk(&mut actions.scratch, content);
        } else {
            actions.scratch.extend_from_slice(content);
        }
    }

    fn last_chunk(self, actions: &mut Actions) {
        let start = actions.scratch.len();
        actions.scratch.extend_from_slice(encode::LAST_CHUNK);
        if !self.is_copying {
            actions.send_scratch(self.key, start);
        }
    }

    fn flush_head(self, actions: &mut Actions) {
        actions.send_scratch(self.key, self.start);
    }

    fn flush(self, actions: &mut Actions) {
        if self.is_copying {
            actions.send_scratch(self.key, self.start);
        }
    }
}

/// Ends content that was closed instead of framed, by a backend that gives it no other end.
fn end_content(
    key: ConnKey,
    framing: ReplyFraming,
    jsonp: Option<Box<JsonpBody>>,
    actions: &mut Actions,
) {
    let start = actions.scratch.len();
    match jsonp {
        Some(jsonp) => jsonp.end(&mut actions.scratch),
        None if framing == ReplyFraming::Chunked => {
            actions.scratch.extend_from_slice(encode::LAST_CHUNK);
        }
        None => {}
    }
    actions.send_scratch(key, start);
}

/// The next piece behind `at`, its place counted from the start of `bytes`.
pub(super) fn next_piece(
    reader: &mut BodyReader,
    bytes: &[u8],
    at: usize,
) -> Result<BodyStep, proto::http1::BodyError> {
    if reader.is_done() {
        return Ok(BodyStep::End { used: at });
    }
    Ok(match reader.step(bytes.get(at..).unwrap_or_default())? {
        BodyStep::Data { start, end } => BodyStep::Data {
            start: at + start,
            end: at + end,
        },
        BodyStep::End { used } => BodyStep::End { used: at + used },
        BodyStep::NeedMore { used } => BodyStep::NeedMore { used: at + used },
    })
}
