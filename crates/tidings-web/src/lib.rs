//! Console, demo pages and tidings.js: static files embedded in the Tidings binary
