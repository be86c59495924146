//! Bodies that go up while answers come down, waits for leave, leaving, and upgrades.

use super::super::super::request::RequestError;
use super::*;

#[tokio::test]
async fn a_body_of_known_length_is_sent_as_it_is() {
    let (pool, _) = origin(Timeouts::default(), |_, mut stream| async move {
        let head = read_head(&mut stream).await?;
        assert_eq!(head, "PUT / HTTP/1.1\r\nContent-Length: 11\r\n\r\n");
        let mut body = [0; 11];
        stream.read_exact(&mut body).await?;
        assert_eq!(&body, b"hello world");
        stream.write_all(OK).await
    })
    .await;
    let put = request("PUT", "Content-Length: 11\r\n", RequestBody::Stream);
    let (kept, result) = exchange(&pool, &put, Feed::pieces(&["hello", " ", "world"])).await;
    result.expect("an answer");
    assert_eq!((kept.status(), pool.idle()), (200, 1));
}

#[tokio::test]
async fn a_body_of_another_length_than_stated_is_an_error() {
    for pieces in [&["hello", " world"][..], &["hell"]] {
        let (pool, _) = origin(Timeouts::default(), |_, mut stream| async move {
            tokio::io::copy(&mut stream, &mut tokio::io::sink())
                .await
                .map(|_| ())
        })
        .await;
        let put = request("PUT", "Content-Length: 5\r\n", RequestBody::Stream);
        let (_, result) = exchange(&pool, &put, Feed::pieces(pieces)).await;
        assert!(matches!(
            result,
            Err(OriginError::Request(RequestError::BodyLength))
        ));
        assert_eq!(pool.idle(), 0);
    }
}

#[tokio::test]
async fn a_body_of_unknown_length_is_chunked_with_its_trailers() {
    let (pool, _) = origin(Timeouts::default(), |_, mut stream| async move {
        let head = read_head(&mut stream).await?;
        assert!(
            head.ends_with("Transfer-Encoding: chunked\r\n\r\n"),
            "{head}"
        );
        let mut body = vec![0; 38];
        stream.read_exact(&mut body).await?;
        assert_eq!(
            body,
            b"5\r\nhello\r\n6\r\n world\r\n0\r\nX-Sum: abc\r\n\r\n"
        );
        stream.write_all(OK).await
    })
    .await;
    let mut trailers = FieldLines::builder();
    trailers.push("X-Sum", b"abc").expect("well formed");
    let pieces = ["hello", "", " world"].map(|piece| Piece::Data(piece.into()));
    let pieces = pieces
        .into_iter()
        .chain([Piece::End(trailers.finish())])
        .collect();
    let post = request("POST", "", RequestBody::Stream);
    let (kept, result) = exchange(&pool, &post, Feed::List(pieces)).await;
    result.expect("an answer");
    assert_eq!(kept.status(), 200);
}

#[tokio::test]
async fn an_early_answer_is_handed_on_and_ends_the_upload() {
    let (pool, _) = origin(Timeouts::default(), |_, mut stream| async move {
        read_head(&mut stream).await?;
        stream
            .write_all(b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno")
            .await?;
        stream.read_u8().await.map(|_| ())
    })
    .await;
    let (_open, pieces) = mpsc::unbounded_channel();
    let post = request("POST", "", RequestBody::Stream);
    let (kept, result) = exchange(&pool, &post, Feed::Channel(pieces)).await;
    result.expect("an answer");
    assert_eq!((kept.status(), &kept.body[..]), (413, &b"no"[..]));
    assert_eq!(pool.idle(), 0, "the origin still waits for the body");
}

#[tokio::test]
async fn both_directions_flow_at_once() {
    let (pool, _) = origin(Timeouts::default(), |_, mut stream| async move {
        read_head(&mut stream).await?;
        stream
            .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n")
            .await?;
        for expected in *b"abc" {
            assert_eq!(stream.read_u8().await?, expected);
            stream.write_u8(expected.to_ascii_uppercase()).await?;
        }
        Ok(())
    })
    .await;
    let (feed, pieces) = mpsc::unbounded_channel();
    let (mut kept, mut told) = Kept::telling();
    let post = request("POST", "Content-Length: 3\r\n", RequestBody::Stream);
    let mut source = Feed::Channel(pieces);
    let drive = async {
        assert!(matches!(told.recv().await, Some(Answer::Head(_))));
        for (up, down) in [("a", "A"), ("b", "B")] {
            feed.send(Piece::Data(up.into())).expect("taken");
            assert_eq!(told.recv().await, Some(Answer::Data(down.into())));
        }
        feed.send(Piece::Data("c".into())).expect("taken");
        feed.send(Piece::End(FieldLines::default())).expect("taken");
    };
    let (result, ()) = tokio::join!(pool.exchange(&post, &mut source, &mut kept), drive);
    result.expect("an answer");
    assert_eq!(&kept.body[..], b"ABC");
}

#[tokio::test]
async fn an_expecting_body_waits_for_leave_but_not_for_ever() {
    let hour = Duration::from_secs(3600);
    let moment = Duration::from_millis(50);
    for (says, wait_continue) in [(&b"HTTP/1.1 100 Continue\r\n\r\n"[..], hour), (b"", moment)] {
        let timeouts = Timeouts {
            wait_continue,
            ..Timeouts::default()
        };
        let (pool, _) = origin(timeouts, move |_, mut stream| async move {
            read_head(&mut stream).await?;
            stream.write_all(says).await?;
            let mut body = [0; 2];
            stream.read_exact(&mut body).await?;
            stream.write_all(OK).await
        })
        .await;
        let fields = "Expect: 100-continue\r\nContent-Length: 2\r\n";
        let put = request("PUT", fields, RequestBody::Stream);
        let (kept, result) = exchange(&pool, &put, Feed::pieces(&["hi"])).await;
        result.expect("an answer");
        assert_eq!(kept.heads.len(), 1, "100 ends here");
        assert_eq!(pool.idle(), 1);
    }
}

#[tokio::test]
async fn an_expecting_body_that_is_not_wanted_is_not_sent() {
    let (pool, _) = origin(Timeouts::default(), |_, mut stream| async move {
        read_head(&mut stream).await?;
        stream
            .write_all(b"HTTP/1.1 417 No\r\nContent-Length: 0\r\n\r\n")
            .await?;
        assert!(stream.read_u8().await.is_err(), "no byte of the body comes");
        Ok(())
    })
    .await;
    let put = request(
        "PUT",
        "Expect: 100-continue\r\nContent-Length: 2\r\n",
        RequestBody::Stream,
    );
    let (kept, result) = exchange(&pool, &put, Feed::pieces(&["hi"])).await;
    result.expect("an answer");
    assert_eq!((kept.status(), pool.idle()), (417, 0));
}

#[tokio::test]
async fn interim_heads_are_handed_on_in_order() {
    let (pool, _) = origin(Timeouts::default(), |_, stream| {
        let hints = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n";
        let answer = [&b"HTTP/1.1 100 Continue\r\n\r\n"[..], hints, OK].concat();
        async move { answer_all(stream, &answer).await }
    })
    .await;
    let (kept, result) = exchange(&pool, &get(), Feed::none()).await;
    result.expect("an answer");
    let statuses: Vec<_> = kept.heads.iter().map(|(status, _)| *status).collect();
    assert_eq!(statuses, [103, 200]);
}

#[tokio::test]
async fn each_piece_is_handed_on_before_the_next_is_sent() {
    let (had, has) = mpsc::unbounded_channel();
    let has = Arc::new(tokio::sync::Mutex::new(has));
    let (pool, _) = origin(Timeouts::default(), move |_, mut stream| {
        let has = has.clone();
        async move {
            let mut has = has.lock().await;
            read_head(&mut stream).await?;
            let head = b"HTTP/1.0 200 OK\r\nContent-Type: text/event-stream\r\n\r\n";
            for piece in [&head[..], b"one", b"two"] {
                stream.write_all(piece).await?;
                has.recv().await.expect("the test goes on");
            }
            stream.read_u8().await.map(|_| ())
        }
    })
    .await;
    let (mut kept, mut told) = Kept::telling();
    let (get, mut feed) = (get(), Feed::none());
    let running = pool.exchange(&get, &mut feed, &mut kept);
    let watching = async {
        assert!(matches!(told.recv().await, Some(Answer::Head(_))));
        for piece in ["one", "two"] {
            had.send(()).expect("the origin waits");
            assert_eq!(told.recv().await, Some(Answer::Data(piece.into())));
        }
    };
    // The answer has no end: leaving it closes the origin's connection.
    tokio::select! {
        result = running => panic!("ended: {result:?}"),
        () = watching => {}
    }
}

#[tokio::test]
async fn an_answer_that_has_begun_is_not_late() {
    let (had, has) = mpsc::unbounded_channel();
    let has = Arc::new(tokio::sync::Mutex::new(has));
    // Longer than the time to the head, and without a pause that would end it.
    let timeouts = Timeouts {
        idle: Duration::from_secs(24 * 3600),
        ..Timeouts::default()
    };
    let (pool, _) = origin(timeouts, move |_, mut stream| {
        let has = has.clone();
        async move {
            read_head(&mut stream).await?;
            stream
                .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n")
                .await?;
            has.lock().await.recv().await.expect("the test goes on");
            stream.write_all(b"late").await
        }
    })
    .await;
    let (mut kept, mut told) = Kept::telling();
    let (get, mut feed) = (get(), Feed::none());
    let drive = async {
        assert!(matches!(told.recv().await, Some(Answer::Head(_))));
        hours_pass().await;
        had.send(()).expect("the origin waits");
    };
    let (result, ()) = tokio::join!(pool.exchange(&get, &mut feed, &mut kept), drive);
    result.expect("an answer");
    assert_eq!(&kept.body[..], b"late");
}

#[tokio::test]
async fn an_answer_flows_on_beside_a_body_that_is_silent() {
    let (had, has) = mpsc::unbounded_channel();
    let has = Arc::new(tokio::sync::Mutex::new(has));
    let (pool, _) = origin(Timeouts::default(), move |_, mut stream| {
        let has = has.clone();
        async move {
            read_head(&mut stream).await?;
            let head = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n";
            stream.write_all(head).await?;
            let mut has = has.lock().await;
            while has.recv().await.is_some() {
                stream.write_u8(b'.').await?;
            }
            Ok(())
        }
    })
    .await;
    let (_open, pieces) = mpsc::unbounded_channel();
    let (mut kept, mut told) = Kept::telling();
    let post = request("POST", "", RequestBody::Stream);
    let mut source = Feed::Channel(pieces);
    let mut running = std::pin::pin!(pool.exchange(&post, &mut source, &mut kept));
    let flowing = async {
        assert!(matches!(told.recv().await, Some(Answer::Head(_))));
        for _ in 0..5 {
            had.send(()).expect("the origin waits");
            assert!(matches!(told.recv().await, Some(Answer::Data(_))));
            time_passes(Duration::from_secs(10 * 60)).await;
        }
    };
    tokio::select! {
        result = &mut running => panic!("ended: {result:?}"),
        () = flowing => {}
    }
    // Silent in both directions, it ends.
    let (result, ()) = tokio::join!(running, hours_pass());
    assert!(
        matches!(result, Err(OriginError::BodyTimeout)),
        "{result:?}"
    );
}

#[tokio::test]
async fn a_body_flows_on_beside_an_answer_that_is_silent() {
    const MINUTES: Duration = Duration::from_secs(10 * 60);
    let (tell, mut told) = mpsc::unbounded_channel();
    let (pool, _) = origin(Timeouts::default(), move |_, mut stream| {
        let tell = tell.clone();
        async move {
            read_head(&mut stream).await?;
            let head = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n";
            stream.write_all(head).await?;
            for _ in 0..5 {
                stream.read_u8().await?;
                tell.send(()).expect("the test waits");
            }
            // It answers a while after the body's end.
            stream.write_all(b"late").await?;
            stream.read_u8().await.map(|_| ())
        }
    })
    .await;
    let (feed, pieces) = mpsc::unbounded_channel();
    let (answered, mut answers) = mpsc::unbounded_channel();
    let mut kept = Kept {
        tell: Some(answered),
        ..Kept::default()
    };
    let post = request("POST", "Content-Length: 9\r\n", RequestBody::Stream);
    let mut source = Feed::Channel(pieces);
    let mut running = std::pin::pin!(pool.exchange(&post, &mut source, &mut kept));
    let flowing = async {
        assert!(matches!(answers.recv().await, Some(Answer::Head(_))));
        for _ in 0..4 {
            time_passes(MINUTES).await;
            feed.send(Piece::Data(".".into())).expect("taken");
            told.recv().await.expect("the origin reads");
        }
    };
    tokio::select! {
        result = &mut running => panic!("ended: {result:?}"),
        () = flowing => {}
    }
    // Silent in both directions, it ends, as late as its limit says.
    let silent = async {
        time_passes(MINUTES).await;
    };
    tokio::select! {
        result = &mut running => panic!("ended: {result:?}"),
        () = silent => {}
    }
    let (result, ()) = tokio::join!(running, time_passes(MINUTES));
    assert!(
        matches!(result, Err(OriginError::BodyTimeout)),
        "{result:?}"
    );
}

#[tokio::test]
async fn leaving_an_exchange_reaches_the_origin() {
    let (tell, mut told) = mpsc::unbounded_channel();
    let (pool, _) = origin(Timeouts::default(), move |_, mut stream| {
        let tell = tell.clone();
        async move {
            read_head(&mut stream).await?;
            tell.send("arrived").expect("the test waits");
            if !matches!(stream.read(&mut [0]).await, Ok(1)) {
                tell.send("gone").expect("the test waits");
            }
            Ok(())
        }
    })
    .await;
    let (get, mut feed, mut kept) = (get(), Feed::none(), Kept::default());
    tokio::select! {
        _ = pool.exchange(&get, &mut feed, &mut kept) => panic!("nothing answers"),
        said = told.recv() => assert_eq!(said, Some("arrived")),
    }
    assert_eq!(told.recv().await, Some("gone"));
}

#[tokio::test]
async fn an_upgrade_is_transparent_and_half_closes() {
    let (pool, _) = origin(Timeouts::default(), |_, mut stream| async move {
        read_head(&mut stream).await?;
        let answer = b"HTTP/1.1 101 Up\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\nfirst";
        stream.write_all(answer).await?;
        let mut said = String::new();
        stream.read_to_string(&mut said).await?;
        stream.write_all(said.to_uppercase().as_bytes()).await
    })
    .await;
    let (kept, result) = exchange(&pool, &upgrade(), Feed::pieces(&["ab", "cd"])).await;
    result.expect("both ends closed");
    assert_eq!(
        kept.heads[0],
        (101, "Upgrade: websocket\r\nConnection: Upgrade\r\n".into())
    );
    assert_eq!(&kept.body[..], b"firstABCD");
    assert_eq!((kept.trailers.as_deref(), pool.idle()), (Some(""), 0));
}

#[tokio::test]
async fn what_the_browser_sends_after_the_origins_end_still_goes_up() {
    let (heard, mut hears) = mpsc::unbounded_channel();
    let (pool, _) = origin(Timeouts::default(), move |_, mut stream| {
        let heard = heard.clone();
        async move {
            read_head(&mut stream).await?;
            let answer = b"HTTP/1.1 101 Up\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n";
            stream.write_all(answer).await?;
            stream.shutdown().await?;
            let mut said = String::new();
            stream.read_to_string(&mut said).await?;
            heard.send(said).expect("the test waits");
            Ok(())
        }
    })
    .await;
    let (feed, pieces) = mpsc::unbounded_channel();
    let (mut kept, mut told) = Kept::telling();
    let mut source = Feed::Channel(pieces);
    let upgrade = upgrade();
    let drive = async {
        assert!(matches!(told.recv().await, Some(Answer::Upgraded(_))));
        assert!(matches!(told.recv().await, Some(Answer::End(_))));
        // There is no limit on the whole, nor on a pause.
        feed.send(Piece::Data("la".into())).expect("taken");
        hours_pass().await;
        feed.send(Piece::Data("te".into())).expect("taken");
        feed.send(Piece::End(FieldLines::default())).expect("taken");
    };
    let (result, ()) = tokio::join!(pool.exchange(&upgrade, &mut source, &mut kept), drive);
    result.expect("both ends closed");
    assert_eq!(hears.recv().await.as_deref(), Some("late"));
}

#[tokio::test]
async fn a_refused_upgrade_sends_nothing_more_and_passes_the_body() {
    let (pool, _) = origin(Timeouts::default(), |_, stream| {
        answer_all(stream, b"HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nno")
    })
    .await;
    let (kept, result) = exchange(&pool, &upgrade(), Feed::pieces(&["ab"])).await;
    result.expect("an answer");
    assert_eq!((kept.status(), &kept.body[..]), (403, &b"no"[..]));
}
