/// Makes the enum, and all that is said of its variants, of one table: none can be missing from a
/// list.
macro_rules! full {
    ($($(#[$doc:meta])* $variant:ident $name:literal $sentence:literal;)*) => {
        /// Why somebody may not subscribe now.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Full {
            $($(#[$doc])* $variant,)*
        }

        impl Full {
            /// All of them; the number of each (`as usize`) is its place here.
            pub(crate) const ALL: &[Self] = &[$(Self::$variant),*];

            /// The name in metrics and logs.
            pub(crate) const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }

            /// One sentence for people.
            pub(crate) const fn sentence(self) -> &'static str {
                match self {
                    $(Self::$variant => $sentence,)*
                }
            }
        }
    };
}

full! {
    /// The hub has as many connections as it may.
    Hub "hub_connections" "the hub has as many connections as it may";
    /// The address has as many connections as it may.
    Connections "address_connections" "this address has as many connections as it may";
    /// The address has as many subscribers as it may.
    Address "address_subscribers" "this address has as many subscribers as it may";
    /// The token has as many subscribers as it may.
    Token "token_subscribers" "this token has as many subscribers as it may";
}
