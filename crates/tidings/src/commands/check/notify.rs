//! The receivers of what happens to connections, as `tidings check` shows them.

use tidings_server::NotifyReceiver;

use crate::settings::Origin;

/// The lines about a receiver.
pub(super) fn receiver(receiver: &NotifyReceiver, origin: &Origin) -> [String; 2] {
    let place = format!("{:?}", receiver.place());
    let with = if receiver.addresses { "with" } else { "without" };
    let signed = match receiver.secrets().len() {
        1 => "one secret".to_owned(),
        secrets => format!("{secrets} secrets"),
    };
    [
        format!("[[notify]] {place:<33} # {origin}"),
        format!("  signed with {signed}, {with} the addresses of clients"),
    ]
}
