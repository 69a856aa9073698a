//! Signals, as commands: SIGTERM and SIGINT drain, SIGHUP reads the routes again.

use std::time::Duration;

use shard::io::control::ControlCommand;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

/// How long the control thread may take to listen.
const TELL_MAX: Duration = Duration::from_secs(1);

/// Passes signals on to the control thread, in a thread of its own, for as long as the process
/// lives. A second request to end ends the process at once.
///
/// # Errors
/// The system's, when signals cannot be caught or no thread can be made.
pub(crate) fn forward(commands: crossbeam_channel::Sender<ControlCommand>) -> std::io::Result<()> {
    let mut signals = Signals::new([SIGTERM, SIGINT, SIGHUP])?;
    std::thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || {
            let mut is_draining = false;
            for signal in &mut signals {
                if signal == SIGHUP {
                    // A full queue holds a request to reload already.
                    let _ = commands.try_send(ControlCommand::ReloadRoutes);
                    continue;
                }
                if std::mem::replace(&mut is_draining, true) {
                    log::warn!("ended by a second signal, without waiting for clients");
                    std::process::exit(1);
                }
                log::info!("draining: no new clients, what is under way may end");
                if let Err(error) = commands.send_timeout(ControlCommand::Drain, TELL_MAX) {
                    log::error!("the control thread does not listen: {error}");
                }
            }
        })?;
    Ok(())
}
