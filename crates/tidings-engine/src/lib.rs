//! One shard per core: the threads, mailboxes and sockets that drive the Tidings hub
