//! The order that is under way, as it is kept: a process that is killed between its end and the
//! writing of the certificate goes on with it, and orders nothing twice.

use std::io;

use serde::{Deserialize, Serialize};

use super::folder::{Folder, read_json, write_json};
use crate::private_file;

/// An order under way.
#[derive(Deserialize, Serialize)]
pub(super) struct Pending {
    /// The URL of the order.
    pub(super) url: String,
    /// The private key that the certificate will be for, as PEM.
    pub(super) key: String,
}

impl Pending {
    /// The order of the folder, if one is under way.
    pub(super) fn read(folder: &Folder) -> Option<Self> {
        read_json(&folder.order())
    }

    pub(super) fn write(&self, folder: &Folder) -> io::Result<()> {
        write_json(&folder.order(), self)
    }

    /// The order is decided.
    pub(super) fn remove(folder: &Folder) -> io::Result<()> {
        private_file::remove(&folder.order())
    }
}
