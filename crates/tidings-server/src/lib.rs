//! The HTTP face of the Tidings hub: native API, auth, CORS, health
