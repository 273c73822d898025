//! The embedded durable log of the Tidings hub
