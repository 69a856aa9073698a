//! GAP: under construction.
