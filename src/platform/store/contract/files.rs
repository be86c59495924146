//! What every store must do about files.

use super::super::commands::NewCommand;
use super::super::files::*;
use super::*;
use crate::ids::{CommandId, FileId};

contract!(
    a_file_is_announced_and_becomes_whole,
    files_are_bounded_together,
    a_file_stays_as_long_as_a_command_needs_it,
    files_are_listed_for_whoever_sees_them,
);

fn file(name: &str, size: u64) -> FileRecord {
    FileRecord {
        id: FileId::random(random()),
        name: name.to_owned(),
        size,
        sha256: Some([7; 32]),
        complete: false,
        user: "ada".to_owned(),
        from: None,
        created: T0,
        expires: at(60),
    }
}

async fn create(store: &dyn Store, file: &FileRecord) {
    let made = store.create_file(file.clone(), 1000, audit("file.create").into());
    made.await.expect("made");
}

async fn command(store: &dyn Store) -> (CommandId, HostId) {
    let host = host("kvm");
    let (id, command) = (host.id, CommandId::random(random()));
    let made = store.create_host(host, audit("host.create").into());
    made.await.expect("made");
    let new = NewCommand {
        id: command,
        kind: "file_transfer".to_owned(),
        parameters: Vec::new(),
        timeout_seconds: 60,
        priority: super::super::commands::Priority::Normal,
        user: "ada".to_owned(),
        created: T0,
        expires: None,
        not_before: None,
        plan: Default::default(),
        targets: String::new(),
        redrive_of: None,
        hosts: vec![id.into()],
    };
    let made = store.create_command(new, audit("command.create").into());
    made.await.expect("made");
    (command, id)
}

async fn a_file_is_announced_and_becomes_whole(open: Open<'_>) {
    let store = open();
    let announced = file("firmware.bin", 100);
    create(&*store, &announced).await;
    assert_eq!(store.file(announced.id).await, Ok(Some(announced.clone())));
    assert_eq!(
        store.file_by_hash(100, [7; 32]).await,
        Ok(None),
        "not whole"
    );
    let whole = store
        .complete_file(announced.id, [7; 32], at(600), audit("file.complete"))
        .await
        .expect("whole");
    assert_eq!((whole.complete, whole.expires), (true, at(600)));
    drop(store);
    let store = open();
    assert_eq!(store.file_by_hash(100, [7; 32]).await, Ok(Some(whole)));
    assert_eq!(store.file_by_hash(99, [7; 32]).await, Ok(None));
    let unknown = FileId::random(random());
    let missing = store.complete_file(unknown, [7; 32], at(1), audit("file.complete"));
    assert_eq!(missing.await, Err(StoreError::NotFound));
}

async fn files_are_bounded_together(open: Open<'_>) {
    let store = open();
    create(&*store, &file("a", 600)).await;
    let more = file("b", 401);
    let refused = store.create_file(more, 1000, audit("file.create").into());
    assert_eq!(refused.await, Err(StoreError::Full));
    create(&*store, &file("c", 400)).await;
    assert_eq!(store.files_bytes().await, Ok(1000));
    let gone = store.expire_files(at(60), 1).await.expect("removed");
    assert_eq!(gone.len(), 1);
    assert_eq!(
        store.expire_files(at(60), 9).await.expect("removed").len(),
        1
    );
    assert_eq!(store.files_bytes().await, Ok(0));
}

async fn a_file_stays_as_long_as_a_command_needs_it(open: Open<'_>) {
    let store = open();
    let (command, host) = command(&*store).await;
    let needed = file("a", 1);
    create(&*store, &needed).await;
    store.use_file(needed.id, command, T0).await.expect("noted");
    let sent = FileRecord {
        from: Some((command, host)),
        ..file("b", 1)
    };
    create(&*store, &sent).await;
    assert_eq!(store.file_from(command, host).await, Ok(Some(sent.clone())));
    let late = at(7 * 86_400);
    assert_eq!(store.expire_files(late, 9).await, Ok(Vec::new()));
    let refused = store.delete_file(needed.id, late, audit("file.delete"));
    assert_eq!(refused.await, Err(StoreError::Taken));
    let cancelled = store.cancel_command(command, None, late, audit("command.cancel").into());
    cancelled.await.expect("cancelled");
    let deleted = store.delete_file(needed.id, late, audit("file.delete"));
    deleted.await.expect("deleted");
    assert_eq!(store.expire_files(late, 9).await, Ok(vec![sent.id]));
    let unknown = store.use_file(needed.id, command, late).await;
    assert_eq!(unknown, Err(StoreError::NotFound));
    // A command that was never made needs nothing after a while.
    let waiting = file("c", 1);
    create(&*store, &waiting).await;
    let never = CommandId::random(random());
    store
        .use_file(waiting.id, never, late)
        .await
        .expect("noted");
    assert_eq!(store.expire_files(late, 9).await, Ok(Vec::new()));
    let later = late.plus(std::time::Duration::from_secs(3601));
    assert_eq!(store.expire_files(later, 9).await, Ok(vec![waiting.id]));
}

async fn files_are_listed_for_whoever_sees_them(open: Open<'_>) {
    let store = open();
    let (command, host) = command(&*store).await;
    let own = file("own", 1);
    let sent = FileRecord {
        from: Some((command, host)),
        user: "bob".to_owned(),
        created: at(1),
        ..file("sent", 1)
    };
    let other = FileRecord {
        user: "bob".to_owned(),
        created: at(2),
        ..file("other", 1)
    };
    for file in [&own, &sent, &other] {
        create(&*store, file).await;
    }
    let names = async |filter: FileFilter, after: Option<FilePlace>| -> Vec<String> {
        let files = store.files(filter, after, 2).await.expect("read");
        files.into_iter().map(|file| file.name).collect()
    };
    assert_eq!(names(FileFilter::default(), None).await, ["other", "sent"]);
    let after = FilePlace {
        created: sent.created,
        id: sent.id,
    };
    assert_eq!(names(FileFilter::default(), Some(after)).await, ["own"]);
    let seen_by = |hosts| FileFilter {
        seen_by: Some(("ada".to_owned(), hosts)),
        ..FileFilter::default()
    };
    assert_eq!(names(seen_by(vec![host]), None).await, ["sent", "own"]);
    assert_eq!(names(seen_by(Vec::new()), None).await, ["own"]);
    let by_command = FileFilter {
        command: Some(command),
        ..FileFilter::default()
    };
    assert_eq!(names(by_command, None).await, ["sent"]);
}
