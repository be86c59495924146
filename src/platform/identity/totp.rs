//! The second factor: codes of the time (TOTP, RFC 6238, as all authenticator apps have it: SHA-1, six
//! digits, 30 seconds), and the recovery codes for who has lost the app. This file owns their
//! arithmetic and how they are kept: secrets sealed with a key of the data directory, recovery codes as
//! their MAC under it. So the database alone gives neither. The secrets of webhooks are kept in the same way.

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::hmac;
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use super::UserName;
use super::key_file::Key;
use crate::clock::UnixMillis;
use crate::ids::{AlertChannelId, UserId, Uuid};
use crate::secret::{Secret, SecretHash, random};

/// Bytes of a secret, as of an HMAC-SHA-1 (RFC 4226 section 4).
const SECRET_BYTES: usize = 20;
/// How long a code is the one of its time.
const STEP_SECONDS: u64 = 30;
/// Steps before and after the present one whose codes are taken as well: clocks differ, people type.
const STEPS_AROUND: u64 = 1;
/// Digits of a code.
const DIGITS: usize = 6;
/// Recovery codes that are given out at once.
pub(super) const RECOVERY_CODES: usize = 10;
/// Random bytes of a recovery code: 80 bits, 16 characters. Tried out against the platform that is
/// without hope, and against the database alone it is nothing, as they are kept under a key.
const RECOVERY_BYTES: usize = 10;
/// The digits of RFC 4648's base 32.
const BASE32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// The secret of one user's codes.
pub(super) struct TotpSecret(Zeroizing<[u8; SECRET_BYTES]>);

impl TotpSecret {
    pub(super) fn generate() -> Self {
        Self(Zeroizing::new(random()))
    }

    /// The secret as people type it into an app.
    pub(super) fn to_text(&self) -> Secret {
        Secret::new(base32(&*self.0))
    }

    /// The secret as apps read it from a picture.
    pub(super) fn to_url(&self, user: &UserName) -> Secret {
        // A user's name has no character that would mean something there but these.
        let user = user.as_str().replace('@', "%40").replace('+', "%2B");
        Secret::new(format!(
            "otpauth://totp/Fleetwire:{user}?secret={}&issuer=Fleetwire&algorithm=SHA1&digits={DIGITS}&period={STEP_SECONDS}",
            self.to_text().expose()
        ))
    }

    /// The step of this code, if it is one of about now and of no step up to `last`.
    pub(super) fn step_of(&self, now: UnixMillis, last: u64, code: &str) -> Option<u64> {
        let present = now.0 / 1000 / STEP_SECONDS;
        let steps = present.saturating_sub(STEPS_AROUND)..=present + STEPS_AROUND;
        let mut found = None;
        for step in steps {
            // All are compared, so that the time does not tell which one it would have been.
            if bool::from(self.code(step).as_bytes().ct_eq(code.as_bytes())) && step > last {
                found = Some(step);
            }
        }
        found
    }

    /// The code of a step.
    pub(super) fn code(&self, step: u64) -> String {
        let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &*self.0);
        let mac = hmac::sign(&key, &step.to_be_bytes());
        let mac = mac.as_ref();
        // Dynamic truncation (RFC 4226 section 5.3).
        let at = usize::from(mac[mac.len() - 1] & 0x0f);
        let bytes = [mac[at] & 0x7f, mac[at + 1], mac[at + 2], mac[at + 3]];
        let code = u32::from_be_bytes(bytes) % 10_u32.pow(DIGITS as u32);
        format!("{code:0DIGITS$}")
    }
}

/// What keeps second factors and the secrets of others: the first key seals, all of them open.
pub(super) struct Vault(Vec<Seals>);

/// What is made of one key: one a purpose, so that what is made for one is nothing to another.
struct Seals {
    totp: LessSafeKey,
    webhooks: LessSafeKey,
    recovery: hmac::Key,
}

impl Vault {
    /// The keys of a key file.
    pub(super) fn new(keys: &[Key]) -> Self {
        let of = |key: &Key| {
            let key = hmac::Key::new(hmac::HMAC_SHA256, &**key);
            let seals = |purpose: &[u8]| {
                let bytes = hmac::sign(&key, purpose);
                let key = UnboundKey::new(&AES_256_GCM, bytes.as_ref()).ok()?;
                Some(LessSafeKey::new(key))
            };
            let hashes = hmac::sign(&key, b"fleetwire recovery codes 1");
            Some(Seals {
                totp: seals(b"fleetwire totp secrets 1")?,
                webhooks: seals(b"fleetwire webhook secrets 1")?,
                recovery: hmac::Key::new(hmac::HMAC_SHA256, hashes.as_ref()),
            })
        };
        Self(keys.iter().filter_map(of).collect())
    }

    /// Seals a secret for its user: under another's id it does not open.
    pub(super) fn seal(&self, user: UserId, secret: &TotpSecret) -> Option<Vec<u8>> {
        sealed(&self.0.first()?.totp, user.0, &*secret.0)
    }

    /// Opens what was sealed; none where no key does.
    pub(super) fn open(&self, user: UserId, sealed: &[u8]) -> Option<TotpSecret> {
        let mut opened = self.0.iter().map(|key| opened(&key.totp, user.0, sealed));
        let bytes = opened.find_map(|opened| opened)?;
        Some(TotpSecret(Zeroizing::new((&**bytes).try_into().ok()?)))
    }

    /// Seals what a channel's requests are signed with.
    pub(super) fn seal_webhook(&self, channel: AlertChannelId, secret: &Secret) -> Option<Vec<u8>> {
        let secret = secret.expose().as_bytes();
        sealed(&self.0.first()?.webhooks, channel.0, secret)
    }

    /// Opens that; none where no key does.
    pub(super) fn open_webhook(&self, channel: AlertChannelId, sealed: &[u8]) -> Option<Secret> {
        let opened = |key: &Seals| opened(&key.webhooks, channel.0, sealed);
        let bytes = self.0.iter().find_map(opened)?;
        let text = std::str::from_utf8(&bytes).ok()?;
        Some(Secret::new(text.to_owned()))
    }

    /// New recovery codes, and what is kept of them.
    pub(super) fn recovery_codes(&self, user: UserId) -> (Vec<Secret>, Vec<SecretHash>) {
        let code = |_| {
            let code = base32(&*Zeroizing::new(random::<RECOVERY_BYTES>())).to_ascii_lowercase();
            let groups: Vec<_> = code
                .as_bytes()
                .chunks(4)
                .map(String::from_utf8_lossy)
                .collect();
            let code = Secret::new(groups.join("-"));
            let hash = self.hashes(user, code.expose()).into_iter().next()?;
            Some((code, hash))
        };
        (0..RECOVERY_CODES).filter_map(code).unzip()
    }

    /// What would be kept of this recovery code, under each key; hyphens, spaces and case do not matter.
    pub(super) fn hashes(&self, user: UserId, code: &str) -> Vec<SecretHash> {
        let code: Zeroizing<String> = Zeroizing::new(
            code.chars()
                .filter(char::is_ascii_alphanumeric)
                .map(|char| char.to_ascii_uppercase())
                .collect(),
        );
        let hash = |key: &Seals| {
            let mut context = hmac::Context::with_key(&key.recovery);
            context.update(user.0.as_bytes());
            context.update(code.as_bytes());
            let bytes = context.sign().as_ref().try_into().ok()?;
            Some(SecretHash::from_bytes(bytes))
        };
        self.0.iter().filter_map(hash).collect()
    }
}

/// Seals bytes for whoever has this id: a nonce, and what AES-256-GCM makes of them.
fn sealed(key: &LessSafeKey, whose: Uuid, bytes: &[u8]) -> Option<Vec<u8>> {
    let nonce: [u8; NONCE_LEN] = random();
    let mut sealed = bytes.to_vec();
    key.seal_in_place_append_tag(
        Nonce::assume_unique_for_key(nonce),
        Aad::from(whose.as_bytes()),
        &mut sealed,
    )
    .ok()?;
    Some([&nonce[..], &sealed].concat())
}

/// Opens what was sealed with this key for whoever has this id.
fn opened(key: &LessSafeKey, whose: Uuid, sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let (nonce, sealed) = sealed.split_first_chunk::<NONCE_LEN>()?;
    let mut bytes = Zeroizing::new(sealed.to_vec());
    let nonce = Nonce::assume_unique_for_key(*nonce);
    let aad = Aad::from(whose.as_bytes());
    let length = key.open_in_place(nonce, aad, &mut bytes).ok()?.len();
    bytes.truncate(length);
    Some(bytes)
}

/// Whether a text is of the form of a code of the time; what is not may be a recovery code.
pub(super) fn is_code(text: &str) -> bool {
    text.len() == DIGITS && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// RFC 4648 base 32 without padding, which neither secrets nor recovery codes need: their bytes come in
/// fives.
fn base32(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 8 / 5);
    for five in bytes.chunks(5) {
        let mut bits = [0; 8];
        bits[3..3 + five.len()].copy_from_slice(five);
        let bits = u64::from_be_bytes(bits);
        for digit in (0..8).rev() {
            text.push(char::from(BASE32[(bits >> (digit * 5)) as usize & 31]));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rfc() -> TotpSecret {
        TotpSecret(Zeroizing::new(*b"12345678901234567890"))
    }

    fn shown(secret: &TotpSecret) -> Vec<u8> {
        secret.0.to_vec()
    }

    fn vault(bytes: &[u8]) -> Vault {
        let keys: Vec<_> = bytes
            .iter()
            .map(|byte| Zeroizing::new([*byte; 32]))
            .collect();
        Vault::new(&keys)
    }

    #[test]
    fn the_vectors_of_rfc_6238() {
        // Appendix B has eight digits, of which these are the last six.
        for (seconds, code) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_111_111_111, "050471"),
            (1_234_567_890, "005924"),
            (2_000_000_000, "279037"),
            (20_000_000_000, "353130"),
        ] {
            assert_eq!(rfc().code(seconds / 30), code);
            let now = UnixMillis(seconds * 1000);
            assert_eq!(rfc().step_of(now, 0, code), Some(seconds / 30));
        }
    }

    #[test]
    fn a_code_is_good_for_its_step_and_those_beside_it_and_once() {
        let now = UnixMillis(1_000_000 * 30_000);
        for (step, good) in [
            (999_998, false),
            (999_999, true),
            (1_000_000, true),
            (1_000_001, true),
            (1_000_002, false),
        ] {
            let code = rfc().code(step);
            assert_eq!(rfc().step_of(now, 0, &code), good.then_some(step));
            assert_eq!(rfc().step_of(now, step, &code), None, "it was used");
            let with_space = format!(" {code}");
            assert_eq!(rfc().step_of(now, 0, &with_space), None);
        }
        assert_eq!(rfc().step_of(now, 0, ""), None);
    }

    #[test]
    fn apps_read_the_secret() {
        assert_eq!(rfc().to_text().expose(), "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
        let url = rfc().to_url(&"a+b@example.org".parse().expect("a name"));
        assert_eq!(
            url.expose(),
            "otpauth://totp/Fleetwire:a%2Bb%40example.org?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=Fleetwire&algorithm=SHA1&digits=6&period=30"
        );
    }

    #[test]
    fn a_secret_opens_for_its_user_and_with_its_key_alone() {
        let (one, other) = (UserId::random([1; 16]), UserId::random([2; 16]));
        let sealed = vault(&[7]).seal(one, &rfc()).expect("sealed");
        let opened = |vault: Vault, user, sealed: &[u8]| {
            vault.open(user, sealed).map(|secret| shown(&secret))
        };
        assert_eq!(opened(vault(&[7]), one, &sealed), Some(shown(&rfc())));
        assert_eq!(opened(vault(&[9, 7]), one, &sealed), Some(shown(&rfc())));
        assert_eq!(opened(vault(&[7]), other, &sealed), None);
        assert_eq!(opened(vault(&[9]), one, &sealed), None);
        for at in 0..sealed.len() {
            let mut altered = sealed.clone();
            altered[at] ^= 1;
            assert_eq!(opened(vault(&[7]), one, &altered), None);
            assert_eq!(opened(vault(&[7]), one, &sealed[..at]), None);
        }
        let plain = sealed.windows(20).any(|bytes| bytes == *rfc().0);
        assert!(!plain);
        assert_ne!(vault(&[7]).seal(one, &rfc()).expect("sealed"), sealed);
    }

    #[test]
    fn a_webhooks_secret_opens_for_its_channel_alone() {
        let one = AlertChannelId(Uuid::from_u128(1));
        let other = AlertChannelId(Uuid::from_u128(2));
        let secret = Secret::new("whsec_eA==".to_owned());
        let sealed = vault(&[7]).seal_webhook(one, &secret).expect("sealed");
        let opened = |vault: Vault, channel| {
            let opened = vault.open_webhook(channel, &sealed);
            opened.map(|secret| secret.expose().to_owned())
        };
        assert_eq!(opened(vault(&[9, 7]), one).as_deref(), Some("whsec_eA=="));
        assert_eq!(opened(vault(&[7]), other), None);
        assert_eq!(opened(vault(&[9]), one), None);
        let user = UserId(one.0);
        assert!(
            vault(&[7]).open(user, &sealed).is_none(),
            "nor as another kind"
        );
    }

    #[test]
    fn recovery_codes_are_known_however_they_are_typed() {
        let (one, other) = (UserId::random([1; 16]), UserId::random([2; 16]));
        let (codes, hashes) = vault(&[7]).recovery_codes(one);
        assert_eq!(
            (codes.len(), hashes.len()),
            (RECOVERY_CODES, RECOVERY_CODES)
        );
        for (code, hash) in codes.iter().zip(&hashes) {
            let text = code.expose();
            assert_eq!(text.len(), 19, "{text}");
            assert!(!is_code(text));
            for typed in [text, &text.to_uppercase(), &text.replace('-', " ")] {
                assert_eq!(vault(&[7]).hashes(one, typed), [*hash]);
                assert!(vault(&[9, 7]).hashes(one, typed).contains(hash));
            }
            assert_ne!(vault(&[7]).hashes(other, text), [*hash]);
            assert_eq!(hashes.iter().filter(|other| *other == hash).count(), 1);
        }
    }
}
