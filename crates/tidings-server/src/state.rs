use std::sync::Arc;
use std::time::SystemTime;

use tidings_engine::{Engine, PublishError, PublishStream, StreamError};
use tidings_hub::{Appended, Draft, Grant};
use tokio::sync::watch;

use crate::admin::Pages;
use crate::auth::Auth;
use crate::config::Config;
use crate::counts::Counts;
use crate::mercure;
use crate::quota::Quotas;
use crate::stage::Stage;
use crate::trace::{self, Step};
use crate::whole_body::BodyRoom;

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
    pub(crate) body_room: BodyRoom,
    stage: watch::Receiver<Stage>,
}

impl State {
    pub(crate) fn new(engine: Engine, config: Config, stage: watch::Receiver<Stage>) -> Self {
        let anonymous = config.is_open().then(|| Arc::new(Grant::everything()));
        let (api_keys, jwt_keys) = (config.api_keys.clone(), config.jwt_keys.clone());
        let auth = Auth::new(api_keys, jwt_keys, anonymous, config.counts_tokens());
        let pages = Pages::new(&config.pages);
        let quotas = Quotas::new(&config);
        let mercure = mercure::Memory::default();
        let body_room = BodyRoom::new(config.event_bytes_max, config.body_idle_max);
        Self {
            engine,
            config,
            auth,
            pages,
            quotas,
            counts: Arc::default(),
            started: SystemTime::now(),
            mercure,
            body_room,
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

    /// The same for the next part of a stream.
    pub(crate) fn publish_next(
        &self,
        stream: &PublishStream,
        drafts: Vec<Draft>,
    ) -> impl Future<Output = Result<Vec<Appended>, StreamError>> + Send + use<> {
        let step = Step::Commit { events: drafts.len() };
        trace::step(step, stream.clone().publish(drafts))
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
