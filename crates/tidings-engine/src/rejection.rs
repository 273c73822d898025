/// Makes the enum, and all that is said of its variants, of one table: none can be missing from a
/// list.
macro_rules! rejections {
    ($($(#[$doc:meta])* $variant:ident $name:literal $sentence:literal;)*) => {
        /// Why a subscriber is asked to come back later.
        ///
        /// The engine gives the first five. The others are for the server in front of it, which
        /// counts what one client has: all reasons stand in one table, so that metrics, traces and
        /// answers name them alike.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[non_exhaustive]
        pub enum Rejection {
            $($(#[$doc])* $variant,)*
        }

        impl Rejection {
            /// All of them; the number of each (`as usize`) is its place here.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The name in metrics and logs.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }

            /// One sentence for people.
            pub const fn sentence(self) -> &'static str {
                match self {
                    $(Self::$variant => $sentence,)*
                }
            }
        }
    };
}

rejections! {
    /// The configured number of subscribers is connected.
    AtCapacity "at_capacity" "the hub holds as many subscribers as it may";
    /// More come at once than are let in per second.
    TooFast "too_fast" "more subscribers come at once than the hub lets in";
    /// The hub is shutting down.
    Draining "draining" "the hub is shutting down";
    /// The client has an event that this node of a shared log does not have yet.
    Behind "behind" "this node does not have the last event of the subscriber yet";
    /// This node, which has just started, has not fetched its copy of the shared log yet.
    CatchingUp "catching_up" "this node has not fetched the whole log yet";
    /// The hub has the configured number of connections.
    HubConnections "hub_connections" "the hub has as many connections as it may";
    /// The client's address has the configured number of connections.
    AddressConnections "address_connections" "this address has as many connections as it may";
    /// The client's address has the configured number of subscribers.
    AddressSubscribers "address_subscribers" "this address has as many subscribers as it may";
    /// The client's token has the configured number of subscribers.
    TokenSubscribers "token_subscribers" "this token has as many subscribers as it may";
    /// The client's key has the configured number of subscribers and long polls.
    KeyConnections "key_connections" "the key of this token has as many connections as it may";
    /// The operator's backend, which knows what the client may do, gives no answer.
    AuthorizeUnavailable "authorize_unavailable" "its backend gives no answer";
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_reason_has_a_number_and_a_name_of_its_own() {
        let numbers: Vec<_> = Rejection::ALL.iter().map(|reason| *reason as usize).collect();
        assert_eq!(numbers, (0..Rejection::ALL.len()).collect::<Vec<_>>());
        let names: HashSet<_> = Rejection::ALL.iter().map(|reason| reason.name()).collect();
        assert_eq!(names.len(), Rejection::ALL.len());
    }
}
