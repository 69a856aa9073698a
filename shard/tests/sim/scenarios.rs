//! One edge each, without chance.

mod backends;
mod endings;
mod heads;
mod holds;
mod rates;
mod slow;
mod timers;
mod uploads;
