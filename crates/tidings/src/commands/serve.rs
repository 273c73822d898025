//! `tidings serve`: run a hub until it is asked to stop.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

use tidings_engine::{Engine, EngineConfig};
use tidings_hub::{AppendError, with_causes};
use tidings_server::{ApiKey, BindError, NotifyReceiver, Server, Tls};
use tidings_store_disk::{DiskStore, Rule};
use tidings_web::File;
use tokio::runtime::Builder;
use tokio::task::JoinHandle;

use crate::acme::{Acme, Keeper};
use crate::args::HubArgs;
use crate::certificate::CertificateFiles;
use crate::error::CliError;
use crate::exit_code::ExitCode;
use crate::hub_config::HubConfig;
use crate::limits::{BLOCKING_THREADS_MAX, RUNTIME_END_MAX};
use crate::open_files::{self, OpenFiles};
use crate::runtime::{self, no_runtime};
use crate::server_config::{open_sessions, server_config};
use crate::settings::{DEFAULT_FILE, Layer, NotifyTable, Settings, read_file};
use crate::signals::{self, Hangup, Signals};
use crate::stores::OpenStore;
use crate::telemetry::Telemetry;
use crate::ticket_keys::TicketKeyFile;
use crate::{env, notify, output, random, stores, supervisor, threads};

pub(super) fn run(args: &HubArgs) -> Result<ExitCode, CliError> {
    run_with(args, Layer::default(), &[], None, |_, _| None)
}

/// Runs a hub with `preferred` on top of the defaults, with `pages` beside the console, and what
/// `beside` starts beside it. If the hub has keys, `own_key` is one of them, and may do everything.
pub(super) fn run_with(
    args: &HubArgs,
    preferred: Layer,
    pages: &[&'static [File]],
    own_key: Option<&str>,
    beside: impl FnOnce(&Engine, &Server) -> Option<JoinHandle<()>>,
) -> Result<ExitCode, CliError> {
    if args.print_default_config {
        output::print(DEFAULT_FILE.as_bytes())?;
        return Ok(ExitCode::Success);
    }
    let file = args.config.as_deref().map(read_file).transpose()?.unwrap_or_default();
    let layers = vec![preferred, file, env::layer(), args.layer()];
    let mut settings = Settings::resolve(layers).map_err(CliError::settings)?;
    let bound = supervisor::listeners()?;
    if !bound.is_empty() {
        let addresses = bound.iter().filter_map(|one| one.local_addr().ok());
        settings.hub.server.http.listen = addresses.collect();
    }
    // Before anything is made or opened.
    let files = OpenFiles::divide(&settings.hub, open_files::raise_limit())?;
    let mut server_config = server_config(&settings)?;
    let tickets = TicketKeyFile::of(&settings, server_config.http.tls.is_some())?;
    let tickets = tickets.zip(server_config.http.tls.clone());
    server_config.http.connections_max = files.connections;
    server_config.http.request_threads = threads::request_threads(settings.hub.runtime.workers);
    server_config.pages.extend(pages);
    let has_keys = server_config.http.has_keys();
    if let Some(key) = own_key.filter(|_| has_keys) {
        let key = ApiKey::new("its own", key, &["**"], &["**"]);
        server_config.http.api_keys.push(key.expect("long enough, and for everything"));
    }
    let receivers = server_config.http.notify.clone();
    let telemetry = Telemetry::start(&settings.hub.log)?;
    tracing::info!("open files: {files}");
    for advice in &settings.outdated {
        tracing::warn!("a setting is outdated: {advice}");
    }

    let runtime = Builder::new_multi_thread()
        .worker_threads(settings.hub.runtime.workers)
        .max_blocking_threads(BLOCKING_THREADS_MAX)
        .enable_all()
        .build()
        .map_err(no_runtime)?;
    let engine_config = engine_config(&settings.hub, &files)?;
    {
        let _runtime = runtime.enter();
        signals::survive_file_size_limit();
    }
    let OpenStore { log: store, wire, disk } = stores::open(&settings.hub)?;
    let rules = match disk {
        Some(store) => Some(KeptBy::Own(store)),
        None if wire.is_some() => Some(KeptBy::All(settings.hub.store.disk.rules.clone())),
        None => None,
    };
    let rules = rules.map(|kept_by| Rules { kept_by, args: args.clone() });
    server_config.http.denials = stores::denials(&settings.hub.store)?;
    server_config.http.sessions = open_sessions(&settings)?;
    let certificate = Certificate::of(&settings, server_config.http.tls.clone())?;
    if let Some((file, tls)) = &tickets {
        file.open(tls)?;
    }
    let has_tls = server_config.http.tls.is_some();
    let failed = runtime.block_on(async {
        let signals = Signals::new()?;
        let hangup = Hangup::new()?;
        let engine = Engine::start(Arc::clone(&store), engine_config).map_err(|error| {
            CliError::new(ExitCode::CannotStart, "the hub cannot start").because(error)
        })?;
        let server = match Server::bind_with(server_config, engine.clone(), bound) {
            Ok(server) => server,
            Err(error) => {
                engine.stop().await;
                return Err(cannot_bind(error));
            }
        };
        if let Some(wire) = wire {
            server.join(wire);
        }
        let has_demos = pages.iter().copied().flatten().any(|file| file.path == DEMOS);
        announce(&settings.hub, &server, has_tls, has_demos)?;
        supervisor::say_ready();
        if let Some(rules) = rules {
            tokio::spawn(rules.follow(Hangup::new()?));
        }
        tokio::spawn(reload(certificate, hangup));
        if let Some((file, tls)) = tickets {
            tokio::spawn(file.follow(tls));
        }
        tokio::spawn(reload_secrets(settings.notify.clone(), receivers, Hangup::new()?));
        let beside = beside(&engine, &server);
        let failed = Arc::default();
        server.serve(shutdown_begun(signals, engine.clone(), Arc::clone(&failed), beside)).await;
        engine.stop().await;
        tracing::info!("shutdown complete");
        Ok(Arc::into_inner(failed).and_then(OnceLock::into_inner))
    })?;
    // So that the log is closed in good order, when nothing can use it any more.
    runtime::end(runtime, RUNTIME_END_MAX);
    drop(store);
    telemetry.end();
    match failed {
        Some(Failure::Store(failure)) => Err(stores::failed(failure)),
        Some(Failure::Thread(name)) => {
            let message = format!("the thread {name} panicked");
            Err(CliError::new(ExitCode::ThreadPanicked, message)
                .hint("restart the hub, and report the panic with what the log says about it"))
        }
        None => Ok(ExitCode::Success),
    }
}

fn engine_config(hub: &HubConfig, files: &OpenFiles) -> Result<EngineConfig, CliError> {
    let seed = u64::from_ne_bytes(random::bytes()?);
    Ok(EngineConfig { subscribers_max: files.subscribers, seed, ..hub.engine.clone() })
}

/// Why only a new process can help.
enum Failure {
    Store(AppendError),
    Thread(Box<str>),
}

/// Waits for the first signal, or until only a new process can help; then ends what runs beside the
/// hub, because it may be a subscriber itself, which the shutdown would wait for.
async fn shutdown_begun(
    signals: Signals,
    engine: Engine,
    failed: Arc<OnceLock<Failure>>,
    beside: Option<JoinHandle<()>>,
) {
    let mut signal = Box::pin(signals.first());
    tokio::select! {
        () = &mut signal => {}
        failure = engine.store_failed() => {
            let _ = failed.set(Failure::Store(failure));
            // Signals still count.
            tokio::spawn(signal);
        }
        thread = engine.thread_panicked() => {
            let _ = failed.set(Failure::Thread(thread));
            tokio::spawn(signal);
        }
    }
    supervisor::say_stopping();
    tracing::info!("shutting down; a second signal ends the hub at once");
    if let Some(task) = beside {
        task.abort();
    }
}

/// Where the certificate comes from.
enum Certificate {
    None,
    Files(CertificateFiles, Tls),
    Authority(Box<Keeper>),
}

impl Certificate {
    fn of(settings: &Settings, tls: Option<Tls>) -> Result<Self, CliError> {
        let Some(tls) = tls else { return Ok(Self::None) };
        if let Some(acme) = Acme::of(settings)? {
            return Ok(Self::Authority(Box::new(acme.keeper(tls))));
        }
        Ok(CertificateFiles::of(settings)?.map_or(Self::None, |files| Self::Files(files, tls)))
    }
}

/// The rules of retention, which can be read again.
struct Rules {
    kept_by: KeptBy,
    args: HubArgs,
}

/// Who keeps what rules say.
enum KeptBy {
    /// This hub alone.
    Own(Arc<DiskStore>),
    /// All hubs that share the history, which need the same rules: these.
    All(Vec<Rule>),
}

impl KeptBy {
    async fn apply(&self, rules: Vec<Rule>) {
        let store = match self {
            Self::Own(store) => Arc::clone(store),
            Self::All(known) if *known == rules => return,
            Self::All(_) => {
                return tracing::error!(
                    "the rules of retention are not read again, because all hubs on the log need \
                     the same; the old ones stay: start one hub with the new ones and \
                     --cluster-update, then the others with the new ones"
                );
            }
        };
        let count = rules.len();
        // The first rules of a log can take as long as reading it.
        match tokio::task::spawn_blocking(move || store.set_rules(rules)).await {
            Ok(Ok(())) => tracing::info!(count, "rules of retention read again"),
            Ok(Err(error)) => {
                let reason = with_causes(&error);
                tracing::error!(reason, "cannot apply the rules of retention");
            }
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            // The hub is shutting down, and this ends with it.
            Err(_) => std::future::pending().await,
        }
    }
}

impl Rules {
    /// Reads the rules again whenever the hub is asked to. Never ends.
    async fn follow(self, hangup: Hangup) {
        loop {
            hangup.next().await;
            match self.read() {
                Ok(rules) => self.kept_by.apply(rules).await,
                Err(error) => {
                    tracing::error!(%error, "the rules of retention are wrong; the old ones stay");
                }
            }
        }
    }

    fn read(&self) -> Result<Vec<Rule>, CliError> {
        let file = self.args.config.as_deref().map(read_file).transpose()?.unwrap_or_default();
        let layers = vec![file, env::layer(), self.args.layer()];
        let settings = Settings::resolve(layers).map_err(CliError::settings)?;
        Ok(settings.hub.store.disk.rules)
    }
}

/// Reads again what can be read again, when it has changed and when the hub is asked to.
async fn reload(certificate: Certificate, hangup: Hangup) {
    match certificate {
        Certificate::Files(files, tls) => files.follow(tls, || hangup.next()).await,
        Certificate::Authority(keeper) => keeper.run(|| hangup.next()).await,
        Certificate::None => loop {
            hangup.next().await;
            tracing::info!("no certificate to reload");
        },
    }
}

/// Reads the secrets of receivers again when the hub is asked to.
async fn reload_secrets(tables: Vec<NotifyTable>, receivers: Vec<NotifyReceiver>, hangup: Hangup) {
    loop {
        hangup.next().await;
        notify::reload(&tables, &receivers);
    }
}

/// Prints the addresses of the hub, where history is kept, and what to open in a browser.
fn announce(
    hub: &HubConfig,
    server: &Server,
    has_tls: bool,
    has_demos: bool,
) -> Result<(), CliError> {
    let (addresses, redirects) = (server.local_addrs(), server.redirect_addrs());
    let history = stores::describe(&hub.store);
    if hub.log.json {
        for address in addresses {
            tracing::info!(%address, "listening");
        }
        for address in redirects {
            tracing::info!(%address, "redirecting to TLS");
        }
        tracing::info!("{history}");
        return Ok(());
    }
    let scheme = if has_tls { "https" } else { "http" };
    let urls: Vec<_> = addresses.iter().map(|address| format!("{scheme}://{address}")).collect();
    let mut lines = format!("listening on {}\n{history}\n", urls.join(", "));
    for address in redirects {
        lines += &format!("redirecting from http://{address}\n");
    }
    let front = format!("{scheme}://{}", host_for_browsers(server.local_addr()));
    if has_demos {
        lines += &format!("demos at {front}{DEMOS}\n");
    }
    lines += &format!("console at {front}/\n");
    // The hub runs whether or not its output is read.
    output::print(lines.as_bytes())?;
    Ok(())
}

/// The path of the list of demo pages.
const DEMOS: &str = "/demo/";

/// Where a browser on this machine finds a server that listens at `address`.
fn host_for_browsers(address: SocketAddr) -> String {
    match address.ip().is_unspecified() {
        true => format!("localhost:{}", address.port()),
        false => address.to_string(),
    }
}

fn cannot_bind(error: BindError) -> CliError {
    let hint = match &error {
        BindError::Listen { error, .. } if error.kind() == std::io::ErrorKind::AddrInUse => {
            "another program listens there; choose another address with --listen"
        }
        BindError::Listen { error, .. } if error.kind() == std::io::ErrorKind::PermissionDenied => {
            "ports below 1024 need a right of their own; choose another address with --listen"
        }
        _ => "choose another address with --listen",
    };
    CliError::new(ExitCode::CannotStart, "the hub cannot start").because(error).hint(hint)
}
