//! An instruct in the making: what the fields said, before defaults are applied.

use std::collections::BTreeMap;

use super::instruct::{
    Channel, HOLD_TIMEOUT_S_DEFAULT, Hold, HoldMode, Instruct, InstructResponse, KeepAlive, Link,
    Status,
};

/// The parts of an instruct, with and without a hold. The JSON form is laid over it.
#[derive(Debug, Default)]
pub(super) struct Draft {
    pub(super) mode: Option<HoldMode>,
    pub(super) channels: Vec<Channel>,
    pub(super) timeout_s: Option<u32>,
    pub(super) expose: Option<Vec<String>>,
    pub(super) keep_alive: Option<KeepAlive>,
    pub(super) meta: BTreeMap<String, Option<String>>,
    pub(super) status: Option<Status>,
    pub(super) next: Option<Link>,
    pub(super) gone: Option<Link>,
}

impl Draft {
    /// Applies the defaults.
    pub(super) fn finish(self, response: Option<InstructResponse>) -> Instruct {
        let mut instruct = Instruct {
            status: self.status,
            expose: self.expose,
            next: self.next,
            gone: self.gone,
            response,
            ..Instruct::default()
        };
        let meta = self.meta.into_iter().collect();
        let Some(mode) = self.mode else {
            instruct.channels = self.channels;
            instruct.meta = meta;
            return instruct;
        };
        instruct.hold = Some(Hold {
            mode,
            timeout_s: self.timeout_s.unwrap_or(HOLD_TIMEOUT_S_DEFAULT),
            keep_alive: self.keep_alive,
            channels: self.channels,
            meta,
        });
        instruct
    }
}
