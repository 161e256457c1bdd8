//! Arguments of what reads artifacts from other hosts.

use native_eval::{Access, Retention};

#[derive(clap::Args, Clone, Copy)]
pub struct RemoteOptions {
    /// Keep downloaded files in the Hugging Face cache (HF_HUB_CACHE, HF_HOME), where other tools find them.
    #[arg(long, conflicts_with = "offline")]
    pub cache: bool,
    /// Send no requests: read the Hugging Face cache alone. HF_HUB_OFFLINE=1 does the same.
    #[arg(long)]
    pub offline: bool,
}

impl RemoteOptions {
    /// How artifacts on other hosts are read; `is_read_again` where one pass over their bytes will not do.
    pub fn access(self, is_read_again: bool) -> Access {
        let retention = match (self.cache, is_read_again) {
            (true, _) => Retention::Cache,
            (false, true) => Retention::WhileOpen,
            (false, false) => Retention::Nothing,
        };
        Access { retention, is_offline: self.offline }
    }
}
