//! Rules that join several settings.
