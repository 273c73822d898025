//! Topics, matchers, records, shards and the Store trait of the Tidings hub; no I/O
