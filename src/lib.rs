//! Fleetwire.
