//! The audit log: its export, piece by piece, and its retention. What is written to it goes with each
//! change, in the other operations.

use std::sync::Arc;

use futures_util::StreamExt as _;
use futures_util::stream::try_unfold;
use tracing::{error, info};

use super::page::{self, Page};
use super::{ErrorKind, ServiceError};
use crate::audit::export::{entry_line, first_line, head_line};
use crate::audit::seal::Head;
use crate::audit::{Chained, Entry};
use crate::clock::UnixMillis;
use crate::platform::Platform;
use crate::platform::api::{Answer, AuditService, Call, Stream};
use crate::platform::store::{AuditFilter, AuditSpan, StoreError};
use crate::wire::api::{
    AuditEntry, ExportAuditRequest, ExportAuditResponse, ListAuditEntriesRequest,
    ListAuditEntriesResponse,
};

/// Entries that are read at once: of the longest that there are, 16 MiB of text.
const ENTRIES_READ_MAX: usize = 64;
/// Entries that are removed at once: other changes wait for so many.
const ENTRIES_REMOVED_MAX: usize = 4096;

/// An export on its way.
pub struct AuditExport {
    platform: Arc<Platform>,
    span: AuditSpan,
    head: Head,
    next: Next,
}

enum Next {
    First,
    EntriesAfter(u64),
    Nothing,
}

impl AuditService for Platform {
    async fn list_audit_entries(
        self: Arc<Self>,
        call: Call,
        request: ListAuditEntriesRequest,
    ) -> Answer<ListAuditEntriesResponse> {
        let page = Page::of(request.page_size, &request.page_token)?;
        let before = page.after().map(str::parse::<u64>).transpose();
        let before = before.map_err(|_| page::token_invalid())?;
        // Whoever sees some hosts only sees what concerns these.
        let hosts = if request.host.is_empty() {
            self.identity.granted_hosts(&call.caller)
        } else {
            Some(vec![self.find_host(&call, &request.host).await?.id])
        };
        let filter = AuditFilter {
            actor: request.actor,
            action: request.action,
            hosts,
            session: request.session_id.map(Into::into),
            since: request.since.map(UnixMillis::from),
            until: request.until.map(UnixMillis::from),
        };
        let found = self
            .store
            .audit_search(filter, before, page.size() + 1)
            .await?;
        let (entries, next_page_token) =
            page.take(found.into_iter(), |chained| chained.sequence.to_string());
        Ok(ListAuditEntriesResponse {
            entries: entries.into_iter().map(show).collect(),
            next_page_token,
        })
    }

    async fn export_audit(
        self: Arc<Self>,
        call: Call,
        request: ExportAuditRequest,
    ) -> Answer<Stream<ExportAuditResponse>> {
        call.caller.needs_all_hosts()?;
        let export = self.begin_export(request.after).await?;
        let lines = try_unfold(export, |mut export| async move {
            let lines = export.next().await?;
            let answer = |lines: String| ExportAuditResponse {
                lines: lines.into(),
            };
            Ok::<_, ServiceError>(lines.map(|lines| (answer(lines), export)))
        });
        Ok(lines.boxed())
    }
}

impl Platform {
    /// Begins an export from after an entry on, up to the last that there is now; of all when `after` is
    /// zero.
    async fn begin_export(self: Arc<Self>, after: u64) -> Result<AuditExport, ServiceError> {
        // Before the look, so that nothing from before this instant is missing.
        let now = UnixMillis::now();
        let span = self.store.audit_span(after).await.map_err(|error| {
            if error != StoreError::NotFound {
                return error.into();
            }
            let detail = "the audit log has no such entry, or has it no longer";
            ServiceError::new(ErrorKind::NotFound, "entry_unknown", detail)
        })?;
        Ok(AuditExport {
            head: self.audit_key.head(span.head, now),
            platform: self,
            span,
            next: Next::First,
        })
    }

    /// Removes what the audit log is to keep no longer. Called about once an hour.
    pub async fn keep_audit(&self) {
        let Some(keep) = self.config.audit_keep else {
            return;
        };
        let now = UnixMillis::now();
        let before = UnixMillis(now.0.saturating_sub(keep.as_millis() as u64));
        let mut removed = 0;
        loop {
            match self
                .store
                .audit_remove(before, ENTRIES_REMOVED_MAX, now)
                .await
            {
                Ok(count) => {
                    removed += count;
                    if count < ENTRIES_REMOVED_MAX {
                        break;
                    }
                }
                Err(error) => {
                    error!(%error, "old entries of the audit log were not removed");
                    break;
                }
            }
        }
        if removed > 0 {
            info!(removed, "removed old entries of the audit log");
        }
    }
}

fn show(chained: Chained) -> AuditEntry {
    let Entry {
        at,
        actor,
        action,
        target,
        host,
        session,
        outcome,
        details,
    } = chained.entry;
    let given = |id: String| (!id.is_empty()).then_some(id);
    AuditEntry {
        sequence: chained.sequence,
        at: Some(at.into()),
        actor,
        action,
        target,
        host_id: given(host),
        session_id: given(session),
        outcome,
        details: details.into_iter().collect(),
        hash: chained.hash.to_string(),
    }
}

impl AuditExport {
    /// The next lines; none when all have been given.
    ///
    /// # Errors
    /// When the store fails, or retention removes entries on the way.
    pub async fn next(&mut self) -> Result<Option<String>, ServiceError> {
        let AuditSpan { after, start, head } = self.span;
        let (mut lines, next) = match self.next {
            Next::First => {
                let first = first_line(after, start.as_ref());
                (vec![first], Next::EntriesAfter(after.sequence))
            }
            Next::EntriesAfter(after) => {
                let page = self
                    .platform
                    .store
                    .audit_after(after, ENTRIES_READ_MAX)
                    .await?;
                if page.removed > after {
                    let detail = "entries were removed while they were exported: export again";
                    return Err(ServiceError::new(
                        ErrorKind::Conflict,
                        "entries_removed",
                        detail,
                    ));
                }
                let entries = page.entries.iter();
                let entries = entries.take_while(|chained| chained.sequence <= head.sequence);
                let mut last = None;
                let lines: Vec<_> = entries
                    .inspect(|chained| last = Some(chained.sequence))
                    .map(entry_line)
                    .collect();
                (lines, last.map_or(Next::Nothing, Next::EntriesAfter))
            }
            Next::Nothing => return Ok(None),
        };
        if matches!(next, Next::Nothing) {
            lines.push(head_line(&self.head));
        }
        self.next = next;
        Ok(Some(lines.iter().flat_map(|line| [line, "\n"]).collect()))
    }
}
