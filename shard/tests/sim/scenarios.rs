//! One edge each, without chance.

mod backends;
mod endings;
mod heads;
mod holds;
mod instruct_fields;
mod instructs;
mod json_instructs;
mod long_polls;
mod rates;
mod slow;
mod timers;
mod uploads;
