use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tidings_engine::{Engine, PublishError};
use tidings_hub::{Appended, Draft, Timestamp};
use tokio::sync::watch;

use crate::admin::Pages;
use crate::auth::Auth;
use crate::config::Config;
use crate::counts::Counts;
use crate::mercure;
use crate::quota::Quotas;
use crate::trace::{self, Step};

/// What a handler may reach.
pub(crate) struct State {
    pub(crate) engine: Engine,
    pub(crate) config: Config,
    pub(crate) auth: Auth,
    pub(crate) pages: Pages,
    pub(crate) quotas: Quotas,
    pub(crate) counts: Arc<Counts>,
    pub(crate) started: SystemTime,
    pub(crate) mercure: mercure::Memory,
    stage: watch::Receiver<Stage>,
}

/// How far the server's life has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stage {
    Serving,
    /// What has begun is finished; nothing new is begun.
    Leaving,
    /// Connections end now.
    Gone,
}

impl State {
    pub(crate) fn new(engine: Engine, config: Config, stage: watch::Receiver<Stage>) -> Self {
        let auth = Auth::new(&config);
        let pages = Pages::new(&config.pages);
        let quotas = Quotas::new(&config);
        let mercure = mercure::Memory::default();
        Self {
            engine,
            config,
            auth,
            pages,
            quotas,
            counts: Arc::default(),
            started: SystemTime::now(),
            mercure,
            stage,
        }
    }

    /// Hands events over to the log, and waits until they are there.
    pub(crate) fn publish(
        &self,
        drafts: Vec<Draft>,
    ) -> impl Future<Output = Result<Vec<Appended>, PublishError>> + Send {
        let step = Step::Commit { events: drafts.len() };
        trace::step(step, self.engine.publish(drafts))
    }

    /// Whether the server is leaving.
    pub(crate) fn is_leaving(&self) -> bool {
        *self.stage.borrow() > Stage::Serving
    }

    /// Waits until `stage` is reached. A server that was dropped is gone.
    pub(crate) fn reached(&self, stage: Stage) -> impl Future<Output = ()> + Send + use<> {
        let mut receiver = self.stage.clone();
        async move {
            let _ = receiver.wait_for(|now| *now >= stage).await;
        }
    }
}

/// Milliseconds around `base`, half of it up or down: what came at once shall not come back at
/// once.
pub(crate) fn jittered_ms(base: Duration) -> u64 {
    let base = u64::try_from(base.as_millis()).unwrap_or(u64::MAX / 4).max(1);
    // Fresh keys make a fresh number; nothing here is a secret.
    let random = RandomState::new().hash_one(base);
    base / 2 + random % base.saturating_add(1)
}

/// Wall-clock time; a clock before 1970 counts as 1970.
pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    Timestamp::from_millis(since.as_millis().try_into().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jitter_stays_within_half_and_is_not_always_the_same() {
        let values: Vec<_> = (0..100).map(|_| jittered_ms(Duration::from_secs(2))).collect();
        assert!(values.iter().all(|ms| (1000..=3000).contains(ms)));
        assert!(values.iter().any(|ms| *ms != values[0]));
    }
}
