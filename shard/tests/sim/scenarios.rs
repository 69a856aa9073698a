//! One edge each, without chance.

mod backends;
mod endings;
mod fetches;
mod filter_requests;
mod filters;
mod gone;
mod heads;
mod hold_limits;
mod holds;
mod instruct_fields;
mod instructs;
mod json_instructs;
mod link_targets;
mod links;
mod long_polls;
mod lost;
mod positions;
mod rates;
mod slow;
mod streams;
mod timers;
mod uploads;
