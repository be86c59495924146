//! What the platform keeps of how hosts come in: enrolment tokens, and each host's credential, which
//! is a device token and the key that its certificates are for. Certificates themselves are not kept.

use super::{Change, HostRecord, StoreFuture};
use crate::audit::Entry;
use crate::clock::UnixMillis;
use crate::ids::{EnrolmentTokenId, HostId, HostName, HostNameError};
use crate::platform::ca::Serial;
use crate::platform::credential::KeyFingerprint;
use crate::secret::SecretHash;

/// An enrolment token to be made.
#[derive(Clone, Debug)]
pub struct NewEnrolmentToken {
    /// Its id.
    pub id: EnrolmentTokenId,
    /// Hash of its secret.
    pub secret: SecretHash,
    /// The name it is bound to.
    pub name: Option<String>,
    /// Who makes it.
    pub by: String,
    /// When.
    pub at: UnixMillis,
    /// Until when it is taken.
    pub expires: UnixMillis,
}

/// An enrolment token, as it is kept, but for its secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnrolmentTokenRecord {
    /// Its id.
    pub id: EnrolmentTokenId,
    /// The name it is bound to.
    pub name: Option<String>,
    /// Who made it; none of those that are older than this.
    pub created_by: Option<String>,
    /// When it was made.
    pub created: UnixMillis,
    /// Until when it is taken.
    pub expires: UnixMillis,
    /// When it was used.
    pub used: Option<UnixMillis>,
    /// The host that was enrolled with it.
    pub host: Option<HostId>,
}

/// A certificate that goes with a change, for the audit log.
#[derive(Clone, Copy, Debug)]
pub struct Issued {
    /// Its number.
    pub serial: Serial,
    /// The key that it is for.
    pub key: KeyFingerprint,
    /// Its end.
    pub until: UnixMillis,
}

/// An agent's attempt to enrol.
#[derive(Clone, Debug)]
pub struct Enrolment {
    /// Hash of the token's secret.
    pub secret: SecretHash,
    /// The name it would like. It matters only where the token names none.
    pub wished_name: Result<HostName, HostNameError>,
    /// The id it gets if it becomes a new host.
    pub new_host: HostId,
    /// Hash of the device token it gets.
    pub auth_token: SecretHash,
    /// The certificate it gets, for the key that it has shown to have.
    pub certificate: Issued,
    /// When.
    pub at: UnixMillis,
}

/// What became of an attempt to enrol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EnrolmentOutcome {
    /// It is enrolled, as this host; the credential replaces any it had.
    Enrolled {
        /// The host's id: the new one, or that of the host whose name the token names.
        id: HostId,
        /// Its name.
        name: String,
    },
    /// No such token.
    TokenUnknown,
    /// The token was used, and its host has connected with what it got or came too late for another.
    TokenUsed,
    /// The token was used by this host with another key.
    OtherKey(HostId),
    /// The token came too late.
    TokenExpired,
    /// The wished name belongs to another host. The token is not used up.
    NameTaken,
    /// The wished name is none, and the token names none either. The token is not used up.
    NameInvalid(HostNameError),
}

/// A host that was found by a device token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostByToken {
    /// The host.
    pub host: HostRecord,
    /// Whether this is the first use of the token that was given out last: its enrolment or its
    /// rotation is over once [`EnrolmentStore::credential_used`] has noted it.
    pub first_use: bool,
}

/// An agent's wish for another certificate and device token.
#[derive(Clone, Debug)]
pub struct Renewal {
    /// Hash of the device token that it has.
    pub auth_token: SecretHash,
    /// Hash of the one that it gets.
    pub new_token: SecretHash,
    /// The certificate it gets, for the key that it has shown to have.
    pub certificate: Issued,
    /// How it came, for the audit log.
    pub how: &'static str,
    /// When.
    pub at: UnixMillis,
}

/// What became of a wish to renew.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RenewalOutcome {
    /// It is renewed. The token that it came with stays good until the new one is used.
    Renewed(HostId),
    /// No host has this device token.
    TokenUnknown,
    /// The host is let in no more.
    Revoked,
    /// The host has another key.
    OtherKey(HostId),
    /// The host was made with a token alone: it has no certificate to renew.
    TokenOnly,
}

/// The part of the store that hosts come in by.
pub trait EnrolmentStore: Send + Sync {
    /// Keeps a new enrolment token, and forgets those that expired a month ago.
    fn create_enrolment_token(
        &self,
        token: NewEnrolmentToken,
        change: Change,
    ) -> StoreFuture<'_, ()>;

    /// At most `count` enrolment tokens, the newest first; those before `before`, an instant and an id,
    /// where that is given.
    fn enrolment_tokens(
        &self,
        before: Option<(UnixMillis, EnrolmentTokenId)>,
        count: usize,
    ) -> StoreFuture<'_, Vec<EnrolmentTokenRecord>>;

    /// The enrolment token of this id.
    fn enrolment_token(
        &self,
        id: EnrolmentTokenId,
    ) -> StoreFuture<'_, Option<EnrolmentTokenRecord>>;

    /// Forgets an enrolment token: it enrols nobody any more, nor anybody again.
    /// [`super::StoreError::NotFound`] when there is none of this id.
    fn delete_enrolment_token(&self, id: EnrolmentTokenId, audit: Entry) -> StoreFuture<'_, ()>;

    /// Trades a token for a host. The same token with the same key is answered again until it
    /// expires or its host connects with what it got. The audit entry is written when a host comes of it.
    fn enrol(&self, enrolment: Enrolment) -> StoreFuture<'_, EnrolmentOutcome>;

    /// The host with this device token, be it the last that it was given or the one before, where the
    /// last was never used. A host that is revoked is found as well.
    fn host_by_token(&self, auth_token: SecretHash) -> StoreFuture<'_, Option<HostByToken>>;

    /// Notes that an agent has connected with the device token that its host was given last: the one
    /// before is void from here on. [`super::StoreError::NotFound`] when it is none (any more).
    fn credential_used(&self, auth_token: SecretHash) -> StoreFuture<'_, ()>;

    /// Gives a host another device token with another certificate for the same key. The audit entry
    /// is written when it is done.
    fn renew(&self, renewal: Renewal) -> StoreFuture<'_, RenewalOutcome>;

    /// Lets a host in no more, ends its sessions, and voids the enrolment tokens by which it or its
    /// name could come back. False, and no entry, when it was revoked before.
    /// [`super::StoreError::NotFound`] when there is no such host.
    fn revoke_host(&self, host: HostId, audit: Entry) -> StoreFuture<'_, bool>;
}
