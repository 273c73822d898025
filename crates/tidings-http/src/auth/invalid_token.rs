//! Why a token is not accepted.

use std::fmt;

#[cfg(doc)]
use crate::limits::CLAIM_TOKEN_BYTES_MAX;

/// Why a token is not accepted. The texts contain no quotes because they go into a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvalidToken {
    /// It is neither a key nor a JSON Web Token.
    Unknown,
    /// No key signed it.
    Signature,
    /// No known key of a set signed it; reading the set again may help.
    KeyUnknown,
    /// It requires extensions (`crit`, RFC 7515 §4.1.11); none is supported.
    Critical,
    /// No key is used with its algorithm.
    Algorithm,
    /// Its `exp` is in the past.
    Expired,
    /// Its `nbf` is in the future.
    NotYetValid,
    /// A claim is not of the type it must be.
    Claims,
    /// It does not say what it grants.
    NoAccess,
    /// It has a claim `tidings` that is no object.
    Tidings,
    /// This member of its claim `tidings` cannot be understood.
    Member(&'static str),
    /// It has a claim `tidings`, and more than [`CLAIM_TOKEN_BYTES_MAX`] bytes.
    TooLong,
}

impl fmt::Display for InvalidToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Member(name) => {
                return write!(f, "the member {name} of the tidings claim cannot be understood");
            }
            Self::Unknown => "the token is neither a known key nor a JSON Web Token",
            Self::Signature => "the signature of the token does not fit any key of the hub",
            Self::KeyUnknown => "no key of the hub's key set fits the token (kid)",
            Self::Critical => "the token asks for extensions that the hub does not know (crit)",
            Self::Algorithm => "the algorithm of the token is not one that the hub accepts",
            Self::Expired => "the token has expired (exp)",
            Self::NotYetValid => "the token is not valid yet (nbf)",
            Self::Claims => "a claim of the token is malformed",
            Self::NoAccess => "the token has no tidings or mercure claim that says what it grants",
            Self::Tidings => "the tidings claim of the token is no object",
            Self::TooLong => "the token is longer than the hub accepts",
        })
    }
}
