//! An EventSource for Rust that reconnects and resumes, and a publisher beside it
