//! What keeps a certificate valid while the hub runs.

use std::fs::{self, File};
use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, Instant, SystemTime};

use tidings_server::Tls;
use tokio::task::block_in_place;

use super::Acme;
use super::folder::{read_json, write_json};
use super::http::Http;
use super::order::{self, Failure};
use super::pending::Pending;
use super::schedule::{Attempts, Plan, Window, seconds};
use crate::certificate::Left;
use crate::private_file;

/// Follows the certificate in the folder, and orders the next one while it has the folder's lock.
#[derive(Debug)]
pub(crate) struct Keeper {
    acme: Acme,
    tls: Tls,
    hasher: RandomState,
    /// A number for what the certificate's file held when it was last looked at.
    known: Option<u64>,
    /// What this process has while it is the one that orders.
    turn: Option<Turn>,
    /// The last problem that the log was told.
    said: Option<String>,
    /// When the log was last told that the certificate ends soon.
    noted: Option<Instant>,
}

/// What the one process has that orders.
#[derive(Debug)]
struct Turn {
    _lock: File,
    attempts: Attempts,
    /// A certificate that could not be written yet.
    unsaved: Option<Vec<u8>>,
    suggested: Option<Window>,
    /// When the authority is asked again for its suggestion.
    ask: SystemTime,
    /// What the last attempt failed for, until the next one.
    problem: Option<String>,
}

impl Keeper {
    pub(super) fn new(acme: Acme, tls: Tls) -> Self {
        let hasher = RandomState::new();
        Self { acme, tls, hasher, known: None, turn: None, said: None, noted: None }
    }

    /// Looks every two seconds, and when `asked` is ready. Never ends. Must run on a runtime with
    /// several threads.
    pub(crate) async fn run<F: Future<Output = ()>>(mut self, asked: impl Fn() -> F) {
        loop {
            let problem = self.look().await.err();
            if let Some(problem) = problem.as_ref().filter(|one| self.said.as_ref() != Some(one)) {
                let names = self.acme.names();
                match self.is_valid() {
                    true => tracing::warn!(%names, "{problem}"),
                    false => tracing::error!(%names, "{problem}"),
                }
            }
            self.said = problem;
            self.note_expiry();
            tokio::select! {
                () = asked() => {
                    self.known = None;
                    if let Some(turn) = &mut self.turn {
                        turn.ask = SystemTime::UNIX_EPOCH;
                    }
                }
                () = tokio::time::sleep(LOOK_INTERVAL) => {}
            }
        }
    }

    /// One look; what is wrong, if anything.
    async fn look(&mut self) -> Result<(), String> {
        if self.turn.is_none() {
            self.turn = block_in_place(|| Turn::take(&self.acme))?;
        }
        block_in_place(|| self.follow())?;
        if self.turn.is_none() {
            return Ok(());
        }
        block_in_place(|| self.save())?;
        self.ask_for_suggestion().await;
        self.order_if_due().await
    }

    /// Shows what the folder has, if that has changed.
    fn follow(&mut self) -> Result<(), String> {
        let read = fs::read(self.acme.folder.certificate()).map_err(|error| error.kind());
        let now = self.hasher.hash_one(&read);
        if self.known == Some(now) {
            return Ok(());
        }
        if self.acme.folder.show(&self.tls, &self.acme.config.names)? {
            tracing::info!(names = %self.acme.names(), "certificate loaded");
            self.noted = None;
        }
        self.known = Some(now);
        Ok(())
    }

    /// Writes a certificate that could not be written before.
    fn save(&mut self) -> Result<(), String> {
        let Some(turn) = &mut self.turn else { return Ok(()) };
        let Some(pem) = &turn.unsaved else { return Ok(()) };
        let path = self.acme.folder.certificate();
        private_file::write(&path, pem).map_err(|error| {
            let path = path.display();
            format!("the new certificate is in use, but cannot be kept in {path}: {error}")
        })?;
        turn.unsaved = None;
        self.known = None;
        order::forget(&self.acme).map_err(|error| format!("cannot remove an order: {error}"))
    }

    /// Asks the authority when to renew, if it is time to. Without an answer the lifetime counts.
    async fn ask_for_suggestion(&mut self) {
        let now = SystemTime::now();
        let Some(turn) = self.turn.as_mut().filter(|turn| turn.ask <= now) else { return };
        let Some(issued) = self.tls.issued_as().filter(|_| self.tls.has_certificate()) else {
            return;
        };
        turn.ask = now + SUGGESTION_RETRY;
        let Ok(http) = Http::new(self.acme.config.ca_file.as_deref()) else { return };
        match order::suggestion(&self.acme, &http, &issued).await {
            Ok((window, again)) => {
                turn.suggested = Some(window);
                turn.ask = now + again.clamp(SUGGESTION_PAUSE.0, SUGGESTION_PAUSE.1);
            }
            Err(failure) => tracing::debug!(reason = failure.reason(), "no renewal time"),
        }
    }

    async fn order_if_due(&mut self) -> Result<(), String> {
        let plan = self.plan();
        let Some(turn) = &mut self.turn else { return Ok(()) };
        let now = SystemTime::now();
        let due = match Pending::read(&self.acme.folder) {
            Some(_) => turn.attempts.resume_due(now),
            None => plan.due(&turn.attempts, now),
        };
        if turn.unsaved.is_some() || due > now {
            return turn.problem.clone().map_or(Ok(()), Err);
        }
        let http = Http::new(self.acme.config.ca_file.as_deref());
        let http = http.map_err(|error| format!("cannot speak to the authority: {error}"))?;
        // A certificate can be replaced once; what an authority says against it is not known here.
        let replaces = self.tls.issued_as().filter(|_| self.tls.has_certificate());
        let replaces = replaces.filter(|_| turn.suggested.is_some());
        let replaces = replaces.filter(|_| turn.attempts.failed_orders == 0);
        let got = order::run(&self.acme, &http, &mut turn.attempts, replaces).await;
        let now = SystemTime::now();
        if let Some(pause) = http.take_pause() {
            turn.attempts.not_before = Some(seconds(pause));
        }
        let done = match got {
            Ok(pem) => self.use_new(pem, now),
            Err(failure) => Err(self.note_failure(&failure, now)),
        };
        if let Some(turn) = &mut self.turn {
            turn.problem = done.clone().err();
        }
        done
    }

    fn use_new(&mut self, pem: Vec<u8>, now: SystemTime) -> Result<(), String> {
        let Some(turn) = &mut self.turn else { return Ok(()) };
        block_in_place(|| self.acme.folder.show_pem(&self.tls, &self.acme.config.names, &pem))?;
        turn.unsaved = Some(pem);
        turn.suggested = None;
        turn.ask = now;
        let is_valid = self.is_valid();
        let turn = self.turn.as_mut().expect("it was there before");
        match is_valid {
            true => turn.attempts.succeed(),
            false => turn.attempts.fail_order(),
        }
        let _ = block_in_place(|| write_json(&self.acme.folder.attempts(), &turn.attempts));
        if let Some(renewals) = self.tls.renewals() {
            renewals.note_issued(now);
        }
        let names = self.acme.names();
        match self.tls.validity().and_then(Left::of) {
            Some(left) => tracing::info!(%names, %left, "certificate issued"),
            None => tracing::info!(%names, "certificate issued"),
        }
        self.noted = None;
        block_in_place(|| self.save())?;
        match is_valid {
            true => Ok(()),
            false => Err("the certificate that was issued is not valid at this machine's time: \
                          is its clock right?"
                .to_owned()),
        }
    }

    fn note_failure(&mut self, failure: &Failure, now: SystemTime) -> String {
        let plan = self.plan();
        if let Some(renewals) = self.tls.renewals() {
            renewals.note_failed(now);
        }
        let reason = failure.reason();
        let Some(turn) = &mut self.turn else { return reason.to_owned() };
        match failure {
            Failure::Undecided(_) => turn.attempts.fail_try(now),
            Failure::Rejected(_) => turn.attempts.fail_order(),
        }
        // If it cannot be written, this process still knows it.
        let _ = block_in_place(|| write_json(&self.acme.folder.attempts(), &turn.attempts));
        let next = match Pending::read(&self.acme.folder) {
            Some(_) => turn.attempts.resume_due(now),
            None => plan.due(&turn.attempts, now),
        };
        let next = next.duration_since(now).unwrap_or_default().as_secs() + 1;
        let next = match next {
            ..120 => format!("{next} seconds"),
            120..7200 => format!("{} minutes", next.div_ceil(60)),
            7200.. => format!("{} hours", next.div_ceil(3600)),
        };
        format!("cannot get a certificate: {reason}; next attempt in {next}")
    }

    fn plan(&self) -> Plan {
        let serial = self.tls.issued_as().map(|issued| issued.serial);
        let last = serial.and_then(|serial| serial.last().copied()).unwrap_or(0);
        Plan {
            certificate: self.tls.validity(),
            suggested: self.turn.as_ref().and_then(|turn| turn.suggested),
            spread: f64::from(last) / 256.0,
        }
    }

    /// Whether there is a certificate, and its time has come and not passed.
    fn is_valid(&self) -> bool {
        let now = SystemTime::now();
        self.tls.validity().is_some_and(|validity| {
            validity.begins <= now + CLOCK_DIFFERENCE_MAX && now < validity.ends
        })
    }

    /// Logs once a day that the certificate should have been renewed by now.
    fn note_expiry(&mut self) {
        let Some(left) = self.tls.validity().and_then(Left::of) else { return };
        let is_late = left.is_less_than(1, 4);
        if !is_late || self.noted.is_some_and(|at| at.elapsed() < NOTE_INTERVAL) {
            return;
        }
        self.noted = Some(Instant::now());
        let names = self.acme.names();
        match left.is_none() {
            false => tracing::warn!(%names, %left, "the certificate has not been renewed yet"),
            true => tracing::error!(%names, %left, "the certificate has expired"),
        }
    }
}

impl Turn {
    /// Takes the turn, unless another process has it.
    fn take(acme: &Acme) -> Result<Option<Self>, String> {
        let lock = acme.folder.try_lock();
        let lock = lock.map_err(|error| {
            format!("cannot get a certificate: the folder {} cannot be used: {error}", acme.folder)
        })?;
        Ok(lock.map(|lock| Self {
            _lock: lock,
            attempts: read_json(&acme.folder.attempts()).unwrap_or_default(),
            unsaved: None,
            suggested: None,
            ask: SystemTime::UNIX_EPOCH,
            problem: None,
        }))
    }
}

/// How often the folder is looked at.
const LOOK_INTERVAL: Duration = Duration::from_secs(2);

/// Pause before an authority is asked again for its suggestion, at least and at most.
const SUGGESTION_PAUSE: (Duration, Duration) =
    (Duration::from_secs(60), Duration::from_secs(24 * 3600));

/// The same after a question without an answer.
const SUGGESTION_RETRY: Duration = Duration::from_secs(3600);

/// How far the clock of an authority may be ahead.
const CLOCK_DIFFERENCE_MAX: Duration = Duration::from_secs(300);

/// How often the log says that the certificate ends soon.
const NOTE_INTERVAL: Duration = Duration::from_secs(24 * 3600);
