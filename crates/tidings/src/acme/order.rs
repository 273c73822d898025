//! One order, from the account to the certificate.

use instant_acme::{
    Account, AccountCredentials, AuthorizationStatus, CertificateIdentifier, ChallengeStatus,
    ChallengeType, Error, Identifier, NewAccount, NewOrder, Order, OrderStatus, Problem,
    RetryPolicy,
};
use rcgen::{CertificateParams, DistinguishedName, KeyPair};
use rustls::pki_types::Der;
use serde::{Deserialize, Serialize};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tidings_server::{IssuedAs, Tls};

use super::Acme;
use super::folder::{read_json, write_json};
use super::http::{Http, chain};
use super::name::Name;
use super::pending::Pending;
use super::schedule::{Attempts, Window};
use crate::private_file;

/// Why there is no certificate.
#[derive(Debug)]
pub(super) enum Failure {
    /// There is no order, or it is not decided yet.
    Undecided(String),
    /// The authority has rejected the order.
    Rejected(String),
}

impl Failure {
    pub(super) fn reason(&self) -> &str {
        match self {
            Self::Undecided(reason) | Self::Rejected(reason) => reason,
        }
    }
}

fn undecided(what: &str) -> impl Fn(Error) -> Failure + '_ {
    move |error| Failure::Undecided(format!("{what}: {}", text(&error)))
}

fn not_kept(error: std::io::Error) -> Failure {
    Failure::Undecided(format!("cannot write to the folder: {error}"))
}

/// Gets a certificate in place of the one that is known as `replaces`, or goes on with the order
/// under way. Returns chain and key as PEM. Before an order is sent, that is noted in `attempts`.
pub(super) async fn run(
    acme: &Acme,
    http: &Http,
    attempts: &mut Attempts,
    replaces: Option<IssuedAs>,
) -> Result<Vec<u8>, Failure> {
    let account = account(acme, http).await?;
    let (mut order, key) = match Pending::read(&acme.folder) {
        Some(Pending { url, key }) => (go_on(acme, &account, url).await?, key),
        None => begin(acme, &account, attempts, replaces).await?,
    };
    let issued = finish(acme, &mut order, &key).await;
    if let Err(Failure::Rejected(_)) = issued {
        forget(acme).map_err(not_kept)?;
    }
    let mut pem = issued?.into_bytes();
    pem.extend_from_slice(b"\n");
    pem.extend_from_slice(key.as_bytes());
    let is_ours = Tls::new(&pem, &pem)
        .is_ok_and(|tls| acme.config.names.iter().all(|name| tls.covers(&name.to_string())));
    if !is_ours {
        forget(acme).map_err(not_kept)?;
        let reason = "the certificate is for another key, or for other names";
        return Err(Failure::Rejected(reason.to_owned()));
    }
    Ok(pem)
}

/// The order is decided, and nothing of it is needed any more.
pub(super) fn forget(acme: &Acme) -> std::io::Result<()> {
    Pending::remove(&acme.folder)?;
    acme.folder.challenge_files().clear()
}

/// When the authority wants the certificate to be renewed that it knows as `issued`, and when to
/// ask again (RFC 9773).
pub(super) async fn suggestion(
    acme: &Acme,
    http: &Http,
    issued: &IssuedAs,
) -> Result<(Window, Duration), Failure> {
    let account = account(acme, http).await?;
    let id = identifier(issued);
    let asked = account.renewal_info(&id).await;
    let (info, again) = asked.map_err(undecided("no renewal time"))?;
    let at = |seconds: i64| UNIX_EPOCH + Duration::from_secs(u64::try_from(seconds).unwrap_or(0));
    let window = info.suggested_window;
    let window =
        Window { begins: at(window.start.unix_timestamp()), ends: at(window.end.unix_timestamp()) };
    Ok((window, again))
}

fn identifier(issued: &IssuedAs) -> CertificateIdentifier<'static> {
    let (authority, serial) = (Der::from_slice(&issued.authority), Der::from_slice(&issued.serial));
    CertificateIdentifier::new(authority, serial).into_owned()
}

/// An account as it is kept.
#[derive(Deserialize, Serialize)]
struct Kept {
    credentials: AccountCredentials,
    contacts: Vec<String>,
}

/// The account of the folder; a new one, if there is none.
async fn account(acme: &Acme, http: &Http) -> Result<Account, Failure> {
    let path = acme.folder.account();
    let contacts = acme.config.contacts.clone();
    let urls: Vec<_> = contacts.iter().map(String::as_str).collect();
    let builder = Account::builder_with_http(Box::new(http.clone()));
    if let Some(Kept { credentials, contacts: known }) = read_json(&path) {
        let credentials_kept = serde_json::to_value(&credentials);
        let account = builder.from_credentials(credentials).await;
        let account = account.map_err(undecided("no answer from the directory"))?;
        if known != contacts {
            account.update_contacts(&urls).await.map_err(|error| {
                if is(&error, "accountDoesNotExist") {
                    let _ = private_file::remove(&path);
                }
                undecided("cannot change the contacts")(error)
            })?;
            if let Ok(credentials) = credentials_kept.and_then(serde_json::from_value) {
                write_json(&path, &Kept { credentials, contacts }).map_err(not_kept)?;
            }
        }
        return Ok(account);
    }
    // Hubs for other names may share it.
    let lock = private_file::try_lock(&private_file::with_suffix(&path, ".lock"));
    let Some(_lock) = lock.map_err(not_kept)? else {
        return Err(Failure::Undecided("another hub is making the account".to_owned()));
    };
    // Not an account that could not be kept.
    write_json(&path, &serde_json::Value::Null).map_err(not_kept)?;
    let new =
        NewAccount { contact: &urls, terms_of_service_agreed: true, only_return_existing: false };
    let made = builder.create(&new, acme.config.directory.clone(), None).await;
    let (account, credentials) = made.map_err(undecided("cannot make an account"))?;
    write_json(&path, &Kept { credentials, contacts }).map_err(not_kept)?;
    Ok(account)
}

/// Sends an order.
async fn begin(
    acme: &Acme,
    account: &Account,
    attempts: &mut Attempts,
    replaces: Option<IssuedAs>,
) -> Result<(Order, String), Failure> {
    let key = KeyPair::generate().map_err(|error| Failure::Undecided(error.to_string()))?;
    let key = key.serialize_pem();
    let before = attempts.clone();
    attempts.begin_order(SystemTime::now());
    write_json(&acme.folder.attempts(), attempts).map_err(|error| {
        *attempts = before.clone();
        not_kept(error)
    })?;
    let identifiers: Vec<_> = acme.config.names.iter().map(Name::identifier).collect();
    let mut new = NewOrder::new(&identifiers);
    if let Some(profile) = &acme.config.profile {
        new = new.profile(profile);
    }
    if let Some(issued) = &replaces {
        new = new.replaces(identifier(issued));
    }
    let order = account.new_order(&new).await.map_err(|error| {
        if is(&error, "accountDoesNotExist") {
            // The next attempt makes another one.
            let _ = private_file::remove(&acme.folder.account());
        }
        if is(&error, "badNonce") || is(&error, "accountDoesNotExist") {
            // There is no order.
            *attempts = before;
            return undecided("the order was not taken")(error);
        }
        Failure::Rejected(format!("the order was rejected: {}", text(&error)))
    })?;
    let pending = Pending { url: order.url().to_owned(), key: key.clone() };
    pending.write(&acme.folder).map_err(not_kept)?;
    Ok((order, key))
}

/// Finds the order under way again.
async fn go_on(acme: &Acme, account: &Account, url: String) -> Result<Order, Failure> {
    let found = account.order(url).await;
    found.map_err(|error| match &error {
        Error::Api(_) if !is(&error, "badNonce") && !is_busy(&error) => {
            if let Err(error) = forget(acme) {
                return not_kept(error);
            }
            Failure::Rejected(format!("the order under way is lost: {}", text(&error)))
        }
        _ => undecided("no answer about the order under way")(error),
    })
}

/// Leads an order to its certificate, from whatever state it is in.
async fn finish(acme: &Acme, order: &mut Order, key: &str) -> Result<String, Failure> {
    if order.state().status == OrderStatus::Pending {
        prove(acme, order).await?;
        let ready = order.poll_ready(&POLICY).await;
        if order.state().status == OrderStatus::Invalid {
            return Err(Failure::Rejected(why_not(order).await));
        }
        ready.map_err(undecided("the authority has not checked the names yet"))?;
    }
    if order.state().status == OrderStatus::Ready {
        let request = request(acme, key).map_err(|error| Failure::Rejected(error.to_string()))?;
        let finalized = order.finalize_csr(&request).await;
        finalized.map_err(undecided("the certificate was not asked for"))?;
    }
    let certificate = order.poll_certificate(&POLICY).await;
    if order.state().status == OrderStatus::Invalid {
        return Err(Failure::Rejected(why_not(order).await));
    }
    certificate.map_err(undecided("the certificate is not here yet"))
}

/// Answers the challenges of an order, and says so.
async fn prove(acme: &Acme, order: &mut Order) -> Result<(), Failure> {
    let failed = undecided("cannot answer the challenges");
    let files = acme.folder.challenge_files();
    let mut authorizations = order.authorizations();
    while let Some(authorization) = authorizations.next().await {
        let mut authorization = authorization.map_err(&failed)?;
        if authorization.status != AuthorizationStatus::Pending {
            continue;
        }
        let name = match authorization.identifier().identifier {
            Identifier::Dns(name) => Name::Dns(name.clone()),
            Identifier::Ip(address) => Name::Ip(*address),
            _ => continue,
        };
        let has = |kind: &ChallengeType| {
            authorization.challenges.iter().any(|challenge| challenge.r#type == *kind)
        };
        let kinds = [acme.challenge.clone(), ChallengeType::TlsAlpn01, ChallengeType::Http01];
        let kind = kinds.into_iter().find(has);
        let Some(mut challenge) = kind.and_then(|kind| authorization.challenge(kind)) else {
            let reason = format!("the authority offers neither HTTP-01 nor TLS-ALPN-01 for {name}");
            return Err(Failure::Rejected(reason));
        };
        let proof = challenge.key_authorization();
        let put = match challenge.r#type {
            ChallengeType::Http01 => files.put_token(&challenge.token, proof.as_str()),
            _ => files.put_name(&name.asked_as(), proof.as_str()),
        };
        put.map_err(not_kept)?;
        if challenge.status == ChallengeStatus::Pending {
            challenge.set_ready().await.map_err(&failed)?;
        }
    }
    Ok(())
}

/// A request for a certificate for `key` (RFC 2986).
fn request(acme: &Acme, key: &str) -> Result<Vec<u8>, rcgen::Error> {
    let names: Vec<_> = acme.config.names.iter().map(Name::to_string).collect();
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name = DistinguishedName::new();
    let request = params.serialize_request(&KeyPair::from_pem(key)?)?;
    Ok(request.der().to_vec())
}

/// Why an order is invalid, for each name.
async fn why_not(order: &mut Order) -> String {
    let mut reasons = Vec::new();
    let of_order = order.state().error.as_ref().map(problem);
    let mut authorizations = order.authorizations();
    while let Some(Ok(mut authorization)) = authorizations.next().await {
        let _ = authorization.refresh().await;
        let name = authorization.identifier().to_string();
        let errors = authorization.challenges.iter().filter_map(|one| one.error.as_ref());
        reasons.extend(errors.map(|error| format!("{name}: {}", problem(error))));
    }
    if reasons.is_empty() {
        reasons.push(of_order.unwrap_or_else(|| "the order is invalid".to_owned()));
    }
    reasons.join("; ")
}

fn problem(problem: &Problem) -> String {
    let kind = problem.r#type.as_deref().unwrap_or("no reason");
    let kind = kind.strip_prefix("urn:ietf:params:acme:error:").unwrap_or(kind);
    let parts = problem.subproblems.iter().map(|part| part.to_string());
    let detail = problem.detail.clone().into_iter().chain(parts).collect::<Vec<_>>().join("; ");
    // What others say goes into the log on one line.
    let detail: String = detail.chars().filter(|c| !c.is_control()).take(500).collect();
    format!("{detail} ({kind})")
}

fn text(error: &Error) -> String {
    match error {
        Error::Api(problem_) => problem(problem_),
        error => chain(error),
    }
}

/// Whether the authority says that this is wrong (RFC 8555 §6.7).
fn is(error: &Error, kind: &str) -> bool {
    let Error::Api(problem) = error else { return false };
    problem.r#type.as_deref().is_some_and(|given| given.ends_with(kind))
}

/// Whether the authority is only busy.
fn is_busy(error: &Error) -> bool {
    is(error, "rateLimited") || is(error, "serverInternal")
}

/// How long an authority is waited for.
const POLICY: RetryPolicy =
    RetryPolicy::new().initial_delay(Duration::from_millis(250)).timeout(Duration::from_secs(60));
