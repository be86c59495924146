//! Users, sign-ins and API keys as SQL. A set of granted groups is a row each; it is read as one text
//! of ids with spaces between.

use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::super::users::{
    API_KEYS_MAX, ApiKeyRecord, External, FAMILIES_MAX, FamilyRecord, NewFamily, Refresh,
    Refreshed, SecondFactor, TotpRecord, USED_TOKENS_MAX, USERS_MAX, UserChange, UserRecord,
    UserStore,
};
use super::super::{Change, StoreError, StoreFuture};
use super::groups::{as_expected, json_array, taken};
use super::{SqliteStore, Transaction};
use crate::audit::{Entry, Outcome};
use crate::clock::UnixMillis;
use crate::ids::{ApiKeyId, FamilyId, GroupId, UserId};
use crate::platform::identity::{Access, Grants};
use crate::secret::{Secret, SecretHash};

const USER: &str = "SELECT id, name, role, all_hosts,
    (SELECT group_concat(group_id, ' ') FROM user_grants WHERE user = users.id),
    disabled, created, password, totp_sealed, totp_on, totp_last_step, issuer, subject, version
    FROM users";
const FAMILY: &str = "SELECT id, user, created, used, expires, address FROM families";
const API_KEY: &str = "SELECT id, user, role, all_hosts,
    (SELECT group_concat(group_id, ' ') FROM api_key_grants WHERE api_key = api_keys.id),
    name, hash, created, expires, used FROM api_keys";

impl UserStore for SqliteStore {
    fn create_user(&self, user: UserRecord, change: Change) -> StoreFuture<'_, UserRecord> {
        Box::pin(self.write(move |connection| {
            let count: usize =
                connection.query_row("SELECT count(*) FROM users", [], |row| row.get(0))?;
            if count >= USERS_MAX {
                return Err(StoreError::Full);
            }
            let id = user.id;
            connection
                .prepare_cached(
                    "INSERT INTO users (id, name, role, all_hosts, disabled, created, totp_on,
                        totp_last_step, version)
                     VALUES (?1, ?2, ?3, 0, ?4, ?5, 0, 0, 1)",
                )?
                .execute(params![
                    id,
                    user.name,
                    user.access.role,
                    user.disabled,
                    user.created
                ])
                .map_err(taken)?;
            let rest = UserChange {
                access: Some(user.access),
                password: Some(user.password),
                totp: Some(user.totp),
                external: Some(user.external),
                ..UserChange::default()
            };
            change_user(connection, id, rest)?;
            connection.record(change)?;
            self::user(connection, id)?.ok_or(StoreError::NotFound)
        }))
    }

    fn user(&self, id: UserId) -> StoreFuture<'_, Option<UserRecord>> {
        Box::pin(self.read(move |connection| user(connection, id)))
    }

    fn users(&self) -> StoreFuture<'_, Vec<UserRecord>> {
        Box::pin(self.read(|connection| {
            let mut query = connection.prepare_cached(&format!("{USER} ORDER BY name"))?;
            let users = query.query_map([], user_record)?;
            Ok(users.collect::<Result<_, _>>()?)
        }))
    }

    fn update_user(
        &self,
        id: UserId,
        expected: Option<u64>,
        change: UserChange,
        audit: Entry,
    ) -> StoreFuture<'_, UserRecord> {
        Box::pin(self.write(move |connection| {
            let before = user(connection, id)?.ok_or(StoreError::NotFound)?;
            as_expected(before.version, expected)?;
            change_user(connection, id, change)?;
            connection
                .prepare_cached("UPDATE users SET version = version + 1 WHERE id = ?1")?
                .execute([id])?;
            connection.audit(audit)?;
            user(connection, id)?.ok_or(StoreError::NotFound)
        }))
    }

    fn delete_user(&self, id: UserId, expected: Option<u64>, audit: Entry) -> StoreFuture<'_, ()> {
        Box::pin(self.write(move |connection| {
            let before = user(connection, id)?.ok_or(StoreError::NotFound)?;
            as_expected(before.version, expected)?;
            connection
                .prepare_cached("DELETE FROM users WHERE id = ?1")?
                .execute([id])?;
            connection.audit(audit)
        }))
    }

    fn has_recovery_code(&self, user: UserId, code: SecretHash) -> StoreFuture<'_, bool> {
        Box::pin(self.read(move |connection| {
            let mut query = connection
                .prepare_cached("SELECT 1 FROM recovery_codes WHERE user = ?1 AND code = ?2")?;
            Ok(query.exists((user, code))?)
        }))
    }

    fn recovery_codes_left(&self, user: UserId) -> StoreFuture<'_, usize> {
        Box::pin(self.read(move |connection| {
            let mut query =
                connection.prepare_cached("SELECT count(*) FROM recovery_codes WHERE user = ?1")?;
            Ok(query.query_row([user], |row| row.get(0))?)
        }))
    }

    fn create_family(&self, family: NewFamily, audit: Entry) -> StoreFuture<'_, ()> {
        Box::pin(self.write(move |connection| {
            create_family(connection, &family)?;
            connection.audit(audit)
        }))
    }

    fn refresh(&self, refresh: Refresh) -> StoreFuture<'_, Refreshed> {
        Box::pin(self.write(move |connection| self::refresh(connection, &refresh)))
    }

    fn end_family(&self, id: FamilyId, audit: Entry) -> StoreFuture<'_, ()> {
        Box::pin(self.write(move |connection| {
            end_family(connection, id)?;
            connection.audit(audit)
        }))
    }

    fn families(&self, of: Option<UserId>) -> StoreFuture<'_, Vec<FamilyRecord>> {
        Box::pin(self.read(move |connection| {
            let mut query = connection.prepare_cached(&format!(
                "{FAMILY} WHERE ?1 IS NULL OR user = ?1 ORDER BY created, id"
            ))?;
            let families = query.query_map([of], family_record)?;
            Ok(families.collect::<Result<_, _>>()?)
        }))
    }

    fn put_api_key(&self, key: ApiKeyRecord, change: Change) -> StoreFuture<'_, ()> {
        Box::pin(self.write(move |connection| {
            put_api_key(connection, key)?;
            connection.record(change)
        }))
    }

    fn api_keys(&self, of: Option<UserId>) -> StoreFuture<'_, Vec<ApiKeyRecord>> {
        Box::pin(self.read(move |connection| {
            let mut query = connection.prepare_cached(&format!(
                "{API_KEY} WHERE ?1 IS NULL OR user = ?1 ORDER BY created, id"
            ))?;
            let keys = query.query_map([of], api_key_record)?;
            Ok(keys.collect::<Result<_, _>>()?)
        }))
    }

    fn delete_api_key(&self, id: ApiKeyId, audit: Entry) -> StoreFuture<'_, ()> {
        Box::pin(self.write(move |connection| {
            let changed = connection
                .prepare_cached("DELETE FROM api_keys WHERE id = ?1")?
                .execute([id])?;
            if changed == 0 {
                return Err(StoreError::NotFound);
            }
            connection.audit(audit)
        }))
    }

    fn api_keys_used(&self, used: Vec<(ApiKeyId, UnixMillis)>) -> StoreFuture<'_, ()> {
        Box::pin(self.write(move |connection| {
            let mut update =
                connection.prepare_cached("UPDATE api_keys SET used = ?2 WHERE id = ?1")?;
            for (id, at) in used {
                update.execute((id, at))?;
            }
            Ok(())
        }))
    }
}

fn change_user(
    connection: &Transaction<'_>,
    id: UserId,
    change: UserChange,
) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "UPDATE users SET name = coalesce(?2, name), disabled = coalesce(?3, disabled)
             WHERE id = ?1",
        )?
        .execute((id, change.name, change.disabled))
        .map_err(taken)?;
    if let Some(access) = change.access {
        connection
            .prepare_cached("UPDATE users SET role = ?2, all_hosts = ?3 WHERE id = ?1")?
            .execute((id, access.role, access.grants == Grants::All))?;
        connection
            .prepare_cached("DELETE FROM user_grants WHERE user = ?1")?
            .execute([id])?;
        let granted = connection
            .prepare_cached(
                "INSERT INTO user_grants (user, group_id)
                 SELECT ?1, id FROM groups WHERE id IN (SELECT value FROM json_each(?2))",
            )?
            .execute((id, granted(&access.grants)))?;
        all_known(&access.grants, granted)?;
    }
    if let Some(password) = change.password {
        connection
            .prepare_cached("UPDATE users SET password = ?2 WHERE id = ?1")?
            .execute((id, password.as_ref().map(Secret::expose)))?;
    }
    if let Some(totp) = change.totp {
        let none = TotpRecord {
            sealed: Vec::new(),
            on: false,
            last_step: 0,
        };
        let sealed = totp.as_ref().map(|totp| &totp.sealed);
        let of = totp.as_ref().unwrap_or(&none);
        connection
            .prepare_cached(
                "UPDATE users SET totp_sealed = ?2, totp_on = ?3, totp_last_step = ?4 WHERE id = ?1",
            )?
            .execute((id, sealed, of.on, of.last_step as i64))?;
        if totp.is_none() {
            set_recovery_codes(connection, id, &[])?;
        }
    }
    if let Some(codes) = change.recovery_codes {
        set_recovery_codes(connection, id, &codes)?;
    }
    if let Some(external) = change.external {
        let (issuer, subject) = external.map(|of| (of.issuer, of.subject)).unzip();
        connection
            .prepare_cached("UPDATE users SET issuer = ?2, subject = ?3 WHERE id = ?1")?
            .execute((id, issuer, subject))
            .map_err(taken)?;
    }
    if change.end_sign_ins {
        connection
            .prepare_cached("DELETE FROM families WHERE user = ?1")?
            .execute([id])?;
    }
    Ok(())
}

fn set_recovery_codes(
    connection: &Connection,
    user: UserId,
    codes: &[SecretHash],
) -> Result<(), StoreError> {
    connection
        .prepare_cached("DELETE FROM recovery_codes WHERE user = ?1")?
        .execute([user])?;
    let mut insert =
        connection.prepare_cached("INSERT INTO recovery_codes (user, code) VALUES (?1, ?2)")?;
    for code in codes {
        insert.execute((user, code))?;
    }
    Ok(())
}

fn create_family(connection: &Transaction<'_>, new: &NewFamily) -> Result<(), StoreError> {
    let family = &new.family;
    // Whoever was changed, disabled or given another password while its password was checked does not
    // come in on what was so before.
    let user = user(connection, family.user)?.ok_or(StoreError::NotFound)?;
    as_expected(user.version, Some(new.user_version))?;
    let used_up = match new.second {
        None => 1,
        Some(SecondFactor::Totp(step)) => connection
            .prepare_cached(
                "UPDATE users SET totp_last_step = ?2 WHERE id = ?1 AND totp_last_step < ?2",
            )?
            .execute((family.user, step as i64))?,
        Some(SecondFactor::Recovery(code)) => connection
            .prepare_cached("DELETE FROM recovery_codes WHERE user = ?1 AND code = ?2")?
            .execute((family.user, code))?,
    };
    if used_up == 0 {
        return Err(StoreError::Taken);
    }
    connection
        .prepare_cached("DELETE FROM families WHERE expires <= ?1 OR used <= ?2")?
        .execute((family.created, new.idle_before))?;
    connection
        .prepare_cached(
            "DELETE FROM families WHERE user = ?1 AND id NOT IN
                (SELECT id FROM families WHERE user = ?1 ORDER BY used DESC LIMIT ?2)",
        )?
        .execute((family.user, FAMILIES_MAX - 1))?;
    connection
        .prepare_cached(
            "INSERT INTO families (id, user, created, used, expires, address, refresh)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )?
        .execute(params![
            family.id,
            family.user,
            family.created,
            family.used,
            family.expires,
            family.address,
            new.refresh
        ])?;
    Ok(())
}

fn refresh(connection: &Transaction<'_>, refresh: &Refresh) -> Result<Refreshed, StoreError> {
    let current = connection
        .prepare_cached(&format!("{FAMILY} WHERE refresh = ?1"))?
        .query_row([refresh.presented], family_record)
        .optional()?;
    if let Some(mut family) = current {
        if family.expires <= refresh.at || family.used <= refresh.idle_before {
            end_family(connection, family.id)?;
            return Ok(Refreshed::Unknown);
        }
        family.used = refresh.at;
        connection
            .prepare_cached("UPDATE families SET refresh = ?2, used = ?3 WHERE id = ?1")?
            .execute((family.id, refresh.next, refresh.at))?;
        connection
            .prepare_cached(
                "INSERT INTO used_refresh_tokens (token, family, used) VALUES (?1, ?2, ?3)",
            )?
            .execute((refresh.presented, family.id, refresh.at))?;
        connection
            .prepare_cached(
                "DELETE FROM used_refresh_tokens WHERE family = ?1 AND token NOT IN
                    (SELECT token FROM used_refresh_tokens WHERE family = ?1
                     ORDER BY used DESC LIMIT ?2)
                 AND (SELECT count(*) FROM used_refresh_tokens WHERE family = ?1) > ?2",
            )?
            .execute((family.id, USED_TOKENS_MAX))?;
        return Ok(Refreshed::Rotated(family));
    }
    let reused = connection
        .prepare_cached(&format!(
            "{FAMILY} WHERE id = (SELECT family FROM used_refresh_tokens WHERE token = ?1)"
        ))?
        .query_row([refresh.presented], family_record)
        .optional()?;
    let Some(family) = reused else {
        return Ok(Refreshed::Unknown);
    };
    end_family(connection, family.id)?;
    let name = user(connection, family.user)?.map(|user| user.name.to_string());
    let target = format!("user:{}", family.user);
    let audit = Entry::new(refresh.at, "platform", "user.refresh_reused", target)
        .outcome(Outcome::Failed)
        .detail("user", name.unwrap_or_default())
        .detail("sign_in", family.id.to_string())
        .detail("address", family.address.as_str());
    connection.audit(audit)?;
    Ok(Refreshed::Reused(family))
}

fn end_family(connection: &Connection, id: FamilyId) -> Result<(), StoreError> {
    let changed = connection
        .prepare_cached("DELETE FROM families WHERE id = ?1")?
        .execute([id])?;
    if changed == 0 {
        return Err(StoreError::NotFound);
    }
    Ok(())
}

fn put_api_key(connection: &Transaction<'_>, key: ApiKeyRecord) -> Result<(), StoreError> {
    user(connection, key.user)?.ok_or(StoreError::NotFound)?;
    let count: usize = connection
        .prepare_cached("SELECT count(*) FROM api_keys WHERE user = ?1 AND id <> ?2")?
        .query_row((key.user, key.id), |row| row.get(0))?;
    if count >= API_KEYS_MAX {
        return Err(StoreError::Full);
    }
    connection
        .prepare_cached("DELETE FROM api_keys WHERE id = ?1")?
        .execute([key.id])?;
    connection
        .prepare_cached(
            "INSERT INTO api_keys (id, user, name, hash, role, all_hosts, created, expires, used)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        )?
        .execute(params![
            key.id,
            key.user,
            key.name,
            key.hash,
            key.access.role,
            key.access.grants == Grants::All,
            key.created,
            key.expires,
            key.used
        ])?;
    let granted = connection
        .prepare_cached(
            "INSERT INTO api_key_grants (api_key, group_id)
             SELECT ?1, id FROM groups WHERE id IN (SELECT value FROM json_each(?2))",
        )?
        .execute((key.id, granted(&key.access.grants)))?;
    all_known(&key.access.grants, granted)
}

fn all_known(grants: &Grants, kept: usize) -> Result<(), StoreError> {
    match grants {
        Grants::Groups(groups) if groups.len() != kept => Err(StoreError::GroupUnknown),
        _ => Ok(()),
    }
}

fn granted(grants: &Grants) -> String {
    match grants {
        Grants::All => "[]".to_owned(),
        Grants::Groups(groups) => json_array(groups.iter().map(GroupId::to_string)),
    }
}

fn user(connection: &Connection, id: UserId) -> Result<Option<UserRecord>, StoreError> {
    let mut query = connection.prepare_cached(&format!("{USER} WHERE id = ?1"))?;
    Ok(query.query_row([id], user_record).optional()?)
}

fn user_record(row: &Row<'_>) -> rusqlite::Result<UserRecord> {
    let totp = |sealed| {
        Ok::<_, rusqlite::Error>(TotpRecord {
            sealed,
            on: row.get(9)?,
            last_step: row.get::<_, i64>(10)?.max(0) as u64,
        })
    };
    let (issuer, subject): (Option<String>, Option<String>) = (row.get(11)?, row.get(12)?);
    Ok(UserRecord {
        id: row.get(0)?,
        name: row.get(1)?,
        access: access(row)?,
        disabled: row.get(5)?,
        created: row.get(6)?,
        password: row.get::<_, Option<String>>(7)?.map(Secret::new),
        totp: row.get::<_, Option<Vec<u8>>>(8)?.map(totp).transpose()?,
        external: issuer
            .zip(subject)
            .map(|(issuer, subject)| External { issuer, subject }),
        version: row.get(13)?,
    })
}

/// The access in the columns 2 to 4.
fn access(row: &Row<'_>) -> rusqlite::Result<Access> {
    let grants = if row.get(3)? {
        Grants::All
    } else {
        let ids: Option<String> = row.get(4)?;
        let ids = ids.iter().flat_map(|ids| ids.split(' '));
        let ids: Result<_, _> = ids.map(str::parse::<GroupId>).collect();
        Grants::Groups(ids.map_err(|error| {
            let kind = rusqlite::types::Type::Text;
            rusqlite::Error::FromSqlConversionFailure(4, kind, Box::new(error))
        })?)
    };
    Ok(Access {
        role: row.get(2)?,
        grants,
    })
}

fn family_record(row: &Row<'_>) -> rusqlite::Result<FamilyRecord> {
    Ok(FamilyRecord {
        id: row.get(0)?,
        user: row.get(1)?,
        created: row.get(2)?,
        used: row.get(3)?,
        expires: row.get(4)?,
        address: row.get(5)?,
    })
}

fn api_key_record(row: &Row<'_>) -> rusqlite::Result<ApiKeyRecord> {
    Ok(ApiKeyRecord {
        id: row.get(0)?,
        user: row.get(1)?,
        access: access(row)?,
        name: row.get(5)?,
        hash: row.get(6)?,
        created: row.get(7)?,
        expires: row.get(8)?,
        used: row.get(9)?,
    })
}
