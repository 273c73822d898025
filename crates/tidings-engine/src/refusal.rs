/// Makes the enum, and all that is said of its variants, of one table: none can be missing from a
/// list.
macro_rules! refusals {
    ($($(#[$doc:meta])* $variant:ident $name:literal $sentence:literal;)*) => {
        /// Why there is no room for a subscriber now.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Refusal {
            $($(#[$doc])* $variant,)*
        }

        impl Refusal {
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

refusals! {
    /// The configured number of subscribers is connected.
    AtCapacity "at_capacity" "the hub holds as many subscribers as it may";
    /// More come at once than are let in per second.
    TooFast "too_fast" "more subscribers come at once than the hub lets in";
    /// The hub is leaving.
    Draining "draining" "the hub is shutting down";
}
