//! What each client got, judged by what was planned, published and done to it.

use crate::channels::ToPolls;
use crate::plan::{Form, HoldPlan, Plan, Site, content};
use crate::reader::{Message, text};
use crate::run::Run;

impl Run {
    /// Judges every client. `is_quiet`: the world has come to rest, so nothing may be under way.
    pub(crate) fn judge_all(&mut self, is_quiet: bool) {
        for index in 0..self.clients.len() {
            self.client_parses(index);
            self.judge(index, is_quiet);
        }
    }

    fn judge(&self, index: usize, is_quiet: bool) {
        let client = &self.clients[index];
        for (place, message) in client.reader.messages.iter().enumerate() {
            // Over the limit or unread: answered before anything was asked.
            let Some(id) = client.plans.get(place) else {
                continue;
            };
            if let Err(why) = self.judge_response(index, place, &self.plans[*id], message, is_quiet)
            {
                panic!(
                    "every response is what was asked for: client {index}, request {id}: {why}\n\
                     {:?}\n{:?}\ngot {} {:?} {:?}",
                    self.plans[*id],
                    self.world.wires[client.wire],
                    message.start,
                    message.fields,
                    text(&message.content)
                );
            }
        }
        if is_quiet {
            self.judge_missing(index);
        }
    }

    /// Every request that was sent has its answer, unless there is a reason.
    fn judge_missing(&self, index: usize) {
        let client = &self.clients[index];
        let answered = client.reader.messages.len();
        let is_whole = client.has_sent_all() || answered + 1 < client.begun;
        let has_reason = client.is_reset
            || client.is_excused
            || client.reader.is_over()
            || self.is_cut(index)
            || self.held(index).is_some()
            || self.left_a_hold(index)
            || (!is_whole && self.world.wires[client.wire].is_closed);
        assert!(
            has_reason || answered == client.begun,
            "every request is answered: client {index} ({:?}) sent {} and got {answered}\n{:?}\n{:?}",
            client.plans,
            client.begun,
            self.world.wires[client.wire],
            self.plans[client.plans[answered]],
        );
    }

    fn is_cut(&self, index: usize) -> bool {
        let client = &self.clients[index];
        // The answer that has begun last, or the one that was cut before its head was whole.
        let count = client.reader.messages.len();
        let mut last = client
            .plans
            .iter()
            .take(count + 1)
            .skip(count.saturating_sub(1));
        let is_cut = last.any(|id| self.plans[*id].may_be_cut);
        is_cut || self.world.overflowed.contains(&client.wire)
    }

    /// It ended its side and was held, which ends the hold.
    fn left_a_hold(&self, index: usize) -> bool {
        let client = &self.clients[index];
        let asked = client.plans.iter().take(client.reader.messages.len() + 1);
        client.is_half_closed && asked.into_iter().any(|id| self.plans[*id].hold.is_some())
    }

    fn judge_response(
        &self,
        index: usize,
        place: usize,
        plan: &Plan,
        message: &Message,
        is_quiet: bool,
    ) -> Result<(), String> {
        let client = &self.clients[index];
        let may_be_cut = client.is_reset
            || client.is_excused
            || plan.may_be_cut
            || self.is_cut(index)
            || self.left_a_hold(index);
        let must_end =
            is_quiet && !may_be_cut && self.held(index).is_none_or(|(id, _)| id != plan.id);
        if must_end && !message.is_complete {
            return Err("it is not complete".to_owned());
        }
        let Some(id) = message.field("X-Id") else {
            return self.judge_own(index, plan, message);
        };
        if id != plan.id.to_string() {
            return Err(format!("the answer of {id}"));
        }
        let version = if plan.is_old { "HTTP/1.0" } else { "HTTP/1.1" };
        if !message.start.starts_with(version) {
            return Err("wrong version".to_owned());
        }
        match (plan.hold, message.field("X-Item")) {
            (Some(HoldPlan::Stream { .. }), None) => {
                self.judge_stream(index, plan, message, must_end)
            }
            (Some(HoldPlan::Response { .. }), Some(item)) => self.judge_item(plan, message, item),
            (Some(HoldPlan::Response { timeout_s }), None) => {
                let due_ms = plan.held_since_ms + timeout_s as u64 * 1000;
                if !plan.is_hinted && !client.is_excused && client.seen_ms[place] < due_ms {
                    return Err("a hold timed out early".to_owned());
                }
                judge_plain(plan, message, may_be_cut)
            }
            (None, None) => judge_plain(plan, message, may_be_cut),
            (_, Some(item)) => Err(format!("an item {item} that nobody waits for")),
        }
    }

    /// A response that the shard made itself.
    fn judge_own(&self, index: usize, plan: &Plan, message: &Message) -> Result<(), String> {
        let status = message.status();
        let is_planned = Self::own_status(plan) == Some(status);
        let is_failure = plan.may_fail && status == 502;
        let is_excused = self.clients[index].is_excused && matches!(status, 408 | 502 | 503);
        if is_planned || is_failure || is_excused {
            Ok(())
        } else {
            Err("the shard answered in the backend's place".to_owned())
        }
    }

    fn judge_item(&self, plan: &Plan, message: &Message, item: &str) -> Result<(), String> {
        let from = plan.held_from.as_ref().ok_or("an item before the hold")?;
        let (channel, seq) = item
            .trim_start_matches('c')
            .split_once('#')
            .ok_or("item name")?;
        let (channel, seq): (usize, usize) = (channel.parse().unwrap(), seq.parse().unwrap());
        if !plan.channels.contains(&channel) {
            return Err("an item of another channel".to_owned());
        }
        if self.log.first_for_polls(channel, from[channel]) != Some((seq, ToPolls::Send)) {
            return Err(format!("not the first item since {}", from[channel]));
        }
        let wanted = if plan.method == "HEAD" {
            String::new()
        } else {
            self.log.text(channel, seq)
        };
        if message.is_complete && text(&message.content) != wanted {
            return Err("the item's content is wrong".to_owned());
        }
        Ok(())
    }

    fn judge_stream(
        &self,
        index: usize,
        plan: &Plan,
        message: &Message,
        must_end: bool,
    ) -> Result<(), String> {
        let first = content(plan.id, plan.content_len);
        if plan.method == "HEAD" {
            return if message.content.is_empty() {
                Ok(())
            } else {
                Err("HEAD with content".to_owned())
            };
        }
        let count = first.len().min(message.content.len());
        let (start, items) = message.content.split_at(count);
        if !first.starts_with(start) {
            return Err("the first content is wrong".to_owned());
        }
        let Some(from) = &plan.held_from else {
            return if items.is_empty() {
                Ok(())
            } else {
                Err("items before the hold".to_owned())
            };
        };
        let reached = self.log.read_stream(&text(items), &plan.channels, from)?;
        let mut ends = plan.channels.iter().zip(&reached.next);
        if must_end && !ends.any(|(channel, next)| self.log.closes_next(*channel, *next)) {
            return Err("a stream ended without reason".to_owned());
        }
        let is_live =
            self.held(index).is_some_and(|(id, _)| id == plan.id) && !self.clients[index].is_reset;
        let mut all = plan.channels.iter().zip(&reached.next);
        let is_behind = all.any(|(channel, next)| {
            self.log.items[*channel].len() > *next && self.log.next_sent(*channel, *next).is_some()
        });
        if is_live && !must_end && self.is_quiet && (is_behind || reached.is_cut) {
            return Err(format!("items are missing: next are {:?}", reached.next));
        }
        Ok(())
    }
}

fn judge_plain(plan: &Plan, message: &Message, may_be_cut: bool) -> Result<(), String> {
    if message.status() != plan.status {
        return Err(format!("status {}", message.status()));
    }
    let is_empty = plan.method == "HEAD" || matches!(plan.status, 204 | 304);
    let wanted = if is_empty {
        Vec::new()
    } else {
        content(plan.id, plan.content_len)
    };
    if !wanted.starts_with(&message.content) {
        return Err("the content is wrong".to_owned());
    }
    let is_open_ended =
        message.is_until_close || plan.form == Form::UntilClose || plan.site != Site::Main;
    if message.is_complete && message.content.len() < wanted.len() && !(may_be_cut && is_open_ended)
    {
        return Err("the content is short".to_owned());
    }
    Ok(())
}
